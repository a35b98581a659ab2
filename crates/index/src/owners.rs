//! Who carries one value: a few ids, or very many.

use std::sync::Arc;

use papaya::HashSet;

use crate::memory;

/// Up to this many ids of one value are copied on a change; more live in a set of their own, so that
/// one file uploaded a million times stays cheap.
const FEW: usize = 32;

/// The ids of one value; never empty while a writer is not at work.
#[derive(Clone)]
pub(crate) enum Owners {
    Few(Arc<[u64]>),
    Many(Arc<HashSet<u64>>),
}

/// What is left where an id is taken away.
pub(crate) enum Left {
    /// It was not there.
    Same,
    /// It was taken out of a set in place.
    Fewer,
    /// These.
    These(Owners),
    /// Nobody.
    Nobody,
}

impl Owners {
    pub(crate) fn one(id: u64) -> Self {
        Self::Few(Arc::from([id]))
    }

    /// With one more; `None` if it was there already, or is now, in the same set.
    pub(crate) fn with(&self, id: u64) -> Option<Self> {
        match self {
            Self::Few(ids) if ids.contains(&id) => None,
            Self::Few(ids) if ids.len() < FEW => {
                Some(Self::Few(ids.iter().copied().chain([id]).collect()))
            }
            Self::Few(ids) => Some(Self::Many(Arc::new(ids.iter().copied().chain([id]).collect()))),
            Self::Many(ids) => {
                ids.pin().insert(id);
                None
            }
        }
    }

    /// Without one.
    pub(crate) fn without(&self, id: u64) -> Left {
        match self {
            Self::Many(ids) => match (ids.pin().remove(&id), ids.is_empty()) {
                (_, true) => Left::Nobody,
                (true, false) => Left::Fewer,
                (false, false) => Left::Same,
            },
            Self::Few(ids) if !ids.contains(&id) => Left::Same,
            Self::Few(ids) if ids.len() == 1 => Left::Nobody,
            Self::Few(ids) => {
                Left::These(Self::Few(ids.iter().copied().filter(|&other| other != id).collect()))
            }
        }
    }

    /// Up to so many of them.
    pub(crate) fn some(&self, most: usize) -> Vec<u64> {
        match self {
            Self::Few(ids) => ids.iter().take(most).copied().collect(),
            Self::Many(ids) => ids.pin().iter().take(most).copied().collect(),
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        memory::COUNTS
            + match self {
                Self::Few(ids) => size_of_val(&**ids),
                Self::Many(ids) => size_of::<HashSet<u64>>() + memory::of_set(ids),
            }
    }
}
