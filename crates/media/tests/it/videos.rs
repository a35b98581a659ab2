//! Videos hash as the reference hashes them, and hostile ones are refused in time.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use watchfire_media::animation;
use watchfire_media::hash::{self, Content, Options};
use watchfire_media::picture;
use watchfire_media::sandbox::Sandbox;
use watchfire_media::video::{self, Decoder, FrameRate, Limits, Part, Stop, VideoError, VideoHash};
use watchfire_signal::pdq::{MAX_DISTANCE, MIN_QUALITY, Pdq};

use crate::corpus;

pub(crate) const CLIP: &str = "vpdq/videos/test-padded-dimensions.mp4";

pub(crate) fn decoder() -> Decoder {
    Decoder::new(env!("CARGO_BIN_EXE_media-sandbox").into(), std::env::temp_dir())
}

/// Without ffmpeg there is nothing to test here; that the error names it is tested below.
pub(crate) fn has_ffmpeg() -> bool {
    let present = decoder().ffmpeg.exists() && decoder().ffprobe.exists();
    if !present {
        println!("skipped: ffmpeg is not installed (apt-get install ffmpeg)");
    }
    present
}

fn limited(limits: Limits) -> Decoder {
    Decoder { limits, ..decoder() }
}

pub(crate) fn hashed(bytes: &[u8], rate: FrameRate) -> VideoHash {
    video::hash(bytes, rate, &decoder()).unwrap()
}

fn refused(bytes: &[u8], decoder: &Decoder) -> VideoError {
    let error = video::hash(bytes, FrameRate::Every, decoder).unwrap_err();
    println!("{error}");
    error
}

fn per_second(hashes: u32) -> FrameRate {
    FrameRate::PerSecond(NonZeroU32::new(hashes).unwrap())
}

/// Quality, hash and thousandths of a second of each line.
fn published(text: &str) -> Vec<(u8, Pdq, u32)> {
    text.lines()
        .map(|line| {
            let [_, quality, pdq, seconds] =
                line.split(',').collect::<Vec<_>>().try_into().unwrap();
            let ms = seconds.replace('.', "").parse().unwrap();
            (quality.parse().unwrap(), pdq.parse().unwrap(), ms)
        })
        .collect()
}

