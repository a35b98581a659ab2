//! Makes the list of what is everybody's anew, and holds it against the committed one
//! (`crates/node/src/benign/set.txt`): pictures by PDQ, files by their digests.

mod pictures;
mod sheet;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use watchfire_media::{hash, pdq};
use watchfire_signal::pdq::{MAX_DISTANCE, MIN_QUALITY, Pdq};

use self::{pictures::pictures, sheet::Sheet};

/// Two drawings that differ in no more bits are known by one hash: what is near either is near it, or near
/// enough to the other that both stand here.
const SAME: u32 = 6;

fn hashed(sheet: &Sheet) -> Pdq {
    pdq::hash(sheet.pixels()).unwrap().pdq
}

/// Files that are everybody's, by what they are.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("empty-file".to_owned(), Vec::new())];
    files.extend((0..=u8::MAX).map(|byte| (format!("one-byte-{byte:02x}"), vec![byte])));
    for bytes in [512, 1_024, 4_096, 65_536, 1_048_576] {
        files.push((format!("zeros-{bytes}"), vec![0; bytes]));
    }
    let words = [
        ("line-end-of-windows", "\r\n"),
        ("empty-object", "{}"),
        ("empty-list", "[]"),
        ("null", "null"),
        ("empty-page", "<html></html>"),
    ];
    files.extend(words.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())));
    // The end of a central directory that lists nothing; a picture of one transparent pixel, as trackers
    // use it.
    let zip = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    let gif = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    files.push(("empty-archive".to_owned(), zip));
    files.push(("transparent-pixel".to_owned(), gif.to_vec()));
    files
}

fn list() -> String {
    let mut lines = Vec::new();
    let mut known = Vec::<Pdq>::new();
    for (name, sheet) in pictures() {
        let hash = hashed(&sheet);
        if known.iter().all(|one| one.distance(&hash) > SAME) {
            known.push(hash);
            lines.push(format!("pdq {hash} {name}"));
        }
    }
    let mut seen = BTreeSet::new();
    for (name, bytes) in files() {
        let (sha256, md5) = hash::digests(&bytes);
        if seen.insert(sha256) {
            lines.extend([format!("sha256 {sha256} {name}"), format!("md5 {md5} {name}")]);
        }
    }
    lines.join("\n") + "\n"
}

#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether to write the list anew")]
fn the_committed_list_of_what_is_everybodys_is_the_one_that_is_drawn() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/src/benign/set.txt");
    let drawn = list();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == drawn,
        "the list is not current: UPDATE=1 cargo nextest run --workspace -E 'test(everybodys)'"
    );
}

#[test]
fn every_name_in_the_list_of_what_is_everybodys_stands_for_one_drawing() {
    let mut names = BTreeMap::<String, usize>::new();
    for (name, _) in pictures() {
        *names.entry(name).or_default() += 1;
    }
    let twice: Vec<_> = names.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(names.len() > 200, "{}", names.len());
}

#[test]
fn no_photograph_of_others_is_near_what_is_everybodys() {
    let drawn: Vec<_> =
        pictures().iter().map(|(name, sheet)| (name.clone(), hashed(sheet))).collect();
    let mut photographs = 0;
    for folder in crate::corpus::folders() {
        let expected = std::fs::read_to_string(folder.join("pdq/expected.csv")).unwrap();
        for line in expected.lines().skip(1) {
            let [path, _, _, hash, quality] =
                line.split(',').collect::<Vec<_>>().try_into().unwrap();
            let (hash, quality): (Pdq, u8) = (hash.parse().unwrap(), quality.parse().unwrap());
            if quality < MIN_QUALITY {
                continue;
            }
            photographs += 1;
            assert!(hash.is_balanced(), "{path}");
            for turned in [hash].into_iter().chain(hash.turned()) {
                let near = drawn.iter().find(|(_, drawn)| drawn.distance(&turned) <= MAX_DISTANCE);
                assert!(near.is_none(), "{path} is near {near:?}");
            }
        }
    }
    assert!(photographs >= 5, "{photographs}");
}
