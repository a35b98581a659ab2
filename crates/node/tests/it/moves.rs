//! Stories of a coalition that are made by chance, for the property tests of the fold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watchfire_signal::{
    commitment::Commitment,
    header::{Review, Target},
    incident::IncidentStep,
    statement::{Basis, Head, Resolution},
};

use crate::coalition::START_MS;
use crate::logs::{GRAVE, Logs, MEMBERS, SEEN, incident};

/// What members may do in a story made by chance, about one of the sets that there are.
#[derive(Debug, Clone)]
pub(crate) enum Move {
    Confirm {
        automatic: bool,
    },
    Dispute,
    RetractLast {
        restore: bool,
    },
    Amend {
        looked: bool,
    },
    Variant {
        test: bool,
        looked: bool,
    },
    Renew {
        days: u64,
    },
    FutureVersion,
    Halt,
    HaltMember {
        other: usize,
    },
    Suspend {
        other: usize,
        size: u64,
        /// Of which of two histories.
        root: bool,
    },
    RetractVote,
    Resolve {
        about: prop::sample::Index,
        stands: bool,
    },
    Join {
        other: prop::sample::Index,
    },
    Count {
        bucket: u8,
    },
    /// A case of its own, of a severity and with one of [`GRAVE`].
    Assert {
        severity: u8,
        label: usize,
        looked: bool,
        of_victim: bool,
    },
    /// Its author takes an alert of its own back, because the victim did, as it says.
    VictimWithdraws {
        which: prop::sample::Index,
        restore: bool,
    },
    /// An event that ties the set, with those who agree at once.
    Declare {
        level: u8,
        test: bool,
        cosigned_by: Vec<usize>,
    },
    Cosign {
        which: prop::sample::Index,
        test: bool,
    },
    /// Adds the set to an event.
    Tie {
        which: prop::sample::Index,
    },
    /// The same by a variant that names the event.
    TieByAlert {
        which: prop::sample::Index,
    },
    Conclude {
        which: prop::sample::Index,
    },
    /// Three organisations say that it is over.
    ConcludedByMany {
        which: prop::sample::Index,
    },
    /// An attack that goes on for days: a new variant of the set every eleven hours.
    GoesOn {
        variants: u8,
    },
    /// All others halt a member, or suspend it from a size of its log on.
    Silenced {
        other: usize,
        size: Option<u64>,
    },
    /// From now on all speak under the second charter.
    NextCharter,
    Erase {
        what: prop::sample::Index,
    },
    Wait {
        hours: u64,
    },
    WaitABit {
        minutes: u64,
    },
}

pub(crate) fn moves() -> impl Strategy<Value = Vec<(usize, prop::sample::Index, Move)>> {
    let index = any::<prop::sample::Index>;
    let who = 0..MEMBERS.len();
    let events = prop_oneof![
        (any::<bool>(), 0_u8..8, proptest::collection::vec(who, 0..4)).prop_map(
            |(critical, other, cosigned_by)| {
                let level = if critical { 3 } else { 1 + other % 3 };
                Move::Declare { level, test: other == 7, cosigned_by }
            }
        ),
        (index(), 0_u8..8).prop_map(|(which, test)| Move::Cosign { which, test: test == 0 }),
        index().prop_map(|which| Move::Tie { which }),
        index().prop_map(|which| Move::TieByAlert { which }),
        index().prop_map(|which| Move::Conclude { which }),
        index().prop_map(|which| Move::ConcludedByMany { which }),
        (1_u8..9).prop_map(|variants| Move::GoesOn { variants }),
        (0..MEMBERS.len(), proptest::option::of(0_u64..6))
            .prop_map(|(other, size)| Move::Silenced { other, size }),
        (0_u64..16).prop_map(|minutes| Move::WaitABit { minutes }),
        (0_u64..30).prop_map(|hours| Move::Wait { hours }),
    ];
    let alerts = (0_u8..4, 0..GRAVE.len(), 0_u8..4, any::<bool>()).prop_map(
        |(mild, label, unseen, of_victim)| {
            let severity = if mild == 0 { 3 } else { 4 };
            Move::Assert { severity, label, looked: unseen > 0, of_victim }
        },
    );
    let what = prop_oneof![
        6 => events,
        3 => alerts,
        1 => Just(Move::NextCharter),
        16 => words(),
    ];
    proptest::collection::vec((0_usize..MEMBERS.len(), index(), what), 0..24)
}

