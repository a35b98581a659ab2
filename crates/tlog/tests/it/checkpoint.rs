//! Checkpoints: what is signed is what is read, for this log and this key only.

use proptest::prelude::*;
use watchfire_tlog::note::{Note, NoteError, NoteKey, NoteSignature};
use watchfire_tlog::{
    Checkpoint, CheckpointError, EMPTY_ROOT, Hash, MAX_SIZE, Origin, OwnKey, SignedCheckpoint,
    leaf_hash,
};

use crate::book::{origin, own_key, peer_key};

fn sign(text: &str) -> SignedCheckpoint {
    SignedCheckpoint::new(Note::sign(text, origin().as_str(), &own_key()).unwrap().to_string())
}

fn verify(text: &str) -> Result<Checkpoint, CheckpointError> {
    sign(text).verify(&origin(), &peer_key())
}

/// The key of Go's checksum database, which is built into every Go toolchain.
#[test]
fn the_key_of_a_foreign_log_reads_and_prints() {
    let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: NoteKey = text.parse().unwrap();
    assert_eq!(key.name(), "sum.golang.org");
    assert_eq!(key.to_string(), text);
}

#[test]
fn the_text_is_three_lines() {
    let checkpoint = Checkpoint { origin: origin(), size: 20_852_163, root: EMPTY_ROOT };
    assert_eq!(
        checkpoint.to_string(),
        "watchfire/test/alice/1\n20852163\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    );
}

#[test]
fn a_checkpoint_of_another_key_log_or_name_is_refused() {
    let checkpoint = Checkpoint { origin: origin(), size: 1, root: leaf_hash(b"a") };
    let signed = SignedCheckpoint::sign(&checkpoint, &own_key());
    assert_eq!(signed.verify(&origin(), &peer_key()), Ok(checkpoint));
    let other_key = OwnKey::from_seed(&[2; 32]).public();
    let unsigned = Err(CheckpointError::Note(NoteError::Unsigned));
    assert_eq!(signed.verify(&origin(), &other_key), unsigned);
    let other = Origin::new("watchfire/test/alice/2").unwrap();
    assert_eq!(signed.verify(&other, &peer_key()), unsigned);
    // Signed under the right key name, but the text names another log.
    let text =
        format!("watchfire/test/alice/2\n0\n{}\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(verify(&text), Err(CheckpointError::Origin));
}

#[test]
fn signed_text_that_is_no_checkpoint_is_refused() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let name = origin();
    for bad in [
        format!("{name}\n0\n"),
        format!("{name}\n\n{root}\n"),
        format!("{name}\n00\n{root}\n"),
        format!("{name}\n01\n{root}\n"),
        format!("{name}\n+1\n{root}\n"),
        format!("{name}\n-1\n{root}\n"),
        format!("{name}\n 1\n{root}\n"),
        format!("{name}\n1e3\n{root}\n"),
        format!("{name}\n1\n{root}=\n"),
        format!("{name}\n1\n{}\n", &root[4..]),
        format!("{name}\n1\n{}\n", root.trim_end_matches('=')),
        format!("{name}\n1\n{root}\n\nextension\n"),
        "\n".into(),
    ] {
        assert_eq!(verify(&bad), Err(CheckpointError::Text), "{bad:?}");
    }
    for size in [u64::MAX, MAX_SIZE + 1] {
        assert_eq!(verify(&format!("{name}\n{size}\n{root}\n")), Err(CheckpointError::Size));
    }
    let large = format!("{name}\n99999999999999999999999\n{root}\n");
    assert_eq!(verify(&large), Err(CheckpointError::Size));
    let not_empty = "boiINzOSjhWWWb0ENXdoNQIZAQiAAAAAAAAAAAAAAAA=";
    let text = format!("{name}\n0\n{not_empty}\n");
    assert_eq!(verify(&text), Err(CheckpointError::EmptyRoot));
}

#[test]
fn extension_lines_and_witnesses_change_nothing() {
    let text = format!("{}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nlater\n", origin());
    assert_eq!(verify(&text), Ok(Checkpoint::empty(origin())));
    let mut note = Note::parse(&sign(&text).text).unwrap();
    note.add(NoteSignature { name: "w".into(), key_id: 1, bytes: vec![9; 100] }).unwrap();
    let cosigned = SignedCheckpoint::new(note.to_string());
    assert_eq!(cosigned.verify(&origin(), &peer_key()), Ok(Checkpoint::empty(origin())));
}

proptest! {
    #[test]
    fn what_is_signed_is_what_is_read(size in 1..=MAX_SIZE, root: [u8; 32], seed: [u8; 32]) {
        let own = OwnKey::from_seed(&seed);
        let checkpoint = Checkpoint { origin: origin(), size, root: Hash(root) };
        let signed = SignedCheckpoint::sign(&checkpoint, &own);
        prop_assert_eq!(signed.verify(&origin(), &own.public()), Ok(checkpoint));
    }

    #[test]
    fn a_changed_byte_is_refused(size in 1..1000u64, place: prop::sample::Index, change in 1u8..128) {
        let checkpoint = Checkpoint { origin: origin(), size, root: leaf_hash(b"a") };
        let signed = SignedCheckpoint::sign(&checkpoint, &own_key());
        let mut bytes = signed.text.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(SignedCheckpoint::new(text).verify(&origin(), &peer_key()).is_err());
        }
    }
}
