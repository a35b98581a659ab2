//! The fold of all logs into cases: what every member holds of every alert.
//!
//! **Invariant:** the cases depend on the entries folded, not on the order in which the logs came;
//! what speaks of a leaf that is not here yet waits for it.
//! **Invariant:** time enters only through [`SignalSet::state`].

mod authors;
mod erasures;
mod events;
mod quotas;
mod set;
mod settle;
mod stops;
mod undoing;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use watchfire_signal::{
    alert::Alert,
    charter::{Charter, CharterChain, Role, SignedCharter},
    commitment::Commitment,
    header::{Header, Target},
    name::{LogName, MemberName},
    record::{DecodeError, Leaf, open},
    statement::{Basis, Statement},
    verb::Verb,
};
use watchfire_store::Held;

use crate::{
    halts::{Halts, Stopped},
    incidents::Incidents,
    standing::{Renewal, Stance},
    waiting::Waiting,
};

use self::{
    authors::Authors,
    erasures::Erasures,
    quotas::{Quota, Quotas},
    set::Said,
    undoing::Undoing,
};

pub use self::set::{Counts, SignalSet, Told};
pub use crate::place::{Place, Turn};

/// What a leaf turned out to be, for those that speak of it later.
#[derive(Debug, Clone)]
enum Meaning {
    Set(Commitment),
    OpinionOn(Commitment),
    Vote(Stopped),
    Incident(Commitment),
    /// Nothing that could be spoken of.
    Plain,
}

/// All cases.
#[derive(Debug)]
pub struct Cases {
    charter: Arc<Charter>,
    authors: Authors,
    /// Shared with who looks things up; copied when it changes.
    sets: HashMap<Commitment, Arc<SignalSet>>,
    /// The sets that were added to a case, by its founding assert.
    added: HashMap<Commitment, Vec<Commitment>>,
    meanings: HashMap<Place, Meaning>,
    halts: Halts,
    stops_changed: bool,
    erasures: Erasures,
    incidents: Incidents,
    /// Cases that somebody says are one, both ways, with who says so.
    joins: HashMap<Commitment, BTreeMap<Commitment, BTreeSet<MemberName>>>,
    waiting: Waiting,
    quotas: Quotas,
    undoing: Undoing,
}

/// Why an entry says nothing here. It stays in its log; it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Its leaf is not what the format says.
    Malformed,
    /// It names another log, coalition or charter than it stands in.
    Foreign,
    /// Its author's role does not allow the verb.
    NotAllowed,
    /// It speaks of something that cannot be spoken of so.
    Senseless,
    /// Too much waits already.
    Flood,
    /// It is more than its author may say, or dated before what it comes after.
    Quota,
    /// It is dated ahead of the clock, with too many others; it counts once that time has come.
    Ahead,
}

impl Ignored {
    /// The name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Foreign => "foreign",
            Self::NotAllowed => "not_allowed",
            Self::Senseless => "senseless",
            Self::Flood => "flood",
            Self::Quota => "quota",
            Self::Ahead => "ahead",
        }
    }
}

impl Cases {
    /// No cases yet, under a charter that is the first one.
    #[must_use]
    pub fn new(charter: Arc<Charter>) -> Self {
        Self::under(charter, Vec::new())
    }

    /// No cases yet, under the last charter of a chain; with those before it.
    #[must_use]
    pub fn of_chain(chain: &CharterChain) -> Self {
        let in_force = chain.in_force().charter.clone();
        let former = chain.iter().filter(|signed| signed.charter.seq < in_force.seq);
        Self::under(Arc::new(in_force.clone()), former.cloned().collect())
    }

    fn under(charter: Arc<Charter>, former: Vec<SignedCharter>) -> Self {
        Self {
            authors: Authors::new(charter.clone(), former),
            charter,
            sets: HashMap::new(),
            added: HashMap::new(),
            meanings: HashMap::new(),
            halts: Halts::default(),
            stops_changed: false,
            erasures: Erasures::default(),
            incidents: Incidents::default(),
            joins: HashMap::new(),
            waiting: Waiting::default(),
            quotas: Quotas::default(),
            undoing: Undoing::default(),
        }
    }

