//! The fold of all logs into cases: what every member holds of every alert.
//!
//! **Invariant:** the cases depend on the entries folded, not on the order in which the logs came;
//! what speaks of a leaf that is not here yet waits for it.
//! **Invariant:** time enters only through [`SignalSet::state`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use watchfire_signal::{
    alert::Alert,
    charter::{Charter, Member, Role},
    commitment::Commitment,
    header::{Header, Target},
    name::{LogName, MemberName},
    record::{DecodeError, Leaf, open},
    statement::{Basis, MemberStep, Statement},
    verb::Verb,
};
use watchfire_store::Held;

use crate::{
    halts::{Halts, MemberStops, Stopped, StoppedBy, Vote},
    policy::Facts,
    standing::{Opinion, Renewal, Rules, Stance, Standing, State},
    waiting::Waiting,
};

pub use crate::place::Place;

/// One set of signals of a case with all opinions about it.
#[derive(Debug, Clone)]
pub struct SignalSet {
    /// The commitment of the record that brought it.
    pub name: Commitment,
    /// The commitment of the founding assert.
    pub subject: Commitment,
    /// Where the record stands.
    pub place: Place,
    /// The record's header.
    pub header: Header,
    /// The record's body; `None` while it is a hole.
    pub alert: Option<Alert>,
    /// When this node had verified the record.
    pub verified_ms: u64,
    /// The latest opinion of each member.
    pub opinions: BTreeMap<MemberName, Opinion>,
    /// The latest renewal of each member.
    pub renewals: BTreeMap<MemberName, Renewal>,
    /// The members that want the case halted.
    pub halted_by: StoppedBy,
    /// A record of a version unknown here speaks of it.
    pub unreadable: bool,
    /// What the opinions add up to.
    pub standing: Standing,
}

impl SignalSet {
    /// The member that brought it.
    #[must_use]
    pub fn author(&self) -> &MemberName {
        &self.place.log.member
    }

    /// The state at a moment.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> State {
        self.standing.state(now_ms)
    }

    /// Takes a member's opinion in. The latest word counts; since when a person stood by the set
    /// does not move with it, so that saying it again lengthens nothing.
    fn hold(&mut self, place: &Place, stance: Stance, verified_ms: u64) {
        let stood_since_ms = (stance == Stance::Positive { human: true }).then_some(verified_ms);
        let opinion = Opinion { index: place.index, verified_ms, stance, stood_since_ms };
        let member = place.log.member.clone();
        let latest = self.opinions.entry(member).or_insert_with(|| opinion.clone());
        // What waited for its target is folded later than what came after it in its own log, and a
        // record that was missing is folded again in its place.
        let since = latest.stood_since_ms.into_iter().chain(stood_since_ms).min();
        if latest.index <= place.index {
            *latest = opinion;
        }
        latest.stood_since_ms = since;
    }

    /// Takes a renewal in; of one member the latest counts.
    fn renew(&mut self, place: &Place, renewal: Renewal) {
        let member = place.log.member.clone();
        let latest = self.renewals.entry(member).or_insert_with(|| renewal.clone());
        if latest.index < renewal.index {
            *latest = renewal;
        }
    }

    /// What policy looks at, apart from item and match.
    #[must_use]
    pub fn facts(&self, me: &MemberName, now_ms: u64) -> Facts {
        let that = |fits: &dyn Fn(Stance) -> bool| {
            let heard = |member| !self.standing.silenced.contains(member);
            let opinions = self.opinions.iter();
            let opinions = opinions.filter(|(member, of)| heard(*member) && fits(of.stance));
            opinions.map(|(member, _)| member.clone()).collect::<BTreeSet<_>>()
        };
        let looked = that(&|stance| stance == Stance::Positive { human: true });
        let alert = self.alert.as_ref();
        Facts {
            at_ms: now_ms,
            source: Some(self.author().clone()),
            state: Some(self.state(now_ms)),
            was_confirmed: self.standing.needs_person(),
            own: looked.contains(me),
            members: that(&|stance| matches!(stance, Stance::Positive { .. })),
            looked,
            confirmations: self.standing.confirmations,
            drill: self.header.test,
            unreadable: self.unreadable,
            labels: alert.map_or_else(Vec::new, |alert| alert.labels.clone()),
            severity: self.header.severity.unwrap_or(0),
            confidence: alert.map(|alert| alert.confidence),
            provenance: Some(self.header.provenance),
            exceptions: alert.map_or_else(Vec::new, |alert| alert.exceptions.clone()),
            ..Facts::default()
        }
    }
}

