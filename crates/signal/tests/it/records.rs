//! What is sealed opens to the same statement, for that leaf only.

use proptest::prelude::*;
use watchfire_signal::{
    alert::AlertError,
    commitment::Commitment,
    header::{Header, HeaderError, Provenance, Target},
    label::{Class, Label},
    reason::Reason,
    record::{DecodeError, Leaf, OpenError, Record, SealError, may_belong, open, seal, size_of},
    statement::{Basis, Statement, StatementError},
    verb::Verb,
};

use crate::{any, golden, tree};

proptest! {
    #[test]
    fn what_is_sealed_opens_to_the_same_statement(
        (header, statement) in any::pair(),
        salt in any::<[u8; 16]>(),
    ) {
        let sealed = seal(&header, &statement, salt).unwrap();
        let leaf = Leaf::decode(&sealed.leaf).unwrap();
        let size = size_of(&statement.encode());
        prop_assert_eq!(&leaf.header, &Header { size, ..header.clone() });
        prop_assert_eq!(&leaf.bytes, &sealed.leaf);
        prop_assert_eq!(leaf.commitment, sealed.commitment);
        prop_assert_eq!(open(&leaf, &sealed.record).unwrap(), statement);
    }

    #[test]
    fn a_body_is_read_as_it_was_written(statement in any::statement()) {
        let bytes = statement.encode();
        prop_assert_eq!(Statement::decode(statement.verb(), &bytes).unwrap(), statement);
    }

    #[test]
    fn a_record_with_one_changed_byte_does_not_open(
        (header, statement) in any::pair(),
        salt in any::<[u8; 16]>(),
        place in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let mut sealed = seal(&header, &statement, salt).unwrap();
        let leaf = Leaf::decode(&sealed.leaf).unwrap();
        let place = place.index(sealed.record.len());
        sealed.record[place] ^= change;
        prop_assert!(open(&leaf, &sealed.record).is_err());
    }
}

#[test]
fn a_record_of_another_leaf_does_not_open() {
    let (header, statement) = golden::assert();
    let ours = seal(&header, &statement, [1; 16]).unwrap();
    let again = seal(&header, &statement, [2; 16]).unwrap();
    let leaf = Leaf::decode(&ours.leaf).unwrap();
    assert_eq!(open(&leaf, &again.record), Err(OpenError::Commitment));
    let mut header = header;
    header.severity = Some(0);
    let milder = seal(&header, &statement, [1; 16]).unwrap();
    assert_eq!(open(&leaf, &milder.record), Err(OpenError::Header));
}

#[test]
fn the_commitment_is_that_of_the_format() {
    let (header, statement) = golden::assert();
    let sealed = seal(&header, &statement, [7; 16]).unwrap();
    let record = Record::decode(&sealed.record).unwrap();
    assert_eq!(record.commitment(), sealed.commitment);
    assert_eq!(
        Commitment::of(&record.header_bytes, &[7; 16], &statement.encode()),
        sealed.commitment
    );
    assert!(!format!("{record:?}").contains("signals"));
}

#[test]
fn a_header_has_a_target_and_a_reason_exactly_where_its_verb_needs_them() {
    let (mut header, statement) = golden::assert();
    header.target = Some(Target { log: header.author_log.clone(), index: 0 });
    let refused = |error| Err(SealError::Leaf(DecodeError::Header(error)));
    assert_eq!(seal(&header, &statement, [0; 16]), refused(HeaderError::Target(Verb::Assert)));
    let (mut header, statement) = golden::retract();
    header.reason = None;
    assert_eq!(seal(&header, &statement, [0; 16]), refused(HeaderError::Reason(Verb::Retract)));
    header.reason = Some(Reason::Test);
    header.target = None;
    assert_eq!(seal(&header, &statement, [0; 16]), refused(HeaderError::Target(Verb::Retract)));
    let (mut header, statement) = golden::assert();
    header.coalition = "other".parse().unwrap();
    assert_eq!(seal(&header, &statement, [0; 16]), refused(HeaderError::Coalition));
}

#[test]
fn a_body_goes_with_its_header() {
    let refused = |error: StatementError| Err(SealError::Record(OpenError::Statement(error)));
    let (header, statement) = golden::assert();
    let mut other = header.clone();
    other.class = Class::Hate;
    let class = StatementError::Class { header: Class::Hate, labels: Class::SelfHarm };
    assert_eq!(seal(&other, &statement, [0; 16]), refused(class));
    let mut other = header.clone();
    other.provenance = Provenance::GovernmentRequest;
    assert_eq!(seal(&other, &statement, [0; 16]), refused(StatementError::Authority));
    let (retract, _) = golden::retract();
    let confirm =
        Statement::Confirm { commitment: Commitment([0; 32]), basis: Basis::AutomaticMatch };
    let verb = StatementError::Verb { header: Verb::Retract, body: Verb::Confirm };
    assert_eq!(seal(&retract, &confirm, [0; 16]), refused(verb));
    let mut halt = retract;
    halt.verb = Verb::Halt;
    let member = Some("tiktok".parse().unwrap());
    let halted = seal(&halt, &Statement::Halt { member }, [0; 16]);
    assert_eq!(halted, refused(StatementError::Field("target")));
}

