//! Leaves and records that no honest member would write are refused by those who receive them.

use watchfire_signal::{
    commitment::Commitment,
    header::HeaderError,
    label::Class,
    record::{DecodeError, Leaf, OpenError, open, seal},
    statement::{Statement, StatementError},
};

use crate::{
    golden,
    tree::{Node, parse, plain},
};

/// A leaf and record with whatever fields of the header and whatever body, correctly committed.
fn forge(header: Vec<(Node, Node)>, body: &Statement) -> (Vec<u8>, Vec<u8>) {
    let (header, body) = (plain(&Node::Map(header)), body.encode());
    let commitment = Commitment::of(&header, &[0; 16], &body);
    let map = |values: Vec<Vec<u8>>| {
        let entries = (0..).zip(values).map(|(key, value)| (Node::Uint(key), Node::Bytes(value)));
        plain(&Node::Map(entries.collect()))
    };
    let leaf = map(vec![header.clone(), commitment.0.to_vec()]);
    (leaf, map(vec![header, body, vec![0; 16]]))
}

fn header_fields(leaf: &[u8]) -> Vec<(Node, Node)> {
    let Node::Map(leaf) = parse(leaf) else { panic!("a map") };
    let Node::Bytes(header) = &leaf[0].1 else { panic!("bytes") };
    let Node::Map(fields) = parse(header) else { panic!("a map") };
    fields
}

#[test]
fn a_forged_class_or_authority_is_refused_by_the_receiver() {
    let (header, statement) = golden::assert();
    let honest = header_fields(&seal(&header, &statement, [0; 16]).unwrap().leaf);
    let (leaf, record) = forge(honest.clone(), &statement);
    assert_eq!(open(&Leaf::decode(&leaf).unwrap(), &record).unwrap(), statement);

    let opened = |key: usize, value: u64| {
        let mut fields = honest.clone();
        fields[key].1 = Node::Uint(value);
        let (leaf, record) = forge(fields, &statement);
        open(&Leaf::decode(&leaf).unwrap(), &record)
    };
    // Whoever does not get the record counts by the size that the header says.
    let place = honest.iter().position(|(key, _)| *key == Node::Uint(15)).unwrap();
    for said in [2, 1_024] {
        assert_eq!(opened(place, said.into()), Err(OpenError::Size { said, found: 1 }));
    }
    let class = StatementError::Class { header: Class::Hate, labels: Class::SelfHarm };
    assert_eq!(opened(5, 4), Err(OpenError::Statement(class)));
    assert_eq!(opened(7, 6), Err(OpenError::Statement(StatementError::Authority)));
}

#[test]
fn a_forged_header_is_refused_by_the_receiver() {
    let (header, statement) = golden::retract();
    let honest = header_fields(&seal(&header, &statement, [0; 16]).unwrap().leaf);
    let without = |key: u64| {
        let mut fields = honest.clone();
        fields.retain(|(found, _)| *found != Node::Uint(key));
        Leaf::decode(&forge(fields, &statement).0).unwrap_err()
    };
    assert_eq!(without(8), DecodeError::Header(HeaderError::Reason(header.verb)));
    assert_eq!(without(10), DecodeError::Header(HeaderError::Target(header.verb)));
    assert!(matches!(without(15), DecodeError::Cbor(_)));
    for size in [0, 1_025] {
        let mut fields = honest.clone();
        fields.iter_mut().find(|(key, _)| *key == Node::Uint(15)).unwrap().1 = Node::Uint(size);
        let refused = Leaf::decode(&forge(fields, &statement).0).unwrap_err();
        assert_eq!(refused, DecodeError::Header(HeaderError::Size));
    }
    let mut fields = honest.clone();
    fields[2].1 = Node::Text("watchfire/other/tiktok/1".into());
    let refused = Leaf::decode(&forge(fields, &statement).0).unwrap_err();
    assert_eq!(refused, DecodeError::Header(HeaderError::Coalition));
    let (mut header, statement) = golden::assert();
    header.severity = Some(4);
    let mut fields = header_fields(&seal(&header, &statement, [0; 16]).unwrap().leaf);
    fields[8].1 = Node::Uint(5);
    let refused = Leaf::decode(&forge(fields, &statement).0).unwrap_err();
    assert_eq!(refused, DecodeError::Header(HeaderError::Severity));
}
