//! What happened in a run, as one hash over all of it and as the last lines for a person.
//!
//! **Invariant:** two runs with one hash had the same events at the same times in the same order.

use std::{
    collections::VecDeque,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::time::Time;

/// Lines kept for a person.
const KEPT: usize = 120;

/// Writes down what happens. Cheap to clone.
#[derive(Clone)]
pub struct Trace {
    time: Arc<Time>,
    written: Arc<Mutex<Written>>,
}

#[derive(Default)]
struct Written {
    hash: Sha256,
    last: VecDeque<String>,
    aloud: bool,
}

impl Trace {
    /// An empty one; `aloud` prints every line.
    #[must_use]
    pub fn new(time: &Arc<Time>, aloud: bool) -> Self {
        let written = Written { aloud, ..Written::default() };
        Self { time: time.clone(), written: Arc::new(Mutex::new(written)) }
    }

    /// Something happened.
    pub fn note(&self, who: &str, what: impl Display) {
        let at = self.time.waking_ms();
        let line = format!("{:>6}.{:03} {who:<5} {what}", at / 1_000, at % 1_000);
        let mut written = self.written();
        written.hash.update(line.as_bytes());
        written.hash.update(b"\n");
        if written.aloud {
            eprintln!("{line}");
        }
        if written.last.len() == KEPT {
            written.last.pop_front();
        }
        written.last.push_back(line);
    }

    /// The hash over all of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.written().hash.clone().finalize().into()
    }

    /// The last lines.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        self.written().last.iter().cloned().collect()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
