//! Proves cases to strangers.

use watchfire_signal::{commitment::Commitment, tlp::Audience};

use super::Node;
use crate::proof::{Known, ProofError, Prover, bundle::Bundle};

impl Node {
    /// The proof of a case, by the name of any of its alerts: what was said about it, and what this
    /// member decided. Reads all logs once, so that callers see to it that few ask at a time.
    /// Of other members' records about it those are in it that their marks allow the audience; without an
    /// audience there are none about it at all.
    ///
    /// # Errors
    /// [`ProofError`]
    pub async fn prove(
        &self,
        name: &Commitment,
        audience: Option<Audience>,
    ) -> Result<Bundle, ProofError> {
        let case = self.known.set(name).ok_or(ProofError::Unknown(*name))?.subject;
        let sets = self.known.sets_of(&[case]);
        let known = Known {
            case,
            since_ms: sets.iter().map(|set| set.verified_ms).min().unwrap_or(0),
            sets: sets.iter().map(|set| (set.place.clone(), set.mark())).collect(),
        };
        let prover = Prover {
            me: self.me.clone(),
            charter: self.charter.clone(),
            chain: self.changes.chain(),
            store: self.store.clone(),
            desk: self.desk.clone(),
        };
        prover.prove(&known, audience).await
    }
}
