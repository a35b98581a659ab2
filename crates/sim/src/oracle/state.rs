//! The state of a set of signals, by the words of `docs/states.md`.
//!
//! **Invariant:** nothing here is the node's code, so that a mistake there is seen here.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_node::standing::State;
use watchfire_signal::name::{MemberName, OrganisationName};

use super::reading::{Case, Turn};

/// An hour in milliseconds.
const HOUR_MS: u64 = 3_600_000;
/// How long a set that too few have looked at lasts while an incident lifts it.
const LIFTED_HOURS: u64 = 72;

/// What a member said of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// It is harmful; `human`: a person there has looked.
    Stands {
        /// Whether a person has looked.
        human: bool,
    },
    /// It is not.
    Disputes,
    /// It had disputed, and has ended that.
    DisputedBefore,
    /// It takes back what it said.
    Withdrew {
        /// Whether what was done should be undone.
        restore: bool,
    },
    /// Nothing any more: it had stood by the set, and has erased that.
    Erased {
        /// Whether a person had looked, by the leaf alone.
        human: bool,
        /// Where it says that.
        at: Turn,
    },
}

impl Say {
    /// Whether a person stood by the set with this, erased since or not.
    fn looked(self) -> bool {
        matches!(self, Self::Stands { human: true } | Self::Erased { human: true, .. })
    }
}

/// How the word of a member counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// It does.
    Counts,
    /// Nothing that it stands by does; its disputes and retractions do.
    Halted,
    /// Nothing that it stands by does, and what it says from here on was never its word.
    Suspended {
        /// The first place that is not accepted.
        until: Turn,
    },
}

/// What members said that is heard, by place.
type Said = BTreeMap<MemberName, BTreeMap<Turn, (u64, Say)>>;

/// What is heard of a set, and whether somebody stood by it who is suspended.
struct Heard {
    said: Said,
    /// The part of it by members whose word counts: an organisation stands by a set since the first of these.
    counts: Said,
    suspended: bool,
}

/// The last word that was not erased.
fn last(said: &BTreeMap<Turn, (u64, Say)>) -> Option<(Turn, (u64, Say))> {
    let live = said.iter().rfind(|(_, (_, say))| !matches!(say, Say::Erased { .. }));
    live.map(|(turn, word)| (*turn, *word))
}

/// What is heard of a set.
fn heard(case: &Case, voice: &dyn Fn(&MemberName) -> Voice) -> Heard {
    let (mut heard, mut counts, mut suspended) = (Said::new(), Said::new(), false);
    for (member, said) in &case.said {
        let mut said = said.clone();
        match voice(member) {
            Voice::Counts => {
                counts.insert(member.clone(), said.clone());
            }
            Voice::Halted => {
                if let Some((turn, (at, Say::Stands { .. }))) = last(&said) {
                    said.insert(turn, (at, Say::Withdrew { restore: true }));
                }
            }
            Voice::Suspended { until } => {
                said.retain(|turn, _| *turn < until);
                for (_, say) in said.values_mut() {
                    if let Say::Erased { human, at } = *say
                        && at >= until
                    {
                        *say = Say::Stands { human };
                    }
                }
                if matches!(last(&said), Some((_, (_, Say::Stands { .. })))) {
                    suspended = true;
                    said.clear();
                }
            }
        }
        if !said.is_empty() {
            heard.insert(member.clone(), said);
        }
    }
    Heard { said: heard, counts, suspended }
}

/// How a set looks, the time apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Organisations of which a person has looked and stands by it.
    pub looked: usize,
    /// Organisations that dispute it.
    pub disputes: usize,
    /// Whether anybody stands by it.
    pub stood_by: bool,
    /// Members of which a person has looked and stands by it.
    pub lookers: BTreeSet<MemberName>,
    /// Whether enough organisations ever stood by it.
    pub was_confirmed: bool,
    /// Whether it comes back once it is retracted.
    pub restores: bool,
    /// Whether its record was erased while somebody stood by it, or somebody is suspended who did.
    pub left: bool,
    /// When its term ends.
    pub until_ms: u64,
    /// When its term ends while an incident lifts it.
    lifted_until_ms: u64,
    /// Whether an incident of level 3 lifts it.
    lifted: bool,
    confirmed: bool,
    disputed: bool,
    /// Whether somebody who stood by it asks that it come back.
    wanted_back: bool,
    halted: bool,
    erased: bool,
}

