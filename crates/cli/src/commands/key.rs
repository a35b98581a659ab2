//! `watchfire key`: makes and lists API keys while the node is stopped.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use watchfire_node::{
    access::{Caller, Scope, callers, make_key},
    clock::{Clock, SystemClock, SystemRandom},
};

use crate::{
    directory::Directory,
    exit::{Answer, Ended, environment},
    output::{Output, word},
    runtime,
};

/// Make and list API keys. The node must be stopped: it holds the data directory.
///
/// Example:
///   watchfire key add --dir ./tiktok --name uploads --scope scan
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(crate) enum Key {
    /// Make a key and print it, this once.
    Add(Add),
    /// List keys by name and scope; the keys themselves are kept nowhere.
    List(List),
}

/// A new key.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The data directory.
    #[arg(long)]
    dir: PathBuf,
    /// What the key is called.
    #[arg(long)]
    name: String,
    /// What it allows, several times if needed: scan, curate, review, audit or admin.
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
}

/// All keys.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The data directory.
    #[arg(long)]
    dir: PathBuf,
}

#[derive(Debug, Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    caller: &'a Caller,
    api_key: String,
}

fn scope(text: &str) -> Result<Scope, String> {
    serde_json::from_value(text.into())
        .map_err(|_| format!("`{text}` is no scope; known are scan, curate, review, audit, admin"))
}

/// Runs the command.
pub(crate) fn run(key: &Key, output: &Output) -> Ended {
    match key {
        Key::Add(add) => run_add(add, output),
        Key::List(list) => run_list(list, output),
    }
}

fn run_add(add: &Add, output: &Output) -> Ended {
    let store = existing(&add.dir)?.store()?;
    let caller = Caller {
        name: add.name.clone(),
        scopes: add.scopes.iter().copied().collect(),
        created_ms: SystemClock::default().now_ms(),
    };
    let api_key = runtime::block_on(make_key(&store, &SystemRandom, &caller))??;
    output.answer(&Made { caller: &caller, api_key: api_key.clone() }, || api_key)?;
    Ok(Answer::Yes)
}

fn run_list(list: &List, output: &Output) -> Ended {
    let store = existing(&list.dir)?.store()?;
    for caller in runtime::block_on(callers(&store))?? {
        let scopes = caller.scopes.iter().map(word);
        let scopes = scopes.collect::<Vec<_>>().join(" ");
        output.answer(&caller, || format!("{} {scopes}", caller.name))?;
    }
    Ok(Answer::Yes)
}

/// A directory that a member lives in: a mistyped one must not come to be by asking.
fn existing(dir: &std::path::Path) -> Result<Directory, crate::exit::Failure> {
    let directory = Directory::new(dir);
    if directory.config_file().exists() {
        Ok(directory)
    } else {
        Err(environment(format!("{} holds no member: watchfire init makes one", dir.display())))
    }
}
