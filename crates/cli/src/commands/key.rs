//! `watchfire key`: makes, lists, rotates and revokes API keys, at a running node or a stopped one.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use watchfire_api::wire::{KeyMade, KeyRequest, KeyView, RotateRequest};
use watchfire_node::{
    access::{MadeKey, NewKey, Scope, keep_first_key, keys::KeyName, keys::stored_keys},
    clock::{Clock, SystemClock, SystemRandom},
    desk::Actor,
};
use watchfire_server::views;

use crate::{
    directory::Directory,
    exit::{Answer, Ended, Failure, environment},
    node_api::answered,
    output::{Output, word},
    reach::{Reach, Reached, existing},
    runtime,
};

/// Make, list, rotate and revoke API keys.
///
/// At the running node with a key of the scope admin, or with --dir while the node is stopped. Every
/// change is a line in the desk log; with --dir it stands there as done by the node itself.
///
/// Example:
///   watchfire key add --dir ./tiktok --name uploads --scope scan
///   watchfire key rotate --name uploads --overlap-hours 48
///   watchfire key revoke --name uploads
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(crate) enum Key {
    /// Make a key and print it, this once.
    Add(Add),
    /// List keys with scopes and last use; the keys themselves are kept nowhere.
    List(List),
    /// Give a key a new secret and print it, this once; the old one stays valid for a while.
    Rotate(Rotate),
    /// Take a key away, at once.
    Revoke(Revoke),
}

/// A new key.
#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    at: Reach,
    /// What the key is called.
    #[arg(long)]
    name: KeyName,
    /// What it allows, several times if needed: scan, curate, review, audit or admin.
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// How many days it is valid; for ever without.
    #[arg(long)]
    valid_for_days: Option<u32>,
}

/// All keys.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Reach,
}

/// A key that changes.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    at: Reach,
    /// What the key is called.
    #[arg(long)]
    name: KeyName,
    /// How many hours the old secret stays valid; 0 ends it at once, 720 is the most.
    #[arg(long, default_value_t = 24)]
    overlap_hours: u32,
}

/// A key that ends.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    at: Reach,
    /// What the key is called.
    #[arg(long)]
    name: KeyName,
}

fn scope(text: &str) -> Result<Scope, String> {
    serde_json::from_value(text.into())
        .map_err(|_| format!("`{text}` is no scope; known are scan, curate, review, audit, admin"))
}

/// Runs the command.
pub(crate) fn run(key: &Key, output: &Output) -> Ended {
    runtime::block_on(async {
        match key {
            Key::Add(add) => run_add(add, output).await,
            Key::List(list) => run_list(list, output).await,
            Key::Rotate(rotate) => run_rotate(rotate, output).await,
            Key::Revoke(revoke) => run_revoke(revoke, output).await,
        }
    })?
}

async fn run_add(add: &Add, output: &Output) -> Ended {
    let name = add.name.clone();
    let scopes: BTreeSet<Scope> = add.scopes.iter().copied().collect();
    let valid_for_s = add.valid_for_days.map(|days| u64::from(days) * 86_400);
    if let Some(directory) = before_charter(&add.at)? {
        return add_first(add, &directory, output).await;
    }
    let made = match add.at.member().await? {
        Reached::Running(client) => {
            let scopes = scopes.into_iter().map(views::scope).collect();
            let asked = KeyRequest { name: name.to_string(), scopes, valid_for_s };
            answered(client.make_key(&asked).await)?
        }
        Reached::Stopped(member) => {
            let valid_for_ms = valid_for_s.map(|seconds| seconds * 1000);
            let new = NewKey { name, scopes, valid_for_ms };
            told(member.access.make_key(Actor::Node, new).await?)
        }
    };
    output.answer(&made, || made.api_key.clone())?;
    Ok(Answer::Yes)
}

/// A key of a member that has no charter, and so no log, yet.
async fn add_first(add: &Add, directory: &Directory, output: &Output) -> Ended {
    if add.valid_for_days.is_some() {
        return Err(environment("a key with an end is made when the charter is installed"));
    }
    let store = directory.store()?;
    let taken = stored_keys(&store).await?.iter().any(|key| key.key.name == add.name);
    if taken {
        return Err(environment(format!("there is a key {} already", add.name)));
    }
    let scopes: BTreeSet<Scope> = add.scopes.iter().copied().collect();
    let now = SystemClock::default().now_ms();
    let api_key = keep_first_key(&store, &SystemRandom, &add.name, scopes, now).await?;
    let kept = stored_keys(&store).await?;
    let view = kept.iter().find(|key| key.key.name == add.name);
    let view = view.ok_or_else(|| environment("the key is gone already"))?;
    let made = KeyMade { key: views::key(view, now), api_key };
    output.answer(&made, || made.api_key.clone())?;
    Ok(Answer::Yes)
}

async fn run_list(list: &List, output: &Output) -> Ended {
    let now = SystemClock::default().now_ms();
    let keys: Vec<KeyView> = if let Some(directory) = before_charter(&list.at)? {
        let store = directory.store()?;
        stored_keys(&store).await?.iter().map(|key| views::key(key, now)).collect()
    } else {
        match list.at.member().await? {
            Reached::Running(client) => answered(client.keys().await)?.keys,
            Reached::Stopped(member) => {
                member.access.keys().iter().map(|key| views::key(key, now)).collect()
            }
        }
    };
    for key in keys {
        output.answer(&key, || text(&key))?;
    }
    Ok(Answer::Yes)
}

async fn run_rotate(rotate: &Rotate, output: &Output) -> Ended {
    let overlap_s = u64::from(rotate.overlap_hours) * 3_600;
    let made = match rotate.at.member().await? {
        Reached::Running(client) => {
            let asked = RotateRequest { overlap_s };
            answered(client.rotate_key(rotate.name.as_str(), &asked).await)?
        }
        Reached::Stopped(member) => {
            let name = rotate.name.clone();
            told(member.access.rotate_key(Actor::Node, name, overlap_s * 1000).await?)
        }
    };
    output.answer(&made, || made.api_key.clone())?;
    Ok(Answer::Yes)
}

async fn run_revoke(revoke: &Revoke, output: &Output) -> Ended {
    let name = revoke.name.clone();
    match revoke.at.member().await? {
        Reached::Running(client) => answered(client.revoke_key(name.as_str()).await)?,
        Reached::Stopped(member) => member.access.revoke_key(Actor::Node, name).await?,
    }
    let done = serde_json::json!({ "revoked": revoke.name });
    output.answer(&done, || format!("{} is revoked", revoke.name))?;
    Ok(Answer::Yes)
}

/// The directory, if it was named and no charter is in it: keys can be made before there is a log.
fn before_charter(at: &Reach) -> Result<Option<Directory>, Failure> {
    let Some(dir) = &at.dir else { return Ok(None) };
    let directory = existing(dir)?;
    Ok(Some(directory).filter(|directory| !directory.charter_file().exists()))
}

fn told(made: MadeKey) -> KeyMade {
    let now = SystemClock::default().now_ms();
    KeyMade { key: views::key(&made.view, now), api_key: made.secret }
}

fn text(key: &KeyView) -> String {
    let scopes = key.scopes.iter().map(word).collect::<Vec<_>>().join(" ");
    let state = if key.live { "" } else { " ended" };
    let used = if key.used_ms.is_some() { "" } else { " never used" };
    format!("{} {scopes} ({}){state}{used}", key.name, key.fingerprint)
}
