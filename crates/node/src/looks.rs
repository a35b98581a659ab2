//! Says what needs a look: which sets and contents have changed, so that the copies they concern are
//! judged again.
//!
//! **Invariant:** what is named waits until it was looked at; naming it again meanwhile is one look.
//! **Invariant:** sources take turns: what one member brings waits for one look of each other member,
//! however much that one has named.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;
use watchfire_signal::{commitment::Commitment, name::MemberName};

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
    turns: Mutex<Turns>,
    more: Notify,
}

/// What waits, by the member that brought it; `None` is this member itself.
#[derive(Default)]
struct Turns {
    waiting: BTreeMap<Option<MemberName>, BTreeSet<Look>>,
    /// Whose turn it was last.
    last: Option<MemberName>,
}

impl Turns {
    /// The first look of whoever comes after the one before.
    fn pop(&mut self) -> Option<Look> {
        let after = (Bound::Excluded(&self.last), Bound::Unbounded);
        let next = self.waiting.range::<Option<MemberName>, _>(after).next();
        let next = next.or_else(|| self.waiting.iter().next());
        let source = next?.0.clone();
        let looks = self.waiting.get_mut(&source)?;
        let look = looks.pop_first();
        if looks.is_empty() {
            self.waiting.remove(&source);
        }
        self.last = source;
        look
    }
}

impl Enforcer {
    /// Has something looked at soon; `source` is the member that brought it, `None` this member itself;
    /// `undo` when it does not take copies down (any more).
    pub fn look_at(&self, look: Look, source: Option<&MemberName>, undo: bool) {
        let todo = if undo { &self.undo } else { &self.take_down };
        let mut turns = todo.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.waiting.entry(source.cloned()).or_default().insert(look);
        drop(turns);
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
            let first = self.turns.lock().unwrap_or_else(PoisonError::into_inner).pop();
            if let Some(look) = first {
                return look;
            }
            more.await;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn look(number: u32) -> Look {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&number.to_be_bytes());
        Look::Set(Commitment(name))
    }

    #[tokio::test]
    async fn a_look_waits_for_one_of_each_other_member_however_much_that_one_has_named() {
        let enforcer = Enforcer::default();
        let member = |name: &str| name.parse::<MemberName>().unwrap();
        let (flood, honest, other) = (member("flood"), member("honest"), member("other"));
        for number in 0..100_000 {
            enforcer.look_at(look(number), Some(&flood), false);
        }
        for _ in 0..7 {
            enforcer.take_down.next().await;
        }
        let wanted = [look(200_000), look(200_001), look(200_002)];
        for (look, source) in wanted.into_iter().zip([Some(&honest), Some(&other), None]) {
            enforcer.look_at(look, source, false);
        }
        let mut next = Vec::new();
        for _ in 0..4 {
            next.push(enforcer.take_down.next().await);
        }
        assert!(wanted.iter().all(|look| next.contains(look)), "{next:?}");
        // Named again it waits once; what is left comes in turn.
        enforcer.look_at(look(99_999), Some(&flood), false);
        let mut left = 0;
        while !enforcer.take_down.turns.lock().unwrap().waiting.is_empty() {
            enforcer.take_down.next().await;
            left += 1;
        }
        assert_eq!(left, 100_000 - 8);
    }
}
