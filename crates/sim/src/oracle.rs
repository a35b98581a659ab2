//! Says what a run must not do: its model comes from what was reported and from what lies on disks, and from
//! none of what the nodes have computed.
//!
//! **Invariant:** nothing here changes anything in a run.

mod charters;
mod early;
mod ending;
mod incidents;
mod meanwhile;
mod quota;
mod reading;
mod restored;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use watchfire_signal::{
    commitment::Commitment,
    name::{LogName, MemberName},
    record::Leaf,
    value::Signal,
};
use watchfire_store::{Held, StoreError, Table};

use self::charters::Ballots;

use crate::{
    cast::Cast,
    disk::Disk,
    fault::{Fault, Faults},
    papers::Papers,
    pictures::picture,
    time::{MemberClock, Time},
};

pub use charters::Charters;
pub use ending::Standpoint;
pub use incidents::{Course, Phase};
pub use reading::{At, Case, Reading};
pub use state::{Ground, Outlook, Say};

/// Where a node keeps what came ahead of its turn.
const EARLY: Table = Table::Ledger("early");
/// How long a node may act on what it knew before: the way from a log through a slow disk to the platform.
const GRACE_MS: u64 = 15_000;

/// A rule that a run has broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A statement that was acknowledged is not in its author's log.
    AlertLost,
    /// A log of an honest member has two histories.
    HistoryChanged,
    /// Members that are connected hold different logs.
    LogsDiffer,
    /// A record that its group may have is missing somewhere.
    BodyMissing,
    /// The state of a case is not what the records say.
    StatesDiffer,
    /// An incident is not what the records say.
    IncidentsDiffer,
    /// Something was taken down, or refused, that no case allowed.
    Forbidden,
    /// Something is shown that a case takes down.
    StillShown,
    /// Something is hidden that nothing holds down.
    StillHidden,
    /// A member holds a record of a group that it is not in.
    OutOfGroup,
    /// An erased record is still somewhere.
    StillThere,
    /// A fork that was shown to two members is not known to all.
    ForkUnseen,
    /// A node does not work though nothing is wrong any more.
    Unwell,
    /// Two charters of one number are in force.
    ChartersDiffer,
    /// A charter is in force that too few have approved.
    Unapproved,
    /// An honest member has approved two charters of one number.
    VotedTwice,
    /// A node does not work under the newest charter though it could.
    CharterBehind,
    /// Something panicked.
    Panicked,
}

/// What a run did that it must not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Whose node.
    pub member: String,
    /// What exactly.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}: {}", self.rule, self.member, self.what)
    }
}

/// A member as the oracle sees it.
pub struct View {
    /// Its name.
    pub name: MemberName,
    /// Its disk.
    pub disk: Arc<Disk>,
    /// Its clock.
    pub clock: Arc<MemberClock>,
    /// Whom its policy trusts.
    pub trust: BTreeSet<MemberName>,
    /// What it was installed with.
    pub papers: Papers,
    /// The charters that its process began with.
    pub began: Mutex<Arc<Charters>>,
    /// How far its terms are ahead of its clock, which was set back.
    pub behind_ms: AtomicU64,
}

impl View {
    /// The time that terms are measured by there.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.true_ms() + self.behind_ms.load(Ordering::Relaxed)
    }
}

/// A statement that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// Where it stands.
    pub at: At,
    /// Its name.
    pub commitment: Commitment,
}

#[derive(Default)]
struct State {
    acked: Vec<Acked>,
    findings: Vec<Finding>,
    /// The root of each log at each size at which anybody held it.
    roots: BTreeMap<(String, u64), String>,
    /// Up to where each copy was looked at.
    looked: BTreeMap<(MemberName, LogName), u64>,
    /// Records as they were said.
    bodies: BTreeMap<At, Bytes>,
    judged: u64,
    ballots: Ballots,
    /// Items of which a member has forgotten what it did, with an old backup.
    forgotten: BTreeSet<(MemberName, String)>,
    /// Whether anybody came back from an old backup.
    restored: bool,
}

/// The oracle.
pub struct Oracle {
    time: Arc<Time>,
    /// Whose logs may have two histories.
    liar: Option<MemberName>,
    faults: Faults,
    views: OnceLock<BTreeMap<String, View>>,
    state: Mutex<State>,
}

impl Oracle {
    /// Of a cast.
    #[must_use]
    pub fn new(cast: &Cast, time: &Arc<Time>, faults: &Faults) -> Arc<Self> {
        Arc::new(Self {
            time: time.clone(),
            liar: cast.liar.clone(),
            faults: faults.clone(),
            views: OnceLock::new(),
            state: Mutex::default(),
        })
    }

