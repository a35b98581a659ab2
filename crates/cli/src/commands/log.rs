//! `watchfire log`: audits a member's whole log from what anyone may read of it, and shows the proofs
//! of forks.

mod evidence;
mod kept;
mod public;
mod witnesses;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use clap::{Args, Subcommand};
use futures_util::stream::BoxStream;
use serde::Serialize;
use watchfire_api::wire::LogPath;
use watchfire_signal::{
    charter::CharterChain, header::Provenance, name::LogName, record::Leaf, verb::Verb,
};
use watchfire_tlog::{
    AuditProblem, Entry, Extension, Hash, Origin, PeerKey, SignedCheckpoint, Source, SourceError,
    audit,
};

use crate::{
    directory::read_chain,
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    network::{ANYWHERE, way_out},
    output::{Output, count},
    runtime,
};

use self::{kept::Kept, public::PublicLog};

/// Look into the logs of members.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    Verify(Verify),
    Evidence(evidence::Evidence),
}

/// Check that a member's log is complete and was never rewritten, and count what it says in clear.
///
/// Reads the log's checkpoint and tiles, which anyone may, and walks all leaves up to the
/// signed root. Leaves say who spoke, with which verb and reason, and whether a
/// government asked; what exactly was said is committed to and not shown. The key comes
/// from the coalition's charter, or as --key; the address is that of any member, which
/// may also show its copy of another member's log. Exit code 1 on the first thing that is
/// wrong; 2 where the log could not be read, which says nothing about its author. With
/// --charter it also says up to where witnesses have cosigned the log.
///
/// One look alone cannot tell a log from another one that its author wrote and signed
/// from the start. Keep the signed head of each look, and hold the next one against it:
/// --since says that what was read then still stands. Where the log does not go on from
/// there, exit code 1; the two heads are proof of it against its author.
///
/// Example:
///   watchfire log verify https://watchfire.example/log/tiktok --charter charter.cbor --keep tiktok.head
///   watchfire log verify https://watchfire.example/log/tiktok --charter charter.cbor --since tiktok.head --keep tiktok.head
///   watchfire log verify http://127.0.0.1:7001/log/tiktok --key 3d40…
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Verify {
    #[command(flatten)]
    which: Which,
    /// A signed head that was kept from an earlier look; the log must go on from it.
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// The file to keep the signed head in, if all is sound. It must not be there, or be that of --since.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

/// Which log is read, and whose it must be.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Where the log is read: ADDRESS/log/MEMBER.
    url: String,
    /// The public key of the member, 64 hexadecimal digits.
    #[arg(long, conflicts_with = "charter")]
    key: Option<PeerKey>,
    /// The coalition's charter, which names the member's key.
    #[arg(long, required_unless_present = "key")]
    charter: Option<PathBuf>,
    /// A certificate in PEM that is trusted besides the system's.
    #[arg(long)]
    root: Vec<PathBuf>,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Found {
    log: String,
    sound: bool,
    size: u64,
    root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    verbs: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    retractions: BTreeMap<String, u64>,
    government_requests: u64,
    unreadable: u64,
    /// Hashes of the log's tiles that were shown and right.
    tile_hashes: u64,
    /// Hashes of tiles that were not shown: the leaves were checked without them, and others who rely on tiles
    /// cannot check this log here.
    tile_hashes_missing: u64,
    /// The leaves of the kept head that the log goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// The signed head.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    /// What witnesses of the charter have cosigned of this log.
    witnesses: Vec<witnesses::Witnessed>,
}

/// Runs the command.
pub(crate) fn run(log: &Log, output: &Output) -> Ended {
    match log {
        Log::Verify(verify) => runtime::block_on(check(verify, output))?,
        Log::Evidence(evidence) => runtime::block_on(evidence::run(evidence, output))?,
    }
}

async fn check(verify: &Verify, output: &Output) -> Ended {
    let Verify { which, since, keep } = verify;
    if let Some(path) = keep.as_ref().filter(|path| path.exists() && since.as_ref() != Some(*path))
    {
        let path = path.display();
        return Err(environment(format!(
            "{path} is there already; name another, or go on from it with --since {path}"
        )));
    }
    let source = which.open()?;
    let (origin, key) = which.expected(&source).await?;
    let kept = since.as_ref().map(|path| Kept::read(path, &origin, &key)).transpose()?;
    let log = Counting { source, counts: Default::default(), kept: Mutex::new(kept) };
    let bar = output.progress(2, "walking the log");
    let mut progress = |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    };
    let report = audit(&log, &origin, &key, &mut progress).await;
    bar.finish_and_clear();
    if let Some(AuditProblem::Source(error)) = report.problem {
        return which.read(Err(error));
    }
    let counts = log.counts.into_inner().unwrap_or_default();
    let kept = log.kept.into_inner().unwrap_or_default();
    let witnesses = match which.chain()? {
        Some(chain) => {
            let charter = &chain.in_force().charter;
            which.read(witnesses::of(&log.source, &origin, &key, &report, charter).await)?
        }
        None => Vec::new(),
    };
    let problem = report.problem.as_ref().map(ToString::to_string);
    let problem = problem.or_else(|| kept.as_ref()?.wrong());
    let found = Found {
        witnesses,
        log: origin.to_string(),
        sound: problem.is_none(),
        size: report.size,
        root: report.root.to_string(),
        since: kept.filter(|_| problem.is_none()).map(|kept| kept.size()),
        problem,
        tile_hashes: report.tile_hashes,
        tile_hashes_missing: report.tile_hashes_missing,
        checkpoint: report.checkpoint.as_ref().map(|head| head.text.clone()),
        ..counts
    };
    if let (Some(path), Some(head), true) = (keep, &report.checkpoint, found.sound) {
        kept::keep(path, since.as_deref(), head)?;
    }
    output.answer(&found, || text(&found))?;
    Ok(Answer::of(found.sound))
}

