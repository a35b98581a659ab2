//! Declares incidents, agrees with them, changes and ends them.

use std::sync::Arc;

use watchfire_signal::{
    commitment::Commitment,
    header::{Header, Target},
    incident::{Incident as Body, IncidentStep},
    statement::Statement,
};

use super::{Node, say::DAY_MS};
use crate::{
    clock::MINUTES_A_DAY,
    incidents::{DECLARATIONS_A_DAY, Incident, IncidentState, REDECLARE_MS},
    publish::{Asked, Draft, Published},
    raise::{RaiseError, plain_header},
};

/// An incident to be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIncident {
    /// What is declared.
    pub body: Body,
    /// A drill.
    pub test: bool,
    /// Declares it although this organisation has to wait: nothing is raised before another one agrees.
    pub ask_approval: bool,
}

/// What is said of an incident that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfIncident {
    /// This member agrees.
    Cosign,
    /// Its words or cases change.
    Update(Body),
    /// It is over.
    Conclude {
        /// More words: the debrief, or why.
        note: Option<String>,
    },
}

impl Node {
    /// All incidents, in order of name.
    #[must_use]
    pub fn incidents(&self) -> Arc<Vec<Arc<Incident>>> {
        self.known.incidents()
    }

    /// Declares an incident.
    ///
    /// # Errors
    /// [`RaiseError::MustWait`] for all would refuse it, because this organisation's last one lapsed or waits, and it does
    /// not ask for an approval; [`RaiseError::Quota`] for nobody would hear another one today; else [`RaiseError`].
    pub async fn declare(
        &self,
        new: NewIncident,
        asked: Option<Asked>,
    ) -> Result<Published, RaiseError> {
        let NewIncident { body, test, ask_approval } = new;
        if let Some(before) = self.answered(asked.as_ref()).await? {
            return Ok(before);
        }
        if let Some(until_ms) = self.must_wait_until(test).filter(|_| !ask_approval) {
            return Err(RaiseError::MustWait { until_ms });
        }
        let (now, incidents) = (self.clock.now_ms(), self.known.incidents());
        let today = |one: &&Arc<Incident>| {
            let day = u64::from(one.declared_at.minute) / MINUTES_A_DAY;
            one.place.log == self.log && day == now / DAY_MS
        };
        if incidents.iter().filter(today).count() >= DECLARATIONS_A_DAY {
            let (name, value) = ("declarations_a_day", DECLARATIONS_A_DAY as u64);
            return Err(RaiseError::Quota { name, value, wait_ms: DAY_MS - now % DAY_MS });
        }
        self.say_of_incident(Body { step: IncidentStep::Declare, ..body }, None, (test, asked))
            .await
    }

    /// Agrees with an incident, changes or ends it.
    ///
    /// # Errors
    /// [`RaiseError::Lapsed`] for agreeing too late; else [`RaiseError`].
    pub async fn of_incident(
        &self,
        name: &Commitment,
        said: OfIncident,
        asked: Option<Asked>,
    ) -> Result<Published, RaiseError> {
        if let Some(before) = self.answered(asked.as_ref()).await? {
            return Ok(before);
        }
        let incidents = self.known.incidents();
        let incident = incidents.iter().find(|incident| incident.name == *name);
        let incident = incident.ok_or(RaiseError::Unknown(*name))?;
        let words = incident.words().cloned().ok_or(RaiseError::Unknown(*name))?;
        let lapsed = incident.state(self.clock.now_ms()) == IncidentState::Lapsed;
        if lapsed && said == OfIncident::Cosign {
            return Err(RaiseError::Lapsed(*name));
        }
        // The words of the incident, so that each record can be read by itself.
        let bare = Body { cases: Vec::new(), note: None, ..words };
        let body = match said {
            OfIncident::Cosign => Body { step: IncidentStep::Cosign, ..bare },
            OfIncident::Update(body) => Body { step: IncidentStep::Update, ..body },
            OfIncident::Conclude { note } => Body { step: IncidentStep::Conclude, note, ..bare },
        };
        let target = Target { log: incident.place.log.clone(), index: incident.place.index };
        self.say_of_incident(body, Some(target), (incident.test, asked)).await
    }

    async fn say_of_incident(
        &self,
        body: Body,
        target: Option<Target>,
        (test, asked): (bool, Option<Asked>),
    ) -> Result<Published, RaiseError> {
        let statement = Statement::Incident(body);
        let plain = plain_header(&self.charter, &self.log, statement.verb());
        let header = Header { target, test, ..plain };
        self.say(Draft { header, statement, asked, within_quota: false }).await
    }

    /// Until when all refuse what this member's organisation declares: one that it declared shortly before is not in
    /// force, whether it waits still, lapsed, or was taken back before that. Drills and the others go apart.
    fn must_wait_until(&self, test: bool) -> Option<u64> {
        let now = self.clock.now_ms();
        let owner = |member| self.charter.organisation_of(member);
        let incidents = self.known.incidents();
        let own = incidents.iter().filter(|one| owner(&one.place.log.member) == owner(&self.me));
        let failed = own.filter(|one| one.test == test && one.failed());
        let until = failed.map(|one| one.course.lapses_ms.saturating_add(REDECLARE_MS));
        until.filter(|at| *at > now).max()
    }
}
