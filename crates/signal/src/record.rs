//! Leaves and records: how a header and a statement become the bytes that a log holds, and back.
//!
//! **Invariant:** what was received is hashed as received and never encoded again to be verified.
//! **Invariant:** whatever `seal` returns, `Leaf::decode` and `open` accept.

use thiserror::Error;

use crate::{
    cbor::{self, CborError, Item, Reader, Writer},
    commitment::Commitment,
    header::{Header, HeaderError, MAX_SIZE_KIB, RECORD_VERSION, Target},
    label::Label,
    statement::{Statement, StatementError},
};

/// The longest leaf in bytes: entry bundles of C2SP tlog-tiles carry a 16-bit length.
pub const MAX_LEAF_BYTES: usize = 65_534;

/// The longest record in bytes: a frame must fit in memory many times over.
pub const MAX_RECORD_BYTES: usize = 1_048_576;

/// The size of a body in KiB, rounded up, as the header says it.
#[must_use]
pub fn size_of(body: &[u8]) -> u32 {
    u32::try_from(body.len().div_ceil(1_024)).unwrap_or(u32::MAX)
}

/// A leaf: what a log holds and everyone may read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// The header.
    pub header: Header,
    /// The header as received.
    pub header_bytes: Vec<u8>,
    /// The commitment to the record.
    pub commitment: Commitment,
    /// The leaf as received.
    pub bytes: Vec<u8>,
}

/// Whether a record of this many bytes may belong to a leaf of which only so much can be read: it is no longer than
/// the leaf and what that says of its body together, in every version. What belongs to no leaf has no room.
#[must_use]
pub fn may_belong(leaf: &[u8], record_bytes: usize) -> bool {
    let size = match Leaf::decode(leaf) {
        Ok(leaf) => leaf.header.size,
        Err(DecodeError::UnknownVersion { size, .. }) => size.unwrap_or(MAX_SIZE_KIB),
        Err(_) => return false,
    };
    let body = u64::from(size.min(MAX_SIZE_KIB)) * 1_024;
    record_bytes as u64 <= leaf.len() as u64 + body
}

/// A record: what the members of the leaf's group receive beside it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// The header as received.
    pub header_bytes: Vec<u8>,
    /// The body as received.
    pub body_bytes: Vec<u8>,
    /// 16 random bytes that keep the body from being guessed by its commitment.
    pub salt: [u8; 16],
}

/// Why bytes are not a leaf or a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Longer than a leaf or record may be.
    #[error("{found} bytes, at most {most} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        most: usize,
    },
    /// Not the one encoding of it.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A header that contradicts itself.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A version that is not known here. The leaf is kept and never enforced, and the case of
    /// `target` is capped at review.
    #[error("record version {v} is not known here")]
    UnknownVersion {
        /// The version.
        v: u64,
        /// What it speaks about, if that can be read.
        target: Option<Target>,
        /// What its body has in KiB, if that can be read.
        size: Option<u32>,
    },
}

/// What [`seal`] returns: the bytes of one statement, ready for the author's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The leaf.
    pub leaf: Vec<u8>,
    /// The record.
    pub record: Vec<u8>,
    /// The commitment in the leaf; of an assert it is the subject of the case.
    pub commitment: Commitment,
    /// The size of the body that the header says.
    pub size: u32,
}

/// Why a statement cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealError {
    /// A label that the taxonomy does not have; only a received record may carry one.
    #[error("the taxonomy has no label {0}")]
    UnknownLabel(Label),
    /// The leaf would be refused.
    #[error("header: {0}")]
    Leaf(#[from] DecodeError),
    /// The record would be refused.
    #[error("body: {0}")]
    Record(#[from] OpenError),
}

/// Why a record does not belong to a leaf, or says nothing that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Not the one encoding of a record.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The record's header is not that of the leaf.
    #[error("the record's header is not that of its leaf")]
    Header,
    /// The record's commitment is not that of the leaf.
    #[error("the record's commitment is not that of its leaf")]
    Commitment,
    /// The body is smaller or larger than the header says.
    #[error("the header says a body of {said} KiB, it has {found}")]
    Size {
        /// KiB that the header says.
        said: u32,
        /// KiB of the body, rounded up.
        found: u32,
    },
    /// The body is not a statement, or does not go with the header.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl Leaf {
    /// Reads a leaf.
    ///
    /// # Errors
    /// [`DecodeError`] for every byte string that is not the one encoding of a leaf of version 1;
    /// [`DecodeError::UnknownVersion`] for what may be a leaf of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limit(bytes, MAX_LEAF_BYTES)?;
        if let Some(other) = other_version(bytes) {
            return Err(other);
        }
        let outer: OuterLeaf = cbor::decode(bytes)?;
        let header: Header = cbor::decode(&outer.header)?;
        header.validate()?;
        Ok(Self {
            header,
            header_bytes: outer.header,
            commitment: outer.commitment,
            bytes: bytes.to_vec(),
        })
    }
}

