//! A signed head that was kept from an earlier look at a log: what the log says now must go on from it.
//!
//! **Invariant:** it is held against the leaves themselves; no tile of hashes is asked.

use std::{fs, path::Path};

use watchfire_tlog::{Checkpoint, Entry, Frontier, Hash, Origin, PeerKey, SignedCheckpoint};

use crate::{
    directory::{replace, write_new},
    exit::{Failure, OrEnvironment},
};

/// A head from before, and the leaves that have passed since.
pub(super) struct Kept {
    head: Checkpoint,
    passed: Frontier,
    /// The root over as many leaves as the head covers, once so many have passed.
    root: Option<Hash>,
}

impl Kept {
    /// Reads a head that `key` signed.
    pub(super) fn read(path: &Path, origin: &Origin, key: &PeerKey) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).or_environment(path.display())?;
        let head = SignedCheckpoint::new(text).verify(origin, key);
        let head = head.or_environment(format!("{}: no head of this log", path.display()))?;
        let passed = Frontier::new();
        let root = (head.size == 0).then(|| passed.root());
        Ok(Self { head, passed, root })
    }

    /// Leaves of it.
    pub(super) fn size(&self) -> u64 {
        self.head.size
    }

    /// Takes in what an audit reads, from its first leaf on.
    pub(super) fn pass(&mut self, from: u64, entries: &[Entry]) {
        if from != self.passed.size() {
            return;
        }
        for entry in entries {
            if self.passed.size() == self.head.size {
                return;
            }
            self.passed.append(entry.leaf_hash());
            if self.passed.size() == self.head.size {
                self.root = Some(self.passed.root());
            }
        }
    }

    /// What is wrong once all leaves have passed.
    pub(super) fn wrong(&self) -> Option<String> {
        let Checkpoint { size, root, .. } = &self.head;
        match self.root {
            None => Some(format!(
                "it had {size} leaves, and has {} now: both heads are signed, keep them",
                self.passed.size()
            )),
            Some(found) if found != *root => Some(format!(
                "its first {size} leaves are not those that it had: both heads are signed, keep them"
            )),
            Some(_) => None,
        }
    }
}

/// Keeps a head for a later look. A file that is there is replaced only where it is what was looked at since.
pub(super) fn keep(
    path: &Path,
    since: Option<&Path>,
    head: &SignedCheckpoint,
) -> Result<(), Failure> {
    if since == Some(path) {
        replace(path, head.text.as_bytes())
    } else {
        write_new(path, &head.text)
    }
}
