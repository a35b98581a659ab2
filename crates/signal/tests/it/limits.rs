//! Values that have the right type and are out of their limits are neither sealed nor read.

use watchfire_signal::{
    alert::{Alert, Exception, Family},
    commitment::Commitment,
    incident::{Incident, IncidentStep},
    pdq::Pdq,
    statement::{Done, Statement},
    value::{Kind, Signal, Span, Value, ValueOrBlob},
    vpdq::{Frame, Vpdq},
};

use crate::golden;

fn refused(statement: &Statement) {
    assert!(statement.validate().is_err(), "{statement:?}");
    assert!(Statement::decode(statement.verb(), &statement.encode()).is_err(), "{statement:?}");
}

fn refused_alert(change: impl FnOnce(&mut Alert)) {
    let (_, Statement::Assert(mut alert)) = golden::assert() else { panic!("an assert") };
    change(&mut alert);
    refused(&Statement::Assert(alert));
}

fn frames(count: u32, step: u32) -> Vpdq {
    let frame = |number| Frame { number: number * step, quality: 9, pdq: Pdq([1; 32]), at_ms: 0 };
    Vpdq { frames: (0..count).map(frame).collect() }
}

#[test]
fn signals_out_of_their_limits_are_refused() {
    refused_alert(|a| a.signals.clear());
    refused_alert(|a| a.signals = vec![Signal::new(Pdq([0; 32])); 65]);
    refused_alert(|a| a.signals[0].span = Some(Span { start_ms: 5, end_ms: 5 }));
    refused_alert(|a| a.signals[1].quality = Some(101));
    refused_alert(|a| a.signals[0] = Signal::new(frames(3_601, 1)));
    refused_alert(|a| a.signals[0] = Signal::new(frames(2, 0)));
    refused_alert(|a| a.signals[0] = Signal::new(Vpdq::default()));
    refused_alert(|a| {
        let mut vpdq = frames(2, 1);
        vpdq.frames[0].at_ms = 1;
        a.signals[0] = Signal::new(vpdq);
    });
    refused_alert(|a| {
        let sha256 = watchfire_signal::digest::Sha256Digest([0; 32]);
        a.signals[0].value = ValueOrBlob::Blob { kind: Kind::Vpdq, sha256, size: 0 };
    });
    assert!(Signal::new(frames(3_600, 1)).validate().is_ok());
}

#[test]
fn bytes_that_are_no_value_of_their_kind_are_refused() {
    for kind in Kind::ALL {
        assert!(Value::from_bytes(*kind, &[]).is_err(), "{kind}");
        assert!(Value::from_bytes(*kind, &[0xee; 33]).is_err(), "{kind}");
    }
}

#[test]
fn alerts_out_of_their_limits_are_refused() {
    refused_alert(|a| a.confidence = 101);
    refused_alert(|a| a.exceptions = vec![Exception::Art, Exception::News]);
    refused_alert(|a| a.exceptions = vec![Exception::Art, Exception::Art]);
    for text in ["", "a\tb", "a\u{1b}[2J", "e\u{301}", &"a".repeat(257)] {
        refused_alert(|a| a.authority = Some(text.to_owned()));
        let family = Family { root: Commitment([0; 32]), transform: text.to_owned() };
        refused_alert(|a| a.family = Some(family));
    }
    let (_, Statement::Assert(alert)) = golden::assert() else { panic!("an assert") };
    refused(&Statement::Variant(alert));
}

#[test]
fn other_bodies_out_of_their_limits_are_refused() {
    refused(&Statement::Sighting { bucket: 65, window_ms: 0 });
    refused(&Statement::Outcome { what: Done::Removed, bucket: 65 });
    refused(&Statement::Retract { restore: false, note: Some("a".repeat(4_001)) });
    let incident = |level: u8, regions: usize| {
        Statement::Incident(Incident {
            step: IncidentStep::Declare,
            level,
            title: "Title".into(),
            criteria: "Criteria".into(),
            regions: vec!["FR".into(); regions],
            cases: vec![],
            note: None,
        })
    };
    refused(&incident(0, 0));
    refused(&incident(4, 0));
    refused(&incident(1, 257));
    assert!(incident(3, 256).validate().is_ok());
}
