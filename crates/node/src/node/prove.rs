//! Proves cases to strangers.

use watchfire_signal::commitment::Commitment;

use super::Node;
use crate::proof::{Known, ProofError, Prover, bundle::Bundle};

impl Node {
    /// The proof of a case, by the name of any of its alerts: what was said about it, and what this
    /// member decided. Reads all logs once, so that callers see to it that few ask at a time.
    /// `redact` leaves out the records about it.
    ///
    /// # Errors
    /// [`ProofError`]
    pub async fn prove(&self, name: &Commitment, redact: bool) -> Result<Bundle, ProofError> {
        let case = self.known.set(name).ok_or(ProofError::Unknown(*name))?.subject;
        let sets = self.known.sets_of(&[case]);
        let known = Known {
            case,
            since_ms: sets.iter().map(|set| set.verified_ms).min().unwrap_or(0),
            sets: sets.iter().map(|set| set.place.clone()).collect(),
        };
        let prover = Prover {
            me: self.me.clone(),
            charter: self.charter.clone(),
            chain: self.changes.chain(),
            store: self.store.clone(),
            desk: self.desk.clone(),
        };
        prover.prove(&known, redact).await
    }
}
