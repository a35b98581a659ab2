//! Signals: typed fingerprints of content with their quality, harmful span and rule of matching.
//!
//! **Invariant:** a value has exactly one encoding for its kind; every other byte string is refused.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use thiserror::Error;

use crate::{
    cbor::{CborError, Item, MapReader, Reader, Writer, map_item},
    code::codes,
    digest::{Md5Digest, Sha256Digest},
    features::{FeaturesError, FeaturesPrint, Moment},
    hex::{self, HexError},
    link::{LinkError, LinkPrint},
    pdq::{self, Pdq},
    sound_print::{MAX_SOUND_DISTANCE, SoundError, SoundPrint},
    text_print::{MAX_TEXT_DISTANCE, TextError, TextPrint},
    vpdq::{FRAME_BYTES, Vpdq, VpdqError},
};

/// The most frames of one vPDQ signal: two minutes at 30 a second; only the harm is listed.
pub const MAX_FRAMES: usize = 3_600;

/// The longest value in bytes: the longest vPDQ. Longer ones are blobs.
pub const MAX_VALUE_BYTES: usize = MAX_FRAMES * FRAME_BYTES;

/// The greatest quality.
const MAX_QUALITY: u8 = 100;

codes! {
    /// The kind of a signal.
    Kind, "kind of signal";
    /// SHA-256 of the file.
    Sha256 = 0 "sha256",
    /// MD5 of the file.
    Md5 = 1 "md5",
    /// PDQ of a picture.
    Pdq = 2 "pdq",
    /// PDQ of a video's frames.
    Vpdq = 3 "vpdq",
    /// Local features of a picture, or of one frame of a video, whose time its span says.
    Features = 4 "features",
    /// Fingerprint of sound.
    Audio = 5 "audio",
    /// Fingerprint of a text.
    Text = 6 "text",
    /// Fingerprint of a link.
    Url = 7 "url",
}

impl Kind {
    /// Whether values of this kind stand in lists of signals: features are matched against pixels, which a
    /// list does not have.
    #[must_use]
    pub fn is_listed(self) -> bool {
        !matches!(self, Self::Features)
    }

    /// The greatest distance at which two values of this kind match: bits of a picture or frame, of a
    /// text an estimated percentage of characters that differ, of sound percent of bits.
    #[must_use]
    pub fn max_distance(self) -> u32 {
        match self {
            Self::Pdq | Self::Vpdq => pdq::MAX_DISTANCE,
            Self::Text => MAX_TEXT_DISTANCE,
            Self::Audio => MAX_SOUND_DISTANCE,
            _ => 0,
        }
    }
}

/// The value of a signal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// SHA-256 of the file.
    Sha256(Sha256Digest),
    /// MD5 of the file.
    Md5(Md5Digest),
    /// PDQ of a picture.
    Pdq(Pdq),
    /// PDQ of a video's frames.
    Vpdq(Vpdq),
    /// Local features of a picture or frame.
    Features(FeaturesPrint),
    /// Fingerprint of sound.
    Audio(SoundPrint),
    /// Fingerprint of a text.
    Text(TextPrint),
    /// Fingerprint of a link.
    Url(LinkPrint),
}

