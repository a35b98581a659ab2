//! Decoders are bounded whatever their callers do, and end with the node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchfire_node::access::Scope;
use watchfire_server::Running;
use watchfire_server::hashing::HashingSetup;
use watchfire_server::limits::Patience;

use crate::house::{House, alone, hashing, impatient};

/// Files that these nodes decode at a time.
const AT_ONCE: usize = 2;

/// How often something is looked for that is there after milliseconds on an idle machine.
const LOOKS: usize = 1_000_000;

/// A node whose decoder is a program that never ends, and says where that it runs.
struct Slow {
    house: House,
    running: Running,
    key: String,
    place: tempfile::TempDir,
}

impl Slow {
    async fn start() -> Self {
        let house = alone().await;
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("decoder");
        let pids = place.path().join("pids");
        std::fs::create_dir(&pids).unwrap();
        let script = format!("#!/bin/sh\n: >{}/$$\nexec /bin/sleep 3600\n", pids.display());
        std::fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();
        let setup = HashingSetup { executable: program, at_once: AT_ONCE, ..hashing() };
        let patience = Patience { drain: Duration::from_millis(200), ..Patience::default() };
        let running = impatient(&house, setup, patience).await;
        let key = house.key(&[Scope::Admin]).await;
        Slow { house, running, key, place }
    }

    /// Sends a file that looks like a video, and waits for no answer.
    async fn upload(&self) -> TcpStream {
        let video = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        let head = format!(
            "POST /v1/hash HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
             content-type: video/mp4\r\ncontent-length: {}\r\n\r\n",
            self.key,
            video.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(video).await.unwrap();
        stream
    }

    /// All decoders that were started, and those of them that run.
    fn decoders(&self) -> (usize, usize) {
        let started = std::fs::read_dir(self.place.path().join("pids")).unwrap();
        let started: Vec<PathBuf> = started.map(|entry| entry.unwrap().path()).collect();
        let runs = |pid: &&PathBuf| Path::new("/proc").join(pid.file_name().unwrap()).exists();
        (started.len(), started.iter().filter(runs).count())
    }

    async fn until(&self, what: &str, fits: impl Fn(usize, usize) -> bool) {
        for _ in 0..LOOKS {
            let (started, running) = self.decoders();
            assert!(running <= AT_ONCE, "{running} decoders run");
            if fits(started, running) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never: {what}; {:?}", self.decoders());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decoders_are_no_more_than_their_places_and_end_with_their_requests() {
    let slow = Slow::start().await;
    let mut callers = Vec::new();
    for _ in 0..3 * AT_ONCE {
        callers.push(slow.upload().await);
    }
    slow.until("all places are taken", |_, running| running == AT_ONCE).await;
    // Each caller that goes takes its decoder along, and makes room for one that waits.
    let all = callers.len();
    for (gone, caller) in callers.into_iter().enumerate() {
        drop(caller);
        let left = AT_ONCE.min(all - gone - 1);
        slow.until("the next is decoded", |_, running| running == left).await;
    }
    slow.running.stop().await;
    slow.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_ends_its_decoders_after_a_while() {
    let slow = Slow::start().await;
    let mut caller = slow.upload().await;
    slow.until("it is decoded", |_, running| running == 1).await;
    let Slow { house, running, place, .. } = slow;
    running.stop().await;
    let mut answer = Vec::new();
    // Whether the caller still gets a 503 or sees the connection end is a race.
    let _read = caller.read_to_end(&mut answer).await;
    let pid = std::fs::read_dir(place.path().join("pids")).unwrap().next().unwrap().unwrap();
    for _ in 0..LOOKS {
        if !Path::new("/proc").join(pid.file_name()).exists() {
            return house.stop().await;
        }
        tokio::task::yield_now().await;
    }
    panic!("the decoder outlives its node");
}
