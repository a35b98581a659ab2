//! Reads and writes the one byte string that a record may have: deterministic CBOR of unsigned
//! integers, byte and text strings, arrays, maps, `true` and `false` (`docs/format.md`, section 1).
//!
//! **Invariant:** `decode` accepts exactly the byte strings that `encode` writes.
//! **Invariant:** no length or count that is read allocates before it was held against a limit.

use std::convert::Infallible;

use minicbor::{Decoder, Encoder};
use thiserror::Error;
use unicode_normalization::is_nfc;

/// Why bytes are not the one encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CborError {
    /// Another data item stands where one of a certain type is needed, or the bytes end too early.
    #[error("byte {at}: expected {expected}")]
    Expected {
        /// What is needed.
        expected: &'static str,
        /// Place in the bytes of this item, from zero.
        at: usize,
    },
    /// A map lacks a key that it must have.
    #[error("byte {at}: key {key} is missing")]
    MissingKey {
        /// The key.
        key: u64,
        /// Where it should stand.
        at: usize,
    },
    /// A map has a key that this version does not know, has it twice, or out of order.
    #[error("byte {at}: key {key} is unknown, repeated or out of order")]
    UnexpectedKey {
        /// The key.
        key: u64,
        /// Just after the key.
        at: usize,
    },
    /// A string or an array is longer, or shorter, than the format allows.
    #[error("byte {at}: a length outside of {least} to {most}")]
    Length {
        /// Least number of bytes or elements.
        least: usize,
        /// Greatest number of bytes or elements.
        most: usize,
        /// Where it stands.
        at: usize,
    },
    /// A value has the right type and means nothing.
    #[error("byte {at}: not {expected}")]
    Value {
        /// What it should be.
        expected: &'static str,
        /// Just after the value.
        at: usize,
    },
    /// Something follows the item.
    #[error("byte {at}: something follows the item")]
    Trailing {
        /// Where it begins.
        at: usize,
    },
    /// The item is understood and is not written in its one deterministic form.
    #[error("not the deterministic encoding")]
    NotDeterministic,
}

/// A value with exactly one encoding.
pub(crate) trait Item: Sized {
    /// Writes the one encoding.
    fn write(&self, writer: &mut Writer);

    /// Reads what `write` writes; it may accept more, which `decode` then refuses.
    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError>;
}

/// The one encoding of the value.
pub(crate) fn encode(item: &impl Item) -> Vec<u8> {
    let mut writer = Writer::default();
    item.write(&mut writer);
    writer.into_bytes()
}

/// Reads one value that fills all the bytes, and compares with what `encode` would have written.
///
/// # Errors
/// [`CborError`] for every byte string that `encode` does not write.
pub(crate) fn decode<T: Item>(bytes: &[u8]) -> Result<T, CborError> {
    let mut reader = Reader::new(bytes);
    let item = T::read(&mut reader)?;
    reader.end()?;
    if encode(&item) == bytes { Ok(item) } else { Err(CborError::NotDeterministic) }
}

/// Writes data items one after the other.
pub(crate) struct Writer(Encoder<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        Self(Encoder::new(Vec::new()))
    }
}

impl Writer {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_writer()
    }

    pub(crate) fn uint(&mut self, value: u64) {
        written(self.0.u64(value));
    }

    pub(crate) fn bool(&mut self, value: bool) {
        written(self.0.bool(value));
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        written(self.0.bytes(value));
    }

    pub(crate) fn text(&mut self, value: &str) {
        written(self.0.str(value));
    }

    pub(crate) fn list<T: Item>(&mut self, items: &[T]) {
        written(self.0.array(items.len() as u64));
        items.iter().for_each(|item| item.write(self));
    }

    /// Writes a map: `fill` puts its entries in ascending order of their keys.
    pub(crate) fn map(&mut self, fill: impl FnOnce(&mut MapWriter)) {
        let mut map = MapWriter { entries: Self::default(), count: 0, least: 0 };
        fill(&mut map);
        written(self.0.map(map.count));
        self.0.writer_mut().extend_from_slice(&map.entries.into_bytes());
    }
}

/// Checks that the encoder wrote: into memory it always can.
fn written<T>(result: Result<T, minicbor::encode::Error<Infallible>>) {
    assert!(result.is_ok(), "writing to memory cannot fail");
}

/// Gathers the entries of one map, so that their number can stand in front of them.
pub(crate) struct MapWriter {
    entries: Writer,
    count: u64,
    least: u64,
}

