//! A proof as a file: what a stranger needs to see that an alert was raised and what a member
//! decided about it (`docs/format.md`, section 14).
//!
//! **Invariant:** what was read holds to the limits here; nothing in it is believed before
//! [`check`](super::check::check).
//! **Invariant:** leaves, records, lines and checkpoints are in it byte for byte, as they were signed.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;
use watchfire_signal::{
    commitment::Commitment,
    hex,
    name::{CoalitionName, LogName, MemberName},
    record::{MAX_LEAF_BYTES, MAX_RECORD_BYTES},
};
use watchfire_tlog::{Hash, note::MAX_NOTE_BYTES, proof::MAX_PROOF_HASHES};

/// The version that is written and read.
pub const VERSION: u32 = 1;
/// The longest file: the records of a case with many signal sets, and ten thousand lines.
pub const MAX_BUNDLE_BYTES: usize = 64 << 20;
/// The most entries of logs.
pub const MAX_ENTRIES: usize = 4_096;
/// The most epochs before that a proof is of.
pub const MAX_FORMER: usize = 64;
/// The most lines of the desk log of one epoch.
pub const MAX_LINES: usize = 10_000;
/// The longest line of a desk log, leaf or record, with room for its frame.
const MAX_LINE_BYTES: usize = 66_000;

/// A proof of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The version.
    pub watchfire_proof: u32,
    /// The coalition.
    pub coalition: CoalitionName,
    /// The charter that has the keys.
    pub charter: CharterName,
    /// The member whose decisions are proven.
    pub member: MemberName,
    /// The case: the commitment of its founding assert.
    pub case: Commitment,
    /// What the logs say about it.
    pub logs: Vec<LogPart>,
    /// What the member decided, by the desk log of the epoch that the charter names.
    pub desk: DeskPart,
    /// What it decided in epochs before, ascending; those without a line are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<FormerPart>,
}

/// What a member decided in an epoch before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerPart {
    /// The epoch.
    pub epoch: u32,
    /// What it decided, by the desk log of that epoch, anchored in its log of that epoch.
    pub desk: DeskPart,
}

/// A charter by its number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharterName {
    /// Its number.
    pub seq: u64,
    /// H(charter).
    pub hash: Link,
}

/// What one log says about the case, under one signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPart {
    /// The log.
    pub log: LogName,
    /// The checkpoint, a signed note.
    pub checkpoint: String,
    /// Entries, ascending.
    pub entries: Vec<EntryPart>,
}

/// An entry with the proof that it is in its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPart {
    /// Its place.
    pub index: u64,
    /// The leaf.
    pub leaf: Octets,
    /// The record; absent where it is missing, erased, or not for this reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Octets>,
    /// The inclusion proof to the checkpoint's root (RFC 9162, section 2.1.3).
    pub inclusion: Vec<Link>,
}

/// What the member decided, by its desk log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskPart {
    /// The anchors that lines are proven by, ascending.
    pub anchors: Vec<AnchorPart>,
    /// Lines about the case, ascending.
    pub lines: Vec<LinePart>,
    /// Lines about the case that are not in it: older ones that did not fit, and those about other items where it is
    /// of one.
    pub left_out: u64,
}

/// An anchor: a `desk` record in the member's own log, which stands among the entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorPart {
    /// The place of its entry.
    pub index: u64,
    /// The consistency proof from the desk log at the anchor before in this list; none at the first.
    pub consistency: Vec<Link>,
}

/// A line of the desk log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinePart {
    /// Its place in the desk log.
    pub index: u64,
    /// The leaf.
    pub leaf: Octets,
    /// The record.
    pub record: Octets,
    /// Whether an anchor covers it; what is not anchored yet is only said and not proven.
    pub anchored: bool,
    /// The first anchor that covers it, by the place of its entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<u64>,
    /// The inclusion proof to that anchor's root.
    pub inclusion: Vec<Link>,
    /// What of a line about a group of decisions is about the case, ascending; none of any other line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowPart>,
}

/// A decision about an upload, as it is shown, under the root that a line names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowPart {
    /// Its place in the group.
    pub index: u64,
    /// What is shown of it.
    pub row: Octets,
    /// The inclusion proof to the group's root.
    pub inclusion: Vec<Link>,
}

/// Bytes as hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

/// A hash as hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link(pub Hash);

