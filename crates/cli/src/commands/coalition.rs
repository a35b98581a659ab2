//! `watchfire coalition`: founds a coalition, changes its charter while it runs, lets members in.

mod changes;
mod evidence;
mod join;
mod members;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;
use watchfire_api::wire::StopRequest;
use watchfire_node::{
    charter::{approve, approvers, check_founding, check_spoken},
    incidents::SMALL_COALITION,
};
use watchfire_signal::{
    charter::{Approval, Charter, Member, Quorums, SignedCharter},
    hex,
    name::{CoalitionName, MemberName},
    reason::Reason,
};

use crate::{
    directory::{Directory, read_card, read_charter, replace},
    exit::{Answer, Ended, Failure, OrEnvironment, environment, failed},
    network::member_address,
    node_api::{NodeApi, answered},
    output::{Output, count},
    runtime,
};

/// Found a coalition and run it: draft the charter, approve it, install it; later change it, invite and join.
///
/// Example, three members on one machine:
///   watchfire coalition init --name demo --out charter.cbor a/member.json b/member.json c/member.json
///   watchfire coalition approve --dir a charter.cbor
///   watchfire coalition approve --dir b charter.cbor
///   watchfire coalition approve --dir c charter.cbor
///   watchfire coalition show charter.cbor
///   watchfire coalition install --dir a charter.cbor
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(crate) enum Coalition {
    /// Draft the founding charter from the cards of all members.
    Init(Init),
    /// Add our approval to a charter: of a first one to its file, which then goes to the next member; of a
    /// proposed one, named by its hash, at a running node. One approval a member and charter.
    Approve(Approve),
    /// Show a charter and who has approved it. Exit code 1 while approvals are missing.
    Show(Show),
    /// Check that all have approved a charter, and put it into our data directory.
    Install(Install),
    /// Show the charter of a running node and what is proposed.
    Status(changes::Status),
    /// Show the members as a running node sees them: how much of their logs is there, whether they are reached, and
    /// how much they have used of their quotas.
    Members(members::Members),
    /// Write the charter in force as JSON, to be edited and proposed.
    Draft(changes::Draft),
    /// Propose the next charter, and approve it for this member. It is in force once members of enough
    /// organisations have approved it; all nodes then go on under it by themselves.
    Propose(changes::Propose),
    /// Propose a charter without a member. What it said stays in its log; nothing that it alone stands by is
    /// acted on, and what was removed stays until a person decides.
    Remove(changes::Remove),
    /// Make a new key for this member, and propose the charter that names it. The member goes on with a new
    /// log, which counts as the same member's; the old key ends the old one. With --no-propose the key is only made
    /// and its public half shown, for another member to propose it with `revoke-key`.
    RotateKey(changes::RotateKey),
    /// Propose a charter that takes a member's key away, as one that was stolen, and names the new one that its
    /// operator tells: the member's log under the old key ends at what this node holds of it, and the member goes on
    /// with a new one. Without a new key `remove` takes the member's key away, and it may join again later.
    RevokeKey(changes::RevokeKey),
    /// Invite a member: prints what it needs to join, which works for one key.
    Invite(join::Invite),
    /// Take an invitation up: the inviting member proposes a charter with us; waits until it is in force,
    /// and installs it.
    Join(join::Join),
    /// Fetch all charters of a coalition from any of its nodes, and check them.
    Fetch(changes::Fetch),
    /// Check the evidence against members that have approved two charters of one number, with the charters alone.
    Evidence(evidence::Evidence),
    /// Vote at a running node for a halt of a member: nothing that it stands by counts while enough
    /// organisations halt it, and what that alone caused is restored.
    Halt(Stop),
    /// Vote at a running node for a suspension of a member, as of a key that was stolen: its log counts up
    /// to what the node holds of it, nothing it stands by is acted on, and what was removed stays until a
    /// person decides.
    Suspend(Stop),
}

