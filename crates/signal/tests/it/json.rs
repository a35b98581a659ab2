//! What people and the API see of records, and the texts that the API takes.

use proptest::prelude::*;
use serde_json::json;
use watchfire_signal::{
    alert::{ContentKind, Exception, Suggestion},
    header::{Provenance, Review},
    label::Label,
    reason::Reason,
    statement::{Basis, Statement},
    value::{Kind, MatchRule, Span, Value, ValueOrBlob},
};

use crate::{any, golden};

#[test]
fn an_assert_is_shown_with_words_and_hexadecimal() {
    let (header, statement) = golden::assert();
    let shown = serde_json::to_string_pretty(&(header, statement)).unwrap();
    insta::assert_snapshot!(shown, @r#"
    [
      {
        "v": 1,
        "coalition": "demo",
        "author_log": "watchfire/demo/tiktok/1",
        "charter": {
          "seq": 1,
          "hash": "4cf43d3b50f2799c9333e7a9ee514b49c12077111779a57ea0f7618eabb71d2b"
        },
        "verb": "assert",
        "class": "self_harm",
        "group": "all",
        "provenance": "own_detection",
        "severity": 4,
        "lease_day": 20717,
        "test": false,
        "review": "one_human",
        "size": 1
      },
      {
        "kind": "video",
        "signals": [
          {
            "kind": "vpdq",
            "value": "30,100,e271017837246aaccddea259648fb7d62f435c89d9e99b2497763e216c8d055c,1.000\n60,98,c0f11178372c6aaccddea259648fbfd62f434c89c9e99b249772be216c8d055c,2.000\n",
            "frames": 2,
            "span": {
              "start_ms": 1000,
              "end_ms": 3000
            },
            "match": {
              "max_distance": 31,
              "min_matched_ms": 1500,
              "max_gap_ms": 600
            }
          },
          {
            "kind": "md5",
            "value": "d41d8cd98f00b204e9800998ecf8427e"
          }
        ],
        "labels": [
          "self_harm.suicide_depiction"
        ],
        "taxonomy": 1,
        "confidence": 90,
        "suggestion": "remove",
        "exceptions": [
          "news"
        ],
        "valid_until": 1790000000000,
        "evidence_hold": true
      }
    ]
    "#);
}

#[test]
fn a_record_without_fields_is_an_empty_object() {
    assert_eq!(serde_json::to_value(Statement::Erase).unwrap(), json!({}));
}

#[test]
fn words_are_read_as_they_are_shown() {
    fn same<T>(all: &[T])
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        for value in all {
            let text = serde_json::to_string(value).unwrap();
            assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
        }
        assert!(serde_json::from_str::<T>("\"nothing\"").is_err());
        assert!(serde_json::from_str::<T>("0").is_err());
    }
    same(ContentKind::ALL);
    same(Suggestion::ALL);
    same(Exception::ALL);
    same(Provenance::ALL);
    same(Review::ALL);
    same(Reason::ALL);
    same(Basis::ALL);
    same(Kind::ALL);
    same(&[Label::received("hate.incitement").unwrap()]);
}

#[test]
fn spans_and_rules_refuse_fields_they_do_not_know() {
    let span: Span = serde_json::from_value(json!({"start_ms": 1, "end_ms": 2})).unwrap();
    assert_eq!(span, Span { start_ms: 1, end_ms: 2 });
    assert!(serde_json::from_value::<Span>(json!({"start_ms": 1, "end": 2})).is_err());
    let rule = json!({"max_distance": 31, "min_matched_ms": 1500, "max_gap_ms": 600});
    assert!(serde_json::from_value::<MatchRule>(rule).is_ok());
}

proptest! {
    #[test]
    fn the_value_that_is_shown_is_read_again(statement in any::statement()) {
        let shown = serde_json::to_value(&statement).unwrap();
        let signals = statement.alert().map(|alert| alert.signals.as_slice()).unwrap_or_default();
        for (place, signal) in signals.iter().enumerate() {
            let shown = &shown["signals"][place];
            let kind: Kind = shown["kind"].as_str().unwrap().parse().unwrap();
            match &signal.value {
                ValueOrBlob::Value(value) => {
                    let read = Value::parse(kind, shown["value"].as_str().unwrap()).unwrap();
                    prop_assert_eq!(&read, value);
                }
                ValueOrBlob::Blob { size, .. } => prop_assert_eq!(&shown["blob"]["size"], size),
            }
        }
    }
}
