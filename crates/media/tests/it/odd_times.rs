//! Videos whose times, rates or sizes are odd are looked at all the same: no frame hides behind another.

use std::io::Cursor;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::process::Command;

use watchfire_media::video::{FrameRate, Input, MAX_STALL, Pace, Streamed, Streaming, stream};
use watchfire_signal::vpdq::Frame;

use crate::videos::{decoder, has_ffmpeg, hashed};

fn two_a_second() -> Streaming {
    Streaming { pace: Pace::PerSecond(NonZeroU32::new(2).unwrap()), stall: MAX_STALL }
}

/// A file that ffmpeg makes.
fn made(arguments: &[&str], ending: &str) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("made").with_extension(ending);
    let mut ffmpeg = Command::new(decoder().ffmpeg);
    assert!(ffmpeg.args(["-v", "error"]).args(arguments).arg(&file).status().unwrap().success());
    std::fs::read(file).unwrap()
}

fn drawn(size: &str, rate: u32, seconds: f32, codec: &[&str], ending: &str) -> Vec<u8> {
    let picture = format!("testsrc2=size={size}:rate={rate}:duration={seconds}");
    made(&[&["-f", "lavfi", "-i", &picture, "-c:v"], codec].concat(), ending)
}

/// What a video shows by way of a pipe: each frame with its width.
fn piped(bytes: Vec<u8>) -> (Vec<(Frame, u32)>, Streamed) {
    let mut frames = Vec::new();
    let reader = Input::Reader(Box::new(Cursor::new(bytes)));
    let streamed = stream(reader, two_a_second(), &decoder(), |seen| {
        frames.push((seen.frame, seen.picture.width()));
        ControlFlow::Continue(())
    });
    (frames, streamed.unwrap())
}

fn ascend(frames: &[(Frame, u32)]) {
    assert!(frames.windows(2).all(|pair| pair[0].0.at_ms < pair[1].0.at_ms), "{frames:?}");
}

/// Ten seconds at 10 frames a second, then a second of black at 3,000.
fn fast_at_the_end() -> Vec<u8> {
    let slow = "testsrc2=size=96x64:rate=10:duration=10";
    let fast = "color=black:size=96x64:rate=3000:duration=1";
    let joined = "[0]settb=1/3000[a];[1]settb=1/3000[b];[a][b]concat";
    let inputs = ["-f", "lavfi", "-i", slow, "-f", "lavfi", "-i", fast, "-filter_complex", joined];
    let times = ["-fps_mode", "passthrough", "-enc_time_base", "1:3000"];
    let codec = ["-c:v", "mpeg4", "-video_track_timescale", "3000"];
    made(&[&inputs[..], &times, &codec].concat(), "mp4")
}

#[test]
fn a_second_of_very_many_frames_does_not_hide_the_others() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = fast_at_the_end();
    let two = hashed(&bytes, FrameRate::PerSecond(NonZeroU32::new(2).unwrap())).vpdq.frames;
    let times: Vec<u32> =
        two.iter().map(|frame| frame.at_ms).take_while(|at| *at < 10_000).collect();
    assert_eq!(times, (0..20).map(|half| half * 500).collect::<Vec<u32>>());
    assert!(two.len() < 40, "{}", two.len());
    // A reference has as many frames of each second, whatever the rate of the others is.
    let at_most = NonZeroU32::new(100).unwrap();
    let thinned = hashed(&bytes, FrameRate::Reference { part: None, at_most }).vpdq.frames;
    let slow = thinned.iter().filter(|frame| frame.at_ms < 10_000).count();
    assert!(thinned.len() <= 100 && slow > 60, "{slow} of {}", thinned.len());
}

#[test]
fn what_comes_after_an_encoder_was_started_anew_is_seen_behind_the_rest() {
    if !has_ffmpeg() {
        return;
    }
    let [mut bytes, again] =
        [30.0, 10.0].map(|seconds| drawn("96x64", 30, seconds, &["flv1", "-g", "30"], "flv"));
    // Without its header of 9 bytes and the size of a tag before the first.
    bytes.extend(&again[13..]);
    let (frames, streamed) = piped(bytes);
    assert_eq!(frames.len(), 80);
    assert!((39_000..41_000).contains(&streamed.last_ms), "{streamed:?}");
    ascend(&frames);
}

#[test]
fn a_first_frame_that_claims_to_be_late_does_not_hide_the_others() {
    if !has_ffmpeg() {
        return;
    }
    let plain = drawn("96x64", 10, 10.0, &["mjpeg"], "mkv");
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("from");
    std::fs::write(&from, plain).unwrap();
    let late = "setts=pts=if(eq(N\\,0)\\,PTS+100000\\,PTS):dts=DTS";
    let bytes = made(&["-i", from.to_str().unwrap(), "-c", "copy", "-bsf:v", late], "mkv");
    let (frames, _) = piped(bytes.clone());
    assert_eq!(frames.len(), 20);
    ascend(&frames);
    let two = FrameRate::PerSecond(NonZeroU32::new(2).unwrap());
    assert_eq!(hashed(&bytes, two).vpdq.frames.len(), 20);
}

/// Frames of VP8 in IVF: size and time before each.
fn ivf_frames(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = &bytes[32..];
    let mut frames = Vec::new();
    while let Some((size, behind)) = rest.split_first_chunk::<4>() {
        let size = u32::from_le_bytes(*size) as usize;
        frames.push(&behind[8..8 + size]);
        rest = &behind[8 + size..];
    }
    frames
}

#[test]
fn a_tiny_first_frame_does_not_make_the_others_small() {
    if !has_ffmpeg() {
        return;
    }
    let [tiny, large] = [("16x16", 0.1), ("320x240", 2.0)]
        .map(|(size, seconds)| drawn(size, 10, seconds, &["libvpx"], "ivf"));
    let mut joined = tiny[..32].to_vec();
    for (number, frame) in (0_u64..).zip(ivf_frames(&tiny).into_iter().chain(ivf_frames(&large))) {
        joined.extend((frame.len() as u32).to_le_bytes());
        joined.extend(number.to_le_bytes());
        joined.extend(frame);
    }
    let place = tempfile::tempdir().unwrap();
    let [from, plain] = ["joined.ivf", "plain.ivf"].map(|name| place.path().join(name));
    std::fs::write(&from, joined).unwrap();
    std::fs::write(&plain, large).unwrap();
    let [bytes, plain] =
        [from, plain].map(|from| made(&["-i", from.to_str().unwrap(), "-c", "copy"], "webm"));
    let (frames, _) = piped(bytes.clone());
    let widths: Vec<u32> = frames.iter().map(|(_, width)| *width).collect();
    assert_eq!(widths, [16, 320, 320, 320, 320]);
    // The large frames hash as they do without the tiny one.
    let (joined, plain) = (
        hashed(&bytes, FrameRate::Every).vpdq.frames,
        hashed(&plain, FrameRate::Every).vpdq.frames,
    );
    assert_eq!((joined.len(), plain.len()), (21, 20));
    assert!(joined[1..].iter().zip(&plain).all(|(frame, alone)| frame.pdq == alone.pdq));
}