#[test]
fn every_published_video_hashes_as_the_reference_does() {
    if !has_ffmpeg() {
        return;
    }
    for folder in corpus::folders() {
        let mut clips: Vec<PathBuf> = std::fs::read_dir(folder.join("vpdq/videos"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        clips.sort();
        assert!(!clips.is_empty());
        for clip in clips {
            let name = clip.file_stem().unwrap().to_str().unwrap();
            let expected = folder.join("vpdq/hashes").join(name).with_extension("txt");
            let expected = published(&std::fs::read_to_string(expected).unwrap());
            let ours = hashed(&std::fs::read(&clip).unwrap(), FrameRate::Every);
            assert_eq!(ours.vpdq.frames.len(), expected.len(), "{name}");
            let (mut worst, mut sum) = (0, 0);
            for (frame, (quality, pdq, at_ms)) in ours.vpdq.frames.iter().zip(&expected) {
                assert!(frame.at_ms.abs_diff(*at_ms) <= 1, "{name}: {frame:?} at {at_ms}");
                if *quality >= MIN_QUALITY {
                    let distance = frame.pdq.distance(pdq);
                    assert!(distance < MAX_DISTANCE, "{name}: {frame:?} is {distance} off");
                    (worst, sum) = (worst.max(distance), sum + distance);
                }
            }
            let mean = f64::from(sum) / expected.len() as f64;
            println!("{name}: {} frames, distance {mean:.2}, at most {worst}", expected.len());
        }
    }
}

#[test]
fn two_hashes_a_second_are_those_of_every_fifteenth_frame() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = corpus::file(CLIP);
    let every = hashed(&bytes, FrameRate::Every);
    let some = hashed(&bytes, per_second(2));
    let step = every.rate.numerator / every.rate.denominator / 2;
    let expected: Vec<_> = every.vpdq.frames.iter().copied().step_by(step as usize).collect();
    assert_eq!(some.vpdq.frames, expected);
    assert!(some.duration_ms.abs_diff(5_000) < 100, "{}", some.duration_ms);
}

#[test]
fn one_way_in_hashes_pictures_and_videos() {
    let options = Options {
        picture: picture::Limits::default(),
        animation: animation::Limits::default(),
        video: decoder(),
        rate: per_second(1),
        sound_rates: &[],
        edits: false,
    };
    let picture = hash::hash(&corpus::file("pdq/images/square-128x128.jpg"), &options).unwrap();
    assert!(matches!(picture.content, Content::Picture(ref hash) if hash.width == 128));
    if has_ffmpeg() {
        let bytes = corpus::file(CLIP);
        let video = hash::hash(&bytes, &options).unwrap();
        assert!(matches!(video.content, Content::Video(ref hash) if hash.vpdq.frames.len() == 5));
        assert_eq!((video.sha256, video.md5), hash::digests(&bytes));
    }
    assert!(matches!(hash::hash(b"", &options), Err(hash::HashError::Empty)));
    assert!(matches!(hash::hash(b"words", &options), Err(hash::HashError::NotMedia)));
}

#[test]
fn a_missing_ffmpeg_is_named() {
    let decoder = Decoder { ffprobe: "/nowhere/ffprobe".into(), ..decoder() };
    let error = refused(&corpus::file(CLIP), &decoder).to_string();
    assert_eq!(error, "/nowhere/ffprobe is missing: apt-get install ffmpeg");
}

#[test]
fn videos_that_are_cut_or_none_are_refused_with_a_reason() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = corpus::file(CLIP);
    for cut in [12, 1000, bytes.len() / 2, bytes.len() - 1000] {
        let error = refused(&bytes[..cut], &decoder());
        assert!(
            matches!(error, VideoError::Truncated(_) | VideoError::Malformed(_)),
            "cut at {cut}: {error:?}",
        );
    }
    assert!(matches!(refused(b"", &decoder()), VideoError::Empty));
    assert!(matches!(refused(b"#EXTM3U\n/etc/passwd\n", &decoder()), VideoError::NotAVideo));
    let noise: Vec<u8> =
        (0..50_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let disguised: Vec<u8> =
        b"\0\0\0\x18ftypisom\0\0\x02\0isommp41".iter().copied().chain(noise).collect();
    refused(&disguised, &decoder());
}

#[test]
fn limits_on_frames_size_bytes_and_time_hold() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = corpus::file(CLIP);
    let too_large = |limits| matches!(refused(&bytes, &limited(limits)), VideoError::TooLarge(_));
    let usual = Limits::default();
    assert!(too_large(Limits { max_frames: 149, ..usual }));
    assert!(too_large(Limits { max_side: 100, ..usual }));
    assert!(too_large(Limits { max_pixels: 1_000, ..usual }));
    assert!(too_large(Limits { max_output_bytes: 1_000_000, ..usual }));
    let hasty = Limits { wall_time: Duration::from_millis(1), ..usual };
    assert!(matches!(refused(&bytes, &limited(hasty)), VideoError::TooSlow(_)));
    let poor = Sandbox { address_bytes: 16 * 1024 * 1024, ..decoder().sandbox };
    refused(&bytes, &Decoder { sandbox: poor, ..decoder() });
}

/// A video that takes seconds of processor time: two seconds of it, over and over.
fn laborious() -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let [once, often] = ["once.mp4", "often.mp4"].map(|name| place.path().join(name));
    let picture = "testsrc2=size=1280x720:rate=30:duration=2";
    let ffmpeg = || {
        let mut ffmpeg = std::process::Command::new(decoder().ffmpeg);
        ffmpeg.args(["-v", "error"]);
        ffmpeg
    };
    let drawn = ffmpeg().args(["-f", "lavfi", "-i", picture, "-c:v", "mpeg4"]).arg(&once).status();
    assert!(drawn.unwrap().success());
    let mut again = ffmpeg();
    again.args(["-stream_loop", "150", "-i"]).arg(&once).args(["-c", "copy"]).arg(&often);
    assert!(again.status().unwrap().success());
    std::fs::read(often).unwrap()
}

#[test]
fn a_video_that_needs_too_much_processor_time_is_told_so() {
    if !has_ffmpeg() {
        return;
    }
    let sandbox = Sandbox { cpu_seconds: 1, ..decoder().sandbox };
    let hasty = Decoder { sandbox, ..decoder() };
    let refused = video::hash(&laborious(), per_second(1), &hasty).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the video is too large: it needs too much processor time",
        "{refused:?}"
    );
}

