//! Puts a signal set before this member's policy.

use std::sync::Arc;

use watchfire_signal::name::MemberName;

use crate::{
    cases::SignalSet,
    policy::{Decision, Policy},
};

/// A member's policy with the member's name; cheap to clone.
#[derive(Debug, Clone)]
pub struct Judge {
    /// Who decides.
    pub me: MemberName,
    /// By which rules.
    pub policy: Arc<Policy>,
}

impl Judge {
    /// What this member does about a match with a set at a moment.
    #[must_use]
    pub fn about(&self, set: &SignalSet, now_ms: u64) -> Decision {
        self.policy.decide(&set.facts(&self.me, &self.policy, now_ms))
    }
}
