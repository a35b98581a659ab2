//! Names of members, organisations, coalitions, groups, logs and a platform's items.
//!
//! **Invariant:** a name that exists as a value is well formed; nothing else checks it again.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::{cbor::text_item, text::serde_as_text};

/// The longest name, in characters; four of them fit in every header with room to spare.
pub const MAX_NAME_LENGTH: usize = 32;

/// The longest id of an item, in characters; platforms use URIs and UUIDs, which are shorter.
pub const MAX_ITEM_LENGTH: usize = 256;

/// The longest name of a bank, in characters: as long as the field's own tool (HMA) keeps them.
pub const MAX_BANK_LENGTH: usize = 255;

/// Prefix of every log's name; it tells a checkpoint of ours from those of other systems.
const LOG_PREFIX: &str = "watchfire";

/// The longest text of a log's name in bytes: prefix, two names, ten digits, three slashes.
const MAX_LOG_BYTES: usize = LOG_PREFIX.len() + 2 * MAX_NAME_LENGTH + 10 + 3;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not 1 to 32 characters of `a-z`, `0-9` and `-`, a letter first.
    #[error("a name has 1 to 32 characters of a-z, 0-9 and -, a letter first: {0:?}")]
    Name(String),
    /// Not `watchfire/COALITION/MEMBER/EPOCH`.
    #[error("a log is named watchfire/COALITION/MEMBER/EPOCH with an epoch from 1: {0:?}")]
    Log(String),
    /// Not 1 to 256 characters without control characters.
    #[error("an item's id has 1 to 256 characters and no control characters: {0:?}")]
    Item(String),
    /// Not 1 to 255 characters of `A-Z`, `0-9` and `_`, no digit first.
    #[error("a bank's name has 1 to 255 characters of A-Z, 0-9 and _, no digit first: {0:?}")]
    Bank(String),
}

/// Cuts what was given, so that an error never carries more than a line.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $fits:expr, $error:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if $fits(text) { Ok(Self(text.into())) } else { Err($error(cut(text))) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        serde_as_text!($name);
    };
}

text_type!(
    /// The name of a member: one organisation's node in a coalition, such as `tiktok`.
    MemberName,
    is_name,
    NameError::Name
);
text_type!(
    /// The name of the organisation that controls one or several members, such as `meta`.
    OrganisationName,
    is_name,
    NameError::Name
);
text_type!(
    /// The name of a coalition, such as `demo`.
    CoalitionName,
    is_name,
    NameError::Name
);
text_type!(
    /// The name of a sharing group; `all` is every member of the coalition.
    GroupName,
    is_name,
    NameError::Name
);
text_type!(
    /// A platform's own id of a piece of content, such as `tiktok:123`.
    ItemId,
    is_item,
    NameError::Item
);

text_type!(
    /// The name of a queue of the review, such as `hate`.
    QueueName,
    is_name,
    NameError::Name
);
text_type!(
    /// The name of one of a member's own banks of signals, such as `OUR_LOGOS`; the form is that of
    /// Hasher-Matcher-Actioner, so that its names fit.
    BankName,
    is_bank,
    NameError::Bank
);

text_item!(MemberName, MAX_NAME_LENGTH, "a name");
text_item!(OrganisationName, MAX_NAME_LENGTH, "a name");
text_item!(CoalitionName, MAX_NAME_LENGTH, "a name");
text_item!(GroupName, MAX_NAME_LENGTH, "a name");
text_item!(LogName, MAX_LOG_BYTES, "the name of a log");

fn is_bank(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=MAX_BANK_LENGTH).contains(&bytes.len())
        && !bytes[0].is_ascii_digit()
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

fn is_item(text: &str) -> bool {
    // Bytes first, so that a hostile length is never walked through.
    text.len() <= MAX_ITEM_LENGTH * 4
        && (1..=MAX_ITEM_LENGTH).contains(&text.chars().count())
        && !text.chars().any(char::is_control)
}

impl GroupName {
    /// The group of every member; no charter lists it.
    #[must_use]
    pub fn all() -> Self {
        Self("all".into())
    }