/// Why a text or a byte string is not a value of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Not the hexadecimal text of a hash.
    #[error("{kind}: {error}")]
    Hex {
        /// The kind asked for.
        kind: Kind,
        /// What is wrong with the text.
        error: HexError,
    },
    /// Not a vPDQ signal.
    #[error("vpdq: {0}")]
    Vpdq(#[from] VpdqError),
    /// Not the local features of a picture.
    #[error("features: {0}")]
    Features(#[from] FeaturesError),
    /// Not the fingerprint of sound.
    #[error("audio: {0}")]
    Audio(#[from] SoundError),
    /// Not the fingerprint of a text.
    #[error("text: {0}")]
    Text(#[from] TextError),
    /// Not the fingerprint of a link.
    #[error("url: {0}")]
    Url(#[from] LinkError),
    /// Not so many bytes.
    #[error("{kind}: {found} bytes cannot be a value")]
    Length {
        /// The kind asked for.
        kind: Kind,
        /// Bytes found.
        found: usize,
    },
}

impl Value {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sha256(_) => Kind::Sha256,
            Self::Md5(_) => Kind::Md5,
            Self::Pdq(_) => Kind::Pdq,
            Self::Vpdq(_) => Kind::Vpdq,
            Self::Features(_) => Kind::Features,
            Self::Audio(_) => Kind::Audio,
            Self::Text(_) => Kind::Text,
            Self::Url(_) => Kind::Url,
        }
    }

    /// Reads the text form of a kind (`docs/format.md`, section 7); vPDQ in either of its forms.
    ///
    /// # Errors
    /// [`ValueError`]
    pub fn parse(kind: Kind, text: &str) -> Result<Self, ValueError> {
        let hex = |error| ValueError::Hex { kind, error };
        match kind {
            Kind::Sha256 => text.parse().map(Self::Sha256).map_err(hex),
            Kind::Md5 => text.parse().map(Self::Md5).map_err(hex),
            Kind::Pdq => text.parse().map(Self::Pdq).map_err(hex),
            Kind::Vpdq if text.starts_with('[') => Ok(Self::Vpdq(Vpdq::from_json(text)?)),
            Kind::Vpdq => Ok(Self::Vpdq(Vpdq::from_lines(text)?)),
            Kind::Features | Kind::Audio | Kind::Text | Kind::Url => {
                Self::from_bytes(kind, &hex::decode_all(text).map_err(hex)?)
            }
        }
    }

    /// Writes the text form: hexadecimal; vPDQ as lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Sha256(digest) => digest.to_string(),
            Self::Md5(digest) => digest.to_string(),
            Self::Pdq(pdq) => pdq.to_string(),
            Self::Vpdq(vpdq) => vpdq.to_lines(),
            Self::Features(print) => hex::encode(&print.to_bytes()),
            Self::Audio(print) => hex::encode(&print.to_bytes()),
            Self::Text(print) => hex::encode(&print.to_bytes()),
            Self::Url(print) => hex::encode(&print.to_bytes()),
        }
    }

    /// Reads the bytes that stand in a record (`docs/format.md`, section 6).
    ///
    /// # Errors
    /// [`ValueError`].
    pub fn from_bytes(kind: Kind, bytes: &[u8]) -> Result<Self, ValueError> {
        let length = |_| ValueError::Length { kind, found: bytes.len() };
        match kind {
            Kind::Sha256 => bytes.try_into().map(|b| Self::Sha256(Sha256Digest(b))).map_err(length),
            Kind::Md5 => bytes.try_into().map(|b| Self::Md5(Md5Digest(b))).map_err(length),
            Kind::Pdq => bytes.try_into().map(|b| Self::Pdq(Pdq(b))).map_err(length),
            Kind::Vpdq => Ok(Self::Vpdq(Vpdq::from_bytes(bytes)?)),
            Kind::Features => Ok(Self::Features(FeaturesPrint::from_bytes(bytes)?)),
            Kind::Audio => Ok(Self::Audio(SoundPrint::from_bytes(bytes)?)),
            Kind::Text => Ok(Self::Text(TextPrint::from_bytes(bytes)?)),
            Kind::Url => Ok(Self::Url(LinkPrint::from_bytes(bytes)?)),
        }
    }

    /// Writes the bytes that stand in a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Sha256(digest) => digest.0.to_vec(),
            Self::Md5(digest) => digest.0.to_vec(),
            Self::Pdq(pdq) => pdq.0.to_vec(),
            Self::Vpdq(vpdq) => vpdq.to_bytes(),
            Self::Features(print) => print.to_bytes(),
            Self::Audio(print) => print.to_bytes(),
            Self::Text(print) => print.to_bytes(),
            Self::Url(print) => print.to_bytes(),
        }
    }
}

