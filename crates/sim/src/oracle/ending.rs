//! What must hold once everybody is connected again and has had time.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_node::{Node, Readiness, incidents::Incident, standing::State};
use watchfire_signal::{
    commitment::Commitment,
    name::{LogName, MemberName},
    record::{Leaf, Record},
};
use watchfire_store::{Held, StoreError};
use watchfire_tlog::{Frontier, leaf_hash};

use super::{
    At, Charters, Finding, Oracle, Reading, Rule, View,
    incidents::{courses, phase},
};
use crate::pictures::{Posted, picture};

/// A member at the end: what it computed, for comparison with what it should have.
pub struct Standpoint {
    /// Its name.
    pub name: MemberName,
    /// Its node.
    pub node: Arc<Node>,
    /// What its platform holds.
    pub posted: BTreeMap<String, Posted>,
}

/// Rows read at a time.
const PAGE: usize = 1_024;

/// What one member holds.
struct Shelf<'a> {
    at: &'a Standpoint,
    view: &'a View,
    logs: Vec<(LogName, Vec<Held>)>,
    reading: Reading,
    charters: Charters,
}

impl Oracle {
    /// What does not hold yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn unsettled(&self, all: &[Standpoint]) -> Result<Vec<Finding>, StoreError> {
        let mut shelves = Vec::new();
        for at in all {
            let Some(view) = self.view(at.name.as_str()) else { continue };
            let logs = self.logs(view).await?;
            let charters = self.charters(view).await?;
            let reading = Reading::of(&logs, &charters, u64::MAX);
            shelves.push(Shelf { at, view, logs, reading, charters });
        }
        let behind: Vec<_> = shelves.iter().filter_map(|shelf| self.behind(shelf)).collect();
        if !behind.is_empty() {
            return Ok(behind);
        }
        let forked = self.forked(&shelves).await?;
        let mut found = Vec::new();
        for shelf in &shelves {
            if shelf.at.node.readiness() != Readiness::Ready {
                found.push(shelf.finding(Rule::Unwell, format!("{:?}", shelf.at.node.readiness())));
            }
            found.extend(self.logs_differ(shelf, &shelves, forked.is_some()));
            found.extend(self.ended_differ(shelf, &shelves));
            found.extend(self.bodies_missing(shelf, &shelves, forked.is_some()));
            found.extend(shelf.states_differ());
            found.extend(shelf.incidents_differ());
            found.extend(shelf.items_differ(self).await?);
            found.extend(self.erased_left(shelf).await?);
        }
        found.extend(forked.iter().flatten().cloned());
        if forked.is_none() {
            found.extend(self.states_differ(&shelves));
            found.extend(self.incidents_apart(&shelves));
        }
        Ok(found)
    }

    /// Where two members hold different histories of the liar's log all must know; `None`: nobody does.
    async fn forked(&self, shelves: &[Shelf<'_>]) -> Result<Option<Vec<Finding>>, StoreError> {
        let Some(liar) = &self.liar else { return Ok(None) };
        let member = shelves.iter().any(|shelf| {
            shelf.charters.in_force().is_some_and(|charter| charter.member(liar).is_some())
        });
        if !member {
            // What the charter accepts of its logs is what everybody holds of them.
            return Ok(None);
        }
        let mut histories: Vec<_> = shelves.iter().map(|shelf| shelf.leaves_of(liar)).collect();
        histories.sort();
        let differ = histories.windows(2).any(|two| match two {
            [one, other] => one.iter().zip(other).any(|(one, other)| one != other),
            _ => false,
        });
        let mut known = false;
        let mut unseen = Vec::new();
        for shelf in shelves {
            if shelf.at.node.forked().await?.contains(liar) {
                known = true;
            } else {
                unseen.push(shelf.finding(Rule::ForkUnseen, format!("the fork of {liar}")));
            }
        }
        Ok((differ || known).then_some(unseen))
    }

    /// Everybody holds what the author has.
    fn logs_differ(&self, shelf: &Shelf<'_>, all: &[Shelf<'_>], forked: bool) -> Vec<Finding> {
        let mut found = Vec::new();
        let charter = shelf.charters.in_force();
        for member in charter.into_iter().flat_map(|charter| &charter.members) {
            let Some(log) = charter.and_then(|charter| charter.log_of(&member.name)) else {
                continue;
            };
            let member = &member.name;
            let lies = Some(member) == self.liar.as_ref();
            if lies && forked {
                continue;
            }
            let author = all.iter().find(|shelf| shelf.at.name == *member);
            let most = all.iter().max_by_key(|shelf| shelf.leaves_in(&log).len());
            let Some(best) = author.or(most) else { continue };
            let (ours, theirs) = (shelf.leaves_in(&log), best.leaves_in(&log));
            if ours != theirs {
                let what = format!("{} of {} entries of {log}", ours.len(), theirs.len());
                found.push(shelf.finding(Rule::LogsDiffer, what));
            }
        }
        found
    }

    /// Everybody holds what counts of logs that have ended; of those of a member that lies where the charter says what that is.
    fn ended_differ(&self, shelf: &Shelf<'_>, all: &[Shelf<'_>]) -> Vec<Finding> {
        let mut found = Vec::new();
        let Some(charter) = shelf.charters.in_force() else { return found };
        for closed in charter.closed.iter() {
            if Some(&closed.member) == self.liar.as_ref() && closed.last.is_none() {
                continue;
            }
            let log = LogName::new(charter.coalition.clone(), closed.member.clone(), closed.epoch);
            let until = closed.last.map_or(u64::MAX, |last| last.size);
            let until = usize::try_from(until).unwrap_or(usize::MAX);
            let of = |shelf: &Shelf<'_>| {
                let leaves = shelf.leaves_in(&log).into_iter().take(until);
                leaves.map(<[u8]>::to_vec).collect::<Vec<_>>()
            };
            let best = all.iter().map(of).max_by_key(Vec::len).unwrap_or_default();
            let ours = of(shelf);
            if ours != best {
                let what =
                    format!("{} of {} entries of {log}, which has ended", ours.len(), best.len());
                found.push(shelf.finding(Rule::LogsDiffer, what));
            }
            let mut tree = Frontier::new();
            ours.iter().for_each(|leaf| tree.append(leaf_hash(leaf)));
            let last = closed.last.filter(|last| last.size == tree.size());
            if last.is_some_and(|last| last.root != tree.root().0) {
                let what = format!("another history of {log} than the charter accepts");
                found.push(shelf.finding(Rule::LogsDiffer, what));
            }
        }
        found
    }

    fn behind(&self, shelf: &Shelf<'_>) -> Option<Finding> {
        let works_under = shelf.at.node.charter().seq;
        self.charter_behind(&shelf.at.name, (shelf.charters.len(), works_under))
    }

    /// Every record that is still of use is with every member of its group.
    fn bodies_missing(&self, shelf: &Shelf<'_>, all: &[Shelf<'_>], forked: bool) -> Vec<Finding> {
        let today = shelf.view.now_ms() / 86_400_000;
        let mut found = Vec::new();
        for (log, held) in &shelf.logs {
            let lies = Some(&log.member) == self.liar.as_ref();
            for held in held.iter().filter(|held| held.entry.record.is_none()) {
                let Ok(leaf) = Leaf::decode(&held.entry.leaf) else { continue };
                let at = (log.clone(), held.index);
                // What nobody has, nobody can give; members that have left take theirs along, and an old backup
                // forgets.
                let exists = if shelf.charters.len() == 1 && !self.state().restored {
                    self.state().bodies.contains_key(&at)
                } else {
                    all.iter().any(|shelf| shelf.has_record(&at))
                };
                let over = leaf.header.lease_day.is_some_and(|day| u64::from(day) < today);
                let charter = shelf.charters.in_force();
                let group = &leaf.header.group;
                let ours = charter.is_some_and(|one| one.is_in_group(&shelf.at.name, group));
                let counts = held.index < shelf.reading.counts_to(log);
                let excused = lies && forked;
                let erased = shelf.reading.to_erase.contains(&at);
                if exists && ours && counts && !over && !excused && !erased {
                    let what = format!("record {} of {log}", held.index);
                    found.push(shelf.finding(Rule::BodyMissing, what));
                }
            }
        }
        found
    }

    /// What is erased is nowhere.
    async fn erased_left(&self, shelf: &Shelf<'_>) -> Result<Vec<Finding>, StoreError> {
        let mut found = Vec::new();
        let mut needles = Vec::new();
        for at in shelf.reading.erased.keys() {
            let held = shelf.logs.iter().find(|(log, _)| *log == at.0);
            let held = held.and_then(|(_, held)| held.iter().find(|held| held.index == at.1));
            if held.is_some_and(|held| held.entry.record.is_some()) {
                let what = format!("record {} of {} is in its log", at.1, at.0);
                found.push(shelf.finding(Rule::StillThere, what));
            }
            let body = self.state().bodies.get(at).cloned();
            if let Some(record) = body.and_then(|body| Record::decode(&body).ok()) {
                needles.push((at.clone(), record.salt));
            }
        }
        if needles.is_empty() {
            return Ok(found);
        }
        let store = shelf.view.disk.durable();
        for table in shelf.view.disk.tables() {
            let mut after = Vec::new();
            loop {
                let rows = store.rows(table, &after, PAGE).await?;
                let Some((last, _)) = rows.last() else { break };
                after.clone_from(last);
                for (at, salt) in &needles {
                    if rows.iter().any(|(_, value)| value.windows(16).any(|bytes| bytes == salt)) {
                        let what = format!("record {} of {} is in {table:?}", at.1, at.0);
                        found.push(shelf.finding(Rule::StillThere, what));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Members that may read a case agree about it.
    fn states_differ(&self, shelves: &[Shelf<'_>]) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut states: BTreeMap<Commitment, (State, &MemberName)> = BTreeMap::new();
        for shelf in shelves {
            let now_ms = shelf.at.node.clock().now_ms();
            for set in shelf.at.node.alerts(None, usize::MAX) {
                let group = &set.header.group;
                let charter = shelf.charters.in_force();
                if !charter.is_some_and(|one| one.is_in_group(&shelf.at.name, group)) {
                    continue;
                }
                let state = set.state(now_ms);
                let (first, by) = states.entry(set.name).or_insert((state, &shelf.at.name));
                if *first != state {
                    let what = format!("{} is {state:?}, and {first:?} at {by}", set.name);
                    found.push(shelf.finding(Rule::StatesDiffer, what));
                }
            }
        }
        if self.all_over() { found } else { Vec::new() }
    }

    /// Members agree about incidents: which there are, how grave they are, and whether each was ever in force. Since when
    /// one was, and what it ties, may differ: by clocks of authors that were ahead of a member's own, and by groups.
    fn incidents_apart(&self, shelves: &[Shelf<'_>]) -> Vec<Finding> {
        let kinds = |shelf: &Shelf<'_>| -> BTreeMap<Commitment, _> {
            let now_ms = shelf.view.now_ms();
            let all = shelf.at.node.incidents();
            let kind = |one: &Arc<Incident>| {
                (phase(one, now_ms), one.course.level, one.course.in_force_ms.is_some(), one.test)
            };
            all.iter().map(|one| (one.name, kind(one))).collect()
        };
        let Some(first) = shelves.first().filter(|_| self.all_over()) else { return Vec::new() };
        let differs = |shelf: &&Shelf<'_>| kinds(shelf) != kinds(first);
        let what = |shelf: &Shelf<'_>| {
            format!("{:?}, and {:?} at {}", kinds(shelf), kinds(first), first.at.name)
        };
        let apart = shelves.iter().filter(differs);
        apart.map(|shelf| shelf.finding(Rule::IncidentsDiffer, what(shelf))).collect()
    }

    /// Whether all terms of hours are over. They begin at each member's own verification, and are compared then.
    fn all_over(&self) -> bool {
        let leapt_ms = self.time.leapt_within(super::Duration::from_secs(3_600));
        leapt_ms.is_some_and(|ms| ms >= LONG_MS)
    }
}

/// A leap after which every term of hours is over.
pub(super) const LONG_MS: u64 = 25 * 3_600_000;

impl Shelf<'_> {
    fn finding(&self, rule: Rule, what: String) -> Finding {
        Finding { rule, member: self.at.name.to_string(), what }
    }

    fn leaves_of(&self, member: &MemberName) -> Vec<&[u8]> {
        let log = self.logs.iter().find(|(log, _)| log.member == *member);
        log.map(|(log, _)| self.leaves_in(log)).unwrap_or_default()
    }

    fn has_record(&self, (log, index): &At) -> bool {
        let log = self.logs.iter().find(|(known, _)| known == log);
        let place = usize::try_from(*index).unwrap_or(usize::MAX);
        log.and_then(|(_, held)| held.get(place)).is_some_and(|held| held.entry.record.is_some())
    }

    fn leaves_in(&self, log: &LogName) -> Vec<&[u8]> {
        let log = self.logs.iter().find(|(known, _)| known == log);
        let held = log.into_iter().flat_map(|(_, held)| held);
        held.map(|held| held.entry.leaf.as_ref()).collect()
    }

    /// The node's states are those that its records add up to.
    fn states_differ(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let now_ms = self.view.now_ms();
        for (name, case) in &self.reading.cases {
            let wanted = self.reading.outlook(case, now_ms).state(now_ms);
            let known = self.at.node.alert(name);
            if known.as_ref().map(|known| known.state) != Some(wanted) {
                let set = known.map(|known| known.set);
                let (log, index) = &case.at;
                let said = set.map(|set| (set.state(now_ms), set.standing.clone()));
                let outlook = self.reading.outlook(case, now_ms);
                let what = format!(
                    "{index} of {log} is {wanted:?} by {outlook:?} of {:?}, not {said:?}",
                    case.said
                );
                found.push(self.finding(Rule::StatesDiffer, what));
            }
        }
        found
    }

    /// The node's incidents are what its records add up to.
    fn incidents_differ(&self) -> Option<Finding> {
        let now_ms = self.view.now_ms();
        let wanted = self.reading.incidents(now_ms);
        let known = courses(&self.at.node.incidents(), now_ms);
        let what = || format!("{wanted:?}, not {known:?}");
        (wanted != known).then(|| self.finding(Rule::IncidentsDiffer, what()))
    }

    /// What is shown and hidden is what the cases say.
    async fn items_differ(&self, oracle: &Oracle) -> Result<Vec<Finding>, StoreError> {
        let mut found = Vec::new();
        let (now_ms, store) = (self.view.now_ms(), self.view.disk.durable());
        for (item, posted) in self.at.posted.clone() {
            // Of what it did before an old backup it knows nothing.
            if oracle.state().forgotten.contains(&(self.at.name.clone(), item.clone())) {
                continue;
            }
            let wanted = picture(posted.picture);
            let fits = |case: &&super::Case| {
                let signals = case.alert.iter().flat_map(|alert| &alert.signals);
                signals.into_iter().any(|signal| signal.value == wanted.value)
            };
            let matching: Vec<_> = self.reading.cases.values().filter(fits).collect();
            let takes = |case: &&super::Case| {
                oracle.takes_down(&self.reading, case, self.view, (&wanted, now_ms)).is_some()
            };
            if matching.iter().any(takes) {
                // What was uploaded moments before a crash may be lost to the node: it says so.
                let known = !store.seen_find(vec![item.clone()]).await?.is_empty();
                if !posted.hidden && known {
                    found.push(self.finding(Rule::StillShown, item));
                }
            } else if posted.hidden
                && self.reading.undoes(&store.effects_of_item(&item).await?, now_ms)
            {
                found.push(self.finding(Rule::StillHidden, item));
            }
        }
        Ok(found)
    }
}
