//! The life of an API key: it is made, rotated, revoked, each with its line in the desk log.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Access, Scope, json,
    keys::{HeldKey, KEY_USE, KEYS, Key, KeyName, KeyView},
    row,
    secret::{Fingerprint, KEY_PREFIX, fresh},
};
use crate::desk::{Actor, Deed, DeskKind, Line, WriteError};

/// Keys that a member can have: programs have one each, and memory is bounded.
const MAX_KEYS: usize = 10_000;
/// The longest time that an old secret stays valid after a rotation: 30 days.
pub const MAX_OVERLAP_MS: u64 = 30 * 24 * 3_600_000;

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is called.
    pub name: KeyName,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// How long it is valid, in milliseconds; for ever without.
    pub valid_for_ms: Option<u64>,
}

/// A key that was made, with its secret: the only time that it is told.
pub struct MadeKey {
    /// The key.
    pub view: KeyView,
    /// The secret.
    pub secret: String,
}

/// Why nothing was done about a key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Another key in force has the name.
    #[error("there is a key {0} already: rotate it, revoke it, or take another name")]
    Taken(KeyName),
    /// There is no such key.
    #[error("there is no key {0}")]
    Unknown(KeyName),
    /// A key without scopes would open nothing.
    #[error("a key has at least one scope")]
    NoScope,
    /// Too many.
    #[error("a member has at most {MAX_KEYS} keys")]
    TooMany,
    /// The overlap is too long.
    #[error("an old secret stays valid for at most 30 days")]
    Overlap,
    /// The desk log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What a desk line says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
enum KeyDeed {
    /// It was made.
    Made { name: KeyName, scopes: BTreeSet<Scope>, secret: String, expires_ms: Option<u64> },
    /// It got a new secret; the old ones end.
    Rotated { name: KeyName, secret: String, expires_ms: Option<u64>, old_until_ms: u64 },
    /// It was taken away.
    Revoked { name: KeyName },
}

impl Deed for KeyDeed {
    const KIND: DeskKind = DeskKind::Key;
}

