//! What a member does about a match: its own rules, capped by the state of the case.
//!
//! **Invariant:** [`Policy::decide`] is a pure function of its facts and the policy.
//! **Invariant:** no rule can do more than the state of the case allows.
//! **Invariant:** a fact that is not known never makes a rule fire.

mod action;
mod cap;
mod case;
mod check;
mod day;
mod decide;
mod decision;
mod edit;
mod explain;
mod facts;
mod near_word;
mod rule;
mod typed;
mod when;

pub use action::{Action, Then, ThenError};
pub use case::{Expect, TestCase, Tested};
pub use check::{MAX_POLICY_BYTES, MAX_RULES, PolicyError};
pub use day::Day;
pub use decision::{Decision, Fired, Held, Verdict};
pub(crate) use edit::promoted;
pub use explain::{Condition, Explained, Explanation};
pub use facts::{Fact, Facts, Human, ItemFacts, MatchKind};
pub use rule::{Limits, Mode, Negative, Policy, Promotion, Rule};
pub use typed::{Declared, FactType, WhenError};
pub use when::When;
