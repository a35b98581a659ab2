//! What of a kept decision can be shown to a stranger: what this member did with an item, and nothing of what others
//! said, which may be marked. The desk line of a group has the root of a tree over it, so that one decision is
//! proven without the others.
//!
//! **Invariant:** the bytes of a leaf follow from the kept decision alone, whenever they are made: a field more needs
//! another tree beside this one.
//! **Invariant:** each leaf has a salt of its own, so that the hashes beside a path tell nothing of other items.

use serde::{Deserialize, Serialize};
use watchfire_signal::{commitment::Commitment, name::ItemId};
use watchfire_tlog::{Frontier, Hash, leaf_hash};

use super::Decided;
use crate::policy::Held;

/// A decision as a stranger sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// The case; nothing for a bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Commitment>,
    /// The item, by the platform's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// What was to be done, in the words of a policy file.
    pub then: Vec<String>,
    /// Why it waited for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The policy that decided.
    pub policy_version: u32,
    /// 16 random bytes, in hexadecimal.
    pub salt: String,
}

impl Shown {
    /// What of a decision is shown.
    #[must_use]
    pub fn of(decided: &Decided) -> Self {
        Self {
            at_ms: decided.facts.at_ms,
            case: decided.case,
            item: decided.facts.item.clone(),
            then: decided.then.clone(),
            held: decided.held,
            policy_version: decided.policy_version,
            salt: decided.salt.clone(),
        }
    }

    /// The bytes that are hashed.
    ///
    /// # Errors
    /// What cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// The hashes of what is shown of a group, in its order.
pub(crate) fn leaves(group: &[Decided]) -> Result<Vec<Hash>, serde_json::Error> {
    group.iter().map(|decided| Ok(leaf_hash(&Shown::of(decided).encode()?))).collect()
}

/// The root over leaves (RFC 9162, section 2.1.1).
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier.root()
}

/// The inclusion proof of a leaf (RFC 9162, section 2.1.3.1).
pub(crate) fn path(at: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, other) = match at.checked_sub(left.len()) {
        None => (self::path(at, left), right),
        Some(at) => (self::path(at, right), left),
    };
    path.push(root(other));
    path
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use watchfire_tlog::proof::verify_inclusion;

    use super::*;

    #[test]
    fn every_leaf_of_a_group_of_any_size_is_under_its_root() {
        for size in 1..=70_u64 {
            let leaves = (0..size).map(|at| leaf_hash(&at.to_be_bytes())).collect::<Vec<_>>();
            for (at, leaf) in leaves.iter().enumerate() {
                let path = path(at, &leaves);
                verify_inclusion(leaf, at as u64, size, &root(&leaves), &path).unwrap();
            }
        }
    }
}
