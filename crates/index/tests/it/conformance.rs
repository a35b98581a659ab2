//! The published vPDQ hashes of real clips: three scenes, edited copies of each.

use std::{fs, path::PathBuf};

use watchfire_index::{FrameIndex, MatchRule, align};
use watchfire_signal::vpdq::Frame;

#[expect(
    clippy::disallowed_methods,
    reason = "where the published data lies is a setting of tests"
)]
fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("WATCHFIRE_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let folder = root.join("vpdq/hashes");
    if !folder.is_dir() {
        eprintln!("skipped: no published hashes in {}", folder.display());
        return None;
    }
    Some(folder)
}

/// Every frame of a clip: lines of `frame,quality,pdq,seconds`.
fn clip(folder: &std::path::Path, name: &str) -> Vec<Frame> {
    let text = fs::read_to_string(folder.join(name).with_extension("txt")).unwrap();
    let frames: Vec<Frame> = text
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let seconds: f64 = fields[3].parse().unwrap();
            Frame {
                number: fields[0].parse().unwrap(),
                quality: fields[1].parse().unwrap(),
                pdq: fields[2].parse().unwrap(),
                at_ms: (seconds * 1000.0).round() as u32,
            }
        })
        .collect();
    assert!(frames.len() > 100);
    frames
}

/// What a member sees: the first frame at or after every half second.
fn sampled(frames: &[Frame]) -> Vec<Frame> {
    let mut due_ms = 0;
    let mut seen = Vec::new();
    for frame in frames {
        if frame.at_ms >= due_ms {
            seen.push(*frame);
            due_ms += 500;
        }
    }
    seen
}

#[test]
fn a_large_logo_leaves_three_frames_that_align_seen_from_either_side() {
    let Some(folder) = folder() else { return };
    let reference = clip(&folder, "chair-orig-22-sd-bar");
    let query = sampled(&clip(&folder, "chair-22-with-large-logo-bar"));
    let rule = MatchRule { min_matched_ms: 1_500, ..MatchRule::default() };
    let aligned = align(&query, &reference, &rule).unwrap();
    assert_eq!(aligned.frames, 3, "{aligned:?}");
    assert_eq!(Some(aligned), align(&query, &reference, &MatchRule { min_matched_ms: 0, ..rule }));
    assert_eq!(aligned.query_span_ms, (14_000, 15_500));
    assert!(aligned.reference_span_ms.0.abs_diff(14_000) < 200, "{aligned:?}");
    assert!(aligned.mean_distance > 20.0 && aligned.mean_distance <= 31.0, "{aligned:?}");
    let back = align(&reference, &query, &rule).unwrap();
    assert_eq!((back.frames, back.reference_span_ms), (3, (14_000, 15_500)));
    assert_eq!(align(&query, &reference, &MatchRule { min_matched_ms: 1_700, ..rule }), None);
}

#[test]
fn clips_match_others_of_their_scene_and_no_other_scene() {
    let Some(folder) = folder() else { return };
    let names = [
        "chair-19-sd-bar",
        "chair-20-sd-bar",
        "chair-22-sd-grey-bar",
        "chair-22-with-large-logo-bar",
        "chair-orig-22-sd-bar",
        "doorknob-hd-no-bar",
        "pattern-hd-no-bar",
        "pattern-sd-grey-bar",
        "test-padded-dimensions",
    ];
    let index = FrameIndex::new([42; 32]);
    let seen = FrameIndex::new([43; 32]);
    let rule = MatchRule::default();
    for (id, name) in names.iter().enumerate() {
        index.insert(id as u64, &clip(&folder, name), rule);
        seen.insert(id as u64, &sampled(&clip(&folder, name)), rule);
    }
    let scene = |name: &str| name.split('-').next().map(str::to_owned);
    for (id, name) in names.iter().enumerate() {
        let query = clip(&folder, name);
        for found in [index.search(&sampled(&query)), seen.search_with(&query, &rule)] {
            let others: Vec<&str> =
                found.videos.iter().map(|found| names[found.video as usize]).collect();
            assert!(others.iter().all(|other| scene(other) == scene(name)), "{name}: {others:?}");
            let itself = found.videos.iter().any(|found| found.video == id as u64);
            // The doorknob has only two seconds of frames that count, the rest is of low quality.
            assert!(itself || *name == "doorknob-hd-no-bar", "{name}: {others:?}");
            if scene(name).as_deref() == Some("chair") && !name.contains("logo") {
                assert!(others.contains(&"chair-orig-22-sd-bar"), "{name}: {others:?}");
            }
        }
    }
    let has = |found: watchfire_index::FoundVideos, name: &str| {
        found.videos.iter().any(|found| names[found.video as usize] == name)
    };
    // The logo leaves one frame in ten near: enough when one side has every frame, whichever it is.
    let (original, logo) = ("chair-orig-22-sd-bar", "chair-22-with-large-logo-bar");
    assert!(has(index.search(&sampled(&clip(&folder, logo))), original));
    assert!(has(seen.search_with(&clip(&folder, original), &rule), logo));
}
