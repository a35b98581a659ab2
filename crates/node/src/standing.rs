//! The state of a case as a function of its opinions and of the time.
//!
//! **Invariant:** [`Standing::of`] depends on the set of opinions, never on their order of arrival.
//! **Invariant:** deadlines are measured from this node's own verification. No statement of a peer
//! pushes one out, but a renewal of what persons of enough organisations for CONFIRMED stand by.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};
use watchfire_signal::name::{MemberName, OrganisationName};

use crate::{few::Few, halts::Voice, place::Turn};

/// The latest opinion of each member.
pub type Opinions = Few<MemberName, Opinion>;
/// The latest renewal of each member.
pub type Renewals = Few<MemberName, Renewal>;

/// The longest that a PROPOSED case lives: 24 hours.
pub const PROPOSED_MAX_MS: u64 = 24 * 3_600_000;
/// The longest that a PROVISIONAL case lives: 6 hours.
pub const PROVISIONAL_MAX_MS: u64 = 6 * 3_600_000;
/// The longest that a PROVISIONAL case lives while an incident of level 3 ties it: 72 hours.
pub const PROVISIONAL_LIFTED_MS: u64 = 72 * 3_600_000;
/// The longest that a CONFIRMED case lives without renewal: 90 days.
pub const CONFIRMED_MAX_MS: u64 = 90 * 24 * 3_600_000;

/// What a member holds of a signal set; its latest word in its log counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Place of the record among all that its author says.
    pub turn: Turn,
    /// When this node had verified it.
    pub verified_ms: u64,
    /// What it says.
    pub stance: Stance,
    /// Since when a person of that member has stood by it, by this node's verification of the first
    /// record that says so; withdrawn since or not.
    pub stood_since_ms: Option<u64>,
}

/// What an opinion says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// It is harmful; `human` when a person of that member has seen a copy.
    Positive {
        /// Whether a person has looked.
        human: bool,
    },
    /// It is not what the alert says.
    Disputes,
    /// The member has taken its opinion back.
    Withdrawn {
        /// Whether it asks that what its opinion caused comes back. A retraction whose body is not
        /// here asks for it.
        restore: bool,
    },
    /// Nothing any more: its dispute was ended, or its record was erased.
    Nothing,
}

/// A member's latest renewal of a case; it counts while that member stands by the case, and while
/// persons of enough organisations for CONFIRMED do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Place of the record among all that its author says.
    pub turn: Turn,
    /// When this node had verified it.
    pub verified_ms: u64,
    /// The end that it asks for.
    pub valid_until: u64,
}

/// The state of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Asserted, nobody has looked.
    Proposed,
    /// A person of one organisation has looked.
    Provisional,
    /// Persons of enough organisations have looked.
    Confirmed,
    /// Somebody with a say disputes it.
    Disputed,
    /// Its time is over.
    Lapsed,
    /// Nobody stands by it any more.
    Retracted,
}

/// A time during which a state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Term {
    /// When it began here.
    pub since_ms: u64,
    /// When it ends unless renewed.
    pub until_ms: u64,
}

/// What the opinions add up to, apart from the time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The strongest level that the live opinions reach; `None`: nobody stands by it.
    pub level: Option<Level>,
    /// How long that level holds.
    pub term: Term,
    /// Whether disputes suspend it.
    pub disputed: bool,
    /// Organisations of which a person has looked and stands by it.
    pub confirmations: u32,
    /// Organisations that dispute it.
    pub disputes: usize,
    /// Whether enough organisations for CONFIRMED ever stood by it, lapsed or withdrawn since: a
    /// forgotten renewal must not republish what was removed.
    pub was_confirmed: bool,
    /// Whether what the case took down comes back once it is RETRACTED: not when all that took
    /// their opinion back asked that it stay down (a duplicate of another alert, say).
    pub restores: bool,
    /// Whether only suspended members are left to stand by it, or its record was erased: what was removed
    /// stays removed until a person decides, and nothing more happens by itself.
    pub suspended: bool,
    /// Members that a quorum has halted or suspended: what they say does not count.
    pub silenced: BTreeSet<MemberName>,
    /// Times in which an incident of level 3 lifts it: what nobody has looked at counts as PROVISIONAL,
    /// and that lasts 72 hours.
    pub lifts: Vec<Term>,
    /// The alert's own end, renewed or not.
    pub asked_until_ms: u64,
}

/// A level of support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Asserted without a human look.
    Proposed,
    /// One organisation, with a human look.
    Provisional,
    /// The charter's quorum of organisations, each with a human look.
    Confirmed,
}