impl MapWriter {
    /// Puts an entry whose value `write` writes.
    pub(crate) fn entry(&mut self, key: u64, write: impl FnOnce(&mut Writer)) {
        assert!(key >= self.least, "keys are put in ascending order");
        self.least = key + 1;
        self.count += 1;
        self.entries.uint(key);
        write(&mut self.entries);
    }

    pub(crate) fn put(&mut self, key: u64, value: &impl Item) {
        self.entry(key, |writer| value.write(writer));
    }

    /// Puts an entry if there is a value.
    pub(crate) fn put_some(&mut self, key: u64, value: Option<&impl Item>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    pub(crate) fn list<T: Item>(&mut self, key: u64, items: &[T]) {
        self.entry(key, |writer| writer.list(items));
    }

    pub(crate) fn bytes(&mut self, key: u64, value: &[u8]) {
        self.entry(key, |writer| writer.bytes(value));
    }

    pub(crate) fn text(&mut self, key: u64, value: Option<&str>) {
        if let Some(value) = value {
            self.entry(key, |writer| writer.text(value));
        }
    }

    /// Puts `true`, or no key at all.
    pub(crate) fn flag(&mut self, key: u64, value: bool) {
        if value {
            self.entry(key, |writer| writer.bool(true));
        }
    }
}

/// Reads data items one after the other.
pub(crate) struct Reader<'b>(Decoder<'b>);

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// Place of the next byte, from zero.
    pub(crate) fn at(&self) -> usize {
        self.0.position()
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<(), CborError> {
        let at = self.at();
        if at == self.0.input().len() { Ok(()) } else { Err(CborError::Trailing { at }) }
    }

    pub(crate) fn uint(&mut self) -> Result<u64, CborError> {
        let at = self.at();
        self.0.u64().map_err(|_| CborError::Expected { expected: "an unsigned integer", at })
    }

    pub(crate) fn bool(&mut self) -> Result<bool, CborError> {
        let at = self.at();
        self.0.bool().map_err(|_| CborError::Expected { expected: "true or false", at })
    }

    /// A byte string of at most `most` bytes.
    pub(crate) fn bytes(&mut self, most: usize) -> Result<&'b [u8], CborError> {
        let at = self.at();
        let bytes =
            self.0.bytes().map_err(|_| CborError::Expected { expected: "a byte string", at })?;
        in_limits(bytes.len(), 0, most, at).map(|()| bytes)
    }

    /// A text string of at most `most` bytes, in normalization form C.
    pub(crate) fn text(&mut self, most: usize) -> Result<&'b str, CborError> {
        let at = self.at();
        let text = self.0.str().map_err(|_| CborError::Expected { expected: "a text", at })?;
        in_limits(text.len(), 0, most, at)?;
        if is_nfc(text) { Ok(text) } else { Err(self.not("a text in normalization form C")) }
    }

    /// An array of `least` to `most` items.
    pub(crate) fn list<T: Item>(&mut self, least: usize, most: usize) -> Result<Vec<T>, CborError> {
        let at = self.at();
        let expected = CborError::Expected { expected: "an array of known length", at };
        let count = self.0.array().ok().flatten().ok_or(expected)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        in_limits(count, least, most, at)?;
        (0..count).map(|_| T::read(self)).collect()
    }

    /// Begins a map; its entries are then asked for in ascending order of their keys.
    pub(crate) fn map(&mut self) -> Result<MapReader<'_, 'b>, CborError> {
        let at = self.at();
        let expected = CborError::Expected { expected: "a map of known length", at };
        let left = self.0.map().ok().flatten().ok_or(expected)?;
        Ok(MapReader { reader: self, left, next: None })
    }

    /// Passes over one item of any shape; for records of versions that are not known here.
    pub(crate) fn skip(&mut self) -> Result<(), CborError> {
        let at = self.at();
        self.0.skip().map_err(|_| CborError::Expected { expected: "a data item", at })
    }

    /// The error for a value that was just read and is not what it should be.
    pub(crate) fn not(&self, expected: &'static str) -> CborError {
        CborError::Value { expected, at: self.at() }
    }
}

fn in_limits(length: usize, least: usize, most: usize, at: usize) -> Result<(), CborError> {
    if (least..=most).contains(&length) {
        Ok(())
    } else {
        Err(CborError::Length { least, most, at })
    }
}

/// Reads the entries of one map.
pub(crate) struct MapReader<'r, 'b> {
    reader: &'r mut Reader<'b>,
    left: u64,
    next: Option<u64>,
}