#[test]
fn a_lease_is_not_over_before_what_it_is_of() {
    let refused = Err(SealError::Record(OpenError::Statement(StatementError::Lease)));
    let (header, statement) = golden::assert();
    let day = header.lease_day.unwrap();
    let ends = |header: &Header, day, statement: &Statement| {
        seal(&Header { lease_day: day, ..header.clone() }, statement, [0; 16])
    };
    assert_eq!(ends(&header, Some(day - 1), &statement), refused);
    for day in [Some(day), Some(day + 1), None] {
        assert!(ends(&header, day, &statement).is_ok());
    }
    let (confirm, _) = golden::confirm();
    let renew = Header { verb: Verb::Renew, ..confirm };
    let statement = Statement::Renew { valid_until: 86_400_000 * u64::from(day) };
    assert_eq!(ends(&renew, Some(day - 1), &statement), refused);
    assert!(ends(&renew, Some(day), &statement).is_ok());
}

proptest! {
    #[test]
    fn a_record_is_no_longer_than_its_leaf_and_the_size_that_it_says(
        (header, statement) in any::pair(),
    ) {
        let sealed = seal(&header, &statement, [3; 16]).unwrap();
        prop_assert!(may_belong(&sealed.leaf, sealed.record.len()));
        let size = size_of(&statement.encode()) as usize;
        prop_assert!(!may_belong(&sealed.leaf, sealed.leaf.len() + size * 1_024 + 1));
    }
}

#[test]
fn what_is_no_leaf_has_no_record() {
    assert!(!may_belong(b"no leaf at all", 0));
}

#[test]
fn labels_of_two_classes_or_twice_are_refused() {
    let (header, statement) = golden::assert();
    let Statement::Assert(mut alert) = statement else { panic!("an assert") };
    alert.labels.push("hate.incitement".parse().unwrap());
    assert_eq!(alert.validate(), Err(AlertError::Classes));
    alert.labels[1] = alert.labels[0].clone();
    assert_eq!(alert.validate(), Err(AlertError::Labels));
    alert.labels.clear();
    assert!(seal(&header, &Statement::Assert(alert), [0; 16]).is_err());
}

#[test]
fn a_label_of_a_later_taxonomy_is_received_and_not_sealed() {
    let (header, statement) = golden::assert();
    let Statement::Assert(mut alert) = statement else { panic!("an assert") };
    let later = Label::received("self_harm.something_new").unwrap();
    alert.labels = vec![later.clone()];
    let statement = Statement::Assert(alert);
    assert_eq!(seal(&header, &statement, [0; 16]), Err(SealError::UnknownLabel(later)));
    assert_eq!(Statement::decode(Verb::Assert, &statement.encode()).unwrap(), statement);
}

#[test]
fn a_label_of_the_abuse_of_children_is_not_received() {
    let (_, statement) = golden::assert();
    let mut body = tree::parse(&statement.encode());
    let tree::Node::Map(entries) = &mut body else { panic!("a map") };
    entries[2].1 = tree::Node::Array(vec![tree::Node::Text("csam.anything".into())]);
    assert!(Statement::decode(Verb::Assert, &tree::plain(&body)).is_err());
}

#[test]
fn a_leaf_of_another_version_says_what_it_speaks_about() {
    let (header, statement) = golden::retract();
    let sealed = seal(&header, &statement, [0; 16]).unwrap();
    let tree::Node::Map(mut leaf) = tree::parse(&sealed.leaf) else { panic!("a map") };
    let tree::Node::Bytes(header_bytes) = &leaf[0].1 else { panic!("bytes") };
    let tree::Node::Map(mut fields) = tree::parse(header_bytes) else { panic!("a map") };
    fields[0].1 = tree::Node::Uint(2);
    fields[4].1 = tree::Node::Text("a verb by name".into());
    fields.push((tree::Node::Uint(40), tree::Node::Bool(true)));
    leaf[0].1 = tree::Node::Bytes(tree::plain(&tree::Node::Map(fields)));
    leaf.push((tree::Node::Uint(2), tree::Node::Uint(5)));
    let leaf = tree::plain(&tree::Node::Map(leaf));
    let target = header.target;
    assert!(target.is_some());
    let size = Some(1);
    assert_eq!(Leaf::decode(&leaf), Err(DecodeError::UnknownVersion { v: 2, target, size }));
}

#[test]
fn a_leaf_and_a_record_have_a_greatest_size() {
    let long = |bytes: usize| vec![0_u8; bytes];
    assert!(matches!(Leaf::decode(&long(65_535)), Err(DecodeError::TooLong { .. })));
    assert!(matches!(Record::decode(&long(1_048_577)), Err(DecodeError::TooLong { .. })));
    assert!(!matches!(Leaf::decode(&long(65_534)), Err(DecodeError::TooLong { .. })));
}