/// Why copies may be taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// By what members hold of the set.
    Opinions,
    /// By nothing but an incident that enough organisations stand by.
    Incident,
}

type Organisation<'a> = &'a dyn Fn(&MemberName) -> Option<OrganisationName>;

impl Outlook {
    /// How a set looks with these quorums for confirming and disputing.
    #[must_use]
    pub fn of(
        case: &Case,
        (organisation, voice): (Organisation<'_>, &dyn Fn(&MemberName) -> Voice),
        (confirm, dispute): (usize, usize),
    ) -> Self {
        let Heard { said, counts, suspended } = heard(case, voice);
        let latest: BTreeMap<&MemberName, (u64, Say)> =
            said.iter().filter_map(|(member, said)| Some((member, last(said)?.1))).collect();
        let organisations = |fits: &dyn Fn(Say) -> bool| -> BTreeSet<OrganisationName> {
            let fitting = latest.iter().filter(|(_, (_, say))| fits(*say));
            fitting.filter_map(|(member, _)| organisation(member)).collect()
        };
        let human = |say: Say| say == Say::Stands { human: true };
        let looked = organisations(&human);
        let any = organisations(&|say| matches!(say, Say::Stands { .. }));
        let disputes = organisations(&|say| say == Say::Disputes).len();
        let since = |by: &BTreeSet<OrganisationName>, unseen: bool| {
            let first = |by| {
                let unseen = unseen.then(|| first_unseen(&latest, by, organisation)).flatten();
                first_stood(&counts, by, organisation).into_iter().chain(unseen).min()
            };
            let mut times: Vec<u64> = by.iter().filter_map(first).collect();
            times.sort_unstable();
            times
        };
        let confirmed = looked.len() >= confirm;
        let (since_ms, hours) = if confirmed {
            (since(&looked, false).get(confirm - 1).copied(), 90 * 24)
        } else if !looked.is_empty() {
            (since(&looked, false).first().copied(), 6)
        } else {
            (since(&any, true).first().copied(), 24)
        };
        let asked = case.alert.as_ref().map_or(u64::MAX, |alert| alert.valid_until);
        let counted: Vec<_> = case
            .renewals
            .iter()
            .filter(|(member, _)| {
                let say = latest.get(member).map(|(_, say)| *say);
                confirmed && matches!(say, Some(Say::Stands { .. }))
            })
            .map(|(_, (_, verified_ms, until))| (*verified_ms, *until))
            .collect();
        let begun = counted.iter().map(|(at, _)| *at).chain(since_ms).max().unwrap_or(0);
        let asked = counted.iter().map(|(_, until)| *until).fold(asked, u64::max);
        Self {
            looked: looked.len(),
            disputes,
            stood_by: !any.is_empty(),
            lookers: latest
                .iter()
                .filter(|(_, (_, say))| human(*say))
                .map(|(by, _)| (*by).clone())
                .collect(),
            was_confirmed: ever_stood(case, voice, organisation) >= confirm,
            restores: !any.is_empty() || wants_back(&said, &latest) || !keeps_down(&latest),
            wanted_back: wants_back(&said, &latest),
            left: suspended
                || case.erased
                    && (!any.is_empty()
                        || !latest.values().any(|(_, say)| matches!(say, Say::Withdrew { .. }))),
            until_ms: asked.min(begun.saturating_add(hours * HOUR_MS)),
            lifted_until_ms: asked.min(begun.saturating_add(LIFTED_HOURS * HOUR_MS)),
            lifted: false,
            confirmed,
            disputed: if confirmed { disputes >= dispute.max(1) } else { disputes > 0 },
            halted: false,
            erased: case.erased,
        }
    }

    /// The same where enough organisations want it halted.
    #[must_use]
    pub fn halted(self, halted: bool) -> Self {
        Self { restores: self.restores || halted, left: self.left && !halted, halted, ..self }
    }

    /// The same where the victim has taken it back, who perhaps asks that what was done be undone.
    #[must_use]
    pub fn taken_back(self, taken_back: Option<bool>) -> Self {
        let Some(restore) = taken_back else { return self };
        let restores = restore || self.wanted_back || self.halted;
        Self { restores, left: false, halted: true, ..self }
    }

    /// The same where an incident of level 3 lifts it, or none does: one that enough have confirmed needs none.
    #[must_use]
    pub fn lifted(self, lifted: bool) -> Self {
        let lifted = lifted && !self.confirmed;
        let until_ms = if lifted { self.lifted_until_ms } else { self.until_ms };
        Self { lifted, until_ms, ..self }
    }

    /// Its state at a moment.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> State {
        if self.halted || self.erased || !self.stood_by {
            if self.left { State::Lapsed } else { State::Retracted }
        } else if now_ms >= self.until_ms {
            State::Lapsed
        } else if self.disputed {
            State::Disputed
        } else if self.confirmed {
            State::Confirmed
        } else if self.looked > 0 || self.lifted {
            State::Provisional
        } else {
            State::Proposed
        }
    }

