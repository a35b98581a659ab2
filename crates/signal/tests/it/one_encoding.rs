//! Of all the ways to write a record down in CBOR, exactly one is accepted.

use proptest::prelude::*;
use watchfire_signal::{
    charter::{Approval, Charter, SignedCharter},
    record::{Leaf, Record, seal},
    statement::Statement,
};

use crate::{any, golden, tree};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_second_encoding_of_a_body_is_accepted(statement in any::statement()) {
        let body = tree::parse(&statement.encode());
        prop_assert_eq!(tree::plain(&body), statement.encode());
        for (twist, bytes) in tree::twisted(&body) {
            let read = Statement::decode(statement.verb(), &bytes);
            prop_assert!(read.is_err(), "{:?} was read as {:?}", twist, read);
        }
    }

    #[test]
    fn no_second_encoding_of_a_leaf_or_record_is_accepted((header, statement) in any::pair()) {
        let sealed = seal(&header, &statement, [9; 16]).unwrap();
        for (twist, bytes) in tree::twisted(&tree::parse(&sealed.leaf)) {
            prop_assert!(Leaf::decode(&bytes).is_err(), "{:?}", twist);
        }
        for (twist, bytes) in tree::twisted(&tree::parse(&sealed.record)) {
            prop_assert!(Record::decode(&bytes).is_err(), "{:?}", twist);
        }
        let header_bytes = Leaf::decode(&sealed.leaf).unwrap().header_bytes;
        for (twist, bytes) in tree::twisted(&tree::parse(&header_bytes)) {
            let tree::Node::Map(mut leaf) = tree::parse(&sealed.leaf) else { unreachable!() };
            leaf[0].1 = tree::Node::Bytes(bytes);
            let leaf = tree::plain(&tree::Node::Map(leaf));
            prop_assert!(Leaf::decode(&leaf).is_err(), "{:?}", twist);
        }
    }

    #[test]
    fn no_second_encoding_of_a_charter_is_accepted(charter in any::charter()) {
        let bytes = charter.encode();
        prop_assert_eq!(&Charter::decode(&bytes).unwrap(), &charter);
        for (twist, bytes) in tree::twisted(&tree::parse(&bytes)) {
            prop_assert!(Charter::decode(&bytes).is_err(), "{:?}", twist);
        }
        let approvals = charter.members.iter().rev();
        let approvals =
            approvals.map(|m| Approval { member: m.name.clone(), signature: [3; 64] }).collect();
        let signed = SignedCharter::new(charter, approvals).unwrap();
        let bytes = signed.encode();
        prop_assert_eq!(&SignedCharter::decode(&bytes).unwrap(), &signed);
        for (twist, bytes) in tree::twisted(&tree::parse(&bytes)) {
            prop_assert!(SignedCharter::decode(&bytes).is_err(), "{:?}", twist);
        }
    }
}

#[test]
fn nothing_follows_a_leaf_record_or_body() {
    let (header, statement) = golden::assert();
    let sealed = seal(&header, &statement, [9; 16]).unwrap();
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    assert!(Leaf::decode(&longer(&sealed.leaf)).is_err());
    assert!(Record::decode(&longer(&sealed.record)).is_err());
    for (_, statement) in [golden::assert(), golden::confirm(), golden::retract()] {
        assert!(Statement::decode(statement.verb(), &longer(&statement.encode())).is_err());
    }
}

#[test]
fn a_flag_that_is_false_has_no_key() {
    let (mut header, statement) = golden::assert();
    header.test = true;
    let sealed = seal(&header, &statement, [0; 16]).unwrap();
    let tree::Node::Map(mut leaf) = tree::parse(&sealed.leaf) else { panic!("a map") };
    let tree::Node::Bytes(header) = &leaf[0].1 else { panic!("bytes") };
    let tree::Node::Map(mut fields) = tree::parse(header) else { panic!("a map") };
    let flag = fields.iter_mut().find(|(key, _)| *key == tree::Node::Uint(12)).unwrap();
    flag.1 = tree::Node::Bool(false);
    leaf[0].1 = tree::Node::Bytes(tree::plain(&tree::Node::Map(fields)));
    assert!(Leaf::decode(&tree::plain(&tree::Node::Map(leaf))).is_err());
}