/// Why bytes are no proof that can be checked here.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Longer than [`MAX_BUNDLE_BYTES`].
    #[error("a proof has at most {MAX_BUNDLE_BYTES} bytes, not {0}")]
    TooLong(usize),
    /// Not the JSON of a proof.
    #[error("this is no proof: {0}")]
    Json(#[from] serde_json::Error),
    /// A version of another time.
    #[error("a proof of version {0} is not known here, version {VERSION} is")]
    Version(u32),
    /// More of something, or longer, than a proof has.
    #[error("{0} passes the limit of {1}")]
    Limit(&'static str, usize),
}

impl Bundle {
    /// Reads a file.
    ///
    /// # Errors
    /// [`BundleError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Version {
            watchfire_proof: u32,
        }
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLong(bytes.len()));
        }
        let Version { watchfire_proof } = serde_json::from_slice(bytes)?;
        if watchfire_proof != VERSION {
            return Err(BundleError::Version(watchfire_proof));
        }
        let bundle: Self = serde_json::from_slice(bytes)?;
        bundle.check_limits()?;
        Ok(bundle)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`BundleError::TooLong`]
    pub fn encode(&self) -> Result<Vec<u8>, BundleError> {
        let bytes = serde_json::to_vec(self)?;
        let long = bytes.len() > MAX_BUNDLE_BYTES;
        if long { Err(BundleError::TooLong(bytes.len())) } else { Ok(bytes) }
    }

    /// What the member decided, by the name of the log that anchors it: in the log of each epoch.
    pub(super) fn desks<'a>(
        &'a self,
        own: &LogName,
    ) -> impl Iterator<Item = (LogName, &'a DeskPart)> + use<'a> {
        let own = own.clone();
        let log = {
            let own = own.clone();
            move |epoch| LogName::new(own.coalition.clone(), own.member.clone(), epoch)
        };
        let former = self.former.iter().map(move |former| (log(former.epoch), &former.desk));
        former.chain([(own, &self.desk)])
    }

    fn check_limits(&self) -> Result<(), BundleError> {
        let least = |what, most, found| {
            if found > most { Err(BundleError::Limit(what, most)) } else { Ok(()) }
        };
        let entries = || self.logs.iter().flat_map(|log| &log.entries);
        least("the number of entries", MAX_ENTRIES, entries().count())?;
        least("the number of logs", MAX_ENTRIES, self.logs.len())?;
        let desks = || self.former.iter().map(|former| &former.desk).chain([&self.desk]);
        let (lines, anchors) =
            (|| desks().flat_map(|desk| &desk.lines), || desks().flat_map(|desk| &desk.anchors));
        least("the number of epochs", MAX_FORMER, self.former.len())?;
        for desk in desks() {
            least("the number of anchors", MAX_ENTRIES, desk.anchors.len())?;
            least("the number of lines", MAX_LINES, desk.lines.len())?;
            let rows = desk.lines.iter().map(|line| line.rows.len()).sum();
            least("the number of rows", MAX_LINES, rows)?;
        }
        for log in &self.logs {
            least("a checkpoint", MAX_NOTE_BYTES, log.checkpoint.len())?;
        }
        for entry in entries() {
            least("a leaf", MAX_LEAF_BYTES, entry.leaf.0.len())?;
            least("a record", MAX_RECORD_BYTES, entry.record.as_ref().map_or(0, Octets::len))?;
        }
        for line in lines() {
            least("a line", MAX_LINE_BYTES, line.leaf.len().max(line.record.len()))?;
        }
        let rows = || lines().flat_map(|line| &line.rows);
        for row in rows() {
            least("a row", MAX_LINE_BYTES, row.row.len())?;
        }
        let paths = entries().map(|entry| &entry.inclusion);
        let paths = paths.chain(lines().map(|line| &line.inclusion));
        let paths = paths.chain(rows().map(|row| &row.inclusion));
        let paths = paths.chain(anchors().map(|anchor| &anchor.consistency));
        paths.into_iter().try_for_each(|path| least("a path", MAX_PROOF_HASHES, path.len()))
    }
}

impl Octets {
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The hashes of a path.
pub(super) fn hashes(links: &[Link]) -> Vec<Hash> {
    links.iter().map(|link| link.0).collect()
}

/// A path as it is written.
pub(super) fn links(hashes: Vec<Hash>) -> Vec<Link> {
    hashes.into_iter().map(Link).collect()
}

/// Shows the length only: a record must not end up in a log file.
impl std::fmt::Debug for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        hex::decode_all(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
