//! Changes of the charter while nodes run: looked at, proposed, approved.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use watchfire_api::wire::{ApproveAnswer, CharterView, ProposalView, ProposeRequest};
use watchfire_node::{
    charter::check_chain,
    clock::{Random, SystemRandom},
};
use watchfire_server::views;
use watchfire_signal::{
    charter::{Charter, Member},
    hex,
    name::MemberName,
};
use watchfire_tlog::{OwnKey, PeerKey};

use crate::{
    directory::{Directory, replace, write_new, write_secret},
    exit::{Answer, Ended, Failure, OrEnvironment, environment, failed},
    node_api::{NodeApi, answered},
    output::Output,
};

/// The charter of a running node.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    node: NodeApi,
}

/// A draft to be edited.
#[derive(Debug, Args)]
pub(crate) struct Draft {
    #[command(flatten)]
    node: NodeApi,
    /// The file to write; standard output without it.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A proposal.
#[derive(Debug, Args)]
pub(crate) struct Propose {
    #[command(flatten)]
    node: NodeApi,
    /// The charter as it should be, as `watchfire coalition draft` writes it.
    file: PathBuf,
}

/// A member that leaves.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    node: NodeApi,
    /// The member.
    member: MemberName,
}

/// A new key.
#[derive(Debug, Args)]
pub(crate) struct RotateKey {
    #[command(flatten)]
    node: NodeApi,
    /// Our data directory.
    #[arg(long)]
    dir: PathBuf,
    /// Make the key and show its public half, and ask no node.
    #[arg(long)]
    no_propose: bool,
}

/// A key that counts no more.
#[derive(Debug, Args)]
pub(crate) struct RevokeKey {
    #[command(flatten)]
    node: NodeApi,
    /// The member.
    member: MemberName,
    /// The public key that it goes on with, 64 hexadecimal digits; its operator makes it with
    /// `watchfire coalition rotate-key --no-propose`, and tells it on a way that whoever has the old key does not
    /// control.
    #[arg(long)]
    new_key: PeerKey,
}

/// A key that was made.
#[derive(Debug, Serialize)]
struct NextKey {
    member: MemberName,
    new_key: String,
}

/// All charters of a coalition.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    node: NodeApi,
    /// The file to write, for `--charter` of other commands. It must not be there, or be the beginning of what
    /// comes.
    #[arg(long)]
    out: PathBuf,
}

pub(super) async fn run_status(args: &Status, output: &Output) -> Ended {
    let view = answered(args.node.client()?.charter().await)?;
    output.answer(&view, || told(&view))?;
    Ok(Answer::Yes)
}

pub(super) async fn run_draft(args: &Draft) -> Ended {
    let view = answered(args.node.client()?.charter().await)?;
    let text = serde_json::to_string_pretty(&view.charter)? + "\n";
    match &args.out {
        Some(out) => write_new(out, &text)?,
        None => print!("{text}"),
    }
    Ok(Answer::Yes)
}

pub(super) async fn run_propose(args: &Propose, output: &Output) -> Ended {
    let text = fs::read_to_string(&args.file).or_environment(args.file.display())?;
    let charter: Charter = serde_json::from_str(&text).or_environment(args.file.display())?;
    propose(&args.node, charter, output).await
}

pub(super) async fn run_remove(args: &Remove, output: &Output) -> Ended {
    let mut charter = answered(args.node.client()?.charter().await)?.charter;
    let before = charter.members.len();
    charter.members.retain(|member| member.name != args.member);
    if charter.members.len() == before {
        return Err(failed(format!("the charter has no member {}", args.member)));
    }
    propose(&args.node, charter, output).await
}

