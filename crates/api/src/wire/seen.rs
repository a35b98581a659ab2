//! What a platform held before it asked about uploads: items with their signals, one a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::name::ItemId;

use super::SignalJson;

/// One line: an item that the platform holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenLine {
    /// The platform's own id of the item.
    #[schema(value_type = String, example = "tiktok:123")]
    pub item: ItemId,
    /// When it was uploaded or last changed, in milliseconds since 1970.
    pub seen_ms: u64,
    /// Its signals.
    #[serde(default)]
    pub signals: Vec<SignalJson>,
    /// Hashes (pdq) of what a border or a rectangle in a picture holds, as `watchfire hash --json` prints them;
    /// at most 6. An alert about what is shown there finds the item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// Its text, which is fingerprinted here and not kept, with the links in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Links that go with it, which are fingerprinted here and not kept; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What is known about it, as with a scan: `context`, `views`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// What became of the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Lines read.
    pub read: u64,
    /// Items that were new, or younger than what was known of them. The others are known already, or
    /// older than the node remembers.
    pub taken: u64,
}
