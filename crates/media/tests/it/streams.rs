//! Streams of video give their frames while they come, in constant memory, and end when they stall.

use std::io::{self, Cursor, Read};
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use watchfire_media::video::{
    FrameRate, Input, MAX_STALL, Pace, Streamed, Streaming, VideoError, stream,
};
use watchfire_signal::pdq::{MAX_DISTANCE, MIN_QUALITY};
use watchfire_signal::vpdq::Frame;

use crate::corpus;
use crate::videos::{CLIP, decoder, drawn, has_ffmpeg, hashed};

fn per_second(frames: u32) -> Streaming {
    Streaming { pace: Pace::PerSecond(NonZeroU32::new(frames).unwrap()), stall: MAX_STALL }
}

fn keyframes() -> Streaming {
    Streaming { pace: Pace::Keyframes, stall: MAX_STALL }
}

fn seen(input: Input<'_>, streaming: Streaming) -> Result<(Vec<Frame>, Streamed), VideoError> {
    let mut frames = Vec::new();
    let streamed = stream(input, streaming, &decoder(), |seen| {
        frames.push(seen.frame);
        ControlFlow::Continue(())
    })?;
    assert_eq!(streamed.frames as usize, frames.len());
    Ok((frames, streamed))
}

/// The video in another container, without decoding it.
fn repacked(bytes: &[u8], arguments: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let (from, to) = (place.path().join("from"), place.path().join("to"));
    std::fs::write(&from, bytes).unwrap();
    let mut ffmpeg = std::process::Command::new(decoder().ffmpeg);
    ffmpeg.args(["-v", "error", "-i"]).arg(&from).args(["-c", "copy"]).args(arguments);
    assert!(ffmpeg.arg(&to).status().unwrap().success());
    std::fs::read(to).unwrap()
}

/// A video as it is broadcast.
fn broadcast(seconds: u32) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("to");
    let picture = format!("testsrc2=size=96x64:rate=30:duration={seconds}");
    let mut ffmpeg = std::process::Command::new(decoder().ffmpeg);
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", &picture, "-c:v", "mpeg2video", "-g", "15"]);
    assert!(ffmpeg.args(["-f", "mpegts"]).arg(&to).status().unwrap().success());
    std::fs::read(to).unwrap()
}

#[test]
fn grey_frames_hash_close_to_those_in_colour() {
    if !has_ffmpeg() {
        return;
    }
    for folder in corpus::folders() {
        for clip in std::fs::read_dir(folder.join("vpdq/videos")).unwrap() {
            let clip = clip.unwrap().path();
            let bytes = std::fs::read(&clip).unwrap();
            let full = hashed(&bytes, FrameRate::Every).vpdq.frames;
            let references = Pace::References(NonZeroU32::new(2).unwrap());
            let references = Streaming { pace: references, stall: MAX_STALL };
            for streaming in [per_second(1_000), references, keyframes()] {
                let (frames, _) = seen(Input::Bytes(&bytes), streaming).unwrap();
                let (mut worst, mut sum, mut good) = (0, 0, 0);
                for frame in &frames {
                    let same = full.iter().min_by_key(|full| full.at_ms.abs_diff(frame.at_ms));
                    let same = same.unwrap();
                    assert!(same.at_ms.abs_diff(frame.at_ms) <= 20, "{frame:?} is {same:?}");
                    if same.quality >= MIN_QUALITY {
                        let distance = frame.pdq.distance(&same.pdq);
                        assert!(distance < MAX_DISTANCE, "{clip:?}: {distance} at {frame:?}");
                        (worst, sum, good) = (worst.max(distance), sum + distance, good + 1);
                    }
                    assert!(frame.quality.abs_diff(same.quality) <= 8, "{frame:?} is {same:?}");
                }
                let mean = f64::from(sum) / f64::from(good.max(1));
                let name = clip.file_stem().unwrap().display();
                let (count, pace) = (frames.len(), streaming.pace);
                println!("{name}: {pace:?}: {count} frames, distance {mean:.2}, at most {worst}");
            }
        }
    }
}

#[test]
fn two_frames_a_second_are_the_first_of_each_half() {
    if !has_ffmpeg() {
        return;
    }
    let (frames, streamed) = seen(Input::Bytes(&drawn(4, 30)), per_second(2)).unwrap();
    let times: Vec<u32> = frames.iter().map(|frame| frame.at_ms).collect();
    assert_eq!(times, [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500]);
    assert_eq!((streamed.last_ms, streamed.longest_gap_ms), (3_500, 500));
    let (frames, _) = seen(Input::Bytes(&drawn(4, 30)), keyframes()).unwrap();
    assert_eq!(frames.len(), 1, "only the first frame of it is whole");
}

#[test]
fn a_pipe_gives_the_frames_of_the_same_file() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = corpus::file(CLIP);
    let (file, _) = seen(Input::Bytes(&bytes), per_second(2)).unwrap();
    assert!(file.len() >= 10);
    let fragmented = ["-movflags", "frag_keyframe+empty_moov", "-f", "mp4"];
    let index_first = ["-movflags", "faststart", "-f", "mp4"];
    for arguments in [&["-f", "mpegts"][..], &["-f", "matroska"], &fragmented, &index_first] {
        let repacked = repacked(&bytes, arguments);
        let (frames, _) = seen(Input::Bytes(&repacked), per_second(2)).unwrap();
        let reader = Input::Reader(Box::new(Cursor::new(repacked)));
        assert_eq!(seen(reader, per_second(2)).unwrap().0, frames, "{arguments:?}");
        for (frame, of_file) in frames.iter().zip(&file) {
            assert!(frame.pdq.distance(&of_file.pdq) < MAX_DISTANCE, "{arguments:?}: {frame:?}");
        }
    }
}