/// Makes the next key, and proposes the charter that names it. The node goes on with it once that is in force.
pub(super) async fn run_rotate_key(args: &RotateKey, output: &Output) -> Ended {
    let directory = Directory::new(&args.dir);
    let me = directory.config()?.member;
    let next = directory.next_key_file();
    if !next.exists() {
        let mut seed = [0; 32];
        SystemRandom.fill(&mut seed);
        write_secret(&next, &format!("{}\n", hex::encode(&seed)))?;
    }
    let key = OwnKey::from_seed(&directory.seed(&next)?).public();
    if args.no_propose {
        let made = NextKey { member: me, new_key: key.to_string() };
        output.answer(&made, || format!("the next key of {} is {}", made.member, made.new_key))?;
        return Ok(Answer::Yes);
    }
    let charter = answered(args.node.client()?.charter().await)?.charter;
    propose(&args.node, with_key(charter, &me, &key)?, output).await
}

/// Proposes that a member goes on with another key; it cannot end its log itself, so that ends as it is held here.
pub(super) async fn run_revoke_key(args: &RevokeKey, output: &Output) -> Ended {
    let charter = answered(args.node.client()?.charter().await)?.charter;
    let same = charter.member(&args.member).is_some_and(|one| one.key == args.new_key.to_bytes());
    if same {
        return Err(failed(format!("{} has that key already", args.member)));
    }
    propose(&args.node, with_key(charter, &args.member, &args.new_key)?, output).await
}

/// The charter with another key of a member.
fn with_key(mut charter: Charter, member: &MemberName, key: &PeerKey) -> Result<Charter, Failure> {
    let missing = || failed(format!("the charter has no member {member}"));
    let its = charter.members.iter_mut().find(|one| one.name == *member).ok_or_else(missing)?;
    its.key = key.to_bytes();
    Ok(charter)
}

/// Approves by hash, or by its beginning.
pub(super) async fn run_approve(node: &NodeApi, hash: &str, output: &Output) -> Ended {
    let client = node.client()?;
    let proposals = answered(client.charter().await)?.proposals;
    let mut fitting = proposals.iter().filter(|proposal| proposal.hash.starts_with(hash));
    let (Some(proposal), None) = (fitting.next(), fitting.next()) else {
        return Err(failed(format!("no proposal, or more than one, begins with {hash}")));
    };
    let answer = answered(client.approve_charter(&proposal.hash).await)?;
    output.answer(&answer, || became(&answer))?;
    Ok(Answer::Yes)
}

pub(super) async fn run_fetch(args: &Fetch, output: &Output) -> Ended {
    let list = answered(args.node.client()?.charters().await)?;
    let chain = views::charter::chain_of(&list.charters).map_err(environment)?;
    check_chain(&chain).or_environment("the charters of this node")?;
    let bytes = chain.encode();
    check_goes_on(&args.out, &bytes)?;
    replace(&args.out, &bytes)?;
    let charter = &chain.in_force().charter;
    let hash = hex::encode(&chain.first().hash());
    output.answer(&list, || {
        format!(
            "charter {} of {}, checked, in {}\nfirst charter {hash}: compare it with what the members publish",
            charter.seq,
            charter.coalition,
            args.out.display()
        )
    })?;
    Ok(Answer::Yes)
}

/// What stands in a file already must be the beginning of what comes: else somebody shows other charters.
fn check_goes_on(out: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match fs::read(out) {
        Ok(before) if !bytes.starts_with(&before) => {
            Err(failed(format!("{} holds other charters than this node shows", out.display())))
        }
        _ => Ok(()),
    }
}

async fn propose(node: &NodeApi, charter: Charter, output: &Output) -> Ended {
    let client = node.client()?;
    let answer = answered(client.propose_charter(&ProposeRequest { charter }).await)?;
    let view = answered(client.charter().await)?;
    output.answer(&answer, || {
        let proposal = view.proposals.iter().find(|proposal| proposal.hash == answer.hash);
        proposal.map_or_else(|| became(&answer), |proposal| lines(&view.charter, proposal))
    })?;
    Ok(Answer::Yes)
}

fn became(answer: &ApproveAnswer) -> String {
    let what = if answer.in_force { "is in force" } else { "is approved, and not in force yet" };
    format!("charter {} {what}", answer.hash)
}

