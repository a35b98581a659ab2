//! Walks a whole log and says whether it is what its author signed, and where it first is not.

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::entry::{Entry, MAX_LEAF_BYTES};
use crate::frontier::Frontier;
use crate::hash::{Hash, TileHash};
use crate::key::PeerKey;
use crate::origin::Origin;
use crate::source::{Source, SourceError};

/// How many entries are asked for at once: four bundles, so that progress shows and memory stays
/// small.
pub const AUDIT_BATCH: u64 = 1024;

/// What an audit found. The log is sound when [`AuditReport::is_sound`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// The checkpoint that was checked; `None` when there was none.
    pub checkpoint: Option<SignedCheckpoint>,
    /// The leaves that were walked.
    pub size: u64,
    /// The root over them, computed here.
    pub root: Hash,
    /// The entries whose record was there. What records say is not checked here.
    pub records: u64,
    /// The tile hashes, of all levels, that were offered and right.
    pub tile_hashes: u64,
    /// The tile hashes that the source did not have. Tiles are a convenience, so this is no fault
    /// by itself.
    pub tile_hashes_missing: u64,
    /// The first thing that is wrong; what comes after it was not looked at.
    pub problem: Option<AuditProblem>,
}

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditProblem {
    /// Its checkpoint is not one of this log by this key.
    #[error("the checkpoint is not valid: {0}")]
    Checkpoint(CheckpointError),
    /// It has entries and no checkpoint.
    #[error("there are entries and no checkpoint covers them")]
    NoCheckpoint,
    /// An entry that the checkpoint covers is missing.
    #[error("entry {index} is missing")]
    Missing {
        /// The leaf's index.
        index: u64,
    },
    /// The source answered with more entries than asked.
    #[error("more than the entries from {from} came")]
    Excess {
        /// The first entry asked for.
        from: u64,
    },
    /// A leaf is longer than [`MAX_LEAF_BYTES`].
    #[error("leaf {index} is too long")]
    Leaf {
        /// The leaf's index.
        index: u64,
    },
    /// A tile hash is not what the leaves say.
    #[error("tile hash {index} of level {level} is wrong")]
    Tile {
        /// The level of the tile.
        level: u8,
        /// The position within the level.
        index: u64,
    },
    /// The leaves do not lead to the signed root, and no tile said at which leaf they went wrong.
    #[error("the root over the entries is not the signed one")]
    Root,
    /// The source could not be read.
    #[error("the log could not be read: {0}")]
    Source(#[from] SourceError),
}

impl AuditReport {
    /// Whether every leaf that the checkpoint covers was there and leads to the signed root.
    pub fn is_sound(&self) -> bool {
        self.problem.is_none()
    }
}

/// Walks the log of `source` from its first entry to its newest checkpoint. `progress` is told,
/// after every batch, how many leaves are done and how many there are.
pub async fn audit<S: Source + ?Sized>(
    source: &S,
    origin: &Origin,
    key: &PeerKey,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> AuditReport {
    let mut audit = Audit { source, frontier: Frontier::new(), report: AuditReport::new() };
    let result = audit.run(origin, key, progress).await;
    let mut report = audit.report;
    report.size = audit.frontier.size();
    report.root = audit.frontier.root();
    report.problem = result.err();
    report
}

impl AuditReport {
    fn new() -> Self {
        AuditReport {
            checkpoint: None,
            size: 0,
            root: Frontier::new().root(),
            records: 0,
            tile_hashes: 0,
            tile_hashes_missing: 0,
            problem: None,
        }
    }
}

struct Audit<'a, S: ?Sized> {
    source: &'a S,
    frontier: Frontier,
    report: AuditReport,
}

impl<S: Source + ?Sized> Audit<'_, S> {
    async fn run(
        &mut self,
        origin: &Origin,
        key: &PeerKey,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<(), AuditProblem> {
        let Some(signed) = self.source.checkpoint().await? else {
            let none = self.source.entries(0, 1).await?.is_empty();
            return if none { Ok(()) } else { Err(AuditProblem::NoCheckpoint) };
        };
        self.report.checkpoint = Some(signed.clone());
        let checkpoint = signed.verify(origin, key).map_err(AuditProblem::Checkpoint)?;
        while self.frontier.size() < checkpoint.size {
            let from = self.frontier.size();
            let to = checkpoint.size.min(from + AUDIT_BATCH);
            let entries = self.source.entries(from, to).await?;
            if entries.len() as u64 > to - from {
                return Err(AuditProblem::Excess { from });
            }
            if entries.is_empty() {
                return Err(AuditProblem::Missing { index: from });
            }
            self.take(&entries).await?;
            progress(self.frontier.size(), checkpoint.size);
        }
        if self.frontier.root() == checkpoint.root { Ok(()) } else { Err(AuditProblem::Root) }
    }

    /// Adds entries to the tree and compares every tile hash that they complete.
    async fn take(&mut self, entries: &[Entry]) -> Result<(), AuditProblem> {
        let mut hashes = Vec::with_capacity(entries.len());
        let mut completed = Vec::new();
        for entry in entries {
            let index = self.frontier.size();
            if entry.leaf.len() > MAX_LEAF_BYTES {
                return Err(AuditProblem::Leaf { index });
            }
            self.report.records += u64::from(entry.record.is_some());
            let hash = entry.leaf_hash();
            self.frontier.append_tiles(hash, &mut completed);
            hashes.push(TileHash { level: 0, index, hash });
        }
        // Leaf hashes first: where a leaf and its tile disagree, the report names the leaf.
        hashes.extend(completed);
        hashes.sort_unstable();
        for run in hashes.chunk_by(|one, next| one.level == next.level) {
            self.compare(run).await?;
        }
        Ok(())
    }

    /// Compares what the source says of a run of consecutive tile hashes of one level.
    async fn compare(&mut self, run: &[TileHash]) -> Result<(), AuditProblem> {
        let mut rest = run;
        while let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            let told = match self.source.hashes(first.level, first.index, last.index + 1).await {
                Err(SourceError::Refused(_)) => Vec::new(),
                other => other?,
            };
            if told.is_empty() {
                self.report.tile_hashes_missing += rest.len() as u64;
                return Ok(());
            }
            let wrong = rest.iter().zip(&told).find(|(own, told)| own.hash != **told);
            if let Some((own, _)) = wrong {
                return Err(AuditProblem::Tile { level: own.level, index: own.index });
            }
            let count = told.len().min(rest.len());
            self.report.tile_hashes += count as u64;
            rest = &rest[count..];
        }
        Ok(())
    }
}
