//! One set of signals of a case, with all that was said of it.
//!
//! **Invariant:** what it holds depends on the records that speak of it, not on their order of arrival.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_signal::{
    alert::Alert,
    commitment::Commitment,
    header::Header,
    name::MemberName,
    statement::{AppealResult, AppealStage, Done, Resolution, Statement},
    tlp::Tlp,
};

use super::pack::{Pack, packed};
use crate::{
    halts::StoppedBy,
    place::{Place, Turn},
    policy::Facts,
    standing::{Opinion, Opinions, Renewal, Renewals, Stance, Standing, State},
};

/// One set of signals of a case with all opinions about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalSet {
    /// The commitment of the record that brought it.
    pub name: Commitment,
    /// The commitment of the founding assert.
    pub subject: Commitment,
    /// Where the record stands.
    pub place: Place,
    /// The record's header.
    pub header: Header,
    /// The record's body; `None` while it is a hole, and once it is erased.
    pub alert: Option<Alert>,
    /// Whether its record was erased, for good.
    pub erased: bool,
    /// When this node had verified the record.
    pub verified_ms: u64,
    /// The latest opinion of each member.
    pub opinions: Opinions,
    /// A record of a version unknown here speaks of it.
    pub unreadable: bool,
    /// What the opinions add up to.
    pub standing: Standing,
    /// Every opinion that stands in a log.
    pub(super) said: Sayings,
    /// What is said of few.
    rare: Option<Box<Rare>>,
    /// Whether it acts before it is CONFIRMED: severity 4, a label that the charter names, a person has looked,
    /// within its author's quota a day.
    pub grave: bool,
}

/// What is said of few sets, apart from the others, so that those have no room for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rare {
    /// The latest renewal of each member.
    pub(super) renewals: Renewals,
    /// The members that want the case halted.
    pub(super) halted_by: StoppedBy,
    /// Cases that either author says are the same.
    pub(super) joined: BTreeSet<Commitment>,
    /// What members count.
    pub(super) counts: Counts,
    /// Who wants which dispute ended how: by the member that disputes and its index.
    pub(super) resolutions: BTreeMap<(MemberName, Turn), BTreeMap<MemberName, (Turn, Resolution)>>,
    /// Who agrees with which retraction.
    pub(super) cosigned: BTreeMap<(MemberName, Turn), BTreeSet<MemberName>>,
    /// Members whose retraction is beyond their quota, and waits for a member of another organisation to
    /// agree.
    pub(super) waiting: BTreeSet<MemberName>,
}

/// What is said of nearly all.
static NOTHING: Rare = Rare {
    renewals: Renewals::new(),
    halted_by: StoppedBy::new(),
    joined: BTreeSet::new(),
    counts: Counts {
        sightings: BTreeMap::new(),
        outcomes: BTreeMap::new(),
        appeals: BTreeMap::new(),
    },
    resolutions: BTreeMap::new(),
    cosigned: BTreeMap::new(),
    waiting: BTreeSet::new(),
};

/// An opinion as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) stance: Stance,
    pub(super) verified_ms: u64,
    /// The hour, since 1970, that a retraction is counted in.
    pub(super) hour: u64,
    /// The record's commitment.
    pub(super) name: Commitment,
}

/// Who said what, and when: of one member in the order of its turns. A list, for there are few in most sets, and a
/// million sets: a map of maps takes two kilobytes for one opinion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sayings(Vec<Saying>);

impl Pack for Sayings {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Pack::unpack(from).map(Self)
    }
}

/// An opinion with the member that said it and its turn.
type Saying = (MemberName, Turn, Said);

impl Sayings {
    /// All, by member and turn.
    pub(super) fn all(&self) -> impl Iterator<Item = &Saying> {
        self.0.iter()
    }

    /// What one member said.
    pub(super) fn of(&self, member: &MemberName) -> &[Saying] {
        let from = self.0.partition_point(|(by, ..)| by < member);
        let count = self.0[from..].partition_point(|(by, ..)| by == member);
        &self.0[from..from + count]
    }

    fn find(&self, member: &MemberName, turn: Turn) -> Result<usize, usize> {
        self.0.binary_search_by(|(by, at, _)| (by, *at).cmp(&(member, turn)))
    }

    fn one(&self, member: &MemberName, turn: Turn) -> Option<&Said> {
        self.find(member, turn).ok().map(|place| &self.0[place].2)
    }

    fn one_mut(&mut self, member: &MemberName, turn: Turn) -> Option<&mut Said> {
        self.find(member, turn).ok().map(|place| &mut self.0[place].2)
    }

    fn insert(&mut self, member: &MemberName, turn: Turn, said: Said) {
        match self.find(member, turn) {
            Ok(place) => self.0[place].2 = said,
            Err(place) => {
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (member.clone(), turn, said));
            }
        }
    }

    fn remove(&mut self, member: &MemberName, turn: Turn) {
        if let Ok(place) = self.find(member, turn) {
            self.0.remove(place);
        }
    }
}

fn who((member, ..): &Saying) -> &MemberName {
    member
}

fn by_a_person((_, _, said): &&Saying) -> bool {
    said.stance == Stance::Positive { human: true }
}

