//! The fold of all logs into cases: what every member holds of every alert.
//!
//! **Invariant:** the cases depend on the entries folded, not on the order in which the logs came;
//! what speaks of a leaf that is not here yet waits for it.
//! **Invariant:** time enters only through [`SignalSet::state`].

mod authors;
mod erasures;
mod events;
mod meanings;
mod pack;
mod quotas;
mod sayings;
mod set;
mod sets;
mod settle;
mod speech;
mod stops;
mod undoing;
mod victims;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use watchfire_signal::{
    alert::Alert,
    charter::{Charter, CharterChain, SignedCharter},
    commitment::Commitment,
    header::Header,
    name::{GroupName, LogName, MemberName},
    record::{DecodeError, Leaf, open},
    statement::Statement,
    verb::Verb,
};
use watchfire_store::Held;

use crate::{halts::Halts, incidents::Incidents, standing::Stance, waiting::Waiting};

use self::{
    authors::Authors,
    erasures::Erasures,
    meanings::{Meaning, Meanings},
    quotas::{Quota, Quotas},
    sayings::Said,
    stops::NOWHERE,
    undoing::Undoing,
    words::may_say,
};

pub use self::set::{Counts, SignalSet, Told, WaitingWords};
pub use self::sets::{Sets, Walk, Wanted};
pub(crate) use self::{meanings::has_words, quotas::MAX_AHEAD_MINUTES, words::kept_from};
pub use crate::place::{Place, Turn};
use crate::spent::AllSpent;

/// Sets that are added up before they are put down: a halted member may have said very much.
const PUT_DOWN: usize = 256;

/// All cases.
#[derive(Debug)]
pub struct Cases {
    charter: Arc<Charter>,
    authors: Authors,
    /// The group of every member, one text for all sets.
    everybody: GroupName,
    /// Shared with who looks things up.
    sets: Arc<Sets>,
    /// Those that change in the fold that goes on; they are put down together at its end.
    working: HashMap<Commitment, Arc<SignalSet>>,
    meanings: Meanings,
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
    /// It is more than its author may say, or have live, or dated before what it comes after.
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
            everybody: GroupName::all(),
            sets: Arc::default(),
            working: HashMap::new(),
            meanings: Meanings::default(),
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

    /// Takes in that another charter has come in force after that of these cases: what is written under it counts from
    /// now on, what it has ended does not. Answers the logs that had named it before, each with the entry from which on
    /// it is to be folded again, in its order, before anything that comes after.
    pub fn learn(&mut self, later: &SignedCharter) -> BTreeMap<LogName, u64> {
        self.authors.learn(later)
    }

    /// Puts what is folded down among these sets, which have to be empty.
    #[must_use]
    pub fn among(self, sets: Arc<Sets>) -> Self {
        Self { sets, ..self }
    }

    /// A signal set by its name.
    #[must_use]
    pub fn set(&self, name: &Commitment) -> Option<Arc<SignalSet>> {
        self.sets.get(name)
    }

    /// All signal sets.
    #[must_use]
    pub fn sets(&self) -> &Arc<Sets> {
        &self.sets
    }

    /// A set as it stands in the fold that goes on.
    fn look(&self, name: &Commitment) -> Option<Arc<SignalSet>> {
        self.working.get(name).cloned().or_else(|| self.sets.get(name))
    }

