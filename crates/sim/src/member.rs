//! An honest member: its machine, which outlives the processes that run its node.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use watchfire_node::{
    Node, Readiness, Setup, connector::Connector, heads::Heads, peer::Peer, place::Place,
    policy::Policy, routes::Routes, seen::SeenSetup,
};
use watchfire_signal::name::{LogName, MemberName};
use watchfire_tlog::{Extension, Source};

use crate::{
    cast::{Cast, key},
    chance::Chance,
    disk::Disk,
    fault::{Fault, Faults},
    host::{Host, Shown},
    oracle::Oracle,
    platform::Platform,
    process::{Life, Process},
    time::MemberClock,
    trace::Trace,
    wire::{Line, Wire},
};

/// What a process of a member needs of its surroundings.
pub struct Around {
    /// Who takes part.
    pub cast: Arc<Cast>,
    /// The network.
    pub wire: Arc<Wire>,
    /// Hears where terms begin.
    pub oracle: Arc<Oracle>,
    /// Of the run.
    pub seed: u64,
    /// Counts.
    pub faults: Faults,
    /// Writes down.
    pub trace: Trace,
}

/// A member's machine.
pub struct Member {
    /// Its name.
    pub name: MemberName,
    /// Its place in the cast.
    pub place: usize,
    /// Its disk.
    pub disk: Arc<Disk>,
    /// Its clock.
    pub clock: Arc<MemberClock>,
    /// Its platform.
    pub platform: Arc<Platform>,
    process: Mutex<Option<Arc<Process>>>,
    lives: AtomicU64,
}

impl Member {
    /// A machine on which nothing runs yet.
    #[must_use]
    pub fn new(
        (name, place): (&MemberName, usize),
        disk: Arc<Disk>,
        clock: Arc<MemberClock>,
        platform: Arc<Platform>,
    ) -> Arc<Self> {
        let (process, lives) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { name: name.clone(), place, disk, clock, platform, process, lives })
    }

    /// The node, while it runs.
    #[must_use]
    pub fn node(&self) -> Option<Arc<Node>> {
        self.process()?.node().cloned()
    }

    /// The node, while it may sign.
    #[must_use]
    pub fn ready(&self) -> Option<Arc<Node>> {
        self.node().filter(|node| node.readiness() == Readiness::Ready)
    }

    /// Whether a process runs here, or begins to.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.process().is_some()
    }

    /// Begins a process; returns once its node runs or it is over.
    pub async fn start(self: Arc<Self>, around: Arc<Around>) {
        let process = Arc::new(Process::default());
        let life = process.life();
        *self.slot() = Some(process.clone());
        let name = self.name.as_str();
        if let Err(error) = around.oracle.begins(name).await {
            around.trace.note(name, error);
        }
        let setup = self.setup(&around, &process);
        tokio::select! {
            biased;
            () = life.ends() => {
                around.faults.fired(Fault::CrashInStart);
                around.trace.note(name, "ends in the middle of its start");
            }
            started = Node::start(setup) => match started {
                Ok(node) => {
                    around.trace.note(name, "runs");
                    process.runs(node);
                }
                Err(error) => {
                    around.trace.note(name, format_args!("does not start: {error}"));
                    process.end();
                }
            }
        }
    }

    /// Ends the process as a loss of power does.
    pub async fn crash(&self) {
        if let Some(process) = self.slot().take() {
            process.end();
        }
        self.disk.crash().await;
    }

    fn setup(&self, around: &Around, process: &Arc<Process>) -> Setup {
        let life = process.life();
        let cast = &around.cast;
        let all = cast.honest.iter().chain(&cast.liar).enumerate();
        let reached = all.filter(|(place, name)| {
            *place != self.place && cast.behind_nat.as_ref() != Some(*name)
        });
        let line = |(place, name): (usize, &MemberName)| {
            let line = Line::new(&around.wire, &self.name, (self.place, place), life.clone());
            (name.clone(), Arc::new(line) as Arc<dyn Peer>)
        };
        let connector = Arc::new(self.platform.connector(life.clone())) as Arc<dyn Connector>;
        let lives = self.lives.fetch_add(1, Ordering::Relaxed);
        let random = Chance::new(around.seed, &format!("life {lives} of {}", self.name));
        Setup {
            me: self.name.clone(),
            key: Arc::new(key(&self.name)),
            former_key: None,
            charter: cast.charter.clone().into(),
            policy: Policy { trust: cast.trust(around.seed, &self.name), ..Policy::default() },
            store: Arc::new(self.disk.mount(process)),
            seen: SeenSetup::default(),
            over: None,
            peers: reached.map(line).collect(),
            connectors: BTreeMap::from([("platform".to_owned(), connector)]),
            routes: Routes::all_to("platform"),
            budgets: BTreeMap::new(),
            alone: false,
            clock: self.clock.clone(),
            random: Arc::new(random),
        }
    }

    fn process(&self) -> Option<Arc<Process>> {
        self.slot().clone().filter(|process| process.life().is_alive())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> Result<Arc<Node>, String> {
        self.node().ok_or_else(|| "it does not run".to_owned())
    }
}

#[async_trait]
impl Host for Member {
    fn life(&self) -> Option<Life> {
        let process = self.process()?;
        process.node()?;
        Some(process.life())
    }

    fn source(&self, asker: Option<&MemberName>, log: &LogName) -> Option<Arc<dyn Source>> {
        Some(Arc::new(Shown::of(&self.node()?, asker, log)?))
    }

    async fn push(&self, from: &MemberName, more: Extension) -> Result<u64, String> {
        let taken = self.serving()?.accept(from, more).await;
        taken.map_err(|error| error.to_string())?.ok_or_else(|| "not taken from there".to_owned())
    }

    async fn receipt(
        &self,
        from: &MemberName,
        effective: &BTreeMap<LogName, u64>,
    ) -> Result<(), String> {
        self.serving()?.receipt(from, effective).await.map_err(|error| error.to_string())
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, u64>, String> {
        Ok(self.serving()?.receipts().here())
    }

    async fn lacking(&self) -> Result<BTreeMap<LogName, Vec<u64>>, String> {
        Ok(self.serving()?.filler().holes.lacking())
    }

    async fn bring(&self, place: Place, record: Bytes) -> Result<bool, String> {
        let taken = self.serving()?.filler().take(place, record).await;
        taken.map_err(|error| error.to_string())
    }

    async fn exchange(&self, _from: &MemberName, theirs: &Heads) -> Result<Heads, String> {
        let gossip = self.serving()?.gossip();
        gossip.take(theirs).await.map_err(|error| error.to_string())?;
        gossip.ours().await.map_err(|error| error.to_string())
    }
}
