//! Edited copies of a picture are found, each by what shows it, and other pictures are not.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{
    program::{code, json, keys, run, words},
    trio::{MEMBERS, Trio},
};

/// A published file; without those, as in a fresh clone, a test skips itself and says so.
#[expect(
    clippy::disallowed_methods,
    reason = "where the published data lies is a setting of tests"
)]
pub(crate) fn published(path: &str) -> Option<String> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");
    let root = std::env::var("WATCHFIRE_CONFORMANCE").unwrap_or_else(|_| beside.to_owned());
    let file = format!("{root}/{path}");
    if !Path::new(&file).exists() {
        println!("SKIPPED: {file} is not there");
        return None;
    }
    Some(file)
}

const BRIDGE: &str = "pdq/images/dihedral/bridge-1-original.jpg";
const CHAIR: &str = "vpdq/videos/chair-orig-22-sd-bar.mp4";
const PATTERN: &str = "vpdq/videos/pattern-hd-no-bar.mp4";

fn edited(from: &str, to: &Path, filter: &str) {
    let status = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-y", "-i", from, "-an", "-vf", filter])
        .args(if to.extension().is_some_and(|kind| kind == "png") {
            ["-frames:v", "1"]
        } else {
            ["-q:v", "4"]
        })
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "ffmpeg {filter}");
}

#[test]
fn edited_copies_of_a_picture_are_found_and_other_pictures_are_not() {
    let (Some(original), Some(chair)) = (published(BRIDGE), published(CHAIR)) else { return };
    let folder = tempfile::tempdir().unwrap();
    // Another scene, of a published video.
    let other = folder.path().join("other.png");
    edited(&chair, &other, "scale=800:-2");
    let other = other.display().to_string();
    let edits = [
        ("turned", "hflip"),
        ("turned", "transpose=1"),
        ("turned", "negate"),
        ("features", "crop=iw*0.7:ih*0.7:iw*0.2:ih*0.1"),
        (
            "features",
            "rotate=5*PI/180,drawbox=x=iw*0.1:y=ih*0.7:w=iw*0.5:h=ih*0.12:color=white:t=fill",
        ),
        ("features", "hflip,crop=iw*0.8:ih*0.75:0:0,eq=brightness=0.08"),
        ("part", "hflip,pad=iw*1.3:ih*1.3:iw*0.15:ih*0.15:white"),
    ];
    for (number, (method, filter)) in edits.into_iter().enumerate() {
        let copy = folder.path().join(format!("{number}.png"));
        edited(&original, &copy, filter);
        let copy = copy.display().to_string();
        let found = json(["match", "--refs", &original, &other, "--", &copy]);
        let matches = found["matches"].as_array().unwrap();
        let one = matches.iter().find(|one| one["method"] == method);
        let one = one.unwrap_or_else(|| panic!("{filter}: {found}"));
        assert!(matches.iter().all(|one| one["ref"] == original.as_str()), "{filter}: {found}");
        if method == "features" {
            assert!(one["inliers"].as_u64().unwrap() >= 8, "{one}");
            assert_eq!(one["transform"].as_array().unwrap().len(), 2, "{one}");
        } else if method == "part" {
            assert!(one["distance"].as_u64().unwrap() <= 31, "{one}");
        } else {
            assert_eq!(one["decision"], "match", "{one}");
            assert!(one["distance"].as_u64().unwrap() <= 31, "{one}");
        }
    }
    let none = run(["match", "--refs", &original, "--", &other]);
    assert_eq!(code(&none), 1, "{}", words(&none));
}

/// Whether a match says that places of the file lie so in the reference.
fn assert_lies_so(one: &Value, expected: [[f64; 3]; 2], why: &str) {
    for (row, expected) in one["transform"].as_array().unwrap().iter().zip(expected) {
        for (number, expected) in row.as_array().unwrap().iter().zip(expected) {
            assert!((number.as_f64().unwrap() - expected).abs() < 0.02, "{why}: {one}");
        }
    }
}

