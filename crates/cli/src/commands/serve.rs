//! `watchfire serve`: puts a node together from its data directory, and runs it.
//!
//! **Invariant:** a concrete store, a connector and the way to peers are named here and in no other
//! place of a running node.

mod connectors;
mod peer;

use std::{collections::BTreeMap, io::IsTerminal, path::PathBuf, pin::pin, sync::Arc};

use clap::Args;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use watchfire_api::{outbound::Outbound, peer::PeerClient, signature::Identity};
use watchfire_node::{
    Handover, Node, Setup,
    charter::changes,
    clock::{Clock, SystemClock, SystemRandom},
    peer::Peer,
    seen::SeenSetup,
};
use watchfire_server::{Server, Tls, hashing::HashingSetup, serve};
use watchfire_signal::{charter::Charter, name::MemberName};
use watchfire_store::SqliteStore;
use watchfire_tlog::OwnKey;

use crate::{
    config::{self, Chooser, Config, FoldBeside},
    directory::{Directory, replace},
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    memory::{self, Kernel, Memory},
    network::way_out,
    output::Output,
    runtime,
};

use self::peer::{HttpPeer, Now};

/// Where the signals of older seen items lie.
const SEEN: &str = "seen";
/// Where what is known of cases that are over lies while the node runs.
const OVER: &str = "over";
/// What is logged unless RUST_LOG says otherwise.
const LOGS: &str = "info";

/// Run a member's node.
///
/// Serves the API and the log, copies the logs of all other members, and carries actions out through
/// the webhook and the other connectors. Prints one line when it listens; logs go to standard error (RUST_LOG chooses which).
/// Before it signs anything, the node asks the other members what they hold of its log, so that a
/// restored backup never contradicts what it said before. SIGTERM and SIGINT stop it: requests
/// under way have five seconds to finish. What was acknowledged is durable at any time.
///
/// Example:
///   watchfire serve --dir ./tiktok
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Serve {
    /// The data directory.
    #[arg(long)]
    dir: PathBuf,
    /// Sign without asking any member what it holds of our log: only when all of them are lost.
    #[arg(long)]
    alone: bool,
    /// Stop when standard input ends, for a process that starts this one.
    #[arg(long, hide = true)]
    stop_with_input: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Serve, output: &Output) -> Ended {
    let logs = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGS));
    let colours = std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(logs).with_ansi(colours);
    logs.with_writer(std::io::stderr).init();
    let directory = Directory::new(&args.dir);
    let config = directory.config()?;
    runtime::run_node(async {
        let stops = runtime::Stops::heeded()?;
        let metrics = PrometheusBuilder::new().install_recorder()?;
        let store = Arc::new(directory.store()?);
        let mut stopped = pin!(async {
            tokio::select! {
                () = stops.asked() => {}
                () = runtime::input_ended(args.stop_with_input) => {}
            }
        });
        let parts = Parts { directory: &directory, config: &config, store, metrics };
        let mut listen = config.listen.addr;
        let mut before = None;
        for round in 0_u64.. {
            let (node, server, tls) = assemble(args, &parts, before.take()).await?;
            let running = serve(server, listen, tls).await.or_environment("the server")?;
            // A port that the system chose stays the same from one charter to the next.
            listen = running.address();
            if round == 0 {
                let scheme = if config.listen.tls == config::Tls::Files { "https" } else { "http" };
                let address = format!("{scheme}://{listen}");
                let told = serde_json::json!({ "member": config.member, "listening": address });
                output.answer(&told, || format!("{} listens on {address}", config.member))?;
            }
            let handover = tokio::select! {
                biased;
                () = &mut stopped => None,
                handover = successor(&node, config.fold_beside) => Some(handover),
            };
            let folded = handover.as_ref().is_some_and(Handover::is_folded);
            tracing::info!(outdated = handover.is_some(), folded, "stopping");
            running.stop().await;
            node.stop().await;
            if handover.is_none() {
                break;
            }
            before = handover;
            if folded {
                // What it had in memory goes while the next one begins; where that has to fold first, before.
                tokio::task::spawn_blocking(move || drop(node));
            }
        }
        Ok(Answer::Yes)
    })?
}

/// Waits until a node has to be followed by another one, and prepares what that one begins with where it can.
async fn successor(node: &Node, beside: FoldBeside) -> Handover {
    node.outdated().await;
    if !folds_beside(beside, &memory::Running) {
        return node.handover();
    }
    match node.prepare().await {
        Ok(prepared) => prepared.into(),
        Err(error) => {
            tracing::warn!(%error, "the node stands still while its logs are folded");
            node.handover()
        }
    }
}

