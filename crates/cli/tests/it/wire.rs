//! Real nodes behind wires that are cut, slow, and bring one request before another, killed in every
//! phase of what they do: in the end they agree.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
};

use crate::trio::{MEMBERS, Trio};

/// What a wire does to what goes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Straight,
    /// Each connection waits before all that it passes on, one longer than another: what is sent later on
    /// one comes before what was sent earlier on another.
    Slow,
    /// A mebibyte a second, about.
    Thin,
    /// Connections end, and new ones are refused.
    Cut,
}

/// The longest wait of a slow wire.
const SLOWEST_MS: u64 = 400;
/// What a thin wire waits before each piece, of 64 KiB at most.
const THIN: Duration = Duration::from_millis(50);

/// What stands before a server: a member's node, or its platform.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    heard: Heard,
}

/// All that was said to the server.
type Heard = Arc<Mutex<Vec<u8>>>;

impl Wire {
    pub(crate) fn before(node: SocketAddr, runtime: &Runtime) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let mode = watch::Sender::new(Mode::Straight);
        let (seen, heard) = (mode.subscribe(), Heard::default());
        let notes = heard.clone();
        runtime.spawn(async move {
            for number in 0_u64.. {
                let Ok((caller, _)) = listener.accept().await else { return };
                let wait = Duration::from_millis(number * 137 % SLOWEST_MS);
                let seen = seen.clone();
                tokio::spawn(connect(caller, node, (seen, notes.clone()), wait));
            }
        });
        Self { address, mode, heard }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Whether anybody ever said this to the server.
    pub(crate) fn has_heard(&self, what: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.windows(what.len()).any(|said| said == what.as_bytes())
    }
}

async fn connect(
    caller: TcpStream,
    node: SocketAddr,
    (mut mode, heard): (watch::Receiver<Mode>, Heard),
    wait: Duration,
) {
    if *mode.borrow_and_update() == Mode::Cut {
        return;
    }
    let Ok(node) = TcpStream::connect(node).await else { return };
    let ((from_caller, to_caller), (from_node, to_node)) = (caller.into_split(), node.into_split());
    let there = carry(from_caller, to_node, (mode.clone(), Some(heard)), wait);
    let back = carry(from_node, to_caller, (mode.clone(), None), wait);
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    (mode, heard): (watch::Receiver<Mode>, Option<Heard>),
    wait: Duration,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let now = *mode.borrow();
        match now {
            Mode::Slow => tokio::time::sleep(wait).await,
            Mode::Thin => tokio::time::sleep(THIN).await,
            Mode::Straight | Mode::Cut => {}
        }
        // Before it is passed on: what the server does about it comes later.
        heard.iter().for_each(|heard| heard.lock().unwrap().extend(&bytes[..read]));
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// A hash that is far from those of other numbers.
fn picture(number: u8) -> String {
    (0..32_u8)
        .map(|byte| format!("{:02x}", number.wrapping_mul(53) ^ byte.wrapping_mul(89)))
        .collect()
}

/// A member is killed and comes back.
fn die(trio: &mut Trio, member: &'static str) {
    trio.kill(member);
    trio.start(&[member]);
}

fn until_state(trio: &Trio, members: &[&str], id: &str, state: &str) {
    for member in members {
        trio.until(&format!("{member} has {state}"), || {
            let view = trio.ask(member, &["alert", "show", id])?;
            (view["state"] == state).then_some(())
        });
    }
}

#[test]
fn nodes_agree_over_wires_that_are_cut_and_slow_through_a_kill_in_every_phase() {
    let runtime = Runtime::new().unwrap();
    let mut wires = BTreeMap::new();
    let mut trio = Trio::found_at(
        |member, listen| {
            let wire = Wire::before(listen, &runtime);
            let address = format!("http://{}", wire.address);
            wires.insert(member, wire);
            Some(address)
        },
        None,
    );
    trio.start(&MEMBERS);
    trio.wait_ready(&MEMBERS);
    for (number, victim) in (1..).zip(MEMBERS) {
        wires.values().for_each(|wire| wire.set(Mode::Slow));
        // Right after it was acknowledged, while it travels.
        let id = trio.raise("ant", &picture(number));
        die(&mut trio, victim);
        trio.knows("bee", &id);
        // While another member's word travels.
        trio.until("bee confirms", || trio.ask("bee", &["alert", "confirm", &id]));
        die(&mut trio, victim);
        until_state(&trio, &MEMBERS, &id, "CONFIRMED");
        // While it is taken back by one whom nobody hears.
        wires["ant"].set(Mode::Cut);
        let retract = ["alert", "retract", &id, "--reason", "wrong_match"];
        trio.until("ant retracts", || trio.ask("ant", &retract));
        die(&mut trio, victim);
        trio.until("bee retracts", || trio.ask("bee", &retract));
        die(&mut trio, victim);
        until_state(&trio, &["cat"], &id, "PROVISIONAL");
        wires["ant"].set(Mode::Slow);
        until_state(&trio, &MEMBERS, &id, "RETRACTED");
        wires["ant"].set(Mode::Straight);
    }
    // What each holds of each other's log is one history, of six words at least.
    for member in ["ant", "bee"] {
        trio.until(&format!("all hold all of {member}"), || {
            let found = MEMBERS.map(|at| trio.verify(at, member));
            let sound = found.iter().all(|found| found["sound"] == true);
            let same = found.iter().all(|other| other["root"] == found[0]["root"]);
            (sound && same && found[0]["size"].as_u64()? >= 6).then_some(())
        });
    }
}
