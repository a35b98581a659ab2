//! What is in a bank: contents, each known by one or several signals.
//!
//! **Invariant:** a content is what its signals are: the same signals twice in a bank are one content.

use std::fmt;

use minicbor::{Decoder, Encoder, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use watchfire_signal::{
    alert::MAX_SIGNALS,
    name::BankName,
    pdq,
    value::{Kind, MatchRule, Signal, SignalError, Span, Value, ValueOrBlob},
};
use watchfire_store::Row;

use super::{CONTENTS, MAX_NOTE_CHARS};
use crate::{
    content::{BankNumber, ContentId, ContentPlace},
    desk::{Deed, DeskKind},
};

/// The longest metadata of a content as JSON, in bytes: an id and an address of the platform's own.
pub const MAX_METADATA_BYTES: usize = 4_096;
/// Bytes of a key in the ledger.
const KEY_BYTES: usize = 12;

/// Something to put into a bank.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContent {
    /// How it is recognised, 1 to 64 signals of kinds that are matched.
    pub signals: Vec<Signal>,
    /// What people should know of it.
    pub note: String,
    /// What programs should know of it: the text of a JSON object, or nothing.
    pub metadata: String,
}

impl NewContent {
    /// A content with signals and nothing else.
    #[must_use]
    pub fn of(signals: Vec<Signal>) -> Self {
        Self { signals, note: String::new(), metadata: String::new() }
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first [`ContentError`].
    pub fn validate(&self) -> Result<(), ContentError> {
        if !(1..=MAX_SIGNALS).contains(&self.signals.len()) {
            return Err(ContentError::Signals(self.signals.len()));
        }
        for signal in &self.signals {
            signal.validate()?;
            if matches!(signal.value, ValueOrBlob::Blob { .. }) || !signal.kind().is_listed() {
                return Err(ContentError::Unmatchable(signal.kind()));
            }
        }
        if self.note.chars().count() > MAX_NOTE_CHARS {
            return Err(ContentError::Note);
        }
        if self.metadata.len() > MAX_METADATA_BYTES {
            return Err(ContentError::Metadata);
        }
        Ok(())
    }
}

/// Why something cannot be a content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentError {
    /// No signal, or more than 64.
    #[error("a content has 1 to {MAX_SIGNALS} signals, found {0}")]
    Signals(usize),
    /// A signal is wrong.
    #[error(transparent)]
    Signal(SignalError),
    /// A signal of a kind that nothing is matched by.
    #[error("signals of the kind {0} are not matched")]
    Unmatchable(Kind),
    /// A note that is too long.
    #[error("a note has at most {MAX_NOTE_CHARS} characters")]
    Note,
    /// Metadata that is too long.
    #[error("metadata has at most {MAX_METADATA_BYTES} bytes")]
    Metadata,
}

/// Half a SHA-256 over the signals in their order of bytes: what makes two contents the same.
pub(super) type Identity = [u8; 16];

/// The identity of these signals. The quality of a picture counts only where it keeps the picture from
/// being matched: tools that say it and tools that do not mean the same signal.
pub(super) fn identity(signals: &[Signal]) -> Identity {
    let part = |signal: &Signal| {
        let quality = signal.quality.filter(|quality| *quality < pdq::MIN_QUALITY).map(|_| 0);
        encode_of(|encoder| write(encoder, signal, quality))
    };
    let mut parts: Vec<_> = signals.iter().map(part).collect();
    parts.sort();
    parts.dedup();
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let mut identity = Identity::default();
    identity.copy_from_slice(&hash.finalize()[..16]);
    identity
}

/// A content of a bank.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// Its id.
    pub id: ContentId,
    /// What it is.
    pub new: NewContent,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: u64,
    /// It matches from then on, in milliseconds since 1970: 0 for now, `u64::MAX` for never.
    pub disabled_until_ms: u64,
}

impl Content {
    /// The row of the ledger.
    pub(super) fn row(&self, bank: BankNumber) -> Row {
        let value = encode_of(|encoder| {
            let Self { new, added_ms, disabled_until_ms, .. } = self;
            encoder.array(5)?.u64(*added_ms)?.u64(*disabled_until_ms)?;
            encoder.str(&new.note)?.str(&new.metadata)?.array(new.signals.len() as u64)?;
            new.signals.iter().try_for_each(|signal| write(encoder, signal, signal.quality))
        });
        Row { table: CONTENTS, key: key(bank, self.id), value: Some(value) }
    }

    /// Reads a row of the ledger; the reason why it is none.
    pub(super) fn read(key: &[u8], value: &[u8]) -> Result<(BankNumber, Self), String> {
        let ContentPlace { bank, content: id } = place(key).ok_or("a key that is none")?;
        let mut decoder = Decoder::new(value);
        let mut read = || -> Result<Self, decode::Error> {
            decoder.array()?;
            let (added_ms, disabled_until_ms) = (decoder.u64()?, decoder.u64()?);
            let (note, metadata) = (decoder.str()?.to_owned(), decoder.str()?.to_owned());
            let count = decoder.array()?.unwrap_or(0);
            let signals = (0..count).map(|_| read(&mut decoder)).collect::<Result<_, _>>()?;
            let new = NewContent { signals, note, metadata };
            Ok(Self { id, new, added_ms, disabled_until_ms })
        };
        read().map(|content| (bank, content)).map_err(|error| error.to_string())
    }
}

