//! What a log shows to anyone, and what to members only.

use bytes::Bytes;
use futures_util::StreamExt;
use watchfire_api::frame::Frame;
use watchfire_api::signature::{Identity, Outgoing, sign};
use watchfire_api::wire::RetractRequest;
use watchfire_node::access::Scope;
use watchfire_node::place::Place;
use watchfire_signal::reason::Reason;
use watchfire_tlog::tile::{decode_bundle, decode_hashes};
use watchfire_tlog::{Entry, Extension, Origin, Source, SourceError, Urgent, Verified, leaf_hash};

use crate::house::{House, Still, alert_of, alone, coalition, name, own_key, pdq, peer_client};

/// A caller who is no member.
pub(crate) struct Stranger {
    client: reqwest::Client,
    base: String,
}

impl Stranger {
    #[expect(clippy::disallowed_methods, reason = "a caller of its own, not of the workspace")]
    pub(crate) fn of(house: &House) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Stranger { client, base: house.url("") }
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    async fn bytes(&self, path: &str) -> Bytes {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.bytes().await.unwrap()
    }
}

async fn with_alerts(house: &House, count: u8) {
    let client = house.client(&[Scope::Curate]).await;
    for seed in 0..count {
        client.alert(&alert_of(vec![pdq(seed)]), None).await.unwrap();
    }
}

