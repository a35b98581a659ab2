//! A member that lies: its log has two histories, shrinks, is signed by another key, covers what is not
//! there, and says what it must not.
//!
//! **Invariant:** it holds its own key and no other: what it cannot do a member cannot do.

mod ballots;
mod lies;
mod speech;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use watchfire_node::{
    heads::Heads,
    peer::Theirs,
    place::Place,
    publish::{Letterhead, Minutes},
    receipts::Effective,
};
use watchfire_signal::{
    charter::{Charter, SignedCharter},
    header::CharterRef,
    name::{LogName, MemberName},
};
use watchfire_store::{Append, Batch, MemoryStore, Store};
use watchfire_tlog::{
    Checkpoint, Entry, Evidence, EvidenceKind, Extension, Frontier, Origin, OwnKey,
    SignedCheckpoint, Source,
};

use crate::{
    Broken, cast,
    chance::Chance,
    fault::{Fault, Faults},
    host::{Asker, Host},
    process::{Life, Process},
    time::MemberClock,
    trace::Trace,
};

use lies::Face;
pub use speech::Known;

/// The liar.
pub struct Liar {
    /// Its name.
    pub name: MemberName,
    log: LogName,
    origin: Origin,
    key: OwnKey,
    charter: Arc<Charter>,
    letterhead: Letterhead,
    /// What it shows to members at even and at odd places; the same until it forks.
    histories: [Arc<History>; 2],
    forked: AtomicBool,
    /// Whether it speaks of incidents.
    incidents: bool,
    honest: AtomicBool,
    /// Charters that it shows, one at even and one at odd places: for a mutant.
    ballots: OnceLock<[SignedCharter; 2]>,
    process: Process,
    places: BTreeMap<MemberName, usize>,
    chance: Arc<Chance>,
    faults: Faults,
    trace: Trace,
}

/// One history of its log.
struct History {
    store: Arc<MemoryStore>,
    state: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    frontier: Frontier,
    heads: Vec<SignedCheckpoint>,
}