impl Record {
    /// Reads a record; its header and body stay bytes until [`open`].
    ///
    /// # Errors
    /// [`DecodeError`] for every byte string that is not the one encoding of a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limit(bytes, MAX_RECORD_BYTES)?;
        Ok(cbor::decode(bytes)?)
    }

    /// The commitment that its leaf must carry.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        Commitment::of(&self.header_bytes, &self.salt, &self.body_bytes)
    }

    /// What stands for salt and body without showing them.
    #[must_use]
    pub fn content(&self) -> [u8; 32] {
        Commitment::content(&self.salt, &self.body_bytes)
    }
}

/// Shows sizes only: a body must not end up in a log file.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (header, body) = (self.header_bytes.len(), self.body_bytes.len());
        write!(f, "Record({header} bytes of header, {body} of body)")
    }
}

/// Encodes a statement under its header, which gets the body's size. `salt` is 16 fresh random bytes.
///
/// # Errors
/// [`SealError`] for everything that a receiver would refuse, and for labels that the taxonomy
/// does not have.
pub fn seal(header: &Header, statement: &Statement, salt: [u8; 16]) -> Result<Sealed, SealError> {
    let body_bytes = statement.encode();
    let header = &Header { size: size_of(&body_bytes), ..header.clone() };
    header.validate().map_err(DecodeError::from)?;
    let mut labels = statement.alert().into_iter().flat_map(|alert| &alert.labels);
    if let Some(label) = labels.find(|label| !label.known()) {
        return Err(SealError::UnknownLabel(label.clone()));
    }
    // First of the values, so that what cannot be encoded is named rather than written wrongly.
    statement.validate().and_then(|()| statement.check(header)).map_err(OpenError::from)?;
    let header_bytes = cbor::encode(header);
    let commitment = Commitment::of(&header_bytes, &salt, &body_bytes);
    let leaf = cbor::encode(&OuterLeaf { header: header_bytes.clone(), commitment });
    let record = cbor::encode(&Record { header_bytes, body_bytes, salt });
    // Then by the receiver's own eyes: nothing leaves that another member would refuse.
    open(&Leaf::decode(&leaf)?, &record)?;
    Ok(Sealed { leaf, record, commitment, size: header.size })
}

/// Reads the statement of a record that came with `leaf`.
///
/// # Errors
/// [`OpenError`]; of one with another header than its leaf,
/// [`Contradiction`](crate::contradiction::Contradiction) says whether that is the author's lie.
pub fn open(leaf: &Leaf, record: &[u8]) -> Result<Statement, OpenError> {
    let record = Record::decode(record)?;
    if record.header_bytes != leaf.header_bytes {
        return Err(OpenError::Header);
    }
    if record.commitment() != leaf.commitment {
        return Err(OpenError::Commitment);
    }
    let (said, found) = (leaf.header.size, size_of(&record.body_bytes));
    if said != found {
        return Err(OpenError::Size { said, found });
    }
    let statement = Statement::decode(leaf.header.verb, &record.body_bytes)?;
    statement.check(&leaf.header)?;
    Ok(statement)
}

fn limit(bytes: &[u8], most: usize) -> Result<(), DecodeError> {
    let found = bytes.len();
    if found <= most { Ok(()) } else { Err(DecodeError::TooLong { found, most }) }
}

/// What a leaf says that is of another version, read as far as it can be: later versions keep key 0 of the leaf and
/// keys 0, 10 and 15 of the header where they are.
fn other_version(leaf: &[u8]) -> Option<DecodeError> {
    let mut reader = Reader::new(leaf);
    let header = reader.map().ok()?.entry(0, |reader| reader.bytes(MAX_LEAF_BYTES)).ok()?;
    let mut reader = Reader::new(header);
    let mut map = reader.map().ok()?;
    let v = map.take(0).ok()?;
    if v == u64::from(RECORD_VERSION) {
        return None;
    }
    let target = map.seek(10, Target::read).ok().flatten();
    let size = map.seek(15, u32::read).ok().flatten();
    Some(DecodeError::UnknownVersion { v, target, size })
}

struct OuterLeaf {
    header: Vec<u8>,
    commitment: Commitment,
}

impl Item for OuterLeaf {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.bytes(0, &self.header);
            map.put(1, &self.commitment);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let header = map.entry(0, |reader| reader.bytes(MAX_LEAF_BYTES))?.to_vec();
        let commitment = map.take(1)?;
        map.end()?;
        Ok(Self { header, commitment })
    }
}

impl Item for Record {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.bytes(0, &self.header_bytes);
            map.bytes(1, &self.body_bytes);
            map.put(2, &self.salt);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let header_bytes = map.entry(0, |reader| reader.bytes(MAX_LEAF_BYTES))?.to_vec();
        let body_bytes = map.entry(1, |reader| reader.bytes(MAX_RECORD_BYTES))?.to_vec();
        let salt = map.take(2)?;
        map.end()?;
        Ok(Self { header_bytes, body_bytes, salt })
    }
}
