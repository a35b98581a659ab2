//! A file comes in, its signals go out; nothing is kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::alert::ContentKind;

use super::SignalJson;

/// The signals of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hashed {
    /// What the file is.
    pub content: MediaInfo,
    /// Its signals, with quality.
    pub signals: Vec<SignalJson>,
    /// How long it took here, in microseconds.
    pub took_us: u64,
}

/// What a file is, as decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MediaInfo {
    /// `image` or `video`.
    #[schema(value_type = String)]
    pub kind: ContentKind,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Length of a video in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Hashed frames of a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
}
