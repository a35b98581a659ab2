//! A stream is judged while it runs: scenario S14.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    program::words,
    sound::{music, wav},
    trio::{MEMBERS, Trio},
};

fn ffmpeg(arguments: &[&str], out: &Path) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]).args(arguments).arg(out);
    assert!(ffmpeg.status().unwrap().success());
}

fn lines(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(output).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The verdicts on a stream that is to be blocked while its pipe stays open: it runs on.
fn refused(mut running: Child, stream: &Path) -> Vec<Value> {
    let mut pipe = running.stdin.take().unwrap();
    let bytes = fs::read(stream).unwrap();
    let feeding = std::thread::spawn(move || {
        // The reader may be gone before the end: it has seen enough.
        let _ = pipe.write_all(&bytes);
        pipe
    });
    let ended = running.wait_with_output().unwrap();
    drop(feeding.join().unwrap());
    assert_eq!(ended.status.code(), Some(1), "{}", words(&ended));
    lines(&ended.stdout)
}

#[test]
fn a_stream_is_judged_while_it_runs_and_its_recording_is_found_later() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let path = |name: &str| trio.dir("ant").join(name);
    let (harmful, stream) = (path("harmful.mp4"), path("stream.ts"));
    let fractal = "mandelbrot=size=160x120:rate=25:start_scale=1";
    let encoded = ["-c:v", "mpeg4", "-q:v", "4", "-g", "12"];
    let harmless = "life=size=160x120:rate=25:ratio=0.3:seed=5:mold=10";
    ffmpeg(&[&["-f", "lavfi", "-i", fractal, "-t", "8"], &encoded[..]].concat(), &harmful);
    let join = "[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];[2:v]format=yuv420p[c];\
                [a][b][c]concat=n=3:v=1:a=0";
    let inputs = ["-f", "lavfi", "-t", "9", "-i", harmless, "-i", harmful.to_str().unwrap()];
    let last = ["-f", "lavfi", "-t", "12", "-i", harmless, "-filter_complex", join];
    ffmpeg(&[&inputs[..], &last, &encoded].concat(), &stream);
    let raise = ["alert", "raise", "--label", "violence.graphic_death", "--severity", "2"];
    let raise = [&raise[..], &[harmful.to_str().unwrap()]].concat();
    trio.until("ant raises", || trio.ask("ant", &raise));

    let scan = |file: &str, item: &str, looked: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        program.args(["--json", "scan", "--live", "--item", item, "--every", "2", "--idle", "4"]);
        program.args([
            "--match",
            looked,
            "--url",
            &trio.url("ant"),
            "--key",
            trio.key("ant"),
            file,
        ]);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        program.spawn().unwrap()
    };
    // At the node, and by hashes that are made beside the ingest.
    for looked in ["variant", "near"] {
        let running = scan("-", &format!("stream-1-{looked}"), looked);
        let verdicts = refused(running, &stream);
        let (block, before) = verdicts.split_last().unwrap();
        assert!(!before.is_empty(), "segments before it were judged: {block}");
        assert!(before.iter().all(|one| one["verdict"] == "allow"), "{before:?}");
        assert_eq!(block["verdict"], "block");
        let span = &block["reasons"][0]["query_span_ms"];
        assert!(span["start_ms"].as_u64().unwrap() >= 8_000, "in the time of the stream: {span}");
    }

    // A file that grows and holds nothing harmful ends when nobody writes to it any more.
    let growing = path("growing.ts");
    let harmless = path("harmless.ts");
    let noise = "life=size=160x120:rate=25:ratio=0.4:seed=9:mold=10";
    ffmpeg(&[&["-f", "lavfi", "-i", noise, "-t", "24"], &encoded[..]].concat(), &harmless);
    let bytes = fs::read(&harmless).unwrap();
    let mut file = File::create(&growing).unwrap();
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(first).unwrap();
    let mut running = scan(growing.to_str().unwrap(), "stream-2", "variant");
    let mut told = BufReader::new(running.stdout.take().unwrap()).lines();
    let first = told.next().unwrap().unwrap();
    assert!(first.contains(r#""verdict":"allow""#), "{first}");
    file.write_all(rest).unwrap();
    let last = told.last().unwrap().unwrap();
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{:?} {last} {}", ended.status, words(&ended));
    let whole: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(whole["segment_ms"]["start_ms"], 0);
    assert!(whole["segment_ms"]["end_ms"].as_u64().unwrap() >= 23_000, "{whole}");
}

/// A stream is cut off in the middle of a frame, as when somebody pulls the plug: what was seen of it is remembered.
#[test]
fn a_stream_that_breaks_off_in_the_middle_is_remembered() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let path = |name: &str| trio.dir("ant").join(name);
    let (whole, cut) = (path("whole.mkv"), path("cut.mkv"));
    let noise = "life=size=160x120:rate=25:ratio=0.4:seed=9:mold=10";
    ffmpeg(&["-f", "lavfi", "-i", noise, "-t", "12", "-c:v", "mpeg4", "-q:v", "4"], &whole);
    let bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() * 7 / 10]).unwrap();
    for looked in ["variant", "near"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        program.args(["--json", "scan", "--live", "--item", looked, "--every", "2", "--idle", "1"]);
        program.args(["--match", looked, "--url", &trio.url("ant"), "--key", trio.key("ant")]);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = program.arg("-").spawn().unwrap();
        let mut pipe = running.stdin.take().unwrap();
        std::io::copy(&mut File::open(&cut).unwrap(), &mut pipe).unwrap();
        drop(pipe);
        let ended = running.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", words(&ended));
        let last = lines(&ended.stdout).pop().unwrap();
        assert_eq!(last["segment_ms"]["start_ms"], 0, "all of it: {last}");
        assert!(last["segment_ms"]["end_ms"].as_u64().unwrap() > 6_000, "{last}");
    }
}

