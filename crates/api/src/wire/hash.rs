//! A file, a text or a link comes in, its signals go out; nothing is kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::{alert::ContentKind, link::LinkScope};

use super::SignalJson;

/// A text or a link to fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HashRequest {
    /// The text; or `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The link; or `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the link stands for: `exact` for itself, `prefix` for all that lies under its path, `host` for its host and
    /// those below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "exact")]
    pub url_scope: Option<LinkScope>,
}

/// The signals of a file, a text or a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hashed {
    /// What it is.
    pub content: MediaInfo,
    /// Its signals, with quality.
    pub signals: Vec<SignalJson>,
    /// How long it took here, in microseconds.
    pub took_us: u64,
}

/// What a file, a text or a link is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MediaInfo {
    /// `image`, `video`, `text` or `url`.
    #[schema(value_type = String)]
    pub kind: ContentKind,
    /// Width in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Length of a video, of sound, or of one round of a picture that moves, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Hashed frames of a video; all frames of a picture that moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
}

impl MediaInfo {
    /// Something without a size.
    #[must_use]
    pub fn plain(kind: ContentKind) -> Self {
        Self { kind, width: None, height: None, duration_ms: None, frames: None }
    }
}
