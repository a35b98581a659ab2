//! Sound is found again after what people do to it, and other sound, silence and tones are not.

use std::{fs, path::Path, process::Command};

use crate::{
    program::{code, json, keys, run, words},
    trio::{MEMBERS, Trio},
};

/// Samples a second of the recordings made here.
const RATE: u32 = 22_050;

/// A made-up piece of music: two voices and a beat, other notes for another seed.
pub(crate) fn music(seed: u64, seconds: u32) -> Vec<i16> {
    let mut state = seed;
    let mut random = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut samples = Vec::new();
    while samples.len() < (seconds * RATE) as usize {
        let length = RATE as usize * (12 + random(20) as usize) / 100;
        let voices =
            [random(24), random(24) + 7].map(|note| 110.0 * 2_f64.powf(note as f64 / 12.0));
        let beat = random(3) == 0;
        for place in 0..length {
            let time = place as f64 / f64::from(RATE);
            let fade = (1.0 - place as f64 / length as f64).sqrt();
            let voice = |hertz: f64| {
                let turn = std::f64::consts::TAU * hertz * time;
                turn.sin() + 0.5 * (2.0 * turn).sin() + 0.3 * (3.0 * turn).sin()
            };
            let noise =
                if beat && place < 900 { random(20_000) as f64 / 10_000.0 - 1.0 } else { 0.0 };
            let sound =
                voices.iter().map(|hertz| voice(*hertz)).sum::<f64>() * fade / 5.0 + noise / 4.0;
            samples.push((sound * 20_000.0) as i16);
        }
    }
    samples.truncate((seconds * RATE) as usize);
    samples
}

pub(crate) fn wav(path: &Path, samples: &[i16]) {
    let data = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>();
    let length = data.len() as u32;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + length).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((2 * RATE).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(length.to_le_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

fn edited(from: &Path, to: &Path, filter: &str) {
    let status = Command::new("/usr/bin/ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(from)
        .args(["-af", filter])
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "ffmpeg {filter}");
}

#[test]
fn sound_is_found_after_edits_and_leads_to_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let original = music(7, 20);
    wav(&path("original.wav"), &original);
    let edits = [
        ("codec.mp3", "volume=0.5"),
        ("low.ogg", "lowpass=3000,volume=2"),
        ("echo.wav", "aecho=0.8:0.7:60:0.3"),
        ("faster.wav", "asetrate=24255,aresample=22050"),
        ("tempo.wav", "atempo=1.1"),
        ("phone.wav", "aresample=8000"),
        ("cinema.wav", "pan=5.1|FC=c0"),
        // Silence in one channel, and as loud as before for whoever hears it.
        ("turned-over.wav", "pan=stereo|c0=c0|c1=-1*c0"),
    ];
    for (name, filter) in edits {
        edited(&path("original.wav"), &path(name), filter);
    }
    let mut splice = music(99, 12);
    splice.extend(&original[8 * RATE as usize..16 * RATE as usize]);
    splice.extend(music(98, 12));
    wav(&path("splice.wav"), &splice);
    let refs = path("original.wav").display().to_string();
    for name in edits.map(|(name, _)| name).into_iter().chain(["splice.wav"]) {
        let file = path(name).display().to_string();
        let found = json(["match", "--refs", &refs, "--", &file]);
        let one = &found["matches"][0];
        assert_eq!(
            (&one["kind"], &one["method"]),
            (&"audio".into(), &"sound".into()),
            "{name}: {found}"
        );
        assert_eq!(one["decision"], "review", "sound alone is no proof: {name}");
        assert!(one["ber"].as_f64().unwrap() <= 0.25, "{name}: {one}");
        let expected =
            ["ber", "decision", "kind", "method", "query_span_ms", "ref", "ref_span_ms", "speed"];
        assert_eq!(keys(one), expected);
        if name == "splice.wav" {
            let at = |key: &str, side: &str| one[key][side].as_i64().unwrap();
            assert!((at("query_span_ms", "start_ms") - 12_000).abs() < 3_000, "{one}");
            assert!((at("ref_span_ms", "end_ms") - 16_000).abs() < 3_000, "{one}");
        }
        if name == "faster.wav" {
            assert!((one["speed"].as_f64().unwrap() - 1.1).abs() < 0.05, "{one}");
        }
    }
}

#[test]
fn other_music_silence_and_a_tone_are_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    wav(&path("silence.wav"), &vec![0; 20 * RATE as usize]);
    let tone = |place: u32| {
        let turn = std::f64::consts::TAU * 440.0 * f64::from(place) / f64::from(RATE);
        (turn.sin() * 12_000.0) as i16
    };
    wav(&path("tone.wav"), &(0..20 * RATE).map(tone).collect::<Vec<_>>());
    for seed in 1..5 {
        wav(&path(&format!("music-{seed}.wav")), &music(seed, 20));
    }
    let names =
        ["silence.wav", "tone.wav", "music-1.wav", "music-2.wav", "music-3.wav", "music-4.wav"];
    for name in names {
        let others = names
            .iter()
            .filter(|other| **other != name || name == "silence.wav" || name == "tone.wav");
        let mut arguments = vec!["match".to_owned(), "--refs".to_owned()];
        // Silence and a tone are not even taken for themselves, copied.
        for (number, other) in others.enumerate() {
            let copy = path(&format!("{number}-of-{name}"));
            edited(&path(other), &copy, "volume=0.9");
            arguments.push(copy.display().to_string());
        }
        arguments.extend(["--".to_owned(), path(name).display().to_string()]);
        let found = run(&arguments);
        assert_eq!(code(&found), 1, "{name}: {}", String::from_utf8_lossy(&found.stdout));
    }
}

#[test]
fn a_node_sends_an_upload_with_a_part_of_reported_sound_to_a_person() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let path = |name: &str| trio.dir("ant").join(name);
    let (whole, part, other) = (path("whole.wav"), path("part.wav"), path("other.wav"));
    let original = music(11, 20);
    wav(&whole, &original);
    wav(&path("cut.wav"), &original[6 * RATE as usize..15 * RATE as usize]);
    edited(&path("cut.wav"), &part, "asetrate=24255,aresample=22050");
    wav(&other, &music(12, 20));
    let raise = ["alert", "raise", "--label", "violence.graphic_death", "--severity", "2"];
    let raise = [&raise[..], &[whole.to_str().unwrap()]].concat();
    trio.until("ant raises", || trio.ask("ant", &raise));
    let scan = |file: &Path| {
        let scan = ["--json", "scan", "--url", &trio.url("ant"), "--key", trio.key("ant")];
        let output = run([&scan[..], &[file.to_str().unwrap()]].concat());
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", words(&output)))
    };
    let found = scan(&part);
    assert_eq!(found["verdict"], "review", "{found}");
    let reason = &found["reasons"][0];
    assert_eq!((&reason["method"], &reason["signal"]), (&"sound".into(), &"audio".into()));
    let start = reason["reference_span_ms"]["start_ms"].as_i64().unwrap();
    assert!((start - 6_000).abs() < 1_500, "{reason}");
    assert_eq!(scan(&other)["verdict"], "allow");
}
