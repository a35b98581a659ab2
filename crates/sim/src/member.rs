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
    Handover, Node, Readiness, Setup,
    charter::changes,
    connector::Connector,
    heads::Heads,
    peer::{Peer, Theirs},
    place::Place,
    policy::Policy,
    receipts::Effective,
    routes::Routes,
    seen::SeenSetup,
};
use watchfire_signal::{
    charter::{self, CharterChain, SignedCharter},
    name::{LogName, MemberName},
};
use watchfire_tlog::{Extension, Source};

use crate::{
    cast::{self, Cast, key},
    chance::Chance,
    disk::Disk,
    fault::{Fault, Faults},
    host::{Asker, Host, Shown},
    oracle::Oracle,
    papers::Papers,
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
    papers: Papers,
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
        let papers = Papers::default();
        Arc::new(Self { name: name.clone(), place, disk, clock, platform, papers, process, lives })
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

    /// Begins a process, and another one whenever what the node has folded is out of date, as `serve` does;
    /// returns once it is over.
    pub async fn start(self: Arc<Self>, around: Arc<Around>) {
        let mut before = None;
        loop {
            before = self.lives(&around, before).await;
            if before.is_none() {
                break;
            }
        }
    }

    /// One life, after one before it in the same process; what it leaves where it ends because what it has folded is out of date.
    async fn lives(
        self: &Arc<Self>,
        around: &Arc<Around>,
        before: Option<Handover>,
    ) -> Option<Handover> {
        let process = Arc::new(Process::default());
        let life = process.life();
        *self.slot() = Some(process.clone());
        let name = self.name.as_str();
        if let Err(error) = around.oracle.begins(name, before.is_none()).await {
            around.trace.note(name, error);
        }
        let started = async {
            let setup = self.setup(around, &process).await?;
            let node = match before {
                Some(before) => Node::start_after(setup, before).await,
                None => Node::start(setup).await,
            };
            node.map_err(|error| error.to_string())
        };
        let started = tokio::select! {
            biased;
            () = life.ends() => {
                around.faults.fired(Fault::CrashInStart);
                around.trace.note(name, "ends in the middle of its start");
                return None;
            }
            started = started => started,
        };
        match started {
            Ok(node) => {
                around.trace.note(name, "runs");
                process.runs(node.clone());
                self.runs(around, &node, &process).await
            }
            Err(error) => {
                around.trace.note(name, format_args!("does not start: {error}"));
                process.end();
                None
            }
        }
    }

    /// Until its end; what it leaves where it is out of date and has stopped.
    async fn runs(&self, around: &Around, node: &Node, process: &Process) -> Option<Handover> {
        let life = process.life();
        let outdated = async {
            node.outdated().await;
            node.stop().await;
        };
        tokio::select! {
            biased;
            () = life.ends() => return None,
            () = outdated => {}
        }
        process.end();
        let (fault, why) = match node.cuts() {
            0 => (Fault::CharterTurned, "starts again under another charter"),
            _ => (Fault::CopyCut, "starts again with a copy that was cut back"),
        };
        around.faults.fired(fault);
        around.trace.note(self.name.as_str(), why);
        Some(node.handover())
    }

    /// What a member's files hold besides the disk: the charters that it was installed with.
    #[must_use]
    pub fn papers(&self) -> &Papers {
        &self.papers
    }

    /// Ends the process as a loss of power does.
    pub async fn crash(&self) {
        if let Some(process) = self.slot().take() {
            process.end();
        }
        self.disk.crash().await;
    }

    /// All charters that it has; none: nobody has given it any.
    ///
    /// # Errors
    /// Why it cannot work with what it has.
    pub async fn chain(&self) -> Result<CharterChain, String> {
        let installed = self.papers.installed().ok_or("it has no charter")?;
        let chain = changes::load(&*self.disk.durable(), installed).await;
        chain.map_err(|error| error.to_string())
    }

    async fn setup(&self, around: &Around, process: &Arc<Process>) -> Result<Setup, String> {
        let (life, cast) = (process.life(), &around.cast);
        let chain = self.chain().await?;
        let charter = &chain.in_force().charter;
        let own = charter.member(&self.name).ok_or("the charter does not have it")?;
        let (epoch, key) = (own.epoch, key(&self.name, own.epoch));
        let asker = Asker { name: self.name.clone(), key: key.public().to_bytes() };
        let reached = charter
            .members
            .iter()
            .filter(|member| member.name != self.name && member.address.is_some());
        let line = |member: &charter::Member| {
            let place = cast.all().position(|name| *name == member.name)?;
            let line = Line::new(&around.wire, &asker, (self.place, place), life.clone());
            Some((member.name.clone(), Arc::new(line) as Arc<dyn Peer>))
        };
        let peers = reached.filter_map(line).collect();
        let connector = Arc::new(self.platform.connector(life.clone())) as Arc<dyn Connector>;
        let lives = self.lives.fetch_add(1, Ordering::Relaxed);
        let random = Chance::new(around.seed, &format!("life {lives} of {}", self.name));
        let former = epoch.checked_sub(1).filter(|former| *former > 0);
        Ok(Setup {
            me: self.name.clone(),
            key: Arc::new(key),
            former_key: former.map(|former| Arc::new(cast::key(&self.name, former))),
            charter: chain,
            policy: Policy { trust: cast.trust(around.seed, &self.name), ..Policy::default() },
            store: Arc::new(self.disk.mount(process)),
            seen: SeenSetup::default(),
            over: None,
            peers,
            connectors: BTreeMap::from([("platform".to_owned(), connector)]),
            routes: Routes::all_to("platform"),
            budgets: BTreeMap::new(),
            alone: false,
            clock: self.clock.clone(),
            random: Arc::new(random),
        })
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

    /// The node, for a member that it knows by the key that it signs with.
    fn serving_to(&self, from: &Asker) -> Result<Arc<Node>, String> {
        let node = self.serving()?;
        if knows(&node, from) { Ok(node) } else { Err("the signature is not believed".to_owned()) }
    }
}

fn knows(node: &Node, from: &Asker) -> bool {
    node.charter().member(&from.name).is_some_and(|member| member.key == from.key)
}

#[async_trait]
impl Host for Member {
    fn life(&self) -> Option<Life> {
        let process = self.process()?;
        process.node()?;
        Some(process.life())
    }

    fn source(&self, asker: Option<&Asker>, log: &LogName) -> Option<Arc<dyn Source>> {
        let node = self.node()?;
        let known = asker.is_none_or(|asker| knows(&node, asker));
        Some(Arc::new(Shown::of(&node, asker.map(|asker| &asker.name), log).filter(|_| known)?))
    }

    async fn push(&self, from: &Asker, more: Extension) -> Result<u64, String> {
        let taken = self.serving_to(from)?.accept(&from.name, more).await;
        taken.map_err(|error| error.to_string())?.ok_or_else(|| "not taken from there".to_owned())
    }

    async fn receipt(
        &self,
        from: &Asker,
        effective: &BTreeMap<LogName, Effective>,
    ) -> Result<(), String> {
        self.serving_to(from)?
            .receipt(&from.name, effective)
            .await
            .map_err(|error| error.to_string())
    }

    async fn receipts(&self, from: &Asker) -> Result<BTreeMap<LogName, Effective>, String> {
        Ok(self.serving_to(from)?.receipts().effective())
    }

    async fn lacking(&self, from: &Asker) -> Result<BTreeMap<LogName, Vec<u64>>, String> {
        Ok(self.serving_to(from)?.filler().holes.lacking())
    }

    async fn bring(&self, from: &Asker, place: Place, record: Bytes) -> Result<bool, String> {
        let taken = self.serving_to(from)?.filler().take(place, record).await;
        taken.map_err(|error| error.to_string())
    }

    async fn exchange(&self, _from: &Asker, theirs: &Heads) -> Result<Heads, String> {
        let gossip = self.serving()?.gossip();
        gossip.take(theirs).await.map_err(|error| error.to_string())?;
        gossip.ours().await.map_err(|error| error.to_string())
    }

    async fn charters(&self, from: &Asker, after: u64) -> Result<Theirs, String> {
        let node = self.serving()?;
        let charters = node.changes().lacking(after, knows(&node, from));
        Ok(Theirs { in_force: node.changes().chain().in_force().charter.seq, charters })
    }

    async fn tell_charters(&self, from: &Asker, theirs: Vec<SignedCharter>) -> Result<(), String> {
        let taken = self.serving_to(from)?.changes().take(theirs).await;
        taken.map(drop).map_err(|error| error.to_string())
    }
}
