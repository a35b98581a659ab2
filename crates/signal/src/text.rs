//! Texts written by people that travel in records: notes, titles, names of authorities.
//!
//! **Invariant:** a text is in normalization form C and holds no control character but line feed.

use unicode_normalization::is_nfc;

/// A note or a list of criteria, in bytes: a page of text, far below what a frame holds.
pub const MAX_NOTE_BYTES: usize = 4_000;

/// A title, a region, a transform or an authority, in bytes: one line.
pub const MAX_LINE_BYTES: usize = 256;

/// Whether the text may stand in a record: 1 to `most` bytes, normalization form C, and no control
/// character but line feed (a text is shown in consoles and logs, where others would mislead).
pub(crate) fn is_fit(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && is_nfc(text)
        && text.chars().all(|character| character == '\n' || !character.is_control())
}

/// Serialises a type as its `Display` form and reads it by `FromStr`.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text =
                    <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use serde_as_text;
