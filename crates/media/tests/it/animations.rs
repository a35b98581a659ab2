//! Pictures that move are looked at frame by frame, as they are shown, and hostile ones are bounded.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use image::codecs::gif::{GifEncoder, Repeat};
use image::imageops::{FilterType, resize};
use image::{Delay, Frame, RgbaImage};
use proptest::prelude::*;
use watchfire_media::animation::{self, Animation, AnimationError, MAX_PICTURES};
use watchfire_media::hash::{Content, HashError, Hashed, Options, Workspace, hash};
use watchfire_media::picture;
use watchfire_media::video::{Decoder, FrameRate, PLAIN_RATES, Stop};
use watchfire_signal::features::Depth;
use watchfire_signal::pdq::Pdq;
use watchfire_signal::value::{Kind, Signal, Value, ValueOrBlob};

use crate::corpus;

/// As uploads are looked at.
fn options() -> Options {
    let executable = env!("CARGO_BIN_EXE_media-sandbox").into();
    Options {
        picture: picture::Limits::default(),
        animation: animation::Limits::default(),
        video: Decoder::new(executable, std::env::temp_dir()),
        rate: FrameRate::PerSecond(NonZeroU32::new(2).unwrap()),
        sound_rates: &PLAIN_RATES,
        edits: false,
    }
}

/// Pictures of which the first is a photograph and each other one a part of it.
fn scenes(count: u32) -> Vec<RgbaImage> {
    let photo = image::load_from_memory(&corpus::file("pdq/images/shrink-a-lot.jpg")).unwrap();
    let photo = resize(&photo.to_rgba8(), 400, 300, FilterType::Triangle);
    let part = |number| {
        let (left, top) = (number * 37 % 240, number * 53 % 180);
        let part = image::imageops::crop_imm(&photo, left, top, 160, 120).to_image();
        resize(&part, 128, 96, FilterType::Triangle)
    };
    let whole = resize(&photo, 128, 96, FilterType::Triangle);
    std::iter::once(whole).chain((1..count).map(part)).collect()
}

/// A GIF of pictures, each with the milliseconds that it asks for.
fn gif(pictures: impl IntoIterator<Item = (RgbaImage, u32)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder.set_repeat(Repeat::Finite(3)).unwrap();
    for (picture, ms) in pictures {
        let delay = Delay::from_numer_denom_ms(ms, 1);
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).unwrap();
    }
    drop(encoder);
    bytes
}

fn moving(hashed: &Hashed) -> Option<&Animation> {
    match &hashed.content {
        Content::Picture(picture) => picture.moving.as_ref(),
        _ => None,
    }
}

fn hashed(bytes: &[u8]) -> Hashed {
    hash(bytes, &options()).unwrap()
}

/// The hash of a picture that does not move, as GIF makes it.
fn still(picture: &RgbaImage) -> Pdq {
    match hashed(&gif([(picture.clone(), 100)])).content {
        Content::Picture(picture) => picture.pdq,
        other => panic!("{other:?}"),
    }
}

fn kinds(signals: &[Signal]) -> Vec<Kind> {
    signals.iter().map(Signal::kind).collect()
}

fn has(signals: &[Signal], pdq: Pdq) -> bool {
    let near = |signal: &Signal| match signal.value {
        ValueOrBlob::Value(Value::Pdq(other)) => other.distance(&pdq) <= 10,
        _ => false,
    };
    signals.iter().any(near)
}

/// Made by ffmpeg; `None` where it cannot write the format.
fn made_by_ffmpeg(from: &Path, name: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join(name);
    let run = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(from)
        .args(arguments)
        .arg(&to)
        .status();
    let written = run.is_ok_and(|status| status.success()).then(|| std::fs::read(&to).ok());
    written.flatten().or_else(|| {
        println!("SKIPPED: ffmpeg writes no {name} here");
        None
    })
}

