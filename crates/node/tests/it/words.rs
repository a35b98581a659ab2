//! Alerts about texts and links find what is held and what is uploaded, and nothing else.

use watchfire_node::{policy::Verdict, raise::NewAlert};
use watchfire_signal::{
    alert::ContentKind,
    link::{LinkPrint, LinkScope},
    name::ItemId,
    text_print::TextPrint,
    value::{Kind, MatchRule, Signal},
};

use crate::{
    coalition::{Stage, alert},
    story::{coalition, until_hidden},
};

const THREAT: &str =
    "We will hunt down every last one of these people and burn their houses at night.";
const TYPED: &str = "ok then: We wil hnut d0wn evry last oneof thesse people and burn thier houses \
                     at n1ght, spread the word to all";
const OTHER: &str = "We will hang up the laundry and walk down to the houses at the lake at night, \
                     if the weather stays.";

fn item(text: &str) -> ItemId {
    text.parse().unwrap()
}

pub(crate) fn text(text: &str) -> Vec<Signal> {
    TextPrint::of(text).unwrap().into_iter().map(Signal::new).collect()
}

fn met(link: &str) -> Vec<Signal> {
    vec![Signal::new(LinkPrint::met(link).unwrap())]
}

async fn report(stage: &Stage, kind: ContentKind, signals: Vec<Signal>) {
    let mut new: NewAlert = alert(signals);
    new.alert.kind = kind;
    stage.node.raise(new, None).await.unwrap();
}

async fn until(stage: &Stage, signals: &[Signal], verdict: Verdict) {
    while stage.node.judge(signals).verdict != verdict {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_text_is_found_held_and_uploaded_with_typos_inside_another() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    twitch.node.scan(item("twitch:typed"), text(TYPED)).await;
    twitch.node.scan(item("twitch:other"), text(OTHER)).await;
    report(&stages["tiktok"], ContentKind::Text, text(THREAT)).await;
    until_hidden(twitch, "twitch:typed", true).await;
    assert!(!twitch.platform.is_hidden("twitch:other"));
    let scanned = twitch.node.judge(&text(TYPED));
    assert_eq!(scanned.verdict, Verdict::Block);
    let facts = &scanned.reasons[0].facts;
    assert_eq!(facts.signal, Some(Kind::Text));
    assert!((1..=16).contains(&facts.distance.unwrap()), "{:?}", facts.distance);
    assert_eq!(twitch.node.judge(&text(OTHER)).verdict, Verdict::Allow);
    // The alert's text is not found because it holds a part of an upload.
    assert_eq!(twitch.node.judge(&text("burn their houses at night")).verdict, Verdict::Allow);
}

#[tokio::test]
async fn a_short_text_is_found_as_a_whole() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    twitch.node.scan(item("twitch:same"), text("k1ll them  ALL... now")).await;
    twitch.node.scan(item("twitch:longer"), text("kill them all, now and then")).await;
    report(&stages["tiktok"], ContentKind::Text, text("Kill them all, now!")).await;
    until_hidden(twitch, "twitch:same", true).await;
    assert!(!twitch.platform.is_hidden("twitch:longer"));
}

#[tokio::test]
async fn a_host_is_found_above_links_that_are_held_and_uploaded() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    twitch.node.scan(item("twitch:below"), met("http://a.evil.example/x?y=z")).await;
    twitch.node.scan(item("twitch:beside"), met("http://notevil.example/x")).await;
    let host = LinkPrint::named("https://evil.example", LinkScope::Host).unwrap();
    report(&stages["tiktok"], ContentKind::Url, vec![Signal::new(host)]).await;
    until_hidden(twitch, "twitch:below", true).await;
    assert!(!twitch.platform.is_hidden("twitch:beside"));
    assert_eq!(twitch.node.judge(&met("evil.example")).verdict, Verdict::Block);
    // An alert about one page does not speak for the site that it was met on.
    report(&stages["tiktok"], ContentKind::Url, met("https://good.example/one")).await;
    until(twitch, &met("https://good.example/one#top"), Verdict::Block).await;
    assert_eq!(twitch.node.judge(&met("https://good.example/two")).verdict, Verdict::Allow);
}

#[tokio::test]
async fn an_alert_can_ask_for_less_than_the_greatest_distance_and_not_for_more() {
    let stages = coalition().await;
    let twitch = &stages["twitch"];
    let with = |max_distance| {
        let rule = Some(MatchRule { max_distance, min_matched_ms: 0, max_gap_ms: 0 });
        text(THREAT).into_iter().map(move |signal| Signal { rule, ..signal }).collect()
    };
    report(&stages["tiktok"], ContentKind::Text, with(1)).await;
    until(twitch, &text(THREAT), Verdict::Block).await;
    assert_eq!(twitch.node.judge(&text(TYPED)).verdict, Verdict::Allow);
    report(&stages["tiktok"], ContentKind::Text, with(1_000)).await;
    until(twitch, &text(TYPED), Verdict::Block).await;
    assert_eq!(twitch.node.judge(&text(OTHER)).verdict, Verdict::Allow);
}
