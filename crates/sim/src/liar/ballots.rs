//! Two charters of one number, for a mutant: the liar approves both, each of the others one.

use watchfire_node::charter::approve;
use watchfire_signal::{
    charter::{Approval, Charter, SignedCharter},
    name::MemberName,
};

use super::Liar;
use crate::{
    Broken,
    cast::{Cast, key},
};

impl Liar {
    /// Has members at even places approve one charter and those at odd places another one, and approves both. They are
    /// in force where these are enough.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn approve_two(&self, cast: &Cast) -> Result<(), Broken> {
        let ballot = |side: usize| {
            let mut charter = Charter {
                seq: self.charter.seq + 1,
                previous: self.charter.hash(),
                ..(*self.charter).clone()
            };
            charter.quorums.dispute = if side == 0 { 1 } else { 2 };
            let hash = charter.hash();
            let honest = cast.honest.iter().enumerate();
            let by = honest.filter(|(place, _)| place % 2 == side).map(|(_, name)| name);
            let approval = |member: &MemberName| {
                let signature = approve(&hash, &key(member, 1));
                Approval { member: member.clone(), signature }
            };
            let approvals = by.chain([&self.name]).map(approval).collect();
            SignedCharter::new(charter, approvals).map_err(|error| Broken(error.to_string()))
        };
        // It does so once.
        let _first = self.ballots.set([ballot(0)?, ballot(1)?]);
        Ok(())
    }

    /// The charter that it shows to a member.
    pub(super) fn ballot(&self, asker: &MemberName) -> Option<SignedCharter> {
        let place = self.places.get(asker)?;
        self.ballots.get()?.get(place % 2).cloned()
    }
}
