//! An alert: this content, known by these signals, is harmful; the body of assert, amend, variant.

use serde::Serialize;
use thiserror::Error;

use crate::{
    cbor::{self, CborError, Item, Reader, Writer},
    code::codes,
    commitment::Commitment,
    label::{Class, Label},
    name::GroupName,
    text::{self, MAX_LINE_BYTES},
    tlp::Tlp,
    value::{Signal, SignalError},
};

/// The most signals of an alert; more belong to variants.
pub const MAX_SIGNALS: usize = 64;

/// The most labels, and the most exceptions, of an alert.
pub const MAX_LABELS: usize = 16;

/// The greatest confidence.
pub const MAX_CONFIDENCE: u8 = 100;

codes! {
    /// What kind of content an alert is about.
    ContentKind, "kind of content";
    /// A picture.
    Image = 0 "image",
    /// A video.
    Video = 1 "video",
    /// Sound.
    Audio = 2 "audio",
    /// A text.
    Text = 3 "text",
    /// A link.
    Url = 4 "url",
}

codes! {
    /// What the author suggests; the receiver's own policy decides.
    Suggestion, "suggestion";
    /// Watch only.
    Monitor = 0 "monitor",
    /// Show a label with it.
    Label = 1 "label",
    /// Show it to adults only.
    AgeGate = 2 "age_gate",
    /// Recommend it less.
    Demote = 3 "demote",
    /// Put it before a moderator.
    Review = 4 "review",
    /// Refuse new uploads.
    BlockUpload = 5 "block_upload",
    /// Refuse new uploads and remove copies.
    Remove = 6 "remove",
}

codes! {
    /// A context in which the content should stay.
    Exception, "exception";
    /// News.
    News = 0 "news",
    /// Documentation of abuses.
    Documentation = 1 "documentation",
    /// Education.
    Education = 2 "education",
    /// Art.
    Art = 3 "art",
    /// Speech against what it shows.
    CounterSpeech = 4 "counter_speech",
    /// A survivor speaks of it.
    Survivor = 5 "survivor",
}

/// The family that an edited copy belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Family {
    /// Commitment of the record that the copy was made from.
    pub root: Commitment,
    /// How it was changed, in a few words, such as `mirrored`.
    pub transform: String,
}

/// An alert (`docs/format.md`, section 6). Severity, provenance and review stand in the header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Alert {
    /// What kind of content it is.
    pub kind: ContentKind,
    /// How to recognise it, 1 to 64 signals.
    pub signals: Vec<Signal>,
    /// What it is, 1 to 16 labels of one class, none twice.
    pub labels: Vec<Label>,
    /// Version of the taxonomy that the labels are of.
    pub taxonomy: u32,
    /// How sure the author is, 0 to 100.
    pub confidence: u8,
    /// What the author suggests.
    pub suggestion: Suggestion,
    /// Contexts in which it should stay, ascending.
    pub exceptions: Vec<Exception>,
    /// When it lapses unless renewed, in ms since 1970-01-01 UTC.
    pub valid_until: u64,
    /// The family it belongs to; a variant has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Commitment of the incident's declaration that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<Commitment>,
    /// Whether copies should be kept as evidence where they are removed.
    pub evidence_hold: bool,
    /// The authority that asked, exactly if provenance is a government request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// To whom those who get the record may hand on what it says; where absent the group implies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tlp: Option<Tlp>,
}

/// What is wrong with an alert.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlertError {
    /// No signal, or more than 64.
    #[error("an alert has 1 to 64 signals, found {0}")]
    Signals(usize),
    /// A signal is wrong.
    #[error("signal {index}: {error}")]
    Signal {
        /// Its place, from zero.
        index: usize,
        /// What is wrong with it.
        error: SignalError,
    },
    /// No label, more than 16, or one of them twice.
    #[error("an alert has 1 to 16 labels, none twice")]
    Labels,
    /// Labels of several classes.
    #[error("the labels of an alert are of one class")]
    Classes,
    /// A confidence above 100.
    #[error("a confidence is 0 to 100")]
    Confidence,
    /// Exceptions out of order, or one of them twice.
    #[error("exceptions ascend")]
    Exceptions,
    /// A text is empty, too long, not in normalization form C, or has control characters.
    #[error("{0}: a text of 1 to 256 bytes in normalization form C without control characters")]
    Text(&'static str),
}

