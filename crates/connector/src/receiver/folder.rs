//! Moves files between a folder and its quarantine, durably, each order once.
//!
//! **Invariant:** an item's name is one plain path component; nothing outside the folder is touched.
//! **Invariant:** when a move returned `Done`, it survives a crash: both folders were synced, then
//! the key was written and synced.

use std::{
    collections::{HashSet, VecDeque},
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Where items are while they are down; never served, because names that begin with a full stop
/// are not.
const QUARANTINE: &str = ".quarantine";
/// The keys of orders that were carried out, one a line, inside the quarantine.
const KEYS: &str = ".keys";
/// How many keys are remembered in memory. A node tries an order again for a day, and an order
/// whose key is forgotten still finds its file where it belongs.
const MAX_KEYS: usize = 100_000;
/// The longest name that file systems take.
const MAX_NAME_BYTES: usize = 255;

/// A folder with its quarantine.
pub(super) struct Folder {
    shown: PathBuf,
    quarantine: PathBuf,
    done: Mutex<Done>,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is where it should be now.
    Done,
    /// It had been carried out before.
    AlreadyDone,
    /// There is no such item.
    Gone,
    /// Never.
    Refused(&'static str),
}

struct Done {
    file: File,
    keys: HashSet<String>,
    oldest_first: VecDeque<String>,
}

impl Folder {
    /// Makes the folder and its quarantine if they are not there, and reads the keys.
    pub(super) fn open(shown: &Path) -> io::Result<Self> {
        let quarantine = shown.join(QUARANTINE);
        fs::create_dir_all(&quarantine)?;
        let path = quarantine.join(KEYS);
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !before.is_empty() && !before.ends_with('\n') {
            // A crash while a key was written: its order is carried out again, which is harmless.
            file.write_all(b"\n")?;
        }
        let mut done = Done { file, keys: HashSet::new(), oldest_first: VecDeque::new() };
        for key in before.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            done.remember(key);
        }
        Ok(Folder { shown: shown.to_owned(), quarantine, done: Mutex::new(done) })
    }

    /// The path of an item that an ordinary user may see.
    pub(super) fn served(&self, item: &str) -> Option<PathBuf> {
        plain_file(&self.shown.join(plain_name(item)?))
    }

    /// Moves an item out of sight.
    pub(super) fn take_down(&self, item: &str, key: &str) -> io::Result<Moved> {
        self.shift(item, key, &self.shown, &self.quarantine)
    }

    /// Moves an item back.
    pub(super) fn put_back(&self, item: &str, key: &str) -> io::Result<Moved> {
        self.shift(item, key, &self.quarantine, &self.shown)
    }

    fn shift(&self, item: &str, key: &str, from: &Path, to: &Path) -> io::Result<Moved> {
        let Some(name) = plain_name(item) else { return Ok(Moved::Gone) };
        if !is_key(key) {
            return Ok(Moved::Refused("a key is 1 to 128 letters, digits, hyphens or underscores"));
        }
        // One order at a time: the checks and the move belong together.
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.keys.contains(key) {
            return Ok(Moved::AlreadyDone);
        }
        let (source, target) = (from.join(name), to.join(name));
        if plain_file(&source).is_none() {
            let there = plain_file(&target).is_some();
            return Ok(if there { Moved::AlreadyDone } else { Moved::Gone });
        }
        if target.symlink_metadata().is_ok() {
            return Ok(Moved::Refused("there is another item of that name where it should go"));
        }
        fs::rename(&source, &target)?;
        // A crash before these leaves the item in either folder; the order is then repeated.
        File::open(to)?.sync_all()?;
        File::open(from)?.sync_all()?;
        // A crash before this leaves the item moved and the key unknown: the order is repeated
        // and finds the item where it should be.
        done.file.write_all(format!("{key}\n").as_bytes())?;
        done.file.sync_data()?;
        done.remember(key);
        Ok(Moved::Done)
    }
}

impl Done {
    fn remember(&mut self, key: &str) {
        if !self.keys.insert(key.to_owned()) {
            return;
        }
        self.oldest_first.push_back(key.to_owned());
        if self.oldest_first.len() > MAX_KEYS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
}

fn is_key(key: &str) -> bool {
    (1..=128).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The name, if it is one plain component that is not hidden.
fn plain_name(item: &str) -> Option<&OsStr> {
    if item.len() > MAX_NAME_BYTES || item.starts_with('.') || item.contains(['\\', '\0', '/']) {
        return None;
    }
    let mut components = Path::new(item).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(name)), None) if name == OsStr::new(item) => Some(name),
        _ => None,
    }
}

