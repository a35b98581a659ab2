//! Puts matches before the policy in force.
//!
//! **Invariant:** every look reads the policy once, so that no decision mixes two versions.

use std::sync::Arc;

use arc_swap::ArcSwap;
use watchfire_signal::name::MemberName;

use crate::{
    cases::SignalSet,
    near::Hit,
    policy::{Decision, Facts, ItemFacts, Policy},
    seen::Item,
};

/// A member's policy with the member's name; cheap to clone, and all clones see a new policy at once.
#[derive(Debug, Clone)]
pub struct Judge {
    me: MemberName,
    policy: Arc<ArcSwap<Policy>>,
}

impl Judge {
    /// A member that decides by a policy.
    #[must_use]
    pub fn new(me: MemberName, policy: Policy) -> Self {
        Self { me, policy: Arc::new(ArcSwap::from_pointee(policy)) }
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
        set.facts(&self.me, now_ms)
    }

    /// What this member does about a set before an item is looked at: rules that ask for the item or
    /// for the match do not fire.
    #[must_use]
    pub fn about(&self, set: &SignalSet, now_ms: u64) -> Decision {
        self.policy.load().decide(&self.facts(set, now_ms))
    }

    /// What this member does about a copy that it holds.
    #[must_use]
    pub fn about_copy<K>(
        &self,
        set: &SignalSet,
        copy: &Item,
        hit: &Hit<K>,
        now_ms: u64,
    ) -> Decision {
        let facts = self.facts(set, now_ms).matched(hit);
        let facts = facts.about(Some(copy.id.clone()), ItemFacts::default());
        self.policy.load().decide(&facts)
    }
}