    /// A signal set by its name.
    #[must_use]
    pub fn set(&self, name: &Commitment) -> Option<&Arc<SignalSet>> {
        self.sets.get(name)
    }

    /// All signal sets.
    pub fn sets(&self) -> impl Iterator<Item = &Arc<SignalSet>> {
        self.sets.values()
    }

    /// Folds one verified entry and whatever waited for it; answers the names of the sets touched.
    /// An entry whose record was missing is folded again once the record is here.
    pub fn fold(&mut self, log: &LogName, held: Held) -> (Vec<Commitment>, Option<Ignored>) {
        let mut touched = Vec::new();
        let mut ignored = None;
        let mut todo = vec![(log.clone(), held)];
        while let Some((log, held)) = todo.pop() {
            self.quotas.advance(held.verified_ms);
            let place = Place { log, index: held.index };
            match self.fold_one(&place, held) {
                Ok(names) => touched.extend(names),
                Err(why) => ignored = Some(why),
            }
            todo.extend(self.waiting.take(&place));
        }
        let affected = self.add_up_incidents(&touched);
        touched.extend(affected);
        let weighed = touched.iter().flat_map(|name| self.weigh(name)).collect::<Vec<_>>();
        touched.extend(weighed);
        touched.sort_unstable();
        touched.dedup();
        for name in &touched {
            self.add_up(name);
        }
        (touched, ignored)
    }

    fn fold_one(&mut self, place: &Place, held: Held) -> Result<Vec<Commitment>, Ignored> {
        let leaf = match Leaf::decode(&held.entry.leaf) {
            Ok(leaf) => leaf,
            Err(DecodeError::UnknownVersion { target: Some(target), .. }) => {
                return self.mark_unreadable(&target, place, held);
            }
            Err(_) => return Err(Ignored::Malformed),
        };
        self.check_author(place, &leaf.header)?;
        let grave = self.check_quota(place, &leaf.header)?;
        // A record that is not the leaf's own was dropped when it came; what is here fits.
        let mut record = held.entry.record.as_ref();
        if record.is_some() && self.erasures.has(place) {
            self.erasures.came_back(place);
            record = None;
        }
        let statement = record.and_then(|record| open(&leaf, record).ok());
        match leaf.header.verb {
            Verb::Assert => {
                let touched = self.found(place, &leaf, statement, held.verified_ms);
                self.note_grave(&leaf, grave);
                Ok(touched)
            }
            Verb::Amend
            | Verb::Variant
            | Verb::Confirm
            | Verb::Dispute
            | Verb::Resolve
            | Verb::Retract
            | Verb::Renew
            | Verb::Join
            | Verb::Sighting
            | Verb::Outcome
            | Verb::Appeal
            | Verb::Erase => self.speak(place, leaf, statement, held),
            Verb::Halt if leaf.header.target.is_some() => self.speak(place, leaf, statement, held),
            Verb::Halt | Verb::Member => self.stop_member(place, &leaf, statement),
            Verb::Incident if leaf.header.target.is_some() => {
                self.speak(place, leaf, statement, held)
            }
            Verb::Incident => Ok(self.declare(place, &leaf, statement, held.verified_ms)),
            Verb::Key => {
                self.authors.note_key(place, statement.as_ref());
                self.meanings.entry(place.clone()).or_insert(Meaning::Plain);
                Ok(Vec::new())
            }
            // These say nothing about a case; they stay in the log.
            _ => {
                self.meanings.entry(place.clone()).or_insert(Meaning::Plain);
                Ok(Vec::new())
            }
        }
    }

