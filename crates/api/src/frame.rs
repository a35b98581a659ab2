//! Carries entries of a log between members: one CBOR array a frame, read strictly from a stream that may be hostile.
//!
//! Source: `docs/format.md`, section 10.
//!
//! **Invariant:** a frame has exactly one encoding; every other byte string is refused.
//! **Invariant:** memory held for a peer is bounded by [`MAX_FRAME_BYTES`], whatever the peer declares.

mod gather;
mod records;
mod stream;

use std::convert::Infallible;

use bytes::Bytes;
use minicbor::{Decoder as Reader, Encoder, encode};
use thiserror::Error;
use watchfire_tlog::{Entry, Extension, Hash, MAX_LEAF_BYTES, SignedCheckpoint, Urgent};

pub use gather::{Gather, MAX_GATHERED_BYTES, MAX_GATHERED_ENTRIES};
pub use records::{MAX_RECORD_INDICES, decode_records, encode_records};
pub use stream::FrameStream;

/// The media type of a stream of frames: a CBOR sequence (RFC 8742).
pub const MEDIA_TYPE: &str = "application/cbor-seq";

/// The largest frame: three of the largest records fit with their leaves, and a reader can hold one a peer.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// The most entries in a frame; entries of a few bytes each would cost the reader far more than they cost the sender.
pub const MAX_FRAME_ENTRIES: usize = 65_536;

/// The largest record (`docs/format.md`, section 1).
pub const MAX_RECORD_BYTES: usize = 1_048_576;

/// The most hashes in a proof: a log has fewer than 2^63 leaves, so no proof needs more.
pub const MAX_PROOF_HASHES: usize = 64;

/// The longest signed checkpoint: three lines, the author's signature and those of many witnesses.
pub const MAX_CHECKPOINT_BYTES: usize = 16 * 1024;

const PING: u64 = 0;
const ENTRIES: u64 = 1;
const PRIORITY: u64 = 2;

/// What one member tells another on a stream. Trusted for nothing but what its checkpoint and commitments prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Type 0: the stream is alive.
    Ping,
    /// Type 1: entries, and a signed checkpoint that covers them all. Its size may lie beyond the last entry when
    /// what the receiver lacks does not fit in one frame; the frames that follow then carry the same checkpoint.
    Entries(Extension),
    /// Type 2: a retraction, halt or erasure ahead of the dense stream.
    Priority(Urgent),
}

/// Why bytes are not a frame. The stream that they came on is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The frame is larger than [`MAX_FRAME_BYTES`], or declares that it will be.
    #[error("a frame has at most {MAX_FRAME_BYTES} bytes")]
    TooLarge,
    /// The bytes are not a CBOR array of a known frame's shape.
    #[error("the bytes are no frame")]
    Malformed,
    /// A frame, but not in its one encoding.
    #[error("the frame is not in its shortest encoding")]
    NotCanonical,
    /// A count or a part in it is over its limit.
    #[error("over the limit of {0}")]
    Limit(&'static str),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Cut,
}