impl Access {
    /// All keys, by name; ended ones too, until they are revoked or their name is taken.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyView> {
        let held = self.held();
        let mut keys: Vec<_> = held.keys.iter().map(|(print, key)| key.view(*print)).collect();
        keys.sort_by(|a, b| (&a.key.name, a.key.made_ms).cmp(&(&b.key.name, b.key.made_ms)));
        keys
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError`]; no key was made then.
    pub async fn make_key(
        self: &Arc<Self>,
        actor: Actor,
        new: NewKey,
    ) -> Result<MadeKey, KeyError> {
        self.change(|access| async move { access.make(&actor, new).await }).await
    }

    async fn make(&self, actor: &Actor, new: NewKey) -> Result<MadeKey, KeyError> {
        let now = self.clock.now_ms();
        let before = self.secrets_of(&new.name);
        if before.iter().any(|(_, key)| key.key.is_live(now)) {
            return Err(KeyError::Taken(new.name));
        }
        if new.scopes.is_empty() {
            return Err(KeyError::NoScope);
        }
        let key = Key {
            name: new.name,
            scopes: new.scopes,
            created_ms: now,
            made_ms: now,
            expires_ms: new.valid_for_ms.map(|valid| now.saturating_add(valid)),
            told: true,
        };
        let secret = fresh(KEY_PREFIX, &*self.random);
        let print = Fingerprint::of(&secret);
        let (name, scopes, expires_ms) = (key.name.clone(), key.scopes.clone(), key.expires_ms);
        let deed = KeyDeed::Made { name, scopes, secret: print.to_string(), expires_ms };
        let old: Vec<_> = before.into_iter().map(|(print, _)| print).collect();
        self.keep(Line::new(actor, &deed)?, &[(print, key)], &old).await?;
        self.made(print, secret)
    }

    /// Gives a key a new secret; the old one stays valid for an overlap, so that programs can change
    /// over. A secret with an end is followed by one that lives as long.
    ///
    /// # Errors
    /// [`KeyError`]; nothing changed then.
    pub async fn rotate_key(
        self: &Arc<Self>,
        actor: Actor,
        name: KeyName,
        overlap_ms: u64,
    ) -> Result<MadeKey, KeyError> {
        self.change(|access| async move { access.rotate(&actor, name, overlap_ms).await }).await
    }

    async fn rotate(
        &self,
        actor: &Actor,
        name: KeyName,
        overlap_ms: u64,
    ) -> Result<MadeKey, KeyError> {
        if overlap_ms > MAX_OVERLAP_MS {
            return Err(KeyError::Overlap);
        }
        let now = self.clock.now_ms();
        let before = self.secrets_of(&name);
        let newest = before.iter().filter(|(_, key)| key.key.is_live(now));
        let newest = newest.max_by_key(|(_, key)| key.key.made_ms);
        let Some((_, newest)) = newest else { return Err(KeyError::Unknown(name)) };
        let lifetime = newest.key.expires_ms.map(|end| end.saturating_sub(newest.key.made_ms));
        let expires_ms = lifetime.map(|lifetime| now.saturating_add(lifetime));
        let next = Key { made_ms: now, expires_ms, told: true, ..newest.key.clone() };
        let secret = fresh(KEY_PREFIX, &*self.random);
        let print = Fingerprint::of(&secret);
        let old_until_ms = now.saturating_add(overlap_ms);
        let deed = KeyDeed::Rotated { name, secret: print.to_string(), expires_ms, old_until_ms };
        let (old, ended): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|(_, key)| overlap_ms > 0 && key.key.is_live(now));
        let until = |end: Option<u64>| Some(end.map_or(old_until_ms, |end| end.min(old_until_ms)));
        let old = old.into_iter().map(|(print, old)| {
            let old = &old.key;
            (print, Key { expires_ms: until(old.expires_ms), told: true, ..old.clone() })
        });
        let kept: Vec<_> = old.chain([(print, next)]).collect();
        let ended: Vec<_> = ended.into_iter().map(|(print, _)| print).collect();
        self.keep(Line::new(actor, &deed)?, &kept, &ended).await?;
        self.made(print, secret)
    }

    /// Takes a key away, with all its secrets, at once.
    ///
    /// # Errors
    /// [`KeyError`]; nothing changed then.
    pub async fn revoke_key(self: &Arc<Self>, actor: Actor, name: KeyName) -> Result<(), KeyError> {
        self.change(|access| async move {
            let gone: Vec<_> =
                access.secrets_of(&name).into_iter().map(|(print, _)| print).collect();
            if gone.is_empty() {
                return Err(KeyError::Unknown(name));
            }
            let line = Line::new(&actor, &KeyDeed::Revoked { name })?;
            access.keep(line, &[], &gone).await
        })
        .await
    }

    /// Writes the lines of keys that were made before there was a log.
    ///
    /// # Errors
    /// The desk log's.
    pub async fn tell_first_keys(self: &Arc<Self>) -> Result<(), KeyError> {
        self.change(|access| async move {
            let untold: Vec<_> = {
                let held = access.held();
                let untold = held.keys.iter().filter(|(_, key)| !key.key.told);
                untold.map(|(print, key)| (*print, key.key.clone())).collect()
            };
            for (print, key) in untold {
                let (name, scopes, expires_ms) =
                    (key.name.clone(), key.scopes.clone(), key.expires_ms);
                let deed = KeyDeed::Made { name, scopes, secret: print.to_string(), expires_ms };
                let line = Line::new(&Actor::Node, &deed)?;
                access.keep(line, &[(print, Key { told: true, ..key })], &[]).await?;
            }
            Ok(())
        })
        .await
    }

    /// The secrets of a name.
    fn secrets_of(&self, name: &KeyName) -> Vec<(Fingerprint, Arc<HeldKey>)> {
        let held = self.held();
        let of_name = held.keys.iter().filter(|(_, key)| key.key.name == *name);
        of_name.map(|(print, key)| (*print, key.clone())).collect()
    }

    /// Writes a line with rows of keys, then tells memory.
    async fn keep(
        &self,
        line: Line,
        kept: &[(Fingerprint, Key)],
        gone: &[Fingerprint],
    ) -> Result<(), KeyError> {
        if !kept.is_empty() && self.held().keys.len() + kept.len() > MAX_KEYS + gone.len() {
            return Err(KeyError::TooMany);
        }
        let mut rows = Vec::new();
        for (print, key) in kept {
            rows.push(row(KEYS, &print.0, Some(json(key)?)));
        }
        for print in gone {
            rows.extend([row(KEYS, &print.0, None), row(KEY_USE, &print.0, None)]);
        }
        self.desk.write(line.rows(rows)).await?;
        let mut held = self.held_mut();
        for (print, key) in kept {
            let used = held.keys.get(print).and_then(|before| before.view(*print).used_ms);
            held.keys.insert(*print, HeldKey::new(key.clone(), used.unwrap_or(0)));
        }
        for print in gone {
            held.keys.remove(print);
        }
        Ok(())
    }

    fn made(&self, print: Fingerprint, secret: String) -> Result<MadeKey, KeyError> {
        let view = self.held().keys.get(&print).map(|key| key.view(print));
        let lost = || KeyError::Write(WriteError::Body("the key is gone already".to_owned()));
        Ok(MadeKey { view: view.ok_or_else(lost)?, secret })
    }
}