    /// Folds what speaks of another leaf, or has it wait for that.
    fn speak(
        &mut self,
        place: &Place,
        leaf: Leaf,
        statement: Option<Statement>,
        held: Held,
    ) -> Result<Vec<Commitment>, Ignored> {
        let target = leaf.header.target.clone().ok_or(Ignored::Malformed)?;
        let target = Place { log: target.log, index: target.index };
        let meaning = match self.meanings.get(&target) {
            None => return self.wait(target, place, held).map(|()| Vec::new()),
            Some(meaning) => meaning.clone(),
        };
        let touched = match (meaning, leaf.header.verb) {
            (Meaning::Vote(stopped), Verb::Retract) if target.log.member == place.log.member => {
                self.vote(place, stopped, false, Turn::default())
            }
            (Meaning::Incident(name), Verb::Incident) => {
                self.speak_of_incident(place, &leaf, statement, (name, held.verified_ms))?
            }
            (Meaning::Vote(_) | Meaning::Incident(_) | Meaning::Plain, _) => {
                return Err(Ignored::Senseless);
            }
            (Meaning::Set(name), Verb::Halt) => self.halt_case(place, &leaf, &name)?,
            (Meaning::Set(name) | Meaning::OpinionOn(name), Verb::Erase) => {
                self.erase(place, &target, name)
            }
            (Meaning::Set(name), Verb::Join) => self.join(place, statement, name)?,
            (Meaning::OpinionOn(name), Verb::Resolve) => {
                self.resolve(place, statement, name, &target)?
            }
            (meaning, _) => {
                let name = self.speak_of(place, &leaf, statement, meaning, held.verified_ms)?;
                name.into_iter().collect()
            }
        };
        self.meanings.entry(place.clone()).or_insert(Meaning::Plain);
        Ok(touched)
    }

    fn check_author(&mut self, place: &Place, header: &Header) -> Result<(), Ignored> {
        let role = self.authors.author(place, header).ok_or(Ignored::Foreign)?;
        if may_say(role, header.verb) { Ok(()) } else { Err(Ignored::NotAllowed) }
    }

    /// Whether an entry is within its author's quotas; true for an assert of severity 4 that may act before
    /// it is CONFIRMED.
    fn check_quota(&mut self, place: &Place, header: &Header) -> Result<bool, Ignored> {
        let limits = self.authors.charter_of(header).map(|charter| charter.quotas);
        match self.quotas.judge(place, header, &limits.unwrap_or(self.charter.quotas)) {
            Quota::Counts { grave } => Ok(grave),
            Quota::Over => Err(Ignored::Quota),
            Quota::Ahead => Err(Ignored::Ahead),
        }
    }

    /// Moves the clock on by which entries that are dated ahead begin to count; answers those that do.
    pub fn pass_time(&mut self, now_ms: u64) -> Vec<Place> {
        self.quotas.advance(now_ms);
        self.quotas.due()
    }