    /// Whether this is the group of every member.
    #[must_use]
    pub fn is_all(&self) -> bool {
        &*self.0 == "all"
    }
}

/// The name of a log, `watchfire/COALITION/MEMBER/EPOCH`: the origin of its checkpoints and the
/// name of its key. A member whose log forked continues under the next epoch.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogName {
    /// The coalition.
    pub coalition: CoalitionName,
    /// The member that writes the log.
    pub member: MemberName,
    /// 1 for a member's first log.
    pub epoch: u32,
}

impl LogName {
    /// The name of a member's log.
    ///
    /// # Panics
    /// When `epoch` is 0: epochs count from 1.
    #[must_use]
    pub fn new(coalition: CoalitionName, member: MemberName, epoch: u32) -> Self {
        assert!(epoch >= 1, "epochs count from 1");
        Self { coalition, member, epoch }
    }
}

impl FromStr for LogName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let mut parts = text.split('/');
            let prefix = parts.next()?;
            let log = Self {
                coalition: parts.next()?.parse().ok()?,
                member: parts.next()?.parse().ok()?,
                epoch: epoch(parts.next()?)?,
            };
            (prefix == LOG_PREFIX && parts.next().is_none()).then_some(log)
        };
        parse().ok_or_else(|| NameError::Log(cut(text)))
    }
}

/// A decimal number from 1, without sign or leading zero.
fn epoch(text: &str) -> Option<u32> {
    let first = text.bytes().next()?;
    ((b'1'..=b'9').contains(&first)).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LOG_PREFIX}/{}/{}/{}", self.coalition, self.member, self.epoch)
    }
}

impl fmt::Debug for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogName({self})")
    }
}

serde_as_text!(LogName);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_log_name_is_read_as_it_is_written() {
        let log: LogName = "watchfire/demo/tiktok/1".parse().unwrap();
        assert_eq!((log.member.as_str(), log.epoch), ("tiktok", 1));
        assert_eq!(log.to_string(), "watchfire/demo/tiktok/1");
        let greatest = "watchfire/demo/tiktok/4294967295";
        assert_eq!(greatest.parse::<LogName>().unwrap().to_string(), greatest);
    }

    #[test]
    fn a_log_name_has_one_spelling() {
        for text in [
            "watchfire/demo/tiktok/0",
            "watchfire/demo/tiktok/01",
            "watchfire/demo/tiktok/+1",
            "watchfire/demo/tiktok/4294967296",
            "watchfire/demo/tiktok/",
            "watchfire/demo/tiktok",
            "watchfire/demo/tiktok/1/",
            "Watchfire/demo/tiktok/1",
            "watchfire//tiktok/1",
            "watchfire/demo/TikTok/1",
            "",
        ] {
            assert!(text.parse::<LogName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_begins_with_a_letter_and_has_at_most_32_characters() {
        for text in ["a", "x-2", &"a".repeat(32)] {
            assert!(text.parse::<MemberName>().is_ok(), "{text}");
        }
        for text in ["", "1a", "-a", "A", "a_b", "é", "a b", &"a".repeat(33)] {
            assert!(text.parse::<MemberName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bank_is_named_as_the_fields_tools_name_theirs() {
        for text in ["A", "_", "COOP_12_HATE", &"B".repeat(255)] {
            assert_eq!(text.parse::<BankName>().unwrap().as_str(), text);
        }
        for text in ["", "a", "1A", "A-B", "A B", "Ä", &"B".repeat(256)] {
            assert!(matches!(text.parse::<BankName>(), Err(NameError::Bank(_))), "{text}");
        }
    }

    #[test]
    fn an_item_has_at_most_256_characters_and_no_control_characters() {
        assert!("tiktok:123".parse::<ItemId>().is_ok());
        assert!("é".repeat(256).parse::<ItemId>().is_ok());
        for text in ["", "a\nb", "a\u{7f}", &"a".repeat(257), &"a".repeat(5000)] {
            assert!(text.parse::<ItemId>().is_err());
        }
    }
}
