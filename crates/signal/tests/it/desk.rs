//! Lines of the desk log: one encoding, bound to their leaf, and the bytes of `docs/format.md`.

use proptest::prelude::*;
use watchfire_signal::{
    desk::{DeskError, DeskKind, DeskLeaf, DeskRecord, MAX_ACTOR_BYTES, MAX_BODY_BYTES, seal_line},
    hex,
};

use crate::tree;

fn record() -> impl Strategy<Value = DeskRecord> {
    let body = prop::collection::vec(any::<u8>(), 0..200);
    ("[a-z]{1,8}(:[a-zé]{1,8})?", body).prop_map(|(actor, body)| DeskRecord { actor, body })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_sealed_is_read_back(record in record(), at_ms: u64, salt: [u8; 16]) {
        let sealed = seal_line(DeskKind::Bank, at_ms, &record, salt).unwrap();
        let leaf = DeskLeaf::decode(&sealed.leaf).unwrap();
        prop_assert_eq!((leaf.kind, leaf.at_ms, leaf.commitment), (DeskKind::Bank, at_ms, sealed.commitment));
        prop_assert_eq!(leaf.open(&sealed.record).unwrap(), record);
    }

    #[test]
    fn no_second_encoding_of_a_line_is_accepted(record in record(), salt: [u8; 16]) {
        let sealed = seal_line(DeskKind::Look, 7, &record, salt).unwrap();
        let leaf = DeskLeaf::decode(&sealed.leaf).unwrap();
        for (twist, bytes) in tree::twisted(&tree::parse(&sealed.leaf)) {
            prop_assert!(DeskLeaf::decode(&bytes).is_err(), "{:?}", twist);
        }
        for (twist, bytes) in tree::twisted(&tree::parse(&sealed.record)) {
            prop_assert!(leaf.open(&bytes).is_err(), "{:?}", twist);
        }
    }

    #[test]
    fn any_bytes_are_a_line_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(leaf) = DeskLeaf::decode(&bytes) {
            let _read = leaf.open(&bytes);
        }
    }
}

#[test]
fn a_record_of_another_line_is_refused() {
    let record = |body: &[u8]| DeskRecord { actor: "node".to_owned(), body: body.to_vec() };
    let one = seal_line(DeskKind::Look, 7, &record(b"1"), [0; 16]).unwrap();
    let other = seal_line(DeskKind::Look, 7, &record(b"2"), [0; 16]).unwrap();
    let leaf = DeskLeaf::decode(&one.leaf).unwrap();
    assert_eq!(leaf.open(&other.record), Err(DeskError::Commitment));
}

#[test]
fn a_line_beyond_a_limit_is_not_written() {
    for record in [
        DeskRecord { actor: "a".repeat(MAX_ACTOR_BYTES + 1), body: vec![] },
        DeskRecord { actor: "node".to_owned(), body: vec![b' '; MAX_BODY_BYTES + 1] },
        DeskRecord { actor: "e\u{301}".to_owned(), body: vec![] },
    ] {
        assert!(matches!(seal_line(DeskKind::Look, 7, &record, [0; 16]), Err(DeskError::Cbor(_))));
    }
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let salt = core::array::from_fn(|at| u8::try_from(at).unwrap());
    let record =
        DeskRecord { actor: "person:p1".to_owned(), body: br#"{"item":"tiktok:123"}"#.to_vec() };
    let sealed = seal_line(DeskKind::Look, 1_800_000_000_000, &record, salt).unwrap();
    let document = include_str!("../../../../docs/format.md");
    let document: String = document.split_whitespace().collect();
    for (name, bytes) in [("deskleaf", &sealed.leaf), ("deskrecord", &sealed.record)] {
        let wanted = format!("{name}{}", hex::encode(bytes));
        assert!(document.contains(&wanted), "docs/format.md lacks {wanted}");
    }
}
