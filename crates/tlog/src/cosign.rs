//! Cosigns checkpoints as a witness does: says that a log, as its author signed it, continues all
//! that the witness has seen of it before.
//!
//! Source: C2SP `tlog-cosignature`, version 1 with Ed25519 (type `0x04`).

use crate::checkpoint::SignedCheckpoint;
use crate::key::{OwnKey, PeerKey, Signature};
use crate::note::{Note, NoteError, NoteSignature, id_of, key_id};

const COSIGNATURE: u8 = 0x04;

/// Adds a cosignature under `name`, made at `time_s` (seconds since 1970-01-01 UTC). The caller makes
/// sure that the checkpoint is consistent with every one that this key has cosigned.
///
/// # Errors
/// [`NoteError`] when the checkpoint is no note, or has no room for more signatures.
pub fn cosign(
    signed: &SignedCheckpoint,
    name: &str,
    key: &OwnKey,
    time_s: u64,
) -> Result<SignedCheckpoint, NoteError> {
    let mut note = Note::parse(&signed.text)?;
    note.add(made(&note, name, key, time_s))?;
    Ok(SignedCheckpoint { text: note.to_string() })
}

/// The cosignature alone, as the line of a note with its newline: what a witness answers to who has the checkpoint.
/// The caller makes sure of the same as for [`cosign`].
///
/// # Errors
/// [`NoteError`] when the checkpoint is no note.
pub fn cosignature_line(
    signed: &SignedCheckpoint,
    name: &str,
    key: &OwnKey,
    time_s: u64,
) -> Result<String, NoteError> {
    let note = Note::parse(&signed.text)?;
    Ok(format!("{}\n", made(&note, name, key, time_s)))
}

fn made(note: &Note, name: &str, key: &OwnKey, time_s: u64) -> NoteSignature {
    let signature = key.sign(&message(time_s, note.text()));
    let bytes = [&time_s.to_be_bytes()[..], &signature.to_bytes()].concat();
    let key_id = id_of(name, COSIGNATURE, &key.public());
    NoteSignature { name: name.to_owned(), key_id, bytes }
}

/// When `key` cosigned a checkpoint under `name`, in seconds since 1970-01-01 UTC; `None` where it did
/// not. That the log's author signed it is checked by [`SignedCheckpoint::verify`].
pub fn cosigned_at(signed: &SignedCheckpoint, name: &str, key: &PeerKey) -> Option<u64> {
    let note = Note::parse(&signed.text).ok()?;
    cosignature(&note, name, key).map(|(_, time_s)| time_s)
}

/// A checkpoint with its author's signature alone; `None` where that is missing.
pub fn of_author(signed: &SignedCheckpoint, author: (&str, &PeerKey)) -> Option<SignedCheckpoint> {
    let mut note = Note::parse(&signed.text).ok()?;
    let own = authors(&note, author)?.clone();
    note.replace(vec![own]);
    Some(SignedCheckpoint { text: note.to_string() })
}

/// A checkpoint that is signed by its author and cosigned by a witness, without whatever other
/// signatures somebody has added: both are named by the name and key that they sign with. `None` where
/// either signature is missing.
pub fn of_two(
    signed: &SignedCheckpoint,
    author: (&str, &PeerKey),
    witness: (&str, &PeerKey),
) -> Option<SignedCheckpoint> {
    let mut note = Note::parse(&signed.text).ok()?;
    let first = authors(&note, author)?.clone();
    let second = cosignature(&note, witness.0, witness.1)?.0.clone();
    note.replace(vec![first, second]);
    Some(SignedCheckpoint { text: note.to_string() })
}

/// The signature of a log's author on a note.
fn authors<'a>(note: &'a Note, (name, key): (&str, &PeerKey)) -> Option<&'a NoteSignature> {
    note.verify(name, key).ok()?;
    let id = key_id(name, key);
    note.signatures().iter().find(|one| one.key_id == id && one.name == name)
}

/// The cosignature of a witness on a note, and when it was made.
fn cosignature<'a>(note: &'a Note, name: &str, key: &PeerKey) -> Option<(&'a NoteSignature, u64)> {
    let id = id_of(name, COSIGNATURE, key);
    let mut signatures = note.signatures().iter();
    signatures.find_map(|signature| {
        let of_key = signature.key_id == id && signature.name == name;
        let (time, bytes) = signature.bytes.split_first_chunk::<8>().filter(|_| of_key)?;
        let time_s = u64::from_be_bytes(*time);
        let bytes = Signature(bytes.try_into().ok()?);
        key.verify(&message(time_s, note.text()), &bytes).then_some((signature, time_s))
    })
}

