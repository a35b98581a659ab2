//! Logs as their authors wrote them, to be folded in any order: the stage for the tests of the fold.

mod ways;

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{cases::Cases, standing::State};
use watchfire_signal::{
    alert::{Alert, Family},
    charter::{Charter, CharterChain, ClosedLog, Role, SignedCharter},
    commitment::Commitment,
    features::{Cells, Descriptor, Feature, FeaturesPrint, MIN_SIDE, Sign, UNITS},
    header::{CharterRef, Header, Provenance, RECORD_VERSION, Review, Target},
    incident::{Incident, IncidentStep},
    label::Class,
    name::{GroupName, LogName},
    pdq::Pdq,
    reason::Reason,
    record::{Leaf, open, seal},
    statement::{Basis, Done, Head, MemberStep, Resolution, Statement},
    value::{Signal, Value},
    verb::Verb,
};
use watchfire_store::{Append, Batch, Held, Store};
use watchfire_tlog::{Checkpoint, Entry, Extension, Frontier, Origin, SignedCheckpoint};

use crate::coalition::{START_MS, alert, charter, charter_with, key, name};

/// Two members of one owner, and three others.
pub(crate) const MEMBERS: [(&str, &str); 5] = [
    ("tiktok", "bytedance"),
    ("facebook", "meta"),
    ("instagram", "meta"),
    ("google", "alphabet"),
    ("reddit", "advance"),
];

/// Labels of the stories made by chance: the first charter has the first two act at severity 4, the second one the last
/// two.
pub(crate) const GRAVE: [&str; 3] =
    ["self_harm.suicide_depiction", "self_harm.self_mutilation", "self_harm.challenge"];
/// How many alerts of severity 4 of one member act in these stories in a day.
pub(crate) const GRAVE_A_DAY: u64 = 2;

/// One log after the other, as their authors wrote them.
pub(crate) struct Logs {
    /// What is said names it.
    pub(crate) charter: SignedCharter,
    /// What is folded is folded under it.
    chain: CharterChain,
    pub(crate) logs: BTreeMap<LogName, Vec<Held>>,
    /// Whether alerts are of different sizes.
    pub(crate) varied: bool,
    /// How far ahead of the time what is said is dated, in turns; without, it says no minute unless all is dated.
    pub(crate) dates: Vec<Option<u32>>,
    /// Whether all records say their minute, as nodes have it; what is said of incidents always does.
    pub(crate) dated: bool,
    salt: u32,
    later_ms: u64,
}

/// Local features of a picture, different for each number.
pub(crate) fn features(salt: u32) -> Signal {
    let feature = |x: u16| Feature {
        descriptor: Descriptor(salted(salt)),
        x: x * UNITS,
        y: UNITS,
        level: 0,
        angle: 0,
    };
    let signs = vec![Sign::Flat; Cells::of(MIN_SIDE, MIN_SIDE).signs()];
    let features = (1..20).map(feature).collect();
    Signal::new(Value::Features(FeaturesPrint::new((MIN_SIDE, MIN_SIDE), features, signs).unwrap()))
}

