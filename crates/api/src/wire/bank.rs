//! A member's own lists of signals: made, changed, filled and read by programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{
    label::Label,
    name::BankName,
    pdq,
    value::{Kind, Span},
};

use super::{Edit, Method, SignalJson};

/// A bank to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankRequest {
    /// Its name, of `A-Z`, `0-9` and `_`.
    #[schema(value_type = String, example = "KNOWN_GORE")]
    pub name: BankName,
    /// Whether it matches at all.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    /// The share of its contents that match, 0 to 1.
    #[serde(default = "whole")]
    #[schema(default = 1.0)]
    pub ratio: f64,
    /// Whether its matches speak for an item: policy lets them suppress others.
    #[serde(default)]
    pub negative: bool,
    /// Labels that its matches carry.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub labels: Vec<Label>,
    /// 0 to 4.
    #[serde(default)]
    pub severity: u8,
    /// The greatest distance of a match, 0 to 31: bits, of texts the estimated percentage of characters that
    /// differ.
    #[serde(default = "farthest")]
    #[schema(default = 31)]
    pub max_distance: u16,
    /// What people should know of it.
    #[serde(default)]
    pub note: String,
}

fn yes() -> bool {
    true
}

fn whole() -> f64 {
    1.0
}

fn farthest() -> u16 {
    pdq::MAX_DISTANCE as u16
}

impl BankRequest {
    /// A bank of this name with the settings that it has when nothing else is said.
    #[must_use]
    pub fn named(name: BankName) -> Self {
        Self {
            name,
            enabled: yes(),
            ratio: whole(),
            negative: false,
            labels: Vec::new(),
            severity: 0,
            max_distance: farthest(),
            note: String::new(),
        }
    }
}

/// What is to be changed of a bank; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankChangeRequest {
    /// Another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<BankName>,
    /// Whether it matches at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The share of its contents that match, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Whether its matches speak for an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<bool>,
    /// Labels that its matches carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub labels: Option<Vec<Label>>,
    /// 0 to 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// The greatest distance of a match, 0 to 31: bits, of texts the estimated percentage of characters that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_distance: Option<u16>,
    /// What people should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BankView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: BankName,
    /// Whether it matches at all.
    pub enabled: bool,
    /// The share of its contents that match, 0 to 1.
    pub ratio: f64,
    /// Whether its matches speak for an item.
    pub negative: bool,
    /// Labels that its matches carry.
    #[schema(value_type = Vec<String>)]
    pub labels: Vec<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// The greatest distance of a match.
    pub max_distance: u16,
    /// What people should know of it.
    pub note: String,
    /// Contents in it.
    pub contents: u64,
    /// Signals in it by kind.
    pub signals: BTreeMap<String, u64>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When its name or settings were last changed, in milliseconds since 1970.
    pub changed_ms: u64,
}

/// All banks, in order of name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BankList {
    /// The banks.
    pub banks: Vec<BankView>,
}

/// A content to put into a bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankContentRequest {
    /// How it is recognised, 1 to 64 signals.
    pub signals: Vec<SignalJson>,
    /// What people should know of it, at most 255 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What programs should know of it, at most 4,096 bytes.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl BankContentRequest {
    /// Reads a line of a list: a content, or a signal alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        match serde_json::from_slice::<SignalJson>(line) {
            Ok(signal) => Ok(signal.into()),
            // What names `signals` is no signal alone; its own error is the one to tell.
            Err(error) => match serde_json::from_slice::<Self>(line) {
                Ok(content) => Ok(content),
                Err(other) if has_signals(line) => Err(other),
                Err(_) => Err(error),
            },
        }
    }
}

fn has_signals(line: &[u8]) -> bool {
    line.windows(9).any(|part| part == b"\"signals\"")
}

impl From<SignalJson> for BankContentRequest {
    fn from(signal: SignalJson) -> Self {
        Self { signals: vec![signal], note: String::new(), metadata: serde_json::Map::new() }
    }
}

/// What is to be changed of a content; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankContentChangeRequest {
    /// From when on it matches, in milliseconds since 1970: 0 for now, 18446744073709551615 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_until_ms: Option<u64>,
    /// What people should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A content of a bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BankContentView {
    /// Its id, counted from 1 at this node.
    pub id: u64,
    /// How it is recognised.
    pub signals: Vec<SignalJson>,
    /// What people should know of it.
    pub note: String,
    /// What programs should know of it.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// From when on it matches, in milliseconds since 1970: 0 for always.
    pub disabled_until_ms: u64,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: u64,
}

/// Which contents of a bank to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BankContentQuery {
    /// Only contents with ids above this: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many at most, 1 to 1,000; 100 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of contents, in order of id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BankContentPage {
    /// The contents.
    pub contents: Vec<BankContentView>,
    /// Where the next page begins; absent when there are no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What became of contents that were to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BankAdded {
    /// How many were given.
    pub given: u64,
    /// How many of them are new.
    pub added: u64,
    /// The id of the content; of a list, the least of those that are new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

/// A content of one of this member's own banks near the query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BankMatch {
    /// The bank.
    #[schema(value_type = String)]
    pub bank: BankName,
    /// The content; its address is `/v1/banks/{bank}/contents/{content}`.
    pub content: u64,
    /// Whether it speaks for the item.
    pub negative: bool,
    /// Labels of the bank.
    #[schema(value_type = Vec<String>)]
    pub labels: Vec<Label>,
    /// 0 to 4, of the bank.
    pub severity: u8,
    /// The kind of the matched signals.
    #[schema(value_type = String)]
    pub signal: Kind,
    /// How they match.
    pub method: Method,
    /// Other ways in which signals of the same two match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Method>,
    /// Bits in which they differ, of 256; of texts the estimated percentage of characters that differ, of sound percent of bits; 0 when
    /// exact.
    pub distance: u32,
    /// Distinct frames that line up, for videos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// The matched part of the query, `{start_ms, end_ms}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub query_span_ms: Option<Span>,
    /// The matched part of the content's video, `{start_ms, end_ms}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub reference_span_ms: Option<Span>,
    /// How much faster the query runs than the content's video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// Where the upload shows the known picture, if it is edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
    /// Whether it is sure; if not, the two may share only what is written over both, or a phrase, and it goes no further than a review.
    pub sure: bool,
    /// Whether the known signal is below the quality floor: it says too little for anything to be done by it alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thin: bool,
    /// What was compared and agrees, in percent: bits of hashes or sound, letters of texts, blocks of edited pictures; only to be
    /// compared among matches of one method.
    #[serde(default)]
    pub score: u32,
    /// The rule of this node's policy that decided about it; absent in a lookup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}