#[test]
fn each_picture_that_is_shown_counts_and_all_of_them_are_a_video() {
    let scenes = scenes(4);
    let bytes = gif(scenes.iter().cloned().map(|scene| (scene, 700)));
    let signals = hashed(&bytes).signals(None);
    let expected =
        [Kind::Sha256, Kind::Md5, Kind::Pdq, Kind::Pdq, Kind::Pdq, Kind::Pdq, Kind::Vpdq];
    assert_eq!(kinds(&signals), expected);
    for scene in &scenes {
        assert!(has(&signals, still(scene)));
    }
    let hashed = hashed(&bytes);
    let moving = moving(&hashed).unwrap();
    assert_eq!((moving.frames, moving.duration_ms), (4, 2_800));
    let times: Vec<_> = moving.vpdq.frames.iter().map(|frame| frame.at_ms).collect();
    assert_eq!(times, [0, 700, 1_400, 2_100]);
}

#[test]
fn a_reference_is_known_by_its_first_frame_and_its_frames_in_time() {
    let bytes = gif(scenes(5).into_iter().map(|scene| (scene, 100)));
    let at_most = NonZeroU32::new(3_600).unwrap();
    let rate = FrameRate::Reference { part: None, at_most };
    let reference = hash(&bytes, &Options { edits: true, rate, ..options() }).unwrap();
    assert_eq!(moving(&reference).unwrap().vpdq.frames.len(), 5, "every frame");
    let signals = reference.signals(None);
    let shown: Vec<_> =
        kinds(&signals).into_iter().filter(|kind| *kind != Kind::Features).collect();
    assert_eq!(shown, [Kind::Sha256, Kind::Md5, Kind::Pdq, Kind::Vpdq]);
}

#[test]
fn what_shows_one_picture_has_the_signals_of_a_still_one() {
    let [scene, other] = <[_; 2]>::try_from(scenes(2)).unwrap();
    let once = hashed(&gif([(scene.clone(), 0)]));
    assert_eq!(moving(&once), None);
    assert_eq!(kinds(&once.signals(None)), [Kind::Sha256, Kind::Md5, Kind::Pdq]);
    let again = hashed(&gif([(scene.clone(), 50), (scene.clone(), 50)])).signals(None);
    assert_eq!(kinds(&again), [Kind::Sha256, Kind::Md5, Kind::Pdq]);
    // Two pictures are found as such; as a video they are too few.
    let two = hashed(&gif([(scene, 50), (other, 50)])).signals(None);
    assert_eq!(kinds(&two), [Kind::Sha256, Kind::Md5, Kind::Pdq, Kind::Pdq]);
}

#[test]
fn webp_and_png_that_move_are_looked_at_too() {
    let gif = gif(scenes(4).into_iter().map(|scene| (scene, 500)));
    let expected = hashed(&gif);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moving.gif");
    std::fs::write(&file, gif).unwrap();
    let png = made_by_ffmpeg(&file, "moving.png", &["-f", "apng", "-pix_fmt", "rgb24"]);
    let webp = made_by_ffmpeg(&file, "moving.webp", &["-c:v", "libwebp_anim", "-lossless", "1"]);
    for (name, bytes) in [("apng", png), ("webp", webp)] {
        let Some(bytes) = bytes else { continue };
        let found = hashed(&bytes);
        let (found, expected) = (moving(&found).unwrap(), moving(&expected).unwrap());
        assert_eq!((found.frames, found.pictures.len()), (4, 3), "{name}");
        for (one, other) in found.vpdq.frames.iter().zip(&expected.vpdq.frames) {
            assert!(one.pdq.distance(&other.pdq) <= 4, "{name}");
            assert!(one.at_ms.abs_diff(other.at_ms) <= 40, "{name}: {one:?}");
        }
    }
}