/// What is said of sets.
fn words() -> impl Strategy<Value = Move> {
    prop_oneof![
        any::<bool>().prop_map(|automatic| Move::Confirm { automatic }),
        Just(Move::Confirm { automatic: false }),
        Just(Move::Dispute),
        any::<bool>().prop_map(|restore| Move::RetractLast { restore }),
        (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, restore)| Move::VictimWithdraws { which, restore }),
        any::<bool>().prop_map(|looked| Move::Amend { looked }),
        any::<(bool, bool)>().prop_map(|(test, looked)| Move::Variant { test, looked }),
        (0_u64..400).prop_map(|days| Move::Renew { days }),
        Just(Move::FutureVersion),
        Just(Move::Halt),
        (0..MEMBERS.len()).prop_map(|other| Move::HaltMember { other }),
        (0..MEMBERS.len(), 0_u64..6, any::<bool>()).prop_map(|(other, size, root)| Move::Suspend {
            other,
            size,
            root
        }),
        Just(Move::RetractVote),
        (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(about, stands)| Move::Resolve { about, stands }),
        any::<prop::sample::Index>().prop_map(|other| Move::Join { other }),
        (0_u8..9).prop_map(|bucket| Move::Count { bucket }),
        any::<prop::sample::Index>().prop_map(|what| Move::Erase { what }),
        (0_u64..2_000).prop_map(|hours| Move::Wait { hours }),
    ]
}

/// A story as it goes on.
struct Story<'a> {
    logs: &'a mut Logs,
    /// All that may have become sets.
    sets: Vec<(Commitment, Target)>,
    /// The last confirmation of each member, or its alert.
    last: BTreeMap<usize, Target>,
    votes: BTreeMap<usize, Target>,
    disputes: Vec<Target>,
    /// How disputes are to end.
    ends: Vec<Target>,
    events: Vec<(Commitment, Target)>,
    /// What was said of events.
    of_events: Vec<Target>,
}

/// Plays a story; answers all that may have become sets.
pub(crate) fn play(
    logs: &mut Logs,
    moves: Vec<(usize, prop::sample::Index, Move)>,
) -> Vec<(Commitment, Target)> {
    let sets = vec![logs.assert_of_victim("tiktok", Review::OneHuman, (3, GRAVE[0]))];
    let last = BTreeMap::from([(0, sets[0].1.clone())]);
    let (votes, disputes, ends, events, of_events) = Default::default();
    let mut story = Story { logs, sets, last, votes, disputes, ends, events, of_events };
    for (by, about, what) in moves {
        let about = about.get(&story.sets).clone();
        match what {
            Move::Declare { .. }
            | Move::ConcludedByMany { .. }
            | Move::Cosign { .. }
            | Move::Tie { .. }
            | Move::TieByAlert { .. }
            | Move::Conclude { .. } => {
                story.event(MEMBERS[by].0, &about, what);
            }
            Move::Halt
            | Move::HaltMember { .. }
            | Move::Suspend { .. }
            | Move::RetractVote
            | Move::Silenced { .. }
            | Move::NextCharter
            | Move::Wait { .. }
            | Move::WaitABit { .. } => story.vote(by, &about, what),
            _ => story.word(by, &about, what),
        }
    }
    story.sets
}

