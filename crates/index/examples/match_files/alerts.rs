//! Writes what is known of a reference into the body of an alert, and reads it back.

use std::io;

use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    statement::Statement,
    value::Signal,
    verb::Verb,
};

/// The signals of an alert after it was written and read: all that another member knows.
pub(crate) fn through_alert(kind: ContentKind, signals: Vec<Signal>) -> io::Result<Vec<Signal>> {
    let alert = Alert {
        kind,
        signals,
        labels: vec!["violence.graphic_death".parse().map_err(io::Error::other)?],
        taxonomy: 1,
        confidence: 90,
        suggestion: Suggestion::Review,
        exceptions: Vec::new(),
        valid_until: 0,
        family: None,
        incident: None,
        evidence_hold: false,
        authority: None,
        tlp: None,
    };
    let body = Statement::Assert(alert).encode();
    let read = Statement::decode(Verb::Assert, &body).map_err(io::Error::other)?;
    Ok(read.alert().into_iter().flat_map(|alert| alert.signals.iter().cloned()).collect())
}
