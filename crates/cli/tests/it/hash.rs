//! `hash` and `match` against published hashes.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::Value;

use crate::program::{PROGRAM, code, json, keys, run, words};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

/// Bits in which two hashes in hexadecimal differ.
fn distance(one: &str, other: &str) -> u32 {
    let digit = |c: char| c.to_digit(16).unwrap();
    assert_eq!(one.len(), other.len());
    one.chars().zip(other.chars()).map(|(a, b)| (digit(a) ^ digit(b)).count_ones()).sum()
}

#[test]
fn pictures_have_the_published_hashes() {
    let expected = fs::read_to_string(format!("{DATA}/pdq/expected.csv")).unwrap();
    let mut compared = 0;
    for line in expected.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let (pdq, quality) = (fields[3], fields[4].parse::<i32>().unwrap());
        let output = run(["hash", &format!("{DATA}/pdq/images/{}", fields[0])]);
        assert_eq!(code(&output), 0, "{}", words(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let found = text.lines().find(|line| line.starts_with("pdq ")).unwrap();
        let found: Vec<_> = found.split(' ').collect();
        assert_eq!(found.len(), 3, "KIND VALUE QUALITY");
        assert!((found[2].parse::<i32>().unwrap() - quality).abs() <= 5, "{line}");
        if quality >= 80 {
            assert!(distance(found[1], pdq) <= 10, "{line}");
            compared += 1;
        }
    }
    assert!(compared >= 5, "{compared} pictures of good quality were compared");
}

#[test]
fn a_video_has_the_published_frames() {
    let clip = format!("{DATA}/vpdq/videos/test-padded-dimensions.mp4");
    let output = run(["hash", "--frames", &clip]);
    let found = String::from_utf8(output.stdout).unwrap();
    let expected =
        fs::read_to_string(format!("{DATA}/vpdq/hashes/test-padded-dimensions.txt")).unwrap();
    assert_eq!(found.lines().count(), expected.lines().count());
    for (found, expected) in found.lines().zip(expected.lines()) {
        let (found, expected): (Vec<_>, Vec<_>) =
            (found.split(',').collect(), expected.split(',').collect());
        assert_eq!(found[0], expected[0]);
        if expected[1].parse::<u32>().unwrap() >= 50 {
            assert!(distance(found[2], expected[2]) < 31, "frame {}", found[0]);
        }
    }
}

#[test]
fn a_file_that_is_no_media_has_its_exact_hashes_and_exit_code_1() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("text");
    fs::write(&file, "abc").unwrap();
    let output = run(["hash".as_ref(), file.as_os_str()]);
    assert_eq!(code(&output), 1);
    let text = String::from_utf8(output.stdout).unwrap();
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(text, format!("sha256 {sha256} -\nmd5 900150983cd24fb0d6963f7d28e17f72 -\n"));
    assert_eq!(code(&run(["hash", "/nonexistent"])), 2);
}

#[test]
fn of_several_files_json_has_one_object_a_line() {
    let images = format!("{DATA}/pdq/images/modes");
    let output =
        std::process::Command::new(PROGRAM).args(["--json", "hash", &images]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", words(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let files = fs::read_dir(&images).unwrap().count();
    assert_eq!(text.lines().count(), files);
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["signals"][2]["kind"], "pdq");
        assert_eq!(object["width"], 1600);
    }
}

#[test]
fn a_resized_picture_and_the_same_video_match_and_others_do_not() {
    let images = format!("{DATA}/pdq/images");
    let clip = format!("{DATA}/vpdq/videos/test-padded-dimensions.mp4");
    let refs = format!("{images}/modes");
    let found =
        json(["match", "--refs", &refs, &clip, "--", &format!("{images}/shrink-a-lot.jpg")]);
    let matches = found["matches"].as_array().unwrap();
    assert!(!matches.is_empty());
    let by_hash = matches.iter().filter(|one| one["kind"] == "pdq");
    assert!(by_hash.clone().count() > 0, "{found}");
    assert!(by_hash.clone().all(|one| one["method"] == "near" && one["decision"] == "match"));
    // Its details show the same.
    assert!(matches.iter().any(|one| one["method"] == "features"), "{found}");
    let found = json(["match", "--refs", &refs, &clip, "--", &clip]);
    let methods: Vec<_> =
        found["matches"].as_array().unwrap().iter().map(|one| one["method"].clone()).collect();
    assert_eq!(methods.iter().filter(|method| **method == "exact").count(), 2);
    assert!(methods.contains(&"aligned".into()), "{found}");
    let none = run(["match", "--refs", &clip, "--", &format!("{images}/wee.jpg")]);
    assert_eq!(code(&none), 1, "{}", words(&none));
}

