//! Enumerations that stand as a small number in bytes and as a word in text and JSON.
//!
//! **Invariant:** a number, once given, never changes its meaning.

use thiserror::Error;

/// A word that none of the values has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown {what} {word:?}, expected one of: {known}")]
pub struct UnknownWord {
    /// What was looked for, such as `reason`.
    pub what: &'static str,
    /// The word that was given, cut to 64 characters.
    pub word: String,
    /// The words that exist, separated by commas.
    pub known: String,
}

/// Declares an enumeration with its numbers and words, and its forms in CBOR, text and JSON.
macro_rules! codes {
    (
        $(#[$doc:meta])*
        $name:ident, $what:literal;
        $($(#[$value_doc:meta])* $value:ident = $code:literal $word:literal,)+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The number that stands in a record.
            #[must_use]
            pub fn code(self) -> u8 {
                match self { $(Self::$value => $code,)+ }
            }

            /// The value with this number, if there is one.
            #[must_use]
            pub fn from_code(code: u64) -> Option<Self> {
                match code { $($code => Some(Self::$value),)+ _ => None }
            }

            /// The word that stands in text and JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::code::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    crate::code::UnknownWord {
                        what: $what,
                        word: text.chars().take(64).collect(),
                        known: [$($word),+].join(", "),
                    }
                })
            }
        }

        crate::text::serde_as_text!($name);

        impl crate::cbor::Item for $name {
            fn write(&self, writer: &mut crate::cbor::Writer) {
                writer.uint(u64::from(self.code()));
            }

            fn read(
                reader: &mut crate::cbor::Reader<'_>,
            ) -> Result<Self, crate::cbor::CborError> {
                let code = reader.uint()?;
                Self::from_code(code).ok_or_else(|| reader.not(concat!("a known ", $what)))
            }
        }
    };
}

pub(crate) use codes;
