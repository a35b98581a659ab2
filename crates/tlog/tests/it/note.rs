//! Signed notes: the published examples, and everything that is almost one.

use proptest::prelude::*;
use watchfire_tlog::note::{
    MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, Note, NoteError, NoteKey, NoteSignature, key_id,
};
use watchfire_tlog::{OwnKey, PeerKey};

// The keys, text and signatures of golang.org/x/mod/sumdb/note, the first implementation.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SEED: &str = "810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> NoteKey {
    text.parse().unwrap()
}

fn verify(note: &str, key_text: &str) -> Result<(), NoteError> {
    Note::parse(note)?.verify(key(key_text).name(), key(key_text).key())
}

#[test]
fn the_published_note_verifies_for_each_of_its_signers() {
    let note = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
    assert_eq!(verify(&note, PETER), Ok(()));
    assert_eq!(verify(&note, ENOCH), Ok(()));
    assert_eq!(Note::parse(&note).unwrap().text(), TEXT);
    assert_eq!(Note::parse(&note).unwrap().to_string(), note);
    assert_eq!(verify(&format!("{TEXT}\n{ENOCH_LINE}"), PETER), Err(NoteError::Unsigned));
}

#[test]
fn signing_gives_the_published_bytes() {
    let seed: Vec<u8> =
        (0..32).map(|i| u8::from_str_radix(&PETER_SEED[2 * i..2 * i + 2], 16).unwrap()).collect();
    let own = OwnKey::from_seed(&seed.try_into().unwrap());
    assert_eq!(own.public(), *key(PETER).key());
    let note = Note::sign(TEXT, "PeterNeumann", &own).unwrap();
    assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}"));
}

#[test]
fn a_verifier_key_has_one_text() {
    assert_eq!(key(PETER).to_string(), PETER);
    assert_eq!(key_id("PeterNeumann", key(PETER).key()), 0xc74f_20a3);
    for from in 0..PETER.len() {
        for to in from..PETER.len() {
            assert!(PETER[from..to].parse::<NoteKey>().is_err(), "{}", &PETER[from..to]);
        }
        let mut bytes = PETER.as_bytes().to_vec();
        bytes[from] += 1;
        let changed = String::from_utf8(bytes).unwrap();
        assert!(changed.parse::<NoteKey>().is_err(), "{changed}");
    }
    // A key of the wrong length, and one of an unknown algorithm, each with the id that it would
    // have.
    for bad in [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert_eq!(bad.parse::<NoteKey>(), Err(NoteError::Key));
    }
}

