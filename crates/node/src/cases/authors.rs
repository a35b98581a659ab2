//! Which places of which logs count, by the charters: who wrote a log, under which charter, and where it
//! has ended.
//!
//! **Invariant:** whether an entry counts depends on the charters and on its own log up to it.
//! **Invariant:** what names a charter that is not known yet holds up what comes after it in its log, so that all of it
//! is looked at in its order, and counted in the same quotas, whenever that charter comes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use watchfire_signal::{
    charter::{Charter, Role, SignedCharter},
    header::Header,
    name::LogName,
    statement::{KeyStep, Statement},
};

use super::Place;
use crate::urgent::is_urgent_verb;

/// What the charters say of logs.
#[derive(Debug)]
pub(super) struct Authors {
    charter: Arc<Charter>,
    hash: [u8; 32],
    /// The charters before, by number from 1, with their hashes.
    former: Vec<([u8; 32], Charter)>,
    /// Those after it, which came in force since: they say what is written under them, and what ends.
    later: Vec<([u8; 32], Charter)>,
    /// From where on logs wait for a charter: the first entry of each that names a later one than is known.
    unknown: BTreeMap<LogName, u64>,
    /// The last entry of each log that was looked at, with the number of its charter.
    latest: HashMap<LogName, (u64, u64)>,
    /// Entries written under an older charter than one before them in their log.
    stale: HashSet<Place>,
    /// Where authors have ended their own logs.
    ended: HashMap<LogName, u64>,
}

impl Authors {
    pub(super) fn new(charter: Arc<Charter>, former: Vec<SignedCharter>) -> Self {
        Self {
            hash: charter.hash(),
            charter,
            former: former.into_iter().map(|signed| (signed.hash(), signed.charter)).collect(),
            later: Vec::new(),
            unknown: BTreeMap::new(),
            latest: HashMap::new(),
            stale: HashSet::new(),
            ended: HashMap::new(),
        }
    }

    /// The charter that a record was written under, if it is one of the chain.
    pub(super) fn charter_of(&self, header: &Header) -> Option<&Charter> {
        let named = header.charter;
        if named.seq == self.charter.seq {
            return (named.hash == self.hash).then_some(&*self.charter);
        }
        if let Some(after) = named.seq.checked_sub(self.charter.seq + 1) {
            let (hash, charter) = self.later.get(usize::try_from(after).ok()?)?;
            return (*hash == named.hash).then_some(charter);
        }
        let place = usize::try_from(named.seq.checked_sub(1)?).ok()?;
        let (hash, charter) = self.former.get(place)?;
        (*hash == named.hash).then_some(charter)
    }

    /// Takes in that another charter has come in force. How many organisations a quorum takes and who they are stays
    /// as it was; but what is written under that charter counts, and what it has ended counts no more. Answers the
    /// logs that waited for it, each with its first entry that did.
    pub(super) fn learn(&mut self, signed: &SignedCharter) -> BTreeMap<LogName, u64> {
        self.later.push((signed.hash(), signed.charter.clone()));
        std::mem::take(&mut self.unknown)
    }

    /// The role of who writes or wrote a log.
    pub(super) fn writer(&self, log: &LogName) -> Option<Role> {
        let former = self.former.iter().rev().map(|(_, charter)| charter);
        let mut charters = std::iter::once(&*self.charter).chain(former);
        charters.find_map(|charter| charter.member_of_log(log)).map(|member| member.role)
    }

    /// The role in which an entry was written, if it counts: its header names its own log and a charter
    /// by which its author wrote that log, no older one than an entry before it, and the log had not ended.
    pub(super) fn author(&mut self, place: &Place, header: &Header) -> Option<Role> {
        if header.charter.seq > self.newest() {
            let first = self.unknown.entry(place.log.clone()).or_insert(place.index);
            *first = place.index.min(*first);
            return None;
        }
        if self.waits(place) && !is_urgent_verb(header.verb) {
            return None;
        }
        let charter = self.charter_of(header)?;
        let ours = header.author_log == place.log && header.coalition == charter.coalition;
        let role = charter.member_of_log(&place.log).filter(|_| ours)?.role;
        let counts = self.is_within(place) && self.is_fresh(place, header);
        counts.then_some(role)
    }

    /// The number of the newest charter that is known.
    fn newest(&self) -> u64 {
        self.charter.seq + self.later.len() as u64
    }

    /// Whether an entry comes after one that names a charter that is not known yet: it is looked at after that.
    pub(super) fn waits(&self, place: &Place) -> bool {
        self.unknown.get(&place.log).is_some_and(|first| *first <= place.index)
    }

    /// Whether a log had not ended at a place.
    pub(super) fn is_within(&self, place: &Place) -> bool {
        let later = self.later.iter().map(|(_, charter)| charter);
        std::iter::once(&*self.charter)
            .chain(later)
            .all(|charter| self.is_within_by(charter, place))
    }

    fn is_within_by(&self, charter: &Charter, place: &Place) -> bool {
        if charter.member_of_log(&place.log).is_some() {
            return true;
        }
        let name = (&place.log.member, place.log.epoch);
        let closed = charter.closed.iter().find(|log| log.name() == name);
        closed.is_some_and(|log| match log.last {
            Some(last) => place.index < last.size,
            None => self.ended.get(&place.log).is_none_or(|end| place.index <= *end),
        })
    }

    /// Charters never decrease along a log. What is urgent comes ahead of its turn and says the same under
    /// every charter.
    fn is_fresh(&mut self, place: &Place, header: &Header) -> bool {
        if is_urgent_verb(header.verb) {
            return true;
        }
        let latest = self.latest.entry(place.log.clone()).or_default();
        let first_look = latest.1 == 0 || latest.0 < place.index;
        if first_look && header.charter.seq < latest.1 {
            self.stale.insert(place.clone());
        } else if first_look {
            *latest = (place.index, header.charter.seq);
        }
        !self.stale.contains(place)
    }

    /// Takes in that an author ends its log, because it goes on under another key that a charter names; answers whether
    /// it does.
    pub(super) fn note_key(&mut self, place: &Place, statement: Option<&Statement>) -> bool {
        let Some(Statement::Key { step: KeyStep::Rotate, key, .. }) = statement else {
            return false;
        };
        let member = &place.log.member;
        let live = self.charter.member(member).is_some_and(|member| member.key == *key);
        let mut closed = self.charter.closed.iter();
        let ends = live || closed.any(|log| log.member == *member && log.key == *key);
        if ends {
            let end = self.ended.entry(place.log.clone()).or_insert(place.index);
            *end = place.index.min(*end);
        }
        ends
    }
}
