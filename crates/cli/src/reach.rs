//! The two ways to a member's keys, accounts and desk log: the running node's API, or the data directory
//! of a stopped one, whose lock is taken.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use watchfire_api::client::Client;
use watchfire_node::{
    access::{Offline, offline},
    charter::changes,
    clock::{SystemClock, SystemRandom},
};

use crate::{
    directory::Directory,
    exit::{Failure, environment},
    node_api::NodeApi,
};

/// Where the member is.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// The data directory of a stopped node. Without it the running node at --url is asked.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    node: NodeApi,
}

/// What was reached.
pub(crate) enum Reached {
    /// A running node.
    Running(Client),
    /// The data directory of a stopped one.
    Stopped(Offline),
}

impl Reach {
    /// Reaches the member. Needs a runtime around it.
    pub(crate) async fn member(&self) -> Result<Reached, Failure> {
        match &self.dir {
            None => self.running().map(Reached::Running),
            Some(dir) => stopped(&existing(dir)?).await.map(Reached::Stopped),
        }
    }

    /// The running node.
    pub(crate) fn running(&self) -> Result<Client, Failure> {
        self.node.client()
    }
}

/// The keys, accounts and desk log in the directory of a stopped node.
pub(crate) async fn stopped(directory: &Directory) -> Result<Offline, Failure> {
    if !directory.charter_file().exists() {
        let path = directory.path().display();
        let why = "has no charter yet, so there is no log: watchfire coalition install";
        return Err(environment(format!("{path} {why}")));
    }
    let me = directory.config()?.member;
    let store = Arc::new(directory.store()?);
    let chain = changes::load(&*store, directory.chain()?).await?;
    let charter = &chain.in_force().charter;
    let missing = || environment(format!("the charter knows no member {me}"));
    let log = charter.log_of(&me).ok_or_else(missing)?;
    let (key, _) = directory.keys(charter, &me)?;
    let key = Arc::new(key);
    let (clock, random) = (Arc::new(SystemClock::default()), Arc::new(SystemRandom));
    Ok(offline(store, &log, key, clock, random).await?)
}

/// A directory that a member lives in: a mistyped one must not come to be by asking.
pub(crate) fn existing(dir: &Path) -> Result<Directory, Failure> {
    let directory = Directory::new(dir);
    if directory.config_file().exists() {
        Ok(directory)
    } else {
        Err(environment(format!("{} holds no member: watchfire init makes one", dir.display())))
    }
}
