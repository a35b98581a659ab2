//! Files come in, and their signals are what is compared.

use std::io::Cursor;

use futures_util::StreamExt;
use image::{ImageFormat, Rgb, RgbImage};
use watchfire_api::client::ClientError;
use watchfire_api::problem::ProblemKind;
use watchfire_api::wire::{
    AlertRequest, LiveQuery, LookupQuery, Method, ScanQuery, SignalJson, State, VerdictKind,
};
use watchfire_media::hash::digests;
use watchfire_node::access::Scope;
use watchfire_signal::alert::Exception;
use watchfire_signal::value::{Kind, Signal};

use crate::edited::{jpeg, scene};
use crate::house::{alert_of, alone};

/// A picture with enough in it to have a good hash; another one for another seed, but of the same pattern: local
/// features see that.
fn picture(seed: u32, width: u32, format: ImageFormat) -> Vec<u8> {
    let height = width * 3 / 4;
    let pixel = |x: u32, y: u32| {
        let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let wave = |n: f64| {
            let turn = f64::from(seed) * 1.7 + n;
            ((x * (7.0 + n * turn) + turn).sin() * (y * (5.0 + turn * 1.3) + n).cos() * 120.0
                + 128.0) as u8
        };
        Rgb([wave(1.0), wave(2.0), wave(3.0)])
    };
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, pixel).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn item(id: &str) -> ScanQuery {
    ScanQuery { item: Some(id.parse().unwrap()), signals: true, ..ScanQuery::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_picture_is_refused_in_another_size_and_format() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let original = picture(1, 512, ImageFormat::Png);
    let before = client.scan_bytes(&item("1"), "image/png", original.clone()).await.unwrap();
    assert_eq!(before.verdict, VerdictKind::Allow);

    let raised = client.alert_media(&alert_of(vec![]), original.clone(), None).await.unwrap();
    assert_eq!(raised.state, State::Confirmed, "a coalition of one asks nobody else");
    let kinds: Vec<_> = raised.signals_summary.iter().map(|signal| signal.kind).collect();
    assert_eq!(kinds, [Kind::Sha256, Kind::Md5, Kind::Pdq, Kind::Features]);

    let again = client.scan_bytes(&item("2"), "image/png", original).await.unwrap();
    assert_eq!((again.verdict, again.reasons[0].method), (VerdictKind::Block, Method::Exact));
    let copy = picture(1, 320, ImageFormat::Jpeg);
    let copy = client.scan_bytes(&item("3"), "image/jpeg", copy).await.unwrap();
    assert_eq!((copy.verdict, copy.reasons[0].method), (VerdictKind::Block, Method::Near));
    assert!(copy.reasons[0].distance <= 31);
    let other = client.scan_bytes(&item("4"), "image/jpeg", jpeg(&scene(2))).await;
    assert_eq!(other.unwrap().verdict, VerdictKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_turned_mirrored_or_inverted_is_refused_and_another_one_is_not() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let original = picture(6, 400, ImageFormat::Png);
    client.alert_media(&alert_of(vec![]), original.clone(), None).await.unwrap();
    let decoded = image::load_from_memory(&original).unwrap();
    let inverted = |mut picture: image::DynamicImage| {
        picture.invert();
        picture
    };
    let edits = [
        ("mirrored", decoded.fliph()),
        ("upside down", decoded.rotate180()),
        ("quarter", decoded.rotate90()),
        ("three quarters", decoded.rotate270()),
        ("inverted", inverted(decoded.clone())),
        ("inverted and mirrored", inverted(decoded.fliph())),
    ];
    for (place, (what, edit)) in edits.into_iter().enumerate() {
        let mut bytes = Cursor::new(Vec::new());
        edit.to_rgb8().write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let id = format!("edit-{place}");
        let scanned =
            client.scan_bytes(&item(&id), "image/jpeg", bytes.into_inner()).await.unwrap();
        assert_eq!(scanned.verdict, VerdictKind::Block, "{what}: {scanned:?}");
        assert_eq!(scanned.reasons[0].method, Method::Turned, "{what}");
    }
    let other = jpeg(&scene(7));
    let other = client.scan_bytes(&item("other"), "image/jpeg", other).await.unwrap();
    assert_eq!(other.verdict, VerdictKind::Allow, "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_says_of_a_file_is_heeded() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let bytes = picture(5, 256, ImageFormat::Png);
    let alert = AlertRequest { exceptions: vec![Exception::News], ..alert_of(vec![]) };
    client.alert_media(&alert, bytes.clone(), None).await.unwrap();
    let scan = async |id: &str, facts: Option<&str>| {
        let query = ScanQuery { facts: facts.map(str::to_owned), ..item(id) };
        client.scan_bytes(&query, "image/png", bytes.clone()).await
    };
    let news = scan("1", Some(r#"{"context": "news"}"#)).await.unwrap();
    assert_eq!(news.verdict, VerdictKind::Review);
    assert_eq!(scan("2", None).await.unwrap().verdict, VerdictKind::Block);
    for odd in ["news", "[]", r#"{"context": {}}"#] {
        let refused = scan("3", Some(odd)).await.unwrap_err();
        assert!(refused.to_string().contains("fact"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_of_a_picture_can_be_looked_up() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let bytes = picture(3, 256, ImageFormat::Png);
    let hashed = client.hash("image/png", bytes.clone()).await.unwrap();
    assert_eq!((hashed.content.width, hashed.content.height), (Some(256), Some(192)));
    let scanned = client.scan_bytes(&item("1"), "image/png", bytes).await.unwrap();
    assert_eq!(scanned.signals.unwrap(), hashed.signals);
    let pdq = hashed.signals.iter().find(|signal| signal.kind == Kind::Pdq).unwrap();
    let query = LookupQuery { kind: Kind::Pdq, value: pdq.value.clone() };
    assert_eq!(client.lookup(&query).await.unwrap().matches, []);
    let raised = client.alert(&alert_of(hashed.signals.clone()), None).await.unwrap();
    let found = client.lookup(&query).await.unwrap().matches;
    assert_eq!((found[0].case, found[0].distance), (raised.id, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_media_is_a_clear_problem() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let cut = picture(1, 512, ImageFormat::Png)[..900].to_vec();
    for bytes in [Vec::new(), b"hello".to_vec(), cut] {
        for answer in [
            client.hash("image/png", bytes.clone()).await.map(drop),
            client.scan_bytes(&item("1"), "image/png", bytes.clone()).await.map(drop),
            client.alert_media(&alert_of(vec![]), bytes.clone(), None).await.map(drop),
        ] {
            match answer {
                Err(ClientError::Problem(problem)) => {
                    assert!(problem.is(ProblemKind::UndecodableMedia), "{problem}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_signals_beside_a_file_is_refused() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let alert = alert_of(vec![crate::house::pdq(1)]);
    let refused = client.alert_media(&alert, picture(1, 128, ImageFormat::Png), None).await;
    assert!(refused.unwrap_err().to_string().contains("made here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_no_video_ends_with_a_problem_and_leaves_its_place() {
    let house = alone().await;
    let client = house.client(&[Scope::Scan]).await;
    let query = LiveQuery {
        item: "stream".parse().unwrap(),
        facts: None,
        segment_s: None,
        every_s: Some(601),
    };
    let words = || futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"no video at all"))]);
    match client.scan_live(&query, words()).await.map(drop) {
        Err(ClientError::Problem(problem)) => {
            assert_eq!(problem.limit.as_deref(), Some("segment_seconds"));
        }
        other => panic!("{other:?}"),
    }
    let query = LiveQuery { every_s: None, ..query };
    // More than there are places, one after the other.
    for _ in 0..20 {
        let verdicts = loop {
            match client.scan_live(&query, words()).await {
                Ok(verdicts) => break verdicts,
                // The thread of the one before gives its place back a moment after the answer.
                Err(ClientError::Problem(problem)) if problem.is(ProblemKind::TooMany) => {}
                Err(error) => panic!("{error}"),
            }
        };
        match &verdicts.collect::<Vec<_>>().await[..] {
            [Err(ClientError::Problem(problem))] => {
                assert!(problem.is(ProblemKind::UndecodableMedia), "{problem:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(house.node.sizes().1, 0, "nothing was seen of it");
}

/// Each stream that goes on has a place, and there is a limit of them.
#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_there_are_places_are_refused_by_name() {
    let house = alone().await;
    let client = house.client(&[Scope::Scan]).await;
    let query =
        LiveQuery { item: "stream".parse().unwrap(), facts: None, segment_s: None, every_s: None };
    let mut running = Vec::new();
    let refused = loop {
        let silent = futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
        match client.scan_live(&query, silent).await {
            Ok(verdicts) => running.push(verdicts),
            Err(ClientError::Problem(problem)) => break problem,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((refused.limit.as_deref(), running.len()), (Some("live_streams"), 16));
    drop(running);
    // Whoever hangs up leaves its place.
    let silent = || futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
    while client.scan_live(&query, silent()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// What cannot be decoded, or is no media at all, may be known by its bytes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn known_bytes_are_refused_whatever_they_are() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let cut = picture(1, 512, ImageFormat::Png)[..900].to_vec();
    let document = b"%PDF-1.7 and so on".to_vec();
    for (number, bytes) in [cut, document].into_iter().enumerate() {
        let item = item(&number.to_string());
        let refused = client.scan_bytes(&item, "application/octet-stream", bytes.clone()).await;
        assert!(matches!(refused, Err(ClientError::Problem(_))), "nobody knows it");
        let known = SignalJson::from(&Signal::new(digests(&bytes).1));
        client.alert(&alert_of(vec![known]), None).await.unwrap();
        let judged = client.scan_bytes(&item, "application/octet-stream", bytes).await.unwrap();
        assert_eq!(judged.verdict, VerdictKind::Block);
    }
}
