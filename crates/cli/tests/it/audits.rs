//! A log that is not what its author signed is found by whoever walks it, and one that was signed anew by whoever has
//! looked before. The logs here are files behind a small server, as a mirror has them.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use watchfire_tlog::{
    Checkpoint, Frontier, Hash, Origin, OwnKey, SignedCheckpoint, Tile, TileKind, leaf_hash,
    tile::{encode_bundle, encode_hashes},
};

use crate::program::{code, run, words};

const LOG: &str = "watchfire/zoo/ant/1";
const LEAVES: u64 = 300;

type Files = BTreeMap<String, Vec<u8>>;

/// Serves files until the test is over.
struct Mirror {
    files: Arc<Mutex<Files>>,
    url: String,
}

impl Mirror {
    fn of(files: Files) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/log/ant", listener.local_addr().unwrap());
        let files = Arc::new(Mutex::new(files));
        let served = files.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Who asks may have gone.
                let _gone = answer(stream.unwrap(), &served.lock().unwrap());
            }
        });
        Self { files, url }
    }

    fn show(&self, files: Files) {
        *self.files.lock().unwrap() = files;
    }

    /// What the audit says, with its exit code.
    fn verify(&self, more: &[&str]) -> (i32, Value) {
        let key = key().public().to_string();
        let arguments = ["--json", "log", "verify", &self.url, "--key", &key];
        let output = run(arguments.iter().chain(more));
        let found = serde_json::from_slice(&output.stdout);
        (code(&output), found.unwrap_or_else(|_| Value::from(words(&output))))
    }
}