#[test]
fn an_mp4_with_its_index_at_the_end_is_refused_from_a_pipe_at_once() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = drawn(4, 30);
    // More never comes: the error is known before the end.
    let endless = Cursor::new(bytes).chain(Blocked(mpsc::channel().1, Cursor::default()));
    let refused = seen(Input::Reader(Box::new(endless)), per_second(2));
    assert!(matches!(refused, Err(VideoError::IndexAtEnd)), "{refused:?}");
}

/// A reader that has what is sent to it, and waits for more until the sender is gone.
struct Blocked(mpsc::Receiver<Vec<u8>>, Cursor<Vec<u8>>);

impl Read for Blocked {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.1.position() == self.1.get_ref().len() as u64 {
            match self.0.recv() {
                Ok(bytes) => self.1 = Cursor::new(bytes),
                Err(_) => return Ok(0),
            }
        }
        self.1.read(to)
    }
}

#[test]
fn a_live_stream_gives_frames_before_it_ends() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = broadcast(60);
    let (first, second) = bytes.split_at(bytes.len() / 4 * 3);
    let (send, receive) = mpsc::channel();
    send.send(first.to_vec()).unwrap();
    let reader = Input::Reader(Box::new(Blocked(receive, Cursor::default())));
    let mut rest = Some((send, second.to_vec()));
    let mut last = 0;
    let streamed = stream(reader, per_second(2), &decoder(), |seen| {
        last = seen.frame.at_ms;
        // The rest is sent only once a frame has come: without that, the stream would stall.
        if let Some((send, second)) = rest.take() {
            send.send(second).unwrap();
        }
        ControlFlow::Continue(())
    });
    assert!(streamed.unwrap().frames >= 118 && last >= 59_000, "{last}");
}

#[test]
fn a_stream_that_stands_still_is_ended_and_says_so() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = broadcast(4);
    let (send, receive) = mpsc::channel();
    send.send(bytes).unwrap();
    let reader = Input::Reader(Box::new(Blocked(receive, Cursor::default())));
    let streaming = Streaming { stall: Duration::from_millis(700), ..per_second(2) };
    let stalled = stream(reader, streaming, &decoder(), |_| ControlFlow::Continue(()));
    assert!(matches!(stalled, Err(VideoError::Stalled(_))), "{stalled:?}");
    drop(send);
}

#[test]
fn a_caller_may_take_longer_than_a_stream_may_stand_still() {
    if !has_ffmpeg() {
        return;
    }
    let streaming = Streaming { stall: Duration::from_millis(700), ..per_second(2) };
    // More frames than a pipe holds, so that the decoder waits too.
    let (_busy, never) = mpsc::channel::<()>();
    let streamed = stream(Input::Bytes(&drawn(60, 30)), streaming, &decoder(), |seen| {
        if seen.frame.number == 1 {
            let _ = never.recv_timeout(Duration::from_millis(2_500));
        }
        ControlFlow::Continue(())
    });
    assert_eq!(streamed.unwrap().frames, 120);
}

#[test]
fn a_caller_who_has_seen_enough_breaks_off() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = drawn(20, 30);
    let streamed = stream(Input::Bytes(&bytes), per_second(2), &decoder(), |seen| {
        if seen.frame.at_ms >= 1_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let streamed = streamed.unwrap();
    assert!(streamed.broken_off && streamed.frames == 3, "{streamed:?}");
}

#[test]
fn streams_that_are_none_are_refused() {
    let refused = |bytes: &'static [u8]| seen(Input::Reader(Box::new(bytes)), keyframes());
    assert!(matches!(refused(b""), Err(VideoError::Empty)));
    assert!(matches!(refused(b"#EXTM3U\n/etc/passwd\n"), Err(VideoError::NotAVideo)));
    assert!(matches!(seen(Input::Bytes(b"words"), keyframes()), Err(VideoError::NotAVideo)));
    if has_ffmpeg() {
        let refused = refused(b"\x1a\x45\xdf\xa3 and no Matroska");
        assert!(matches!(refused, Err(VideoError::Malformed(_) | VideoError::Truncated(_))));
    }
}

/// The most memory that this process has had, in kilobytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_video_of_three_hours_takes_no_more_memory_than_a_short_one() {
    if !has_ffmpeg() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("long.mkv");
    let mut ffmpeg = std::process::Command::new(decoder().ffmpeg);
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=1:duration=10800"]);
    assert!(ffmpeg.args(["-c:v", "mpeg4", "-g", "60"]).arg(&file).status().unwrap().success());
    let (short, _) = seen(Input::Bytes(&drawn(4, 30)), per_second(2)).unwrap();
    assert_eq!(short.len(), 8);
    let before = peak_memory();
    let file: &Path = &file;
    let streamed =
        stream(Input::File(file), per_second(2), &decoder(), |_| ControlFlow::Continue(()));
    let streamed = streamed.unwrap();
    assert_eq!((streamed.frames, streamed.last_ms), (10_800, 10_799_000));
    let grown = peak_memory() - before;
    assert!(grown < 4_096, "{grown} kB more");
}