/// A copy that is cropped and written over goes by, while the stream runs.
#[test]
fn an_edited_copy_in_a_stream_is_seen_by_the_node_and_not_by_hashes() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let path = |name: &str| trio.dir("ant").join(name);
    let (harmful, stream) = (path("harmful.mp4"), path("edited.ts"));
    let fractal = "mandelbrot=size=640x480:rate=12:start_scale=1";
    let encoded = ["-c:v", "mpeg4", "-q:v", "3", "-g", "12"];
    ffmpeg(&[&["-f", "lavfi", "-i", fractal, "-t", "8"], &encoded[..]].concat(), &harmful);
    let noise = "life=size=160x120:rate=12:ratio=0.3:seed=5:mold=10";
    let join = "[0:v]scale=640:480,setsar=1,format=yuv420p[a];\
                [1:v]crop=460:350:110:60,scale=640:480,setsar=1,format=yuv420p[b];\
                [a][b]concat=n=2:v=1:a=0";
    let inputs = ["-f", "lavfi", "-t", "5", "-i", noise, "-i", harmful.to_str().unwrap()];
    ffmpeg(&[&inputs[..], &["-filter_complex", join], &encoded].concat(), &stream);
    let raise = ["alert", "raise", "--label", "violence.graphic_death", "--severity", "2"];
    let whole = [&raise[..], &[harmful.to_str().unwrap()]].concat();
    let known = trio.until("ant raises", || trio.ask("ant", &whole));
    let verdicts = |looked: &str| {
        let scan = ["--json", "scan", "--live", "--item", looked, "--every", "2", "--idle", "1"];
        let mut program = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        program.args(scan).args(["--match", looked, "--url", &trio.url("ant")]);
        let ended = program.args(["--key", trio.key("ant")]).arg(&stream).output().unwrap();
        (lines(&ended.stdout), words(&ended))
    };
    let (near, said) = verdicts("near");
    assert!(near.len() > 3 && near.iter().all(|one| one["verdict"] == "allow"), "{said}");
    let (edited, said) = verdicts("variant");
    let (last, before) = edited.split_last().unwrap();
    assert_eq!(before[0]["verdict"], "allow", "{said}");
    let seen = before.iter().find(|one| one["verdict"] == "review");
    let seen = seen.unwrap_or_else(|| panic!("seen while it ran: {said}"));
    assert_eq!(seen["reasons"][0]["method"], "features", "{seen}");
    let at = &seen["reasons"][0]["query_span_ms"];
    assert!(at["start_ms"].as_u64().unwrap() >= 4_000, "in the time of the stream: {at}");
    assert_eq!(last["verdict"], "review", "the recording: {said}");

    // Who reports the edited copy links it to the case: one family, at every member.
    let case = known["id"].as_str().unwrap();
    let copy = ["--of", case, "--transform", "cropped", stream.to_str().unwrap()];
    let variant =
        trio.until("bee reports the copy", || trio.ask("bee", &[&raise[..], &copy].concat()));
    let variant = variant["id"].as_str().unwrap();
    assert_ne!(variant, case);
    let shown = trio.until("ant hears of it", || trio.ask("ant", &["alert", "show", variant]));
    assert_eq!(shown["case"], case, "{shown}");
}

