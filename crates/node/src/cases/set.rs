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

use super::{
    pack::packed,
    sayings::{
        Erased, ErasedWords, Hearing, NO_END, OwnErasure, Said, Saying, Sayings, by_a_person,
        undone,
    },
};
use crate::{
    halts::StoppedBy,
    place::{Place, Turn},
    policy::Facts,
    standing::{Opinion, Opinions, Renewal, Renewals, Stance, Standing, State},
};

/// Appeals about a set that are kept of one log, its first ones.
const MAX_APPEALS: usize = 32;

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
    /// A record of a version unknown here speaks of it, by a member whose word counts.
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

/// How each member wants a dispute ended by its latest word; `None` where the record of that is not here.
type Ends = BTreeMap<MemberName, (Turn, Option<Resolution>)>;

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
    pub(super) resolutions: BTreeMap<(MemberName, Turn), Ends>,
    /// Who agrees with which retraction.
    pub(super) cosigned: BTreeMap<(MemberName, Turn), BTreeSet<MemberName>>,
    /// What was erased of what members said.
    pub(super) erased: ErasedWords,
    /// Members that speak of it in a version unknown here.
    pub(super) unread: BTreeSet<MemberName>,
    /// Members whose retraction or erasure is beyond their quota, and waits for a member of another organisation to
    /// agree: with it.
    pub(super) waiting: WaitingWords,
}

/// Retractions and erasures that wait, by member.
pub type WaitingWords = BTreeMap<MemberName, (Turn, Commitment)>;

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
    erased: ErasedWords::new(),
    unread: BTreeSet::new(),
    waiting: WaitingWords::new(),
};

/// What members count, in buckets: the number of binary digits. Of one member the latest word counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Copies seen, with the time in which they were, in milliseconds.
    pub sightings: BTreeMap<MemberName, Told<(u8, u64)>>,
    /// What was done with copies.
    pub outcomes: BTreeMap<(MemberName, Done), Told<u8>>,
    /// Appeals of users, of each log the first ones.
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

