//! Pictures that move match by what they show, and videos match GIFs that are made of them.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{
    edits::published,
    program::{code, json, run, words},
};

const BRIDGE: &str = "pdq/images/dihedral/bridge-1-original.jpg";
const CHAIR: &str = "vpdq/videos/chair-orig-22-sd-bar.mp4";
const PATTERN: &str = "vpdq/videos/pattern-hd-no-bar.mp4";

/// A harmless picture for a fifth of a second, then what is given for three.
fn hidden(harmless: &str, shown: &str, to: &Path) {
    let size = "fps=10,scale=320:240,setsar=1";
    let joined = format!("[0:v]{size}[a];[1:v]{size}[b];[a][b]concat=n=2");
    let still = shown.ends_with(".jpg");
    let status = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-y", "-t", "0.2", "-i", harmless])
        .args(if still { &["-loop", "1"][..] } else { &[] })
        .args(["-t", "3", "-i", shown, "-filter_complex", &joined])
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "{}", to.display());
}

fn methods(found: &Value) -> Vec<(&str, &str)> {
    let matches = found["matches"].as_array().unwrap().iter();
    matches.map(|one| (one["kind"].as_str().unwrap(), one["method"].as_str().unwrap())).collect()
}

#[test]
fn a_picture_or_video_behind_a_harmless_first_frame_is_found_in_what_moves() {
    let (Some(bridge), Some(chair), Some(pattern)) =
        (published(BRIDGE), published(CHAIR), published(PATTERN))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for name in ["moving.gif", "moving.apng", "moving.webp"] {
        let file = folder.path().join(name);
        let path = file.to_str().unwrap();
        hidden(&pattern, &bridge, &file);
        let found = json(["match", "--refs", &bridge, "--", path]);
        assert!(methods(&found).contains(&("pdq", "near")), "{name}: {found}");
        hidden(&pattern, &chair, &file);
        let found = json(["match", "--refs", &chair, "--", path]);
        assert!(methods(&found).contains(&("vpdq", "aligned")), "{name}: {found}");
        // And the other way round.
        let found = json(["match", "--refs", path, "--", &chair]);
        assert!(methods(&found).contains(&("vpdq", "aligned")), "{name}: {found}");
        let none = run(["match", "--refs", &bridge, "--", path]);
        assert_eq!(code(&none), 1, "{name}: {}", words(&none));
    }
}
