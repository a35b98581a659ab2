//! Says what went wrong, in one shape for every error of the API.
//!
//! Source: RFC 9457 (problem details for HTTP APIs).
//!
//! **Invariant:** the names of problems are stable; programs decide by them, people read the detail.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What every problem's type begins with.
const PREFIX: &str = "urn:watchfire:problem:";

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:literal, $title:literal;)+) => {
        /// The kinds of problems; each has a stable name, a status and a title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)+
        }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)+ }
            }

            /// The title, for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }
        }
    };
}

kinds! {
    /// The request cannot be read.
    Malformed = "malformed", 400, "The request cannot be read";
    /// No key, a wrong key, or a wrong signature.
    Unauthenticated = "unauthenticated", 401, "Who asks is not known";
    /// The caller may not do this.
    Forbidden = "forbidden", 403, "The caller may not do this";
    /// There is no such thing here.
    NotFound = "not-found", 404, "There is no such thing here";
    /// The address exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
    /// The thing is in a state in which this cannot be done.
    Conflict = "conflict", 409, "This cannot be done in the present state";
    /// Larger than a limit, which is named.
    TooLarge = "too-large", 413, "Larger than a limit";
    /// The content type is not taken here.
    UnsupportedMediaType = "unsupported-media-type", 415, "The content type is not taken here";
    /// Readable, but what it says cannot be.
    Invalid = "invalid", 422, "The request says something that cannot be";
    /// An alert about what is everybody's; `anyway` raises it all the same.
    Preflight = "preflight", 422, "The alert is about what is everybody's";
    /// Media that cannot be decoded.
    UndecodableMedia = "undecodable-media", 422, "The media cannot be decoded";
    /// The idempotency key was used for another request.
    KeyReused = "idempotency-key-reused", 422, "The idempotency key was used for another request";
    /// More than a limit at a time, which is named.
    TooMany = "too-many", 429, "More than a limit at a time";
    /// A fault of this node.
    Internal = "internal", 500, "This node failed";
    /// Not ready, or stopping.
    Unavailable = "unavailable", 503, "This node does not answer now";
    /// The request took longer than its limit.
    Timeout = "timeout", 503, "The request took too long";
}

/// An error as the API answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind of problem, stable: `urn:watchfire:problem:NAME`.
    #[serde(rename = "type")]
    #[schema(example = "urn:watchfire:problem:not-found")]
    pub kind: String,
    /// The kind for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What it was this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The name of the limit that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// How long to wait before asking again, in seconds; `Retry-After` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with what it was this time.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Problem { detail: Some(detail.into()), ..Problem::plain(kind) }
    }

    /// A problem about which there is no more to say.
    pub fn plain(kind: ProblemKind) -> Self {
        Problem {
            kind: format!("{PREFIX}{}", kind.name()),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: None,
            limit: None,
            retry_after_s: None,
        }
    }

    /// A problem with a limit, by its name and its value.
    pub fn limit(kind: ProblemKind, name: &str, value: u64) -> Self {
        let detail = format!("the limit {name} is {value}");
        Problem { limit: Some(name.to_owned()), ..Problem::new(kind, detail) }
    }

    /// Whether this is a problem of a kind.
    pub fn is(&self, kind: ProblemKind) -> bool {
        self.kind.strip_prefix(PREFIX) == Some(kind.name())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.title, self.status)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_problem_has_the_members_of_the_rfc() {
        let problem = Problem::limit(ProblemKind::TooLarge, "scan_bytes", 5);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "urn:watchfire:problem:too-large",
                "title": "Larger than a limit",
                "status": 413,
                "detail": "the limit scan_bytes is 5",
                "limit": "scan_bytes",
            })
        );
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
        assert!(problem.is(ProblemKind::TooLarge) && !problem.is(ProblemKind::TooMany));
    }

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<_> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ProblemKind::ALL.len());
    }
}