impl Alert {
    /// The bytes that stand in a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the bytes that stand in a record.
    ///
    /// # Errors
    /// [`CborError`] for every byte string that is not the one encoding of an alert.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        cbor::decode(bytes)
    }

    /// The class of its labels; `None` when their families are of a later taxonomy.
    #[must_use]
    pub fn class(&self) -> Class {
        let mut classes = self.labels.iter().map(Label::class);
        classes.find(|class| *class != Class::None).unwrap_or(Class::None)
    }

    /// The mark that it has in a sharing group.
    #[must_use]
    pub fn mark(&self, group: &GroupName) -> Tlp {
        self.tlp.unwrap_or_else(|| Tlp::implied_by(group))
    }

    /// Checks what the types leave open; what depends on the header is checked with the statement.
    ///
    /// # Errors
    /// The first [`AlertError`].
    pub fn validate(&self) -> Result<(), AlertError> {
        if !(1..=MAX_SIGNALS).contains(&self.signals.len()) {
            return Err(AlertError::Signals(self.signals.len()));
        }
        for (index, signal) in self.signals.iter().enumerate() {
            signal.validate().map_err(|error| AlertError::Signal { index, error })?;
        }
        let repeated = |(place, label)| self.labels[..place].contains(label);
        if !(1..=MAX_LABELS).contains(&self.labels.len())
            || self.labels.iter().enumerate().any(repeated)
        {
            return Err(AlertError::Labels);
        }
        let class = self.class();
        if !self.labels.iter().all(|label| [class, Class::None].contains(&label.class())) {
            return Err(AlertError::Classes);
        }
        if self.confidence > MAX_CONFIDENCE {
            return Err(AlertError::Confidence);
        }
        if !self.exceptions.is_sorted_by(|a, b| a.code() < b.code()) {
            return Err(AlertError::Exceptions);
        }
        let transform = self.family.iter().map(|family| ("transform", &family.transform));
        let authority = self.authority.iter().map(|authority| ("authority", authority));
        match transform.chain(authority).find(|(_, text)| !text::is_fit(text, MAX_LINE_BYTES)) {
            Some((field, _)) => Err(AlertError::Text(field)),
            None => Ok(()),
        }
    }
}

impl Item for Alert {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &self.kind);
            map.list(1, &self.signals);
            map.list(2, &self.labels);
            map.put(3, &self.taxonomy);
            map.put(4, &self.confidence);
            map.put(5, &self.suggestion);
            map.list(6, &self.exceptions);
            map.put(7, &self.valid_until);
            map.put_some(8, self.family.as_ref());
            map.put_some(9, self.incident.as_ref());
            map.flag(10, self.evidence_hold);
            map.text(11, self.authority.as_deref());
            map.put_some(12, self.tlp.as_ref());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let alert = Self {
            kind: map.take(0)?,
            signals: map.entry(1, |reader| reader.list(1, MAX_SIGNALS))?,
            labels: map.entry(2, |reader| reader.list(1, MAX_LABELS))?,
            taxonomy: map.take(3)?,
            confidence: map.take(4)?,
            suggestion: map.take(5)?,
            exceptions: map.entry(6, |reader| reader.list(0, MAX_LABELS))?,
            valid_until: map.take(7)?,
            family: map.take_if(8)?,
            incident: map.take_if(9)?,
            evidence_hold: map.flag(10)?,
            authority: map.entry_if(11, |reader| reader.text(MAX_LINE_BYTES).map(str::to_owned))?,
            tlp: map.take_if(12)?,
        };
        map.end()?;
        Ok(alert)
    }
}

impl Item for Family {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &self.root);
            map.text(1, Some(&self.transform));
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let root = map.take(0)?;
        let transform = map.entry(1, |reader| reader.text(MAX_LINE_BYTES).map(str::to_owned))?;
        map.end()?;
        Ok(Self { root, transform })
    }
}
