//! What a node begins with: all that its logs come to under one chain of charters. A node that starts folds it; one that
//! runs under an older charter has it folded beside itself, and stands still only to hand over.
//!
//! **Invariant:** a node works under the charter that what it begins with was folded under: it has no other one.
//! **Invariant:** until a node begins with it, what is folded here changes nothing outside itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;
use watchfire_signal::{
    charter::{Charter, CharterChain},
    name::{LogName, MemberName},
    statement::Head,
};
use watchfire_store::{Store, StoreError};
use watchfire_tlog::{Accepted, Hash, PeerKey};

use super::{
    Node,
    home::{self, seed},
    start::{Setup, StartError},
};
use crate::{
    anchor::Anchors,
    cases::{Cases, Sets, Wanted},
    charter::{TrustError, changes::ChangeError},
    clock::{Clock, Random, TermClock},
    events::Events,
    fetch::{Filler, Noted},
    follow::{Acted, Follower, News},
    judge::Judge,
    known::Known,
    looks::Enforcer,
    people::People,
    place::Place,
    policy::Policy,
    receipts::Receipts,
    replicate::{Cuts, LogCopy, Pacer},
    room::Room,
    urgent::{Early, MAX_URGENT, Places},
};

/// What a fold is made from, whichever charter it is under.
#[derive(Clone)]
pub(super) struct Ground {
    me: MemberName,
    policy: Policy,
    store: Arc<dyn Store>,
    over: Option<PathBuf>,
    random: Arc<dyn Random>,
}

impl Ground {
    pub(super) fn of(setup: &Setup) -> Self {
        Self {
            me: setup.me.clone(),
            policy: setup.policy.clone(),
            store: setup.store.clone(),
            over: setup.over.clone(),
            random: setup.random.clone(),
        }
    }

    /// What decides by the newest rules, as far as the charter lets us, and heeds what people have said.
    pub(super) async fn judge(&self, charter: &Charter) -> Result<Judge, StartError> {
        home::judge((&self.me, charter), &self.policy, &*self.store).await
    }
}

/// What a node begins with. Dropping it leaves nothing behind.
pub struct Prepared {
    pub(super) chain: CharterChain,
    /// The store, with whoever notes that its disk is full around it.
    pub(super) store: Arc<dyn Store>,
    pub(super) room: Room,
    pub(super) follower: Follower,
    pub(super) filler: Filler,
    pub(super) filled: mpsc::Receiver<Place>,
    pub(super) early: mpsc::Receiver<Early>,
    /// What people have said as sets are put away by it.
    heeded: Arc<ArcSwap<People>>,
    /// Once all is folded.
    acted: Option<Acted>,
    /// Where a node beside has put or dropped records since the fold began.
    noted: Noted,
    /// Which copies it cuts back itself.
    pub(super) cuts: Cuts,
    /// The cuts of a node beside that it knows of, and that node's.
    beside: Option<(u64, Cuts)>,
}

/// What a node that has stopped leaves to the one that follows it in the same process.
pub struct Handover {
    /// What terms are measured by. A node that measured anew would measure by what its logs have come to, and what the
    /// other was still writing down would lie in its future.
    pub(super) clock: Arc<dyn Clock>,
    /// What was folded beside it.
    pub(super) prepared: Option<Prepared>,
}

impl Handover {
    /// Whether the logs are folded already for the one that follows.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.prepared.is_some()
    }
}

impl From<Prepared> for Handover {
    fn from(prepared: Prepared) -> Self {
        Self { clock: prepared.follower.clock.clone(), prepared: Some(prepared) }
    }
}

/// Why nothing could be prepared: the node has to stop, and fold its logs when it starts again.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// A node could not start under that charter, or its store failed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What the running node has folded is lost, or was lost beside it.
    #[error("sets that were put away cannot be read")]
    Lost,
    /// Others have ended the log that this node writes: nothing that it says counts any more.
    #[error("the new charter has ended this node's log")]
    Ended,
    /// The thread that folds has failed.
    #[error("the fold has failed: {0}")]
    Failed(String),
}

