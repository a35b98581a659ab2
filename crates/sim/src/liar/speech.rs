//! What the liar says.

use bytes::Bytes;
use watchfire_node::{
    publish::Draft,
    raise::{NewAlert, alert_draft},
    sequence::Draft as _,
};
use watchfire_signal::{
    charter::Role,
    commitment::Commitment,
    header::{Header, Provenance, RECORD_VERSION, Target},
    incident::{Incident, IncidentStep},
    label::Class,
    name::GroupName,
    reason::Reason,
    statement::{Basis, Statement},
    verb::Verb,
};
use watchfire_tlog::Entry;

use super::Liar;
use crate::{Broken, cast, fault::Fault};

/// Alerts in a flood.
const FLOOD: u64 = 120;
/// A year and more, in milliseconds.
const YEAR_MS: u64 = 400 * 86_400_000;

/// A case that it can speak of.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name.
    pub name: Commitment,
    /// Where it stands.
    pub target: Target,
    /// Its class of harm.
    pub class: Class,
    /// Its group.
    pub group: GroupName,
    /// A leaf as another member wrote it.
    pub leaf: Bytes,
}

impl Liar {
    /// Says something, of a case that is known if there is one.
    ///
    /// # Errors
    /// [`Broken`]: the simulation is.
    pub async fn speak(
        &self,
        now_ms: u64,
        pictures: u64,
        known: Option<Known>,
        incident: Option<Target>,
    ) -> Result<(), Broken> {
        // It declares what nobody else saw, and agrees with whatever is declared.
        let of_incident = self.incidents && self.chance.one_in(4);
        let entries = match (self.chance.below(8), known) {
            (_, known) if of_incident => vec![self.incident(known, incident)?],
            (0, _) => {
                self.faults.fired(Fault::Flood);
                let flood = (0..FLOOD).map(|_| self.alert(self.chance.below(pictures), now_ms));
                flood.collect::<Result<Vec<_>, _>>()?
            }
            (1, _) => {
                self.faults.fired(Fault::DatedAhead);
                vec![self.alert(self.chance.below(pictures), now_ms + YEAR_MS)?]
            }
            (2, Some(known)) => {
                self.faults.fired(Fault::ForeignLeaf);
                vec![Entry::new(known.leaf, None), Entry::new(&b"no leaf at all"[..], None)]
            }
            (3, Some(known)) => {
                self.faults.fired(Fault::DatedAhead);
                let renew = Statement::Renew { valid_until: now_ms + YEAR_MS };
                vec![self.answer(Verb::Renew, &known, renew)?]
            }
            (4 | 5, Some(known)) => {
                let basis = Basis::OwnCopySeenByHuman;
                let confirm = Statement::Confirm { commitment: known.name, basis };
                vec![self.answer(Verb::Confirm, &known, confirm)?]
            }
            (6, Some(known)) => {
                // Somebody else's word is not its own to take back.
                let retract = Statement::Retract { restore: true, note: None };
                vec![self.answer(Verb::Retract, &known, retract)?]
            }
            _ => vec![self.alert(self.chance.below(pictures), now_ms)?],
        };
        if !matches!(self.role(), Some(Role::Platform | Role::Contributor)) {
            self.faults.fired(Fault::OutOfRole);
        }
        self.trace.note(self.name.as_str(), format_args!("says {} things", entries.len()));
        self.write(entries).await
    }

    fn role(&self) -> Option<Role> {
        self.charter.member(&self.name).map(|own| own.role)
    }

    /// Writes into its histories; once it forks, into each something else.
    async fn write(&self, entries: Vec<Entry>) -> Result<(), Broken> {
        let [even, odd] = &self.histories;
        self.append(even, entries.clone()).await?;
        if self.forked.load(std::sync::atomic::Ordering::Relaxed) {
            self.faults.fired(Fault::LogForked);
            let other = self.alert(self.chance.next(), crate::time::START_MS)?;
            return self.append(odd, vec![other; entries.len()]).await;
        }
        self.append(odd, entries).await
    }

    fn alert(&self, picture: u64, now_ms: u64) -> Result<Entry, Broken> {
        let human = self.chance.one_in(2);
        let new: NewAlert = cast::alert(picture, (human, false), now_ms + 90 * 86_400_000);
        self.seal(alert_draft(&self.charter, &self.log, new, None)?)
    }

    fn answer(&self, verb: Verb, known: &Known, statement: Statement) -> Result<Entry, Broken> {
        let header = Header {
            class: known.class,
            group: known.group.clone(),
            reason: (verb == Verb::Retract).then_some(Reason::WrongMatch),
            target: Some(known.target.clone()),
            ..self.header(verb)
        };
        self.seal(Draft { header, statement, asked: None, within_quota: false })
    }

    fn incident(&self, known: Option<Known>, incident: Option<Target>) -> Result<Entry, Broken> {
        let step = match (&incident, self.chance.below(6)) {
            (None, _) => IncidentStep::Declare,
            (_, 0) => IncidentStep::Conclude,
            (_, 1 | 2) => IncidentStep::Update,
            _ => IncidentStep::Cosign,
        };
        let body = Incident {
            step,
            level: 3,
            title: "an attack".to_owned(),
            criteria: "everything".to_owned(),
            regions: Vec::new(),
            cases: known.into_iter().map(|known| known.name).collect(),
            note: None,
        };
        let header = Header { target: incident, ..self.header(Verb::Incident) };
        let statement = Statement::Incident(body);
        self.seal(Draft { header, statement, asked: None, within_quota: false })
    }

    fn header(&self, verb: Verb) -> Header {
        Header {
            v: RECORD_VERSION,
            coalition: self.charter.coalition.clone(),
            author_log: self.log.clone(),
            charter: self.letterhead.charter,
            verb,
            class: Class::None,
            group: GroupName::all(),
            provenance: Provenance::None,
            reason: None,
            severity: None,
            target: None,
            lease_day: None,
            test: false,
            review: None,
            minute: None,
            size: 0,
        }
    }

    fn seal(&self, draft: Draft) -> Result<Entry, Broken> {
        let sealed = draft.seal(&self.letterhead, 0)?;
        Ok(Entry::new(sealed.leaf, Some(sealed.record)))
    }
}
