//! What was acknowledged survives the death of the process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::audit::{Acknowledged, judge, note};
use crate::writing::Random;

/// How often the writer is killed, each time over the data that it left the last time.
const KILLS: u64 = 20;

/// The most acknowledgements that are awaited before a kill; some of the moments lie between two.
const ACKS: u64 = 60;

#[tokio::test]
async fn every_acknowledged_record_survives_twenty_kills() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new(20);
    let (mut acknowledged, mut entries) = (Acknowledged::new(), 0);
    for kill in 0..KILLS {
        run_and_kill(directory.path(), kill, &mut random, &mut acknowledged);
        let there = judge(directory.path(), &acknowledged).await.unwrap();
        assert!(there > entries, "kill {kill}: the writer wrote nothing");
        entries = there;
    }
    assert_eq!(acknowledged.len(), 3);
}

fn run_and_kill(directory: &Path, kill: u64, random: &mut Random, acknowledged: &mut Acknowledged) {
    let mut writer = Command::new(env!("CARGO_BIN_EXE_watchfire-store-writer"))
        .arg(directory)
        .args([&(kill * 1000).to_string(), "1000000", "full"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap());
    let mut line = String::new();
    for _ in 0..1 + random.below(ACKS) {
        line.clear();
        lines.read_line(&mut line).unwrap();
        assert!(note(acknowledged, line.trim_end()), "{line:?}");
    }
    // A pause of a random length puts the kill anywhere between two acknowledgements.
    for _ in 0..random.below(200_000) {
        std::hint::spin_loop();
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    // What it said before it died, but was not read yet.
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    for line in rest.lines() {
        assert!(note(acknowledged, line), "{line:?}");
    }
}
