//! Founds the demo's coalition and runs its ten members and their platforms as processes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{net::TcpSocket, time::Instant};
use watchfire_api::outbound::Outbound;
use watchfire_node::clock::{Random, SystemRandom};
use watchfire_signal::{
    charter::{Charter, SignedCharter},
    name::MemberName,
};

use crate::{
    commands::{coalition, init},
    directory::{Directory, write_secret},
    exit::{Failure, failed},
};

use super::{
    cast::{CAST, COALITION, CONFIRM_QUORUM, Part, Player, REPORTER},
    child::Child,
    desk::Desk,
};

/// How long ten nodes may take until all say that they are ready, on a busy machine.
const START_WAIT: Duration = Duration::from_secs(120);
/// The policy of a member, in its directory.
const POLICY_FILE: &str = "policy.toml";
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of the secret between a node and its platform.
const SECRET_BYTES: usize = 32;
/// The demo retracts a CONFIRMED case for every alert it measures by; the default quota is 20.
const RETRACTIONS_AN_HOUR: u64 = 100_000;
/// A video counts when at least this much of it matches, in milliseconds.
const MIN_MATCHED_MS: u32 = 1_000;

/// One member with its node and its platform.
pub(super) struct Member {
    /// Who it is.
    pub player: Player,
    /// Its node's API.
    pub desk: Desk,
    /// Its platform's folder.
    pub folder: PathBuf,
    /// Where its platform serves items.
    pub platform: SocketAddr,
    /// Where its node listens.
    pub listen: SocketAddr,
    /// The key to its API.
    pub api_key: String,
}

/// Ten members.
pub(super) struct Fleet {
    /// In the order of the cast.
    pub members: Vec<Member>,
    children: Vec<Child>,
    /// Held until all have stopped, so that one that is started again finds its port free.
    _ports: Ports,
}

/// How a fleet is made.
pub(super) struct Plan<'a> {
    /// The folder for everything.
    pub place: &'a Path,
    /// A member that nobody can reach.
    pub nat: Option<&'a MemberName>,
    /// A member that trusts the reporter against its part.
    pub also_trusts: Option<&'a MemberName>,
    /// Whether the processes outlive the demo.
    pub keep: bool,
    /// The way to the nodes.
    pub out: &'a Outbound,
}

impl Member {
    fn policy_file(&self, place: &Path) -> PathBuf {
        directory(place, &self.player).file(POLICY_FILE)
    }
}

impl Fleet {
    /// Founds the coalition, starts everything, waits until all are ready and connected.
    pub(super) async fn start(plan: &Plan<'_>) -> Result<Self, Failure> {
        let ports = Ports::claim(2 * CAST.len())?;
        let mut members = Vec::new();
        let mut cards = Vec::new();
        for (player, ports) in CAST.iter().zip(ports.addresses()?.chunks_exact(2)) {
            let (made, member) = found(plan, *player, ports[0], ports[1]).await?;
            cards.push(made.member);
            members.push(member);
        }
        let charter = charter(plan.place, cards)?;
        fs::write(plan.place.join("charter.cbor"), charter.encode())?;
        for member in &members {
            coalition::install(&charter, &directory(plan.place, &member.player))?;
        }
        let mut children = Vec::new();
        for member in &members {
            children.extend(run(plan, member)?);
        }
        let mut fleet = Self { members, children, _ports: ports };
        fleet.wait_ready().await?;
        for member in &fleet.members {
            let text = fs::read_to_string(member.policy_file(plan.place))?;
            member.desk.client.apply_policy(text).await?;
        }
        Ok(fleet)
    }

    /// The member that somebody plays.
    pub(super) fn member(&self, player: &Player) -> Result<&Member, Failure> {
        let found = self.members.iter().find(|member| member.player == *player);
        found.ok_or_else(|| failed(format!("{player} is not on stage")))
    }

    /// The member whose moderator reports.
    pub(super) fn reporter(&self) -> Result<&Member, Failure> {
        self.member(&REPORTER)
    }

