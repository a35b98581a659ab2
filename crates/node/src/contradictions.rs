//! Keeps the proofs that members wrote other headers into their records than into the leaves that everyone reads.
//!
//! **Invariant:** whatever a member writes, no more than [`MAX_KEPT`] proofs against one log are kept.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use watchfire_signal::{contradiction::Contradiction, hex, name::LogName};
use watchfire_store::{Batch, Row, Store, StoreError, Table};
use watchfire_tlog::{Hash, Origin, ProofError, SignedCheckpoint, proof::inclusion};

/// Proofs, by log and index → all of it as JSON.
pub const CONTRADICTIONS: Table = Table::Ledger("contradictions");
/// Proofs that are kept against one log: the first convicts, the others show that it was no slip. Each holds two headers
/// and no body, at most 128 KiB, so that all against a log stay under 1.1 MiB as JSON.
pub const MAX_KEPT: usize = 4;

/// A contradiction, and that its leaf stands in the log that its author signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convicted {
    /// Where the leaf stands.
    pub index: u64,
    /// A head that covers it.
    pub head: SignedCheckpoint,
    /// From the leaf to the root of that head.
    pub inclusion: Vec<Hash>,
    /// The leaf, and what contradicts it.
    pub contradiction: Contradiction,
}

/// What a row says.
#[derive(Serialize, Deserialize)]
struct Kept {
    head: String,
    inclusion: Vec<String>,
    leaf: String,
    header: String,
    content: String,
}

/// Why a proof was not kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store does not have the log up to there.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// Keeps the proof that an entry of a log, held and covered by its head, contradicts itself; durable when this returns.
/// False where it was kept already, or enough are.
///
/// # Errors
/// [`KeepError`]; the place is a hole, so that the record is asked for and found again.
pub async fn keep(
    store: &dyn Store,
    log: &LogName,
    (index, found): (u64, &Contradiction),
) -> Result<bool, KeepError> {
    let key = key(log, index);
    let rows = rows(store, log).await?;
    if rows.len() >= MAX_KEPT || rows.iter().any(|(there, _)| *there == key) {
        return Ok(false);
    }
    let lost = |why: &str| StoreError::Corrupt(format!("log {log}: {why}"));
    let origin = Origin::new(log.to_string()).map_err(|error| lost(&error.to_string()))?;
    let source = store.read(&origin);
    let head = source.checkpoint().await.map_err(ProofError::from)?;
    let head = head.ok_or(ProofError::Range)?;
    // The stored head was verified when it was stored.
    let size = head.text.lines().nth(1).and_then(|size| size.parse().ok());
    let size = size.ok_or_else(|| lost("its head names no size"))?;
    let path = inclusion(&*source, index, size).await?;
    let kept = Kept {
        head: head.text,
        inclusion: path.iter().map(ToString::to_string).collect(),
        leaf: hex::encode(&found.leaf),
        header: hex::encode(&found.header),
        content: hex::encode(&found.content),
    };
    let value = serde_json::to_vec(&kept).map_err(|error| lost(&error.to_string()))?;
    let rows = vec![Row { table: CONTRADICTIONS, key, value: Some(value) }];
    store.commit(Batch { rows, ..Batch::default() }).await.map_err(StoreError::from)?;
    metrics::counter!("watchfire_contradictions_total", "member" => log.member.to_string())
        .increment(1);
    tracing::error!(%log, index, "a record has another header than the leaf that commits to it");
    Ok(true)
}

/// All proofs against a log.
///
/// # Errors
/// The store's; [`StoreError::Corrupt`] for a row that is no proof.
pub async fn against(store: &dyn Store, log: &LogName) -> Result<Vec<Convicted>, StoreError> {
    let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let index = key.last_chunk().map(|index| u64::from_be_bytes(*index))?;
        serde_json::from_slice::<Kept>(value).ok()?.convicted(index)
    };
    let corrupt = || StoreError::Corrupt("a row of contradictions cannot be read".to_owned());
    rows(store, log).await?.iter().map(|row| read(row).ok_or_else(corrupt)).collect()
}

async fn rows(store: &dyn Store, log: &LogName) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let first = format!("{log}\n").into_bytes();
    let mut rows = store.rows(CONTRADICTIONS, &first, MAX_KEPT).await?;
    rows.retain(|(key, _)| key.starts_with(&first));
    Ok(rows)
}

fn key(log: &LogName, index: u64) -> Vec<u8> {
    [format!("{log}\n").as_bytes(), &index.to_be_bytes()].concat()
}

impl Kept {
    fn convicted(self, index: u64) -> Option<Convicted> {
        let inclusion = self.inclusion.iter().map(|hash| hash.parse()).collect::<Result<_, _>>();
        let bytes = |text: &str| hex::decode_all(text).ok();
        Some(Convicted {
            index,
            head: SignedCheckpoint::new(self.head),
            inclusion: inclusion.ok()?,
            contradiction: Contradiction {
                leaf: bytes(&self.leaf)?,
                header: bytes(&self.header)?,
                content: hex::decode(&self.content).ok()?,
            },
        })
    }
}
