//! Pictures that move are judged by every picture that they show, and by their frames in time.

use image::codecs::gif::GifEncoder;
use image::imageops::{FilterType, crop_imm, resize};
use image::{Delay, DynamicImage, Frame, RgbImage};
use watchfire_api::client::{Client, ClientError};
use watchfire_api::wire::{MatchDepth, Method, ScanQuery, Verdict, VerdictKind};
use watchfire_node::access::Scope;
use watchfire_signal::alert::ContentKind;
use watchfire_signal::value::Kind;

use crate::edited::{jpeg, scene};
use crate::house::{alert_of, alone};

/// A GIF of pictures, in this width, each shown for so many milliseconds.
fn gif(width: u32, pictures: impl IntoIterator<Item = (RgbImage, u32)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    for (picture, ms) in pictures {
        let small = resize(&picture, width, width * 3 / 4, FilterType::Triangle);
        let small = DynamicImage::ImageRgb8(small).into_rgba8();
        let delay = Delay::from_numer_denom_ms(ms, 1);
        encoder.encode_frame(Frame::from_parts(small, 0, 0, delay)).unwrap();
    }
    drop(encoder);
    bytes
}

async fn scan(client: &Client, id: &str, bytes: Vec<u8>) -> Verdict {
    let item = Some(id.parse().unwrap());
    let depth = Some(MatchDepth::Variant);
    let query = ScanQuery { item, signals: true, depth, ..ScanQuery::default() };
    client.scan_bytes(&query, "image/gif", bytes).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_picture_behind_a_harmless_first_frame_is_refused_as_it_is_and_edited() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    client.alert_media(&alert_of(vec![]), jpeg(&scene(1)), None).await.unwrap();

    let hidden = scan(&client, "hidden", gif(240, [(scene(2), 100), (scene(1), 900)])).await;
    assert_eq!(hidden.verdict, VerdictKind::Block, "{hidden:?}");
    assert_eq!((hidden.reasons[0].signal, hidden.reasons[0].method), (Kind::Pdq, Method::Near));
    let cropped = crop_imm(&scene(1), 120, 90, 440, 330).to_image();
    let cropped = scan(&client, "cropped", gif(400, [(scene(2), 100), (cropped, 900)])).await;
    assert_eq!(cropped.verdict, VerdictKind::Review, "{cropped:?}");
    assert_eq!(cropped.reasons[0].method, Method::Features);
    let other = scan(&client, "other", gif(240, [(scene(2), 100), (scene(3), 900)])).await;
    assert_eq!(other.verdict, VerdictKind::Allow, "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_gif_is_found_by_its_frames_in_time() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let story = |width, first| {
        let scenes = std::iter::once(first).chain((11..17).map(scene));
        gif(width, scenes.map(|scene| (scene, 400)))
    };
    let original = story(320, scene(10));
    let hashed = client.hash("image/gif", original.clone()).await.unwrap();
    let content = (hashed.content.kind, hashed.content.duration_ms, hashed.content.frames);
    assert_eq!(content, (ContentKind::Image, Some(2_800), Some(7)));
    let raised = client.alert_media(&alert_of(vec![]), original, None).await.unwrap();
    let kinds: Vec<_> = raised.signals_summary.iter().map(|signal| signal.kind).collect();
    assert_eq!(kinds, [Kind::Sha256, Kind::Md5, Kind::Pdq, Kind::Vpdq, Kind::Features]);

    let copy = scan(&client, "copy", story(200, scene(2))).await;
    assert_eq!(copy.verdict, VerdictKind::Block, "{copy:?}");
    let reason = &copy.reasons[0];
    assert_eq!((reason.signal, reason.method), (Kind::Vpdq, Method::Aligned), "{copy:?}");
    // Of what it shows in between nothing is said by itself.
    let within = scan(&client, "within", jpeg(&scene(13))).await;
    assert_eq!(within.verdict, VerdictKind::Allow, "{within:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_too_much_is_a_problem_with_the_name_of_the_limit_unless_its_beginning_is_known()
{
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    // A dot, as often as is not allowed.
    let dot = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0".repeat(20_000);
    let endless = |picture| {
        let mut bytes = gif(128, [(picture, 100)]);
        bytes.pop();
        // Where the encoder gives each frame its own colours alone, a dot needs some too.
        if bytes[10] & 0x80 == 0 {
            bytes[10] |= 0x80;
            bytes.splice(13..13, [0, 0, 0, 255, 255, 255]);
        }
        [bytes, dot.clone(), vec![b';']].concat()
    };
    let item = |id: &str| ScanQuery { item: Some(id.parse().unwrap()), ..ScanQuery::default() };
    match client.scan_bytes(&item("1"), "image/gif", endless(scene(1))).await {
        Err(ClientError::Problem(problem)) => {
            assert_eq!(problem.limit.as_deref(), Some("animation_size"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
    client.alert_media(&alert_of(vec![]), jpeg(&scene(1)), None).await.unwrap();
    let known = client.scan_bytes(&item("2"), "image/gif", endless(scene(1))).await.unwrap();
    assert_eq!(known.verdict, VerdictKind::Block);
}
