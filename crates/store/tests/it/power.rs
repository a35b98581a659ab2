//! What was acknowledged survives a loss of power on a disk that forgets what was not synced.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::audit::{Acknowledged, judge, note};
use crate::disk::{Disk, Event, Unsynced, read, recorder};
use crate::writing::Random;

/// Commits of the writer: enough for pages to be moved out of the write-ahead log several times.
const COMMITS: u64 = 600;

/// Moments at which the power fails, each in two ways.
const FAILURES: usize = 24;

#[tokio::test]
async fn no_acknowledged_record_is_lost_with_the_power() {
    let events = record("full");
    assert_pages_are_moved(&events);
    let mut random = Random::new(512);
    let mut moments: Vec<usize> =
        (0..FAILURES).map(|_| random.below(events.len() as u64) as usize).collect();
    moments.extend([0, events.len() - 1, events.len()]);
    moments.sort_unstable();
    let (mut disk, mut acknowledged, mut done) = (Disk::default(), Acknowledged::new(), 0);
    for moment in moments {
        for event in &events[done..moment] {
            apply(&mut disk, event, &mut acknowledged);
        }
        done = moment;
        for unsynced in [Unsynced::Lost, Unsynced::Torn] {
            let directory = tempfile::tempdir().unwrap();
            disk.fail(unsynced, &mut random, directory.path());
            let verdict = judge(directory.path(), &acknowledged).await;
            assert!(verdict.is_ok(), "{unsynced:?} at {moment} of {}: {verdict:?}", events.len());
        }
    }
    assert_eq!(acknowledged.len(), 3);
}

/// Shows that the test above can fail.
#[tokio::test]
async fn without_syncs_acknowledged_records_are_lost_with_the_power() {
    let events = record("off");
    let (mut disk, mut acknowledged) = (Disk::default(), Acknowledged::new());
    for event in &events {
        apply(&mut disk, event, &mut acknowledged);
    }
    let directory = tempfile::tempdir().unwrap();
    disk.fail(Unsynced::Lost, &mut Random::new(1), directory.path());
    let verdict = judge(directory.path(), &acknowledged).await.unwrap_err();
    assert!(verdict.contains("acknowledged"), "{verdict}");
}

/// Runs the writer to its end over an empty directory and records what it asked of the disk.
fn record(durability: &str) -> Vec<Event> {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let (data, trace) = (place.join("data"), place.join("trace"));
    std::fs::create_dir(&data).unwrap();
    let status = writer(&place, &data, &trace)
        .args(["7", &COMMITS.to_string(), durability])
        .status()
        .unwrap();
    // The writer ends by abort; another end is a fault of it or of the recorder.
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{status}");
    read(&trace)
}

fn writer(place: &Path, data: &Path, trace: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire-store-writer"));
    command
        .arg(data)
        .env("LD_PRELOAD", recorder(place))
        .env("WATCHFIRE_DISK_DIRECTORY", data)
        .env("WATCHFIRE_DISK_TRACE", trace)
        .stdout(Stdio::null());
    command
}

fn apply(disk: &mut Disk, event: &Event, acknowledged: &mut Acknowledged) {
    disk.apply(event);
    if let Event::Said(lines) = event {
        for line in lines.lines() {
            assert!(note(acknowledged, line), "{line:?}");
        }
    }
}

/// The record must contain the dangerous part: the database is written while commits go on.
fn assert_pages_are_moved(events: &[Event]) {
    let database = events.iter().find_map(|event| match event {
        Event::Open { name, inode } if name == "watchfire.db" => Some(*inode),
        _ => None,
    });
    let said = |event: &Event| matches!(event, Event::Said(_));
    let first = events.iter().position(said).unwrap();
    let last = events.iter().rposition(said).unwrap();
    let moved = events[first..last]
        .iter()
        .filter(|event| matches!(event, Event::Write { inode, .. } if Some(*inode) == database));
    assert!(moved.count() > 100);
    let resets = events[first..last].iter().filter(
        |event| matches!(event, Event::Write { at: 0, inode, .. } if Some(*inode) != database),
    );
    assert!(resets.count() > 0, "the write-ahead log was never begun again");
}
