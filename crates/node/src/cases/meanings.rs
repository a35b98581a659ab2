//! What each leaf turned out to be, for those that speak of it later: eight bytes a leaf.
//!
//! **Invariant:** what is noted of a leaf is what was noted last, whoever noted it and in whatever order leaves came.

use std::collections::{BTreeMap, HashMap};

use watchfire_signal::{commitment::Commitment, name::LogName, verb::Verb};

use super::sets::{KEY_BITS, Key, Sets};
use crate::{halts::Stopped, place::Place};

/// Leaves whose meanings lie side by side. Few, for what an author sends ahead of its turn may stand anywhere.
const PAGE: usize = 64;
/// Nothing was noted.
const NONE: u64 = 0;
/// A set, by its key.
const SET: u64 = 1;
/// An opinion on a set, by its key.
const OPINION: u64 = 2;
/// Nothing that could be spoken of.
const PLAIN: u64 = 3;
/// A resolution of a dispute of a set, by its key.
const RESOLUTION: u64 = 4;
/// Something that stands apart.
const APART: u64 = (1 << KIND_BITS) | PLAIN;
/// A word about an incident, whichever.
const OF_INCIDENT: u64 = (2 << KIND_BITS) | PLAIN;
/// Words or signals that are not heard, or not yet.
const UNHEARD: u64 = (3 << KIND_BITS) | PLAIN;
/// How many bits say which.
const KIND_BITS: u32 = 3;
const KIND: u64 = (1 << KIND_BITS) - 1;

/// What a leaf turned out to be, for those that speak of it later.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    Set(Commitment),
    OpinionOn(Commitment),
    Vote(Stopped),
    Incident(Commitment),
    /// A resolution of a dispute of a set; only erasures speak of it.
    ResolutionOn(Commitment),
    /// A word about an incident; only erasures speak of it.
    OfIncident,
    /// Nothing that could be spoken of.
    Plain,
}

/// Whether what a verb says has words of people or signals in it, so that somebody may have a right to have it erased.
/// All else is counts, names of members and keys, and works by what it says.
pub(crate) fn has_words(verb: Verb) -> bool {
    match verb {
        Verb::Assert
        | Verb::Amend
        | Verb::Variant
        | Verb::Dispute
        | Verb::Resolve
        | Verb::Retract
        | Verb::Incident => true,
        Verb::Renew
        | Verb::Confirm
        | Verb::Join
        | Verb::Sighting
        | Verb::Outcome
        | Verb::Appeal
        | Verb::Member
        | Verb::Key
        | Verb::Halt
        | Verb::Erase
        | Verb::Charter
        | Verb::Desk => false,
    }
}

/// What all leaves turned out to be.
#[derive(Debug, Default)]
pub(super) struct Meanings {
    logs: HashMap<LogName, BTreeMap<u64, Box<[u64; PAGE]>>>,
    /// Of few leaves.
    apart: HashMap<Place, Meaning>,
}

const _: () = assert!(KEY_BITS + KIND_BITS <= u64::BITS);

/// The page of an index, and the place in it.
fn split(index: u64) -> (u64, usize) {
    let pages = PAGE as u64;
    (index / pages, usize::try_from(index % pages).unwrap_or(0))
}

impl Meanings {
    fn word(&self, place: &Place) -> u64 {
        let (page, at) = split(place.index);
        let page = self.logs.get(&place.log).and_then(|pages| pages.get(&page));
        page.map_or(NONE, |page| page[at])
    }

    fn put(&mut self, place: &Place, word: u64) {
        let (page, at) = split(place.index);
        if !self.logs.contains_key(&place.log) {
            self.logs.insert(place.log.clone(), BTreeMap::new());
        }
        if let Some(pages) = self.logs.get_mut(&place.log) {
            pages.entry(page).or_insert_with(|| Box::new([NONE; PAGE]))[at] = word;
        }
    }

    /// What was noted of a leaf; `None`: it has not come.
    pub(super) fn of(&self, place: &Place, sets: &Sets) -> Option<Meaning> {
        let word = self.word(place);
        let name = || sets.name_of(Key(word >> KIND_BITS));
        match word & KIND {
            NONE => None,
            SET => name().map(Meaning::Set),
            OPINION => name().map(Meaning::OpinionOn),
            RESOLUTION => name().map(Meaning::ResolutionOn),
            _ if word == UNHEARD => None,
            _ if word == OF_INCIDENT => Some(Meaning::OfIncident),
            _ if word == APART => self.apart.get(place).cloned(),
            _ => Some(Meaning::Plain),
        }
    }

    /// Notes what a leaf turned out to be.
    pub(super) fn note(&mut self, place: &Place, meaning: Meaning, sets: &Sets) {
        let word = match &meaning {
            Meaning::Set(name) => sets.key_of(name).map(|key| key.0 << KIND_BITS | SET),
            Meaning::OpinionOn(name) => sets.key_of(name).map(|key| key.0 << KIND_BITS | OPINION),
            Meaning::ResolutionOn(name) => {
                sets.key_of(name).map(|key| key.0 << KIND_BITS | RESOLUTION)
            }
            Meaning::OfIncident => Some(OF_INCIDENT),
            Meaning::Vote(_) | Meaning::Incident(_) => None,
            Meaning::Plain => Some(PLAIN),
        };
        if word.is_none() {
            self.apart.insert(place.clone(), meaning);
        }
        self.put(place, word.unwrap_or(APART));
    }

    /// Notes that a leaf is nothing that could be spoken of, unless more is known of it.
    pub(super) fn note_plain(&mut self, place: &Place) {
        if matches!(self.word(place), NONE | UNHEARD) {
            self.put(place, PLAIN);
        }
    }

    /// Notes that a leaf is here and says nothing, or nothing yet: it can be erased all the same.
    pub(super) fn note_unheard(&mut self, place: &Place, verb: Verb) {
        if has_words(verb) && self.word(place) == NONE {
            self.put(place, UNHEARD);
        }
    }

    /// Whether that is all that is known of a leaf.
    pub(super) fn is_unheard(&self, place: &Place) -> bool {
        self.word(place) == UNHEARD
    }
}