impl Frame {
    /// Encodes the frame.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] or [`FrameError::Limit`] when no reader would take it; see [`split`].
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        self.check()?;
        let mut out = Encoder::new(Vec::with_capacity(self.size_hint()));
        self.write(&mut out).map_err(|_| FrameError::Malformed)?;
        let bytes = out.into_writer();
        if bytes.len() > MAX_FRAME_BYTES { Err(FrameError::TooLarge) } else { Ok(bytes.into()) }
    }

    /// Decodes exactly one frame that is all of `bytes`. Leaves and records share the memory of `bytes`.
    ///
    /// # Errors
    /// [`FrameError`], for every byte string but the one encoding of a frame within the limits.
    pub fn decode(bytes: &Bytes) -> Result<Self, FrameError> {
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge);
        }
        let mut reader = Reader::new(bytes);
        let frame = read_frame(&mut reader, bytes)?;
        if reader.position() != bytes.len() {
            return Err(FrameError::Malformed);
        }
        // The re-encoding is what makes one frame one byte string: long integers, long lengths and indefinite
        // lengths all come back shorter than they went in.
        if frame.encode()? != *bytes {
            return Err(FrameError::NotCanonical);
        }
        Ok(frame)
    }

    fn check(&self) -> Result<(), FrameError> {
        match self {
            Frame::Ping => Ok(()),
            Frame::Entries(extension) => {
                limit(extension.entries.len(), MAX_FRAME_ENTRIES, "entries a frame")?;
                limit(extension.checkpoint.text.len(), MAX_CHECKPOINT_BYTES, "checkpoint bytes")?;
                extension.entries.iter().try_for_each(check_entry)
            }
            Frame::Priority(priority) => {
                limit(priority.checkpoint.text.len(), MAX_CHECKPOINT_BYTES, "checkpoint bytes")?;
                limit(priority.consistency.len(), MAX_PROOF_HASHES, "hashes a proof")?;
                limit(priority.inclusion.len(), MAX_PROOF_HASHES, "hashes a proof")?;
                check_entry(&priority.entry)
            }
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Frame::Ping => 2,
            Frame::Entries(extension) => {
                let entries: usize = extension.entries.iter().map(entry_bytes).sum();
                entries + extension.checkpoint.text.len() + HEAD_BYTES
            }
            Frame::Priority(priority) => {
                let proofs = (priority.consistency.len() + priority.inclusion.len()) * 34;
                let text = priority.checkpoint.text.len();
                entry_bytes(&priority.entry) + proofs + text + HEAD_BYTES
            }
        }
    }

    fn write(&self, out: &mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        match self {
            Frame::Ping => {
                out.array(1)?.u64(PING)?;
            }
            Frame::Entries(extension) => {
                out.array(4)?.u64(ENTRIES)?.u64(extension.from)?;
                out.array(extension.entries.len() as u64)?;
                for entry in &extension.entries {
                    out.array(if entry.record.is_some() { 2 } else { 1 })?;
                    write_entry(out, entry)?;
                }
                out.str(&extension.checkpoint.text)?;
            }
            Frame::Priority(priority) => {
                out.array(if priority.entry.record.is_some() { 7 } else { 6 })?.u64(PRIORITY)?;
                out.str(&priority.checkpoint.text)?;
                write_hashes(out, &priority.consistency)?;
                out.u64(priority.index)?.bytes(&priority.entry.leaf)?;
                write_hashes(out, &priority.inclusion)?;
                if let Some(record) = &priority.entry.record {
                    out.bytes(record)?;
                }
            }
        }
        Ok(())
    }
}

/// The most bytes of a frame's own heads: two arrays, a type, an index and two lengths.
const HEAD_BYTES: usize = 48;

/// Splits what may not fit in one frame into frames that do, each with the same checkpoint. Without entries it is
/// one frame: the checkpoint alone.
///
/// # Errors
/// [`FrameError::Limit`] when a single leaf, record or checkpoint is over its limit.
pub fn split(extension: &Extension) -> Result<Vec<Bytes>, FrameError> {
    let room = MAX_FRAME_BYTES.saturating_sub(extension.checkpoint.text.len() + HEAD_BYTES);
    let mut frames = Vec::with_capacity(1);
    let mut from = 0;
    loop {
        let rest = &extension.entries[from..];
        let mut bytes = 0;
        let fits = rest.iter().take(MAX_FRAME_ENTRIES).take_while(|entry| {
            bytes += entry_bytes(entry);
            bytes <= room
        });
        let count = fits.count().max(rest.len().min(1));
        let part = Extension {
            from: extension.from.saturating_add(from as u64),
            entries: rest[..count].to_vec(),
            checkpoint: extension.checkpoint.clone(),
        };
        frames.push(Frame::Entries(part).encode()?);
        from += count;
        if from == extension.entries.len() {
            return Ok(frames);
        }
    }
}

/// At most what an entry takes in a frame: its bytes, two lengths of up to five bytes, and the array's head.
fn entry_bytes(entry: &Entry) -> usize {
    entry.leaf.len() + entry.record.as_ref().map_or(0, Bytes::len) + 11
}

fn limit(found: usize, most: usize, name: &'static str) -> Result<(), FrameError> {
    if found > most { Err(FrameError::Limit(name)) } else { Ok(()) }
}

fn check_entry(entry: &Entry) -> Result<(), FrameError> {
    limit(entry.leaf.len(), MAX_LEAF_BYTES, "leaf bytes")?;
    limit(entry.record.as_ref().map_or(0, Bytes::len), MAX_RECORD_BYTES, "record bytes")
}

