//! Carries records that were missing beside their leaves: one CBOR array, an array of one or no byte string each.

use bytes::Bytes;
use minicbor::{Decoder, Encoder};

use super::{FrameError, MAX_FRAME_BYTES, MAX_RECORD_BYTES, limit};

/// The most records asked for at once: their indices fit in a URL.
pub const MAX_RECORD_INDICES: usize = 256;

/// Encodes records in the order asked for; stops before the first that would make the answer larger than
/// [`MAX_FRAME_BYTES`], so the answer may be for a prefix.
pub fn encode_records(records: &[Option<Bytes>]) -> Bytes {
    let mut bytes = 3;
    let fits = records.iter().take(MAX_RECORD_INDICES).take_while(|record| {
        bytes += record.as_ref().map_or(1, |record| record.len() + 6);
        bytes <= MAX_FRAME_BYTES
    });
    let count = fits.count();
    let mut out = Encoder::new(Vec::new());
    let mut write = || -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        out.array(count as u64)?;
        for record in &records[..count] {
            match record {
                Some(record) => out.array(1)?.bytes(record)?,
                None => out.array(0)?,
            };
        }
        Ok(())
    };
    match write() {
        Ok(()) => out.into_writer().into(),
        Err(error) => unreachable!("memory takes every byte: {error}"),
    }
}

/// Decodes at most `asked` records.
///
/// # Errors
/// [`FrameError`] when the bytes are another shape, or more than was asked for.
pub fn decode_records(bytes: &Bytes, asked: usize) -> Result<Vec<Option<Bytes>>, FrameError> {
    let mut reader = Decoder::new(bytes);
    let count = super::array(&mut reader)?;
    limit(count, asked.min(MAX_RECORD_INDICES), "records asked for")?;
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        records.push(match super::array(&mut reader)? {
            0 => None,
            1 => Some(super::part(&mut reader, bytes)?),
            _ => return Err(FrameError::Malformed),
        });
    }
    for record in records.iter().flatten() {
        limit(record.len(), MAX_RECORD_BYTES, "record bytes")?;
    }
    if reader.position() == bytes.len() { Ok(records) } else { Err(FrameError::Malformed) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_read_back(records in vec(proptest::option::of(vec(any::<u8>(), 0..99)), 0..9)) {
            let records: Vec<_> = records.into_iter().map(|r| r.map(Bytes::from)).collect();
            let bytes = encode_records(&records);
            prop_assert_eq!(decode_records(&bytes, 9).unwrap(), records);
        }

        #[test]
        fn any_bytes_are_records_or_an_error(bytes in vec(any::<u8>(), 0..99)) {
            let _ = decode_records(&bytes.into(), 9);
        }
    }

    #[test]
    fn an_answer_too_large_is_a_prefix() {
        let record = Some(Bytes::from(vec![1; MAX_RECORD_BYTES]));
        let bytes = encode_records(&vec![record; 5]);
        assert!(bytes.len() <= MAX_FRAME_BYTES);
        assert_eq!(decode_records(&bytes, 5).unwrap().len(), 3);
    }

    #[test]
    fn more_than_was_asked_for_is_refused() {
        let bytes = encode_records(&[None, None]);
        assert_eq!(decode_records(&bytes, 1), Err(FrameError::Limit("records asked for")));
    }
}
