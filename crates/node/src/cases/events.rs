//! Incidents, as what is said of them comes.

use std::sync::Arc;

use watchfire_signal::{
    commitment::Commitment,
    header::Header,
    incident::{Incident as Body, IncidentStep},
    record::Leaf,
    statement::Statement,
};

use super::{Cases, Ignored, Meaning, Place};
use crate::{
    halts::Voice,
    incidents::{Course, Court, Incident, Incidents, Moment},
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
    ) -> Result<Vec<Commitment>, Ignored> {
        let name = leaf.commitment;
        self.meanings.note(place, Meaning::Incident(name), &self.sets);
        let minute = leaf.header.minute.ok_or(Ignored::Senseless)?;
        let declared = match statement {
            Some(Statement::Incident(body)) if body.step == IncidentStep::Declare => Some(body),
            _ => None,
        };
        let new = Incident {
            name,
            place: place.clone(),
            test: leaf.header.test,
            declared_at: Moment { minute, verified_ms },
            declared,
            erased: false,
            cosigned: Default::default(),
            updates: Default::default(),
            concluded: Default::default(),
            said: Default::default(),
            course: Course::default(),
            tied: Default::default(),
        };
        self.incidents.declare(new);
        Ok(Vec::new())
    }

    /// Takes in what a member says of an incident.
    pub(super) fn speak_of_incident(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
        (name, verified_ms): (Commitment, u64),
    ) -> Result<Vec<Commitment>, Ignored> {
        self.meanings.note(place, Meaning::OfIncident, &self.sets);
        let body: Option<Body> = match statement {
            Some(Statement::Incident(body)) => Some(body),
            _ => None,
        };
        let minute = leaf.header.minute.ok_or(Ignored::Senseless)?;
        let at = Moment { minute, verified_ms };
        let heard = self.incidents.speak((&name, leaf.header.test), (place, at), body);
        heard.then(Vec::new).ok_or(Ignored::Senseless)
    }

    /// Takes in that an alert of a case names an incident.
    pub(super) fn name_incident(
        &mut self,
        incident: &Commitment,
        place: &Place,
        (header, subject): (&Header, Commitment),
    ) {
        if let Some(minute) = header.minute {
            self.incidents.name(incident, (place, minute), (subject, header.test));
        }
    }

    /// Takes in that an alert, or what was said of it, is erased: it names no incident any more.
    pub(super) fn unname_incident(&mut self, erased: &Place, name: &Commitment) {
        let Some(set) = self.look(name).filter(|set| set.place == *erased) else { return };
        let named = set.alert.as_ref().and_then(|alert| alert.incident);
        if let (Some(incident), Some(minute)) = (named, set.header.minute) {
            self.incidents.unname(&incident, (erased, minute));
        }
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
        let news = |subject: &Commitment| {
            // What was added to a case is no case: who names it ties nothing, whatever came first.
            let sets = sets_of(subject).into_iter().filter_map(|name| look(&name));
            let its = sets.filter(|set| set.subject == *subject);
            let verified = its.map(|set| (set.header.minute, set.verified_ms));
            let dated = |(minute, verified_ms)| Some(Moment { minute: minute?, verified_ms });
            verified.filter_map(dated).map(Moment::at_ms).collect::<Vec<_>>()
        };
        let affected = self.incidents.add_up(subjects, &court, news);
        affected.iter().flat_map(sets_of).filter(|name| look(name).is_some()).collect()
    }
}