impl Which {
    /// The log at its address.
    fn open(&self) -> Result<PublicLog, Failure> {
        PublicLog::new(way_out(&ANYWHERE, &self.root)?, &self.url)
    }

    /// What was read. That nothing could be is a matter of the network or of who was asked, and no evidence.
    fn read<T>(&self, read: Result<T, SourceError>) -> Result<T, Failure> {
        read.map_err(|error| environment(format!("{} could not be read: {error}", self.url)))
    }

    /// The name and key that the log must have.
    async fn expected(&self, source: &PublicLog) -> Result<(Origin, PeerKey), Failure> {
        if let Some(key) = self.key {
            // With a key alone, the log may have any name: the key vouches for it.
            let checkpoint = self.read(source.checkpoint().await)?;
            let text = checkpoint.map(|checkpoint| checkpoint.to_string()).unwrap_or_default();
            let name = text.lines().next().unwrap_or_default();
            let named = format!("{} has no checkpoint that names a log", self.url);
            return Ok((Origin::new(name).or_environment(named)?, key));
        }
        self.by_charter(source.member())
    }

    /// The charters, if they are given; their approvals are checked.
    fn chain(&self) -> Result<Option<CharterChain>, Failure> {
        let Some(path) = &self.charter else { return Ok(None) };
        let chain = read_chain(path)?;
        watchfire_node::charter::check_chain(&chain)?;
        Ok(Some(chain))
    }

    /// The name and key that the charters give a log: that which a member writes, or that of an epoch.
    fn by_charter(&self, name: &str) -> Result<(Origin, PeerKey), Failure> {
        let chain = self.chain()?;
        let chain = chain.ok_or_else(|| environment("--key or --charter is needed"))?;
        let missing = || environment(format!("the charter knows no log {name}"));
        let charter = &chain.in_force().charter;
        let LogPath { member, epoch } = name.parse().map_err(|_| missing())?;
        let log = match epoch {
            Some(epoch) => LogName::new(charter.coalition.clone(), member, epoch),
            None => charter.log_of(&member).ok_or_else(missing)?,
        };
        let author = chain.author_of(&log).ok_or_else(missing)?;
        let key = PeerKey::from_bytes(&author.key).or_environment("the key in the charter")?;
        Ok((Origin::new(log.to_string()).or_environment("the name of the log")?, key))
    }
}

/// Counts what leaves say in clear while they pass; what is counted was not verified yet, and is
/// shown together with whether the log is sound.
struct Counting {
    source: PublicLog,
    counts: Mutex<Found>,
    kept: Mutex<Option<Kept>>,
}

impl Found {
    fn count(&mut self, leaf: &[u8]) {
        let Ok(leaf) = Leaf::decode(leaf) else {
            self.unreadable += 1;
            return;
        };
        let header = leaf.header;
        *self.verbs.entry(header.verb.to_string()).or_default() += 1;
        if let Some(reason) = header.reason {
            *self.reasons.entry(reason.to_string()).or_default() += 1;
            if header.verb == Verb::Retract {
                *self.retractions.entry(reason.to_string()).or_default() += 1;
            }
        }
        self.government_requests += u64::from(header.provenance == Provenance::GovernmentRequest);
    }
}

#[async_trait]
impl Source for Counting {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        self.source.checkpoint().await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        let entries = self.source.entries(from, to).await?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().for_each(|entry| counts.count(&entry.leaf));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut() {
            kept.pass(from, &entries);
        }
        Ok(entries)
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        self.source.hashes(level, from, to).await
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        self.source.follow(from).await
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        self.source.records(indices).await
    }
}

fn text(found: &Found) -> String {
    let leaves = |size| count(size, "leaf/leaves");
    let mut lines = vec![match &found.problem {
        None => format!("{}: {}, complete and as signed", found.log, leaves(found.size)),
        Some(problem) => {
            format!("{}: NOT SOUND after {}: {problem}", found.log, leaves(found.size))
        }
    }];
    lines.push(format!("root {}", found.root));
    lines.extend(found.since.map(|size| format!("goes on from the {} that it had", leaves(size))));
    if found.tile_hashes_missing > 0 {
        let missing = found.tile_hashes_missing;
        lines.push(format!("{missing} hashes of tiles are not shown here: checked by the leaves"));
    }
    for (verb, count) in &found.verbs {
        lines.push(format!("  {verb} {count}"));
    }
    for (reason, count) in &found.reasons {
        lines.push(format!("  because of {reason} {count}"));
    }
    lines.push(format!("government requests {}", found.government_requests));
    for witness in &found.witnesses {
        lines.push(format!("cosigned up to {} by {}", witness.size, witness.witness));
    }
    if found.unreadable > 0 {
        lines.push(format!("leaves of a format unknown here {}", found.unreadable));
    }
    lines.join("\n")
}
