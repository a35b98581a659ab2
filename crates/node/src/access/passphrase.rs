//! Passphrases, kept as Argon2id hashes.
//!
//! **Invariant:** checking takes the same work whether or not there is an account to check against.
//! **Invariant:** however many people log in, two hashes are made at a time, and few callers wait.
//! Source: RFC 9106; parameters of the OWASP Password Storage Cheat Sheet (19 MiB, 2 passes).

use std::{fmt, sync::Arc};

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;
use watchfire_signal::hex;

use crate::clock::Random;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19_456;
/// Passes over it.
const PASSES: u32 = 2;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// The shortest passphrase, in characters: there are no other rules about what it is made of.
pub const MIN_CHARS: usize = 12;
/// The longest, in bytes.
pub const MAX_BYTES: usize = 1_024;
/// Hashes made at a time: each takes a core for some tens of milliseconds, and a node has other work.
const AT_ONCE: usize = 2;
/// Callers that wait for their turn, before others are sent away.
const WAITING: usize = 64;

/// A passphrase as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    memory_kib: u32,
    passes: u32,
    /// In hexadecimal.
    salt: String,
    /// In hexadecimal.
    hash: String,
}

/// Shows nothing of it.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(..)")
    }
}

/// Why a passphrase was not hashed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PassphraseError {
    /// Too short.
    #[error("a passphrase has at least {MIN_CHARS} characters")]
    TooShort,
    /// Too long.
    #[error("a passphrase has at most {MAX_BYTES} bytes")]
    TooLong,
    /// Too many log in at this moment.
    #[error("too many people log in at this moment")]
    Busy,
    /// The library refused, or the node is stopping.
    #[error("the passphrase could not be hashed: {0}")]
    Failed(String),
}

/// Makes and checks hashes.
pub(super) struct Hasher {
    at_once: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What is checked against where there is nothing: no passphrase has this hash.
    nobody: Kept,
}

impl Hasher {
    pub(super) fn new(random: &dyn Random) -> Self {
        let nobody = Kept {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: hex::encode(&bytes::<16>(random)),
            hash: hex::encode(&bytes::<HASH_BYTES>(random)),
        };
        let (at_once, waiting) = (Semaphore::new(AT_ONCE), Semaphore::new(WAITING));
        Self { at_once: Arc::new(at_once), waiting: Arc::new(waiting), nobody }
    }

    /// The hash of a new passphrase.
    pub(super) async fn hash(
        &self,
        passphrase: String,
        random: &dyn Random,
    ) -> Result<Kept, PassphraseError> {
        if passphrase.chars().count() < MIN_CHARS {
            return Err(PassphraseError::TooShort);
        }
        let salt = hex::encode(&bytes::<16>(random));
        let empty = String::new();
        let kept = Kept { memory_kib: MEMORY_KIB, passes: PASSES, salt, hash: empty };
        let hash = self.work(passphrase, kept.clone()).await?;
        Ok(Kept { hash: hex::encode(&hash), ..kept })
    }

    /// Whether a passphrase is the one that is kept; the same work where nothing is.
    pub(super) async fn is(
        &self,
        passphrase: String,
        kept: Option<&Kept>,
    ) -> Result<bool, PassphraseError> {
        let against = kept.unwrap_or(&self.nobody);
        let hash = self.work(passphrase, against.clone()).await?;
        let known = hex::decode::<HASH_BYTES>(&against.hash);
        let known = known.map_err(|error| PassphraseError::Failed(error.to_string()))?;
        let different = hash.iter().zip(known).fold(0, |sum, (a, b)| sum | (a ^ b));
        Ok(different == 0 && kept.is_some())
    }

    async fn work(
        &self,
        passphrase: String,
        with: Kept,
    ) -> Result<[u8; HASH_BYTES], PassphraseError> {
        if passphrase.len() > MAX_BYTES {
            return Err(PassphraseError::TooLong);
        }
        let failed = |error: String| PassphraseError::Failed(error);
        let place = self.waiting.clone().try_acquire_owned();
        let place = place.map_err(|_| PassphraseError::Busy)?;
        let turn = self.at_once.clone().acquire_owned().await;
        let turn = turn.map_err(|error| failed(error.to_string()))?;
        let work = tokio::task::spawn_blocking(move || {
            let (_place, _turn) = (place, turn);
            argon2id(passphrase.as_bytes(), &with)
        });
        work.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
    }
}

fn argon2id(passphrase: &[u8], with: &Kept) -> Result<[u8; HASH_BYTES], String> {
    let salt = hex::decode::<16>(&with.salt).map_err(|error| error.to_string())?;
    let params = Params::new(with.memory_kib, with.passes, 1, Some(HASH_BYTES));
    let params = params.map_err(|error| error.to_string())?;
    let mut hash = [0; HASH_BYTES];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(passphrase, &salt, &mut hash).map_err(|error| error.to_string())?;
    Ok(hash)
}

fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}