impl From<Sha256Digest> for Value {
    fn from(digest: Sha256Digest) -> Self {
        Self::Sha256(digest)
    }
}

impl From<Md5Digest> for Value {
    fn from(digest: Md5Digest) -> Self {
        Self::Md5(digest)
    }
}

impl From<Pdq> for Value {
    fn from(pdq: Pdq) -> Self {
        Self::Pdq(pdq)
    }
}

impl From<FeaturesPrint> for Value {
    fn from(print: FeaturesPrint) -> Self {
        Self::Features(print)
    }
}

impl From<SoundPrint> for Value {
    fn from(print: SoundPrint) -> Self {
        Self::Audio(print)
    }
}

impl From<TextPrint> for Value {
    fn from(print: TextPrint) -> Self {
        Self::Text(print)
    }
}

impl From<LinkPrint> for Value {
    fn from(print: LinkPrint) -> Self {
        Self::Url(print)
    }
}

impl From<Vpdq> for Value {
    fn from(vpdq: Vpdq) -> Self {
        Self::Vpdq(vpdq)
    }
}

/// A value, or the name of a blob that holds it beside the record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueOrBlob {
    /// The value itself.
    Value(Value),
    /// A value kept beside the record.
    Blob {
        /// The kind of the value in the blob.
        kind: Kind,
        /// SHA-256 of the blob, which is its name.
        sha256: Sha256Digest,
        /// Its size in bytes.
        size: u64,
    },
}

impl ValueOrBlob {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Value(value) => value.kind(),
            Self::Blob { kind, .. } => *kind,
        }
    }
}

impl From<Value> for ValueOrBlob {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// The part of a video or sound that is harmful, in milliseconds from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Where it begins.
    pub start_ms: u32,
    /// Where it ends; later than the start.
    pub end_ms: u32,
}

/// What the author wants to count as a match; every receiver clamps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchRule {
    /// The greatest distance, in bits or for texts in hundredths; a receiver takes at most
    /// [`Kind::max_distance`].
    pub max_distance: u16,
    /// The least time in milliseconds that must match; a receiver takes at least the charter's.
    pub min_matched_ms: u32,
    /// The greatest gap in milliseconds between two matched frames of one run.
    pub max_gap_ms: u32,
}

/// One fingerprint in an alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signal {
    /// The value, or where it is.
    pub value: ValueOrBlob,
    /// Quality of a PDQ hash, 0 to 100.
    pub quality: Option<u8>,
    /// The harmful part; absent when all of it is.
    pub span: Option<Span>,
    /// What counts as a match; absent for the receiver's own rule.
    pub rule: Option<MatchRule>,
}

impl From<Moment> for Signal {
    fn from(Moment { at_ms, print }: Moment) -> Self {
        let span = Span { start_ms: at_ms, end_ms: at_ms.saturating_add(1) };
        Self { span: Some(span), ..Self::new(print) }
    }
}

impl Signal {
    /// The frame of a video whose local features these are; those of a picture have no time.
    #[must_use]
    pub fn moment(&self) -> Option<Moment> {
        match (&self.value, self.span) {
            (ValueOrBlob::Value(Value::Features(print)), Some(span)) => {
                Some(Moment { at_ms: span.start_ms, print: print.clone() })
            }
            _ => None,
        }
    }