/// The one frame of such an APNG is shown where pictures move, and its own picture where they do not.
#[test]
fn a_png_whose_only_frame_is_another_picture_shows_both() {
    let [own, other] = <[_; 2]>::try_from(scenes(2)).unwrap();
    let bytes = png_with_one_frame(&own, &other);
    let signals = hashed(&bytes).signals(None);
    assert_eq!(kinds(&signals), [Kind::Sha256, Kind::Md5, Kind::Pdq, Kind::Pdq]);
    assert!(has(&signals, still(&own)) && has(&signals, still(&other)));
}

fn png_with_one_frame(own: &RgbaImage, frame: &RgbaImage) -> Vec<u8> {
    let chunks = |picture: &RgbaImage| {
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, image::ImageFormat::Png).unwrap();
        let (file, mut at, mut chunks) = (file.into_inner(), 8, Vec::new());
        while at < file.len() {
            let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
            chunks.push((file[at + 4..at + 8].to_vec(), file[at + 8..at + 8 + length].to_vec()));
            at += length + 12;
        }
        chunks
    };
    let number = |number: u32| number.to_be_bytes();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks(own) {
        if name == b"IEND" {
            let control =
                [number(0), number(frame.width()), number(frame.height()), [0; 4], [0; 4]];
            chunk(&mut bytes, b"fcTL", &[control.as_flattened(), &[0, 1, 0, 1, 0, 0]].concat());
            let data = chunks(frame).into_iter().filter(|(name, _)| name == b"IDAT");
            for (place, (_, data)) in (1..).zip(data) {
                chunk(&mut bytes, b"fdAT", &[&number(place)[..], &data].concat());
            }
        }
        chunk(&mut bytes, &name, &data);
        if name == b"IHDR" {
            chunk(&mut bytes, b"acTL", &[number(1), number(0)].concat());
        }
    }
    bytes
}

fn chunk(bytes: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    let crc = |bytes: &[u8]| {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        };
        !bytes.iter().fold(!0, step)
    };
    let body = [name, data].concat();
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend(&body);
    bytes.extend(crc(&body).to_be_bytes());
}

#[test]
fn a_frame_that_asks_for_no_time_is_shown_as_browsers_show_it() {
    let bytes = gif(scenes(6).into_iter().zip([0, 10, 20, 0, 0, 0]));
    let hashed = hashed(&bytes);
    assert_eq!(moving(&hashed).unwrap().duration_ms, 520);
}

#[test]
fn what_a_file_shows_before_it_ends_too_early_counts() {
    let scenes = scenes(4);
    let whole = gif(scenes.iter().cloned().map(|scene| (scene, 600)));
    let signals = hashed(&whole[..whole.len() * 7 / 8]).signals(None);
    assert!(has(&signals, still(&scenes[1])) && has(&signals, still(&scenes[2])));
    assert!(!has(&signals, still(&scenes[3])));
    // Bytes that are no frame end it, as in browsers.
    let mut odd = whole;
    odd.pop();
    odd.extend([0; 20]);
    assert!(has(&hashed(&odd).signals(None), still(&scenes[3])));
    let one = gif([(scenes[0].clone(), 0)]);
    let odd = [&one[..one.len() - 1], &[7; 20]].concat();
    assert_eq!(moving(&hashed(&odd)), None);
}

/// A browser may go on behind it.
#[test]
fn a_frame_that_cannot_be_decoded_is_refused() {
    let scenes = scenes(3);
    let parts: Vec<_> = (1..=3)
        .map(|count| gif(scenes[..count].iter().cloned().map(|scene| (scene, 600))).len())
        .collect();
    let mut bytes = gif(scenes.into_iter().map(|scene| (scene, 600)));
    // In the middle of what the second frame has of its own.
    let middle = usize::midpoint(parts[0], parts[1]);
    bytes[middle..middle + 60].fill(0xff);
    let refused = hash(&bytes, &options()).unwrap_err();
    assert!(matches!(refused, HashError::Animation(AnimationError::Frame(_))), "{refused:?}");
    assert!(!refused.is_ours());
}

