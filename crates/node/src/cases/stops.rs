//! Votes for halts and suspensions, as they come.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_signal::{
    charter::Member,
    commitment::Commitment,
    name::MemberName,
    record::Leaf,
    statement::{MemberStep, Statement},
};

use super::{Cases, Ignored, Meaning, Place};
use crate::{
    halts::{MemberStops, Stopped, Vote},
    place::Turn,
};

/// The end of what is accepted, for votes that name none.
pub(super) const NOWHERE: (Turn, [u8; 32]) = (Turn { epoch: 0, index: 0 }, [0; 32]);

impl Cases {
    /// Takes in that a member wants a case halted; its leaf alone says so.
    pub(super) fn halt_case(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        name: &Commitment,
    ) -> Result<Vec<Commitment>, Ignored> {
        let set = self.look(name).ok_or(Ignored::Senseless)?;
        if set.subject != *name || leaf.header.test != set.header.test {
            return Err(Ignored::Senseless);
        }
        Ok(self.vote(place, Stopped::Case(*name), true, NOWHERE))
    }

    /// Takes in that a member wants another halted or suspended.
    pub(super) fn stop_member(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
    ) -> Result<Vec<Commitment>, Ignored> {
        let (stopped, end) = match statement {
            Some(Statement::Halt { member: Some(member) }) => (Stopped::Halt(member), NOWHERE),
            Some(Statement::Member { step: MemberStep::Suspend, member, last: Some(last) }) => {
                // Of the log that the member wrote by the charter of who says so.
                let charter = self.charter_of(&leaf.header).and_then(|it| it.member(&member));
                let epoch = charter.ok_or(Ignored::Senseless)?.epoch;
                (Stopped::Suspension(member), (Turn { epoch, index: last.size }, last.root))
            }
            // A hole is folded again when its body is here; proposals are the charter's.
            _ => return Ok(Vec::new()),
        };
        if leaf.header.test {
            return Err(Ignored::Senseless);
        }
        Ok(self.vote(place, stopped, true, end))
    }

    /// Takes a vote in; answers the sets that stand differently then.
    pub(super) fn vote(
        &mut self,
        place: &Place,
        stopped: Stopped,
        stands: bool,
        (until, root): (Turn, [u8; 32]),
    ) -> Vec<Commitment> {
        let vote = Vote { turn: place.turn(), stands, until, root };
        let by = place.log.member.clone();
        let touched = match &stopped {
            Stopped::Case(subject) => {
                self.halts.vote(&stopped, by, vote);
                self.sets.names_of_case(subject)
            }
            Stopped::Halt(member) | Stopped::Suspension(member) => {
                self.stops_changed = true;
                let before = self.halts.voice(member, &self.charter);
                self.halts.vote(&stopped, by, vote);
                let changed = before != self.halts.voice(member, &self.charter);
                if changed {
                    self.incidents.recount();
                    let mut touched = self.sets_that_hear(member);
                    touched.extend(self.recount_erasures(member));
                    touched
                } else {
                    Vec::new()
                }
            }
        };
        self.meanings.note(place, Meaning::Vote(stopped), &self.sets);
        touched
    }

    /// The sets that depend on what a member has said.
    fn sets_that_hear(&self, member: &MemberName) -> Vec<Commitment> {
        let mut walk = self.sets.walk();
        let mut heard = BTreeSet::new();
        while let Some(names) = walk.next(&self.sets) {
            let hears = |name: &Commitment| self.look(name).is_some_and(|set| set.hears(member));
            heard.extend(names.into_iter().filter(hears));
        }
        heard.into_iter().collect()
    }

    /// Who has voted for a stop of each member, if that has changed since the last call.
    pub fn changed_stops(&mut self) -> Option<BTreeMap<MemberName, MemberStops>> {
        let stops = |member: &Member| self.halts.of_member(&member.name, &self.charter);
        let members = self.charter.members.iter();
        std::mem::take(&mut self.stops_changed)
            .then(|| members.map(|member| (member.name.clone(), stops(member))).collect())
    }
}