fn write_entry(out: &mut Encoder<Vec<u8>>, entry: &Entry) -> Result<(), encode::Error<Infallible>> {
    out.bytes(&entry.leaf)?;
    if let Some(record) = &entry.record {
        out.bytes(record)?;
    }
    Ok(())
}

fn write_hashes(
    out: &mut Encoder<Vec<u8>>,
    hashes: &[Hash],
) -> Result<(), encode::Error<Infallible>> {
    out.array(hashes.len() as u64)?;
    for hash in hashes {
        out.bytes(&hash.0)?;
    }
    Ok(())
}

fn read_frame(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Frame, FrameError> {
    let fields = array(reader)?;
    match (uint(reader)?, fields) {
        (PING, 1) => Ok(Frame::Ping),
        (ENTRIES, 4) => {
            let from = uint(reader)?;
            let count = array(reader)?;
            limit(count, MAX_FRAME_ENTRIES, "entries a frame")?;
            // Grown as entries are read, not reserved: the declared count is the sender's word only.
            let mut entries = Vec::new();
            for _ in 0..count {
                entries.push(read_entry(reader, bytes)?);
            }
            let checkpoint = checkpoint(reader)?;
            Ok(Frame::Entries(Extension { from, entries, checkpoint }))
        }
        (PRIORITY, 6 | 7) => {
            let checkpoint = checkpoint(reader)?;
            let consistency = hashes(reader)?;
            let index = uint(reader)?;
            let leaf = part(reader, bytes)?;
            let inclusion = hashes(reader)?;
            let record = if fields == 7 { Some(part(reader, bytes)?) } else { None };
            let entry = Entry { leaf, record };
            Ok(Frame::Priority(Urgent { checkpoint, consistency, index, entry, inclusion }))
        }
        _ => Err(FrameError::Malformed),
    }
}

fn read_entry(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Entry, FrameError> {
    match array(reader)? {
        1 => Ok(Entry { leaf: part(reader, bytes)?, record: None }),
        2 => Ok(Entry { leaf: part(reader, bytes)?, record: Some(part(reader, bytes)?) }),
        _ => Err(FrameError::Malformed),
    }
}

fn array(reader: &mut Reader<'_>) -> Result<usize, FrameError> {
    let length = reader.array().map_err(|_| FrameError::Malformed)?;
    length.and_then(|length| usize::try_from(length).ok()).ok_or(FrameError::Malformed)
}

fn uint(reader: &mut Reader<'_>) -> Result<u64, FrameError> {
    reader.u64().map_err(|_| FrameError::Malformed)
}

fn part(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Bytes, FrameError> {
    Ok(bytes.slice_ref(reader.bytes().map_err(|_| FrameError::Malformed)?))
}

fn checkpoint(reader: &mut Reader<'_>) -> Result<SignedCheckpoint, FrameError> {
    let text = reader.str().map_err(|_| FrameError::Malformed)?;
    limit(text.len(), MAX_CHECKPOINT_BYTES, "checkpoint bytes")?;
    Ok(SignedCheckpoint::new(text))
}

fn hashes(reader: &mut Reader<'_>) -> Result<Vec<Hash>, FrameError> {
    let count = array(reader)?;
    limit(count, MAX_PROOF_HASHES, "hashes a proof")?;
    let mut hashes = Vec::new();
    for _ in 0..count {
        let bytes = reader.bytes().map_err(|_| FrameError::Malformed)?;
        hashes.push(Hash(bytes.try_into().map_err(|_| FrameError::Malformed)?));
    }
    Ok(hashes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let part = || vec(any::<u8>(), 0..300);
        (part(), proptest::option::of(part()))
            .prop_map(|(leaf, record)| Entry::new(leaf, record.map(Bytes::from)))
    }

    fn hash() -> impl Strategy<Value = Hash> {
        any::<[u8; 32]>().prop_map(Hash)
    }

    pub(super) fn frame() -> impl Strategy<Value = Frame> {
        let entries = (any::<u64>(), vec(entry(), 0..20), ".{0,200}").prop_map(
            |(from, entries, checkpoint)| {
                let checkpoint = SignedCheckpoint::new(checkpoint);
                Frame::Entries(Extension { from, entries, checkpoint })
            },
        );
        let hashes = || vec(hash(), 0..MAX_PROOF_HASHES);
        let priority = (".{0,200}", hashes(), any::<u64>(), entry(), hashes()).prop_map(
            |(checkpoint, consistency, index, entry, inclusion)| {
                let checkpoint = SignedCheckpoint::new(checkpoint);
                Frame::Priority(Urgent { checkpoint, consistency, index, entry, inclusion })
            },
        );
        prop_oneof![Just(Frame::Ping), entries, priority]
    }

    proptest! {
        #[test]
        fn a_frame_reads_back_as_it_was_written(frame in frame()) {
            let bytes = frame.encode().unwrap();
            prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
        }

        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            if let Ok(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn a_changed_byte_is_another_frame_or_an_error(
            frame in frame(), at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let mut bytes = frame.encode().unwrap().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_ne!(Frame::decode(&bytes.into()), Ok(frame));
        }

        #[test]
        fn a_part_of_a_frame_is_no_frame(frame in frame(), cut in any::<prop::sample::Index>()) {
            let bytes = frame.encode().unwrap();
            prop_assert!(Frame::decode(&bytes.slice(..cut.index(bytes.len()))).is_err());
        }
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        let checkpoint = SignedCheckpoint::new("c\n");
        let entries = vec![Entry::new(&b"ab"[..], None), Entry::new(&b"c"[..], Some("d".into()))];
        let frame = Frame::Entries(Extension { from: 300, entries, checkpoint });
        assert_eq!(Frame::Ping.encode().unwrap()[..], [0x81, 0x00]);
        assert_eq!(
            frame.encode().unwrap()[..],
            [
                0x84, 0x01, 0x19, 0x01, 0x2c, 0x82, 0x81, 0x42, b'a', b'b', 0x82, 0x41, b'c', 0x41,
                b'd', 0x62, b'c', b'\n'
            ]
        );
    }

    #[test]
    fn other_encodings_of_a_frame_are_refused() {
        for (bytes, error) in [
            (&[0x81, 0x18, 0x00][..], FrameError::NotCanonical),
            (&[0x98, 0x01, 0x00], FrameError::NotCanonical),
            (&[0x9f, 0x00, 0xff], FrameError::Malformed),
            (&[0x81, 0x00, 0x00], FrameError::Malformed),
            (&[0x81, 0xc0, 0x00], FrameError::Malformed),
            (&[0x81, 0x03], FrameError::Malformed),
            (&[0xa1, 0x00, 0x00], FrameError::Malformed),
            (&[], FrameError::Malformed),
        ] {
            let found = Frame::decode(&Bytes::copy_from_slice(bytes));
            assert_eq!(found, Err(error), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_does_not_fit_in_one_frame_is_split_without_a_gap() {
        let record = Bytes::from(vec![7; MAX_RECORD_BYTES]);
        let entries: Vec<_> =
            (0..9).map(|_| Entry::new(&b"leaf"[..], Some(record.clone()))).collect();
        let extension =
            Extension { from: 5, entries, checkpoint: SignedCheckpoint::new("checkpoint") };
        let frames = split(&extension).unwrap();
        assert_eq!(frames.len(), 3);
        let mut next = extension.from;
        for bytes in frames {
            let Frame::Entries(part) = Frame::decode(&bytes).unwrap() else { panic!() };
            assert_eq!(part.from, next);
            assert_eq!(part.checkpoint, extension.checkpoint);
            next += part.entries.len() as u64;
        }
        assert_eq!(next, 14);
    }

    #[test]
    fn a_checkpoint_without_entries_is_one_frame() {
        let empty = Extension { from: 3, entries: vec![], checkpoint: SignedCheckpoint::new("c") };
        assert_eq!(split(&empty).unwrap().len(), 1);
    }

    #[test]
    fn a_record_over_its_limit_is_named_as_the_limit() {
        let record = Bytes::from(vec![0; MAX_RECORD_BYTES + 1]);
        let entries = vec![Entry::new(&b"l"[..], Some(record))];
        let big = Extension { from: 0, entries, checkpoint: SignedCheckpoint::new("c") };
        assert_eq!(split(&big), Err(FrameError::Limit("record bytes")));
    }
}