impl History {
    fn new() -> Arc<Self> {
        Arc::new(Self { store: Arc::new(MemoryStore::new()), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Liar {
    /// A liar among these members.
    ///
    /// # Errors
    /// [`Broken`] where it is not in the charter.
    pub fn new(
        (name, incidents): (&MemberName, bool),
        charter: &Arc<Charter>,
        (seed, clock): (u64, Arc<MemberClock>),
        (faults, trace): (&Faults, &Trace),
    ) -> Result<Arc<Self>, Broken> {
        let log = charter.log_of(name).ok_or_else(|| Broken("the liar has no log".to_owned()))?;
        let origin = Origin::new(log.to_string())?;
        let chance = Arc::new(Chance::new(seed, "liar"));
        let reference = CharterRef { seq: charter.seq, hash: charter.hash() };
        let minutes = Minutes::after(0, clock);
        let letterhead = Letterhead {
            log: log.clone(),
            charter: reference,
            random: chance.clone(),
            minutes,
            quotas: None,
        };
        let names = charter.members.iter().map(|member| member.name.clone());
        Ok(Arc::new(Self {
            name: name.clone(),
            log,
            origin,
            key: cast::key(name, 1),
            charter: charter.clone(),
            letterhead,
            histories: [History::new(), History::new()],
            forked: AtomicBool::new(false),
            incidents,
            honest: AtomicBool::new(false),
            ballots: OnceLock::new(),
            process: Process::default(),
            places: names.zip(0..).collect(),
            chance,
            faults: faults.clone(),
            trace: trace.clone(),
        }))
    }

    /// From now on it says different things to different members.
    pub fn fork(&self) {
        self.forked.store(true, Ordering::Relaxed);
    }

    /// From now on it shows what it has signed, as it is.
    pub fn repent(&self) {
        self.honest.store(true, Ordering::Relaxed);
    }

    fn lies(&self) -> bool {
        !self.honest.load(Ordering::Relaxed)
    }

    fn shows(&self, asker: Option<&MemberName>) -> &Arc<History> {
        let place = asker.and_then(|asker| self.places.get(asker)).copied().unwrap_or(0);
        let [even, odd] = &self.histories;
        if self.forked.load(Ordering::Relaxed) && place % 2 == 1 { odd } else { even }
    }

    /// Signs entries into one history.
    async fn append(&self, history: &History, entries: Vec<Entry>) -> Result<(), Broken> {
        let (size, frontier) = {
            let state = history.state();
            (state.frontier.size(), state.frontier.clone())
        };
        let mut grown = frontier;
        let leaf_hashes: Vec<_> = entries.iter().map(Entry::leaf_hash).collect();
        leaf_hashes.iter().for_each(|hash| grown.append(*hash));
        let checkpoint =
            Checkpoint { origin: self.origin.clone(), size: grown.size(), root: grown.root() };
        let checkpoint = SignedCheckpoint::sign(&checkpoint, &self.key);
        let append = Append {
            log: self.origin.clone(),
            size,
            entries,
            leaf_hashes,
            checkpoint: checkpoint.clone(),
            verified_ms: 0,
        };
        history.store.commit(Batch { append: Some(append), ..Batch::default() }).await?;
        let mut state = history.state();
        state.frontier = grown;
        state.heads.push(checkpoint);
        Ok(())
    }

    /// Heads and proofs that prove nothing.
    fn false_heads(&self) -> Heads {
        let mut heads = Heads::default();
        let Some(own) = self.histories[0].state().heads.last().cloned() else { return heads };
        for member in self.charter.members.iter().filter(|member| member.name != self.name) {
            let Some(log) = self.charter.log_of(&member.name) else { continue };
            let forged = own.text.replace(&self.log.to_string(), &log.to_string());
            heads.heads.insert(log.clone(), SignedCheckpoint::new(forged.clone()));
            let proof = Evidence {
                ours: SignedCheckpoint::new(forged),
                theirs: own.clone(),
                kind: EvidenceKind::SameSize,
            };
            heads.proofs.push((log, proof));
        }
        heads.heads.insert(self.log.clone(), own);
        heads
    }
}

#[async_trait]
impl Host for Liar {
    fn life(&self) -> Option<Life> {
        Some(self.process.life())
    }

    fn source(&self, asker: Option<&Asker>, log: &LogName) -> Option<Arc<dyn Source>> {
        let asker = asker.map(|asker| &asker.name);
        if *log != self.log {
            return None;
        }
        let history = self.shows(asker);
        let heads = history.state().heads.clone();
        let face = Face {
            truth: history.store.read(&self.origin),
            heads,
            charter: self.charter.clone(),
            asker: asker.cloned(),
            // One member gets everything, the others ask it.
            favourite: asker
                .and_then(|asker| self.places.get(asker))
                .is_none_or(|place| *place == 0),
            lies: self.lies(),
            chance: self.chance.clone(),
            faults: self.faults.clone(),
        };
        Some(Arc::new(face))
    }

    async fn push(&self, _from: &Asker, _more: Extension) -> Result<u64, String> {
        Err("does not care".to_owned())
    }

    async fn receipt(
        &self,
        _from: &Asker,
        _effective: &BTreeMap<LogName, Effective>,
    ) -> Result<(), String> {
        Ok(())
    }

    async fn receipts(&self, _from: &Asker) -> Result<BTreeMap<LogName, Effective>, String> {
        Ok(BTreeMap::from([(
            self.log.clone(),
            Effective { size: u64::MAX, ..Effective::default() },
        )]))
    }

    async fn lacking(&self, _from: &Asker) -> Result<BTreeMap<LogName, Vec<u64>>, String> {
        // What it has, and what it may not have.
        let names = self.places.keys().filter(|_| self.lies());
        let log = |name: &MemberName| LogName::new(self.log.coalition.clone(), name.clone(), 1);
        Ok(names.map(|name| (log(name), (0..3).collect())).collect())
    }

    async fn bring(&self, _from: &Asker, _place: Place, _record: Bytes) -> Result<bool, String> {
        Ok(false)
    }

    async fn charters(&self, from: &Asker, after: u64) -> Result<Theirs, String> {
        Ok(Theirs { in_force: after, charters: self.ballot(&from.name).into_iter().collect() })
    }

    async fn tell_charters(
        &self,
        _from: &Asker,
        _theirs: Vec<SignedCharter>,
    ) -> Result<(), String> {
        Err("does not care".to_owned())
    }

    async fn exchange(&self, from: &Asker, _theirs: &Heads) -> Result<Heads, String> {
        if self.lies() && self.chance.one_in(2) {
            self.faults.fired(Fault::FalseHeads);
            return Ok(self.false_heads());
        }
        let mut heads = Heads::default();
        let head = self.shows(Some(&from.name)).state().heads.last().cloned();
        heads.heads.extend(head.map(|head| (self.log.clone(), head)));
        Ok(heads)
    }
}