/// A draft of the first charter.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The coalition's name.
    #[arg(long)]
    name: CoalitionName,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// Organisations that assert or confirm a case before it is CONFIRMED, the asserter's included.
    #[arg(long, default_value_t = 2)]
    confirm: u32,
    /// Organisations that dispute a CONFIRMED case before it is DISPUTED.
    #[arg(long, default_value_t = 2)]
    dispute: u32,
    /// Organisations that approve the next charter; more than half, which is the default.
    #[arg(long)]
    charter: Option<u32>,
    /// Organisations that halt a case or a member.
    #[arg(long, default_value_t = 2)]
    halt: u32,
    /// The least time of a video, in milliseconds, that must match.
    #[arg(long, default_value_t = 1_000)]
    min_matched_ms: u32,
    /// Retractions of CONFIRMED cases that a member makes in an hour without a cosigner.
    #[arg(long, default_value_t = 20)]
    retractions_an_hour: u64,
    /// Have no local features of pictures travel in alerts: they show more of a picture than hashes do. Edited copies of
    /// what others report are then found by hashes alone.
    #[arg(long)]
    without_features: bool,
    /// The members' cards: their member.json.
    #[arg(required = true)]
    cards: Vec<PathBuf>,
}

/// An approval.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    node: NodeApi,
    /// Our data directory, to approve a file.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The file of a first charter; without --dir the hash of a proposed one, or its beginning.
    charter: String,
}

/// A look.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The charter.
    file: PathBuf,
}

/// An installation.
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// Our data directory.
    #[arg(long)]
    dir: PathBuf,
    /// The charter.
    file: PathBuf,
}

/// A vote for a stop of a member.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    node: NodeApi,
    /// The member.
    member: MemberName,
    /// Why: wrong_match, hash_collision, benign_context, mislabelled, out_of_scope, legal_local,
    /// victim_withdrew, duplicate, test, compromised_issuer or undisclosed_government_pressure.
    #[arg(long, default_value = "compromised_issuer")]
    reason: Reason,
    /// Take this member's own vote back.
    #[arg(long)]
    withdraw: bool,
}

/// A charter with who has approved it, for people and programs.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    hash: String,
    charter: &'a Charter,
    approved: BTreeSet<MemberName>,
    in_force: bool,
    /// The quorums as they count: an organisation can always be away.
    effective: Effective,
}

/// How many organisations it takes.
#[derive(Debug, Clone, Copy, Serialize)]
struct Effective {
    organisations: usize,
    confirm: usize,
    dispute: usize,
    halt: usize,
    suspend: usize,
}

impl Effective {
    fn of(charter: &Charter) -> Self {
        Self {
            organisations: charter.organisations(),
            confirm: charter.quorum_confirm(),
            dispute: charter.quorum_dispute(),
            halt: charter.quorum_halt(),
            suspend: charter.quorum_suspend(),
        }
    }

    /// The quorums as they count where the charter says more, and what one organisation does alone.
    fn lines(self, Quorums { confirm, dispute, halt, .. }: Quorums) -> Vec<String> {
        let Self { organisations: of, .. } = self;
        let counted = [self.confirm, self.dispute, self.halt];
        let mut lines = Vec::new();
        if counted != [confirm, dispute, halt].map(|quorum| quorum as usize) {
            let [confirm, dispute, halt] = counted;
            lines.push(format!(
                "as they count with {} (all but one at most): confirm {confirm}, dispute {dispute}, \
                 halt {halt}",
                count(of as u64, "organisation")
            ));
        }
        let does = [
            (self.confirm, "confirms"),
            (self.dispute, "disputes"),
            (self.halt, "halts and erases"),
            (self.suspend, "suspends members"),
        ];
        let alone = does.iter().filter(|(quorum, _)| *quorum == 1).map(|(_, does)| *does);
        let alone = alone.collect::<Vec<_>>().join(", ");
        if !alone.is_empty() && of > 1 {
            lines.push(format!("warning: of {of} organisations one alone {alone}"));
        }
        if (2..=SMALL_COALITION).contains(&of) {
            lines.push(format!(
                "warning: of {of} organisations one beside who declares suffices for an incident"
            ));
        }
        lines
    }
}