/// Bytes that are different for each number.
fn salted<const N: usize>(salt: u32) -> [u8; N] {
    let salt = salt.to_le_bytes();
    std::array::from_fn(|at| salt[at % 4])
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self::under(charter(&MEMBERS, 2))
    }

    /// The same where a member has another role.
    pub(crate) fn with_role(member: &str, role: Role) -> Self {
        Self::under(charter_with(&MEMBERS, 2, |charter| {
            let mut members = charter.members.iter_mut();
            members.find(|one| one.name == name(member)).unwrap().role = role;
        }))
    }

    pub(crate) fn under(charter: SignedCharter) -> Self {
        let chain = CharterChain::from(charter.clone());
        let (logs, varied, dates, dated, salt, later_ms) = Default::default();
        Self { charter, chain, logs, varied, dates, dated, salt, later_ms }
    }

    /// For stories made by chance: some labels act at severity 4.
    pub(crate) fn of_stories() -> Self {
        Self::of_stories_with(|_| {})
    }

    /// The same where the charter has something else too.
    pub(crate) fn of_stories_with(also: impl FnOnce(&mut Charter)) -> Self {
        let charter = charter_with(&MEMBERS, 2, |charter| {
            also(charter);
            charter.severity4_labels =
                GRAVE[..2].iter().map(|label| label.parse().unwrap()).collect();
            charter.quotas.severity4_acts_a_day = GRAVE_A_DAY;
        });
        Self { dated: true, ..Self::under(charter) }
    }

    /// Has a second charter come in force, if it has not, under which other labels act and three organisations confirm;
    /// what is said from now on names it. That all approve it the fold does not ask.
    pub(crate) fn go_on_under_the_second_charter(&mut self) {
        if self.charter.charter.seq > 1 {
            return;
        }
        let (seq, previous) = (2, self.charter.hash());
        let mut second = Charter { seq, previous, ..self.charter.charter.clone() };
        second.severity4_labels = GRAVE[1..].iter().map(|label| label.parse().unwrap()).collect();
        second.quorums.confirm = 3;
        second.without_features = true;
        second.sort();
        let second = SignedCharter::new(second, vec![]).unwrap();
        self.chain.push(second.clone()).unwrap();
        self.charter = second;
    }

    /// Has a second charter come in force that leaves a member out; all of its log is accepted.
    pub(crate) fn go_on_without(&mut self, member: &str) {
        let log = self.log(member);
        let (seq, previous) = (2, self.charter.hash());
        let mut second = Charter { seq, previous, ..self.charter.charter.clone() };
        let left = second.members.iter().position(|one| one.name == name(member)).unwrap();
        let left = second.members.remove(left);
        let size = self.logs.get(&log).map_or(0, |held| held.len() as u64);
        let last = Some(Head { size, root: [1; 32] });
        second.closed.push(ClosedLog { member: left.name, epoch: left.epoch, key: left.key, last });
        second.sort();
        let second = SignedCharter::new(second, vec![]).unwrap();
        self.chain.push(second.clone()).unwrap();
        self.charter = second;
    }

    /// A fold of nothing yet, under all charters.
    pub(crate) fn cases(&self) -> Cases {
        Cases::of_chain(&self.chain)
    }

    pub(crate) fn log(&self, member: &str) -> LogName {
        self.charter.charter.log_of(&name(member)).unwrap()
    }

    /// Writes a statement; answers its commitment and its place.
    pub(crate) fn say(
        &mut self,
        member: &str,
        statement: &Statement,
        change: impl FnOnce(&mut Header),
    ) -> (Commitment, Target) {
        let log = self.log(member);
        let verified_ms = START_MS + self.later_ms + u64::from(self.salt + 1) * 1_000;
        let minute = u32::try_from(verified_ms / 60_000).unwrap();
        let dated = self.dated || statement.verb() == Verb::Incident;
        let mut header = Header {
            v: RECORD_VERSION,
            coalition: log.coalition.clone(),
            author_log: log.clone(),
            charter: CharterRef { seq: self.charter.charter.seq, hash: self.charter.hash() },
            verb: statement.verb(),
            class: Class::SelfHarm,
            group: GroupName::all(),
            provenance: Provenance::None,
            reason: None,
            severity: None,
            target: None,
            lease_day: None,
            test: false,
            review: None,
            minute: dated.then_some(minute),
            size: 0,
        };
        let turn = self.salt as usize % self.dates.len().max(1);
        if let Some(Some(ahead)) = self.dates.get(turn) {
            header.minute = Some(minute + ahead);
        }
        change(&mut header);
        self.salt += 1;
        let sealed = seal(&header, statement, salted(self.salt)).unwrap();
        let entries = self.logs.entry(log.clone()).or_default();
        let index = entries.len() as u64;
        let entry = Entry::new(sealed.leaf, Some(sealed.record.into()));
        entries.push(Held { index, entry, verified_ms });
        (sealed.commitment, Target { log, index })
    }

    /// Has everything be verified so much later, by log in order of their names, and again: as whoever catches up does.
    pub(crate) fn verify_later(&mut self, by_ms: &[u64]) {
        for (held, by_ms) in self.logs.values_mut().zip(by_ms.iter().cycle()) {
            held.iter_mut().for_each(|held| held.verified_ms += by_ms);
        }
    }

    /// The KiB that the headers of a member's log say.
    pub(crate) fn sizes(&self, member: &str) -> Vec<u32> {
        let leaf = |held: &Held| Leaf::decode(&held.entry.leaf).unwrap();
        self.logs[&self.log(member)].iter().map(|held| leaf(held).header.size).collect()
    }

    /// Lets time pass before the next statement.
    pub(crate) fn later(&mut self, ms: u64) {
        self.later_ms += ms;
    }

    pub(crate) fn assert(&mut self, member: &str, review: Review) -> (Commitment, Target) {
        // Thirty signals more are a KiB.
        let more = if self.varied { self.salt % 3 * 30 } else { 0 };
        let signals = (0..=more).map(|_| Signal::new(Pdq(salted(self.salt))));
        let features = self.varied.then(|| features(self.salt));
        let alert = alert(signals.chain(features).collect()).alert;
        self.say(member, &Statement::Assert(alert), |header| {
            header.severity = Some(3);
            header.review = Some(review);
            header.provenance = Provenance::OwnDetection;
        })
    }

    /// An alert of a picture with its local features, or such an amendment of one.
    pub(crate) fn with_features(
        &mut self,
        member: &str,
        amends: Option<&Target>,
    ) -> (Commitment, Target) {
        let signals = vec![Signal::new(Pdq(salted(self.salt))), features(self.salt)];
        let alert = alert(signals).alert;
        let said =
            if amends.is_some() { Statement::Amend(alert) } else { Statement::Assert(alert) };
        self.say(member, &said, |header| {
            header.target = amends.cloned();
            header.severity = Some(3);
            header.review = Some(Review::OneHuman);
            header.provenance = Provenance::OwnDetection;
        })
    }

    /// An alert that names an incident, perhaps a drill.
    pub(crate) fn assert_naming(
        &mut self,
        member: &str,
        incident: Commitment,
        test: bool,
    ) -> (Commitment, Target) {
        let alert = alert(vec![Signal::new(Pdq(salted(self.salt)))]).alert;
        let alert = Alert { incident: Some(incident), ..alert };
        self.say(member, &Statement::Assert(alert), |header| {
            header.severity = Some(3);
            header.review = Some(Review::Automatic);
            header.test = test;
        })
    }

    /// A variant that names one, which nobody has looked at.
    pub(crate) fn variant_naming(
        &mut self,
        member: &str,
        about: &(Commitment, Target),
        incident: Commitment,
    ) -> (Commitment, Target) {
        let family = Some(Family { root: about.0, transform: "mirrored".to_owned() });
        let alert = alert(vec![Signal::new(Pdq(salted(self.salt)))]).alert;
        let alert = Alert { incident: Some(incident), family, ..alert };
        self.say(member, &Statement::Variant(alert), |header| {
            header.target = Some(about.1.clone());
            header.severity = Some(3);
            header.review = Some(Review::Automatic);
        })
    }

    /// The same alert, which its author has from the person it shows.
    pub(crate) fn assert_of_victim(
        &mut self,
        member: &str,
        review: Review,
        (severity, label): (u8, &str),
    ) -> (Commitment, Target) {
        self.assert_labelled(member, review, (Provenance::Victim, severity, label))
    }

    /// Its author takes an alert back, because the victim did.
    pub(crate) fn retract_for_victim(
        &mut self,
        member: &str,
        about: &Target,
        restore: bool,
    ) -> (Commitment, Target) {
        let statement = Statement::Retract { restore, note: None };
        self.say(member, &statement, |header| {
            header.target = Some(about.clone());
            header.reason = Some(Reason::VictimWithdrew);
        })
    }

    /// An alert of a severity with a label.
    pub(crate) fn assert_grave(
        &mut self,
        member: &str,
        review: Review,
        (severity, label): (u8, &str),
    ) -> (Commitment, Target) {
        self.assert_labelled(member, review, (Provenance::OwnDetection, severity, label))
    }

    fn assert_labelled(
        &mut self,
        member: &str,
        review: Review,
        (provenance, severity, label): (Provenance, u8, &str),
    ) -> (Commitment, Target) {
        let mut alert = alert(vec![Signal::new(Pdq(salted(self.salt)))]).alert;
        alert.labels = vec![label.parse().unwrap()];
        self.say(member, &Statement::Assert(alert), |header| {
            header.severity = Some(severity);
            header.review = Some(review);
            header.provenance = provenance;
        })
    }

    pub(crate) fn confirm(
        &mut self,
        member: &str,
        about: &(Commitment, Target),
        basis: Basis,
    ) -> Target {
        let statement = Statement::Confirm { commitment: about.0, basis };
        self.say(member, &statement, |header| header.target = Some(about.1.clone())).1
    }

    pub(crate) fn dispute(&mut self, member: &str, about: &(Commitment, Target)) -> Target {
        let statement = Statement::Dispute { commitment: about.0, note: None };
        self.say(member, &statement, |header| {
            header.target = Some(about.1.clone());
            header.reason = Some(Reason::BenignContext);
        })
        .1
    }

    pub(crate) fn resolve(
        &mut self,
        member: &str,
        dispute: &Target,
        outcome: Resolution,
    ) -> Target {
        let statement = Statement::Resolve { outcome, note: None };
        self.say(member, &statement, |header| header.target = Some(dispute.clone())).1
    }

    pub(crate) fn join(&mut self, member: &str, about: &Target, other: Commitment) {
        let statement = Statement::Join { other };
        self.say(member, &statement, |header| header.target = Some(about.clone()));
    }

    pub(crate) fn count(&mut self, member: &str, about: &Target, bucket: u8) {
        let statement = Statement::Outcome { what: Done::Removed, bucket };
        self.say(member, &statement, |header| header.target = Some(about.clone()));
    }

    /// Says something of an incident; without a target it is declared.
    pub(crate) fn incident(
        &mut self,
        member: &str,
        about: Option<&Target>,
        body: Incident,
    ) -> (Commitment, Target) {
        self.incident_or_drill(member, about, body, false)
    }

    /// The same, perhaps of a drill.
    pub(crate) fn incident_or_drill(
        &mut self,
        member: &str,
        about: Option<&Target>,
        body: Incident,
        test: bool,
    ) -> (Commitment, Target) {
        self.say(member, &Statement::Incident(body), |header| {
            header.class = Class::None;
            header.target = about.cloned();
            header.test = test;
        })
    }

    pub(crate) fn erase(&mut self, member: &str, about: &Target) {
        self.say(member, &Statement::Erase, |header| header.target = Some(about.clone()));
    }

    pub(crate) fn retract(&mut self, member: &str, own: &Target) {
        self.retract_and(member, own, true);
    }

    pub(crate) fn retract_and(&mut self, member: &str, own: &Target, restore: bool) {
        let statement = Statement::Retract { restore, note: None };
        self.say(member, &statement, |header| {
            header.target = Some(own.clone());
            header.reason = Some(Reason::WrongMatch);
        });
    }

    pub(crate) fn halt(&mut self, member: &str, about: &Target) -> Target {
        self.say(member, &Statement::Halt { member: None }, |header| {
            header.target = Some(about.clone());
            header.reason = Some(Reason::WrongMatch);
        })
        .1
    }

    pub(crate) fn halt_member(&mut self, member: &str, other: &str) -> Target {
        let statement = Statement::Halt { member: Some(name(other)) };
        let about = |header: &mut Header| {
            header.class = Class::None;
            header.reason = Some(Reason::CompromisedIssuer);
        };
        self.say(member, &statement, about).1
    }

    pub(crate) fn suspend(&mut self, member: &str, other: &str, size: u64) -> Target {
        self.suspend_at(member, other, Head { size, root: [9; 32] })
    }

    /// The same of a history that has this head.
    pub(crate) fn suspend_at(&mut self, member: &str, other: &str, last: Head) -> Target {
        let last = Some(last);
        let statement = Statement::Member { step: MemberStep::Suspend, member: name(other), last };
        let about = |header: &mut Header| {
            header.class = Class::None;
            header.reason = Some(Reason::CompromisedIssuer);
        };
        self.say(member, &statement, about).1
    }

    pub(crate) fn renew(&mut self, member: &str, about: &Target, valid_until: u64) {
        let statement = Statement::Renew { valid_until };
        self.say(member, &statement, |header| header.target = Some(about.clone()));
    }

    /// Another set of signals of the same case.
    pub(crate) fn widen(
        &mut self,
        member: &str,
        about: &(Commitment, Target),
        amend: bool,
        test: bool,
    ) -> (Commitment, Target) {
        self.widen_unseen(member, about, (amend, test), true)
    }

    /// The same, which perhaps nobody has looked at.
    pub(crate) fn widen_unseen(
        &mut self,
        member: &str,
        about: &(Commitment, Target),
        (amend, test): (bool, bool),
        looked: bool,
    ) -> (Commitment, Target) {
        let mut alert = alert(vec![Signal::new(Pdq(salted(self.salt)))]).alert;
        let statement = if amend {
            Statement::Amend(alert)
        } else {
            alert.family = Some(Family { root: about.0, transform: "mirrored".to_owned() });
            Statement::Variant(alert)
        };
        let about = &about.1;
        self.say(member, &statement, |header| {
            header.target = Some(about.clone());
            header.review = Some(if looked { Review::OneHuman } else { Review::Automatic });
            header.severity = Some(3);
            header.test = test;
        })
    }

    /// A leaf of a version that nobody here knows, about something.
    pub(crate) fn say_in_a_future_version(&mut self, member: &str, about: &Target) {
        let statement = Statement::Renew { valid_until: 0 };
        let (_, place) = self.say(member, &statement, |header| header.target = Some(about.clone()));
        let held = self.logs.get_mut(&place.log).unwrap().last_mut().unwrap();
        let mut bytes = held.entry.leaf.to_vec();
        let header = Leaf::decode(&bytes).unwrap().header_bytes;
        let at = bytes.windows(header.len()).position(|part| part == header).unwrap();
        // A map, its key 0, and there the version.
        assert_eq!(bytes[at + 1..at + 3], [0, 1]);
        bytes[at + 2] = 2;
        held.entry = Entry::new(bytes, None);
    }

    /// Has the leaf of an alert show another severity than its record was written with, under the same commitment.
    pub(crate) fn lie(&mut self, place: &Target) {
        let held = &mut self.logs.get_mut(&place.log).unwrap()[place.index as usize];
        let leaf = Leaf::decode(&held.entry.leaf).unwrap();
        let said = open(&leaf, held.entry.record.as_ref().unwrap()).unwrap();
        let shown = Header { severity: Some(1), ..leaf.header.clone() };
        let shown = Leaf::decode(&seal(&shown, &said, [0; 16]).unwrap().leaf).unwrap().header_bytes;
        let mut bytes = held.entry.leaf.to_vec();
        let at = bytes.windows(shown.len()).position(|part| part == leaf.header_bytes).unwrap();
        bytes[at..at + shown.len()].copy_from_slice(&shown);
        held.entry = Entry::new(bytes, held.entry.record.take());
    }

    /// What a member said, so many entries under each head.
    pub(crate) fn steps(&self, member: &str, at_once: usize) -> Vec<Extension> {
        let origin = Origin::new(self.log(member).to_string()).unwrap();
        let mut frontier = Frontier::new();
        let step = |held: &[Held]| {
            let entries: Vec<_> = held.iter().map(|held| held.entry.clone()).collect();
            let from = frontier.size();
            entries.iter().for_each(|entry| frontier.append(entry.leaf_hash()));
            let (origin, size, root) = (origin.clone(), frontier.size(), frontier.root());
            let head = Checkpoint { origin, size, root };
            Extension { from, entries, checkpoint: SignedCheckpoint::sign(&head, &key(member)) }
        };
        self.logs[&self.log(member)].chunks(at_once).map(step).collect()
    }

    /// Writes it into a store.
    pub(crate) async fn write(&self, store: &Arc<dyn Store>, member: &str, at_once: usize) {
        let log = Origin::new(self.log(member).to_string()).unwrap();
        for Extension { from, entries, checkpoint } in self.steps(member, at_once) {
            let leaf_hashes = entries.iter().map(Entry::leaf_hash).collect();
            let (log, size, verified_ms) = (log.clone(), from, START_MS);
            let append = Append { log, size, entries, leaf_hashes, checkpoint, verified_ms };
            store.commit(Batch { append: Some(append), ..Batch::default() }).await.unwrap();
        }
    }

    pub(crate) fn state(&self, name: &Commitment, now_ms: u64) -> State {
        self.fold(&[]).set(name).unwrap().state(now_ms)
    }
}

pub(crate) const SEEN: Basis = Basis::OwnCopySeenByHuman;
pub(crate) const SOON: u64 = START_MS + 600_000;

/// The body of a record about an incident.
pub(crate) fn incident(step: IncidentStep, level: u8, cases: &[Commitment]) -> Incident {
    Incident {
        step,
        level,
        title: "Attack on a market".to_owned(),
        criteria: "Footage of it by whoever did it".to_owned(),
        regions: vec!["NZ".to_owned()],
        cases: cases.to_vec(),
        note: None,
    }
}