/// What a leaf turned out to be, for those that speak of it later.
#[derive(Debug, Clone)]
enum Meaning {
    Set(Commitment),
    OpinionOn(Commitment),
    Vote(Stopped),
}

/// All cases.
#[derive(Debug)]
pub struct Cases {
    charter: Arc<Charter>,
    sets: HashMap<Commitment, SignalSet>,
    /// The sets that were added to a case, by its founding assert.
    added: HashMap<Commitment, Vec<Commitment>>,
    meanings: HashMap<Place, Meaning>,
    halts: Halts,
    stops_changed: bool,
    waiting: Waiting,
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
        }
    }
}

impl Cases {
    /// No cases yet, under a charter.
    #[must_use]
    pub fn new(charter: Arc<Charter>) -> Self {
        Self {
            charter,
            sets: HashMap::new(),
            added: HashMap::new(),
            meanings: HashMap::new(),
            halts: Halts::default(),
            stops_changed: false,
            waiting: Waiting::default(),
        }
    }

    /// A signal set by its name.
    #[must_use]
    pub fn set(&self, name: &Commitment) -> Option<&SignalSet> {
        self.sets.get(name)
    }

    /// All signal sets.
    pub fn sets(&self) -> impl Iterator<Item = &SignalSet> {
        self.sets.values()
    }

