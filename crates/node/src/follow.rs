//! Folds what the logs say into what this node does: own and copied logs take this same path, at
//! start as after a report.
//!
//! **Invariant:** a signal is findable before the seen table is searched for it.
//! **Invariant:** nothing here asks a peer or the platform.
//! **Invariant:** logs take turns: between two looks at a log, at most [`TURN`] entries of each other one
//! are folded, so that no member is heard later because another says very much. What has come is noted before every turn.

mod catch_up;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::{Bound, Range},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use tokio::{sync::mpsc, time::Instant};
use watchfire_signal::{
    charter::Charter,
    commitment::Commitment,
    name::{LogName, MemberName},
    record::Leaf,
};
use watchfire_store::{Held, Store, StoreError};
use watchfire_tlog::Origin;

use crate::{
    anchor::Anchors,
    cases::{Cases, SignalSet},
    charter::changes::Changes,
    clock::Clock,
    events::{Event, Events},
    fetch::Holes,
    incidents::IncidentState,
    judge::Judge,
    known::Known,
    looks::{Enforcer, Look},
    place::Place,
    receipts::Receipts,
    replicate::{LogCopy, TURN},
    spent::Questions,
    urgent::{self, Early, Places, is_urgent},
};

pub(crate) use self::catch_up::{Acted, News};

/// Entries of a log read at once later: some turns, so that a log that lags behind is not asked for each.
const READ: usize = 256;
/// Logs whose growth is noted before anything is folded; of more the rest is noted in the next round.
const NOTED: usize = 4_096;
/// How long to wait before what the store did not give is folded again.
const RETRY: Duration = Duration::from_secs(1);

/// Folds logs. One task.
pub struct Follower {
    /// Who we are.
    pub me: MemberName,
    /// Says which groups we are in.
    pub charter: Arc<Charter>,
    /// The fold.
    pub cases: Cases,
    /// Where the logs are.
    pub store: Arc<dyn Store>,
    /// What lookups read.
    pub known: Arc<Known>,
    /// What policy says.
    pub judge: Judge,
    /// Told which sets have changed.
    pub enforcer: Enforcer,
    /// Told what happened.
    pub events: Events,
    /// Told up to where it is effective.
    pub receipts: Receipts,
    /// Told which records are missing.
    pub holes: Holes,
    /// Told what members say of their desk logs.
    pub anchors: Anchors,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Told what they hold since before the start, and what we say, so that they know how much of its quota an author has
    /// used.
    pub copies: BTreeMap<LogName, Arc<LogCopy>>,
    /// Entries folded of each log.
    pub cursors: HashMap<LogName, u64>,
    /// Ends of terms to come.
    pub deadlines: BTreeSet<(u64, Commitment)>,
    /// Where urgent entries stand.
    pub urgent: Places,
    /// Entries that were folded ahead of their turn.
    pub early: BTreeSet<Place>,
    /// The state of each incident that was told last.
    pub incidents: BTreeMap<Commitment, IncidentState>,
    /// When the next incident is in another state by itself; `None`: one has changed, or nobody has looked.
    pub incidents_due_ms: Option<u64>,
    /// Entries of each log that say nothing here, by why.
    pub ignored: HashMap<(LogName, &'static str), u64>,
}

/// What is still to be folded.
#[derive(Default)]
struct Unfolded {
    /// Logs that have grown, up to where.
    logs: BTreeMap<Origin, u64>,
    /// Whose turn it was last.
    last: Option<Origin>,
    /// What of them is read.
    pages: HashMap<Origin, VecDeque<Held>>,
    /// Logs that the store did not give.
    failed: BTreeMap<Origin, u64>,
    /// From where on logs are folded again, up to where they were folded, before what comes after.
    again: BTreeMap<LogName, u64>,
    places: VecDeque<Place>,
    /// Records that are erased and still have to go.
    erased: Vec<Place>,
    /// Those of them that the store did not drop.
    kept: Vec<Place>,
    /// When that is tried again.
    erase_at: Option<Instant>,
}

impl Unfolded {
    /// The log that comes after the one before, which waits no more.
    fn take_next(&mut self) -> Option<(Origin, u64)> {
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.logs.range::<Origin, _>((after, Bound::Unbounded)).next();
        let log = next.or_else(|| self.logs.iter().next())?.0.clone();
        self.last = Some(log.clone());
        self.logs.remove_entry(&log)
    }

