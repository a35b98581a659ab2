//! Incidents, as what is said of them comes.

use std::sync::Arc;

use watchfire_signal::{
    commitment::Commitment,
    incident::{Incident as Body, IncidentStep},
    record::Leaf,
    statement::Statement,
};

use super::{Cases, Ignored, Meaning, Place};
use crate::{
    halts::Voice,
    incidents::{Course, Court, Incident, Incidents},
};

impl Cases {
    /// All incidents.
    #[must_use]
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// The incidents, if one has changed since the last call.
    pub fn changed_incidents(&mut self) -> Option<Vec<Arc<Incident>>> {
        self.incidents.take_changed().then(|| self.incidents.iter().cloned().collect())
    }

    /// Takes a declaration in.
    pub(super) fn declare(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
        verified_ms: u64,
    ) -> Vec<Commitment> {
        let declared = match statement {
            Some(Statement::Incident(body)) if body.step == IncidentStep::Declare => Some(body),
            _ => None,
        };
        let name = leaf.commitment;
        let new = Incident {
            name,
            place: place.clone(),
            test: leaf.header.test,
            declared_ms: verified_ms,
            declared,
            cosigned: Default::default(),
            updates: Default::default(),
            concluded: Default::default(),
            course: Course::default(),
            tied: Default::default(),
        };
        self.incidents.declare(new, leaf.header.minute);
        self.meanings.note(place, Meaning::Incident(name), &self.sets);
        Vec::new()
    }

    /// Takes in what a member says of an incident.
    pub(super) fn speak_of_incident(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
        (name, verified_ms): (Commitment, u64),
    ) -> Result<Vec<Commitment>, Ignored> {
        let body: Option<Body> = match statement {
            Some(Statement::Incident(body)) => Some(body),
            _ => None,
        };
        let body = body.ok_or(Ignored::Senseless)?;
        let (of, at) = ((&name, leaf.header.test), (place, leaf.header.minute));
        let heard = self.incidents.speak(of, at, body, verified_ms);
        heard.then(Vec::new).ok_or(Ignored::Senseless)
    }

    /// Adds incidents up after sets were touched; answers the sets that may stand differently.
    pub(super) fn add_up_incidents(&mut self, touched: &[Commitment]) -> Vec<Commitment> {
        if self.incidents.is_empty() {
            return Vec::new();
        }
        let (working, sets) = (&self.working, &self.sets);
        let look = |name: &Commitment| working.get(name).cloned().or_else(|| sets.get(name));
        let subjects = touched.iter().filter_map(look).map(|set| set.subject);
        let voice = |member| self.halts.voice(member, &self.charter);
        let silenced = self.charter.members.iter().map(|member| &member.name);
        let silenced = silenced.filter(|member| voice(member) != Voice::Counts).cloned().collect();
        let court = Court { charter: &self.charter, silenced };
        let sets_of = |subject: &Commitment| sets.names_of_case(subject);
        let latest = |subject: &Commitment| {
            // What was added to a case is no case: who names it ties nothing, whatever came first.
            let sets = sets_of(subject).into_iter().filter_map(|name| look(&name));
            let its = sets.filter(|set| set.subject == *subject);
            its.map(|set| set.verified_ms).max()
        };
        let affected = self.incidents.add_up(subjects, &court, latest);
        affected.iter().flat_map(sets_of).filter(|name| look(name).is_some()).collect()
    }
}
