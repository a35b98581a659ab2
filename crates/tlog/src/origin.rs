//! Names a log, the way the first line of its checkpoints does.
//!
//! **Invariant:** an origin is also a legal key name of a signed note, a legal URL path and a legal
//! relative file path that cannot climb.

use std::fmt;
use std::str::FromStr;

/// The longest name of a log; names stand in every checkpoint, URL and metric.
pub const MAX_ORIGIN_BYTES: usize = 200;

/// The name of a log, for example `watchfire/demo/tiktok/1`: segments of `[a-z0-9._-]` joined by
/// `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// Why text is not the name of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Empty, or longer than [`MAX_ORIGIN_BYTES`].
    #[error("a log's name has 1 to {MAX_ORIGIN_BYTES} bytes")]
    Length,
    /// A segment is empty, `.` or `..`.
    #[error("a log's name has an empty or climbing segment")]
    Segment,
    /// A character outside `[a-z0-9._-]` and `/`.
    #[error("a log's name has only a-z, 0-9, '.', '_', '-' and '/'")]
    Character,
}

impl Origin {
    /// Checks and takes a name.
    pub fn new(name: impl Into<String>) -> Result<Self, OriginError> {
        let name = name.into();
        check(&name)?;
        Ok(Origin(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(name: &str) -> Result<(), OriginError> {
    if name.is_empty() || name.len() > MAX_ORIGIN_BYTES {
        return Err(OriginError::Length);
    }
    for segment in name.split('/') {
        if matches!(segment, "" | "." | "..") {
            return Err(OriginError::Segment);
        }
        if !segment.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')) {
            return Err(OriginError::Character);
        }
    }
    Ok(())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.0)
    }
}

impl AsRef<str> for Origin {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Origin::new(text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["watchfire/demo/tiktok/1", "a", "example.com/log-2_x", &"a".repeat(200)] {
            assert_eq!(Origin::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_a_note_a_url_or_a_path_would_misread_are_refused() {
        for (name, why) in [
            ("", OriginError::Length),
            (&"a".repeat(201), OriginError::Length),
            ("/a", OriginError::Segment),
            ("a/", OriginError::Segment),
            ("a//b", OriginError::Segment),
            ("a/../b", OriginError::Segment),
            (".", OriginError::Segment),
            ("a+b", OriginError::Character),
            ("a b", OriginError::Character),
            ("a\n", OriginError::Character),
            ("A", OriginError::Character),
            ("ä", OriginError::Character),
            ("a%2f", OriginError::Character),
        ] {
            assert_eq!(Origin::new(name), Err(why), "{name:?}");
        }
    }
}
