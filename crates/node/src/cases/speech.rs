//! What is said of sets and of opinions about them.
//!
//! **Invariant:** what a record turns out to speak of is known by its leaf alone.

use std::sync::Arc;

use watchfire_signal::{
    commitment::Commitment, header::Target, record::Leaf, statement::Statement, verb::Verb,
};
use watchfire_store::Held;

use super::{
    Cases, Ignored, Place, SignalSet,
    meanings::Meaning,
    quotas::Quota,
    sayings::Said,
    words::{may_speak_of_cases, stance_of},
};
use crate::standing::{Renewal, Stance};

impl Cases {
    pub(super) fn speak_of(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
        meaning: Meaning,
        verified_ms: u64,
    ) -> Result<Option<Commitment>, Ignored> {
        let (name, is_set) = match meaning {
            Meaning::Set(name) => (name, true),
            Meaning::OpinionOn(name) => (name, false),
            Meaning::Vote(_)
            | Meaning::Incident(_)
            | Meaning::ResolutionOn(_)
            | Meaning::OfIncident
            | Meaning::Plain => return Err(Ignored::Senseless),
        };
        let set = self.look(&name).ok_or(Ignored::Senseless)?;
        if leaf.header.test != set.header.test {
            // A drill says nothing about the real thing, nor the other way round.
            return Err(Ignored::Senseless);
        }
        if let (Some(Statement::Confirm { commitment, .. }), Some(target), false) =
            (&statement, &leaf.header.target, is_set)
        {
            let retraction = Place { log: target.log.clone(), index: target.index };
            let set = self.change(&name).ok_or(Ignored::Senseless)?;
            let fits = set.cosign(&retraction, commitment, &place.log.member);
            return if fits { Ok(Some(name)) } else { Err(Ignored::Senseless) };
        }
        match (leaf.header.verb, statement) {
            (Verb::Amend | Verb::Variant, statement) if is_set => {
                if leaf.header.verb == Verb::Amend && place.log.member != *set.author() {
                    return Err(Ignored::NotAllowed);
                }
                let alert = match statement {
                    Some(Statement::Amend(alert) | Statement::Variant(alert)) => Some(alert),
                    _ => None,
                };
                let subject = set.subject;
                Ok(Some(self.insert_set(place, leaf, subject, alert, verified_ms)))
            }
            (Verb::Sighting | Verb::Outcome | Verb::Appeal, Some(statement)) if is_set => {
                self.change(&name).into_iter().for_each(|set| set.count(place, &statement));
                Ok(Some(name))
            }
            (Verb::Renew, Some(Statement::Renew { valid_until })) if is_set => {
                let renewal = Renewal { turn: place.turn(), verified_ms, valid_until };
                self.change(&name).into_iter().for_each(|set| set.renew(place, renewal.clone()));
                Ok(Some(name))
            }
            // Whoever brought a set stands by it as the review in its header says, and cannot make
            // more of that, or a new term, by confirming itself.
            (Verb::Confirm, _) if place.log.member == *set.author() => Err(Ignored::NotAllowed),
            (_, statement) => self.opine((place, verified_ms), leaf, statement, (&set, is_set)),
        }
    }

    /// Takes in an opinion about a set, by whatever speaks of the set or of an opinion about it.
    fn opine(
        &mut self,
        (place, verified_ms): (&Place, u64),
        leaf: &Leaf,
        statement: Option<Statement>,
        (set, is_set): (&Arc<SignalSet>, bool),
    ) -> Result<Option<Commitment>, Ignored> {
        let (name, verb) = (set.name, leaf.header.verb);
        // By the leaf alone: who never had its record, or has it no more, knows what speaks of it all the same,
        // and that it was there, should it be erased.
        let opines = is_set && matches!(verb, Verb::Confirm | Verb::Dispute);
        if opines {
            self.meanings.note(place, Meaning::OpinionOn(name), &self.sets);
        }
        let read = stance_of(place, leaf, statement, is_set.then_some(name));
        let Some(stance) = read.ok().flatten().or(opines.then_some(Stance::Nothing)) else {
            return read.map(|_| None);
        };
        let hour = self.quotas.hour(place, &leaf.header);
        let confirms = verb == Verb::Confirm;
        let by_victim = is_set && set.is_taken_back_by(place, leaf);
        let said = Said { stance, confirms, by_victim, verified_ms, hour, name: leaf.commitment };
        if !set.has_room(place, &said) {
            return Err(Ignored::Flood);
        }
        self.change(&name).into_iter().for_each(|set| set.hold(place, said));
        self.meanings.note(place, Meaning::OpinionOn(name), &self.sets);
        Ok(read?.map(|_| name))
    }

    /// Takes in that a member speaks of a case in a version that is not known here.
    pub(super) fn mark_unreadable(
        &mut self,
        (target, size): (&Target, Option<u32>),
        place: &Place,
        held: Held,
    ) -> Result<Vec<Commitment>, Ignored> {
        let role = self.authors.writer(&place.log).ok_or(Ignored::Foreign)?;
        if !may_speak_of_cases(role) {
            return Err(Ignored::NotAllowed);
        }
        if !self.authors.is_within(place) || self.authors.waits(place) {
            return Err(Ignored::Foreign);
        }
        if self.quotas.judge_unknown(place, size, &self.charter.quotas) == Quota::Over {
            return Err(Ignored::Quota);
        }
        let target = Place { log: target.log.clone(), index: target.index };
        match self.meanings.of(&target, &self.sets) {
            Some(Meaning::Set(name) | Meaning::OpinionOn(name)) => {
                if let Some(set) = self.change(&name) {
                    set.speak_unknown(&place.log.member);
                }
                Ok(vec![name])
            }
            Some(
                Meaning::Vote(_)
                | Meaning::Incident(_)
                | Meaning::ResolutionOn(_)
                | Meaning::OfIncident
                | Meaning::Plain,
            ) => Ok(Vec::new()),
            None => self.wait(target, place, held).map(|()| Vec::new()),
        }
    }
}