/// Runs the command.
pub(crate) fn run(coalition: &Coalition, output: &Output) -> Ended {
    match coalition {
        Coalition::Init(init) => run_init(init, output),
        Coalition::Approve(approve) => run_approve(approve, output),
        Coalition::Show(show) => run_show(show, output),
        Coalition::Install(install) => run_install(install, output),
        Coalition::Status(status) => runtime::block_on(changes::run_status(status, output))?,
        Coalition::Members(members) => runtime::block_on(members::run(members, output))?,
        Coalition::Draft(draft) => runtime::block_on(changes::run_draft(draft))?,
        Coalition::Propose(propose) => runtime::block_on(changes::run_propose(propose, output))?,
        Coalition::Remove(remove) => runtime::block_on(changes::run_remove(remove, output))?,
        Coalition::RotateKey(rotate) => runtime::block_on(changes::run_rotate_key(rotate, output))?,
        Coalition::RevokeKey(revoke) => runtime::block_on(changes::run_revoke_key(revoke, output))?,
        Coalition::Invite(invite) => runtime::block_on(join::run_invite(invite, output))?,
        Coalition::Join(join) => runtime::block_on(join::run_join(join, output))?,
        Coalition::Fetch(fetch) => runtime::block_on(changes::run_fetch(fetch, output))?,
        Coalition::Evidence(evidence) => evidence::run(evidence, output),
        Coalition::Halt(stop) => runtime::block_on(run_stop(stop, false, output))?,
        Coalition::Suspend(stop) => runtime::block_on(run_stop(stop, true, output))?,
    }
}

async fn run_stop(stop: &Stop, suspend: bool, output: &Output) -> Ended {
    let client = stop.node.client()?;
    let request = StopRequest { reason: stop.reason, withdraw: stop.withdraw };
    let answer = if suspend {
        client.suspend_member(&stop.member, &request).await
    } else {
        client.halt_member(&stop.member, &request).await
    };
    let answer = answered(answer)?;
    output.answer(&answer, || {
        let now = match (answer.suspended, answer.halted) {
            (true, _) => "suspended",
            (false, true) => "halted",
            (false, false) => "not stopped",
        };
        format!("{} {}: {} is {now}", answer.log, answer.index, stop.member)
    })?;
    Ok(Answer::Yes)
}

fn run_init(init: &Init, output: &Output) -> Ended {
    if init.out.exists() {
        return Err(environment(format!("{} is there already", init.out.display())));
    }
    let cards = cards(&init.cards)?;
    let mut charter = Charter::founding(init.name.clone(), cards);
    let Init { confirm, dispute, halt, .. } = *init;
    let majority = charter.quorums.charter;
    charter.quorums = Quorums { confirm, dispute, charter: init.charter.unwrap_or(majority), halt };
    charter.quotas.retractions_an_hour = init.retractions_an_hour;
    charter.least_min_matched_ms = init.min_matched_ms;
    charter.without_features = init.without_features;
    let signed =
        SignedCharter::new(charter, Vec::new()).or_environment("the draft is no charter")?;
    replace(&init.out, &signed.encode())?;
    show(&signed, output)?;
    Ok(Answer::Yes)
}

/// The cards of members, each once, with addresses that nodes take: what is signed stays.
fn cards(paths: &[PathBuf]) -> Result<Vec<Member>, Failure> {
    let mut cards = BTreeMap::<MemberName, (&Path, Member)>::new();
    for path in paths {
        let mut card = read_card(path)?;
        if let Some(address) = &card.address {
            let address = member_address(address);
            card.address = Some(address.or_environment(path.display())?.0);
        }
        let (name, shown) = (card.name.clone(), path.display());
        if let Some((other, _)) = cards.insert(name.clone(), (path, card)) {
            let other = other.display();
            return Err(environment(format!(
                "{name} is in {other} and in {shown}: each member once"
            )));
        }
    }
    Ok(cards.into_values().map(|(_, card)| card).collect())
}