impl Prepared {
    /// What is still to be folded under a chain.
    pub(super) fn new(
        ground: Ground,
        chain: CharterChain,
        clock: Arc<dyn Clock>,
        judge: Judge,
    ) -> Result<Self, StartError> {
        let Ground { me, policy: _, mut store, over, random } = ground;
        let charter = Arc::new(chain.in_force().charter.clone());
        let room = Room::of(&mut store);
        let events = Events::new(clock.clone());
        let (told, early) = mpsc::channel(MAX_URGENT);
        let heeded = Arc::new(ArcSwap::new(judge.people().clone()));
        let sets = sets(over, &heeded)?;
        let known = Known::of(sets.clone(), seed(&*random), charter.least_min_matched_ms);
        let (filler, filled) = Filler::new(store.clone());
        let (receipts, cuts) = (Receipts::default(), Cuts::default());
        let follower = Follower {
            me,
            cases: Cases::of_chain(&chain).among(sets),
            copies: copies(&chain, (&store, &clock), &events, (&told, &receipts, &cuts))?,
            charter,
            store: store.clone(),
            known: Arc::new(known),
            judge,
            enforcer: Enforcer::default(),
            events,
            receipts,
            holes: filler.holes.clone(),
            anchors: Anchors::default(),
            clock,
            cursors: HashMap::new(),
            deadlines: BTreeSet::new(),
            urgent: Places::default(),
            early: BTreeSet::new(),
            incidents: BTreeMap::new(),
            incidents_due_ms: None,
            ignored: HashMap::new(),
        };
        let (acted, noted, beside) = (None, Noted::default(), None);
        let prepared = Self {
            chain,
            store,
            room,
            follower,
            filler,
            filled,
            early,
            heeded,
            acted,
            noted,
            cuts,
            beside,
        };
        Ok(prepared)
    }

    /// The charter that this was folded under.
    #[must_use]
    pub fn charter(&self) -> &Charter {
        &self.follower.charter
    }

    /// Whether this is what a member that has this chain begins with.
    pub(super) fn is_of(&self, me: &MemberName, chain: &CharterChain) -> bool {
        let same = self.chain.in_force().hash() == chain.in_force().hash();
        let lost = self.follower.known.sets().is_lost();
        // What a node beside has cut back meanwhile may be folded here.
        let cut = self.beside.as_ref().is_some_and(|(known, cuts)| cuts.count() != *known);
        same && self.follower.me == *me && !lost && !cut
    }

    async fn fold(&mut self) -> Result<(), StoreError> {
        self.acted = Some(self.follower.fold_all().await?);
        Ok(())
    }

    /// Folds what is not folded yet, and draws up what follows for the node that begins now.
    pub(super) async fn take_over(&mut self, judge: Judge) -> Result<(), StoreError> {
        let acted = match self.acted.take() {
            Some(acted) => acted,
            None => self.follower.fold_all().await?,
        };
        let before = self.heeded.swap(judge.people().clone());
        let said = judge.people().cases_apart(&before);
        let news = News { judge, said, moved: self.noted.take() };
        self.follower.take_over(acted, news).await
    }
}

impl Node {
    /// Waits until a charter is in force that this node does not work under, or what it has folded is lost or cut back: then
    /// it has to be started again. Nothing that it acknowledged is lost by that.
    pub async fn outdated(&self) {
        tokio::select! {
            biased;
            () = self.changes.newer_than(self.charter.seq) => {}
            () = self.known.sets().lost() => {}
            () = self.cuts.first() => {}
        }
    }