    /// Folds one verified entry and whatever waited for it; answers the names of the sets touched.
    /// An entry whose record was missing is folded again once the record is here.
    pub fn fold(&mut self, log: &LogName, held: Held) -> (Vec<Commitment>, Option<Ignored>) {
        let mut touched = Vec::new();
        let mut ignored = None;
        let mut todo = vec![(log.clone(), held)];
        while let Some((log, held)) = todo.pop() {
            let place = Place { log, index: held.index };
            match self.fold_one(&place, held) {
                Ok(names) => touched.extend(names),
                Err(why) => ignored = Some(why),
            }
            todo.extend(self.waiting.take(&place));
        }
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
        // A record that is not the leaf's own was dropped when it came; what is here fits.
        let record = held.entry.record.as_ref();
        let statement = record.and_then(|record| open(&leaf, record).ok());
        match leaf.header.verb {
            Verb::Assert => Ok(vec![self.found(place, &leaf, statement, held.verified_ms)]),
            Verb::Amend
            | Verb::Variant
            | Verb::Confirm
            | Verb::Dispute
            | Verb::Retract
            | Verb::Renew => self.speak(place, leaf, statement, held),
            Verb::Halt if leaf.header.target.is_some() => self.speak(place, leaf, statement, held),
            Verb::Halt | Verb::Member => self.stop_member(place, &leaf, statement),
            // These say nothing about the state of a case yet; they stay in the log.
            _ => Ok(Vec::new()),
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
        match (self.meanings.get(&target).cloned(), leaf.header.verb) {
            (None, _) => self.wait(target, place, held).map(|()| Vec::new()),
            (Some(Meaning::Vote(stopped)), Verb::Retract) if target.log == place.log => {
                Ok(self.vote(place, stopped, false, 0))
            }
            (Some(Meaning::Vote(_)), _) => Err(Ignored::Senseless),
            (Some(Meaning::Set(name)), Verb::Halt) => self.halt_case(place, &leaf, &name),
            (Some(meaning), _) => {
                let name = self.speak_of(place, &leaf, statement, meaning, held.verified_ms)?;
                Ok(name.into_iter().collect())
            }
        }
    }

    /// Takes in that a member wants a case halted; its leaf alone says so.
    fn halt_case(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        name: &Commitment,
    ) -> Result<Vec<Commitment>, Ignored> {
        let set = self.sets.get(name).ok_or(Ignored::Senseless)?;
        if set.subject != *name || leaf.header.test != set.header.test {
            return Err(Ignored::Senseless);
        }
        Ok(self.vote(place, Stopped::Case(*name), true, 0))
    }

    /// Takes in that a member wants another halted or suspended.
    fn stop_member(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
    ) -> Result<Vec<Commitment>, Ignored> {
        let (stopped, size) = match statement {
            Some(Statement::Halt { member: Some(member) }) => (Stopped::Halt(member), 0),
            Some(Statement::Member { step: MemberStep::Suspend, member, last: Some(last) }) => {
                (Stopped::Suspension(member), last.size)
            }
            // A hole is folded again when its body is here; proposals are the charter's.
            _ => return Ok(Vec::new()),
        };
        if leaf.header.test {
            return Err(Ignored::Senseless);
        }
        Ok(self.vote(place, stopped, true, size))
    }

    /// Takes a vote in; answers the sets that stand differently then.
    fn vote(
        &mut self,
        place: &Place,
        stopped: Stopped,
        stands: bool,
        size: u64,
    ) -> Vec<Commitment> {
        let vote = Vote { index: place.index, stands, size };
        let by = place.log.member.clone();
        let touched = match &stopped {
            Stopped::Case(subject) => {
                self.halts.vote(&stopped, by, vote);
                let added = self.added.get(subject).into_iter().flatten();
                [subject].into_iter().chain(added).copied().collect()
            }
            Stopped::Halt(member) | Stopped::Suspension(member) => {
                self.stops_changed = true;
                let before = self.halts.voice(member, &self.charter);
                self.halts.vote(&stopped, by, vote);
                let changed = before != self.halts.voice(member, &self.charter);
                let sets = self.sets.values().filter(|set| set.opinions.contains_key(member));
                sets.filter(|_| changed).map(|set| set.name).collect()
            }
        };
        self.meanings.insert(place.clone(), Meaning::Vote(stopped));
        touched
    }

    /// Who has voted for a stop of each member, if that has changed since the last call.
    pub fn changed_stops(&mut self) -> Option<BTreeMap<MemberName, MemberStops>> {
        let stops = |member: &Member| self.halts.of_member(&member.name, &self.charter);
        let members = self.charter.members.iter();
        std::mem::take(&mut self.stops_changed)
            .then(|| members.map(|member| (member.name.clone(), stops(member))).collect())
    }

    fn check_author(&self, place: &Place, header: &Header) -> Result<(), Ignored> {
        let charter = &self.charter;
        let same_charter = header.charter.seq < charter.seq
            || (header.charter.seq == charter.seq && header.charter.hash == charter.hash());
        if header.author_log != place.log || header.coalition != charter.coalition || !same_charter
        {
            return Err(Ignored::Foreign);
        }
        let author = charter.member_of_log(&place.log).ok_or(Ignored::Foreign)?;
        if may_say(author.role, header.verb) { Ok(()) } else { Err(Ignored::NotAllowed) }
    }

    fn found(
        &mut self,
        place: &Place,
        leaf: &Leaf,
        statement: Option<Statement>,
        verified_ms: u64,
    ) -> Commitment {
        let alert = match statement {
            Some(Statement::Assert(alert)) => Some(alert),
            _ => None,
        };
        self.insert_set(place, leaf, leaf.commitment, alert, verified_ms)
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
        let human = leaf.header.review.is_some_and(|review| review.is_human());
        let stance = Stance::Positive { human };
        let opinion = Opinion {
            index: place.index,
            verified_ms,
            stance,
            stood_since_ms: human.then_some(verified_ms),
        };
        let opinions = BTreeMap::from([(place.log.member.clone(), opinion)]);
        let standing = self.standing(&subject, &opinions, &BTreeMap::new(), 0);
        let set = SignalSet {
            name,
            subject,
            place: place.clone(),
            header: leaf.header.clone(),
            alert,
            verified_ms,
            opinions,
            renewals: BTreeMap::new(),
            halted_by: StoppedBy::new(),
            unreadable: false,
            standing,
        };
        match self.sets.entry(name) {
            Entry::Vacant(free) => drop(free.insert(set)),
            // Its record had been missing.
            Entry::Occupied(mut there) if there.get().place == *place => {
                let there = there.get_mut();
                there.alert = there.alert.take().or(set.alert);
            }
            // Two leaves with one commitment would need one salt twice: the first one stands.
            Entry::Occupied(_) => {}
        }
        let new = self.meanings.insert(place.clone(), Meaning::Set(name)).is_none();
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
            Meaning::Vote(_) => return Err(Ignored::Senseless),
        };
        let set = self.sets.get_mut(&name).ok_or(Ignored::Senseless)?;
        if leaf.header.test != set.header.test {
            // A drill says nothing about the real thing, nor the other way round.
            return Err(Ignored::Senseless);
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
            (Verb::Renew, Some(Statement::Renew { valid_until })) if is_set => {
                set.renew(place, Renewal { index: place.index, verified_ms, valid_until });
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
                set.hold(place, stance, verified_ms);
                self.meanings.insert(place.clone(), Meaning::OpinionOn(name));
                Ok(Some(name))
            }
        }
    }