impl Story<'_> {
    fn word(&mut self, by: usize, about: &(Commitment, Target), what: Move) {
        let (logs, member) = (&mut *self.logs, MEMBERS[by].0);
        match what {
            Move::Confirm { automatic } => {
                let basis = if automatic { Basis::AutomaticMatch } else { SEEN };
                self.last.insert(by, logs.confirm(member, about, basis));
            }
            Move::Dispute => self.disputes.push(logs.dispute(member, about)),
            Move::Resolve { about, stands } if !self.disputes.is_empty() => {
                let outcome = if stands { Resolution::Stands } else { Resolution::Withdrawn };
                self.ends.push(logs.resolve(member, about.get(&self.disputes), outcome));
            }
            Move::Join { other } => logs.join(member, &about.1, other.get(&self.sets).0),
            Move::Count { bucket } => logs.count(member, &about.1, bucket),
            Move::Erase { what } => {
                let said = self.last.values().chain(&self.disputes).cloned();
                let said = said.chain(self.sets.iter().map(|set| set.1.clone()));
                let said = said.chain(self.ends.iter().chain(&self.of_events).cloned());
                let said = said.chain(self.events.iter().map(|event| event.1.clone()));
                logs.erase(member, what.get(&said.collect::<Vec<_>>()));
            }
            Move::RetractLast { restore } => {
                if let Some(place) = self.last.remove(&by) {
                    logs.retract_and(member, &place, restore);
                }
            }
            Move::VictimWithdraws { which, restore } => {
                let own = self.sets.iter().filter(|(_, at)| at.log.member.as_str() == member);
                let own: Vec<_> = own.collect();
                if !own.is_empty() {
                    logs.retract_for_victim(member, &which.get(&own).1, restore);
                }
            }
            Move::Assert { severity, label, looked, of_victim } => {
                let review = if looked { Review::OneHuman } else { Review::Automatic };
                let what = (severity, GRAVE[label]);
                let new = match of_victim {
                    true => logs.assert_of_victim(member, review, what),
                    false => logs.assert_grave(member, review, what),
                };
                self.last.insert(by, new.1.clone());
                self.sets.push(new);
            }
            Move::Amend { looked } => {
                self.sets.push(logs.widen_unseen(member, about, (true, false), looked));
            }
            Move::Variant { test, looked } => {
                self.sets.push(logs.widen_unseen(member, about, (false, test), looked));
            }
            Move::GoesOn { variants } => {
                for _ in 0..variants {
                    logs.later(11 * 3_600_000);
                    self.sets.push(logs.widen(member, about, false, false));
                }
            }
            Move::Renew { days } => logs.renew(member, &about.1, START_MS + days * 86_400_000),
            Move::FutureVersion => logs.say_in_a_future_version(member, &about.1),
            _ => {}
        }
    }

    fn event(&mut self, member: &str, about: &(Commitment, Target), what: Move) {
        let (which, step, test, cases) = match what {
            Move::Declare { level, test, cosigned_by } => {
                let body = incident(IncidentStep::Declare, level, &[about.0]);
                let event = self.logs.incident_or_drill(member, None, body, test);
                for by in cosigned_by {
                    let body = incident(IncidentStep::Cosign, level, &[]);
                    let by = MEMBERS[by].0;
                    let said = self.logs.incident_or_drill(by, Some(&event.1), body, test);
                    self.of_events.push(said.1);
                }
                return self.events.push(event);
            }
            Move::ConcludedByMany { which } if !self.events.is_empty() => {
                let (_, place) = which.get(&self.events);
                for by in [0, 1, 3] {
                    let body = incident(IncidentStep::Conclude, 3, &[]);
                    self.of_events.push(self.logs.incident(MEMBERS[by].0, Some(place), body).1);
                }
                return;
            }
            Move::TieByAlert { which } if !self.events.is_empty() => {
                let (name, _) = which.get(&self.events);
                return self.sets.push(self.logs.variant_naming(member, about, *name));
            }
            Move::Cosign { which, test } => (which, IncidentStep::Cosign, test, vec![]),
            Move::Tie { which } => (which, IncidentStep::Update, false, vec![about.0]),
            Move::Conclude { which } => (which, IncidentStep::Conclude, false, vec![]),
            _ => return,
        };
        if !self.events.is_empty() {
            let (_, place) = which.get(&self.events);
            let body = incident(step, 3, &cases);
            self.of_events.push(self.logs.incident_or_drill(member, Some(place), body, test).1);
        }
    }

    fn vote(&mut self, by: usize, about: &(Commitment, Target), what: Move) {
        let (logs, member) = (&mut *self.logs, MEMBERS[by].0);
        match what {
            Move::Halt => drop(self.votes.insert(by, logs.halt(member, &about.1))),
            Move::HaltMember { other } => {
                self.votes.insert(by, logs.halt_member(member, MEMBERS[other].0));
            }
            Move::Suspend { other, size, root } => {
                let last = Head { size, root: [9 + u8::from(root); 32] };
                self.votes.insert(by, logs.suspend_at(member, MEMBERS[other].0, last));
            }
            Move::Silenced { other, size } => {
                for by in (0..MEMBERS.len()).filter(|by| *by != other) {
                    let (member, other) = (MEMBERS[by].0, MEMBERS[other].0);
                    let vote = match size {
                        Some(size) => logs.suspend(member, other, size),
                        None => logs.halt_member(member, other),
                    };
                    self.votes.insert(by, vote);
                }
            }
            Move::RetractVote => {
                if let Some(place) = self.votes.remove(&by) {
                    logs.retract(member, &place);
                }
            }
            Move::NextCharter => logs.go_on_under_the_second_charter(),
            Move::Wait { hours } => logs.later(hours * 3_600_000),
            Move::WaitABit { minutes } => logs.later(minutes * 60_000),
            _ => {}
        }
    }
}