/// What the charter says that matters here.
pub struct Rules<'a> {
    /// Which organisation controls a member.
    pub organisation: &'a dyn Fn(&MemberName) -> Option<OrganisationName>,
    /// Organisations that make CONFIRMED, the asserter's included.
    pub confirm_quorum: usize,
    /// Organisations that suspend a CONFIRMED case.
    pub dispute_quorum: usize,
    /// How the word of a member counts.
    pub voice: &'a dyn Fn(&MemberName) -> Voice,
    /// Whether enough organisations have halted the case itself.
    pub halted: bool,
    /// Whether the victim who had reported it has taken that back, with whether what was done should come back.
    pub taken_back: Option<bool>,
    /// Whether the record with its signals was erased.
    pub erased: bool,
    /// Times in which an incident of level 3 lifts the case.
    pub lifts: Vec<Term>,
}

impl Standing {
    /// Adds up opinions and renewals. `valid_until` is the end that the alert itself names.
    #[must_use]
    pub fn of(
        opinions: &Opinions,
        renewals: &Renewals,
        valid_until: u64,
        rules: &Rules<'_>,
    ) -> Self {
        // Who ever stood by it counts, silenced since or not: a forgotten renewal republishes nothing.
        let ever = |opinion: &Opinion| opinion.stood_since_ms.is_some();
        let stood = earliest_by_organisation((opinions, &BTreeSet::new()), rules, ever).len();
        let Heard { opinions, silenced, suspended } = Heard::of(opinions, rules);
        let opinions = &*opinions;
        let heard = (opinions, &silenced);
        let humans = earliest_by_organisation(heard, rules, |opinion| {
            matches!(opinion.stance, Stance::Positive { human: true })
        });
        let any = earliest_by_organisation(heard, rules, |opinion| {
            matches!(opinion.stance, Stance::Positive { .. })
        });
        let disputes =
            earliest_by_organisation(heard, rules, |opinion| opinion.stance == Stance::Disputes)
                .len();
        let quorum = rules.confirm_quorum.max(1);
        let ended = rules.halted || rules.taken_back.is_some();
        let (level, since_ms, longest) = if ended || rules.erased {
            (None, 0, 0)
        } else if humans.len() >= quorum {
            (Some(Level::Confirmed), humans[quorum - 1], CONFIRMED_MAX_MS)
        } else if let Some(&first) = humans.first() {
            (Some(Level::Provisional), first, PROVISIONAL_MAX_MS)
        } else if let Some(&first) = any.first() {
            (Some(Level::Proposed), first, PROPOSED_MAX_MS)
        } else {
            (None, 0, 0)
        };
        let stands = |(member, _): &(&MemberName, &Renewal)| {
            let stance = opinions.get(*member).map(|opinion| opinion.stance);
            matches!(stance, Some(Stance::Positive { .. })) && level == Some(Level::Confirmed)
        };
        let counted = || renewals.iter().filter(stands).map(|(_, renewal)| renewal);
        let renewed = counted().map(|renewal| renewal.verified_ms).max().unwrap_or(0);
        let asked = counted().map(|renewal| renewal.valid_until).fold(valid_until, u64::max);
        let until_ms = asked.min(since_ms.max(renewed).saturating_add(longest));
        // What an erased record had taken down is left to a person, unless those who stood by it took
        // that back before.
        let withdrew = |opinion: &Opinion| matches!(opinion.stance, Stance::Withdrawn { .. });
        let left = rules.erased && (!any.is_empty() || !opinions.values().any(withdrew));
        let disputed = match level {
            Some(Level::Confirmed) => disputes >= rules.dispute_quorum.max(1),
            Some(_) => disputes > 0,
            None => false,
        };
        Self {
            level,
            term: Term { since_ms, until_ms },
            disputed,
            confirmations: u32::try_from(humans.len()).unwrap_or(u32::MAX),
            disputes,
            was_confirmed: stood >= quorum,
            restores: rules.halted
                || level.is_some()
                || asks_for_restore(opinions, rules.taken_back),
            suspended: (suspended || left) && !ended,
            silenced,
            lifts: rules.lifts.clone(),
            asked_until_ms: asked,
        }
    }

    /// Whether a person decides about what it took down once it is LAPSED: it was once CONFIRMED, or a
    /// member that stood by it was suspended.
    #[must_use]
    pub fn needs_person(&self) -> bool {
        self.was_confirmed || self.suspended
    }

