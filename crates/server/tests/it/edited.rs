//! Edited copies of a reported picture are found from the alert alone, and what only shares something with it is not.

use std::{io::Cursor, sync::Arc};

use image::imageops::{crop_imm, overlay, resize};
use image::{ImageFormat, Rgb, RgbImage};
use watchfire_api::client::Client;
use watchfire_api::wire::SignalJson;
use watchfire_api::wire::{AlertRequest, MatchDepth, Method, ScanQuery, Verdict, VerdictKind};
use watchfire_node::access::Scope;
use watchfire_signal::alert::Alert;
use watchfire_signal::header::{CharterRef, Header};
use watchfire_signal::record::{Leaf, open, seal};
use watchfire_signal::statement::Statement;
use watchfire_signal::value::Kind;
use watchfire_tlog::{Checkpoint, Entry, Extension, Frontier, Origin, SignedCheckpoint};

use crate::actions::Stubborn;
use crate::house::{
    House, alert_of, alone, alone_where, alone_with, name, own_key, pdq, second_where,
};

/// A picture of many things of all sizes, as a photograph has them; other ones for another seed.
pub(crate) fn scene(seed: u32) -> RgbImage {
    let mut state = u64::from(seed) * 7_919 + 13;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 33) as u32 % below
    };
    let mut picture = RgbImage::from_pixel(640, 480, Rgb([90, 110, 130]));
    for thing in 0..220 {
        let size = 12 + random(if thing < 40 { 160 } else { 50 });
        let (left, top) = (i64::from(random(640)) - 30, i64::from(random(480)) - 30);
        let colour = Rgb([random(256) as u8, random(256) as u8, random(256) as u8]);
        let thing = RgbImage::from_pixel(size, 8 + size * (1 + random(3)) / 3, colour);
        overlay(&mut picture, &thing, left, top);
    }
    picture
}

fn on(width: u32, height: u32, colour: [u8; 3], inner: &RgbImage, at: (i64, i64)) -> RgbImage {
    let mut canvas = RgbImage::from_pixel(width, height, Rgb(colour));
    overlay(&mut canvas, inner, at.0, at.1);
    canvas
}

pub(crate) fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