    fn wait(&mut self, target: Place, place: &Place, held: Held) -> Result<(), Ignored> {
        if self.charter.member_of_log(&target.log).is_none() {
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
        let author = self.charter.member_of_log(&place.log).ok_or(Ignored::Foreign)?;
        if !may_speak_of_cases(author.role) {
            return Err(Ignored::NotAllowed);
        }
        let target = Place { log: target.log.clone(), index: target.index };
        match self.meanings.get(&target) {
            Some(Meaning::Set(name) | Meaning::OpinionOn(name)) => {
                if let Some(set) = self.sets.get_mut(name) {
                    set.unreadable = true;
                }
                Ok(vec![*name])
            }
            Some(Meaning::Vote(_)) => Ok(Vec::new()),
            None => self.wait(target, place, held).map(|()| Vec::new()),
        }
    }

    fn add_up(&mut self, name: &Commitment) {
        let Some(set) = self.sets.get(name) else { return };
        let valid_until = set.alert.as_ref().map_or(u64::MAX, |alert| alert.valid_until);
        let standing = self.standing(&set.subject, &set.opinions, &set.renewals, valid_until);
        let halted_by = self.halts.halted_by(&set.subject);
        if let Some(set) = self.sets.get_mut(name) {
            (set.standing, set.halted_by) = (standing, halted_by);
        }
    }

    fn standing(
        &self,
        subject: &Commitment,
        opinions: &BTreeMap<MemberName, Opinion>,
        renewals: &BTreeMap<MemberName, Renewal>,
        valid_until: u64,
    ) -> Standing {
        let rules = Rules {
            organisation: &|member| self.charter.organisation_of(member).cloned(),
            confirm_quorum: self.charter.quorum_confirm(),
            dispute_quorum: self.charter.quorum_dispute(),
            voice: &|member| self.halts.voice(member, &self.charter),
            halted: self.halts.is_halted(subject, &self.charter),
        };
        Standing::of(opinions, renewals, valid_until, &rules)
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
            let own = leaf.header.target.as_ref().is_some_and(|target| target.log == place.log);
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