/// The path, if a regular file is there; a symbolic link is not one.
fn plain_file(path: &Path) -> Option<PathBuf> {
    path.symlink_metadata().ok().filter(fs::Metadata::is_file).map(|_| path.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a"), b"content").unwrap();
        let folder = Folder::open(place.path()).unwrap();
        (place, folder)
    }

    #[test]
    fn an_order_is_carried_out_once_even_after_a_restart() {
        let (place, folder) = place();
        assert_eq!(folder.take_down("a", "k1").unwrap(), Moved::Done);
        assert_eq!(folder.put_back("a", "k2").unwrap(), Moved::Done);
        assert_eq!(folder.take_down("a", "k1").unwrap(), Moved::AlreadyDone);
        assert!(folder.served("a").is_some());
        drop(folder);
        let again = Folder::open(place.path()).unwrap();
        assert_eq!(again.take_down("a", "k1").unwrap(), Moved::AlreadyDone);
        assert!(again.served("a").is_some());
        assert_eq!(again.take_down("a", "k3").unwrap(), Moved::Done);
        assert!(again.served("a").is_none());
    }

    #[test]
    fn a_key_that_was_half_written_in_a_crash_is_not_believed() {
        let (place, folder) = place();
        folder.take_down("a", "k1").unwrap();
        folder.put_back("a", "k2").unwrap();
        drop(folder);
        let keys = place.path().join(QUARANTINE).join(KEYS);
        fs::write(&keys, "k1\nk2\nk").unwrap();
        let again = Folder::open(place.path()).unwrap();
        assert_eq!(again.take_down("a", "k").unwrap(), Moved::Done);
        drop(again);
        let again = Folder::open(place.path()).unwrap();
        assert_eq!(again.put_back("a", "k").unwrap(), Moved::AlreadyDone);
    }

    #[test]
    fn names_that_lead_elsewhere_are_no_items() {
        let (place, folder) = place();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), b"x").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), place.path().join("link"))
            .unwrap();
        fs::create_dir(place.path().join("sub")).unwrap();
        fs::write(place.path().join("sub/b"), b"x").unwrap();
        let absolute = outside.path().join("secret");
        let long = "a".repeat(300);
        for item in [
            "",
            ".",
            "..",
            "../a",
            "./a",
            "a/",
            "/a",
            "sub/b",
            "sub",
            "link",
            ".quarantine",
            ".quarantine/.keys",
            "a\0",
            "..\\a",
            absolute.to_str().unwrap(),
            &long,
        ] {
            assert_eq!(folder.served(item), None, "{item}");
            assert_eq!(folder.take_down(item, "k").unwrap(), Moved::Gone, "{item}");
            assert_eq!(folder.put_back(item, "k").unwrap(), Moved::Gone, "{item}");
        }
    }

    #[test]
    fn an_item_never_replaces_another_of_its_name() {
        let (place, folder) = place();
        assert_eq!(folder.take_down("a", "k1").unwrap(), Moved::Done);
        fs::write(place.path().join("a"), b"a new upload").unwrap();
        assert!(matches!(folder.put_back("a", "k2").unwrap(), Moved::Refused(_)));
        assert!(matches!(folder.take_down("a", "k3").unwrap(), Moved::Refused(_)));
        assert_eq!(fs::read(place.path().join("a")).unwrap(), b"a new upload");
        assert_eq!(fs::read(place.path().join(QUARANTINE).join("a")).unwrap(), b"content");
    }

    #[test]
    fn a_key_that_would_span_lines_is_refused() {
        let (_place, folder) = place();
        assert!(matches!(folder.take_down("a", "k\nk2").unwrap(), Moved::Refused(_)));
        assert!(matches!(folder.take_down("a", "").unwrap(), Moved::Refused(_)));
        assert!(folder.served("a").is_some());
    }
}
