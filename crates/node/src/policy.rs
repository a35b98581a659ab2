//! What a member does about a match: its own rules, capped by the state of the case.
//!
//! **Invariant:** [`Policy::decide`] is a pure function of its facts and the policy.
//! **Invariant:** no rule can do more than the state of the case allows.
//! **Invariant:** a fact that is not known never makes a rule fire.

mod action;
mod cap;
mod decide;
mod decision;
mod facts;
mod near_word;
mod rule;

pub use action::{Action, Then, ThenError};
pub use decision::{Decision, Fired, Held, Verdict};
pub use facts::{Fact, Facts, Human, ItemFacts, MatchKind};
pub use rule::{Mode, Negative, Policy, Rule};
