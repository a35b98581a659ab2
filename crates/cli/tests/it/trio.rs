//! A coalition of three real nodes on loopback, each a process of the program.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::program::{PROGRAM, init_as, json, run};

/// The three.
pub(crate) const MEMBERS: [&str; 3] = ["ant", "bee", "cat"];
/// How often something is looked for that is there after milliseconds on an idle machine; each look
/// starts a process, so that all of them take much longer.
const LOOKS: usize = 5_000;
/// How long a node may take to end on a busy machine: many times its own limit, far less than a decoder may run.
const END_WAIT: Duration = Duration::from_secs(60);

/// Three members in a folder.
pub(crate) struct Trio {
    place: tempfile::TempDir,
    listen: BTreeMap<&'static str, SocketAddr>,
    pub(crate) keys: BTreeMap<&'static str, String>,
    running: BTreeMap<&'static str, Child>,
    /// Bound and not listened on: a node may listen there, again and again, and nobody else is given
    /// the port in between.
    ports: Vec<TcpSocket>,
}

impl Trio {
    /// Founds the coalition; nothing runs yet. Members behind NAT have no address.
    pub(crate) fn found(nat: impl IntoIterator<Item = &'static str>) -> Self {
        Self::found_with(nat, None)
    }

    /// The same; one of them may be a witness.
    pub(crate) fn found_with(
        nat: impl IntoIterator<Item = &'static str>,
        witness: Option<&str>,
    ) -> Self {
        let nat = nat.into_iter().collect::<Vec<_>>();
        let address = |member, listen| (!nat.contains(&member)).then(|| format!("http://{listen}"));
        Self::found_at(address, witness)
    }

    /// The same, with addresses of one's choice: those that the others reach a member at.
    pub(crate) fn found_at(
        mut address: impl FnMut(&'static str, SocketAddr) -> Option<String>,
        witness: Option<&str>,
    ) -> Self {
        let place = tempfile::tempdir().unwrap();
        let sockets = MEMBERS.map(|_| claimed_port()).into();
        let mut trio = Self {
            place,
            listen: BTreeMap::new(),
            keys: BTreeMap::new(),
            running: BTreeMap::new(),
            ports: sockets,
        };
        for (member, socket) in MEMBERS.into_iter().zip(&trio.ports) {
            let listen = socket.local_addr().unwrap();
            let address = address(member, listen);
            let role = if witness == Some(member) { "witness" } else { "platform" };
            let listens = listen.to_string();
            let made = init_as(trio.place.path(), member, role, (&listens, address.as_deref()));
            trio.listen.insert(member, listen);
            trio.keys.insert(member, made["api_key"].as_str().unwrap().to_owned());
        }
        let charter = trio.charter();
        let charter = charter.to_str().unwrap();
        let cards = MEMBERS.map(|member| trio.dir(member).join("member.json"));
        let mut draft = vec!["coalition", "init", "--name", "zoo", "--out", charter];
        draft.extend(cards.iter().map(|card| card.to_str().unwrap()));
        json(draft);
        for step in ["approve", "install"] {
            for member in MEMBERS {
                json(["coalition", step, "--dir", trio.dir(member).to_str().unwrap(), charter]);
            }
        }
        trio
    }

    /// Makes the directory of a fourth member, who is in no charter yet.
    pub(crate) fn newcomer(&mut self, member: &'static str) {
        let socket = claimed_port();
        let listen = socket.local_addr().unwrap();
        let (text, address) = (listen.to_string(), format!("http://{listen}"));
        let made = init_as(self.place.path(), member, "platform", (&text, Some(&address)));
        self.listen.insert(member, listen);
        self.keys.insert(member, made["api_key"].as_str().unwrap().to_owned());
        self.ports.push(socket);
    }

    /// Has a member's node do something about the charter; `None` while it does not answer well.
    pub(crate) fn coalition(&self, member: &str, arguments: &[&str]) -> Option<Value> {
        let output = Command::new(PROGRAM)
            .args(["--json", "coalition", arguments[0], "--url", &self.url(member)])
            .args(["--key", &self.keys[member]])
            .args(&arguments[1..])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())
    }

    /// A member's data directory.
    pub(crate) fn dir(&self, member: &str) -> PathBuf {
        self.place.path().join(member)
    }

    /// The charter that all have approved.
    pub(crate) fn charter(&self) -> PathBuf {
        self.place.path().join("charter.cbor")
    }

    /// The key that a member's programs use.
    pub(crate) fn key(&self, member: &str) -> &str {
        &self.keys[member]
    }

    /// A member's address.
    pub(crate) fn url(&self, member: &str) -> String {
        format!("http://{}", self.listen[member])
    }