    /// When the next entry that is dated ahead begins to count.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.quotas.next_due_ms()
    }

    /// Notes of a set that it acts at severity 4: within its author's quota, for a label that its charter
    /// names.
    fn note_grave(&mut self, leaf: &Leaf, within_quota: bool) {
        let charter = self.authors.charter_of(&leaf.header);
        let labels = charter.map_or(&[][..], |charter| &charter.severity4_labels);
        let Some(set) = self.sets.get_mut(&leaf.commitment).map(Arc::make_mut) else { return };
        let named = set.alert.iter().flat_map(|alert| &alert.labels);
        set.grave = within_quota && named.clone().any(|label| labels.contains(label));
    }

    /// The charter that a record was written under.
    fn charter_of(&self, header: &Header) -> Option<&Charter> {
        self.authors.charter_of(header)
    }

    /// Erases a record if its author says so, or enough organisations do.
    fn erase(&mut self, place: &Place, target: &Place, name: Commitment) -> Vec<Commitment> {
        if !self.erasures.vote(target, &place.log.member, &self.charter) {
            return Vec::new();
        }
        if let Some(set) = self.sets.get_mut(&name).map(Arc::make_mut) {
            set.forget(target);
        }
        vec![name]
    }

    /// Takes in that two cases are of the same thing; the authors of the two have a say.
    fn join(
        &mut self,
        place: &Place,
        statement: Option<Statement>,
        name: Commitment,
    ) -> Result<Vec<Commitment>, Ignored> {
        let Some(Statement::Join { other }) = statement else { return Err(Ignored::Senseless) };
        for (one, other) in [(name, other), (other, name)] {
            let others = self.joins.entry(one).or_default();
            others.entry(other).or_default().insert(place.log.member.clone());
        }
        Ok(vec![name, other])
    }

    /// Takes in how a member wants a dispute ended.
    fn resolve(
        &mut self,
        place: &Place,
        statement: Option<Statement>,
        name: Commitment,
        dispute: &Place,
    ) -> Result<Vec<Commitment>, Ignored> {
        let Some(Statement::Resolve { outcome, .. }) = statement else {
            return Err(Ignored::Senseless);
        };
        let set = self.sets.get_mut(&name).map(Arc::make_mut).ok_or(Ignored::Senseless)?;
        set.resolve((dispute.log.member.clone(), dispute.turn()), place, outcome);
        Ok(vec![name])
    }

    fn found(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
        verified_ms: u64,
    ) -> Vec<Commitment> {
        let alert = match statement {
            Some(Statement::Assert(alert)) => Some(alert),
            _ => None,
        };
        let name = self.insert_set(place, leaf, leaf.commitment, alert, verified_ms);
        let joined = self.joins.get(&name).into_iter().flatten().map(|(other, _)| *other);
        joined.chain([name]).collect()
    }

    fn insert_set(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        subject: Commitment,
        alert: Option<Alert>,
        verified_ms: u64,
    ) -> Commitment {
        let name = leaf.commitment;
        match self.sets.entry(name) {
            Entry::Vacant(free) => {
                let mut set = SignalSet::new(leaf.commitment, place, &leaf.header, verified_ms);
                (set.subject, set.alert) = (subject, alert);
                let human = leaf.header.review.is_some_and(|review| review.is_human());
                let stance = Stance::Positive { human };
                set.hold(place, Said { stance, verified_ms, hour: 0, name });
                free.insert(Arc::new(set));
            }
            // Its record had been missing.
            Entry::Occupied(mut there) if there.get().place == *place => {
                let there = Arc::make_mut(there.get_mut());
                there.alert = there.alert.take().or(alert);
            }
            // Two leaves with one commitment would need one salt twice: the first one stands.
            Entry::Occupied(_) => {}
        }
        let new = !matches!(self.meanings.get(place), Some(Meaning::Set(_)));
        self.meanings.insert(place.clone(), Meaning::Set(name));
        if new && name != subject {
            self.added.entry(subject).or_default().push(name);
        }
        name
    }

    fn speak_of(
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
            Meaning::Vote(_) | Meaning::Incident(_) | Meaning::Plain => {
                return Err(Ignored::Senseless);
            }
        };
        let set = self.sets.get_mut(&name).map(Arc::make_mut).ok_or(Ignored::Senseless)?;
        if leaf.header.test != set.header.test {
            // A drill says nothing about the real thing, nor the other way round.
            return Err(Ignored::Senseless);
        }
        if let (Some(Statement::Confirm { commitment, .. }), Some(target), false) =
            (&statement, &leaf.header.target, is_set)
        {
            let retraction = Place { log: target.log.clone(), index: target.index };
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
                set.count(place, &statement);
                Ok(Some(name))
            }
            (Verb::Renew, Some(Statement::Renew { valid_until })) if is_set => {
                set.renew(place, Renewal { turn: place.turn(), verified_ms, valid_until });
                Ok(Some(name))
            }
            // Whoever brought a set stands by it as the review in its header says, and cannot make
            // more of that, or a new term, by confirming itself.
            (Verb::Confirm, _) if place.log.member == *set.author() => Err(Ignored::NotAllowed),
            (_, statement) => {
                let Some(stance) = stance_of(place, leaf, statement, is_set.then_some(name))?
                else {
                    return Ok(None);
                };
                let hour = self.quotas.hour(place, &leaf.header);
                let said = Said { stance, verified_ms, hour, name: leaf.commitment };
                set.hold(place, said);
                self.meanings.insert(place.clone(), Meaning::OpinionOn(name));
                Ok(Some(name))
            }
        }
    }

    fn wait(&mut self, target: Place, place: &Place, held: Held) -> Result<(), Ignored> {
        if self.authors.writer(&target.log).is_none() {
            return Err(Ignored::Foreign);
        }
        // What speaks of a later leaf of its own log was written for nobody's sake: an author does
        // not know yet what that leaf will say.
        if target.log == place.log && target.index >= place.index {
            return Err(Ignored::Senseless);
        }
        if self.waiting.add(target, &place.log, held) { Ok(()) } else { Err(Ignored::Flood) }
    }

    fn mark_unreadable(
        &mut self,
        target: &Target,
        place: &Place,
        held: Held,
    ) -> Result<Vec<Commitment>, Ignored> {
        let role = self.authors.writer(&place.log).ok_or(Ignored::Foreign)?;
        if !may_speak_of_cases(role) {
            return Err(Ignored::NotAllowed);
        }
        let target = Place { log: target.log.clone(), index: target.index };
        match self.meanings.get(&target) {
            Some(Meaning::Set(name) | Meaning::OpinionOn(name)) => {
                if let Some(set) = self.sets.get_mut(name).map(Arc::make_mut) {
                    set.unreadable = true;
                }
                Ok(vec![*name])
            }
            Some(Meaning::Vote(_) | Meaning::Incident(_) | Meaning::Plain) => Ok(Vec::new()),
            None => self.wait(target, place, held).map(|()| Vec::new()),
        }
    }

    /// The records that were erased and have to go from the store, once.
    pub fn take_erased(&mut self) -> Vec<Place> {
        self.erasures.take_due()
    }

    /// Whether a record was erased, and is not to be asked for.
    #[must_use]
    pub fn is_erased(&self, place: &Place) -> bool {
        self.erasures.has(place)
    }
}