fn entries(bytes: &Bytes) -> Extension {
    match Frame::decode(bytes).unwrap() {
        Frame::Entries(extension) => extension,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_reads_leaves_and_only_members_read_records() {
    let house = alone().await;
    with_alerts(&house, 3).await;
    let stranger = Stranger::of(&house);
    let open = entries(&stranger.bytes("/log/a/entries?from=1&to=9").await);
    assert_eq!((open.from, open.entries.len()), (1, 2));
    assert!(open.entries.iter().all(|entry| entry.record.is_none()));

    let member = peer_client("a", 9, house.address).source(&house.name);
    let known = member.entries(1, 9).await.unwrap();
    assert!(known.iter().all(|entry| entry.record.is_some()));
    let leaves = |entries: &[Entry]| entries.iter().map(|e| e.leaf.clone()).collect::<Vec<_>>();
    assert_eq!(leaves(&known), leaves(&open.entries));
    let records = member.records(&[2, 7, 1]).await.unwrap();
    assert_eq!(records, [known[1].record.clone(), None, known[0].record.clone()]);
    assert_eq!(stranger.get("/log/a/records?index=1").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_and_checkpoint_are_those_of_the_log() {
    let house = alone().await;
    let stranger = Stranger::of(&house);
    assert_eq!(stranger.get("/log/a/checkpoint").await.status(), 404, "an empty log");
    with_alerts(&house, 3).await;
    let member = peer_client("a", 9, house.address).source(&house.name);
    let leaves = decode_bundle(stranger.bytes("/log/a/tile/entries/000.p/3").await, 3).unwrap();
    let hashes = decode_hashes(&stranger.bytes("/log/a/tile/0/000.p/3").await, 3).unwrap();
    assert_eq!(leaves.iter().map(|leaf| leaf_hash(leaf)).collect::<Vec<_>>(), hashes);
    assert_eq!(member.hashes(0, 1, 3).await.unwrap(), hashes[1..]);
    let checkpoint = member.checkpoint().await.unwrap().unwrap();
    assert_eq!(stranger.bytes("/log/a/checkpoint").await, checkpoint.text);
    assert!(checkpoint.text.starts_with("watchfire/test/a/1\n3\n"));
    for path in ["tile/0/000.p/4", "tile/0/000", "tile/1/000.p/1", "tile/0/0", "tile/entries/../x"]
    {
        assert_eq!(stranger.get(&format!("/log/a/{path}")).await.status(), 404, "{path}");
    }
    assert_eq!(stranger.get("/log/nobody/checkpoint").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_is_pushed_as_it_grows() {
    let house = alone().await;
    with_alerts(&house, 1).await;
    let member = peer_client("a", 9, house.address).source(&house.name);
    let mut stream = member.follow(0).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!((first.from, first.entries.len()), (0, 1));
    with_alerts(&house, 1).await;
    let second = stream.next().await.unwrap().unwrap();
    assert_eq!((second.from, second.entries.len()), (1, 1));
    assert!(second.entries[0].record.is_some());
    house.running.stop().await;
    assert!(stream.next().await.is_none_or(|end| end.is_err()), "the stream ends with the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_refused_and_not_treated_as_none() {
    let house = alone().await;
    with_alerts(&house, 1).await;
    let source = |member: &str, key: &str| {
        let key = std::sync::Arc::new(own_key(key));
        let identity = Identity { member: name(member), key, fresh: Still::new(3) };
        let to = house.url("");
        watchfire_api::peer::PeerClient::new(crate::house::to_loopback(), &to, identity).unwrap()
    };
    for (member, key) in [("a", "b"), ("stranger", "a")] {
        let refused = source(member, key).source(&house.name).checkpoint().await;
        assert!(matches!(refused, Err(SourceError::Refused(_))), "{member} {key}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_answered_once() {
    let house = alone().await;
    with_alerts(&house, 1).await;
    let key = std::sync::Arc::new(own_key("a"));
    let identity = Identity { member: name("a"), key, fresh: Still::new(3) };
    let target_uri = &house.url("/log/a/entries?from=0&to=1");
    let signed = sign(&Outgoing { method: "GET", target_uri, body: None }, &identity);
    let stranger = Stranger::of(&house);
    let send = |path: &str| {
        let request = stranger.client.get(house.url(path));
        let request = request.header("signature-input", &signed.signature_input);
        request.header("signature", &signed.signature).send()
    };
    assert_eq!(send("/log/a/entries?from=0&to=2").await.unwrap().status(), 401, "another address");
    let first = send("/log/a/entries?from=0&to=1").await.unwrap();
    assert!(entries(&first.bytes().await.unwrap()).entries[0].record.is_some());
    let replayed = send("/log/a/entries?from=0&to=1").await.unwrap();
    assert_eq!(replayed.status(), 401);
    assert!(replayed.text().await.unwrap().contains("come before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_brings_the_log_of_another() {
    let houses = coalition(&[("a", true), ("b", true)]).await;
    with_alerts(&houses[0], 1).await;
    let taken = peer_client("a", 9, houses[0].address).source(&houses[0].name);
    let entries = taken.entries(0, 1).await.unwrap();
    let checkpoint = taken.checkpoint().await.unwrap().unwrap();
    let more = Extension { from: 0, entries, checkpoint };
    // As b, to a: the path is b's own, and the checkpoint is not of b's log.
    let refused = peer_client("b", 10, houses[0].address).push(&more).await;
    assert!(matches!(refused, Err(SourceError::Refused(_))), "{refused:?}");
    let path = houses[0].url("/log/a/frames");
    let key = std::sync::Arc::new(own_key("b"));
    let identity = Identity { member: name("b"), key, fresh: Still::new(11) };
    let body = Frame::Entries(more).encode().unwrap();
    let signed =
        sign(&Outgoing { method: "POST", target_uri: &path, body: Some(&body) }, &identity);
    let stranger = Stranger::of(&houses[0]);
    let request = stranger.client.post(&path).body(body);
    let request = request
        .header("signature-input", signed.signature_input)
        .header("signature", signed.signature)
        .header("content-digest", signed.content_digest.unwrap());
    assert_eq!(request.send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_in_a_log_is_handed_out_with_its_proofs() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    for seed in 1..=3 {
        let raised = client.alert(&alert_of(vec![pdq(seed)]), None).await.unwrap();
        if seed != 2 {
            let retract = RetractRequest { reason: Reason::WrongMatch, restore: true, note: None };
            client.retract(&raised.id, &retract, None).await.unwrap();
        }
    }
    let log = peer_client("a", 9, house.address).source(&house.name);
    let indices = |urgent: Vec<Urgent>| urgent.into_iter().map(|one| one.index).collect::<Vec<_>>();
    assert_eq!(indices(log.urgent(0, 0).await.unwrap()), [1, 4]);
    assert_eq!(indices(log.urgent(2, 0).await.unwrap()), [4]);
    assert_eq!(indices(log.urgent(0, 2).await.unwrap()), [4]);
    assert!(log.urgent(5, 0).await.unwrap().is_empty());
    assert!(log.urgent(6, 0).await.unwrap().is_empty(), "more than there is");
    let origin = Origin::new(house.node.log().to_string()).unwrap();
    let nothing = Verified::new(origin, house.node.key_of(&house.name).unwrap());
    for urgent in log.urgent(0, 0).await.unwrap() {
        assert_eq!(nothing.check_urgent(&urgent), Ok(()));
        assert!(urgent.entry.record.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_ask_what_is_lacking_and_bring_it_and_nobody_else_does() {
    let house = alone().await;
    with_alerts(&house, 2).await;
    let member = peer_client("a", 9, house.address);
    assert!(member.lacking().await.unwrap().lacking.is_empty());
    let records = member.source(&house.name).records(&[0, 1]).await.unwrap();
    let [first, second] = [records[0].clone().unwrap(), records[1].clone().unwrap()];
    let log = house.node.log();
    assert!(!member.bring(log, 0, &first).await.unwrap(), "it is here");

    house.store.erase(&Origin::new(log.to_string()).unwrap(), 0).await.unwrap();
    house.node.filler().holes.add(&Place { log: log.clone(), index: 0 });
    assert_eq!(member.lacking().await.unwrap().lacking[log], [0]);
    assert!(!member.bring(log, 0, &second).await.unwrap(), "it is another's");
    assert!(member.bring(log, 0, &first).await.unwrap());
    assert!(member.lacking().await.unwrap().lacking.is_empty());
    let again = member.source(&house.name).records(&[0]).await.unwrap();
    assert_eq!(again, [Some(first)]);
    assert_eq!(Stranger::of(&house).get("/log/lacking").await.status(), 401);
}