fn run_approve(args: &Approve, output: &Output) -> Ended {
    let Some(dir) = &args.dir else {
        return runtime::block_on(changes::run_approve(&args.node, &args.charter, output))?;
    };
    let file = Path::new(&args.charter);
    let signed = read_charter(file)?;
    if signed.charter.seq > 1 {
        // Only the node knows whether this member has approved another one of that number.
        return Err(environment("a later charter is approved at the running node, by its hash"));
    }
    let signed = approved_by(signed, &Directory::new(dir))?;
    replace(file, &signed.encode())?;
    show(&signed, output)?;
    Ok(Answer::Yes)
}

/// Adds the approval of the member whose data directory it is.
pub(crate) fn approved_by(
    signed: SignedCharter,
    directory: &Directory,
) -> Result<SignedCharter, Failure> {
    let key = directory.key()?;
    let name = directory.card()?.name;
    let named = signed.charter.member(&name).map(|member| member.key);
    if named != Some(key.public().to_bytes()) {
        return Err(failed(format!(
            "the charter does not name {name} with the key of this directory"
        )));
    }
    let approval = Approval { signature: approve(&signed.hash(), &key), member: name.clone() };
    let mut approvals = signed.approvals;
    approvals.retain(|other| other.member != name);
    approvals.push(approval);
    Ok(SignedCharter::new(signed.charter, approvals)?)
}

fn run_show(args: &Show, output: &Output) -> Ended {
    Ok(Answer::of(show(&read_charter(&args.file)?, output)?))
}

fn run_install(args: &Install, output: &Output) -> Ended {
    let signed = read_charter(&args.file)?;
    install(&signed, &Directory::new(&args.dir))?;
    show(&signed, output)?;
    Ok(Answer::Yes)
}

/// Puts a charter that all have approved into a data directory. One that is there is only replaced
/// by itself: a later charter comes from the other members.
pub(crate) fn install(signed: &SignedCharter, directory: &Directory) -> Result<(), Failure> {
    check_founding(signed)?;
    check_spoken(&signed.charter)?;
    let card = directory.card()?;
    if signed.charter.member(&card.name).is_none_or(|member| member.key != card.key) {
        return Err(failed(format!("the charter does not name {} with its key", card.name)));
    }
    let place = directory.charter_file();
    if place.exists() && directory.chain()?.first().hash() != signed.hash() {
        return Err(environment(format!("{} holds another charter", place.display())));
    }
    // What is there may go on with later charters.
    if place.exists() { Ok(()) } else { replace(&place, &signed.encode()) }
}

/// Shows a charter and answers whether it is in force.
fn show(signed: &SignedCharter, output: &Output) -> Result<bool, Failure> {
    let charter = &signed.charter;
    let approved = approvers(signed, charter)?;
    let in_force = check_founding(signed).is_ok();
    let (hash, effective) = (hex::encode(&signed.hash()), Effective::of(charter));
    let shown = Shown { hash, charter, approved, in_force, effective };
    output.answer(&shown, || text(&shown))?;
    Ok(in_force)
}

fn text(shown: &Shown<'_>) -> String {
    let Charter { coalition, seq, quorums, members, .. } = shown.charter;
    let Quorums { confirm, dispute, charter, halt } = *quorums;
    let mut lines = vec![
        format!("charter {seq} of {coalition}, {}", shown.hash),
        format!("quorums: confirm {confirm}, dispute {dispute}, charter {charter}, halt {halt}"),
    ];
    lines.extend(shown.effective.lines(*quorums));
    if shown.charter.without_features {
        lines.push("local features of pictures do not travel".to_owned());
    }
    for member in members {
        let mark = if shown.approved.contains(&member.name) { "approved" } else { "-" };
        let Member { name, organisation, role, .. } = member;
        let address = member.address.as_deref().unwrap_or("(no address)");
        lines.push(format!("{name:<16} {organisation:<16} {role:<12} {mark:<9} {address}"));
    }
    let missing = members.len() - shown.approved.len();
    lines.push(match missing {
        0 => "approved by all".to_owned(),
        some => format!("{} missing", count(some as u64, "approval")),
    });
    lines.join("\n")
}
