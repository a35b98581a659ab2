//! Whatever bytes come in, they are a value or an error.

use proptest::{collection::vec, prelude::*};
use watchfire_signal::{
    charter::{Charter, SignedCharter},
    features::FeaturesPrint,
    record::{DecodeError, Leaf, Record, open, seal},
    statement::Statement,
    verb::Verb,
    vpdq::Vpdq,
};

use crate::{any, golden, tree};

/// Reads the bytes as everything there is; what is read is written as the same bytes again.
fn read_as_everything(bytes: &[u8]) {
    for verb in Verb::ALL {
        if let Ok(statement) = Statement::decode(*verb, bytes) {
            assert_eq!(statement.encode(), bytes);
        }
    }
    if let Ok(charter) = Charter::decode(bytes) {
        assert_eq!(charter.encode(), bytes);
    }
    if let Ok(signed) = SignedCharter::decode(bytes) {
        assert_eq!(signed.encode(), bytes);
    }
    if let Ok(vpdq) = Vpdq::from_bytes(bytes) {
        assert_eq!(vpdq.to_bytes(), bytes);
    }
    if let Ok(print) = FeaturesPrint::from_bytes(bytes) {
        assert_eq!(print.to_bytes(), bytes);
    }
    let (header, statement) = golden::assert();
    let leaf = Leaf::decode(&seal(&header, &statement, [0; 16]).unwrap().leaf).unwrap();
    let _ = (Leaf::decode(bytes), Record::decode(bytes), open(&leaf, bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (Vpdq::from_lines(text), Vpdq::from_json(text));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..400)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn changed_and_cut_records_are_a_value_or_an_error(
        (header, statement) in any::pair(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        let sealed = seal(&header, &statement, [5; 16]).unwrap();
        for mut bytes in [sealed.leaf, sealed.record, statement.encode()] {
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            read_as_everything(&bytes);
            read_as_everything(&bytes[..end.index(bytes.len())]);
        }
    }

    #[test]
    fn any_text_is_a_vpdq_or_an_error(text in "[0-9a-f,.\\[\\]\"e+\n-]{0,200}") {
        read_as_everything(text.as_bytes());
    }
}

#[test]
fn a_deep_nest_is_an_error_and_no_overflow() {
    for opener in [0x81_u8, 0xa1, 0x9f, 0xbf, 0xc1, 0x5f] {
        read_as_everything(&vec![opener; 60_000]);
        // Inside of a header of a later version, where unknown fields are passed over.
        let mut header = vec![0xa3, 0, 2, 1];
        header.extend(vec![opener; 60_000]);
        let leaf = tree::Node::Map(vec![
            (tree::Node::Uint(0), tree::Node::Bytes(header)),
            (tree::Node::Uint(1), tree::Node::Bytes(vec![0; 32])),
        ]);
        let read = Leaf::decode(&tree::plain(&leaf));
        assert_eq!(read, Err(DecodeError::UnknownVersion { v: 2, target: None, size: None }));
    }
}