    /// How many copies of logs this node has cut back to what the charter accepts of them.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts.count()
    }

    /// What this node leaves to the one that follows it where nothing is prepared: that one folds its logs anew.
    #[must_use]
    pub fn handover(&self) -> Handover {
        Handover { clock: self.clock.clone(), prepared: None }
    }

    /// Folds all logs under the charter that is in force by now, on a thread of its own, while this node goes on: what
    /// the next one begins with. Takes as much memory as this node's own fold. Where a newer charter comes meanwhile, it
    /// begins again. Dropping it ends it.
    ///
    /// # Errors
    /// [`PrepareError`]; then the next node has to fold by itself.
    pub async fn prepare(&self) -> Result<Prepared, PrepareError> {
        loop {
            let chain = self.changes.chain();
            let seq = chain.in_force().charter.seq;
            let stop = CancellationToken::new();
            let _dropped = stop.clone().drop_guard();
            let mut folding = self.fold_beside(chain, stop.clone()).await?;
            let folded = tokio::select! {
                biased;
                () = self.known.sets().lost() => return Err(PrepareError::Lost),
                () = self.changes.newer_than(seq) => {
                    stop.cancel();
                    // Its memory is free before the next one takes as much.
                    (&mut folding).await
                }
                folded = &mut folding => folded,
            };
            let folded = folded.map_err(|error| PrepareError::Failed(error.to_string()))?;
            if self.changes.chain().in_force().charter.seq != seq {
                tracing::info!(seq, "a newer charter is in force; what was prepared is given up");
                continue;
            }
            let prepared = folded?.ok_or_else(|| PrepareError::Failed("stopped".to_owned()))?;
            let lost = prepared.follower.known.sets().is_lost();
            return if lost { Err(PrepareError::Lost) } else { Ok(prepared) };
        }
    }

    /// Begins to fold under a chain; ends with `None` when it is to stop.
    async fn fold_beside(
        &self,
        chain: CharterChain,
        stop: CancellationToken,
    ) -> Result<JoinHandle<Result<Option<Prepared>, StartError>>, PrepareError> {
        let charter = &chain.in_force().charter;
        if charter.member(&self.me).is_none() {
            return Err(StartError::NotAMember(self.me.clone()).into());
        }
        let (ours, mut closed) = ((&self.me, self.log.epoch), charter.closed.iter());
        if closed.any(|log| log.name() == ours && log.last.is_some()) {
            return Err(PrepareError::Ended);
        }
        // Before the first entry is read.
        let (noted, beside) = (self.filler.note(), Some((self.cuts.count(), self.cuts.clone())));
        let judge = self.ground.judge(charter).await?;
        // The same clock: terms are measured on from where this node measures them.
        let clock = self.clock.clone();
        let prepared = Prepared::new(self.ground.clone(), chain, clock, judge)?;
        let mut prepared = Prepared { noted, beside, ..prepared };
        let runtime = Handle::current();
        Ok(spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(None),
                    folded = prepared.fold() => folded?,
                }
                Ok(Some(prepared))
            })
        }))
    }
}

/// A clock that shows no time before one that the store has written down.
pub(super) async fn term_clock(setup: &Setup) -> Result<Arc<dyn Clock>, StoreError> {
    let mut newest_ms = 0;
    for head in setup.store.logs().await? {
        let last = setup.store.held(&head.log, head.size.saturating_sub(1), 1).await?;
        newest_ms = last.iter().map(|held| held.verified_ms).fold(newest_ms, u64::max);
    }
    Ok(Arc::new(TermClock::since(setup.clock.clone(), newest_ms)))
}

/// Sets of signals, none yet.
fn sets(over: Option<PathBuf>, heeded: &Arc<ArcSwap<People>>) -> Result<Arc<Sets>, StoreError> {
    let people = heeded.clone();
    let wanted: Wanted =
        Box::new(move |case| people.load().about(None, case).is_some_and(|human| human.harmful));
    let sets = match over {
        Some(directory) => Sets::in_directory(&directory, wanted)
            .map_err(|error| StoreError::Failed(format!("{}: {error}", directory.display())))?,
        None => Sets::in_memory(wanted),
    };
    Ok(Arc::new(sets))
}

/// The copies of all logs of the coalition, our own among them, and those that have ended.
fn copies(
    chain: &CharterChain,
    (store, clock): (&Arc<dyn Store>, &Arc<dyn Clock>),
    events: &Events,
    (early, receipts, cuts): (&mpsc::Sender<Early>, &Receipts, &Cuts),
) -> Result<BTreeMap<LogName, Arc<LogCopy>>, StartError> {
    let (mut copies, pacer) = (BTreeMap::new(), Arc::new(Pacer::of_chain(chain)));
    let charter = &chain.in_force().charter;
    let live = charter.members.iter();
    let live = live.map(|member| (&member.name, member.epoch, &member.key, None));
    let closed = charter.closed.iter();
    let closed = closed.map(|log| (&log.member, log.epoch, &log.key, log.last));
    for (name, epoch, key, last) in live.chain(closed) {
        let key = PeerKey::from_bytes(key).map_err(|_| TrustError::Key(name.clone()));
        let key = key.map_err(ChangeError::from)?;
        let log = LogName::new(charter.coalition.clone(), name.clone(), epoch);
        let (store, clock) = (store.clone(), clock.clone());
        let copy = LogCopy::new(log.clone(), key, store, clock, events.clone())
            .map_err(|error| StartError::Name(error.to_string()))?;
        let accepted = last.map(|Head { size, root }| Accepted { size, root: Hash(root) });
        let copy = copy.accepting(accepted, cuts.clone());
        let copy = copy.telling(early.clone(), receipts.clone()).paced(pacer.clone());
        copies.insert(log, Arc::new(copy));
    }
    Ok(copies)
}
