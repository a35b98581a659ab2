//! What must hold in the story; everything that does not is named at the end.

use std::fmt::Display;

use tracing::warn;

/// Expectations that did not hold, in the order of the story.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    failed: Vec<String>,
}

impl Expectations {
    /// Notes whether something holds that must.
    pub(super) fn expect(&mut self, holds: bool, what: impl Display) {
        if !holds {
            let what = what.to_string();
            warn!(%what, "an expectation of the story failed");
            self.failed.push(what);
        }
    }

    /// What did not hold.
    pub(super) fn failed(&self) -> &[String] {
        &self.failed
    }
}