#[test]
fn what_is_almost_a_note_is_malformed() {
    let cut = &PETER_LINE[..PETER_LINE.len() - 1];
    for bad in [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        TEXT.into(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n{cut}"),
        format!("{TEXT}{PETER_LINE}"),
        format!("\n{PETER_LINE}"),
        format!("\u{1}{TEXT}\n{PETER_LINE}"),
        format!("tab\there\n\n{PETER_LINE}"),
        format!("{TEXT}\n{PETER_LINE}").replace('\n', "\r\n"),
        format!("{TEXT}\n{cut}\r\n"),
        format!("{TEXT}\n{PETER_LINE}Unexpected line.\n"),
        format!("{TEXT}\n{PETER_LINE}\n"),
        format!("{TEXT}\n{}", PETER_LINE.replace("— ", "- ")),
        format!("{TEXT}\n{}", PETER_LINE.replace("— ", "—")),
        format!("{TEXT}\n{}", PETER_LINE.replace("AM=", "AN=")),
        format!("{TEXT}\n{}", PETER_LINE.replace("AM=", "AM")),
        format!("{TEXT}\n{}", PETER_LINE.replace("AM=\n", "AM= \n")),
        format!("{TEXT}\n— PeterNeumann x08gow==\n"),
        format!("{TEXT}\n— PeterNeumann\n"),
    ] {
        assert_eq!(Note::parse(&bad), Err(NoteError::Malformed), "{bad:?}");
    }
    for bad in ["Peter\u{a0}Neumann", "Peter+Neumann", "Peter\u{2003}", ""] {
        let note = format!("{TEXT}\n{}", PETER_LINE.replace("PeterNeumann", bad));
        assert_eq!(Note::parse(&note), Err(NoteError::Name), "{bad:?}");
    }
}

#[test]
fn a_text_may_have_empty_lines_and_other_alphabets() {
    let own = OwnKey::from_seed(&[3; 32]);
    let text = "trafitto da un raggio di sole:\n\ned è subito sera.\n";
    let note = Note::sign(text, "quasimodo.example/salvatore", &own).unwrap().to_string();
    let note = Note::parse(&note).unwrap();
    assert_eq!(note.text(), text);
    assert_eq!(note.verify("quasimodo.example/salvatore", &own.public()), Ok(()));
    for bad in ["no newline", "", "carriage\r\n", "bell\u{7}\n"] {
        assert_eq!(Note::sign(bad, "a", &own), Err(NoteError::Malformed));
    }
    assert_eq!(Note::sign(text, "a b", &own), Err(NoteError::Name));
}

#[test]
fn every_signature_that_claims_to_be_the_keys_must_be_good() {
    let twice = format!("{TEXT}\n{PETER_LINE}{PETER_LINE}");
    assert_eq!(verify(&twice, PETER), Ok(()));
    let bad_line = PETER_LINE.replace("ZJkuB", "ZJkuC");
    for note in [
        format!("{TEXT}\n{bad_line}"),
        format!("{TEXT}\n{PETER_LINE}{bad_line}"),
        format!("{TEXT}\n{bad_line}{PETER_LINE}"),
        format!("x{TEXT}\n{PETER_LINE}"),
        format!("{TEXT}\n{}", PETER_LINE.replace("ZJku", "ZJkuABCD")),
    ] {
        assert_eq!(verify(&note, PETER), Err(NoteError::Signature), "{note}");
    }
    // Sharing a name or an id, but not both, with a known key is no claim.
    let renamed = PETER_LINE.replace("PeterNeumann", "CarmenSandiego");
    let other_id = PETER_LINE.replace("x08g", "xxxx");
    assert_eq!(verify(&format!("{TEXT}\n{renamed}{other_id}"), PETER), Err(NoteError::Unsigned));
    assert_eq!(verify(&format!("{TEXT}\n{renamed}{other_id}{PETER_LINE}"), PETER), Ok(()));
}

#[test]
fn a_note_has_a_limit_on_its_size_and_its_signatures() {
    let full = format!("{TEXT}\n{PETER_LINE}{}", ENOCH_LINE.repeat(MAX_NOTE_SIGNATURES - 1));
    assert_eq!(verify(&full, PETER), Ok(()));
    assert_eq!(Note::parse(&format!("{full}{ENOCH_LINE}")), Err(NoteError::TooLarge));
    let long = format!("{}\n\n{PETER_LINE}", "a".repeat(MAX_NOTE_BYTES));
    assert_eq!(Note::parse(&long), Err(NoteError::TooLarge));
}

#[test]
fn a_witness_can_add_a_signature_of_a_kind_that_we_do_not_know() {
    let mut note = Note::parse(&format!("{TEXT}\n{PETER_LINE}")).unwrap();
    let cosignature =
        NoteSignature { name: "witness.example/w1".into(), key_id: 7, bytes: vec![4; 72] };
    note.add(cosignature.clone()).unwrap();
    let again = Note::parse(&note.to_string()).unwrap();
    assert_eq!(again.signatures()[1], cosignature);
    assert_eq!(again.verify("PeterNeumann", key(PETER).key()), Ok(()));
}

fn any_key() -> impl Strategy<Value = (OwnKey, PeerKey)> {
    any::<[u8; 32]>().prop_map(|seed| {
        let own = OwnKey::from_seed(&seed);
        let peer = own.public();
        (own, peer)
    })
}

proptest! {
    #[test]
    fn what_is_signed_prints_reads_back_and_verifies(
        (own, peer) in any_key(),
        text in "[ -~äöü\n—]{0,200}",
        name in "[a-zA-Z0-9./_-]{1,40}",
    ) {
        let text = format!("{text}\n");
        let note = Note::sign(text.clone(), &name, &own).unwrap();
        let again = Note::parse(&note.to_string()).unwrap();
        prop_assert_eq!(&again, &note);
        prop_assert_eq!(again.text(), text);
        prop_assert_eq!(again.verify(&name, &peer), Ok(()));
    }

    #[test]
    fn any_text_is_a_note_that_prints_as_it_was_or_an_error(text in "(\\PC|\n|— |\r|AAAAAAAA){0,120}") {
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn a_changed_byte_never_verifies(place in 0..TEXT.len(), change in 1u8..=255) {
        let mut bytes = format!("{TEXT}\n{PETER_LINE}").into_bytes();
        bytes[place] ^= change;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(verify(&text, PETER).is_err());
        }
    }
}
