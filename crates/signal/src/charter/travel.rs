//! Says which signals travel in alerts.

use super::Charter;
use crate::value::{Kind, Signal};

impl Charter {
    /// Leaves out of an alert's signals what does not travel under this charter, and does not count in what was written
    /// under it; answers how many that were.
    pub fn leave_out(&self, signals: &mut Vec<Signal>) -> usize {
        let before = signals.len();
        if self.without_features {
            signals.retain(|signal| signal.kind() != Kind::Features);
        }
        before - signals.len()
    }
}