    /// A signal with a value and nothing else.
    #[must_use]
    pub fn new(value: impl Into<Value>) -> Self {
        Self { value: ValueOrBlob::Value(value.into()), quality: None, span: None, rule: None }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.value.kind()
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first [`SignalError`].
    pub fn validate(&self) -> Result<(), SignalError> {
        match &self.value {
            ValueOrBlob::Value(Value::Vpdq(vpdq)) if vpdq.frames.len() > MAX_FRAMES => {
                return Err(SignalError::TooManyFrames(vpdq.frames.len()));
            }
            ValueOrBlob::Value(Value::Vpdq(vpdq)) => vpdq.validate()?,
            ValueOrBlob::Blob { size: 0, .. } => return Err(SignalError::EmptyBlob),
            _ => {}
        }
        if self.quality.is_some_and(|quality| quality > MAX_QUALITY) {
            return Err(SignalError::Quality);
        }
        if self.span.is_some_and(|span| span.start_ms >= span.end_ms) {
            return Err(SignalError::Span);
        }
        Ok(())
    }
}

/// What is wrong with a signal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignalError {
    /// More frames than an alert may list.
    #[error("a vPDQ signal has at most 3600 frames, found {0}; list only the harmful span")]
    TooManyFrames(usize),
    /// Frames out of order, or none.
    #[error(transparent)]
    Vpdq(#[from] VpdqError),
    /// A blob of no bytes.
    #[error("a blob has at least one byte")]
    EmptyBlob,
    /// A quality above 100.
    #[error("a quality is 0 to 100")]
    Quality,
    /// A span that ends before it begins.
    #[error("a span ends after it starts")]
    Span,
}

impl Item for Signal {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &self.kind());
            match &self.value {
                ValueOrBlob::Value(value) => map.bytes(1, &value.to_bytes()),
                ValueOrBlob::Blob { sha256, size, .. } => map.entry(2, |writer| {
                    writer.map(|map| {
                        map.put(0, &sha256.0);
                        map.put(1, size);
                    });
                }),
            }
            map.put_some(3, self.quality.as_ref());
            map.put_some(4, self.span.as_ref());
            map.put_some(5, self.rule.as_ref());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let kind = map.take(0)?;
        let signal = Self {
            value: read_value(&mut map, kind)?,
            quality: map.take_if(3)?,
            span: map.take_if(4)?,
            rule: map.take_if(5)?,
        };
        map.end()?;
        Ok(signal)
    }
}

fn read_value(map: &mut MapReader<'_, '_>, kind: Kind) -> Result<ValueOrBlob, CborError> {
    let value = map.entry_if(1, |reader| {
        let bytes = reader.bytes(MAX_VALUE_BYTES)?;
        Value::from_bytes(kind, bytes).map_err(|_| reader.not("a value of the signal's kind"))
    })?;
    if let Some(value) = value {
        return Ok(ValueOrBlob::Value(value));
    }
    map.entry(2, |reader| {
        let mut blob = reader.map()?;
        let sha256 = Sha256Digest(blob.take(0)?);
        let size = blob.take(1)?;
        blob.end()?;
        Ok(ValueOrBlob::Blob { kind, sha256, size })
    })
}

map_item!(Span { 0 start_ms, 1 end_ms });
map_item!(MatchRule { 0 max_distance, 1 min_matched_ms, 2 max_gap_ms });

/// `{kind, value | blob, frames?, quality?, span?, match?}`; `value` is the text form.
impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Signal", 6)?;
        map.serialize_field("kind", &self.kind())?;
        match &self.value {
            ValueOrBlob::Value(value) => {
                map.serialize_field("value", &value.to_text())?;
                if let Value::Vpdq(vpdq) = value {
                    map.serialize_field("frames", &vpdq.frames.len())?;
                }
            }
            ValueOrBlob::Blob { sha256, size, .. } => {
                let blob = Blob { sha256: sha256.to_string(), size: *size };
                map.serialize_field("blob", &blob)?;
            }
        }
        if let Some(quality) = self.quality {
            map.serialize_field("quality", &quality)?;
        }
        if let Some(span) = self.span {
            map.serialize_field("span", &span)?;
        }
        if let Some(rule) = self.rule {
            map.serialize_field("match", &rule)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Blob {
    sha256: String,
    size: u64,
}