    /// The state at a moment.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> State {
        match self.level {
            None if self.suspended => State::Lapsed,
            None => State::Retracted,
            Some(_) if now_ms >= self.until_ms(now_ms) => State::Lapsed,
            Some(_) if self.disputed => State::Disputed,
            Some(Level::Proposed) if self.is_lifted(now_ms) => State::Provisional,
            Some(Level::Proposed) => State::Proposed,
            Some(Level::Provisional) => State::Provisional,
            Some(Level::Confirmed) => State::Confirmed,
        }
    }

    /// Whether an incident of level 3 lifts it at a moment.
    #[must_use]
    pub fn is_lifted(&self, now_ms: u64) -> bool {
        self.lifts.iter().any(|term| (term.since_ms..term.until_ms).contains(&now_ms))
    }

    /// When its state changes next by itself.
    #[must_use]
    pub fn next_change_ms(&self, now_ms: u64) -> Option<u64> {
        let level = self.level?;
        let lifted = (level < Level::Confirmed && !self.lifts.is_empty()).then(|| {
            self.asked_until_ms.min(self.term.since_ms.saturating_add(PROVISIONAL_LIFTED_MS))
        });
        let lifts = self.lifts.iter().flat_map(|term| [term.since_ms, term.until_ms]);
        let ends = [self.term.until_ms].into_iter().chain(lifted).chain(lifts);
        ends.filter(|at| *at > now_ms).min()
    }

    /// When its term ends, as of a moment.
    fn until_ms(&self, now_ms: u64) -> u64 {
        if self.level < Some(Level::Confirmed) && self.is_lifted(now_ms) {
            let longest = self.term.since_ms.saturating_add(PROVISIONAL_LIFTED_MS);
            return self.asked_until_ms.min(longest);
        }
        self.term.until_ms
    }
}

/// What is left to count when halted and suspended members are silent.
struct Heard<'a> {
    opinions: Cow<'a, Opinions>,
    silenced: BTreeSet<MemberName>,
    /// Whether a suspended member may have stood by it when it was suspended.
    suspended: bool,
}

impl<'a> Heard<'a> {
    fn of(opinions: &'a Opinions, rules: &Rules<'_>) -> Self {
        let mut heard =
            Self { opinions: Cow::Borrowed(opinions), silenced: BTreeSet::new(), suspended: false };
        for (member, opinion) in opinions {
            let positive = matches!(opinion.stance, Stance::Positive { .. });
            match (rules.voice)(member) {
                Voice::Counts => continue,
                // Its disputes and retractions stand: those make nobody act.
                Voice::Halted if positive => {
                    let withdrawn = Stance::Withdrawn { restore: true };
                    if let Some(opinion) = heard.opinions.to_mut().value_mut(member) {
                        opinion.stance = withdrawn;
                    }
                }
                Voice::Halted => {}
                // What it took back in time is taken back; what it takes back later, perhaps with a
                // stolen key, brings nothing back.
                Voice::Suspended { until } if !positive && opinion.turn < until => {}
                Voice::Suspended { until } => {
                    heard.opinions.to_mut().remove(member);
                    // What is said after the cut is not the member's own word; what it had said before that
                    // stands here in its place, if there was anything.
                    heard.suspended |= opinion.turn < until;
                }
            }
            heard.silenced.insert(member.clone());
        }
        heard
    }
}

/// Whether anybody who once stood by the case, and does not any more, wants its undoing. One voice
/// is enough: what was taken down in error must not stay down because another was careful. `taken_back`: whether the
/// victim does, who had reported it.
fn asks_for_restore(opinions: &Opinions, taken_back: Option<bool>) -> bool {
    if taken_back == Some(true) {
        return true;
    }
    let mut withdrawn = taken_back.is_some();
    for opinion in opinions.values() {
        match opinion.stance {
            Stance::Withdrawn { restore: false } => withdrawn = true,
            Stance::Withdrawn { restore: true } => return true,
            Stance::Disputes if opinion.stood_since_ms.is_some() => return true,
            Stance::Disputes | Stance::Positive { .. } | Stance::Nothing => {}
        }
    }
    !withdrawn
}

/// Since when each organisation with a fitting opinion has stood by the case, ascending. Of the
/// members of one owner the first that ever stood by it counts, so that they cannot take turns; what a silenced
/// one stood by does not, before or after, so that it does not end what another one's person has seen.
fn earliest_by_organisation(
    (opinions, silenced): (&Opinions, &BTreeSet<MemberName>),
    rules: &Rules<'_>,
    fits: impl Fn(&Opinion) -> bool,
) -> Vec<u64> {
    let mut earliest = BTreeMap::<OrganisationName, u64>::new();
    for (member, opinion) in opinions.iter().filter(|(_, opinion)| fits(opinion)) {
        // A member that the charter does not name has no say.
        let Some(organisation) = (rules.organisation)(member) else { continue };
        let since_ms = opinion.stood_since_ms.unwrap_or(opinion.verified_ms);
        let time = earliest.entry(organisation).or_insert(since_ms);
        *time = (*time).min(since_ms);
    }
    for (member, opinion) in opinions.iter().filter(|(member, _)| !silenced.contains(*member)) {
        let organisation = (rules.organisation)(member);
        let time = organisation.and_then(|organisation| earliest.get_mut(&organisation));
        if let (Some(time), Some(since_ms)) = (time, opinion.stood_since_ms) {
            *time = (*time).min(since_ms);
        }
    }
    let mut times = earliest.into_values().collect::<Vec<_>>();
    times.sort_unstable();
    times
}
