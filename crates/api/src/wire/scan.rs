//! The hot path: an item comes in, a verdict with its reasons goes out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_signal::{
    alert::ContentKind,
    commitment::Commitment,
    label::Label,
    name::{ItemId, MemberName},
    value::{Kind, Span},
};

use super::{BankMatch, SignalJson, State};

/// An item to judge: by its signals, by its text and links, or by all of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanRequest {
    /// The platform's own id of the item; a later scan of the same id replaces it.
    #[schema(value_type = String, example = "tiktok:123")]
    pub item: ItemId,
    /// The platform's own id of the author; stays at this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What the content is: `image`, `video`, `audio`, `text` or `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub kind: Option<ContentKind>,
    /// Facts about the item that policy may ask for; stay at this node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Its signals.
    #[serde(default)]
    pub signals: Vec<SignalJson>,
    /// Its text, which is fingerprinted here and not kept; links in it that begin with `http://` or `https://`
    /// are looked at too, at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Links that go with it, which are fingerprinted here and not kept; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

impl ScanRequest {
    /// A scan of an item of which nothing is said yet.
    #[must_use]
    pub fn of(item: ItemId) -> Self {
        Self {
            item,
            author: None,
            kind: None,
            facts: BTreeMap::new(),
            signals: Vec::new(),
            text: None,
            urls: Vec::new(),
        }
    }
}

/// What goes with a scan in the address: `item` and `author` when the body is the file itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScanQuery {
    /// The platform's own id of the item; needed when the body is the file itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub item: Option<ItemId>,
    /// The platform's own id of the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Facts about the item that policy may ask for, as a JSON object: `{"context": "news"}`; stay at this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "{\"context\":\"news\"}")]
    pub facts: Option<String>,
    /// Whether the answer lists the signals that were found in the file.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    pub signals: bool,
    /// How far the file is looked into at this place of upload: `exact`, `near` or `variant`, which is the standard.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, inline, example = "near")]
    pub depth: Option<MatchDepth>,
}

/// The answer to a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// The item.
    #[schema(value_type = String)]
    pub item: ItemId,
    /// What to do in a word.
    pub verdict: VerdictKind,
    /// What to do in detail: `block_upload`, `remove`, `label`, `review`, ….
    pub actions: Vec<String>,
    /// Why, of the coalition's cases, the strictest first; empty when allowed.
    pub reasons: Vec<Match>,
    /// Why, of this member's own banks, the strictest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub banks: Vec<BankMatch>,
    /// The version of the policy that decided.
    pub policy_version: u32,
    /// Whether the file may show more edited than is listed: of what is known no more than sixteen pictures, or frames of
    /// videos, are looked at closely for each picture or frame of the file, those that most of its details lead to, and of
    /// hashes near that of a part of it the nearest 1,024.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The signals that were found in the file, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<Vec<SignalJson>>,
    /// How long it took here, in microseconds, from the whole request to the answer.
    pub took_us: u64,
}

/// A verdict in a word, mildest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// Nothing is known against it.
    Allow,
    /// Publish, and act mildly: a label, less reach, a note.
    Flag,
    /// A person has to look.
    Review,
    /// Refuse it.
    Block,
}

/// A known signal near one of the query's, and the case it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Match {
    /// The case: commitment of its founding assert.
    #[schema(value_type = String)]
    pub case: Commitment,
    /// The alert that brought the signal; its address is `/v1/alerts/{record}`.
    #[schema(value_type = String)]
    pub record: Commitment,
    /// The state of the case.
    pub state: State,
    /// The label of its class, the first where there are several.
    #[schema(value_type = Option<String>, example = "self_harm.suicide_depiction")]
    pub label: Option<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// Members that stand by it.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<MemberName>,
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
    /// The matched part of the known video, `{start_ms, end_ms}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub reference_span_ms: Option<Span>,
    /// How much faster the query runs than the known video.
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
    /// Why what the policy asks for waits for a person: the name of a limit of the policy, or `benign_set`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "older_matches_per_signal")]
    pub held: Option<String>,
    /// The rule of this node's policy that decided about it; absent in a lookup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// How two signals match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The same bytes; the same short text however it is spelt; the same link, or one under it.
    Exact,
    /// Two picture hashes are within their distance, or most of a text stands in the other.
    Near,
    /// Frames of two videos line up in time.
    Aligned,
    /// Five seconds or more of two sounds go together.
    Sound,
    /// The hash of the picture turned, mirrored or inverted is near, or frames of the mirrored video line up.
    Turned,
    /// The hash of what a border or a screen around it holds is near.
    Part,
    /// Local features of two pictures fit on one another, and what lies between them agrees.
    Features,
}

/// Where an upload shows a known picture, edited. Places are shares of a picture's sides, `[x, y]` from its upper left corner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Edit {
    /// The corners of what is shown, in the upload.
    pub region: [[f32; 2]; 4],
    /// The same corners in the known picture; of turned and mirrored ones the first is not the upper left.
    pub reference_region: [[f32; 2]; 4],
    /// Local features that agree on the transform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inliers: Option<u32>,
    /// From places in the upload to places in the known picture: x′ and y′, each of x, y and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<[[f32; 3]; 2]>,
}

/// How far an upload is looked into, each with all before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MatchDepth {
    /// The same bytes. The file is not decoded, so that a later alert finds only the same bytes too.
    Exact,
    /// Hashes of what is seen and heard.
    Near,
    /// Edited copies of pictures, where the node knows any that could be found and policy would act on them.
    Variant,
}