/// Whether what follows is folded while the node goes on, and says why.
fn folds_beside(configured: FoldBeside, kernel: &dyn Kernel) -> bool {
    let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes >> 20);
    let memory = Memory::read(kernel);
    let (beside, why) = match configured {
        FoldBeside::Fixed(beside) => (beside, "the configuration says so"),
        FoldBeside::By(Chooser::Auto) if memory.has_room_twice() => {
            (true, "there is memory for it")
        }
        FoldBeside::By(Chooser::Auto) => (false, "there is no memory for it"),
    };
    let (resident_mib, free_mib) = (mib(memory.resident), mib(memory.free));
    tracing::info!(
        beside,
        why,
        resident_mib,
        free_mib,
        "all is folded anew, under the charter that is in force"
    );
    beside
}

/// What stays from one charter to the next.
struct Parts<'a> {
    directory: &'a Directory,
    config: &'a Config,
    store: Arc<SqliteStore>,
    metrics: PrometheusHandle,
}

/// Puts node and server together; nothing listens yet.
async fn assemble(
    args: &Serve,
    parts: &Parts<'_>,
    before: Option<Handover>,
) -> Result<(Arc<Node>, Server, Tls), Failure> {
    let Parts { directory, config, store, metrics } = parts;
    let tls = tls(directory, &config.listen)?;
    let out = way_out(&config.outbound.allow, &files(directory, &config.outbound.roots))?;
    let chain = changes::load(&**store, directory.chain()?).await?;
    let charter = &chain.in_force().charter;
    let (key, former_key) = directory.keys(charter, &config.member)?;
    let key = Arc::new(key);
    // Whoever checks a proof on this machine has the charters in a file.
    replace(&directory.charter_file(), &chain.encode())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let identity = identity(&key, &config.member, &clock);
    let peers = peers(charter, &identity, &out)?;
    let connectors = connectors::connectors(directory, config, &out, &clock)?;
    let scratch = directory.file("scratch");
    std::fs::create_dir_all(&scratch).or_environment(scratch.display())?;
    let setup = Setup {
        me: config.member.clone(),
        key,
        former_key: former_key.map(Arc::new),
        charter: chain,
        policy: config.policy.clone(),
        store: store.clone(),
        seen: SeenSetup { directory: Some(directory.file(SEEN)), limits: config.seen.clone() },
        over: Some(directory.file(OVER)),
        peers,
        connectors: connectors.by_name,
        routes: connectors.routes,
        budgets: connectors.budgets,
        alone: args.alone,
        clock,
        random: Arc::new(SystemRandom),
    };
    let node = match before {
        Some(before) => Node::start_after(setup, before).await,
        None => Node::start(setup).await,
    };
    let node = node.or_environment("the node")?;
    let max_bytes = usize::try_from(config.media.max_bytes).unwrap_or(usize::MAX);
    let hashing = HashingSetup {
        executable: std::env::current_exe()?,
        scratch,
        max_bytes,
        at_once: config.media.at_once,
        memory_bytes: usize::try_from(config.media.memory_bytes).unwrap_or(usize::MAX),
    };
    let server =
        Server::new(node.clone(), &config.listen.addresses, hashing, Some(metrics.clone()));
    let server = server.or_environment("the server")?.limited(config.limits);
    Ok((node, server, tls))
}

/// Paths of the configuration are relative to its directory.
fn files(directory: &Directory, names: &[PathBuf]) -> Vec<PathBuf> {
    names.iter().map(|name| directory.file(name)).collect()
}

fn tls(directory: &Directory, listen: &config::Listen) -> Result<Tls, Failure> {
    let read = |name: &Option<PathBuf>, what: &str| {
        let missing = || environment(format!("tls = \"files\" needs listen.{what}"));
        let path = directory.file(name.as_ref().ok_or_else(missing)?);
        std::fs::read(&path).or_environment(path.display())
    };
    match listen.tls {
        config::Tls::Proxy => Ok(Tls::Proxy),
        config::Tls::LoopbackPlain => Ok(Tls::LoopbackPlain),
        config::Tls::Files => {
            let certificate = read(&listen.certificate, "certificate")?;
            let private_key = read(&listen.private_key, "private_key")?;
            Tls::from_pem(&certificate, &private_key).or_environment("listen.certificate")
        }
    }
}

/// As whom we speak to other members.
fn identity(key: &Arc<OwnKey>, me: &MemberName, clock: &Arc<dyn Clock>) -> Identity {
    let fresh = Arc::new(Now::new(clock.clone(), Arc::new(SystemRandom)));
    Identity { member: me.clone(), key: key.clone(), fresh }
}

/// The members that can be reached.
fn peers(
    charter: &Charter,
    identity: &Identity,
    out: &Outbound,
) -> Result<BTreeMap<MemberName, Arc<dyn Peer>>, Failure> {
    let mut peers = BTreeMap::<MemberName, Arc<dyn Peer>>::new();
    for member in charter.members.iter().filter(|member| member.name != identity.member) {
        let Some(address) = &member.address else { continue };
        let client = PeerClient::new(out.clone(), address, identity.clone());
        let client = client.or_environment(format!("the address of {}", member.name))?;
        peers.insert(member.name.clone(), Arc::new(HttpPeer::new(client)));
    }
    Ok(peers)
}
