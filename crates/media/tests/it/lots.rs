//! Nobody knows at which moments an upload is looked at, so nothing is hidden behind these.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::process::Command;

use watchfire_media::video::{self, Decoder, FrameRate, Input, Secret, looks};
use watchfire_signal::pdq::MAX_DISTANCE;
use watchfire_signal::vpdq::Frame;

use crate::videos::{decoder, has_ffmpeg};

/// Seconds of the video, and how many frames each has.
const SECONDS: u32 = 12;
const RATE: u32 = 25;

/// A scene, and over it another one in the first frame of each half second, where `hidden`.
fn film(hidden: bool) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("film.mp4");
    let source = |name| format!("{name}=size=160x128:rate={RATE}");
    let on = if hidden {
        format!("lt(mod(t+0.0001,0.5),{})", 0.9 / f64::from(RATE))
    } else {
        "0".to_owned()
    };
    let mut ffmpeg = Command::new(decoder().ffmpeg);
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", &source("mandelbrot")]);
    ffmpeg.args(["-f", "lavfi", "-i", &source("testsrc")]);
    ffmpeg.args(["-filter_complex", &format!("[0][1]overlay=enable='{on}'")]);
    ffmpeg.args(["-t", &SECONDS.to_string(), "-c:v", "mpeg4", "-q:v", "2"]).arg(&file);
    assert!(ffmpeg.status().unwrap().success());
    std::fs::read(file).unwrap()
}

fn keen() -> Decoder {
    Decoder { secret: Some(Secret::default()), ..decoder() }
}

fn hashed(bytes: &[u8], decoder: &Decoder) -> Vec<Frame> {
    video::hash(bytes, FrameRate::Upload, decoder).unwrap().vpdq.frames
}

fn looked(input: Input<'_>, decoder: &Decoder) -> Vec<Frame> {
    let mut frames = Vec::new();
    looks(input, decoder, |look| {
        frames.push(look.frame);
        ControlFlow::Continue(())
    })
    .unwrap();
    frames
}

/// How many of the frames are of the scene.
fn shown(frames: &[Frame], scene: &[Frame]) -> usize {
    let is_of_it = |frame: &&Frame| {
        let near = |of: &&Frame| of.at_ms.abs_diff(frame.at_ms) <= 40;
        scene.iter().filter(near).any(|of| of.pdq.distance(&frame.pdq) < MAX_DISTANCE)
    };
    frames.iter().filter(is_of_it).count()
}

#[test]
fn what_hides_behind_a_frame_in_each_half_second_is_seen() {
    if !has_ffmpeg() {
        return;
    }
    let scene = video::hash(&film(false), FrameRate::Every, &decoder()).unwrap().vpdq.frames;
    let hidden = film(true);
    // Who knows the moments hides everything.
    let known = hashed(&hidden, &decoder());
    assert_eq!((known.len(), shown(&known, &scene)), (2 * SECONDS as usize, 0));
    // At one in twelve frames a moment drawn by lot is seldom one that is hidden.
    let keen = keen();
    for frames in [hashed(&hidden, &keen), looked(Input::Bytes(&hidden), &keen)] {
        assert_eq!(frames.len(), 2 * SECONDS as usize, "it costs as much");
        assert!(shown(&frames, &scene) >= SECONDS as usize / 2, "{frames:?}");
    }
    let stream = Input::Reader(Box::new(Cursor::new(as_stream(&hidden))));
    assert!(shown(&looked(stream, &keen), &scene) >= SECONDS as usize / 2);
}

/// As a broadcast, which can be decoded while it comes.
fn as_stream(bytes: &[u8]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let (from, to) = (place.path().join("from.mp4"), place.path().join("to.mkv"));
    std::fs::write(&from, bytes).unwrap();
    let mut ffmpeg = Command::new(decoder().ffmpeg);
    ffmpeg.args(["-v", "error", "-i"]).arg(&from).args(["-c", "copy"]).arg(&to);
    assert!(ffmpeg.status().unwrap().success());
    std::fs::read(to).unwrap()
}

#[test]
fn a_file_is_looked_at_in_the_same_moments_again_and_another_one_in_others() {
    if !has_ffmpeg() {
        return;
    }
    let (film, keen) = (film(false), keen());
    let times = |bytes: &[u8], decoder: &Decoder| -> Vec<u32> {
        hashed(bytes, decoder).iter().map(|frame| frame.at_ms).collect()
    };
    let first = times(&film, &keen);
    assert_eq!(times(&film, &keen), first);
    let of_looks: Vec<u32> =
        looked(Input::Bytes(&film), &keen).iter().map(|frame| frame.at_ms).collect();
    assert_eq!(of_looks, first);
    // One more byte behind it, or another node.
    let longer = [&film[..], &[0]].concat();
    assert_ne!(times(&longer, &keen), first);
    assert_ne!(times(&film, &self::keen()), first);
    // The first frame of each second stays: references that others make have that one.
    for (second, pair) in (0..).zip(first.chunks(2)) {
        let [whole, drawn] = [pair[0], pair[1]].map(|at_ms| at_ms - second * 1_000);
        assert!(whole == 0 && (240..=780).contains(&drawn), "{first:?}");
    }
}