/// Somebody sends what is known by its sound under pictures of something else, as screens were filmed off after
/// Christchurch.
#[test]
fn the_sound_of_what_is_known_is_heard_in_a_stream_that_shows_something_else() {
    let mut trio = Trio::found(None);
    trio.start(&MEMBERS);
    let path = |name: &str| trio.dir("ant").join(name);
    let (known, heard, film) = (path("known.wav"), path("heard.wav"), path("film.ts"));
    let sound = music(1, 20);
    wav(&known, &sound);
    wav(&heard, &[music(2, 12), sound, music(3, 20)].concat());
    let noise = "life=size=160x120:rate=12:ratio=0.3:seed=5:mold=10";
    // Played a tenth faster, so that it is another one to the ear of a fingerprint.
    let faster = ["-af", "asetrate=24255,aresample=22050", "-c:a", "aac", "-shortest"];
    let encoded = ["-c:v", "mpeg4", "-q:v", "4", "-g", "12"];
    let inputs = ["-f", "lavfi", "-t", "47", "-i", noise, "-i", heard.to_str().unwrap()];
    ffmpeg(&[&inputs[..], &encoded, &faster].concat(), &film);
    let raise = ["alert", "raise", "--label", "violence.graphic_death", "--severity", "2"];
    let raise = [&raise[..], &[known.to_str().unwrap()]].concat();
    trio.until("ant raises", || trio.ask("ant", &raise));

    // As it would come from somebody who streams, only faster.
    let mut streaming = Command::new("ffmpeg");
    streaming.args(["-nostdin", "-v", "error", "-readrate", "8", "-i"]).arg(&film);
    streaming.args(["-c", "copy", "-f", "mpegts", "-"]);
    let mut streaming = streaming.stdout(Stdio::piped()).spawn().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    program.args(["--json", "scan", "--live", "--item", "film", "--every", "2", "--idle", "4"]);
    program.args(["--url", &trio.url("ant"), "--key", trio.key("ant"), "-"]);
    let ended = program.stdin(streaming.stdout.take().unwrap()).output().unwrap();
    assert!(streaming.wait().unwrap().success());
    let verdicts = lines(&ended.stdout);
    let (last, before) = verdicts.split_last().unwrap();
    assert_eq!(before[0]["verdict"], "allow", "{}", words(&ended));
    let seen = before.iter().find(|one| one["verdict"] == "review");
    let seen = seen.unwrap_or_else(|| panic!("heard while it ran: {}", words(&ended)));
    let reason = &seen["reasons"][0];
    assert_eq!((&reason["method"], &reason["signal"]), (&"sound".into(), &"audio".into()));
    let at = reason["query_span_ms"]["start_ms"].as_u64().unwrap();
    assert!((9_000..14_000).contains(&at), "in the time of the stream: {reason}");
    assert!(verdicts.iter().all(|one| one["verdict"] != "block"), "sound alone is no proof");
    assert_eq!(last["verdict"], "review", "the recording: {}", words(&ended));
}
