//! A member's data directory: configuration, key, charter and store, each at its place.
//!
//! **Invariant:** the seed of the key is read only while nobody but its owner can read it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::Mode;
use watchfire_signal::{
    charter::{Charter, CharterChain, Member, SignedCharter},
    hex,
    name::MemberName,
};
use watchfire_store::{OpenError, SqliteOptions, SqliteStore, StoreError};
use watchfire_tlog::OwnKey;

use crate::{
    config::Config,
    exit::{Failure, OrEnvironment, environment},
};

/// The mode of the directory: its owner alone.
const DIRECTORY_MODE: u32 = 0o700;
/// The mode of secrets.
const SECRET_MODE: u32 = 0o600;
/// What helps a member that is in no coalition yet.
const NO_CHARTER: &str = "no charter is installed: `watchfire coalition init`, `approve`, `install` \
                          to found one, or `watchfire coalition join` to enter one";
/// Bits that let others read a secret.
const OTHERS: u32 = 0o077;

/// A data directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// The directory at a path, whether or not it is there.
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// Makes the directory, its parents too.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(DIRECTORY_MODE);
        builder.create(&self.0).or_environment(self.0.display())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it; an absolute path stays what it is.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// The configuration.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.file("watchfire.toml")
    }

    /// The seed of the member's key, in hexadecimal.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.file("key.seed")
    }

    /// The seed of the key that a proposed charter names for us.
    pub(crate) fn next_key_file(&self) -> PathBuf {
        self.file("key.next.seed")
    }

    /// The seed of our key in an epoch that is over.
    fn former_key_file(&self, epoch: u32) -> PathBuf {
        self.file(format!("key.{epoch}.seed"))
    }

    /// What the member shows to found or join a coalition.
    pub(crate) fn card_file(&self) -> PathBuf {
        self.file("member.json")
    }

    /// The signed charters, from the first to the one in force when the node was started last.
    pub(crate) fn charter_file(&self) -> PathBuf {
        self.file("charter.cbor")
    }

    /// Reads the configuration.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let path = self.config_file();
        let text = fs::read_to_string(&path).or_environment(path.display())?;
        Config::parse(&text).or_environment(path.display())
    }

    /// Reads the member's key.
    pub(crate) fn key(&self) -> Result<OwnKey, Failure> {
        self.finish_rotation()?;
        Ok(OwnKey::from_seed(&self.seed(&self.key_file())?))
    }

    /// Reads the seed of a key.
    pub(crate) fn seed(&self, path: &Path) -> Result<[u8; 32], Failure> {
        hex::decode::<32>(self.secret(path)?.trim()).or_environment(path.display())
    }

    /// Our key by a charter, and that of our log before, if it is here: a key that was made for this charter
    /// takes its place now.
    pub(crate) fn keys(
        &self,
        charter: &Charter,
        me: &MemberName,
    ) -> Result<(OwnKey, Option<OwnKey>), Failure> {
        let key = self.key()?;
        let own = charter.member(me).ok_or_else(|| Failure::NoMember(me.clone()))?;
        let made = self.key_in(&self.next_key_file())?;
        let key = match made.filter(|made| made.public().to_bytes() == own.key) {
            Some(made) => {
                self.take_next_key(own)?;
                made
            }
            None => key,
        };
        Ok((key, self.key_in(&self.former_key_file(own.epoch.saturating_sub(1)))?))
    }

    /// The key of a file, if it is there.
    fn key_in(&self, path: &Path) -> Result<Option<OwnKey>, Failure> {
        let seed = path.exists().then(|| self.seed(path)).transpose()?;
        Ok(seed.map(|seed| OwnKey::from_seed(&seed)))
    }

    /// Puts the next key in the place of the present one, which stays beside it.
    fn take_next_key(&self, own: &Member) -> Result<(), Failure> {
        let (present, former) =
            (self.key_file(), self.former_key_file(own.epoch.saturating_sub(1)));
        fs::rename(&present, &former).or_environment(former.display())?;
        // A crash here leaves the next key alone; `finish_rotation` puts it in its place.
        self.finish_rotation()?;
        let card = serde_json::to_string_pretty(own)? + "\n";
        replace(&self.card_file(), card.as_bytes())
    }

    fn finish_rotation(&self) -> Result<(), Failure> {
        let (present, next) = (self.key_file(), self.next_key_file());
        if !present.exists() && next.exists() {
            fs::rename(&next, &present).or_environment(present.display())?;
        }
        Ok(())
    }

    /// Reads a secret that only its owner may read.
    pub(crate) fn secret(&self, path: &Path) -> Result<String, Failure> {
        let mode = fs::metadata(path).or_environment(path.display())?.permissions().mode();
        if mode & OTHERS != 0 {
            let path = path.display();
            return Err(environment(format!("others can read {path}: chmod 600 {path}")));
        }
        fs::read_to_string(path).or_environment(path.display())
    }

    /// Reads the member's card.
    pub(crate) fn card(&self) -> Result<Member, Failure> {
        read_card(&self.card_file())
    }

    /// Reads the charters; that they are approved is checked by who uses them.
    pub(crate) fn chain(&self) -> Result<CharterChain, Failure> {
        let path = self.charter_file();
        if path.exists() { read_chain(&path) } else { Err(environment(NO_CHARTER)) }
    }

    /// Opens the store, which takes the directory's lock. Blocks on the disk. What is made there from now on is its
    /// owner's alone, also where the directory was there before and is open to others.
    pub(crate) fn store(&self) -> Result<SqliteStore, Failure> {
        rustix::process::umask(Mode::from_raw_mode(OTHERS));
        match SqliteStore::open(&self.0, SqliteOptions::default()) {
            Err(error @ OpenError::Locked { .. }) => {
                Err(environment(format!("{error}: stop the node first, or ask it over its API")))
            }
            Err(error @ OpenError::Store(StoreError::Failed(_) | StoreError::Corrupt(_))) => {
                let path = self.0.display();
                Err(environment(format!(
                    "{path}: {error}: restore a backup (operating.md, Backup)"
                )))
            }
            other => other.or_environment(self.0.display()),
        }
    }
}

