//! Proves cases to strangers.

use watchfire_signal::{
    commitment::Commitment,
    name::{ItemId, LogName},
    tlp::Audience,
};

use super::Node;
use crate::{
    desk::{Desk, desk_origin},
    proof::{Known, ProofError, Prover, bundle::Bundle},
};

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
        self.prove_item(name, audience, None).await
    }

    /// The same, of what was decided about one item if one is named.
    ///
    /// # Errors
    /// [`ProofError`]
    pub async fn prove_item(
        &self,
        name: &Commitment,
        audience: Option<Audience>,
        item: Option<&ItemId>,
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
            desks: self.desks(),
        };
        prover.prove(&known, audience, item).await
    }

    /// What this member decided, in each epoch of its log, ascending; the last one is written now.
    #[must_use]
    pub fn desks(&self) -> Vec<(LogName, Desk)> {
        let former =
            self.copies.iter().filter(|(log, _)| log.member == self.me && **log != self.log);
        let mut desks = former
            .filter_map(|(log, copy)| {
                let (desk, _) = Desk::new(desk_origin(log).ok()?, *copy.key(), self.store.clone());
                Some((log.clone(), desk))
            })
            .collect::<Vec<_>>();
        desks.sort_by_key(|(log, _)| log.epoch);
        desks.push((self.log.clone(), self.desk.clone()));
        desks
    }
}