packed!(Told<u8> { turn, what });
packed!(Told<(u8, u64)> { turn, what });
packed!(Counts { sightings, outcomes, appeals });
packed!(Rare {
    renewals,
    halted_by,
    joined,
    counts,
    resolutions,
    cosigned,
    erased,
    unread,
    waiting
});
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

    /// Members whose retraction or erasure is beyond their quota, and waits for a member of another organisation to
    /// agree: its place and commitment.
    #[must_use]
    pub fn waiting(&self) -> &WaitingWords {
        &self.rare().waiting
    }

    /// Whether what adds up beside the standing is this.
    pub(super) fn is_beside(
        &self,
        halted_by: &StoppedBy,
        joined: &BTreeSet<Commitment>,
        waiting: &WaitingWords,
    ) -> bool {
        let rare = self.rare();
        (&rare.halted_by, &rare.joined, &rare.waiting) == (halted_by, joined, waiting)
    }

    /// Puts down what adds up beside the standing.
    pub(super) fn put_beside(
        &mut self,
        halted_by: StoppedBy,
        joined: BTreeSet<Commitment>,
        waiting: WaitingWords,
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

    /// Whether a word that is not here would be kept.
    pub(super) fn has_room(&self, place: &Place, what: &Said) -> bool {
        self.said.has_room(&place.log.member, place.turn(), what)
    }

    /// Takes a member's opinion in. The latest word counts; since when a person stood by the set
    /// does not move with it, so that saying it again lengthens nothing.
    pub(super) fn hold(&mut self, place: &Place, what: Said) {
        // What waited for its target is folded later than what came after it in its own log, and a
        // record that was missing is folded again in its place; without it nothing new is known.
        let (member, turn) = (&place.log.member, place.turn());
        let known = self.said.one(member, turn).filter(|_| what.stance == Stance::Nothing);
        let stance = known.map_or(what.stance, |known| known.stance);
        for gone in self.said.insert(member, turn, Said { stance, ..what }) {
            if let Some(rare) = &mut self.rare {
                let gone = (member.clone(), gone);
                rare.erased.remove(&gone);
                rare.cosigned.remove(&gone);
                rare.resolutions.remove(&gone);
            }
        }
        self.opine(member);
    }

    /// Forgets what an erased record said. A retraction stands by its leaf alone.
    pub(super) fn forget(&mut self, place: &Place, own: Option<OwnErasure>, by_many: bool) {
        let founding = *place == self.place;
        if founding {
            (self.alert, self.erased, self.grave) = (None, true, false);
        }
        let (member, turn) = (&place.log.member, place.turn());
        match self.said.one_mut(member, turn) {
            Some(Said { stance: Stance::Withdrawn { restore }, .. }) => *restore = true,
            Some(said) => {
                if !founding {
                    said.stance = Stance::Nothing;
                }
                let words = &mut self.rare.get_or_insert_default().erased;
                let Erased { own: first, by_many: many } =
                    words.entry((member.clone(), turn)).or_default();
                *many = by_many;
                let earlier = |own: &OwnErasure| first.is_none_or(|first| own.turn <= first.turn);
                if let Some(own) = own.filter(earlier) {
                    *first = Some(own);
                }
            }
            None => {}
        }
        self.opine(member);
    }

    /// Takes in that a record is erased no more. What it said is known again once it is folded again.
    pub(super) fn remember(&mut self, place: &Place) {
        self.erased &= *place != self.place;
        if let Some(rare) = &mut self.rare {
            rare.erased.remove(&(place.log.member.clone(), place.turn()));
        }
        self.opine(&place.log.member);
    }

    /// The opinion of a member, of all that it said.
    fn opine(&mut self, member: &MemberName) {
        match self.heard(member, NO_END, &|_| false) {
            Some(opinion) => drop(self.opinions.insert(member.clone(), opinion)),
            None => drop(self.opinions.remove(member)),
        }
    }

    /// The opinion of a member by what it said before some place, without those of its retractions and erasures that
    /// do not count yet.
    pub(super) fn heard(
        &self,
        member: &MemberName,
        until: Turn,
        waits: &dyn Fn(Turn) -> bool,
    ) -> Option<Opinion> {
        let (said, erased) = (self.said.of(member), &self.rare().erased);
        Hearing { said, erased, until, waits }.opinion()
    }

    /// Whether a member says, or erases, something from a place on.
    pub(super) fn speaks_after(&self, member: &MemberName, until: Turn) -> bool {
        let said = self.said.of(member).last().is_some_and(|(_, turn, _)| *turn >= until);
        said || self.erasures_of(member).any(|own| own.turn >= until)
    }

    /// Erasures by a member of what it said itself.
    fn erasures_of(&self, member: &MemberName) -> impl Iterator<Item = OwnErasure> {
        let erased = self.rare().erased.iter().filter(move |((by, _), _)| by == member);
        erased.filter_map(|(_, erased)| erased.own)
    }

    /// Takes in that a member agrees with a retraction or erasure of another; false if there is no such one.
    pub(super) fn cosign(
        &mut self,
        retraction: &Place,
        name: &Commitment,
        by: &MemberName,
    ) -> bool {
        let (member, turn) = (&retraction.log.member, retraction.turn());
        let said = self.said.one(member, turn).is_some_and(|said| {
            said.name == *name && matches!(said.stance, Stance::Withdrawn { .. })
        });
        let erases = |own: OwnErasure| own.turn == turn && own.name == *name;
        let fits = member != by && (said || self.erasures_of(member).any(erases));
        if fits {
            let cosigned = &mut self.rare_mut().cosigned;
            cosigned.entry((member.clone(), turn)).or_default().insert(by.clone());
        }
        fits
    }

    /// Retractions and erasures of what their authors had stood by, with the hour that each is counted in and its
    /// commitment.
    pub(super) fn undone(&self) -> Vec<(MemberName, Turn, u64, Commitment)> {
        let withdraws = |(.., said): &Saying| matches!(said.stance, Stance::Withdrawn { .. });
        // As with nearly all sets.
        if self.rare().erased.is_empty() && !self.said.all().any(withdraws) {
            return Vec::new();
        }
        let members: BTreeSet<_> = self.said.all().map(|(member, ..)| member).collect();
        let of = |member: &MemberName| {
            let undone = undone(self.said.of(member), &self.rare().erased).into_iter();
            undone.map(|(turn, hour, name)| (member.clone(), turn, hour, name)).collect::<Vec<_>>()
        };
        members.into_iter().flat_map(of).collect()
    }

    /// Members of which a person has ever stood by the set.
    pub(super) fn ever_stood(&self) -> impl Iterator<Item = &MemberName> {
        let stood = self.said.all().filter(|saying| by_a_person(&self.rare().erased, saying));
        let mut stood: Vec<&MemberName> = stood.map(|(member, ..)| member).collect();
        stood.dedup();
        stood.into_iter()
    }

    /// Takes in that a member speaks of it in a version unknown here.
    pub(super) fn speak_unknown(&mut self, by: &MemberName) {
        self.rare_mut().unread.insert(by.clone());
    }

    /// Takes a renewal in; of one member the latest counts.
    pub(super) fn renew(&mut self, place: &Place, renewal: Renewal) {
        let member = &place.log.member;
        if self.renewals().get(member).is_none_or(|latest| latest.turn < renewal.turn) {
            self.rare_mut().renewals.insert(member.clone(), renewal);
        }
    }

    /// Whether a word of a member is one of those that are kept.
    pub(super) fn has_said(&self, (member, turn): &(MemberName, Turn)) -> bool {
        self.said.one(member, *turn).is_some()
    }

    /// Takes in that a member wants a dispute ended; of one member the latest word counts, by its leaf: without its
    /// record, which is missing or erased, it says nothing, and nor does what its author had said before.
    pub(super) fn resolve(
        &mut self,
        dispute: (MemberName, Turn),
        place: &Place,
        how: Option<Resolution>,
    ) {
        let votes = self.rare_mut().resolutions.entry(dispute).or_default();
        let latest = votes.entry(place.log.member.clone()).or_insert((place.turn(), how));
        if latest.0 < place.turn() || (latest.0 == place.turn() && how.is_some()) {
            *latest = (place.turn(), how);
        }
    }

    /// Forgets how a member wanted a dispute ended by a record that is erased.
    pub(super) fn forget_resolution(&mut self, erased: &Place) {
        let votes = self.rare_mut().resolutions.values_mut();
        let its = votes.filter_map(|votes| votes.get_mut(&erased.log.member));
        its.filter(|latest| latest.0 == erased.turn()).for_each(|latest| latest.1 = None);
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
                let at = |index| Place { index, ..place.clone() };
                let its = counts.appeals.range(at(0)..=at(u64::MAX));
                if let Some(beyond) = its.map(|(place, _)| place.clone()).nth(MAX_APPEALS) {
                    counts.appeals.remove(&beyond);
                }
            }
            _ => {}
        }
    }

    /// Whether a member has said anything that the standing depends on.
    pub(super) fn hears(&self, member: &MemberName) -> bool {
        let resolves = || self.rare().resolutions.values().any(|votes| votes.contains_key(member));
        let halts = || self.halted_by().contains_key(member);
        let unread = || self.rare().unread.contains(member);
        let cosigns = || self.rare().cosigned.values().any(|by| by.contains(member));
        self.opinions.contains_key(member) || halts() || resolves() || unread() || cosigns()
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
        let own = looked.contains(me);
        let alert = self.alert.as_ref();
        Facts {
            at_ms: now_ms,
            source: Some(self.author().clone()),
            state: Some(self.state(now_ms)),
            was_confirmed: self.standing.needs_person(),
            own,
            doubted: own && self.is_doubted(me, now_ms),
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

    /// Whether others have come to think otherwise, and too few still stand by it for CONFIRMED.
    fn is_doubted(&self, me: &MemberName, now_ms: u64) -> bool {
        let open =
            matches!(self.state(now_ms), State::Proposed | State::Provisional | State::Disputed);
        let doubts = |of: &Opinion| match of.stance {
            Stance::Withdrawn { .. } => of.stood_since_ms.is_some(),
            Stance::Disputes => true,
            Stance::Positive { .. } | Stance::Nothing => false,
        };
        let others = self.opinions.iter().filter(|(member, _)| *member != me);
        let mut heard = others.filter(|(member, _)| !self.standing.silenced.contains(*member));
        open && heard.any(|(_, of)| doubts(of))
    }
}
