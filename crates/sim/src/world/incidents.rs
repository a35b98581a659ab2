//! Incidents: people declare them, agree, say what belongs to them and that they are over.
//!
//! **Invariant:** what a member says of an incident it says by what its own node knows.

use std::sync::{Arc, PoisonError};

use watchfire_node::{
    NewIncident, Node, OfIncident,
    incidents::{Incident, IncidentState},
    raise::{NewAlert, RaiseError},
};
use watchfire_signal::{
    commitment::Commitment,
    header::Target,
    incident::{Incident as Body, IncidentStep},
};

use super::World;
use crate::{fault::Fault, member::Member};

/// Of so many incidents there is one that people do not agree with.
const DOUBTFUL: u8 = 3;
/// Cases known to people, the newest ones.
const KNOWN: usize = 20;

fn state(node: &Node, incident: &Incident) -> IncidentState {
    incident.state(node.clock().now_ms())
}

/// Whether it waits for others.
fn waits(node: &Node, incident: &Incident) -> bool {
    matches!(state(node, incident), IncidentState::Declared | IncidentState::Refused)
}

fn goes_on(node: &Node, incident: &Incident) -> bool {
    waits(node, incident) || state(node, incident) == IncidentState::InForce
}

impl World {
    /// People see what is declared: most of it others agree with, and some add to it.
    pub(super) fn answer_incidents(&self) {
        for member in &self.members {
            let Some(node) = member.ready() else { continue };
            for incident in node.incidents().iter() {
                let mine = incident.cosigned.contains_key(&member.name);
                let doubtful = incident.name.0[0] % DOUBTFUL == 0;
                let agrees = waits(&node, incident) && !mine;
                if agrees && self.chance.one_in(if doubtful { 60 } else { 5 }) {
                    self.tell(
                        member,
                        &node,
                        incident,
                        (OfIncident::Cosign, Fault::IncidentCosigned),
                    );
                }
                let adds = goes_on(&node, incident) && incident.stands_by(&member.name);
                if adds && self.chance.one_in(15) {
                    let body = self.more(&node, incident);
                    let update = (OfIncident::Update(body), Fault::IncidentUpdated);
                    self.tell(member, &node, incident, update);
                }
            }
        }
    }

    /// Somebody declares an incident, or has it over, alone or with others, or takes a word back by erasing it.
    pub(super) fn of_incidents(&self) {
        let Some(member) = self.chance.pick(&self.members) else { return };
        let Some(node) = member.ready() else { return };
        let all = node.incidents();
        let live: Vec<_> = all.iter().filter(|one| goes_on(&node, one)).collect();
        match (self.chance.below(12), self.chance.pick(&live).copied()) {
            (0..3, Some(incident)) => self.conclude(incident.name),
            (3, Some(incident)) => self.erase_word(member, &node, incident),
            _ => self.declare(member, node),
        }
    }

    fn declare(&self, member: &Member, node: Arc<Node>) {
        let test = self.chance.one_in(6);
        let level = if self.chance.one_in(2) { 3 } else { self.chance.within(1..4) };
        let body = Body {
            step: IncidentStep::Declare,
            level: u8::try_from(level).unwrap_or(3),
            title: "an attack".to_owned(),
            criteria: "what shows it".to_owned(),
            regions: Vec::new(),
            cases: self.cases(&node, test),
            note: None,
        };
        let ask_approval = self.chance.one_in(2);
        let what = format!("declares {level}, a drill: {test}, of {} cases", body.cases.len());
        self.trace.note(member.name.as_str(), what);
        let fault = if test { Fault::DrillDeclared } else { Fault::IncidentDeclared };
        let (new, faults) = (NewIncident { body, test, ask_approval }, self.faults.clone());
        self.say(member, async move {
            let said = node.declare(new, None).await?;
            faults.fired(fault);
            Ok((node, said))
        });
    }

    /// The subjects of some cases.
    fn cases(&self, node: &Node, test: bool) -> Vec<Commitment> {
        let mut known = node.alerts(None, KNOWN);
        known.retain(|set| set.header.test == test);
        let count = self.chance.below(4);
        let mut cases: Vec<_> =
            (0..count).filter_map(|_| self.chance.pick(&known)).map(|set| set.subject).collect();
        cases.sort();
        cases.dedup();
        cases
    }