/// Writes a new file that must not be there yet.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    write(path, text.as_bytes(), OpenOptions::new().write(true).create_new(true))
}

/// Writes a new secret that only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    write(path, text.as_bytes(), options.write(true).create_new(true).mode(SECRET_MODE))
}

/// Writes a file whole or not at all: a crash leaves what was there before.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let part = path.with_extension("part");
    write(&part, bytes, OpenOptions::new().write(true).create(true).truncate(true))?;
    fs::rename(&part, path).or_environment(path.display())
}

fn write(path: &Path, bytes: &[u8], options: &OpenOptions) -> Result<(), Failure> {
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(environment(format!("{} is there already; name another", path.display())))
        }
        other => other.or_environment(path.display()),
    }
}

/// Reads a member's card.
pub(crate) fn read_card(path: &Path) -> Result<Member, Failure> {
    let text = fs::read_to_string(path).or_environment(path.display())?;
    serde_json::from_str(&text)
        .or_environment(format!("{} is no member card (member.json)", path.display()))
}

/// Reads a file of charters, from the first to the one in force.
pub(crate) fn read_chain(path: &Path) -> Result<CharterChain, Failure> {
    let bytes = fs::read(path).or_environment(path.display())?;
    let what = "is no charter, or is cut off: `watchfire coalition fetch --url ADDRESS --out FILE`";
    CharterChain::decode(&bytes).or_environment(format!("{} {what}", path.display()))
}

/// Reads the file of a first charter, approved or not.
pub(crate) fn read_charter(path: &Path) -> Result<SignedCharter, Failure> {
    let bytes = fs::read(path).or_environment(path.display())?;
    SignedCharter::decode(&bytes).or_environment(format!("{} is no charter", path.display()))
}