    /// The honest members, once.
    pub fn watch(&self, views: Vec<View>) {
        let views = views.into_iter().map(|view| (view.name.to_string(), view)).collect();
        // A run has one cast.
        let _first = self.views.set(views);
    }

    /// A node of a member begins on what its disk holds; in a process that goes on, it measures terms by the clock of the
    /// node before.
    ///
    /// # Errors
    /// The store's.
    pub async fn begins(&self, member: &str, anew: bool) -> Result<(), StoreError> {
        let Some(view) = self.view(member) else { return Ok(()) };
        let began = Arc::new(self.charters(view).await?);
        *view.began.lock().unwrap_or_else(PoisonError::into_inner) = began;
        if !anew {
            return Ok(());
        }
        let store = view.disk.durable();
        let mut newest_ms = 0;
        for head in store.logs().await? {
            let last = store.held(&head.log, head.size.saturating_sub(1), 1).await?;
            newest_ms = last.iter().map(|held| held.verified_ms).fold(newest_ms, u64::max);
        }
        let behind_ms = newest_ms.saturating_sub(view.clock.true_ms());
        view.behind_ms.store(behind_ms, Ordering::Relaxed);
        Ok(())
    }

    /// A statement was acknowledged.
    pub fn hears(&self, acked: Acked) {
        self.state().acked.push(acked);
    }

    /// How much was acknowledged, and how many decisions to take down or refuse were judged.
    #[must_use]
    pub fn heard(&self) -> (usize, u64) {
        let state = self.state();
        (state.acked.len(), state.judged)
    }

    /// The time that terms are measured by at a member.
    #[must_use]
    pub fn now_ms(&self, member: &str) -> u64 {
        self.view(member).map_or(0, View::now_ms)
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.state().findings.clone()
    }

    /// Something is wrong.
    pub fn object(&self, rule: Rule, member: impl fmt::Display, what: impl fmt::Display) {
        let (member, what) = (member.to_string(), what.to_string());
        self.state().findings.push(Finding { rule, member, what });
    }

    /// A node has an item with a picture taken down.
    pub async fn hears_take_down(&self, member: &str, item: &str, picture: u64) {
        let Some(view) = self.view(member) else { return };
        let leapt_ms = self.time.leapt_within(Duration::from_millis(GRACE_MS)).unwrap_or(0);
        let since_ms = view.now_ms().saturating_sub(leapt_ms + GRACE_MS);
        self.judge(view, (item, picture), since_ms).await;
    }

    /// A node refuses an upload that it was asked about at a moment of its clock: a term that was over then does not allow
    /// it.
    pub async fn hears_refusal(&self, member: &str, item: &str, picture: u64, since_ms: u64) {
        let Some(view) = self.view(member) else { return };
        self.judge(view, (item, picture), since_ms).await;
    }

    async fn judge(&self, view: &View, (item, picture): (&str, u64), since_ms: u64) {
        self.state().judged += 1;
        match self.allows(view, picture, since_ms).await {
            Ok(Some(Ground::Opinions)) => {}
            Ok(Some(Ground::Incident)) => self.faults.fired(Fault::ActedInIncident),
            Ok(None) => {
                self.object(Rule::Forbidden, &view.name, format_args!("take-down of {item}"));
            }
            Err(error) => self.object(Rule::Unwell, &view.name, error),
        }
    }

    /// Why what a member holds, or held a moment ago, allows a take-down of a picture at a moment since then, if it does.
    async fn allows(
        &self,
        view: &View,
        picture_of: u64,
        since_ms: u64,
    ) -> Result<Option<Ground>, StoreError> {
        let logs = self.known(view).await?;
        let now_ms = view.now_ms();
        let recent = |ms: &u64| *ms <= now_ms && now_ms - ms <= GRACE_MS;
        let verified = logs.iter().flat_map(|(_, held)| held.iter().map(|held| held.verified_ms));
        let news: BTreeSet<u64> = verified.filter(recent).collect();
        let mut moments = vec![(now_ms, u64::MAX), (since_ms, u64::MAX)];
        moments.extend(news.into_iter().map(|ms| (ms.max(since_ms), ms.saturating_sub(1))));
        let wanted = picture(picture_of);
        // Until it is started again it works under the charter that it has begun with.
        let began = view.began.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = Arc::new(self.charters(view).await?);
        let both = [now.clone(), began.clone()];
        let charters = &both[..if now == began { 1 } else { 2 }];
        let mut ground = None;
        for charters in charters {
            for (at_ms, before_ms) in &moments {
                let reading = Reading::of(&logs, charters, *before_ms);
                let takes_down = |case| self.takes_down(&reading, case, view, (&wanted, *at_ms));
                ground = reading.cases.values().filter_map(takes_down).chain(ground).min();
                if ground == Some(Ground::Opinions) {
                    return Ok(ground);
                }
            }
        }
        Ok(ground)
    }

