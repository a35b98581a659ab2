//! Keeps the proofs that logs have shown two histories, and reads them back.
//!
//! **Invariant:** a log once proven to have forked is frozen here for good, restarts included.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watchfire_signal::name::LogName;
use watchfire_store::{Batch, Row, Store, StoreError, Table};
use watchfire_tlog::{Evidence, EvidenceKind, Hash, SignedCheckpoint};

/// Evidence of forks: SHA-256 of the log and both signed checkpoints → all of it as JSON.
pub const EVIDENCE: Table = Table::Ledger("evidence");
/// Rows read at a time.
const PAGE: usize = 256;

/// What a row says.
#[derive(Serialize, Deserialize)]
struct Kept {
    log: LogName,
    ours: String,
    theirs: String,
    consistency: Option<Consistency>,
}

/// Why the larger log does not begin with the smaller one.
#[derive(Serialize, Deserialize)]
struct Consistency {
    root: String,
    proof: Vec<String>,
}

/// Keeps a proof; it is durable when this returns.
///
/// # Errors
/// The store's.
pub async fn keep(store: &dyn Store, log: &LogName, proof: &Evidence) -> Result<(), StoreError> {
    let (ours, theirs) = (proof.ours.text.clone(), proof.theirs.text.clone());
    let key = Sha256::digest(format!("{log}\n{ours}\n{theirs}")).to_vec();
    let consistency = match &proof.kind {
        EvidenceKind::SameSize => None,
        EvidenceKind::Prefix { root, proof } => Some(Consistency {
            root: root.to_string(),
            proof: proof.iter().map(ToString::to_string).collect(),
        }),
    };
    let value = serde_json::to_vec(&Kept { log: log.clone(), ours, theirs, consistency });
    let value = value.map_err(|error| StoreError::Failed(error.to_string()))?;
    let rows = vec![Row { table: EVIDENCE, key, value: Some(value) }];
    store.commit(Batch { rows, ..Batch::default() }).await.map_err(StoreError::from)
}

/// All proofs against a log.
///
/// # Errors
/// The store's; [`StoreError::Corrupt`] for a row that is no proof.
pub async fn against(store: &dyn Store, log: &LogName) -> Result<Vec<Evidence>, StoreError> {
    let (mut found, mut after) = (Vec::new(), Vec::new());
    loop {
        let rows = store.rows(EVIDENCE, &after, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(found) };
        after.clone_from(last);
        for (_, value) in &rows {
            let corrupt = || StoreError::Corrupt("a row of evidence cannot be read".to_owned());
            let kept: Kept = serde_json::from_slice(value).map_err(|_| corrupt())?;
            if kept.log == *log {
                found.push(kept.evidence().ok_or_else(corrupt)?);
            }
        }
    }
}

impl Kept {
    fn evidence(self) -> Option<Evidence> {
        let kind = match self.consistency {
            None => EvidenceKind::SameSize,
            Some(Consistency { root, proof }) => {
                let proof = proof.iter().map(|hash| hash.parse::<Hash>());
                let (root, proof) = (root.parse().ok()?, proof.collect::<Result<_, _>>().ok()?);
                EvidenceKind::Prefix { root, proof }
            }
        };
        let [ours, theirs] = [self.ours, self.theirs].map(SignedCheckpoint::new);
        Some(Evidence { ours, theirs, kind })
    }
}
