//! The charters that a member has in a file, beside its disk.

use std::sync::{Arc, Mutex, PoisonError};

use watchfire_signal::charter::CharterChain;

/// The charters that a member was installed with. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Papers(Arc<Mutex<Option<CharterChain>>>);

impl Papers {
    /// What it was installed with, if it was.
    #[must_use]
    pub fn installed(&self) -> Option<CharterChain> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Installs charters.
    pub fn install(&self, chain: CharterChain) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain);
    }
}
