//! Puts matches before the policy in force.
//!
//! **Invariant:** every look reads the policy once, so that no decision mixes two versions.

use std::sync::Arc;

use arc_swap::ArcSwap;
use watchfire_signal::{
    charter::Role,
    commitment::Commitment,
    name::{ItemId, MemberName},
};

use crate::{
    cases::SignalSet,
    people::People,
    policy::{Decision, Facts, Human, Policy},
};

/// A member's policy with the member's name; cheap to clone, and all clones see a new policy at once.
#[derive(Debug, Clone)]
pub struct Judge {
    me: MemberName,
    policy: Arc<ArcSwap<Policy>>,
    people: Arc<People>,
    role: Role,
}

impl Judge {
    /// A member that decides by a policy, as far as its role in the charter lets it.
    #[must_use]
    pub fn new(me: MemberName, role: Role, policy: Policy) -> Self {
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        Self { me, policy, people: Arc::default(), role }
    }

    /// Heeds what people decided.
    #[must_use]
    pub fn heeding(self, people: Arc<People>) -> Self {
        Self { people, ..self }
    }

    /// What people said.
    #[must_use]
    pub fn people(&self) -> &Arc<People> {
        &self.people
    }

    /// What a person decided about an item, or about whatever matches a case.
    #[must_use]
    pub fn human(&self, item: Option<&ItemId>, case: &Commitment) -> Option<Human> {
        self.people.about(item, case)
    }

    /// Whether our role does not enforce.
    #[must_use]
    pub fn is_advisory(&self) -> bool {
        !self.role.enforces()
    }

    /// Who we are.
    #[must_use]
    pub fn me(&self) -> &MemberName {
        &self.me
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Puts another policy in force. Whoever has read the one before finishes by it.
    pub fn swap(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
    }

    /// What is known of a set, whatever item matches it.
    #[must_use]
    pub fn facts(&self, set: &SignalSet, now_ms: u64) -> Facts {
        Facts { advisory: self.is_advisory(), ..set.facts(&self.me, now_ms) }
    }

    /// What this member does about a set before an item is looked at: rules that ask for the item or
    /// for the match do not fire.
    #[must_use]
    pub fn about(&self, set: &SignalSet, now_ms: u64) -> Decision {
        self.policy.load().decide(&self.facts(set, now_ms))
    }
}
