//! Works out what a disk holds after a loss of power, from the record of what a process asked of it.
//!
//! The disk is the worst that POSIX allows: bytes are safe when their file was synced after they were
//! written, a name when the directory was synced after it was made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::writing::Random;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// One event of the record (`tests/shim/record.c`).
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Open { name: String, inode: u64 },
    Write { inode: u64, at: usize, bytes: Vec<u8> },
    Cut { inode: u64, bytes: usize },
    Sync { inode: u64 },
    SyncNames,
    Unlink { name: String },
    Said(String),
}

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// All of it is lost.
    Lost,
    /// Each sector by itself is written or not, in no order.
    Torn,
}

/// Compiles the recorder.
pub(crate) fn recorder(directory: &Path) -> PathBuf {
    let library = directory.join("record.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/record.c");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .args([source, "-ldl", "-lpthread"])
        .status()
        .unwrap();
    assert!(status.success());
    library
}

/// Reads a record.
pub(crate) fn read(trace: &Path) -> Vec<Event> {
    let bytes = std::fs::read(trace).unwrap();
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while let Some(event) = take_event(&mut rest) {
        events.push(event);
    }
    events
}

/// One event; `None` at the end, also at one that the end of the process cut short.
fn take_event(rest: &mut &[u8]) -> Option<Event> {
    let (head, mut tail) = rest.split_at_checked(25)?;
    let long = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
    let short = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap()) as usize;
    let (at, inode) = (long(1) as usize, long(9));
    let name = String::from_utf8(tail.split_off(..short(17))?.to_vec()).unwrap();
    let bytes = tail.split_off(..short(21))?.to_vec();
    *rest = tail;
    Some(match head[0] {
        b'C' => Event::Open { name, inode },
        b'W' => Event::Write { inode, at, bytes },
        b'T' => Event::Cut { inode, bytes: at },
        b'S' if name.is_empty() => Event::SyncNames,
        b'S' => Event::Sync { inode },
        b'U' => Event::Unlink { name },
        b'A' => Event::Said(String::from_utf8(bytes).unwrap()),
        kind => panic!("no event is called {kind}"),
    })
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut { bytes: usize },
}

#[derive(Debug, Clone, Default)]
struct File {
    safe: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Made(String, usize),
    Removed(String),
}

/// A disk that is told events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// Files by the inode that they have now; a number is used again when a file is gone.
    inodes: BTreeMap<u64, usize>,
    names: BTreeMap<String, u64>,
    safe_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
}

impl Disk {
    /// Takes an event.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Open { name, inode } => self.open(name, *inode),
            Event::Write { inode, at, bytes } => {
                self.change(*inode, Change::Write { at: *at, bytes: bytes.clone() });
            }
            Event::Cut { inode, bytes } => self.change(*inode, Change::Cut { bytes: *bytes }),
            Event::Sync { inode } => {
                if let Some(file) = self.inodes.get(inode) {
                    let file = &mut self.files[*file];
                    for change in std::mem::take(&mut file.pending) {
                        carry_out(&mut file.safe, &change);
                    }
                }
            }
            Event::SyncNames => {
                for change in std::mem::take(&mut self.pending_names) {
                    rename(&mut self.safe_names, change);
                }
            }
            Event::Unlink { name } => {
                if let Some(inode) = self.names.remove(name) {
                    self.inodes.remove(&inode);
                    self.pending_names.push(NameChange::Removed(name.clone()));
                }
            }
            Event::Said(_) => {}
        }
    }

    fn open(&mut self, name: &str, inode: u64) {
        if self.names.get(name) == Some(&inode) {
            return;
        }
        self.names.insert(name.to_owned(), inode);
        self.inodes.insert(inode, self.files.len());
        self.pending_names.push(NameChange::Made(name.to_owned(), self.files.len()));
        self.files.push(File::default());
    }

    fn change(&mut self, inode: u64, change: Change) {
        if let Some(file) = self.inodes.get(&inode) {
            self.files[*file].pending.push(change);
        }
    }

    /// The power fails: writes what is left of the files into a directory.
    pub(crate) fn fail(&self, unsynced: Unsynced, random: &mut Random, directory: &Path) {
        let mut names = self.safe_names.clone();
        if unsynced == Unsynced::Torn {
            let some = random.below(self.pending_names.len() as u64 + 1) as usize;
            for change in &self.pending_names[..some] {
                rename(&mut names, change.clone());
            }
        }
        for (name, file) in names {
            let mut bytes = self.files[file].safe.clone();
            if unsynced == Unsynced::Torn {
                for change in &self.files[file].pending {
                    tear(&mut bytes, change, random);
                }
            }
            std::fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

fn rename(names: &mut BTreeMap<String, usize>, change: NameChange) {
    match change {
        NameChange::Made(name, file) => names.insert(name, file),
        NameChange::Removed(name) => names.remove(&name),
    };
}

fn carry_out(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Cut { bytes } => file.resize(*bytes, 0),
        Change::Write { at, bytes } => {
            file.resize(file.len().max(at + bytes.len()), 0);
            file[*at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

/// Carries out each sector of a change, or not.
fn tear(file: &mut Vec<u8>, change: &Change, random: &mut Random) {
    let Change::Write { at, bytes } = change else {
        if random.below(2) == 0 {
            carry_out(file, change);
        }
        return;
    };
    let (mut at, mut rest) = (*at, bytes.as_slice());
    while !rest.is_empty() {
        let (sector, after) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
        if random.below(2) == 0 {
            carry_out(file, &Change::Write { at, bytes: sector.to_vec() });
        }
        (at, rest) = (at + sector.len(), after);
    }
}

#[test]
fn what_was_not_synced_is_lost_and_what_was_is_kept() {
    let name = || "file".to_owned();
    let write = |at, byte| Event::Write { inode: 1, at, bytes: vec![byte; 600] };
    let content = |events: &[Event]| {
        let (mut disk, directory) = (Disk::default(), tempfile::tempdir().unwrap());
        events.iter().for_each(|event| disk.apply(event));
        disk.fail(Unsynced::Lost, &mut Random::new(1), directory.path());
        std::fs::read(directory.path().join("file")).ok()
    };
    let open = Event::Open { name: name(), inode: 1 };
    let sync = Event::Sync { inode: 1 };
    assert_eq!(content(&[open.clone(), write(0, 1), sync.clone()]), None);
    let named = [open.clone(), Event::SyncNames, write(0, 1)];
    assert_eq!(content(&named), Some(vec![]));
    let synced = [open.clone(), Event::SyncNames, write(0, 1), sync.clone(), write(600, 2)];
    assert_eq!(content(&synced), Some(vec![1; 600]));
    let cut = Event::Cut { inode: 1, bytes: 100 };
    let removed = [open, write(0, 1), cut, sync, Event::SyncNames, Event::Unlink { name: name() }];
    assert_eq!(content(&removed), Some(vec![1; 100]));
    assert_eq!(content(&[&removed[..], &[Event::SyncNames]].concat()), None);
}