#[test]
fn words_and_links_have_fingerprints_and_text_files_match_by_what_stands_in_them() {
    let place = tempfile::tempdir().unwrap();
    let words_of = |output: std::process::Output| String::from_utf8(output.stdout).unwrap();
    let words = "We will hunt down every last one of these people and burn their houses at night.";
    let said = words_of(run(["hash", "--text", words]));
    assert!(said.starts_with("text 01") && said.ends_with(" -\n"), "{said}");
    let file = place.path().join("known.txt");
    fs::write(&file, words).unwrap();
    let in_file = words_of(run(["hash".as_ref(), file.as_os_str()]));
    assert_eq!(in_file.lines().nth(2), Some(said.trim_end()));
    assert_eq!(code(&run(["hash", "--text", "hello"])), 2);

    let link = |link: &str, scope| words_of(run(["hash", "--link", link, "--link-scope", scope]));
    assert_eq!(link("http://www.a.example:80/b/", "exact"), link("https://a.example/b#c", "exact"));
    assert!(link("https://a.example/b", "host").starts_with("url 02"));
    assert_eq!(code(&run(["hash", "--link", "ftp://a.example"])), 2);

    let typed = place.path().join("typed.txt");
    fs::write(&typed, format!("The free: {} OK?", words.replace("people", "pe0pel"))).unwrap();
    let [file, typed] = [file, typed].map(|path| path.to_str().unwrap().to_owned());
    let found = json(["match", "--refs", &file, "--", &typed]);
    let one = &found["matches"][0];
    assert_eq!((&one["kind"], &one["method"]), (&"text".into(), &"near".into()), "{found}");
    assert_eq!(keys(one), ["containment", "decision", "kind", "method", "ref"]);
    let held = one["containment"].as_f64().unwrap();
    assert!((0.3..1.0).contains(&held), "one word is spelt otherwise: {held}");
    // One is a text too where a character lies across the end of what tells what a file is.
    let mut long = format!("The free: {}", words.repeat(60));
    long.truncate(4_095);
    long = format!("{long}é{}", words.repeat(700));
    let book = place.path().join("book.txt");
    fs::write(&book, long).unwrap();
    let kinds = words_of(run(["hash".as_ref(), book.as_os_str()]));
    assert!(kinds.lines().any(|line| line.starts_with("text ")), "{kinds}");
    let other = place.path().join("other.txt");
    fs::write(
        &other,
        "The weather stays as it is until the end of the week, with some rain in the hills.",
    )
    .unwrap();
    assert_eq!(code(&run(["match", "--refs", &file, "--", other.to_str().unwrap()])), 1);
}

/// One file among others that is broken, gone or no file says so, and the others are looked up all the same.
#[test]
fn what_cannot_be_read_or_decoded_is_named_and_the_others_are_matched() {
    let picture = format!("{DATA}/pdq/images/shrink-a-lot.jpg");
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let bytes = fs::read(&picture).unwrap();
    fs::write(at("a-cut.jpg"), &bytes[..bytes.len() / 3]).unwrap();
    let strange = std::ffi::OsStr::from_bytes(b"b-\xff.jpg");
    fs::write(place.path().join(strange), &bytes).unwrap();
    let status = std::process::Command::new("mkfifo").arg(at("c-pipe")).status().unwrap();
    assert!(status.success());
    let folder = place.path().display().to_string();
    let look_up = || {
        let mut program = std::process::Command::new(PROGRAM);
        program.args(["--json", "match", "--refs", &picture, "--", &folder]).output().unwrap()
    };
    let whole = look_up();
    assert_eq!(code(&whole), 0, "{}", words(&whole));
    std::os::unix::fs::symlink("nowhere", at("d-link")).unwrap();
    let output = look_up();
    assert_eq!(code(&output), 2, "{}", words(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [cut, strange, gone] = &objects[..] else { panic!("{text}") };
    assert!(cut["unseen"].is_string() && cut["matches"].as_array().unwrap().is_empty(), "{cut}");
    assert!(strange["matches"].as_array().unwrap().len() > 1 && strange["unseen"].is_null());
    assert!(gone["file"].as_str().unwrap().ends_with("d-link") && gone["error"].is_string());
    let wrong = run(["match", "--refs", &picture, "--", "/nonexistent"]);
    assert_eq!(code(&wrong), 2, "{}", words(&wrong));
}

/// 300 MiB, nearly all of which is a hole.
fn long(beginning: &[u8], to: &std::path::Path) {
    fs::write(to, beginning).unwrap();
    fs::OpenOptions::new().write(true).open(to).unwrap().set_len(300 << 20).unwrap();
}

#[test]
fn a_picture_longer_than_256_mib_is_compared_by_its_bytes_and_a_video_as_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let clip = format!("{DATA}/vpdq/videos/test-padded-dimensions.mp4");
    let picture = fs::read(format!("{DATA}/pdq/images/wee.jpg")).unwrap();
    long(&picture, &path("long.jpg"));
    // A box of MP4 that says nothing, up to the end.
    let mut video = fs::read(&clip).unwrap();
    let rest = (300 << 20) - video.len() as u32;
    video.extend([&rest.to_be_bytes()[..], b"free"].concat());
    long(&video, &path("long.mp4"));
    let [picture, video] = ["long.jpg", "long.mp4"].map(|name| path(name).display().to_string());

    let found = json(["match", "--refs", &picture, "--", &picture]);
    assert!(found["unseen"].as_str().unwrap().contains("longer than 256 MiB"), "{found}");
    let matches = found["matches"].as_array().unwrap();
    assert!(matches.iter().any(|one| one["kind"] == "sha256"), "{found}");
    assert!(matches.iter().all(|one| one["kind"] != "pdq"), "{found}");
    for (reference, file) in [(&video, &clip), (&clip, &video)] {
        let found = json(["match", "--refs", reference, "--", file]);
        let matches = found["matches"].as_array().unwrap();
        assert!(matches.iter().any(|one| one["kind"] == "vpdq"), "{found}");
        assert!(found["unseen"].is_null(), "{found}");
    }
}