    /// Starts nodes.
    pub(crate) fn start(&mut self, members: &[&'static str]) {
        for member in members {
            self.start_as(member, Command::new(PROGRAM).arg("serve"));
        }
    }

    /// Starts a node by a command that ends in `serve` with its arguments, but for the directory.
    pub(crate) fn start_as(&mut self, member: &'static str, serve: &mut Command) {
        let log = File::create(self.place.path().join(format!("{member}.log"))).unwrap();
        serve.args(["--stop-with-input", "--dir"]).arg(self.dir(member));
        serve.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        self.running.insert(member, serve.spawn().unwrap());
    }

    /// What a node answers to a request without a key, head and body; `None` while it does not listen.
    pub(crate) fn get(&self, member: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.listen[member]).ok()?;
        stream
            .write_all(format!("GET {path} HTTP/1.0\r\nhost: {member}\r\n\r\n").as_bytes())
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The most memory that a running node ever had, in KiB, as the kernel counts it.
    pub(crate) fn peak_kb(&self, member: &str) -> u64 {
        let status = format!("/proc/{}/status", self.running[member].id());
        let status = fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How much a node holds of a member's log.
    pub(crate) fn held(&self, member: &str, of: &str) -> Option<u64> {
        let answer = self.get(member, &format!("/log/{of}/checkpoint"))?;
        answer.split_once("\r\n\r\n")?.1.lines().nth(1)?.parse().ok()
    }

    /// What a node measures.
    pub(crate) fn metrics(&self, member: &str) -> Option<String> {
        self.get(member, "/metrics")
    }

    /// One number of what a node measures, by all that stands before it on its line.
    pub(crate) fn measured(&self, member: &str, metric: &str) -> Option<f64> {
        let metrics = self.metrics(member)?;
        let mut lines =
            metrics.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        lines.next()?.parse().ok()
    }

    /// Waits until nodes may sign and have streams from all members that can be reached.
    pub(crate) fn wait_ready(&self, members: &[&'static str]) {
        for member in members {
            self.until(&format!("{member} is ready"), || {
                let found = run(["--json", "doctor", "--dir", self.dir(member).to_str().unwrap()]);
                let found: Value = serde_json::from_slice(&found.stdout).ok()?;
                let peers = found["checks"].as_array()?.iter();
                let peers: Vec<_> = peers
                    .filter(|check| {
                        check["check"].as_str().is_some_and(|c| c.starts_with("member "))
                    })
                    .collect();
                (peers.len() == 2 && peers.iter().all(|check| check["health"] == "ok"))
                    .then_some(())
            });
        }
    }

    /// Asks a node with its key; `None` while it does not answer well.
    pub(crate) fn ask(&self, member: &str, arguments: &[&str]) -> Option<Value> {
        let output = Command::new(PROGRAM)
            .arg("--json")
            .args(&arguments[..1])
            .args(["--url", &self.url(member), "--key", &self.keys[member]])
            .args(&arguments[1..])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().next()?).ok().filter(|_| output.status.success())
    }

    /// Raises an alert of a picture's hash; retries while the node recovers its log.
    pub(crate) fn raise(&self, member: &str, pdq: &str) -> String {
        let signal = format!("pdq:{pdq}");
        let label = ["--label", "violence.graphic_death", "--severity", "2"];
        let arguments = [&["alert", "raise", "--signal", &signal][..], &label].concat();
        let raised = self.until(&format!("{member} raises"), || self.ask(member, &arguments));
        raised["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a node knows an alert, and shows it.
    pub(crate) fn knows(&self, member: &str, id: &str) -> Value {
        self.until(&format!("{member} knows {id}"), || self.ask(member, &["alert", "show", id]))
    }

    /// Waits until something is there.
    pub(crate) fn until<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        self.until_long(1, what, look)
    }

    /// The same of what takes so many times as long.
    pub(crate) fn until_long<T>(
        &self,
        times: usize,
        what: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> T {
        for _ in 0..times * LOOKS {
            if let Some(found) = look() {
                return found;
            }
            // A look that starts no process of its own is over too soon to give the node a turn.
            let _paced = Command::new("sleep").arg("0.02").status();
        }
        panic!("never: {what}\n{}", self.logs());
    }

    /// Ends a node without asking it, as a crash of the process does.
    pub(crate) fn kill(&mut self, member: &str) {
        let mut child = self.running.remove(member).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks a node to stop, and waits until it has.
    pub(crate) fn stop(&mut self, member: &str) {
        let mut child = self.running.remove(member).unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success(), "{}", self.logs());
    }

    /// Sends a node SIGTERM, as a service manager does.
    pub(crate) fn terminate(&self, member: &str) {
        // The shell's own: a bare Debian has no program of that name.
        let kill = format!("kill -TERM {}", self.running[member].id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until a node has ended, and says how.
    pub(crate) fn ended(&mut self, member: &str) -> ExitStatus {
        let mut child = self.running.remove(member).unwrap();
        let (told, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(child.wait().unwrap()).unwrap());
        ended.recv_timeout(END_WAIT).unwrap_or_else(|_| panic!("it does not end\n{}", self.logs()))
    }

    /// A connection to a node, once it listens.
    pub(crate) fn connect(&self, member: &str) -> TcpStream {
        self.until(&format!("{member} listens"), || TcpStream::connect(self.listen[member]).ok())
    }

    /// Stops a node, copies its data directory, and starts it again.
    pub(crate) fn back_up(&mut self, member: &'static str) -> tempfile::TempDir {
        self.stop(member);
        let backup = tempfile::tempdir().unwrap();
        Self::copy(&self.dir(member), backup.path());
        self.start(&[member]);
        backup
    }

    /// Stops a node and puts an older copy in the place of its data directory.
    pub(crate) fn put_back(&mut self, member: &'static str, backup: &tempfile::TempDir) {
        self.stop(member);
        fs::remove_dir_all(self.dir(member)).unwrap();
        Self::copy(backup.path(), &self.dir(member));
    }

    /// Copies a data directory.
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
    }

    /// Audits a member's log as a node shows it.
    pub(crate) fn verify(&self, at: &str, member: &str) -> Value {
        let url = format!("{}/log/{member}", self.url(at));
        let output =
            run(["--json", "log", "verify", &url, "--charter", self.charter().to_str().unwrap()]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What all nodes have logged.
    pub(crate) fn logs(&self) -> String {
        let read = |member| fs::read_to_string(self.place.path().join(format!("{member}.log")));
        let logs = MEMBERS.map(|member| format!("{member}:\n{}", read(member).unwrap_or_default()));
        logs.join("\n")
    }
}

/// A port of loopback that the kernel gives to nobody else while the socket lives.
fn claimed_port() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

impl Drop for Trio {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ended = child.kill();
            let _waited = child.wait();
        }
    }
}