    /// What a member wants to be in an incident: often what another one has added, for one alone ties nothing.
    fn more(&self, node: &Node, incident: &Incident) -> Body {
        let words = incident.words().or(incident.declared.as_ref());
        let body = words.cloned().unwrap_or_else(|| Body {
            step: IncidentStep::Update,
            level: 1,
            title: "an attack".to_owned(),
            criteria: "what shows it".to_owned(),
            regions: Vec::new(),
            cases: Vec::new(),
            note: None,
        });
        let added = incident.updates.values().flat_map(|body| body.cases.iter().copied());
        let added: Vec<_> = added.filter(|_| self.chance.one_in(2)).collect();
        let mut cases = self.cases(node, incident.test);
        cases.extend(added);
        cases.sort();
        cases.dedup();
        Body { cases, ..body }
    }

    /// Some of those who know of it want it over.
    fn conclude(&self, name: Commitment) {
        for member in &self.members {
            let Some(node) = member.ready() else { continue };
            let all = node.incidents();
            let Some(incident) = all.iter().find(|one| one.name == name) else { continue };
            if !self.chance.one_in(3) {
                let over = (OfIncident::Conclude { note: None }, Fault::IncidentConcluded);
                self.tell(member, &node, incident, over);
            }
        }
    }

    fn tell(
        &self,
        member: &Member,
        node: &Arc<Node>,
        incident: &Incident,
        (said, fault): (OfIncident, Fault),
    ) {
        let name = incident.name;
        self.trace.note(member.name.as_str(), format_args!("{fault}: {name}"));
        let (node, faults) = (node.clone(), self.faults.clone());
        self.say(member, async move {
            let said = node.of_incident(&name, said, None).await?;
            faults.fired(fault);
            Ok((node, said))
        });
    }

    /// A member erases what it has declared, or another of its words.
    fn erase_word(&self, member: &Member, node: &Arc<Node>, incident: &Incident) {
        let words = incident.said.keys().chain(incident.updates.keys()).chain([&incident.place]);
        let own: Vec<_> = words.filter(|place| place.log == *node.log()).collect();
        let Some(place) = self.chance.pick(&own).copied() else { return };
        let target = Target { log: place.log.clone(), index: place.index };
        self.trace.note(member.name.as_str(), format_args!("erases {} of its log", place.index));
        let (node, faults) = (node.clone(), self.faults.clone());
        self.say(member, async move {
            let said = node.erase_record(target, None, None).await?;
            faults.fired(Fault::IncidentWordErased);
            Ok::<_, RaiseError>((node, said))
        });
    }

    /// An alert often names an incident that goes on; what of that is told in the trace.
    pub(super) fn name_incident(&self, node: &Node, new: &mut NewAlert) -> &'static str {
        if !self.around.cast.incidents || !self.chance.one_in(2) {
            return "";
        }
        let all = node.incidents();
        let live: Vec<_> = all.iter().filter(|one| goes_on(node, one)).collect();
        let Some(incident) = self.chance.pick(&live) else { return "" };
        new.alert.incident = Some(incident.name);
        new.test = incident.test;
        " and names an incident"
    }

    /// Counts what becomes of incidents, each once.
    pub(super) fn watch_incidents(&self) {
        for node in self.members.iter().filter_map(|member| member.node()) {
            for incident in node.incidents().iter() {
                let fault = match state(&node, incident) {
                    IncidentState::Declared => continue,
                    IncidentState::Refused => Fault::IncidentRefused,
                    IncidentState::InForce => Fault::IncidentInForce,
                    IncidentState::Lapsed => Fault::IncidentLapsed,
                    IncidentState::Concluded if incident.course.by_vote => continue,
                    IncidentState::Concluded => Fault::IncidentQuiet,
                };
                let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
                if watched.insert((incident.name, fault)) {
                    self.faults.fired(fault);
                }
            }
        }
    }
}