    /// Why a member with the standard rules may take copies down by itself at a moment, if it may.
    #[must_use]
    pub fn takes_down(
        &self,
        me: &MemberName,
        trust: &BTreeSet<MemberName>,
        now_ms: u64,
    ) -> Option<Ground> {
        let own = self.lookers.contains(me);
        let trusted = self.lookers.iter().any(|member| trust.contains(member));
        let enough = match self.state(now_ms) {
            State::Confirmed => true,
            State::Proposed | State::Provisional => own || trusted,
            State::Disputed => own,
            State::Lapsed | State::Retracted => return None,
        };
        let lifted = self.lifted && self.state(now_ms) == State::Provisional;
        enough.then_some(Ground::Opinions).or(lifted.then_some(Ground::Incident))
    }

    /// Whether what it took down comes back by itself at a moment, if nothing else holds it.
    #[must_use]
    pub fn gives_back(&self, now_ms: u64) -> bool {
        match self.state(now_ms) {
            State::Retracted => self.restores,
            State::Lapsed => !self.was_confirmed && !self.left,
            _ => false,
        }
    }
}

/// Since when any person of an organisation, or else any of its machines, has stood by a set.
fn first_stood(said: &Said, by: &OrganisationName, organisation: Organisation<'_>) -> Option<u64> {
    let members = said.iter().filter(|(member, _)| organisation(member).as_ref() == Some(by));
    let said: Vec<_> = members.flat_map(|(_, said)| said.values()).collect();
    let human = said.iter().filter(|(_, say)| say.looked());
    let any = said.iter().filter(|(_, say)| matches!(say, Say::Stands { .. }));
    human.map(|(at, _)| *at).min().or(any.map(|(at, _)| *at).max())
}

/// Since when members of an organisation stand by it that never looked.
fn first_unseen(
    latest: &BTreeMap<&MemberName, (u64, Say)>,
    by: &OrganisationName,
    organisation: Organisation<'_>,
) -> Option<u64> {
    let unseen = latest.iter().filter(|(_, (_, say))| *say == Say::Stands { human: false });
    let own = unseen.filter(|(member, _)| organisation(member).as_ref() == Some(by));
    own.map(|(_, (at, _))| *at).min()
}

fn ever_stood(
    case: &Case,
    voice: &dyn Fn(&MemberName) -> Voice,
    organisation: Organisation<'_>,
) -> usize {
    let stood = case.said.iter().filter(|(member, said)| {
        let until = match voice(member) {
            Voice::Suspended { until } => until,
            Voice::Counts | Voice::Halted => (u32::MAX, u64::MAX),
        };
        said.range(..until).any(|(_, (_, say))| say.looked())
    });
    stood.filter_map(|(member, _)| organisation(member)).collect::<BTreeSet<_>>().len()
}

/// Whether anybody asked that it stay down.
fn keeps_down(latest: &BTreeMap<&MemberName, (u64, Say)>) -> bool {
    latest.values().any(|(_, say)| *say == Say::Withdrew { restore: false })
}

/// Whether anybody who stood by it wants it back.
fn wants_back(said: &Said, latest: &BTreeMap<&MemberName, (u64, Say)>) -> bool {
    let stood = |member: &MemberName| {
        let said = said.get(member).into_iter().flat_map(BTreeMap::values);
        said.into_iter().any(|(_, say)| say.looked())
    };
    latest.iter().any(|(member, (_, say))| match say {
        Say::Withdrew { restore } => *restore,
        Say::Disputes => stood(member),
        _ => false,
    })
}