    /// Members with a part, in the order of the cast.
    pub(super) fn with(&self, part: Part) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.player.part == part)
    }

    /// The nine that do not report.
    pub(super) fn others(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.player.part != Part::Reports)
    }

    /// The ids of all processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.children.iter().filter_map(Child::pid).collect()
    }

    /// Lets all processes run on.
    pub(super) fn detach(self) {
        self.children.into_iter().for_each(Child::detach);
    }

    /// Stops all processes.
    pub(super) async fn stop(self) {
        let stops = self.children.into_iter().map(|child| tokio::spawn(child.stop()));
        for stop in stops.collect::<Vec<_>>() {
            // A task that was cancelled has dropped its child, which kills it.
            let _stopped = stop.await;
        }
    }

    async fn wait_ready(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let mut waiting = self.members.iter().map(|member| member.player).collect::<Vec<_>>();
        while let Some(player) = waiting.first().copied() {
            for child in &mut self.children {
                child.check()?;
            }
            if self.member(&player)?.desk.is_connected().await {
                waiting.remove(0);
                continue;
            }
            if began.elapsed() > START_WAIT {
                return Err(failed(format!("{player} is not ready after {START_WAIT:?}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// The data directory of a member.
fn directory(place: &Path, player: &Player) -> Directory {
    Directory::new(&place.join(player.name))
}

/// Makes a member's directory, configuration and platform folder.
async fn found(
    plan: &Plan<'_>,
    player: Player,
    listen: SocketAddr,
    platform: SocketAddr,
) -> Result<(init::Made, Member), Failure> {
    let reachable = plan.nat.is_none_or(|nat| nat.as_str() != player.name);
    let arguments = init::Init {
        member: player.name.parse()?,
        organisation: player.organisation.parse()?,
        coalition: COALITION.parse()?,
        role: watchfire_signal::charter::Role::Platform,
        listen,
        address: reachable.then(|| format!("http://{listen}")),
        dir: directory(plan.place, &player).path().to_path_buf(),
    };
    let made = init::make(&arguments).await?;
    let directory = directory(plan.place, &player);
    let mut secret = [0; SECRET_BYTES];
    SystemRandom.fill(&mut secret);
    let secret = super::webhook_secret(&secret);
    write_secret(&directory.file("webhook.key"), &secret)?;
    let config = fs::read_to_string(directory.config_file())?;
    let against_its_part = plan.also_trusts.is_some_and(|also| also.as_str() == player.name);
    let trusts = player.part == Part::Trusts || against_its_part;
    fs::write(directory.config_file(), settings(&config, platform))?;
    fs::write(directory.file(POLICY_FILE), player.policy(trusts))?;
    let folder = plan.place.join("platforms").join(player.name);
    fs::create_dir_all(&folder)?;
    let desk = Desk::new(player.name, plan.out, listen, &made.api_key)?;
    let api_key = made.api_key.clone();
    Ok((made, Member { player, desk, folder, platform, listen, api_key }))
}

/// Adds the webhook to what `init` wrote.
fn settings(config: &str, platform: SocketAddr) -> String {
    let webhook = format!(
        "[webhook]\nurl = \"http://{platform}/webhook\"\n\
         verify_url = \"http://{platform}/items/{{item}}\"\nkey_files = [\"webhook.key\"]\n\n[media]"
    );
    config.replacen("[media]", &webhook, 1)
}

/// Drafts the charter and has all ten approve it.
fn charter(
    place: &Path,
    cards: Vec<watchfire_signal::charter::Member>,
) -> Result<SignedCharter, Failure> {
    let mut charter = Charter::founding(COALITION.parse()?, cards);
    charter.quorums.confirm = CONFIRM_QUORUM;
    charter.quotas.retractions_an_hour = RETRACTIONS_AN_HOUR;
    charter.least_min_matched_ms = MIN_MATCHED_MS;
    let draft = SignedCharter::new(charter, Vec::new())?;
    CAST.iter()
        .try_fold(draft, |signed, player| coalition::approved_by(signed, &directory(place, player)))
}

/// Starts a member's node and its platform.
fn run(plan: &Plan<'_>, member: &Member) -> Result<[Child; 2], Failure> {
    let name = member.player.name;
    let dir = directory(plan.place, &member.player);
    let (path, key) = (dir.path().to_string_lossy(), dir.file("webhook.key"));
    let serve = ["serve", "--dir", &path];
    let node = Child::start(name, &serve, &plan.place.join(format!("{name}.log")), plan.keep)?;
    let (folder, key) = (member.folder.to_string_lossy(), key.to_string_lossy());
    let listen = member.platform.to_string();
    let receiver = ["receiver", "--folder", &folder, "--key-file", &key, "--listen", &listen];
    let log = plan.place.join(format!("{name}-platform.log"));
    let platform = Child::start(&format!("{name}'s platform"), &receiver, &log, plan.keep)?;
    Ok([node, platform])
}

/// Ports that nobody else is given: each is bound here and not listened on, so that the kernel lets a
/// member listen there (as every server does, with `SO_REUSEADDR`) and hands it to no connection that
/// some other program opens meanwhile.
struct Ports(Vec<TcpSocket>);

impl Ports {
    fn claim(count: usize) -> Result<Self, Failure> {
        let claim = |_| {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            Ok(socket)
        };
        Ok(Self((0..count).map(claim).collect::<std::io::Result<_>>()?))
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        Ok(self.0.iter().map(TcpSocket::local_addr).collect::<Result<_, _>>()?)
    }
}