/// What the last of these says, and since when a person has stood by the set.
fn opinion(said: &[Saying]) -> Option<Opinion> {
    let (_, turn, latest) = said.last()?;
    Some(Opinion {
        turn: *turn,
        verified_ms: latest.verified_ms,
        stance: latest.stance,
        stood_since_ms: said.iter().filter(by_a_person).map(|(.., said)| said.verified_ms).min(),
    })
}

/// What members count, in buckets: the number of binary digits. Of one member the latest word counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Copies seen, with the time in which they were, in milliseconds.
    pub sightings: BTreeMap<MemberName, Told<(u8, u64)>>,
    /// What was done with copies.
    pub outcomes: BTreeMap<(MemberName, Done), Told<u8>>,
    /// Appeals of users.
    pub appeals: BTreeMap<Place, (AppealStage, Option<AppealResult>)>,
}

/// What a member said last, with its place among all that it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<T> {
    /// The place.
    pub turn: Turn,
    /// What.
    pub what: T,
}

impl<T: Copy> Told<T> {
    /// Takes a word in, if it is the later one.
    pub(super) fn tell<K: Ord>(told: &mut BTreeMap<K, Self>, who: K, turn: Turn, what: T) {
        let latest = told.entry(who).or_insert(Self { turn, what });
        if latest.turn < turn {
            *latest = Self { turn, what };
        }
    }
}

packed!(Said { stance, verified_ms, hour, name });
packed!(Told<u8> { turn, what });
packed!(Told<(u8, u64)> { turn, what });
packed!(Counts { sightings, outcomes, appeals });
packed!(Rare { renewals, halted_by, joined, counts, resolutions, cosigned, waiting });
packed!(SignalSet {
    name,
    subject,
    place,
    header,
    alert,
    erased,
    verified_ms,
    opinions,
    unreadable,
    standing,
    said,
    rare,
    grave,
});

impl SignalSet {
    /// A set that nobody has an opinion of yet, of a case of its own.
    #[must_use]
    pub fn new(name: Commitment, place: &Place, header: &Header, verified_ms: u64) -> Self {
        Self {
            name,
            subject: name,
            place: place.clone(),
            header: header.clone(),
            alert: None,
            erased: false,
            verified_ms,
            opinions: Opinions::new(),
            unreadable: false,
            standing: Standing::default(),
            said: Sayings::default(),
            rare: None,
            grave: false,
        }
    }