impl<'b> MapReader<'_, 'b> {
    /// Reads the value of a key that must be there.
    pub(crate) fn entry<T>(
        &mut self,
        key: u64,
        read: impl FnOnce(&mut Reader<'b>) -> Result<T, CborError>,
    ) -> Result<T, CborError> {
        let value = self.entry_if(key, read)?;
        value.ok_or(CborError::MissingKey { key, at: self.reader.at() })
    }

    /// Reads the value of a key that may be absent.
    pub(crate) fn entry_if<T>(
        &mut self,
        key: u64,
        read: impl FnOnce(&mut Reader<'b>) -> Result<T, CborError>,
    ) -> Result<Option<T>, CborError> {
        match self.peek()? {
            Some(found) if found == key => {
                self.next = None;
                read(self.reader).map(Some)
            }
            Some(found) if found < key => Err(self.unexpected(found)),
            _ => Ok(None),
        }
    }

    pub(crate) fn take<T: Item>(&mut self, key: u64) -> Result<T, CborError> {
        self.entry(key, T::read)
    }

    pub(crate) fn take_if<T: Item>(&mut self, key: u64) -> Result<Option<T>, CborError> {
        self.entry_if(key, T::read)
    }

    /// Reads `true`, or an absent key as `false`.
    pub(crate) fn flag(&mut self, key: u64) -> Result<bool, CborError> {
        self.entry_if(key, Reader::bool).map(|value| value.unwrap_or(false))
    }

    /// Passes over everything before `key`, then reads it; for versions that are not known here.
    pub(crate) fn seek<T>(
        &mut self,
        key: u64,
        read: impl FnOnce(&mut Reader<'b>) -> Result<T, CborError>,
    ) -> Result<Option<T>, CborError> {
        while self.peek()?.is_some_and(|found| found < key) {
            self.next = None;
            self.reader.skip()?;
        }
        self.entry_if(key, read)
    }

    /// Checks that no entry is left.
    pub(crate) fn end(mut self) -> Result<(), CborError> {
        match self.peek()? {
            Some(key) => Err(self.unexpected(key)),
            None => Ok(()),
        }
    }

    fn peek(&mut self) -> Result<Option<u64>, CborError> {
        if self.next.is_none() && self.left > 0 {
            self.next = Some(self.reader.uint()?);
            self.left -= 1;
        }
        Ok(self.next)
    }

    fn unexpected(&self, key: u64) -> CborError {
        CborError::UnexpectedKey { key, at: self.reader.at() }
    }
}

macro_rules! unsigned {
    ($($integer:ty),*) => {$(
        impl Item for $integer {
            fn write(&self, writer: &mut Writer) {
                writer.uint(u64::from(*self));
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
                let value = reader.uint()?;
                Self::try_from(value).map_err(|_| reader.not(concat!("within ", stringify!($integer))))
            }
        }
    )*};
}

unsigned!(u8, u16, u32, u64);

impl<const N: usize> Item for [u8; N] {
    fn write(&self, writer: &mut Writer) {
        writer.bytes(self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let at = reader.at();
        let bytes = reader.bytes(N)?;
        bytes.try_into().map_err(|_| CborError::Length { least: N, most: N, at })
    }
}

/// Writes and reads a newtype of text by its `as_str` and `FromStr`.
macro_rules! text_item {
    ($name:ty, $most:expr, $expected:literal) => {
        impl crate::cbor::Item for $name {
            fn write(&self, writer: &mut crate::cbor::Writer) {
                writer.text(&self.to_string());
            }

            fn read(reader: &mut crate::cbor::Reader<'_>) -> Result<Self, crate::cbor::CborError> {
                let text = reader.text($most)?;
                text.parse().map_err(|_| reader.not($expected))
            }
        }
    };
}

pub(crate) use text_item;

/// Writes and reads a struct, all of whose fields must be there, as a map.
macro_rules! map_item {
    ($name:ident { $($key:literal $field:ident),+ $(,)? }) => {
        impl crate::cbor::Item for $name {
            fn write(&self, writer: &mut crate::cbor::Writer) {
                writer.map(|map| { $(map.put($key, &self.$field);)+ });
            }

            fn read(
                reader: &mut crate::cbor::Reader<'_>,
            ) -> Result<Self, crate::cbor::CborError> {
                let mut map = reader.map()?;
                let item = Self { $($field: map.take($key)?),+ };
                map.end()?;
                Ok(item)
            }
        }
    };
}

pub(crate) use map_item;