#[test]
fn a_frame_of_one_pixel_changes_what_was_shown_before() {
    let [first, second] = <[_; 2]>::try_from(scenes(2)).unwrap();
    let dot = RgbaImage::from_pixel(1, 1, image::Rgba([9, 9, 9, 255]));
    let frames = [first.clone(), dot.clone(), second.clone(), dot];
    let signals = hashed(&gif(frames.map(|frame| (frame, 300)))).signals(None);
    assert!(has(&signals, still(&first)) && has(&signals, still(&second)));
}

#[test]
fn thousands_of_frames_hide_none_that_is_seen_and_give_no_more_pictures_than_are_allowed() {
    let scenes = scenes(120);
    let known = scenes[119].clone();
    let flood = scenes[..118].iter().cloned().cycle().take(600).map(|scene| (scene, 20));
    let frames = flood.clone().take(280).chain([(known.clone(), 2_000)]).chain(flood.skip(280));
    let hashed = hashed(&gif(frames));
    let moving = moving(&hashed).unwrap();
    assert!(moving.pictures.len() <= MAX_PICTURES && moving.frames == 601);
    assert!(has(&hashed.signals(None), still(&known)));
}

#[test]
fn what_needs_more_than_is_allowed_is_refused_and_not_looked_at_in_part() {
    let bytes = gif(scenes(4).into_iter().map(|scene| (scene, 100)));
    let usual = animation::Limits::default();
    let pixels = 128 * 96;
    let cases = [
        animation::Limits { max_frames: 3, ..usual },
        animation::Limits { max_frame_pixels: pixels - 1, ..usual },
        animation::Limits { max_all_pixels: 3 * pixels, ..usual },
        animation::Limits { max_time: Duration::ZERO, ..usual },
    ];
    for limits in cases {
        let refused = hash(&bytes, &Options { animation: limits, ..options() }).unwrap_err();
        let HashError::Animation(why) = &refused else { panic!("{refused:?}") };
        let slow = limits.max_time.is_zero();
        assert!(matches!(why, AnimationError::TooSlow(_)) == slow, "{why}");
        assert!(slow || matches!(why, AnimationError::TooLarge(_)), "{why}");
        assert!(!refused.is_ours());
    }
    let just = animation::Limits { max_frames: 4, max_all_pixels: 4 * pixels, ..usual };
    assert!(hash(&bytes, &Options { animation: just, ..options() }).is_ok());
}

#[test]
fn what_nobody_waits_for_is_given_up() {
    let bytes = gif(scenes(2).into_iter().map(|scene| (scene, 100)));
    let options = options();
    options.video.stop.stop();
    let stopped = hash(&bytes, &options).unwrap_err();
    assert!(stopped.is_ours(), "{stopped}");
}

#[test]
fn edited_copies_are_looked_for_in_the_frames_that_are_listed() {
    let bytes = gif(scenes(4).into_iter().map(|scene| (scene, 250)));
    let hashed = hashed(&bytes);
    let moving = moving(&hashed).unwrap();
    let mut seen = Vec::new();
    let limits = animation::Limits::default();
    let look = |each: &mut dyn FnMut(animation::Look) -> ControlFlow<()>| {
        animation::looks(&bytes, moving, (&limits, &Stop::default()), Depth::Features, each)
    };
    look(&mut |look| {
        seen.push((look.frame, look.views.pictures.len()));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(seen.iter().all(|(_, pictures)| *pictures > 0), "{seen:?}");
    let frames: Vec<_> = seen.into_iter().map(|(frame, _)| frame).collect();
    assert_eq!(frames, moving.vpdq.frames);
    let mut count = 0;
    look(&mut |_| {
        count += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(count, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_a_file_ends_or_errs(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let [one, other] = <[_; 2]>::try_from(scenes(2)).unwrap();
        let mut files = vec![gif([(one.clone(), 0), (other.clone(), 20)])];
        files.push(png_with_one_frame(&one, &other));
        for mut bytes in files {
            for (place, byte) in &places {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            let mut workspace = Workspace::default();
            let _ = workspace.hash(&bytes, &options());
        }
    }
}
