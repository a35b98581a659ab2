//! Data directories and charters: made, approved, installed, and refused where they must be.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::program::{code, init, json, run, words};

fn three(place: &Path) -> Vec<String> {
    ["ant", "bee", "cat"]
        .iter()
        .map(|member| {
            init(place, member, "127.0.0.1:0", Some("http://127.0.0.1:1"));
            place.join(member).to_str().unwrap().to_owned()
        })
        .collect()
}

fn draft(place: &Path, dirs: &[String]) -> String {
    let file = place.join("charter.cbor").to_str().unwrap().to_owned();
    let cards: Vec<_> = dirs.iter().map(|dir| format!("{dir}/member.json")).collect();
    let mut arguments = vec!["coalition", "init", "--name", "zoo", "--out", &file];
    arguments.extend(cards.iter().map(String::as_str));
    let shown = json(arguments);
    assert_eq!(shown["in_force"], false);
    assert_eq!(shown["charter"]["quorums"]["charter"], 2);
    file
}

#[test]
fn a_data_directory_keeps_its_secrets_and_shows_its_api_key_once() {
    let place = tempfile::tempdir().unwrap();
    let made = init(place.path(), "ant", "127.0.0.1:7", None);
    let key = made["api_key"].as_str().unwrap();
    assert!(key.starts_with("wf_"));
    let dir = place.path().join("ant");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("key.seed")), 0o600);
    for file in ["watchfire.toml", "member.json"] {
        assert!(!fs::read_to_string(dir.join(file)).unwrap().contains(key));
    }
    assert!(
        !fs::read(dir.join("watchfire.db"))
            .unwrap()
            .windows(key.len())
            .any(|w| w == key.as_bytes())
    );
    let again =
        run(["init", "--member", "ant", "--organisation", "ant", "--dir", dir.to_str().unwrap()]);
    assert_eq!(code(&again), 2, "{}", words(&again));
}

#[test]
fn a_charter_under_which_no_local_features_travel_says_so() {
    let place = tempfile::tempdir().unwrap();
    let dirs = three(place.path());
    let plain = draft(place.path(), &dirs);
    let says = |file: &str| words(&run(["coalition", "show", file])).contains("do not travel");
    assert!(!says(&plain));
    let file = place.path().join("without.cbor").to_str().unwrap().to_owned();
    let card = format!("{}/member.json", dirs[0]);
    let arguments =
        ["coalition", "init", "--name", "zoo", "--without-features", "--out", &file, &card];
    assert_eq!(json(arguments)["charter"]["without_features"], true);
    assert!(says(&file));
}

#[test]
fn a_charter_is_in_force_only_when_all_have_approved() {
    let place = tempfile::tempdir().unwrap();
    let dirs = three(place.path());
    let file = draft(place.path(), &dirs);
    for (number, dir) in dirs.iter().enumerate() {
        assert_eq!(code(&run(["coalition", "show", &file])), 1);
        assert_eq!(code(&run(["coalition", "install", "--dir", dir, &file])), 1);
        let shown = json(["coalition", "approve", "--dir", dir, &file]);
        assert_eq!(shown["approved"].as_array().unwrap().len(), number + 1);
    }
    assert_eq!(code(&run(["coalition", "show", &file])), 0);
    for dir in &dirs {
        let installed = run(["coalition", "install", "--dir", dir, &file]);
        assert_eq!(code(&installed), 0, "{}", words(&installed));
    }
}

#[test]
fn an_approval_needs_the_key_that_the_charter_names() {
    let place = tempfile::tempdir().unwrap();
    let dirs = three(place.path());
    let file = draft(place.path(), &dirs);
    let other = tempfile::tempdir().unwrap();
    init(other.path(), "ant", "127.0.0.1:0", None);
    let dir = other.path().join("ant");
    let refused = run(["coalition", "approve", "--dir", dir.to_str().unwrap(), &file]);
    assert_eq!(code(&refused), 1, "{}", words(&refused));
}

#[test]
fn a_changed_charter_is_not_shown_as_one() {
    let place = tempfile::tempdir().unwrap();
    let dirs = three(place.path());
    let file = draft(place.path(), &dirs);
    json(["coalition", "approve", "--dir", &dirs[0], &file]);
    let good = fs::read(&file).unwrap();
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(&file, bad).unwrap();
        if place % 16 == 0 {
            assert_ne!(code(&run(["coalition", "show", &file])), 0, "byte {place}");
        }
    }
}

#[test]
fn keys_are_made_and_listed_without_their_secrets() {
    let place = tempfile::tempdir().unwrap();
    init(place.path(), "ant", "127.0.0.1:0", None);
    let dir = place.path().join("ant");
    let dir = dir.to_str().unwrap();
    let made = json(["key", "add", "--dir", dir, "--name", "uploads", "--scope", "scan"]);
    let mode = |name| std::fs::metadata(Path::new(dir).join(name)).unwrap().permissions().mode();
    assert_eq!(mode("watchfire.db") & 0o077, 0, "what the store holds is nobody else's");
    let key = made["api_key"].as_str().unwrap();
    let listed = words(&run(["key", "list", "--dir", dir]));
    assert!(listed.contains("uploads scan") && listed.contains("first admin"), "{listed}");
    assert!(!listed.contains(key));
    assert_eq!(code(&run(["key", "add", "--dir", dir, "--name", "x", "--scope", "everything"])), 2);
    assert_eq!(code(&run(["key", "list", "--dir", "/nonexistent"])), 2);
}

#[test]
fn a_wrong_call_ends_with_2_and_help_with_0() {
    assert_eq!(code(&run(["nonsense"])), 2);
    assert_eq!(code(&run(["init"])), 2);
    assert_eq!(code(&run(["--help"])), 0);
    assert_eq!(code(&run(["completions", "bash"])), 0);
    assert_eq!(code(&run(["serve", "--dir", "/nonexistent"])), 2);
    assert_eq!(
        code(&run(["scan", "--url", "http://127.0.0.1:9", "--key", "wf_x", "/dev/null"])),
        2
    );
}
