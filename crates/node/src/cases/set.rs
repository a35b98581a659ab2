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

use crate::{
    halts::StoppedBy,
    place::{Place, Turn},
    policy::Facts,
    standing::{Opinion, Renewal, Stance, Standing, State},
};

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
    /// The record's body; `None` while it is a hole, and once it is erased.
    pub alert: Option<Alert>,
    /// Whether its record was erased, for good.
    pub erased: bool,
    /// When this node had verified the record.
    pub verified_ms: u64,
    /// The latest opinion of each member.
    pub opinions: BTreeMap<MemberName, Opinion>,
    /// The latest renewal of each member.
    pub renewals: BTreeMap<MemberName, Renewal>,
    /// The members that want the case halted.
    pub halted_by: StoppedBy,
    /// Cases that either author says are the same.
    pub joined: BTreeSet<Commitment>,
    /// What members count.
    pub counts: Counts,
    /// A record of a version unknown here speaks of it.
    pub unreadable: bool,
    /// What the opinions add up to.
    pub standing: Standing,
    /// Every opinion that stands in a log, by its index there.
    pub(super) said: BTreeMap<MemberName, BTreeMap<Turn, Said>>,
    /// Who wants which dispute ended how: by the member that disputes and its index.
    pub(super) resolutions: BTreeMap<(MemberName, Turn), BTreeMap<MemberName, (Turn, Resolution)>>,
    /// Who agrees with which retraction.
    pub(super) cosigned: BTreeMap<(MemberName, Turn), BTreeSet<MemberName>>,
    /// Members whose retraction is beyond their quota, and waits for a member of another organisation to
    /// agree.
    pub waiting: BTreeSet<MemberName>,
    /// Whether it acts before it is CONFIRMED: severity 4, a label that the charter names, a person has looked,
    /// within its author's quota a day.
    pub grave: bool,
}

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
            opinions: BTreeMap::new(),
            renewals: BTreeMap::new(),
            halted_by: StoppedBy::new(),
            joined: BTreeSet::new(),
            counts: Counts::default(),
            unreadable: false,
            standing: Standing::default(),
            said: BTreeMap::new(),
            resolutions: BTreeMap::new(),
            cosigned: BTreeMap::new(),
            waiting: BTreeSet::new(),
            grave: false,
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
        let member = &place.log.member;
        let said = self.said.entry(member.clone()).or_default();
        // What waited for its target is folded later than what came after it in its own log, and a
        // record that was missing is folded again in its place.
        said.insert(place.turn(), what);
        self.opine(&member.clone());
    }

    /// Forgets what an erased record said. A retraction stands by its leaf alone.
    pub(super) fn forget(&mut self, place: &Place) {
        if *place == self.place {
            (self.alert, self.erased) = (None, true);
        }
        let member = place.log.member.clone();
        let Some(said) = self.said.get_mut(&member) else { return };
        match said.get_mut(&place.turn()) {
            Some(Said { stance: Stance::Withdrawn { restore }, .. }) => *restore = true,
            Some(_) => drop(said.remove(&place.turn())),
            None => {}
        }
        self.opine(&member);
    }

    /// The opinion of a member, of all that it said.
    fn opine(&mut self, member: &MemberName) {
        let said = self.said.get(member);
        let Some((turn, latest)) = said.and_then(BTreeMap::last_key_value) else {
            self.opinions.remove(member);
            return;
        };
        let stood = said.into_iter().flatten().map(|(_, said)| said);
        let stood = stood.filter(|said| said.stance == Stance::Positive { human: true });
        let opinion = Opinion {
            turn: *turn,
            verified_ms: latest.verified_ms,
            stance: latest.stance,
            stood_since_ms: stood.map(|said| said.verified_ms).min(),
        };
        self.opinions.insert(member.clone(), opinion);
    }

    /// Takes in that a member agrees with a retraction of another; false if there is no such retraction.
    pub(super) fn cosign(
        &mut self,
        retraction: &Place,
        name: &Commitment,
        by: &MemberName,
    ) -> bool {
        let member = &retraction.log.member;
        let said = self.said.get(member).and_then(|said| said.get(&retraction.turn()));
        let fits = said.is_some_and(|said| {
            said.name == *name && matches!(said.stance, Stance::Withdrawn { .. })
        });
        if fits && member != by {
            let cosigned = self.cosigned.entry((member.clone(), retraction.turn())).or_default();
            cosigned.insert(by.clone());
        }
        fits && member != by
    }

    /// Retractions of what their authors had stood by, with the hour that each is counted in.
    pub(super) fn undone(&self) -> Vec<(MemberName, Turn, u64)> {
        let mut undone = Vec::new();
        for (member, said) in &self.said {
            let mut stood = false;
            for (turn, said) in said {
                match said.stance {
                    Stance::Withdrawn { .. } if stood => {
                        undone.push((member.clone(), *turn, said.hour));
                        stood = false;
                    }
                    Stance::Positive { .. } => stood = true,
                    Stance::Withdrawn { .. } | Stance::Disputes => stood = false,
                }
            }
        }
        undone
    }

    /// Members of which a person has ever stood by the set.
    pub(super) fn ever_stood(&self) -> impl Iterator<Item = &MemberName> {
        let human = |said: &Said| said.stance == Stance::Positive { human: true };
        let stood = self.said.iter().filter(move |(_, said)| said.values().any(human));
        stood.map(|(member, _)| member)
    }

    /// What a member held before a retraction that does not count yet.
    pub(super) fn before(&self, member: &MemberName, retraction: Turn) -> Option<Opinion> {
        let said = self.said.get(member)?;
        let (turn, latest) = said.range(..retraction).next_back()?;
        let human = Stance::Positive { human: true };
        let stood = said.values().filter(|said| said.stance == human);
        Some(Opinion {
            turn: *turn,
            verified_ms: latest.verified_ms,
            stance: latest.stance,
            stood_since_ms: stood.map(|said| said.verified_ms).min(),
        })
    }

    /// The commitment of a member's retraction, if that is its latest word.
    #[must_use]
    pub fn retraction_of(&self, member: &MemberName) -> Option<(Turn, Commitment)> {
        let (turn, said) = self.said.get(member)?.last_key_value()?;
        matches!(said.stance, Stance::Withdrawn { .. }).then_some((*turn, said.name))
    }

    /// Takes a renewal in; of one member the latest counts.
    pub(super) fn renew(&mut self, place: &Place, renewal: Renewal) {
        let member = place.log.member.clone();
        let latest = self.renewals.entry(member).or_insert_with(|| renewal.clone());
        if latest.turn < renewal.turn {
            *latest = renewal;
        }
    }

    /// Takes in that a member wants a dispute ended; of one member the latest word counts.
    pub(super) fn resolve(&mut self, dispute: (MemberName, Turn), place: &Place, how: Resolution) {
        let votes = self.resolutions.entry(dispute).or_default();
        let latest = votes.entry(place.log.member.clone()).or_insert((place.turn(), how));
        if latest.0 < place.turn() {
            *latest = (place.turn(), how);
        }
    }

    /// Takes in what a member counts.
    pub(super) fn count(&mut self, place: &Place, statement: &Statement) {
        let (member, turn) = (place.log.member.clone(), place.turn());
        let counts = &mut self.counts;
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
        let resolves = || self.resolutions.values().any(|votes| votes.contains_key(member));
        self.opinions.contains_key(member) || resolves()
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