    /// Has logs folded again, each from an entry on: what names a charter that is known only now.
    fn fold_again(&mut self, from: BTreeMap<LogName, u64>, folded: &HashMap<LogName, u64>) {
        for (log, from) in from {
            let Ok(origin) = Origin::new(log.to_string()) else { continue };
            let folded = folded.get(&log).copied().unwrap_or(0);
            let size = self.logs.entry(origin).or_default();
            *size = folded.max(*size);
            let first = self.again.entry(log).or_insert(from);
            *first = from.min(*first);
        }
    }

    fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.places.is_empty() && self.kept.is_empty()
    }
}

impl Follower {
    /// Folds as logs grow, records are filled in, and deadlines pass, for as long as the node runs.
    pub async fn run(
        mut self,
        mut filled: mpsc::Receiver<Place>,
        mut early: mpsc::Receiver<Early>,
        changes: Changes,
        mut questions: Questions,
    ) {
        let mut growth = self.store.watch();
        let mut unfolded = Unfolded::default();
        let mut latest = self.charter.seq;
        loop {
            let pause = if unfolded.is_empty() { self.until_next_deadline() } else { RETRY };
            let goes_on = !unfolded.logs.is_empty() || self.cases.has_again();
            tokio::select! {
                biased;
                Some(entry) = early.recv() => self.fold_early(entry),
                grown = growth.next() => match grown {
                    Some((log, size)) => unfolded.logs.extend([(log, size)]),
                    None => return,
                },
                Some(place) = filled.recv() => unfolded.places.push_back(place),
                () = changes.newer_than(latest) => {
                    for later in changes.chain().after(latest) {
                        latest = later.charter.seq;
                        let again = self.cases.learn(later);
                        unfolded.fold_again(again, &self.cursors);
                    }
                }
                Some(answer) = questions.recv() => {
                    // Whoever asked may have gone.
                    answer.send(self.cases.spent(self.clock.now_ms())).ok();
                }
                () = tokio::task::yield_now(), if goes_on => {}
                () = tokio::time::sleep(pause) => {
                    unfolded.logs.append(&mut unfolded.failed);
                }
            }
            // What is urgent stands before everything that waits.
            for _ in 0..early.len() {
                let Ok(entry) = early.try_recv() else { break };
                self.fold_early(entry);
            }
            for _ in 0..NOTED {
                let Some(Some((log, size))) = growth.next().now_or_never() else { break };
                unfolded.logs.insert(log, size);
            }
            self.pass_deadlines();
            unfolded.places.extend(self.cases.pass_time(self.clock.now_ms()));
            unfolded.places.extend(self.cases.take_again());
            self.fold_some(&mut unfolded).await;
            self.tell_of_incidents();
            if let Err(error) = self.forget_early().await {
                tracing::error!(%error, "what was kept ahead of its turn is kept longer");
            }
            unfolded.erased.extend(self.cases.take_erased());
            self.erase_all(&mut unfolded).await;
        }
    }

