//! Signals as JSON, in the text forms that the field's tools write, and the states that cases have.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_signal::value::{
    Kind, MatchRule, Signal, SignalError, Span, Value, ValueError, ValueOrBlob,
};
use watchfire_signal::vpdq::Frame;

/// One fingerprint of content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalJson {
    /// `sha256`, `md5`, `pdq`, `vpdq`, `text` or `url`.
    #[schema(value_type = String, example = "pdq")]
    pub kind: Kind,
    /// Lower-case hexadecimal; for `vpdq` lines `frame,quality,pdq,seconds` or a JSON array of texts
    /// `"pdq,quality,seconds"`.
    #[schema(example = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22")]
    pub value: String,
    /// Quality of a PDQ hash, 0 to 100; below 50 it is not matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub quality: Option<u8>,
    /// The harmful part of a video or sound, `{start_ms, end_ms}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub span: Option<Span>,
    /// What counts as a match, `{max_distance, min_matched_ms, max_gap_ms}`; every receiver clamps it.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub rule: Option<MatchRule>,
}

/// What kinds of signals were found, without their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignalSummary {
    /// The kind.
    #[schema(value_type = String, example = "vpdq")]
    pub kind: Kind,
    /// Hashed frames of a video; 1 for everything else.
    pub frames: usize,
    /// Of a video: whether every frame of the reported part is listed. Otherwise there were more than can be (3,600),
    /// and evenly as many stand for all: the whole is recognised as before, a short excerpt less surely. Reporting the
    /// harmful part as a `span` lists every frame of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_frame: Option<bool>,
    /// Quality of a PDQ hash, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
}

/// The state of a case, as this node folds it now.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Asserted, nobody has looked.
    Proposed,
    /// A person of one organisation has looked.
    Provisional,
    /// Persons of enough organisations have looked.
    Confirmed,
    /// Somebody with a say disputes it.
    Disputed,
    /// Its time is over.
    Lapsed,
    /// Nobody stands by it any more.
    Retracted,
}

/// Why JSON is not a signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalJsonError {
    /// The value is not one of its kind.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A value, but with something that cannot be.
    #[error(transparent)]
    Signal(#[from] SignalError),
}

impl TryFrom<&SignalJson> for Signal {
    type Error = SignalJsonError;

    fn try_from(json: &SignalJson) -> Result<Self, Self::Error> {
        let signal = Signal {
            value: ValueOrBlob::Value(Value::parse(json.kind, &json.value)?),
            quality: json.quality,
            span: json.span,
            rule: json.rule,
        };
        signal.validate()?;
        Ok(signal)
    }
}

impl From<&Signal> for SignalJson {
    fn from(signal: &Signal) -> Self {
        let value = match &signal.value {
            ValueOrBlob::Value(value) => value.to_text(),
            ValueOrBlob::Blob { sha256, .. } => format!("blob:{sha256}"),
        };
        let Signal { quality, span, rule, .. } = *signal;
        SignalJson { kind: signal.kind(), value, quality, span, rule }
    }
}

impl From<&Signal> for SignalSummary {
    fn from(signal: &Signal) -> Self {
        let video = match &signal.value {
            ValueOrBlob::Value(Value::Vpdq(vpdq)) => Some(&vpdq.frames),
            _ => None,
        };
        let consecutive = |pair: &[Frame]| pair[0].number.checked_add(1) == Some(pair[1].number);
        SignalSummary {
            kind: signal.kind(),
            frames: video.map_or(1, Vec::len),
            every_frame: video.map(|frames| frames.windows(2).all(consecutive)),
            quality: signal.quality,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_reads_back_from_its_json() {
        let text = format!(
            r#"{{"kind":"pdq","value":"{}","quality":97,"match":{{"max_distance":20,"min_matched_ms":0,"max_gap_ms":0}}}}"#,
            "a".repeat(64)
        );
        let json: SignalJson = serde_json::from_str(&text).unwrap();
        let signal = Signal::try_from(&json).unwrap();
        assert_eq!(SignalJson::from(&signal), json);
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
    }

    #[test]
    fn a_misspelt_field_and_a_wrong_value_are_refused() {
        let value = "a".repeat(64);
        let misspelt = format!(r#"{{"kind":"pdq","value":"{value}","qualty":1}}"#);
        assert!(serde_json::from_str::<SignalJson>(&misspelt).is_err());
        for (kind, value, quality) in
            [(Kind::Pdq, "A".repeat(64), 1), (Kind::Md5, value.clone(), 1), (Kind::Pdq, value, 101)]
        {
            let json = SignalJson { kind, value, quality: Some(quality), span: None, rule: None };
            assert!(Signal::try_from(&json).is_err(), "{json:?}");
        }
    }
}
