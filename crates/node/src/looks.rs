//! Says what needs a look: which sets and contents have changed, so that the copies they concern are
//! judged again.
//!
//! **Invariant:** what is named waits until it was looked at; naming it again meanwhile is one look.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;
use watchfire_signal::commitment::Commitment;

use crate::content::ContentPlace;

/// What needs a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// A signal set.
    Set(Commitment),
    /// A content of a bank.
    Content(ContentPlace),
}

impl Look {
    /// At the content, if there is one, else at the set.
    #[must_use]
    pub fn of(set: Commitment, content: Option<ContentPlace>) -> Self {
        content.map_or(Self::Set(set), Self::Content)
    }
}

/// Says what needs a look. Cheap to clone.
#[derive(Clone, Default)]
pub struct Enforcer {
    pub(crate) undo: Arc<Todo>,
    pub(crate) take_down: Arc<Todo>,
    pub(crate) sweep: Arc<Notify>,
    pub(crate) all_cases: Arc<Notify>,
}

#[derive(Default)]
pub(crate) struct Todo {
    looks: Mutex<BTreeSet<Look>>,
    more: Notify,
}

impl Enforcer {
    /// Has something looked at soon; `undo` when it does not take copies down (any more).
    pub fn look_at(&self, look: Look, undo: bool) {
        let todo = if undo { &self.undo } else { &self.take_down };
        todo.looks.lock().unwrap_or_else(PoisonError::into_inner).insert(look);
        todo.more.notify_one();
    }

    /// Has every case looked at again, soon, and all copies compared with all banks: the policy has
    /// changed, or a negative bank speaks for less than before.
    pub fn judge_all(&self) {
        self.all_cases.notify_one();
    }

    /// Has all copies compared with all banks, soon.
    pub fn sweep(&self) {
        self.sweep.notify_one();
    }
}

impl Todo {
    /// What to look at next.
    pub(crate) async fn next(&self) -> Look {
        loop {
            let more = self.more.notified();
            let first = self.looks.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            if let Some(look) = first {
                return look;
            }
            more.await;
        }
    }
}