    fn takes_down(
        &self,
        reading: &Reading,
        case: &Case,
        view: &View,
        (picture, at_ms): (&Signal, u64),
    ) -> Option<Ground> {
        let signals = case.alert.iter().flat_map(|alert| &alert.signals);
        let matches = signals.into_iter().any(|signal| signal.value == picture.value);
        if !matches || case.header.test || !reading.enforces(&view.name) {
            return None;
        }
        reading.outlook(case, at_ms).takes_down(&view.name, &view.trust, at_ms)
    }

    /// Looks at all disks: after every step.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self) -> Result<(), StoreError> {
        for view in self.views.get().into_iter().flat_map(BTreeMap::values) {
            self.look_at_charters(view).await?;
        }
        for view in self.views.get().into_iter().flat_map(BTreeMap::values) {
            self.look_at(view).await?;
        }
        self.look_for_acked().await
    }

    /// Whether heads agree, and whether what is new may be here.
    async fn look_at(&self, view: &View) -> Result<(), StoreError> {
        let store = view.disk.durable();
        for head in store.logs().await? {
            let mut lines = head.checkpoint.text.lines();
            let root = lines.nth(2).unwrap_or_default().to_owned();
            let Ok(log) = head.log.as_str().parse::<LogName>() else { continue };
            if Some(&log.member) != self.liar.as_ref() {
                let known = self
                    .state()
                    .roots
                    .entry((log.to_string(), head.size))
                    .or_insert(root.clone())
                    .clone();
                if known != root {
                    let what = format!("{log} has two heads of size {}", head.size);
                    self.object(Rule::HistoryChanged, &view.name, what);
                }
            }
            let from = (view.name.clone(), log.clone());
            let from = self.state().looked.insert(from, head.size).unwrap_or(0);
            for held in store.held(&head.log, from, usize::MAX).await? {
                self.look_at_entry(view, &log, &held);
            }
        }
        Ok(())
    }

    fn look_at_entry(&self, view: &View, log: &LogName, held: &Held) {
        let Some(record) = &held.entry.record else { return };
        let Ok(leaf) = Leaf::decode(&held.entry.leaf) else { return };
        self.state().bodies.entry((log.clone(), held.index)).or_insert_with(|| record.clone());
        let may = self.state().ballots.chain.ever_in_group(&view.name, &leaf.header.group);
        if log.member != view.name && !may {
            let what = format!("record {} of {log} is of group {}", held.index, leaf.header.group);
            self.object(Rule::OutOfGroup, &view.name, what);
        }
    }

    async fn look_for_acked(&self) -> Result<(), StoreError> {
        let acked = self.state().acked.clone();
        for Acked { at: (log, index), commitment } in acked {
            let Some(view) = self.view(log.member.as_str()) else { continue };
            let Ok(origin) = watchfire_tlog::Origin::new(log.to_string()) else { continue };
            let held = view.disk.durable().held(&origin, index, 1).await?;
            let leaf = held.first().and_then(|held| Leaf::decode(&held.entry.leaf).ok());
            let there = leaf.is_some_and(|leaf| leaf.commitment == commitment);
            if !there && !self.comes_again(view, &log, index).await? {
                let what = format!("{commitment} was acknowledged as {index} of {log}");
                self.object(Rule::AlertLost, &log.member, what);
                self.state().acked.retain(|acked| acked.commitment != commitment);
            }
        }
        Ok(())
    }

    /// The members' logs as a member holds them.
    async fn logs(&self, view: &View) -> Result<Vec<(LogName, Vec<Held>)>, StoreError> {
        let store = view.disk.durable();
        let mut logs = Vec::new();
        for head in store.logs().await? {
            let Ok(log) = head.log.as_str().parse::<LogName>() else { continue };
            logs.push((log, store.held(&head.log, 0, usize::MAX).await?));
        }
        Ok(logs)
    }

    /// The same with what came ahead of its turn, proven and not yet followed by what stands before it.
    async fn known(&self, view: &View) -> Result<Vec<(LogName, Vec<Held>)>, StoreError> {
        let mut logs = self.logs(view).await?;
        for (key, value) in view.disk.durable().rows(EARLY, &[], usize::MAX).await? {
            let Some((log, held)) = early::read(&key, &value) else { continue };
            match logs.iter_mut().find(|(known, _)| *known == log) {
                Some((_, known)) if known.len() as u64 > held.index => {}
                Some((_, known)) => known.push(held),
                None => logs.push((log, vec![held])),
            }
        }
        Ok(logs)
    }

    fn view(&self, member: &str) -> Option<&View> {
        self.views.get()?.get(member)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
