//! Leaves and records that no honest member would write are refused by those who receive them.

use watchfire_signal::{
    commitment::Commitment,
    contradiction::Contradiction,
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
    let leaf = map(vec![header.clone(), commitment.0.to_vec()]);
    (leaf, map(vec![header, body, vec![0; 16]]))
}

fn map(values: Vec<Vec<u8>>) -> Vec<u8> {
    let entries = (0..).zip(values).map(|(key, value)| (Node::Uint(key), Node::Bytes(value)));
    plain(&Node::Map(entries.collect()))
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

#[test]
fn a_record_with_another_header_convicts_its_author_only_where_it_opens_the_commitment() {
    let (header, statement) = golden::assert();
    let shown = header_fields(&seal(&header, &statement, [0; 16]).unwrap().leaf);
    let mut written = shown.clone();
    let severity = written.iter().position(|(key, _)| *key == Node::Uint(9)).unwrap();
    written[severity].1 = Node::Uint(if header.severity == Some(1) { 2 } else { 1 });
    let (honest, its) = forge(shown.clone(), &statement);
    let (other, record) = forge(written, &statement);
    let honest = Leaf::decode(&honest).unwrap();
    let commitment = Leaf::decode(&other).unwrap().commitment;
    let lie = Leaf::decode(&map(vec![honest.header_bytes.clone(), commitment.0.to_vec()])).unwrap();

    assert_eq!(open(&lie, &record), Err(OpenError::Header));
    let found = Contradiction::between(&lie, &record).unwrap();
    assert!(found.holds());
    for (place, part) in [&found.leaf, &found.header, &found.content.to_vec()].iter().enumerate() {
        for at in 0..part.len() {
            let mut changed = found.clone();
            match place {
                0 => changed.leaf[at] ^= 1,
                1 => changed.header[at] ^= 1,
                _ => changed.content[at] ^= 1,
            }
            // A leaf with another header beside the same commitment is contradicted by the same record, and stands in
            // nobody's log.
            let same = Leaf::decode(&changed.leaf).is_ok_and(|leaf| leaf.commitment == commitment);
            assert!(!changed.holds() || place == 0 && same, "{place} {at}");
        }
    }
    // An honest one, somebody else's, and no record at all prove nothing of the author.
    for brought in [&its, &record, &b"no record".to_vec()] {
        assert_eq!(Contradiction::between(&honest, brought), None);
    }
    assert_eq!(Contradiction::between(&lie, &its), None, "it does not open the commitment");
}