    /// Folds a turn of the log whose turn it is, and records that were filled in; what the store does not
    /// give now stays to be folded.
    async fn fold_some(&mut self, unfolded: &mut Unfolded) {
        if let Some((log, size)) = unfolded.take_next() {
            match self.fold_turn(&log, size, unfolded).await {
                Ok(true) => drop(unfolded.logs.insert(log, size)),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, %log, "log could not be folded; tried again");
                    unfolded.failed.insert(log, size);
                }
            }
        }
        while let Some(place) = unfolded.places.front() {
            if let Err(error) = self.fold_again(place).await {
                tracing::error!(%error, log = %place.log, "record could not be folded; tried again");
                return;
            }
            unfolded.places.pop_front();
        }
    }

    /// Folds at most [`TURN`] entries of a log; answers whether there are more up to a size.
    async fn fold_turn(
        &mut self,
        origin: &Origin,
        size: u64,
        unfolded: &mut Unfolded,
    ) -> Result<bool, StoreError> {
        let Ok(log) = origin.as_str().parse::<LogName>() else { return Ok(false) };
        let from = self.cursors.get(&log).copied().unwrap_or(0);
        if let Some(again) = unfolded.again.get(&log).copied() {
            match self.fold_turn_again(origin, &log, again..from).await? {
                Some(next) => drop(unfolded.again.insert(log, next)),
                None => drop(unfolded.again.remove(&log)),
            }
            return Ok(true);
        }
        if from >= size {
            return Ok(false);
        }
        let mut read = unfolded.pages.remove(origin).unwrap_or_default();
        if read.is_empty() {
            read.extend(self.store.held(origin, from, READ).await?);
        }
        let rest = read.split_off(read.len().min(TURN));
        let page = std::mem::replace(&mut read, rest);
        if !read.is_empty() {
            unfolded.pages.insert(origin.clone(), read);
        }
        let Some(last) = page.back() else { return Ok(false) };
        let next = last.index + 1;
        // One look at each set, however many records of the page spoke of it.
        let mut touched = BTreeMap::new();
        for held in page {
            let index = held.index;
            for name in self.fold(&log, held, true) {
                touched.insert(name, index);
            }
        }
        for (name, index) in touched {
            self.refresh(name, &log, index);
        }
        self.cursors.insert(log.clone(), next);
        self.receipts.set_here(&log, next);
        Ok(next < size)
    }

    /// Folds at most [`TURN`] entries once more, of those that were folded; answers where it goes on.
    async fn fold_turn_again(
        &mut self,
        origin: &Origin,
        log: &LogName,
        again: Range<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let count =
            TURN.min(usize::try_from(again.end.saturating_sub(again.start)).unwrap_or(TURN));
        let page = self.store.held(origin, again.start, count).await?;
        for held in page {
            let index = held.index;
            for name in self.fold(log, held, false) {
                self.refresh(name, log, index);
            }
        }
        let next = again.start + count as u64;
        Ok(Some(next).filter(|next| *next < again.end))
    }

    /// Drops what is erased. What the store does not drop waits for a while, and nothing else waits for it.
    async fn erase_all(&self, unfolded: &mut Unfolded) {
        let now = Instant::now();
        if unfolded.erase_at.is_some_and(|at| at <= now) {
            unfolded.erase_at = None;
            unfolded.erased.append(&mut unfolded.kept);
        }
        for place in std::mem::take(&mut unfolded.erased) {
            if let Err(error) = self.erase(&place).await {
                let Place { log, index } = &place;
                tracing::error!(%error, %log, index, "an erased record could not be dropped; tried again");
                unfolded.erase_at.get_or_insert(now + RETRY);
                unfolded.kept.push(place);
            }
        }
    }

    /// Drops a record from the store; nobody is asked for it any more. One that came ahead of its turn is not in its log
    /// yet: it goes from what is kept of it, and comes here again when its turn brings it.
    async fn erase(&self, place: &Place) -> Result<(), StoreError> {
        if !self.cases.is_erased(place) {
            return Ok(());
        }
        self.holes.close(place);
        self.receipts.set_missing(place, false);
        self.holes.noted.note(place);
        let Ok(origin) = Origin::new(place.log.to_string()) else { return Ok(()) };
        urgent::drop_record(&*self.store, place).await?;
        let held = self.store.held(&origin, place.index, 1).await?;
        if held.iter().any(|held| held.index == place.index) {
            self.store.erase(&origin, place.index).await?;
        }
        self.holes.noted.note(place);
        tracing::info!(log = %place.log, index = place.index, "a record was erased");
        Ok(())
    }

    /// Folds an entry ahead of its turn. What it speaks of may not be here yet: then it waits for that,
    /// and counts the moment it comes.
    fn fold_early(&mut self, Early { log, held, kept }: Early) {
        let (log, index) = (&log, held.index);
        if !kept && self.cursors.get(log).is_some_and(|next| index < *next) {
            return;
        }
        metrics::counter!("watchfire_early_total", "member" => log.member.to_string()).increment(1);
        if kept {
            self.early.insert(Place { log: log.clone(), index });
        } else {
            // Others may hear of it before it has its turn here.
            self.urgent.note(log, index);
        }
        let (names, _) = self.cases.fold(log, held);
        self.publish();
        for name in names {
            self.refresh(name, log, index);
        }
    }

    /// Shows what the fold has changed beside sets.
    fn publish(&mut self) {
        if let Some(incidents) = self.cases.changed_incidents() {
            self.incidents_due_ms = None;
            self.known.publish_incidents(incidents);
        }
        if let Some(stops) = self.cases.changed_stops() {
            self.known.publish_stops(stops);
        }
    }

    /// Forgets what was kept for entries whose turn has come.
    async fn forget_early(&mut self) -> Result<(), StoreError> {
        if self.early.is_empty() {
            return Ok(());
        }
        // This comes after each turn, and there may be very many that wait.
        let passed = |(log, at): (&LogName, &u64)| {
            let place = |index| Place { log: log.clone(), index };
            self.early.range(place(0)..place(*at)).cloned().collect::<Vec<_>>()
        };
        let done: Vec<Place> = self.cursors.iter().flat_map(passed).collect();
        if done.is_empty() {
            return Ok(());
        }
        for place in &done {
            self.early.remove(place);
        }
        urgent::forget(&*self.store, done).await
    }

    /// Folds an entry once more, whose record is here now.
    async fn fold_again(&mut self, place: &Place) -> Result<(), StoreError> {
        let Ok(origin) = Origin::new(place.log.to_string()) else { return Ok(()) };
        for held in self.store.held(&origin, place.index, 1).await? {
            for name in self.fold(&place.log, held, false) {
                self.refresh(name, &place.log, place.index);
            }
        }
        Ok(())
    }

    /// Folds one entry; answers the sets that it touched.
    fn fold(&mut self, log: &LogName, held: Held, announce: bool) -> Vec<Commitment> {
        let (index, leaf) = (held.index, Leaf::decode(&held.entry.leaf).ok());
        // Other logs are booked as they are copied, before they come here.
        if !announce || log.member == self.me {
            self.book(log, index, leaf.as_ref());
        }
        if let Some(leaf) = leaf {
            if is_urgent(&leaf) {
                self.urgent.note(log, index);
            }
            if announce {
                let commitment = leaf.commitment;
                self.events.send(Event::Received { commitment, log: log.clone(), index });
            }
            let place = Place { log: log.clone(), index };
            let bare = held.entry.record.is_none();
            let missing = bare && self.misses(&leaf) && !self.cases.is_erased(&place);
            self.receipts.set_missing(&place, missing);
            if missing {
                self.holes.add(&place);
            }
            if self.anchors.take(&place, &leaf, held.entry.record.as_ref()) {
                tracing::error!(%log, index, "two anchors of this member's desk log do not go together");
                self.events.send(Event::DeskRewritten { log: log.clone(), index });
            }
        }
        let (names, ignored) = self.cases.fold(log, held);
        self.publish();
        if let Some(why) = ignored {
            let member = log.member.to_string();
            metrics::counter!("watchfire_entries_ignored_total", "member" => member, "why" => why.name())
                .increment(1);
            let count = self.ignored.entry((log.clone(), why.name())).or_default();
            *count += 1;
            // A flood is not to fill the disk with lines about it.
            if count.is_power_of_two() {
                tracing::warn!(%log, index, why = why.name(), count, "entries say nothing here");
            }
        }
        names
    }

    /// Books what is held since before the start, or is our own, on its author's quota.
    fn book(&self, log: &LogName, index: u64, leaf: Option<&Leaf>) {
        if let Some(copy) = self.copies.get(log) {
            if log.member == self.me {
                copy.book_own(index, leaf);
            } else {
                copy.book_held(index, leaf);
            }
        }
    }

    /// Whether we may have a leaf's record, and it is still of use.
    fn misses(&self, leaf: &Leaf) -> bool {
        let today = self.clock.now_ms() / 86_400_000;
        let ours = self.charter.is_in_group(&self.me, &leaf.header.group);
        ours && leaf.header.lease_day.is_none_or(|day| u64::from(day) >= today)
    }

    /// Makes a changed set visible to lookups, then has its consequences drawn.
    fn refresh(&mut self, name: Commitment, log: &LogName, index: u64) {
        let Some(set) = self.show(name, Some((log, index))) else { return };
        // What was over when it came has no consequences, and a member that catches up has a great many of these.
        let new = set.place.index == index && set.place.log == *log;
        if !(new && self.is_over(&set)) {
            self.look_at(&set);
        }
    }

    fn is_over(&self, set: &SignalSet) -> bool {
        self.known.sets().is_over(set, self.clock.now_ms())
    }

    fn look_at(&self, set: &SignalSet) {
        let undo = self.judge.about(set, self.clock.now_ms()).take_down().is_none();
        self.enforcer.look_at(Look::Set(set.name), Some(set.author()), undo);
    }

    /// Makes a set visible to lookups as it stands now, and tells of it: as of the record that changed it, or its own.
    fn show(&mut self, name: Commitment, by: Option<(&LogName, u64)>) -> Option<Arc<SignalSet>> {
        let now = self.clock.now_ms();
        let set = self.known.arrange(&name, now)?;
        let decision = self.judge.about(&set, now);
        let (log, index) = by.unwrap_or((&set.place.log, set.place.index));
        if let Some(at) = set.standing.next_change_ms(now) {
            self.deadlines.insert((at, name));
        }
        self.events.send(Event::Case {
            set: name,
            subject: set.subject,
            state: set.state(now),
            blocks: decision.verdict() == crate::policy::Verdict::Block,
            log: log.clone(),
            index,
        });
        Some(set)
    }

    fn until_next_deadline(&self) -> Duration {
        let longest = Duration::from_secs(60);
        let now = self.clock.now_ms();
        let incidents = self.incidents_due_ms.filter(|at| *at < u64::MAX);
        let next = self.deadlines.first().map(|(at, _)| *at).into_iter().chain(incidents);
        let next = next.chain(self.cases.next_due_ms()).min();
        next.map_or(longest, |at| Duration::from_millis(at.saturating_sub(now)).min(longest))
    }

    /// Tells which incidents are in another state than before: no message comes for some of these.
    fn tell_of_incidents(&mut self) {
        let now = self.clock.now_ms();
        // This comes after each turn, and there may be very many.
        if self.incidents_due_ms.is_some_and(|due| now < due) {
            return;
        }
        let due = self.cases.incidents().iter().filter_map(|one| one.next_change_ms(now));
        self.incidents_due_ms = Some(due.min().unwrap_or(u64::MAX));
        let mut in_force = [0_u32; 3];
        for incident in self.cases.incidents().iter() {
            let (name, state) = (incident.name, incident.state(now));
            let level = incident.course.level;
            if state == IncidentState::InForce && !incident.test {
                let count = usize::from(level).checked_sub(1).and_then(|at| in_force.get_mut(at));
                count.into_iter().for_each(|count| *count += 1);
            }
            if self.incidents.insert(name, state) != Some(state) {
                let drill = incident.test;
                self.events.send(Event::Incident { incident: name, state, level, drill });
            }
        }
        for (count, level) in in_force.into_iter().zip(["1", "2", "3"]) {
            metrics::gauge!("watchfire_incidents_in_force", "level" => level).set(count);
        }
    }

    /// Draws the consequences of terms that are over: no message comes for these.
    fn pass_deadlines(&mut self) {
        let now = self.clock.now_ms();
        while let Some(&(at, name)) = self.deadlines.first() {
            if at > now {
                return;
            }
            self.deadlines.pop_first();
            let Some(set) = self.cases.set(&name) else { continue };
            // What was put off since has a later deadline of its own.
            if set.standing.next_change_ms(at - 1) == Some(at)
                && let Some(set) = self.show(name, None)
            {
                self.look_at(&set);
            }
        }
    }
}
