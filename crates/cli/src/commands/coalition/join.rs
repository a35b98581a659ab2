//! Invites a member into a coalition that runs, and takes an invitation up.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::Serialize;
use watchfire_api::{
    client::{Client, ClientError},
    wire::{InviteRequest, MembershipAnswer, MembershipRequest, MembershipState},
};
use watchfire_node::charter::{check_chain, check_spoken, invites::sign_join};
use watchfire_server::views;
use watchfire_signal::{
    charter::Role,
    hex,
    name::{MemberName, OrganisationName},
};

use crate::{
    directory::{Directory, replace},
    exit::{Answer, Ended, Failure, OrEnvironment, environment, failed},
    network::{ANYWHERE, way_out},
    node_api::{NodeApi, answered},
    output::Output,
};

/// How often a joining member asks how far it is.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What is said once where the member that invited does not answer any more.
const AWAY: &str = "the member that invited does not answer: it may be going on under the new charter; \
                    asking again (to stop and run this again later is harmless)";

/// An invitation.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    #[command(flatten)]
    node: NodeApi,
    /// The member's name.
    member: MemberName,
    /// The organisation that controls it.
    #[arg(long)]
    organisation: OrganisationName,
    /// What it will be for: platform, contributor, convenor, auditor or witness.
    #[arg(long, default_value = "platform")]
    role: Role,
    /// Where the invited member reaches this node; our address of the charter without it.
    #[arg(long)]
    address: Option<String>,
}

/// What the invited member gets.
#[derive(Debug, Serialize)]
struct Invited {
    invitation: String,
    days: u64,
}

/// An invitation taken up.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The invitation.
    invitation: String,
    /// Our data directory, made with `watchfire init`.
    #[arg(long)]
    dir: PathBuf,
    /// Say how far it is, and do not wait. Run the command again later.
    #[arg(long)]
    no_wait: bool,
    /// A certificate in PEM that is trusted besides the system's.
    #[arg(long)]
    root: Vec<PathBuf>,
}

/// `ADDRESS#TOKEN.COALITION`: where, by which right, and the hash of the first charter, so that nobody is let into
/// another coalition than the one that invited.
#[derive(Debug)]
struct Invitation {
    address: String,
    token: String,
    coalition: [u8; 32],
}

impl Invitation {
    fn read(text: &str) -> Result<Self, Failure> {
        let wrong = || failed("an invitation looks like https://host#wfj_….…: copy all of it");
        let (address, rest) = text.trim().split_once('#').ok_or_else(wrong)?;
        let (token, coalition) = rest.split_once('.').ok_or_else(wrong)?;
        let coalition = hex::decode::<32>(coalition).map_err(|_| wrong())?;
        Ok(Self { address: address.to_owned(), token: token.to_owned(), coalition })
    }
}

pub(super) async fn run_invite(args: &Invite, output: &Output) -> Ended {
    let client = args.node.client()?;
    let address = match &args.address {
        Some(address) => address.trim_end_matches('/').to_owned(),
        None => own_address(&client).await?,
    };
    let Invite { member, organisation, role, .. } = args;
    let (member, organisation) = (member.clone(), organisation.clone());
    let request = InviteRequest { member, organisation, role: role.to_string() };
    let answer = answered(client.invite_member(&request).await)?;
    let invitation = format!("{address}#{}.{}", answer.token, answer.coalition);
    let invited = Invited { invitation, days: answer.days };
    output.answer(&invited, || {
        format!(
            "{}\n\nlasts {} days and works for one key. The invited member runs\n\
             \x20 watchfire init --member {} --organisation {} --role {role} --dir DIR …\n\
             \x20 watchfire coalition join --dir DIR '{}'",
            invited.invitation, invited.days, args.member, args.organisation, invited.invitation
        )
    })?;
    Ok(Answer::Yes)
}

async fn own_address(client: &Client) -> Result<String, Failure> {
    let members = answered(client.members().await)?;
    let own = members.members.into_iter().find(|member| member.name == members.me);
    let none = || environment("this member has no address in the charter: say --address");
    own.and_then(|own| own.address).ok_or_else(none)
}

pub(super) async fn run_join(args: &Join, output: &Output) -> Ended {
    let Invitation { address, token, coalition } = Invitation::read(&args.invitation)?;
    let directory = Directory::new(&args.dir);
    let (card, key) = (directory.card()?, directory.key()?);
    let signature = hex::encode(&sign_join(&token, &card, &key));
    let client = Client::new(way_out(&ANYWHERE, &args.root)?, &address, None);
    let client = client.or_environment(&address)?;
    let request = MembershipRequest { token, card, signature };
    let mut told = None;
    let joined = loop {
        let answer = match client.join_coalition(&request).await {
            Err(error) if told.is_some() && hands_over(&error) => {
                if told.as_deref() != Some(AWAY) {
                    output.complain(AWAY);
                    told = Some(AWAY.to_owned());
                }
                tokio::time::sleep(ASK_EVERY).await;
                continue;
            }
            other => answered(other)?,
        };
        if answer.state == MembershipState::Joined {
            break answer;
        }
        let now = progress(&answer);
        if args.no_wait {
            output.answer(&answer, || now)?;
            return Ok(Answer::No);
        }
        if told.as_ref() != Some(&now) {
            output.complain(&now);
            told = Some(now);
        }
        tokio::time::sleep(ASK_EVERY).await;
    };
    let chain = views::charter::chain_of(&joined.charters).map_err(environment)?;
    check_chain(&chain).or_environment("the charters of the member that invited")?;
    if chain.first().hash() != coalition {
        return Err(failed(
            "the charters shown are of another coalition than the one that invited",
        ));
    }
    let charter = &chain.in_force().charter;
    check_spoken(charter)?;
    let named = charter.member(&request.card.name).filter(|own| own.key == request.card.key);
    let missing = || failed(format!("the charter does not name {}", request.card.name));
    let own = named.ok_or_else(missing)?;
    replace(&directory.charter_file(), &chain.encode())?;
    let card = serde_json::to_string_pretty(own)? + "\n";
    replace(&directory.card_file(), card.as_bytes())?;
    output.answer(&joined, || {
        format!(
            "{} is a member of {} by charter {}; next\n\x20 watchfire serve --dir {}",
            own.name,
            charter.coalition,
            charter.seq,
            args.dir.display()
        )
    })?;
    Ok(Answer::Yes)
}

/// Whether the member that invited may only be between two charters: then it listens on no port for a moment, and asks
/// its peers before it answers. A proxy before it says that with a status of its own.
fn hands_over(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) => true,
        ClientError::Problem(problem) => problem.status == 503,
        ClientError::Status(status) => (502..=504).contains(status),
        ClientError::Answer(_) | ClientError::Outbound(_) | ClientError::Key => false,
    }
}

fn progress(answer: &MembershipAnswer) -> String {
    match &answer.hash {
        Some(hash) => format!(
            "proposed as {}: {} of {} organisations have approved; waiting for the others",
            hash.get(..12).unwrap_or(hash),
            answer.approved,
            answer.needed
        ),
        None => "another change of the charter is voted on; waiting for that".to_owned(),
    }
}