#[test]
fn where_a_copy_lies_is_said_however_it_is_turned_and_framed() {
    let Some(original) = published(BRIDGE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let ways = [
        ("turned", "hflip", [[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]),
        ("turned", "vflip", [[1.0, 0.0, 0.0], [0.0, -1.0, 1.0]]),
        ("turned", "hflip,vflip", [[-1.0, 0.0, 1.0], [0.0, -1.0, 1.0]]),
        ("turned", "transpose=clock", [[0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]),
        ("turned", "transpose=cclock", [[0.0, -1.0, 1.0], [1.0, 0.0, 0.0]]),
        ("turned", "transpose=cclock_flip", [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        ("turned", "transpose=clock_flip", [[0.0, -1.0, 1.0], [-1.0, 0.0, 1.0]]),
        ("turned", "negate", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        ("turned", "hflip,negate", [[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]),
        ("part", "pad=iw*1.2:ih*1.2:iw*0.1:ih*0.1:black", [[1.2, 0.0, -0.1], [0.0, 1.2, -0.1]]),
        (
            "part",
            "pad=iw*1.2:ih*1.2:iw*0.1:ih*0.1:black,transpose=clock",
            [[0.0, 1.2, -0.1], [-1.2, 0.0, 1.1]],
        ),
    ];
    let copies: Vec<_> = (0..ways.len())
        .map(|way| folder.path().join(format!("{way:02}.png")).display().to_string())
        .collect();
    for (copy, (_, filter, _)) in copies.iter().zip(&ways) {
        edited(&original, Path::new(copy), filter);
    }
    let mut arguments = vec!["--json", "match", "--refs", &original, "--"];
    arguments.extend(copies.iter().map(String::as_str));
    let found = String::from_utf8(run(arguments).stdout).unwrap();
    let found: Vec<Value> = found.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(found.len(), ways.len());
    for (found, (method, filter, expected)) in found.iter().zip(ways) {
        assert_eq!(keys(found), ["file", "matches"]);
        let mut by_hash = found["matches"].as_array().unwrap().iter();
        let by_hash = by_hash.find(|one| one["kind"] == "pdq").unwrap();
        assert_eq!(by_hash["method"], method, "{filter}: {found}");
        assert_lies_so(by_hash, expected, filter);
        let mut said = keys(by_hash);
        said.retain(|key| *key != "also");
        assert_eq!(said, ["decision", "distance", "kind", "method", "ref", "transform"]);
        // Its details, where these are found, say the same.
        let mut matches = found["matches"].as_array().unwrap().iter();
        if let Some(by_details) = matches.find(|one| one["kind"] == "features") {
            assert_lies_so(by_details, expected, filter);
            assert!(by_details["inliers"].is_u64() && by_details["distance"].is_null());
        }
    }
}

#[test]
fn a_mirrored_video_is_found() {
    let (Some(original), Some(pattern)) = (published(CHAIR), published(PATTERN)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mirrored = folder.path().join("mirrored.mp4").display().to_string();
    let status = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-y", "-i", &original, "-t", "8", "-an", "-vf", "hflip,scale=480:-2"])
        .args(["-c:v", "mpeg4", "-q:v", "4", &mirrored])
        .status()
        .unwrap();
    assert!(status.success());
    let found = json(["match", "--refs", &original, &pattern, "--", &mirrored]);
    let matches = found["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 1, "{found}");
    assert_eq!((&matches[0]["method"], &matches[0]["ref"]), (&"turned".into(), &original.into()));
    assert_eq!(matches[0]["decision"], "match");
    assert_lies_so(&matches[0], [[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], "mirrored");
    let mut said = keys(&matches[0]);
    said.retain(|key| *key != "also");
    let expected =
        "decision distance frames kind method query_span_ms ref ref_span_ms speed transform";
    assert_eq!(said, expected.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_node_sends_an_edited_video_to_a_person_and_says_where() {
    let (Some(original), Some(pattern)) = (published(CHAIR), published(PATTERN)) else { return };
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let path = |name: &str| trio.dir("ant").join(name).display().to_string();
    let clip = |from: &str, at: [&str; 2], filter: &str, to: &str| {
        let status = Command::new("/usr/bin/ffmpeg")
            .args([
                "-v", "error", "-y", "-i", from, "-ss", at[0], "-t", at[1], "-an", "-vf", filter,
            ])
            .args(["-c:v", "mpeg4", "-q:v", "4", to])
            .status()
            .unwrap();
        assert!(status.success());
    };
    let (known, copy, other) = (path("known.mp4"), path("copy.mp4"), path("other.mp4"));
    clip(&original, ["2", "12"], "scale=640:-2", &known);
    clip(
        &original,
        ["5", "8"],
        "crop=iw*0.7:ih*0.7:iw*0.2:ih*0.1,scale=600:-2,rotate=3*PI/180",
        &copy,
    );
    clip(&pattern, ["0", "6"], "scale=600:-2", &other);
    let raise = ["alert", "raise", "--label", "violence.graphic_death", "--severity", "2"];
    let raised = trio.until("ant raises", || trio.ask("ant", &[&raise[..], &[&known]].concat()));
    let summary = raised["signals_summary"].as_array().unwrap();
    assert!(summary.iter().any(|signal| signal["kind"] == "features"), "{raised}");
    let scan = |file: &str, depth: &str| {
        let scan = ["--json", "scan", "--match", depth, "--url", &trio.url("ant")];
        let output = run([&scan[..], &["--key", trio.key("ant"), file]].concat());
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", words(&output)))
    };
    assert_eq!(scan(&copy, "near")["verdict"], "allow", "its hashes are too far off");
    let found = scan(&copy, "variant");
    assert_eq!(found["verdict"], "review", "{found}");
    let reason = &found["reasons"][0];
    assert_eq!((&reason["method"], &reason["sure"]), (&"features".into(), &true.into()));
    let start = reason["reference_span_ms"]["start_ms"].as_i64().unwrap();
    assert!((2_000..5_500).contains(&start), "three seconds in: {reason}");
    assert_eq!(scan(&other, "variant")["verdict"], "allow");
}

#[test]
fn what_matched_is_drawn() {
    let (Some(bridge), Some(chair)) = (published(BRIDGE), published(CHAIR)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let colours = |path: &Path| {
        let mut ffmpeg = Command::new("/usr/bin/ffmpeg");
        ffmpeg
            .args(["-v", "error", "-i"])
            .arg(path)
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
        let pixels = ffmpeg.output().unwrap().stdout;
        pixels.as_chunks::<3>().0.iter().filter(|pixel| pixel[0].abs_diff(pixel[2]) > 40).count()
    };
    let (copy, out) = (path("copy.png"), path("why.png"));
    edited(&bridge, &copy, "hflip,crop=iw*0.8:ih*0.75:0:0");
    let explain = |out: &Path, a: &Path, b: &str| {
        let (out, a) = (out.display().to_string(), a.display().to_string());
        run(["--json", "match", "--explain", &out, &a, b])
    };
    let drawn = explain(&out, &copy, &bridge);
    assert_eq!(code(&drawn), 0, "{}", words(&drawn));
    let told: serde_json::Value = serde_json::from_slice(&drawn.stdout).unwrap();
    assert!(told["inliers"].as_u64().unwrap() >= 8, "{told}");
    assert!(colours(&out) > 500);

    // What only a hash finds is no "none".
    let inverted = path("inverted.png");
    edited(&bridge, &inverted, "negate");
    let drawn = explain(&out, &inverted, &bridge);
    assert_eq!(code(&drawn), 0, "{}", words(&drawn));
    let told: serde_json::Value = serde_json::from_slice(&drawn.stdout).unwrap();
    assert_eq!(told["decision"], "match", "{told}");
    assert_eq!(told["by_hash"]["method"], "turned", "{told}");
    assert!(told["by_hash"]["distance"].as_u64().unwrap() < 31, "{told}");

    let (clip, moved) = (path("clip.mp4"), path("moved.png"));
    edited(&chair, &clip, "trim=5:12,setpts=PTS-STARTPTS,crop=iw*0.7:ih*0.7");
    let drawn = explain(&moved, &clip, &chair);
    assert_eq!(code(&drawn), 0, "{}", words(&drawn));
    let told: serde_json::Value = serde_json::from_slice(&drawn.stdout).unwrap();
    let at = |key: &str| told[key].as_i64().unwrap();
    assert!((at("ref_ms") - at("query_ms") - 5_000).abs() <= 1_000, "{told}");

    let other = path("other.png");
    edited(&chair, &other, "scale=800:-2");
    let nothing = explain(&out, &other, &bridge);
    assert_eq!(code(&nothing), 1, "{}", words(&nothing));
    assert_eq!(colours(&out), 0, "drawn, but nothing is joined");
}

#[test]
fn a_cropped_part_of_a_video_amid_another_one_is_found() {
    let (Some(original), Some(other)) = (published(CHAIR), published(PATTERN)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.mp4").display().to_string();
    let edit = "[0:v]trim=4:18,setpts=PTS-STARTPTS,crop=iw*0.8:ih*0.75,scale=480:676,fps=25,setsar=1[a];\
                [1:v]trim=0:3,scale=480:676,fps=25,setsar=1[b];[b][a]concat=n=2[v]";
    let status = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-y", "-i", &original, "-i", &other, "-filter_complex", edit])
        .args(["-map", "[v]", "-an", "-c:v", "mpeg4", "-q:v", "4", &copy])
        .status()
        .unwrap();
    assert!(status.success());
    let found = json(["match", "--refs", &original, "--", &copy]);
    let matches = found["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 1, "{found}");
    let one = &matches[0];
    assert_eq!((&one["method"], &one["decision"]), (&"features".into(), &"match".into()), "{one}");
    let start = one["ref_span_ms"]["start_ms"].as_u64().unwrap();
    assert!((4_000..6_000).contains(&start), "{one}");
    assert!(one["query_span_ms"]["start_ms"].as_u64().unwrap() >= 2_500, "{one}");
    assert!(
        (one["speed"].as_f64().unwrap() - 1.0).abs() < 0.1 && one["frames"].as_u64() >= Some(3)
    );
}
