//! A title card that many films begin with says nothing of which of them is shown.

use std::{collections::BTreeSet, f64::consts::TAU, path::Path, process::Command};

use serde_json::Value;

use crate::{
    edits::published,
    program::{json, run},
};

const CARD: &str = "pdq/images/dihedral/bridge-1-original.jpg";

const CHAIR: &str = "vpdq/videos/chair-orig-22-sd-bar.mp4";

/// Scenes of one film.
const SCENES: u32 = 4;

/// A card for two seconds, then four scenes, of two seconds each, of a film of which no other has any.
fn titled(card: &str, film: u32, to: &Path) {
    let size = "scale=320:240,setsar=1,fps=10,format=yuv420p";
    let scene = |scene: u32| {
        // Places around the edge of a fractal, far from each other.
        let turn = (f64::from(film * SCENES + scene) * 0.618).fract() * TAU;
        let (x, y) = (
            0.5 * turn.cos() - 0.25 * (2.0 * turn).cos(),
            0.5 * turn.sin() - 0.25 * (2.0 * turn).sin(),
        );
        format!(
            "mandelbrot=size=320x240:rate=10:start_x={x:.4}:start_y={y:.4}:start_scale=0.06:end_scale=0.03:\
             end_pts=60:maxiter=300,trim=duration=2,setpts=PTS-STARTPTS,{size}[v{scene}];"
        )
    };
    let scenes: String = (0..SCENES).map(scene).collect();
    let all: String = (0..SCENES).map(|scene| format!("[v{scene}]")).collect();
    let graph = format!("{scenes}[0:v]{size}[card];[card]{all}concat=n={}", SCENES + 1);
    let status = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-y", "-loop", "1", "-t", "2", "-i", card])
        .args(["-filter_complex", &graph, "-q:v", "4"])
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "{}", to.display());
}

/// The card, then what another file shows.
fn titled_clip(card: &str, clip: &str, to: &Path) {
    let size = "scale=320:240,setsar=1,fps=10,format=yuv420p";
    let graph = format!("[0:v]{size}[a];[1:v]{size}[b];[a][b]concat=n=2");
    let status = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-y", "-loop", "1", "-t", "2", "-i", card, "-t", "6", "-i", clip])
        .args(["-filter_complex", &graph, "-q:v", "4"])
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "{}", to.display());
}

/// The references that match, each with what is decided.
fn found(answer: &Value) -> Vec<(String, &str)> {
    let matches = answer["matches"].as_array().unwrap().iter();
    let name = |one: &Value| one["ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    matches.map(|one| (name(one), one["decision"].as_str().unwrap())).collect()
}

#[test]
fn a_title_card_that_ten_films_have_leads_to_none_of_them_and_copies_to_the_right_one() {
    let (Some(card), Some(chair)) = (published(CARD), published(CHAIR)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known");
    std::fs::create_dir(&known).unwrap();
    let films: Vec<String> = (0..10)
        .map(|film| {
            let path = known.join(format!("film-{film}.mp4"));
            titled(&card, film, &path);
            path.display().to_string()
        })
        .collect();
    let upload = folder.path().join("upload.mp4");
    titled_clip(&card, &chair, &upload);
    let (known, upload) = (known.to_str().unwrap(), upload.to_str().unwrap());
    let answers = run(["--json", "match", "--refs", known, "--", upload, &films[3]]).stdout;
    let answers = String::from_utf8(answers).unwrap();
    let answers: Vec<Value> = answers.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(found(&answers[0]), [], "{}", answers[0]);
    // Scenes of these films look a little like each other, but none as sure.
    let sure = found(&answers[1]).into_iter().filter(|(_, decision)| *decision == "match");
    let sure: BTreeSet<String> = sure.map(|(name, _)| name).collect();
    assert_eq!(sure, ["film-3.mp4".to_owned()].into(), "{}", answers[1]);
    // What stands in three only may be theirs: a person looks.
    let few = json(["match", "--refs", &films[0], &films[1], &films[2], "--", upload]);
    assert_eq!(found(&few).len(), 3, "{few}");
    assert!(found(&few).iter().all(|(_, decision)| *decision == "review"), "{few}");
}
