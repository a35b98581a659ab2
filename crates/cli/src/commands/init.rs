//! `watchfire init`: makes a member's data directory with key, configuration, card and first API key.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use clap::Args;
use serde::Serialize;
use watchfire_node::{
    access::{Scope, keep_first_key, keys::KeyName},
    clock::{Clock, Random, SystemClock, SystemRandom},
};
use watchfire_signal::{
    charter::{Member, Role},
    hex,
    name::{CoalitionName, MemberName, OrganisationName},
};
use watchfire_tlog::OwnKey;

use crate::{
    config::{Config, New},
    directory::{Directory, write_new, write_secret},
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    network::member_address,
    output::Output,
    runtime,
};

/// The epoch of a member's first log.
const FIRST_EPOCH: u32 = 1;
/// What the first API key is called.
const FIRST_KEY: &str = "first";

/// Make the data directory of a new member.
///
/// Writes the member's key, a commented configuration (`watchfire.toml`), the member's public card
/// (`member.json`, for `watchfire coalition init`) and an empty store, and prints the first API key,
/// which is shown this once.
///
/// Example:
///   watchfire init --member tiktok --organisation tiktok --listen 127.0.0.1:7001
///     --address http://127.0.0.1:7001 --dir ./tiktok
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Init {
    /// The member's name: a-z, 0-9 and -, a letter first.
    #[arg(long)]
    pub member: MemberName,
    /// The organisation that controls it; every quorum counts organisations.
    #[arg(long)]
    pub organisation: OrganisationName,
    /// The coalition that it wants to be in; stands in the next steps that are printed.
    #[arg(long, default_value = "coalition")]
    pub coalition: CoalitionName,
    /// What it is for: platform, contributor, convenor, auditor or witness.
    #[arg(long, default_value = "platform")]
    pub role: Role,
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:7001")]
    pub listen: SocketAddr,
    /// Where other members reach it, such as `https://watchfire.example`. Leave it out behind NAT:
    /// the node then opens all streams itself.
    #[arg(long)]
    pub address: Option<String>,
    /// The directory to make; it must not hold a member yet.
    #[arg(long)]
    pub dir: PathBuf,
}

/// What was made.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    /// The member's public card.
    pub member: Member,
    /// The data directory.
    pub directory: PathBuf,
    /// The first API key, with every right; kept nowhere.
    pub api_key: String,
}

/// Runs the command.
pub(crate) fn run(init: &Init, output: &Output) -> Ended {
    let made = runtime::block_on(make(init))??;
    let address = made.member.address.as_deref().map(member_address).transpose()?;
    if let Some(warning) = address.and_then(|(_, warning)| warning) {
        output.complain(format!("warning: {warning}"));
    }
    output.answer(&made, || told(init, &made))?;
    Ok(Answer::Yes)
}

/// Makes the directory; what stands there already is never overwritten.
pub(crate) async fn make(init: &Init) -> Result<Made, Failure> {
    let directory = Directory::new(&init.dir);
    if directory.key_file().exists() || directory.config_file().exists() {
        let path = init.dir.display();
        return Err(environment(format!("{path} holds a member already")));
    }
    let address = init.address.as_deref().map(member_address).transpose();
    let address = address.or_environment("--address, such as https://watchfire.example")?;
    let address = address.map(|(address, _)| address);
    directory.create()?;
    let mut seed = [0; 32];
    SystemRandom.fill(&mut seed);
    write_secret(&directory.key_file(), &format!("{}\n", hex::encode(&seed)))?;
    let member = Member {
        name: init.member.clone(),
        organisation: init.organisation.clone(),
        role: init.role,
        key: OwnKey::from_seed(&seed).public().to_bytes(),
        epoch: FIRST_EPOCH,
        address: address.clone(),
    };
    let card = serde_json::to_string_pretty(&member)?;
    write_new(&directory.card_file(), &format!("{card}\n"))?;
    let new = New { member: &init.member, listen: init.listen, address: address.as_deref() };
    write_new(&directory.config_file(), &Config::text(&new))?;
    let api_key = first_key(&directory).await?;
    Ok(Made { member, directory: init.dir.clone(), api_key })
}

async fn first_key(directory: &Directory) -> Result<String, Failure> {
    let store = directory.store()?;
    let name: KeyName = FIRST_KEY.parse()?;
    let scopes = BTreeSet::from([Scope::Admin]);
    let now = SystemClock::default().now_ms();
    Ok(keep_first_key(&store, &SystemRandom, &name, scopes, now).await?)
}

fn told(init: &Init, made: &Made) -> String {
    let Init { member, coalition, .. } = init;
    let dir = init.dir.display();
    let key = hex::encode(&made.member.key);
    let api_key = &made.api_key;
    format!(
        "member {member} in {dir}\n\
         public key {key}\n\
         API key (admin), shown this once: {api_key}\n\
         \n\
         Next, one member drafts the charter from the cards (member.json) of all:\n\
         \x20 watchfire coalition init --name {coalition} --out charter.cbor {dir}/member.json …\n\
         each approves it, passing the file on:\n\
         \x20 watchfire coalition approve --dir {dir} charter.cbor\n\
         and installs it when all have:\n\
         \x20 watchfire coalition install --dir {dir} charter.cbor\n\
         \x20 watchfire serve --dir {dir}\n\
         or, with an invitation into a coalition that runs:\n\
         \x20 watchfire coalition join --dir {dir} '…'"
    )
}
