//! Makes the proofs that an entry needs to be believed ahead of its turn.

use crate::checkpoint::SignedCheckpoint;
use crate::proof::{self, ProofError};
use crate::source::{Source, SourceError, Urgent};

impl Urgent {
    /// One entry of a log, for somebody who holds `held` leaves of it; `checkpoint`, of `size` leaves, is
    /// the source's.
    ///
    /// # Errors
    /// [`ProofError`] where the source has no such entry or hashes.
    pub async fn of<S: Source + ?Sized>(
        source: &S,
        (checkpoint, size): (&SignedCheckpoint, u64),
        held: u64,
        index: u64,
    ) -> Result<Self, ProofError> {
        let entry = source.entries(index, index + 1).await?.into_iter().next();
        let missing = || SourceError::Broken(format!("no entry {index}"));
        Ok(Self {
            checkpoint: checkpoint.clone(),
            consistency: proof::consistency(source, held, size).await?,
            index,
            entry: entry.ok_or_else(missing)?,
            inclusion: proof::inclusion(source, index, size).await?,
        })
    }
}