    /// A set to be changed in the fold that goes on.
    fn change(&mut self, name: &Commitment) -> Option<&mut SignalSet> {
        let set = match self.working.entry(*name) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => free.insert(self.sets.get(name)?),
        };
        Some(Arc::make_mut(set))
    }

    /// Puts down what has changed.
    fn put_down(&mut self) {
        let now_ms = self.quotas.now_ms();
        self.working.drain().for_each(|(_, set)| self.sets.settle(set, now_ms));
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
        let fallen = touched.iter().flat_map(|name| self.that_fall_with(name)).collect::<Vec<_>>();
        touched.extend(fallen);
        touched.sort_unstable();
        touched.dedup();
        for names in touched.chunks(PUT_DOWN) {
            names.iter().for_each(|name| self.add_up(name));
            self.put_down();
        }
        // What was touched and is none of these said nothing.
        self.put_down();
        (touched, ignored)
    }

    fn fold_one(&mut self, place: &Place, held: Held) -> Result<Vec<Commitment>, Ignored> {
        let leaf = match Leaf::decode(&held.entry.leaf) {
            Ok(leaf) => leaf,
            Err(DecodeError::UnknownVersion { target: Some(target), size, .. }) => {
                return self.mark_unreadable((&target, size), place, held);
            }
            Err(_) => return Err(Ignored::Malformed),
        };
        let verb = leaf.header.verb;
        let folded = self.fold_leaf(place, leaf, held);
        if folded.is_err() {
            self.meanings.note_unheard(place, verb);
        }
        folded
    }

    fn fold_leaf(
        &mut self,
        place: &Place,
        leaf: Leaf,
        held: Held,
    ) -> Result<Vec<Commitment>, Ignored> {
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
            Verb::Incident => self.declare(place, &leaf, statement, held.verified_ms),
            Verb::Key => {
                self.meanings.note_plain(place);
                let ends = self.authors.note_key(place, statement.as_ref());
                Ok(if ends { self.recount_erasures(&place.log.member) } else { Vec::new() })
            }
            // These say nothing about a case; they stay in the log.
            _ => {
                self.meanings.note_plain(place);
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
        let Some(meaning) = self.meanings.of(&target, &self.sets) else {
            if leaf.header.verb == Verb::Erase && self.meanings.is_unheard(&target) {
                self.erase_word(place, &target);
            }
            self.meanings.note_unheard(place, leaf.header.verb);
            return self.wait(target, place, held).map(|()| Vec::new());
        };
        let touched = match (meaning, leaf.header.verb) {
            (Meaning::Vote(stopped), Verb::Retract) if target.log.member == place.log.member => {
                self.vote(place, stopped, false, NOWHERE)
            }
            (Meaning::Incident(name), Verb::Incident) => {
                self.speak_of_incident(place, &leaf, statement, (name, held.verified_ms))?
            }
            (
                Meaning::Incident(_) | Meaning::OfIncident | Meaning::ResolutionOn(_),
                Verb::Erase,
            ) => self.erase_word(place, &target),
            (
                Meaning::Vote(_)
                | Meaning::Incident(_)
                | Meaning::ResolutionOn(_)
                | Meaning::OfIncident
                | Meaning::Plain,
                _,
            ) => return Err(Ignored::Senseless),
            (Meaning::Set(name), Verb::Halt) => self.halt_case(place, &leaf, &name)?,
            (Meaning::Set(name) | Meaning::OpinionOn(name), Verb::Erase) => {
                self.erase(place, &target, &leaf, name)
            }
            (Meaning::Set(name), Verb::Join) => self.join(place, statement, name)?,
            (Meaning::OpinionOn(name), Verb::Resolve) => {
                self.resolve(place, statement, name, &target)?
            }
            (meaning, _) => {
                let name = self.speak_of(place, &leaf, statement, meaning, held.verified_ms)?;
                name.into_iter().flat_map(|name| self.with_joined(name)).collect()
            }
        };
        self.meanings.note_plain(place);
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
            Quota::Flood => Err(Ignored::Flood),
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

    /// What the author of each log has used of its quotas at a moment.
    pub(crate) fn spent(&self, now_ms: u64) -> AllSpent {
        self.quotas.spent(now_ms)
    }

    /// Notes of a set that it acts at severity 4: within its author's quota, for a label that its charter
    /// names, and the one in force, so that nobody goes on with a label by never naming the charter that removed it.
    fn note_grave(&mut self, leaf: &Leaf, within_quota: bool) {
        let charter = self.authors.charter_of(&leaf.header);
        let labels = charter.map_or(&[][..], |charter| &charter.severity4_labels);
        let Some(set) = self.look(&leaf.commitment) else { return };
        let mut named = set.alert.iter().flat_map(|alert| &alert.labels);
        let grave = within_quota
            && named.any(|label| {
                labels.contains(label) && self.charter.severity4_labels.contains(label)
            });
        if grave != set.grave
            && let Some(set) = self.change(&leaf.commitment)
        {
            set.grave = grave;
        }
    }

    /// The charter that a record was written under.
    fn charter_of(&self, header: &Header) -> Option<&Charter> {
        self.authors.charter_of(header)
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
        let outcome = match statement {
            Some(Statement::Resolve { outcome, .. }) => Some(outcome),
            _ => None,
        };
        let dispute = (dispute.log.member.clone(), dispute.turn());
        let kept = self.look(&name).is_some_and(|set| set.has_said(&dispute));
        let set = self.change(&name).filter(|_| kept).ok_or(Ignored::Senseless)?;
        set.resolve(dispute, place, outcome);
        self.meanings.note(place, Meaning::ResolutionOn(name), &self.sets);
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
        self.with_joined(name).collect()
    }

    /// A set with those that somebody says are the same: its author may have a say in that.
    fn with_joined(&self, name: Commitment) -> impl Iterator<Item = Commitment> {
        let joined = self.joins.get(&name).into_iter().flatten().map(|(other, _)| *other);
        joined.chain([name])
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
        let alert = self.as_travelled(&leaf.header, alert);
        let incident = alert.as_ref().and_then(|alert| alert.incident);
        let stands = self.look(&name).is_none_or(|set| set.place == *place);
        if let Some(incident) = incident.filter(|_| stands) {
            self.name_incident(&incident, place, (&leaf.header, subject));
        }
        match self.look(&name) {
            None => {
                let mut header = leaf.header.clone();
                // One text for all the sets of a log: a name of their own in each takes 32 bytes, four times.
                header.coalition = place.log.coalition.clone();
                header.author_log = place.log.clone();
                if header.group.is_all() {
                    header.group = self.everybody.clone();
                }
                let mut set = SignalSet::new(leaf.commitment, place, &header, verified_ms);
                (set.subject, set.alert) = (subject, alert);
                let human = leaf.header.review.is_some_and(|review| review.is_human());
                let stance = Stance::Positive { human };
                let by_victim = false;
                let said = Said { stance, confirms: true, by_victim, verified_ms, hour: 0, name };
                set.hold(place, said);
                set.standing = self.standing(&set);
                let set = Arc::new(set);
                // There at once, for others to speak of.
                self.sets.put(set.clone());
                self.working.insert(name, set);
            }
            // Its record had been missing.
            Some(set) if set.place == *place => {
                let missing = alert.filter(|_| set.alert.is_none());
                if let (Some(alert), Some(set)) = (missing, self.change(&name)) {
                    set.alert = Some(alert);
                }
            }
            // Two leaves with one commitment would need one salt twice: the first one stands.
            Some(_) => {}
        }
        self.meanings.note(place, Meaning::Set(name), &self.sets);
        name
    }

    /// An alert without the signals that do not count under the charter that its record names.
    fn as_travelled(&self, header: &Header, mut alert: Option<Alert>) -> Option<Alert> {
        if let (Some(alert), Some(charter)) = (&mut alert, self.charter_of(header)) {
            charter.leave_out(&mut alert.signals);
        }
        alert
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

    /// The records that were erased and have to go from the store, once.
    pub fn take_erased(&mut self) -> Vec<Place> {
        self.erasures.take_due()
    }

    /// Entries that are to be folded again, once and some at a time: because there was no room for them to wait, and
    /// now there is, or because they are erased no more.
    pub fn take_again(&mut self) -> Vec<Place> {
        let mut again = self.erasures.take_again();
        again.extend(self.waiting.take_again());
        again
    }

    /// Whether there are any.
    #[must_use]
    pub fn has_again(&self) -> bool {
        self.erasures.has_again() || self.waiting.has_again()
    }

    /// Whether a record was erased, and is not to be asked for.
    #[must_use]
    pub fn is_erased(&self, place: &Place) -> bool {
        self.erasures.has(place)
    }
}