/// The key of a content in the ledger.
pub(super) fn key(bank: BankNumber, content: ContentId) -> Vec<u8> {
    let mut key = bank.0.to_be_bytes().to_vec();
    key.extend(content.0.to_be_bytes());
    key
}

/// The content of a key of the ledger.
pub(super) fn place(key: &[u8]) -> Option<ContentPlace> {
    let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
    let (bank, content) = key.split_at(4);
    let bank = u32::from_be_bytes(bank.try_into().ok()?);
    let content = ContentId(u64::from_be_bytes(content.try_into().ok()?));
    Some(ContentPlace { bank: BankNumber(bank), content })
}

type Bytes = Encoder<Vec<u8>>;
type Wrote = Result<(), encode::Error<std::convert::Infallible>>;

fn encode_of(fill: impl FnOnce(&mut Bytes) -> Wrote) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    let result = fill(&mut encoder);
    // Writing into memory cannot fail.
    assert!(result.is_ok(), "a vector takes every write");
    encoder.into_writer()
}

/// `[kind, value, quality?, [start, end]?, [distance, matched, gap]?]`: a private encoding of this ledger.
fn write(encoder: &mut Bytes, signal: &Signal, quality: Option<u8>) -> Wrote {
    let value = match &signal.value {
        ValueOrBlob::Value(value) => value.to_bytes(),
        ValueOrBlob::Blob { sha256, .. } => sha256.0.to_vec(),
    };
    encoder.array(5)?.str(signal.kind().as_str())?.bytes(&value)?;
    match quality {
        Some(quality) => encoder.u8(quality)?,
        None => encoder.null()?,
    };
    match signal.span {
        Some(span) => encoder.array(2)?.u32(span.start_ms)?.u32(span.end_ms)?,
        None => encoder.null()?,
    };
    match signal.rule {
        Some(rule) => {
            let MatchRule { max_distance, min_matched_ms, max_gap_ms } = rule;
            encoder.array(3)?.u16(max_distance)?.u32(min_matched_ms)?.u32(max_gap_ms)?
        }
        None => encoder.null()?,
    };
    Ok(())
}

fn read(decoder: &mut Decoder<'_>) -> Result<Signal, decode::Error> {
    let wrong = |error: &dyn fmt::Display| decode::Error::message(error.to_string());
    decoder.array()?;
    let kind = decoder.str()?.parse::<Kind>().map_err(|error| wrong(&error))?;
    let value = Value::from_bytes(kind, decoder.bytes()?).map_err(|error| wrong(&error))?;
    let quality = some(decoder, Decoder::u8)?;
    let span = some(decoder, |decoder| {
        decoder.array()?;
        Ok(Span { start_ms: decoder.u32()?, end_ms: decoder.u32()? })
    })?;
    let rule = some(decoder, |decoder| {
        decoder.array()?;
        let (max_distance, min_matched_ms) = (decoder.u16()?, decoder.u32()?);
        Ok(MatchRule { max_distance, min_matched_ms, max_gap_ms: decoder.u32()? })
    })?;
    Ok(Signal { value: value.into(), quality, span, rule })
}

fn some<'b, T>(
    decoder: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<T, decode::Error>,
) -> Result<Option<T>, decode::Error> {
    if decoder.datatype()? == minicbor::data::Type::Null {
        decoder.null()?;
        return Ok(None);
    }
    read(decoder).map(Some)
}

/// What was done with contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentWhat {
    /// They were added.
    Add,
    /// One was changed.
    Change,
    /// One was taken out.
    Remove,
}

/// A line of the desk log about the contents of a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalsDeed {
    /// What was done.
    pub what: ContentWhat,
    /// The bank.
    pub bank: BankNumber,
    /// Its name at that time.
    pub name: BankName,
    /// The first content; the others follow it without a gap.
    pub first: ContentId,
    /// How many.
    pub contents: u64,
    /// SHA-256, in hexadecimal, of a line `ID KIND VALUE` for each signal, in order of id.
    pub sha256: String,
    /// The note and the time of the content afterwards, where one was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<(String, u64)>,
}

impl SignalsDeed {
    /// A line about contents that follow each other without a gap.
    pub(super) fn new(what: ContentWhat, bank: &super::Bank, contents: &[Content]) -> Self {
        let mut hash = Sha256::new();
        for content in contents {
            for signal in &content.new.signals {
                let ValueOrBlob::Value(value) = &signal.value else { continue };
                let line = format!("{} {} {}\n", content.id, signal.kind(), value.to_text());
                hash.update(line.as_bytes());
            }
        }
        Self {
            what,
            bank: bank.number,
            name: bank.name.clone(),
            first: contents.first().map_or(ContentId(0), |content| content.id),
            contents: contents.len() as u64,
            sha256: watchfire_signal::hex::encode(&hash.finalize()),
            changed: None,
        }
    }
}

impl Deed for SignalsDeed {
    const KIND: DeskKind = DeskKind::BankSignals;
}
