//! An item of the seen table: what the platform holds under one id, and its private encoding.

use std::collections::BTreeMap;

use minicbor::{Decoder, Encoder, data::Type, encode::Error as EncodeError};
use thiserror::Error;
use watchfire_signal::{
    features::MAX_PARTS,
    name::ItemId,
    pdq::Pdq,
    value::{Kind, Signal, Value, ValueOrBlob},
};
use watchfire_store::{SeenItem, StoreError};

use crate::policy::{Fact, ItemFacts};

/// An item with its signals.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The platform's own id.
    pub id: ItemId,
    /// When it was scanned, in milliseconds since 1970.
    pub seen_ms: u64,
    /// Its signals.
    pub signals: Vec<Signal>,
    /// The hashes of what borders and rectangles in a picture hold; at most [`MAX_PARTS`] are kept.
    pub parts: Vec<Pdq>,
    /// What the platform said about it with the last scan.
    pub facts: ItemFacts,
}

/// Why a stored item cannot be read.
#[derive(Debug, Error)]
enum ItemError {
    /// Not the encoding that this file writes.
    #[error(transparent)]
    Encoding(#[from] minicbor::decode::Error),
    /// A value that is none.
    #[error("{0}")]
    Value(String),
}

impl Item {
    /// What is kept of it. Sound is compared when it comes up, not kept: a minute would take as much as
    /// three hundred pictures, and of a video its frames are kept.
    pub(super) fn kept(mut self) -> Self {
        self.signals.retain(|signal| signal.kind() != Kind::Audio);
        self.parts.truncate(MAX_PARTS);
        self
    }

    /// Bytes of its row, as [`SeenItem::bytes`] counts them.
    pub(super) fn bytes(&self) -> u64 {
        self.to_stored().bytes()
    }

    pub(super) fn to_stored(&self) -> SeenItem {
        SeenItem {
            item: self.id.to_string(),
            seen_ms: self.seen_ms,
            signals: encode(&self.signals, &self.facts, &self.parts),
        }
    }

    /// Reads a row of the store; one that cannot be read is [`StoreError::Corrupt`].
    pub(super) fn from_row(row: u64, stored: &SeenItem) -> Result<Self, StoreError> {
        let corrupt = |error| StoreError::Corrupt(format!("seen row {row}: {error}"));
        Self::from_stored(stored).map_err(corrupt)
    }

    fn from_stored(stored: &SeenItem) -> Result<Self, ItemError> {
        let id =
            stored.item.parse::<ItemId>().map_err(|error| ItemError::Value(error.to_string()))?;
        let (signals, facts, parts) = decode(&stored.signals)?;
        Ok(Self { id, seen_ms: stored.seen_ms, signals, parts, facts })
    }
}

/// `[[kind as text, value bytes, quality or 255] …]`, then, if there are facts or parts, `{name: fact …}`, then, if
/// there are parts, `[32 bytes …]`: a private encoding of this table.
fn encode(signals: &[Signal], facts: &ItemFacts, parts: &[Pdq]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    let values = signals.iter().filter_map(|signal| match &signal.value {
        ValueOrBlob::Value(value) => Some((value, signal.quality.unwrap_or(u8::MAX))),
        ValueOrBlob::Blob { .. } => None,
    });
    let values = values.collect::<Vec<_>>();
    let result = encoder.array(values.len() as u64).and_then(|encoder| {
        values.iter().try_fold(encoder, |encoder, (value, quality)| {
            encoder.array(3)?.str(value.kind().as_str())?.bytes(&value.to_bytes())?.u8(*quality)
        })
    });
    let result = result.map(drop).and_then(|()| {
        if !(facts.is_empty() && parts.is_empty()) {
            write_facts(&mut encoder, facts)?;
        }
        write_parts(&mut encoder, parts)
    });
    // Writing into memory cannot fail.
    assert!(result.is_ok(), "a vector takes every write");
    bytes
}

fn write_facts(
    encoder: &mut Encoder<&mut Vec<u8>>,
    facts: &ItemFacts,
) -> Result<(), EncodeError<std::convert::Infallible>> {
    encoder.map(facts.iter().count() as u64)?;
    for (name, fact) in facts.iter() {
        encoder.str(name)?;
        match fact {
            Fact::Bool(value) => encoder.bool(*value)?,
            Fact::Int(value) => encoder.i64(*value)?,
            Fact::Text(text) => encoder.str(text)?,
        };
    }
    Ok(())
}

fn write_parts(
    encoder: &mut Encoder<&mut Vec<u8>>,
    parts: &[Pdq],
) -> Result<(), EncodeError<std::convert::Infallible>> {
    if parts.is_empty() {
        return Ok(());
    }
    let encoder = encoder.array(parts.len() as u64)?;
    parts.iter().try_fold(encoder, |encoder, part| encoder.bytes(&part.0)).map(drop)
}

fn decode(bytes: &[u8]) -> Result<(Vec<Signal>, ItemFacts, Vec<Pdq>), ItemError> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.array()?.unwrap_or(0);
    let mut signals = Vec::new();
    for _ in 0..count {
        decoder.array()?;
        let kind = decoder.str()?.parse::<Kind>();
        let kind = kind.map_err(|error| ItemError::Value(error.to_string()))?;
        let value = Value::from_bytes(kind, decoder.bytes()?);
        let value = value.map_err(|error| ItemError::Value(error.to_string()))?;
        let quality = Some(decoder.u8()?).filter(|quality| *quality != u8::MAX);
        signals.push(Signal { quality, ..Signal::new(value) });
    }
    Ok((signals, read_facts(&mut decoder)?, read_parts(&mut decoder)?))
}

/// Whether a row ends here: one without facts or parts.
fn is_over(decoder: &Decoder<'_>) -> bool {
    decoder.position() == decoder.input().len()
}

fn read_parts(decoder: &mut Decoder<'_>) -> Result<Vec<Pdq>, ItemError> {
    let count = if is_over(decoder) { None } else { decoder.array()? };
    let part = |_| {
        let bytes = decoder.bytes()?.try_into();
        Ok(Pdq(bytes.map_err(|_| ItemError::Value("a part has 32 bytes".to_owned()))?))
    };
    (0..count.unwrap_or(0)).map(part).collect()
}

fn read_facts(decoder: &mut Decoder<'_>) -> Result<ItemFacts, ItemError> {
    let mut facts = BTreeMap::new();
    let count = if is_over(decoder) { None } else { decoder.map()? };
    for _ in 0..count.unwrap_or(0) {
        let name = decoder.str()?.to_owned();
        let fact = match decoder.datatype()? {
            Type::Bool => Fact::Bool(decoder.bool()?),
            Type::String => Fact::Text(decoder.str()?.to_owned()),
            _ => Fact::Int(decoder.i64()?),
        };
        facts.insert(name, fact);
    }
    Ok(facts.into())
}