/// What a witness signs.
fn message(time_s: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::hash::Hash;
    use crate::origin::Origin;

    fn key(byte: u8) -> OwnKey {
        OwnKey::from_seed(&[byte; 32])
    }

    fn head() -> SignedCheckpoint {
        let origin = Origin::new("example.com/log").unwrap();
        SignedCheckpoint::sign(&Checkpoint { origin, size: 7, root: Hash([3; 32]) }, &key(1))
    }

    #[test]
    fn a_cosigned_checkpoint_is_still_its_authors_and_says_when_the_witness_saw_it() {
        let origin = Origin::new("example.com/log").unwrap();
        let cosigned = cosign(&head(), "witness.example/w", &key(2), 1_679_315_147).unwrap();
        assert_eq!(cosigned.verify(&origin, &key(1).public()).unwrap().size, 7);
        let at = |name: &str, by: u8| cosigned_at(&cosigned, name, &key(by).public());
        assert_eq!(at("witness.example/w", 2), Some(1_679_315_147));
        assert_eq!(at("witness.example/w", 1), None, "another key");
        assert_eq!(at("witness.example/v", 2), None, "another name");
        assert_eq!(cosigned_at(&head(), "witness.example/w", &key(2).public()), None);
    }

    #[test]
    fn what_others_have_added_to_a_cosigned_checkpoint_can_be_left_out() {
        let cosigned = cosign(&head(), "w", &key(2), 9).unwrap();
        let crowded = cosign(&cosigned, "somebody", &key(3), 9).unwrap();
        let (author, witness) = (key(1).public(), key(2).public());
        let slim = of_two(&crowded, ("example.com/log", &author), ("w", &witness));
        assert_eq!(slim, Some(cosigned));
        assert_eq!(of_two(&head(), ("example.com/log", &author), ("w", &witness)), None);
        assert_eq!(of_two(&crowded, ("example.com/log", &witness), ("w", &witness)), None);
        assert_eq!(of_author(&crowded, ("example.com/log", &author)), Some(head()));
        assert_eq!(of_author(&crowded, ("example.com/log", &witness)), None);
    }

    #[test]
    fn neither_the_time_nor_the_text_can_be_changed() {
        let cosigned = cosign(&head(), "w", &key(2), 9).unwrap();
        let other = SignedCheckpoint::new(cosigned.text.replace("\n7\n", "\n8\n"));
        assert_eq!(cosigned_at(&other, "w", &key(2).public()), None);
        let mut note = Note::parse(&head().text).unwrap();
        let mut signature = Note::parse(&cosigned.text).unwrap().signatures()[1].clone();
        signature.bytes[7] ^= 1;
        note.add(signature).unwrap();
        let other = SignedCheckpoint::new(note.to_string());
        assert_eq!(cosigned_at(&other, "w", &key(2).public()), None);
    }

    /// The checkpoint of the specification's example, cosigned by Python's cryptography 48 (OpenSSL) with the seed of 32
    /// twos: `base64(SHA-256(name \n 0x04 key)[..4] time64 Ed25519("cosignature/v1\ntime 1679315147\n" text))`.
    #[test]
    fn a_cosignature_is_the_one_that_the_specification_defines_byte_for_byte() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let line = "\u{2014} witness.example.com/w1 dF+16AAAAABkGFDLUwBLV8e4tjvb6qEHiNTQjDZIX+7tvd038taw9A7W/cQ7ZhSah0uJMOI6CTPez5qwHtE49MrkWhU349mtYmi3Dw==\n";
        let name = "witness.example.com/w1";
        let ours = cosign(&SignedCheckpoint::new(text), name, &key(2), 1_679_315_147).unwrap();
        assert_eq!(ours.text, format!("{text}{line}"));
        let alone = cosignature_line(&SignedCheckpoint::new(text), name, &key(2), 1_679_315_147);
        assert_eq!(alone.as_deref(), Ok(line));
        let theirs = SignedCheckpoint::new(format!("{text}{line}"));
        assert_eq!(cosigned_at(&theirs, name, &key(2).public()), Some(1_679_315_147));
    }

    #[test]
    fn the_example_of_the_specification_has_a_cosignature_of_its_length() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let note = Note::parse(text).unwrap();
        let (time, signature) = note.signatures()[1].bytes.split_first_chunk::<8>().unwrap();
        assert_eq!((u64::from_be_bytes(*time), signature.len()), (1_679_315_147, 64));
    }
}
