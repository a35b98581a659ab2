//! The short form of the demo, with all its expectations; and that it fails when one does not hold.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::program::{PROGRAM, words};

/// The demo, which finds no clips but those that a test gives it.
fn demo(place: &Path, arguments: &[&str]) -> Command {
    let mut demo = Command::new(PROGRAM);
    demo.args(["--json", "demo"]).args(arguments);
    demo.current_dir(place).env_remove("WATCHFIRE_CONFORMANCE");
    demo
}

/// What a demo that came to its end has found.
fn found(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", words(output)))
}

/// A clip of one's own: the zoom into a fractal, of which every second looks different.
fn clip(place: &Path) -> String {
    let clip = place.join("mine.mp4").to_str().unwrap().to_owned();
    let picture = "mandelbrot=size=640x360:rate=25";
    let drawn = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", picture, "-t", "8", "-pix_fmt", "yuv420p"])
        .arg(&clip)
        .status();
    assert!(drawn.unwrap().success());
    clip
}

/// Every fact of the story, for each of the ten.
fn holds(found: &Value) {
    let members = found["members"].as_array().unwrap();
    assert_eq!(members.len(), 10);
    for member in members {
        for (fact, wanted) in [
            ("reupload_before", "allow"),
            ("reupload", "block"),
            ("splice", "block"),
            ("unrelated", "allow"),
            ("state", "CONFIRMED"),
        ] {
            assert_eq!(member[fact], wanted, "{fact} of {member}");
        }
        for time in ["received_ms", "effective_ms", "retracted_ms"] {
            assert!(member[time].as_f64().is_some(), "{time} of {member}");
        }
        assert!(member["matched_ms"].as_u64().unwrap() >= 1_000, "{member}");
        assert_eq!(member["copies_removed"], member["restored"]);
        words_hold(member);
    }
    let removed: u64 = members.iter().filter_map(|one| one["copies_removed"].as_u64()).sum();
    assert_eq!(removed, 4, "the original and three copies");
}

/// What was said in words, by each member's own policy.
fn words_hold(member: &Value) {
    let (reviews, refuses) = (member["name"] == "snapchat", member["name"] == "twitter");
    let words = &member["words"];
    for (fact, wanted) in [
        ("before", "allow"),
        ("typed", if reviews { "review" } else { "block" }),
        ("in_news", "review"),
        ("unrelated", "allow"),
        ("link", "flag"),
        ("government", if refuses { "allow" } else { "block" }),
    ] {
        assert_eq!(words[fact], wanted, "{fact} of {member}");
    }
    assert_eq!(words["link_actions"][0], "label", "{member}");
    assert_eq!(
        (&words["removed"], &words["restored"]),
        (&Value::Bool(!reviews), &Value::Bool(true))
    );
    assert!(words["distance"].as_u64().unwrap() <= 16, "{member}");
}

#[test]
fn a_member_that_does_not_keep_to_the_story_fails_it_by_name() {
    // No clip is given, none is published here, and there is no program to fetch one.
    let place = tempfile::tempdir().unwrap();
    let programs = place.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    for program in ["ffmpeg", "ffprobe"] {
        let there = Path::new("/usr/bin").join(program);
        std::os::unix::fs::symlink(there, programs.join(program)).unwrap();
    }
    let mut demo = demo(place.path(), &["--alerts", "1", "--also-trusts", "facebook"]);
    let output = demo.env("PATH", &programs).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let found = found(&output);
    let failed = ["facebook does not block before it is CONFIRMED"];
    assert_eq!(found["failed"], serde_json::json!(failed));
    assert!(found["media"].as_str().unwrap().contains("GENERATED"), "{}", found["media"]);
    holds(&found);
}

/// What a demo that was to be kept has left running; ended with the test.
struct Kept {
    pids: Vec<u64>,
    directory: PathBuf,
}

impl Kept {
    fn of(kept: &Value) -> Self {
        let pids = kept["pids"].as_array().unwrap();
        let pids = pids.iter().map(|pid| pid.as_u64().unwrap()).collect();
        Self { pids, directory: kept["directory"].as_str().unwrap().into() }
    }

    /// Processes that run. One that has ended and that nobody has asked for is none.
    fn running(&self) -> usize {
        let status = |pid: &u64| std::fs::read_to_string(format!("/proc/{pid}/status"));
        let runs = |pid: &&u64| status(pid).is_ok_and(|status| !status.contains("State:\tZ"));
        self.pids.iter().filter(runs).count()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for pid in &self.pids {
            let _ended =
                Command::new("sh").args(["-c", &format!("kill -KILL {pid} 2>/dev/null")]).status();
        }
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn the_story_holds_with_one_member_behind_nat_and_all_run_on_until_told_to_end() {
    let place = tempfile::tempdir().unwrap();
    let media = clip(place.path());
    let arguments = ["--alerts", "3", "--nat", "snapchat", "--keep", "--media", &media];
    let output = demo(place.path(), &arguments).output().unwrap();
    let found = found(&output);
    // First of all what to end, whatever else is wrong.
    let kept = Kept::of(&found["kept"]);
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(found["failed"], Value::Array(Vec::new()));
    assert!(found["media"].as_str().unwrap().contains(&media), "{}", found["media"]);
    holds(&found);
    assert_eq!(found["alerts"], 3);
    assert!(found["p50_ms"].as_f64().unwrap() <= found["p99_ms"].as_f64().unwrap());
    // Two trust, five follow, two confirm, nine retract; and the stages of the two that trust.
    for (what, samples) in [("trusting", 6), ("confirmed", 15), ("own", 6), ("retraction", 27)] {
        assert_eq!(found[what]["samples"], samples, "{what}");
    }
    for (what, samples) in [("acknowledged", 3), ("received", 6), ("folded", 6), ("probed", 6)] {
        assert_eq!(found["stages"][what]["samples"], samples, "{what}");
    }

    assert_eq!((kept.pids.len(), kept.running()), (20, 20), "ten nodes and ten platforms");
    let nodes = found["kept"]["nodes"].as_array().unwrap();
    let tiktok = nodes.iter().find(|node| node["name"] == "tiktok").unwrap();
    let [url, key] = ["address", "api_key"].map(|what| tiktok[what].as_str().unwrap());
    let asked = Command::new(PROGRAM)
        .args(["--json", "alert", "--url", url, "--key", key, "list"])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", words(&asked));
    let stop = found["kept"]["stop"].as_str().unwrap();
    let stopped = Command::new("sh").args(["-c", stop]).status().unwrap();
    assert!(stopped.success() && !kept.directory.exists());
    // They are no children of ours: how long each takes is its own affair.
    let looks = (0..1_000_000).find(|_| kept.running() == 0);
    assert!(looks.is_some(), "{} still run", kept.running());
}

#[test]
fn what_cannot_be_played_is_refused_before_anything_starts() {
    let place = tempfile::tempdir().unwrap();
    for arguments in [["--nat", "nobody"], ["--media", "nowhere.mp4"], ["--conformance", "nowhere"]]
    {
        let output = demo(place.path(), &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", words(&output));
        assert!(words(&output).contains(arguments[1]), "{}", words(&output));
    }
}