    pub(super) fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING)
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The latest renewal of each member.
    #[must_use]
    pub fn renewals(&self) -> &Renewals {
        &self.rare().renewals
    }

    /// The members that want the case halted.
    #[must_use]
    pub fn halted_by(&self) -> &StoppedBy {
        &self.rare().halted_by
    }

    /// Cases that either author says are the same.
    #[must_use]
    pub fn joined(&self) -> &BTreeSet<Commitment> {
        &self.rare().joined
    }

    /// What members count.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.rare().counts
    }

    /// Members whose retraction is beyond their quota, and waits for a member of another organisation to
    /// agree.
    #[must_use]
    pub fn waiting(&self) -> &BTreeSet<MemberName> {
        &self.rare().waiting
    }

    /// Whether what adds up beside the standing is this.
    pub(super) fn is_beside(
        &self,
        halted_by: &StoppedBy,
        joined: &BTreeSet<Commitment>,
        waiting: &BTreeSet<MemberName>,
    ) -> bool {
        let rare = self.rare();
        (&rare.halted_by, &rare.joined, &rare.waiting) == (halted_by, joined, waiting)
    }

    /// Puts down what adds up beside the standing.
    pub(super) fn put_beside(
        &mut self,
        halted_by: StoppedBy,
        joined: BTreeSet<Commitment>,
        waiting: BTreeSet<MemberName>,
    ) {
        if !self.is_beside(&halted_by, &joined, &waiting) {
            let rare = self.rare_mut();
            (rare.halted_by, rare.joined, rare.waiting) = (halted_by, joined, waiting);
        }
    }

    /// The member that brought it.
    #[must_use]
    pub fn author(&self) -> &MemberName {
        &self.place.log.member
    }

    /// To whom what it says may be handed on.
    #[must_use]
    pub fn mark(&self) -> Tlp {
        let group = &self.header.group;
        self.alert.as_ref().map_or_else(|| Tlp::implied_by(group), |alert| alert.mark(group))
    }

    /// The state at a moment.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> State {
        self.standing.state(now_ms)
    }

    /// Takes a member's opinion in. The latest word counts; since when a person stood by the set
    /// does not move with it, so that saying it again lengthens nothing.
    pub(super) fn hold(&mut self, place: &Place, what: Said) {
        // What waited for its target is folded later than what came after it in its own log, and a
        // record that was missing is folded again in its place.
        self.said.insert(&place.log.member, place.turn(), what);
        self.opine(&place.log.member);
    }

    /// Forgets what an erased record said. A retraction stands by its leaf alone.
    pub(super) fn forget(&mut self, place: &Place) {
        if *place == self.place {
            (self.alert, self.erased) = (None, true);
        }
        let (member, turn) = (&place.log.member, place.turn());
        match self.said.one_mut(member, turn) {
            Some(Said { stance: Stance::Withdrawn { restore }, .. }) => *restore = true,
            Some(_) => self.said.remove(member, turn),
            None => {}
        }
        self.opine(member);
    }

    /// The opinion of a member, of all that it said.
    fn opine(&mut self, member: &MemberName) {
        match opinion(self.said.of(member)) {
            Some(opinion) => drop(self.opinions.insert(member.clone(), opinion)),
            None => drop(self.opinions.remove(member)),
        }
    }

    /// Takes in that a member agrees with a retraction of another; false if there is no such retraction.
    pub(super) fn cosign(
        &mut self,
        retraction: &Place,
        name: &Commitment,
        by: &MemberName,
    ) -> bool {
        let member = &retraction.log.member;
        let said = self.said.one(member, retraction.turn());
        let fits = said.is_some_and(|said| {
            said.name == *name && matches!(said.stance, Stance::Withdrawn { .. })
        });
        if fits && member != by {
            let cosigned = &mut self.rare_mut().cosigned;
            let agree = cosigned.entry((member.clone(), retraction.turn())).or_default();
            agree.insert(by.clone());
        }
        fits && member != by
    }

    /// Retractions of what their authors had stood by, with the hour that each is counted in.
    pub(super) fn undone(&self) -> Vec<(MemberName, Turn, u64)> {
        let mut undone = Vec::new();
        let mut stood_by = None;
        for (member, turn, said) in self.said.all() {
            match said.stance {
                Stance::Withdrawn { .. } if stood_by == Some(member) => {
                    undone.push((member.clone(), *turn, said.hour));
                    stood_by = None;
                }
                Stance::Positive { .. } => stood_by = Some(member),
                Stance::Withdrawn { .. } | Stance::Disputes => stood_by = None,
            }
        }
        undone
    }

    /// Members of which a person has ever stood by the set.
    pub(super) fn ever_stood(&self) -> impl Iterator<Item = &MemberName> {
        let mut stood: Vec<&MemberName> = self.said.all().filter(by_a_person).map(who).collect();
        stood.dedup();
        stood.into_iter()
    }

    /// What a member held before a retraction that does not count yet.
    pub(super) fn before(&self, member: &MemberName, retraction: Turn) -> Option<Opinion> {
        let said = self.said.of(member);
        let before = said.partition_point(|(_, turn, _)| *turn < retraction);
        let stood_since_ms = opinion(said)?.stood_since_ms;
        Some(Opinion { stood_since_ms, ..opinion(&said[..before])? })
    }

    /// What a member held before some place among all that it says.
    pub(super) fn as_of(&self, member: &MemberName, turn: Turn) -> Option<Opinion> {
        let said = self.said.of(member);
        opinion(&said[..said.partition_point(|(_, at, _)| *at < turn)])
    }

    /// The commitment of a member's retraction, if that is its latest word.
    #[must_use]
    pub fn retraction_of(&self, member: &MemberName) -> Option<(Turn, Commitment)> {
        let (_, turn, said) = self.said.of(member).last()?;
        matches!(said.stance, Stance::Withdrawn { .. }).then_some((*turn, said.name))
    }

    /// Takes a renewal in; of one member the latest counts.
    pub(super) fn renew(&mut self, place: &Place, renewal: Renewal) {
        let member = &place.log.member;
        if self.renewals().get(member).is_none_or(|latest| latest.turn < renewal.turn) {
            self.rare_mut().renewals.insert(member.clone(), renewal);
        }
    }

    /// Takes in that a member wants a dispute ended; of one member the latest word counts.
    pub(super) fn resolve(&mut self, dispute: (MemberName, Turn), place: &Place, how: Resolution) {
        let votes = self.rare_mut().resolutions.entry(dispute).or_default();
        let latest = votes.entry(place.log.member.clone()).or_insert((place.turn(), how));
        if latest.0 < place.turn() {
            *latest = (place.turn(), how);
        }
    }

    /// Takes in what a member counts.
    pub(super) fn count(&mut self, place: &Place, statement: &Statement) {
        let (member, turn) = (place.log.member.clone(), place.turn());
        let counts = &mut self.rare_mut().counts;
        match statement {
            Statement::Sighting { bucket, window_ms } => {
                Told::tell(&mut counts.sightings, member, turn, (*bucket, *window_ms));
            }
            Statement::Outcome { what, bucket } => {
                Told::tell(&mut counts.outcomes, (member, *what), turn, *bucket);
            }
            Statement::Appeal { stage, result } => {
                counts.appeals.insert(place.clone(), (*stage, *result));
            }
            _ => {}
        }
    }

    /// Whether a member has said anything that the standing depends on.
    pub(super) fn hears(&self, member: &MemberName) -> bool {
        let resolves = || self.rare().resolutions.values().any(|votes| votes.contains_key(member));
        let halts = || self.halted_by().contains_key(member);
        self.opinions.contains_key(member) || halts() || resolves()
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
            critical: self.standing.is_lifted(now_ms),
            grave: self.grave,
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