fn lines(in_force: &Charter, proposal: &ProposalView) -> String {
    let ProposalView { hash, seq, organisations, needed, .. } = proposal;
    let by = proposal.approved_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        format!("proposed as charter {seq}: {hash}"),
        format!("  approved by {by}: {organisations} of {needed} organisations"),
    ];
    lines.extend(not_yet(in_force, proposal));
    lines.extend(proposal.changes.iter().map(|change| format!("  {change}")));
    lines.push(format!("  watchfire coalition approve {}", hash.get(..12).unwrap_or(hash)));
    lines.join("\n")
}

/// The organisations of which a member has approved and that do not count yet, with those that have not.
fn not_yet(in_force: &Charter, proposal: &ProposalView) -> Vec<String> {
    let mut owners = BTreeMap::<_, (Vec<_>, Vec<_>)>::new();
    for Member { name, organisation, .. } in &in_force.members {
        let (approve, others) = owners.entry(organisation).or_default();
        if proposal.approved_by.contains(name) { approve.push(name) } else { others.push(name) }
    }
    let half = |(owner, (approve, others)): (_, (Vec<&MemberName>, Vec<&MemberName>))| {
        let counts = in_force.count_approving(approve.iter().copied()) > 0;
        let others = others.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let line =
            format!("  {owner} does not count yet: more of its members must approve ({others})");
        (!approve.is_empty() && !counts).then_some(line)
    };
    owners.into_iter().filter_map(half).collect()
}

fn told(view: &CharterView) -> String {
    let Charter { coalition, members, quorums, .. } = &view.charter;
    let organisations: BTreeSet<_> = members.iter().map(|member| &member.organisation).collect();
    let mut text = vec![
        format!("charter {} of {coalition}, {}", view.seq, view.hash),
        format!(
            "{} members of {} organisations; {} organisations change it",
            members.len(),
            organisations.len(),
            quorums.charter
        ),
    ];
    if view.works_under != view.seq {
        text.push(format!("the node still works under charter {}", view.works_under));
    }
    for member in members {
        let address = member.address.as_deref().unwrap_or("(no address)");
        text.push(format!(
            "{:<16} {:<16} {:<12} epoch {:<3} {address}",
            member.name.to_string(),
            member.organisation.to_string(),
            member.role.to_string(),
            member.epoch
        ));
    }
    text.extend(view.proposals.iter().map(|proposal| lines(&view.charter, proposal)));
    if !view.approved_twice.is_empty() {
        let names = view.approved_twice.iter().map(ToString::to_string).collect::<Vec<_>>();
        text.push(format!("approved two charters of one number: {}", names.join(", ")));
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use watchfire_signal::charter::Role;

    use super::*;

    #[test]
    fn who_is_missing_of_an_organisation_that_has_begun_to_approve_is_said() {
        let member = |name: &str, organisation: &str, key: u8| Member {
            name: name.parse().unwrap(),
            organisation: organisation.parse().unwrap(),
            role: Role::Platform,
            key: [key; 32],
            epoch: 1,
            address: None,
        };
        let members = vec![
            member("facebook", "meta", 1),
            member("instagram", "meta", 2),
            member("tiktok", "bytedance", 3),
        ];
        let charter = Charter::founding("demo".parse().unwrap(), members);
        let proposal = |by: &[&str]| ProposalView {
            hash: "00".to_owned(),
            seq: 2,
            changes: Vec::new(),
            approved_by: by.iter().map(|name| name.parse().unwrap()).collect(),
            organisations: 1,
            needed: 2,
            charter: charter.clone(),
        };
        let missing = not_yet(&charter, &proposal(&["instagram", "tiktok"]));
        let line = "  meta does not count yet: more of its members must approve (facebook)";
        assert_eq!(missing, [line]);
        assert!(not_yet(&charter, &proposal(&["facebook"])).is_empty());
    }
}