/// The opinion that a record expresses about `set`, if it speaks of a set; `None`: none that counts.
fn stance_of(
    place: &Place,
    leaf: &Leaf,
    statement: Option<Statement>,
    set: Option<Commitment>,
) -> Result<Option<Stance>, Ignored> {
    match (leaf.header.verb, statement) {
        (Verb::Confirm, Some(Statement::Confirm { commitment, basis }))
            if set == Some(commitment) =>
        {
            // Nobody can honestly confirm what nobody there has seen: it counts as nothing.
            let seen = basis == Basis::OwnCopySeenByHuman;
            Ok(seen.then_some(Stance::Positive { human: true }))
        }
        (Verb::Dispute, Some(Statement::Dispute { commitment, .. })) if set == Some(commitment) => {
            Ok(Some(Stance::Disputes))
        }
        (Verb::Retract, statement) => {
            let own = leaf
                .header
                .target
                .as_ref()
                .is_some_and(|target| target.log.member == place.log.member);
            // The leaf alone retracts, so that a withheld body cannot keep an alert alive.
            let restore = !matches!(statement, Some(Statement::Retract { restore: false, .. }));
            if own { Ok(Some(Stance::Withdrawn { restore })) } else { Err(Ignored::NotAllowed) }
        }
        // The body is a hole or says something else than the header: no opinion.
        _ => Err(Ignored::Senseless),
    }
}

/// Which verbs about cases a role may say (`docs/states.md`, roles).
fn may_say(role: Role, verb: Verb) -> bool {
    let founds = matches!(verb, Verb::Assert | Verb::Amend | Verb::Variant);
    may_speak_of_cases(role) && !(role == Role::Convenor && founds)
}

/// Whether a role has a say about cases at all, in whatever version of the format.
fn may_speak_of_cases(role: Role) -> bool {
    match role {
        Role::Platform | Role::Contributor | Role::Convenor => true,
        Role::Auditor | Role::Witness => false,
    }
}