async fn scan(client: &Client, id: &str, picture: &RgbImage, depth: MatchDepth) -> Verdict {
    let item = Some(id.parse().unwrap());
    let query = ScanQuery { item, signals: true, depth: Some(depth), ..ScanQuery::default() };
    client.scan_bytes(&query, "image/jpeg", jpeg(picture)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_copies_of_a_reported_picture_lead_to_a_person_and_say_where_it_is() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let original = scene(1);
    let alert = AlertRequest { severity: 2, ..alert_of(vec![]) };
    let raised = client.alert_media(&alert, jpeg(&original), None).await.unwrap();
    assert!(raised.signals_summary.iter().any(|signal| signal.kind == Kind::Features));

    let cropped = crop_imm(&original, 120, 90, 440, 330).to_image();
    let found = scan(&client, "cropped", &cropped, MatchDepth::Variant).await;
    assert_eq!(found.verdict, VerdictKind::Review, "details alone need a person: {found:?}");
    let reason = &found.reasons[0];
    assert_eq!((reason.method, reason.signal), (Method::Features, Kind::Features));
    let edit = reason.edit.as_ref().unwrap();
    assert!(reason.sure && edit.inliers.unwrap() >= 8 && reason.score >= 50, "{reason:?}");
    let near = |a: f32, b: f32| (a - b).abs() < 0.02;
    let [left, top] = edit.reference_region[0];
    assert!(near(left, 120.0 / 640.0) && near(top, 90.0 / 480.0), "{edit:?}");
    let [[to_x, ..], [_, to_y, _]] = edit.transform.unwrap();
    assert!(near(to_x, 440.0 / 640.0) && near(to_y, 330.0 / 480.0), "{edit:?}");
    assert!(found.signals.unwrap().iter().all(|signal| signal.kind != Kind::Features));

    let small = resize(&original, 400, 300, image::imageops::FilterType::Triangle);
    let post = on(480, 854, [18, 18, 18], &small, (40, 260));
    let found = scan(&client, "framed", &post, MatchDepth::Variant).await;
    let reason = &found.reasons[0];
    assert_eq!(reason.method, Method::Part, "{reason:?}");
    assert_eq!(reason.also, [Method::Features], "{reason:?}");
    let [[left, top], ..] = reason.edit.as_ref().unwrap().region;
    assert!(near(left, 40.0 / 480.0) && near(top, 260.0 / 854.0), "{reason:?}");
    assert_eq!(found.verdict, VerdictKind::Block, "two ways agree");

    // Where the place of upload does not ask for variants, none is looked for.
    let near = scan(&client, "near", &cropped, MatchDepth::Near).await;
    assert_eq!(near.verdict, VerdictKind::Allow);
    let exact = scan(&client, "exact", &cropped, MatchDepth::Exact).await;
    assert_eq!(exact.signals.unwrap().len(), 2, "the file was not decoded");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_confirmed_case_of_severity_4_an_edited_copy_is_refused() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let alert = AlertRequest { severity: 4, ..alert_of(vec![]) };
    client.alert_media(&alert, jpeg(&scene(2)), None).await.unwrap();
    let cropped = crop_imm(&scene(2), 0, 60, 500, 400).to_image();
    let found = scan(&client, "cropped", &cropped, MatchDepth::Variant).await;
    assert_eq!(found.verdict, VerdictKind::Block, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_share_a_sticker_with_a_reported_one_are_let_through() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let sticker = resize(&scene(9), 200, 150, image::imageops::FilterType::Triangle);
    let with_sticker = |mut picture: RgbImage| {
        overlay(&mut picture, &sticker, 420, 310);
        picture
    };
    let alert = AlertRequest { severity: 4, ..alert_of(vec![]) };
    client.alert_media(&alert, jpeg(&with_sticker(scene(3))), None).await.unwrap();
    for seed in 4..8 {
        let other = with_sticker(scene(seed));
        let found = scan(&client, &seed.to_string(), &other, MatchDepth::Variant).await;
        assert_ne!(found.verdict, VerdictKind::Block, "{found:?}");
    }
    let plain = scan(&client, "plain", &scene(8), MatchDepth::Variant).await;
    assert_eq!((plain.verdict, plain.reasons.len()), (VerdictKind::Allow, 0));
}

/// Of a copy that was framed before anybody knew, the hash of what lies in the frame is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_framed_before_the_alert_came_waits_for_a_person_then() {
    let house = alone_with(Arc::new(Stubborn::default())).await;
    let client = house.client(&[Scope::Admin]).await;
    let small = resize(&scene(1), 400, 300, image::imageops::FilterType::Triangle);
    let framed = on(480, 854, [18, 18, 18], &small, (40, 260));
    let found = scan(&client, "framed", &framed, MatchDepth::Variant).await;
    assert_eq!(found.verdict, VerdictKind::Allow, "nobody knows it");
    let other = resize(&scene(2), 400, 300, image::imageops::FilterType::Triangle);
    let other = on(480, 854, [18, 18, 18], &other, (40, 260));
    scan(&client, "other", &other, MatchDepth::Variant).await;

    let alert = AlertRequest { severity: 2, ..alert_of(vec![]) };
    client.alert_media(&alert, jpeg(&scene(1)), None).await.unwrap();
    let ticket = loop {
        let page = client.review_list(&Default::default()).await.unwrap();
        match &page.tickets[..] {
            [] => tokio::task::yield_now().await,
            [ticket] => break ticket.clone(),
            more => panic!("{more:?}"),
        }
    };
    assert_eq!(ticket.items, ["framed".parse().unwrap()]);
    let explained = client.explain("framed".parse().unwrap()).await.unwrap();
    let [found] = &explained.matches[..] else { panic!("{explained:?}") };
    assert_eq!(found["facts"]["match"], "variant", "{explained:?}");
    assert!(client.explain("other".parse().unwrap()).await.unwrap().matches.is_empty());
}

/// The first alert in a member's log, as it stands there.
async fn first_alert(house: &House) -> (Header, Alert) {
    let origin = Origin::new(house.node.log().to_string()).unwrap();
    let entry = house.store.held(&origin, 0, 1).await.unwrap().remove(0).entry;
    let leaf = Leaf::decode(&entry.leaf).unwrap();
    match open(&leaf, &entry.record.unwrap()).unwrap() {
        Statement::Assert(alert) => (leaf.header, alert),
        other => panic!("{other:?}"),
    }
}

fn has_features(alert: &Alert) -> bool {
    alert.signals.iter().any(|signal| signal.kind() == Kind::Features)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_features_travel_an_alert_is_raised_without_them_and_says_so() {
    let house = alone_where(|charter| charter.without_features = true).await;
    let client = house.client(&[Scope::Admin]).await;
    let original = scene(3);
    let alert = AlertRequest { severity: 2, ..alert_of(vec![]) };
    let found = client.alert_media_preflight(&alert, jpeg(&original)).await.unwrap();
    assert_eq!(found.left_out, 1);
    let raised = client.alert_media(&alert, jpeg(&original), None).await.unwrap();
    assert!(raised.warnings.iter().any(|said| said.contains("local features")), "{raised:?}");
    for summary in [found.signals_summary, raised.signals_summary] {
        assert!(summary.iter().all(|signal| signal.kind != Kind::Features), "{summary:?}");
    }
    let (_, told) = first_alert(&house).await;
    assert!(!has_features(&told) && told.signals.len() >= 3);

    // By signals, too; and what has nothing else is refused.
    let reference = alone().await;
    let there = reference.client(&[Scope::Admin]).await;
    there.alert_media(&alert, jpeg(&original), None).await.unwrap();
    let (_, with) = first_alert(&reference).await;
    let features = with.signals.iter().find(|signal| signal.kind() == Kind::Features).unwrap();
    let features = SignalJson::from(features);
    let mixed = AlertRequest { severity: 2, ..alert_of(vec![pdq(9), features.clone()]) };
    let raised = client.alert(&mixed, None).await.unwrap();
    assert_eq!((raised.signals_summary.len(), raised.warnings.len()), (1, 1), "{raised:?}");
    let only = AlertRequest { severity: 2, ..alert_of(vec![features]) };
    let refused = client.alert(&only, None).await.unwrap_err();
    assert!(refused.to_string().contains("no other signal"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_features_travel_a_record_that_has_them_is_found_by_its_hashes_alone() {
    let author = alone().await;
    let client = author.client(&[Scope::Admin]).await;
    let original = scene(4);
    let alert = AlertRequest { severity: 2, ..alert_of(vec![]) };
    client.alert_media(&alert, jpeg(&original), None).await.unwrap();
    let (header, told) = first_alert(&author).await;
    assert!(has_features(&told));
    let cropped = crop_imm(&original, 120, 90, 440, 330).to_image();
    for without in [false, true] {
        let house = second_where(|charter| charter.without_features = without).await;
        let charter = house.node.charter();
        let named = CharterRef { seq: charter.seq, hash: charter.hash() };
        let header = Header { charter: named, ..header.clone() };
        let sealed = seal(&header, &Statement::Assert(told.clone()), [5; 16]).unwrap();
        let entry = Entry::new(sealed.leaf, Some(sealed.record.into()));
        let mut frontier = Frontier::new();
        frontier.append(entry.leaf_hash());
        let origin = Origin::new(header.author_log.to_string()).unwrap();
        let says = Checkpoint { origin, size: 1, root: frontier.root() };
        let checkpoint = SignedCheckpoint::sign(&says, &own_key("a"));
        let more = Extension { from: 0, entries: vec![entry], checkpoint };
        assert_eq!(house.node.accept(&name("a"), more).await.unwrap(), Some(1));
        while house.node.alert(&sealed.commitment).is_none() {
            tokio::task::yield_now().await;
        }
        let client = house.client(&[Scope::Admin]).await;
        let whole = scan(&client, "whole", &original, MatchDepth::Variant).await;
        assert_ne!(whole.verdict, VerdictKind::Allow, "{whole:?}");
        let part = scan(&client, "part", &cropped, MatchDepth::Variant).await;
        let found = if without { VerdictKind::Allow } else { VerdictKind::Review };
        assert_eq!(part.verdict, found, "{part:?}");
    }
}
