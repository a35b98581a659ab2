//! What holds an item down: one judgement over all cases and all that was done to the item, which
//! decisions, attempts and repairs share.
//!
//! **Invariant:** an item comes back by itself only when nothing holds it: no live opinion that takes
//! it down here, no case that once did and has not been undone.
//! **Invariant:** what a person has ruled about an item beats every case.

use watchfire_signal::commitment::Commitment;
use watchfire_store::{Effect, EffectState};

use crate::{
    cases::SignalSet,
    content::ContentPlace,
    policy::{Decision, Facts},
    standing::State,
};

/// The action that undoes a take-down.
pub const RESTORE: &str = "restore";

/// What a person has ruled about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It is shown, whatever cases say.
    Restore,
    /// It stays as it is: what is down stays down.
    Keep,
}

/// What matches an item or had it taken down before, a signal set or a content of a bank, with what
/// policy says of it now.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The case.
    pub case: Commitment,
    /// The record of the set; of a content the same as the case.
    pub record: Commitment,
    /// The content, if it is one of a bank.
    pub content: Option<ContentPlace>,
    /// What policy looked at.
    pub facts: Facts,
    /// What is to be done about a copy that is shown.
    pub decision: Decision,
    /// Whether what this alone caused comes back by itself: it was taken back, a person looked and
    /// found no harm, or a negative bank speaks for the item.
    pub undone: bool,
}

/// What is wanted for an item at a moment.
#[derive(Debug, Clone)]
pub enum Want {
    /// These take it down.
    Down(Vec<Judged>),
    /// Nobody takes it down now, but somebody did who has not been undone: a person decides.
    Wait,
    /// A person has ruled that it stays as it is.
    Keep,
    /// Nothing holds it.
    Up,
}

/// Whether what a set alone caused comes back by itself now (`docs/states.md`, undo).
#[must_use]
pub fn is_undone(set: &SignalSet, now_ms: u64) -> bool {
    match set.state(now_ms) {
        State::Retracted => set.standing.restores,
        State::Lapsed => !set.standing.needs_person(),
        _ => false,
    }
}

/// All that was done to one item, in the order in which it was decided.
#[derive(Debug, Clone, Copy)]
pub struct History<'a>(pub &'a [Effect]);

impl<'a> History<'a> {
    /// The take-downs that were ever decided.
    pub fn take_downs(self) -> impl Iterator<Item = &'a Effect> {
        self.0.iter().filter(|effect| effect.action != RESTORE)
    }

    /// Take-downs since the last restore that was carried out, without those that were called off
    /// before the platform heard of them.
    pub fn standing(self) -> impl Iterator<Item = &'a Effect> {
        let restored =
            |effect: &Effect| effect.action == RESTORE && effect.state == EffectState::Done;
        let since = self.0.iter().rposition(restored).map_or(0, |last| last + 1);
        self.0[since..].iter().filter(|effect| {
            effect.action != RESTORE
                && (effect.state != EffectState::Cancelled || effect.attempts > 0)
        })
    }

    /// Whether this set's take-down has been asked for since the item can have come back last. One
    /// that the platform refused for good counts: it must not be asked again and again, a person
    /// can. One that was called off does not: the set has come to life again.
    #[must_use]
    pub fn is_asked(self, set: &Commitment) -> bool {
        let mut asked = false;
        for effect in self.0 {
            if effect.action == RESTORE {
                asked &= effect.state == EffectState::Pending || effect.attempts == 0;
            } else if effect.record == set.0 {
                asked |= effect.state != EffectState::Cancelled;
            }
        }
        asked
    }

    /// Whether an effect is still to be carried out when this is wanted.
    #[must_use]
    pub fn calls_for(self, want: &Want, effect: &Effect) -> bool {
        if effect.action == RESTORE {
            return matches!(want, Want::Up);
        }
        // A restore that was carried out has overtaken it.
        let stands = self.standing().any(|standing| standing.name == effect.name);
        stands
            && match want {
                Want::Down(sets) => sets.iter().any(|down| down.record.0 == effect.record),
                Want::Keep => true,
                Want::Wait | Want::Up => false,
            }
    }

    /// The take-down to take back: the last that the platform may have carried out, unless its
    /// restore has been asked for already. `again`: one that was given up does not count as asked.
    #[must_use]
    pub fn unrestored(self, again: bool) -> Option<&'a Effect> {
        let last = self.standing().filter(|effect| effect.attempts > 0).last()?;
        let mut after = self.0.iter().skip_while(|effect| effect.name != last.name);
        let asked = after.any(|effect| {
            let given_up = matches!(effect.state, EffectState::Dead | EffectState::Dropped);
            effect.action == RESTORE
                && effect.state != EffectState::Cancelled
                && !(again && given_up)
        });
        (!asked).then_some(last)
    }

    /// The connector that carried out the last take-down that stands.
    #[must_use]
    pub fn holder(self) -> Option<&'a str> {
        let done = self.standing().filter(|effect| effect.state == EffectState::Done);
        done.last().map(|effect| effect.connector.as_str())
    }

    /// Whether it is verified to be down, and nothing since can have brought it back.
    #[must_use]
    pub fn is_down(self) -> bool {
        let tried = |effect: &&Effect| effect.attempts > 0;
        let last = self.0.iter().rfind(tried);
        let done = self.standing().any(|effect| effect.state == EffectState::Done);
        done && last.is_some_and(|effect| effect.action != RESTORE)
    }

    /// Effects of this kind for a case so far: the round of the next one.
    #[must_use]
    pub fn rounds(self, subject: &[u8; 32], restore: bool) -> u32 {
        let same = self
            .0
            .iter()
            .filter(|effect| effect.subject == *subject && (effect.action == RESTORE) == restore);
        u32::try_from(same.count()).unwrap_or(u32::MAX)
    }
}

/// Judges an item; `sets` are all that match it or ever had it taken down, as it stands now.
#[must_use]
pub fn judge(sets: &[Judged], history: History<'_>, ruling: Option<Ruling>) -> Want {
    match ruling {
        Some(Ruling::Restore) => return Want::Up,
        Some(Ruling::Keep) => return Want::Keep,
        None => {}
    }
    let live = sets.iter().filter(|judged| judged.decision.take_down().is_some());
    let live = live.cloned().collect::<Vec<_>>();
    if !live.is_empty() {
        return Want::Down(live);
    }
    let waits = |effect: &Effect| {
        let set = sets.iter().find(|judged| judged.record.0 == effect.record);
        // What is not known any more has not been undone by anybody.
        set.is_none_or(|judged| !judged.undone)
    };
    if history.standing().any(waits) { Want::Wait } else { Want::Up }
}