fn answer(mut stream: TcpStream, files: &Files) -> std::io::Result<()> {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let file = files.get(path.trim_start_matches("/log/ant/"));
    let status = if file.is_some() { "200 OK" } else { "404 Not Found" };
    let body = file.map_or(&[][..], |file| file);
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn key() -> OwnKey {
    OwnKey::from_seed(&[5; 32])
}

/// A log of so many leaves, of which the first one says something.
fn log(leaves: u64, first: &str) -> Files {
    let leaf = |index| if index == 0 { first.to_owned() } else { format!("leaf {index}") };
    let leaves = (0..leaves).map(|index| leaf(index).into_bytes()).collect::<Vec<_>>();
    let mut levels = vec![leaves.iter().map(|leaf| leaf_hash(leaf)).collect::<Vec<Hash>>()];
    let (mut frontier, mut completed) = (Frontier::new(), Vec::new());
    levels[0].iter().for_each(|hash| frontier.append_tiles(*hash, &mut completed));
    levels.push(completed.iter().map(|one| one.hash).collect());
    let mut files = Files::new();
    for tile in Tile::added(0, frontier.size()) {
        let (from, to) = tile.range();
        let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
        let bytes = match tile.kind() {
            TileKind::Entries => encode_bundle(&leaves[range]).unwrap(),
            TileKind::Hashes(level) => encode_hashes(&levels[usize::from(level)][range]),
        };
        files.insert(tile.to_string(), bytes);
    }
    let (origin, size) = (Origin::new(LOG).unwrap(), frontier.size());
    let checkpoint = Checkpoint { origin, size, root: frontier.root() };
    files.insert("checkpoint".into(), SignedCheckpoint::sign(&checkpoint, &key()).text.into());
    files
}

#[test]
fn one_byte_that_is_another_one_is_found_and_named() {
    let sound = log(LEAVES, "first");
    let mirror = Mirror::of(sound.clone());
    let (ended, found) = mirror.verify(&[]);
    assert_eq!((ended, &found["sound"], &found["size"]), (0, &true.into(), &LEAVES.into()));
    assert_eq!((&found["tile_hashes"], &found["tile_hashes_missing"]), (&301.into(), &0.into()));
    let head = String::from_utf8(sound["checkpoint"].clone()).unwrap();
    assert_eq!(found["checkpoint"], head.as_str());
    let names = sound.keys().filter(|name| *name != "checkpoint").collect::<Vec<_>>();
    assert_eq!(names.len(), 5, "two bundles, two tiles of leaves, one above: {names:?}");
    for name in names {
        let mut files = sound.clone();
        *files.get_mut(name).unwrap().last_mut().unwrap() ^= 1;
        mirror.show(files);
        let (ended, found) = mirror.verify(&[]);
        assert_eq!((ended, &found["sound"]), (1, &false.into()), "{name}: {found}");
        let last = name.contains(".p/");
        let wrong = match name.split('/').nth(1).unwrap() {
            "1" => "tile hash 0 of level 1 is wrong".to_owned(),
            _ => format!("tile hash {} of level 0 is wrong", if last { LEAVES - 1 } else { 255 }),
        };
        assert_eq!(found["problem"], wrong.as_str(), "{name}");
    }
    let mut files = sound;
    files.retain(|name, _| !name.contains("entries") || name.contains(".p/"));
    mirror.show(files);
    let (ended, found) = mirror.verify(&[]);
    assert_eq!((ended, &found["problem"]), (1, &"entry 0 is missing".into()));
}

#[test]
fn a_server_without_tiles_of_hashes_is_shown_as_one() {
    let mut files = log(LEAVES, "first");
    files.retain(|name, _| !name.starts_with("tile/") || name.contains("entries"));
    let mirror = Mirror::of(files);
    let (ended, found) = mirror.verify(&[]);
    assert_eq!((ended, &found["sound"]), (0, &true.into()), "{found}");
    assert_eq!((&found["tile_hashes"], &found["tile_hashes_missing"]), (&0.into(), &301.into()));
    let key = key().public().to_string();
    let told = words(&run(["log", "verify", &mirror.url, "--key", &key]));
    assert!(told.contains("301 hashes of tiles are not shown here"), "{told}");
}

#[test]
fn a_log_that_was_signed_anew_is_found_by_whoever_kept_a_head_of_it() {
    let place = tempfile::tempdir().unwrap();
    let head = place.path().join("ant.head");
    let head = head.to_str().unwrap();
    let mirror = Mirror::of(log(280, "first"));
    assert_eq!(mirror.verify(&["--keep", head]).0, 0);
    let kept = fs::read_to_string(head).unwrap();
    assert!(kept.starts_with("watchfire/zoo/ant/1\n280\n"), "{kept}");
    let (ended, told) = mirror.verify(&["--keep", head]);
    assert_eq!(ended, 2, "a kept head is not thrown away: {told}");

    // It has grown, as a log does.
    mirror.show(log(LEAVES, "first"));
    let (ended, found) = mirror.verify(&["--since", head, "--keep", head]);
    assert_eq!((ended, &found["since"]), (0, &280.into()), "{found}");
    assert!(fs::read_to_string(head).unwrap().starts_with("watchfire/zoo/ant/1\n300\n"));

    // Another one from the start, and one that is shorter: each is sound by itself.
    for (other, wrong) in [
        (log(LEAVES, "another first"), "its first 300 leaves are not those that it had"),
        (log(400, "another first"), "its first 300 leaves are not those that it had"),
        (log(280, "first"), "it had 300 leaves, and has 280 now"),
    ] {
        mirror.show(other);
        assert_eq!(mirror.verify(&[]).0, 0);
        let (ended, found) = mirror.verify(&["--since", head, "--keep", head]);
        assert_eq!((ended, &found["sound"]), (1, &false.into()), "{found}");
        assert!(found["problem"].as_str().unwrap().starts_with(wrong), "{found}");
        assert!(fs::read_to_string(head).unwrap().starts_with("watchfire/zoo/ant/1\n300\n"));
    }
    // What somebody else signed says nothing of this log.
    let forged = kept.replace("280", "281");
    fs::write(head, forged).unwrap();
    assert_eq!(mirror.verify(&["--since", head]).0, 2);
}
