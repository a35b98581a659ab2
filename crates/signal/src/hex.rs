//! Reads and writes lower-case hexadecimal of a known length, the text form of every hash here.

use serde::{Deserialize, Deserializer, Serializer};
use thiserror::Error;

/// Why a text is not the lower-case hexadecimal of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HexError {
    /// The text has another length than the value needs.
    #[error("expected {expected} characters, found {found}")]
    Length {
        /// Characters that the value needs.
        expected: usize,
        /// Characters that the text has.
        found: usize,
    },
    /// A character is neither a digit nor `a` to `f`.
    #[error("character {position} is not a digit or a lower-case letter from a to f")]
    Character {
        /// Place of the character in bytes, from zero.
        position: usize,
    },
}

/// Decodes exactly `N` bytes; upper case is refused, as the field's own tools do.
///
/// # Errors
/// [`HexError`] when the length differs or a character is outside `0-9a-f`.
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let bytes = text.as_bytes();
    if bytes.len() != N * 2 {
        return Err(HexError::Length { expected: N * 2, found: bytes.len() });
    }
    let mut value = [0; N];
    for (place, (byte, pair)) in value.iter_mut().zip(bytes.chunks_exact(2)).enumerate() {
        *byte = nibble(pair[0], place * 2)? << 4 | nibble(pair[1], place * 2 + 1)?;
    }
    Ok(value)
}

/// Decodes as many bytes as there are; upper case is refused.
///
/// # Errors
/// [`HexError`] where a digit is missing at the end or a character is outside `0-9a-f`.
pub fn decode_all(text: &str) -> Result<Vec<u8>, HexError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(HexError::Length { expected: text.len() + 1, found: text.len() });
    }
    let byte = |(place, pair): (usize, &[u8; 2])| {
        Ok(nibble(pair[0], place * 2)? << 4 | nibble(pair[1], place * 2 + 1)?)
    };
    pairs.iter().enumerate().map(byte).collect()
}

/// Writes the bytes as lower-case hexadecimal.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Serialises bytes as hexadecimal; for `#[serde(serialize_with)]`.
pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

/// Deserialises hexadecimal of a known length; for `#[serde(deserialize_with)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    decode(&text).map_err(serde::de::Error::custom)
}

fn nibble(character: u8, position: usize) -> Result<u8, HexError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(HexError::Character { position }),
    }
}
