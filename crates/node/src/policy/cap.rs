//! The most that may happen automatically (`docs/states.md`).
//!
//! **Invariant:** a member's policy can only be milder than the cap; a person's decision is no
//! automatic one.
//! **Invariant:** a member whose role does not enforce takes nothing down, whatever is known of it and whoever says so.

use watchfire_signal::{label::Label, value::Kind};

use super::{Action, Facts, MatchKind, Policy, Then};
use crate::standing::State;

/// The most that may happen automatically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cap {
    Nothing,
    Review,
    /// Everything that can be undone.
    Reversible,
    Everything,
}

impl Cap {
    /// The word in explanations.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Review => "review",
            Self::Reversible => "reversible",
            Self::Everything => "everything",
        }
    }
}

/// Why a cap is lower than what is known of a match allows.
pub(super) const BY_ROLE: &str = "this member's role does not enforce";

impl Facts {
    /// The state that counts for this member, and the cap that goes with it.
    pub(super) fn standing_here(&self, policy: &Policy) -> (Option<State>, Cap) {
        let (state, cap) = self.standing_anywhere(policy);
        (state, if self.advisory { cap.min(Cap::Review) } else { cap })
    }

    /// Why the cap is lower than what is known of the match allows, if it is.
    pub(super) fn lowered(&self, policy: &Policy) -> Option<&'static str> {
        (self.standing_here(policy).1 < self.standing_anywhere(policy).1).then_some(BY_ROLE)
    }

    /// The same whatever this member's role is.
    fn standing_anywhere(&self, policy: &Policy) -> (Option<State>, Cap) {
        if self.drill {
            return (self.state, Cap::Nothing);
        }
        if self.human.as_ref().is_some_and(|human| human.harmful) {
            return (Some(State::Confirmed), Cap::Everything);
        }
        let Some(state) = self.state else {
            // The member's own bank is its own word.
            return (None, if self.bank.is_some() { Cap::Everything } else { Cap::Nothing });
        };
        let trusted = self.looked.iter().any(|member| policy.trust.contains(member));
        let (counts, cap) = match state {
            State::Confirmed => (State::Confirmed, Cap::Everything),
            State::Proposed | State::Provisional if self.own || trusted => {
                (State::Confirmed, Cap::Reversible)
            }
            State::Disputed if self.own => (State::Confirmed, Cap::Reversible),
            // Enough organisations stand by an incident of level 3 that ties it.
            State::Provisional if self.critical => (State::Confirmed, Cap::Reversible),
            // The charter names its label as one that acts at severity 4.
            State::Provisional if self.grave => (State::Confirmed, Cap::Reversible),
            State::Proposed | State::Provisional | State::Disputed => (state, Cap::Review),
            State::Lapsed if self.was_confirmed => (State::Lapsed, Cap::Review),
            State::Lapsed | State::Retracted => (state, Cap::Nothing),
        };
        let unread = self.unreadable && matches!(cap, Cap::Everything | Cap::Reversible);
        (Some(counts), if unread { Cap::Review } else { cap })
    }

    /// Whether what the match rests on is too little to act on: a variant is recognised by details, or by
    /// its sound alone, which an innocent thing may share. Where two ways agree it acts; details act too
    /// in a CONFIRMED case of severity 4, sound alone never, and nothing that is not sure itself or below the
    /// quality floor.
    pub(super) fn is_faint(&self, state: Option<State>) -> bool {
        let grave = state == Some(State::Confirmed) && self.severity >= 4;
        let heard = self.signal == Some(Kind::Audio);
        let alone = self.kind == Some(MatchKind::Variant) && !self.agreed && (heard || !grave);
        alone || self.unsure || self.thin
    }

    /// Whether the law of the taxonomy forbids more than a label.
    pub(super) fn label_only(&self, labels: &[Label]) -> bool {
        (self.bank.is_none() || !labels.is_empty()) && !labels.iter().any(Label::is_automatic)
    }
}

/// Replaces everything stricter than a review, and what would fall on the author, by `instead`.
pub(super) fn soften(then: &mut Then, instead: Action) {
    let before = then.actions.len();
    then.actions.retain(|action| !action.is_stricter_than_review());
    if then.actions.len() < before || then.strikes > 0 || !then.reports.is_empty() {
        then.actions.insert(instead);
    }
    then.strikes = 0;
    then.reports.clear();
    then.keep_strictest();
}
