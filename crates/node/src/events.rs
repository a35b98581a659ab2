//! What happens in this node, for whoever watches: a numbered stream with a short memory.
//!
//! **Invariant:** nothing waits for a watcher; one that is too slow is told what it missed by number.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::broadcast;
use watchfire_signal::{
    commitment::Commitment,
    name::{LogName, MemberName},
};

use crate::{incidents::IncidentState, policy::Held, standing::State};

/// Events kept for watchers that come back (`Last-Event-ID`).
pub const MEMORY: usize = 4_096;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A record became durable here.
    Received {
        /// Its name.
        commitment: Commitment,
        /// The log it stands in.
        log: LogName,
        /// Its place there.
        index: u64,
    },
    /// A signal set changed; lookups answer by it from now on.
    Case {
        /// The signal set.
        set: Commitment,
        /// The case.
        subject: Commitment,
        /// Its state.
        state: State,
        /// Whether uploads of it are refused here now.
        blocks: bool,
        /// What was folded last into it.
        log: LogName,
        /// The place of that.
        index: u64,
    },
    /// An effect was carried out, given up, or put off.
    Effect {
        /// Its name in hexadecimal.
        key: String,
        /// The item.
        item: String,
        /// The action.
        action: String,
        /// `done`, `dead`, `retry`, `cancelled`.
        outcome: String,
        /// What the platform said.
        note: String,
    },
    /// What waits for a platform is more than its budget can carry out in time: a person decides.
    BudgetShort {
        /// The connector.
        connector: String,
        /// Orders that wait.
        waiting: u64,
        /// What it may be asked.
        orders_a_minute: u32,
    },
    /// A take-down waits for a person: it would pass a limit of the policy.
    Held {
        /// The case.
        case: Commitment,
        /// The record whose signals matched.
        record: Commitment,
        /// The limit.
        why: Held,
        /// Copies that would have gone.
        copies: u64,
    },
    /// Another member told up to where logs are effective there.
    Receipt {
        /// The member.
        member: MemberName,
        /// The log.
        log: LogName,
        /// Entries effective there.
        size: u64,
    },
    /// An incident is in another state.
    Incident {
        /// The commitment of its declaration.
        incident: Commitment,
        /// Its state.
        state: IncidentState,
        /// 1 awareness, 2 content, 3 critical; 0 while its declaration is missing.
        level: u8,
        /// A drill changes nothing.
        drill: bool,
    },
    /// A log has shown two histories.
    Fork {
        /// The log.
        log: LogName,
    },
    /// Two anchors in a log do not go together: its author's desk log has lost lines, or was rewritten.
    DeskRewritten {
        /// The log.
        log: LogName,
        /// The place of the anchor that tells.
        index: u64,
    },
}

/// An event with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Numbered {
    /// Counts up by one; begins at the microsecond of the node's start, so that no number comes twice and a watcher
    /// that comes back after a restart gets all that happened since. Fits in 53 bits.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// How the stream to a member is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Whether it stands.
    pub up: bool,
    /// Why it ended last.
    pub last_error: Option<String>,
}

/// Tells watchers; cheap to clone.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn crate::clock::Clock>,
    state: Mutex<Memory>,
    live: broadcast::Sender<Numbered>,
}

#[derive(Default)]
struct Memory {
    last: u64,
    recent: VecDeque<Numbered>,
    links: BTreeMap<MemberName, Link>,
}

impl Events {
    /// No events yet.
    #[must_use]
    pub fn new(clock: Arc<dyn crate::clock::Clock>) -> Self {
        let (live, _) = broadcast::channel(MEMORY);
        let memory = Memory { last: clock.now_ms().saturating_mul(1_000), ..Memory::default() };
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(memory), live }) }
    }

    /// Tells everybody.
    pub fn send(&self, event: Event) {
        let mut memory = self.memory();
        memory.last += 1;
        let numbered = Numbered { id: memory.last, at_ms: self.shared.clock.now_ms(), event };
        if memory.recent.len() == MEMORY {
            memory.recent.pop_front();
        }
        memory.recent.push_back(numbered.clone());
        // Nobody watches: nothing is lost, it stands in the memory.
        let _nobody = self.shared.live.send(numbered);
    }

    /// What came after event `after` and is still known, and all that will come.
    #[must_use]
    pub fn watch(&self, after: u64) -> (Vec<Numbered>, broadcast::Receiver<Numbered>) {
        let memory = self.memory();
        let missed = memory.recent.iter().filter(|event| event.id > after).cloned().collect();
        (missed, self.shared.live.subscribe())
    }

    /// The number of the newest event.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.memory().last
    }

    /// Notes how the stream to a member is.
    pub fn link(&self, member: &MemberName, error: Option<String>) {
        let link = Link { up: error.is_none(), last_error: error };
        self.memory().links.insert(member.clone(), link);
    }

    /// How the streams to the members are.
    #[must_use]
    pub fn links(&self) -> BTreeMap<MemberName, Link> {
        self.memory().links.clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
