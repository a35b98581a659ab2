//! What witnesses of the charter have cosigned of a log that was audited.

use serde::Serialize;
use watchfire_api::wire::Cosigned;
use watchfire_node::witness::witnesses;
use watchfire_signal::charter::Charter;
use watchfire_tlog::{
    AuditReport, Checkpoint, Origin, PeerKey, ProofError, SignedCheckpoint, SourceError,
    cosign::cosigned_at,
    proof::{consistency, root, verify_consistency},
};

use super::public::PublicLog;

/// The longest answer: a checkpoint for each of a thousand witnesses.
const MAX_COSIGNED_BYTES: usize = 1 << 20;

/// A witness that has cosigned the beginning of the log.
#[derive(Debug, Serialize)]
pub(super) struct Witnessed {
    /// Under which name.
    pub(super) witness: String,
    /// How many leaves.
    pub(super) size: u64,
    /// When, by its clock, in seconds since 1970.
    pub(super) time_s: u64,
}

/// The witnesses of the charter whose cosignature is on a checkpoint of the log's author that the
/// audited log begins with. What a node shows beside that counts for nothing.
pub(super) async fn of(
    log: &PublicLog,
    origin: &Origin,
    key: &PeerKey,
    audited: &AuditReport,
    charter: &Charter,
) -> Result<Vec<Witnessed>, SourceError> {
    let names = witnesses(charter);
    if names.is_empty() || !audited.is_sound() {
        return Ok(Vec::new());
    }
    let Some(answer) = log.file("cosigned", MAX_COSIGNED_BYTES).await? else {
        return Ok(Vec::new());
    };
    let shown: Cosigned =
        serde_json::from_slice(&answer).map_err(|error| SourceError::Broken(error.to_string()))?;
    let mut found = Vec::<Witnessed>::new();
    for head in shown.heads.into_iter().map(SignedCheckpoint::new) {
        let Ok(checkpoint) = head.verify(origin, key) else { continue };
        if checkpoint.size > audited.size || !begins(log, audited, &checkpoint).await {
            continue;
        }
        for (name, witness) in names.iter().filter(|(name, _)| *name != origin.as_str()) {
            let Some(time_s) = cosigned_at(&head, name, witness) else { continue };
            found.retain(|one| one.witness != *name || one.size > checkpoint.size);
            if !found.iter().any(|one| one.witness == *name) {
                found.push(Witnessed { witness: name.clone(), size: checkpoint.size, time_s });
            }
        }
    }
    Ok(found)
}

/// Whether the audited log begins with what a checkpoint covers. The tiles that say so need not be
/// trusted: they must lead to the audited root.
async fn begins(log: &PublicLog, audited: &AuditReport, head: &Checkpoint) -> bool {
    let proven = async {
        let older = root(log, head.size).await?;
        let path = consistency(log, head.size, audited.size).await?;
        verify_consistency(head.size, &older, audited.size, &audited.root, &path)?;
        Ok::<_, ProofError>(older == head.root)
    };
    proven.await.unwrap_or(false)
}