#[test]
fn a_machine_of_many_processors_decodes_large_videos_within_the_memory() {
    if !has_ffmpeg() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("large.mp4");
    let mut ffmpeg = std::process::Command::new(decoder().ffmpeg);
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=3840x2160:rate=30:duration=3"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"]);
    assert!(ffmpeg.arg(&file).status().unwrap().success());
    let many = Decoder { threads: 64, ..decoder() };
    let hashed = video::hash(&std::fs::read(file).unwrap(), per_second(1), &many).unwrap();
    assert_eq!(hashed.vpdq.frames.len(), 3);
}

#[test]
fn a_decoder_that_never_ends_is_ended() {
    // In the place of ffprobe, the probe sleeps for ever.
    let folder = tempfile::tempdir().unwrap();
    let decoder = Decoder {
        ffprobe: env!("CARGO_BIN_EXE_media-sandbox").into(),
        scratch: folder.path().into(),
        limits: Limits { wall_time: Duration::from_millis(300), ..Limits::default() },
        ..decoder()
    };
    assert!(matches!(refused(&corpus::file(CLIP), &decoder), VideoError::TooSlow(_)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the copy was left behind");
}

/// A video that ffmpeg draws: its file.
pub(crate) fn drawn(seconds: u32, rate: u32) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("drawn.mp4");
    let picture = format!("testsrc2=size=96x64:rate={rate}:duration={seconds}");
    let mut ffmpeg = std::process::Command::new(decoder().ffmpeg);
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", &picture, "-c:v", "mpeg4", "-g", "500"]);
    assert!(ffmpeg.arg(&file).status().unwrap().success());
    std::fs::read(file).unwrap()
}

fn reference(part: Option<(u32, u32)>, at_most: u32) -> FrameRate {
    let part = part.map(|(start_ms, end_ms)| Part { start_ms, end_ms });
    FrameRate::Reference { part, at_most: NonZeroU32::new(at_most).unwrap() }
}

#[test]
fn a_part_hashes_as_the_same_frames_of_the_whole() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = drawn(4, 30);
    let whole = hashed(&bytes, FrameRate::Every).vpdq.frames;
    for (start, end) in [(0, 0), (1_000, 2_000), (33, 34), (3_500, 60_000), (0, 60_000)] {
        let part = hashed(&bytes, reference(Some((start, end)), 3_600)).vpdq.frames;
        let within = whole.iter().filter(|frame| (start..=end).contains(&frame.at_ms));
        assert_eq!(part, within.copied().collect::<Vec<_>>(), "{start} to {end}");
    }
    for nothing in [(5_000, 6_000), (1, 2)] {
        let refused = video::hash(&bytes, reference(Some(nothing), 3_600), &decoder());
        assert!(matches!(refused, Err(VideoError::EmptyPart)), "{nothing:?}: {refused:?}");
    }
}

#[test]
fn a_reference_with_too_many_frames_is_thinned_evenly() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = drawn(20, 30);
    let whole = hashed(&bytes, FrameRate::Every).vpdq.frames;
    let thinned = hashed(&bytes, reference(None, 100)).vpdq.frames;
    assert_eq!((whole.len(), thinned.len()), (600, 100));
    assert!(thinned.iter().all(|frame| whole[frame.number as usize] == *frame));
    let gaps = thinned.windows(2).map(|pair| pair[1].number - pair[0].number);
    assert_eq!(gaps.max(), Some(6));
}

#[test]
fn hashing_that_nobody_waits_for_ends_with_its_child() {
    if !has_ffmpeg() {
        return;
    }
    let bytes = drawn(4, 30);
    // Stopped before: the program that is started next is ended at once.
    let stopped = decoder();
    stopped.stop.stop();
    assert!(matches!(video::hash(&bytes, FrameRate::Every, &stopped), Err(VideoError::Stopped)));
    // Stopped while a program runs that would never end.
    let place = tempfile::tempdir().unwrap();
    let started = place.path().join("started");
    let slow = place.path().join("slow");
    std::process::Command::new("mkfifo").arg(&started).status().unwrap();
    let script = format!("#!/bin/sh\necho $$ >{}\nexec /bin/sleep 3600\n", started.display());
    std::fs::write(&slow, script).unwrap();
    std::fs::set_permissions(&slow, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let stop = Stop::default();
    let slow = Decoder { sandbox: Sandbox::new(slow), stop: stop.clone(), ..decoder() };
    let hashing = std::thread::spawn(move || video::hash(&bytes, FrameRate::Every, &slow));
    let pid = std::fs::read_to_string(&started).unwrap();
    stop.stop();
    assert!(matches!(hashing.join().unwrap(), Err(VideoError::Stopped)));
    assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "process {pid} is gone");
}
