//! Every limit answers with its name.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchfire_api::signature::{Identity, Outgoing, sign};
use watchfire_node::access::Scope;
use watchfire_server::limits::{
    EVENT_STREAMS, FRAME_BYTES, IDEMPOTENCY_KEY_BYTES, LOGIN_BYTES, MEMBER_STREAMS, Patience,
    RECEIPT_BYTES, RECORD_INDICES, STREAMS_OF_AN_ADDRESS,
};

use crate::house::{
    House, Still, UPLOAD_BYTES, alert_of, alone, hashing, impatient, name, own_key, pdq, scan_of,
};

/// How often something is looked for that is there after milliseconds on an idle machine.
const LOOKS: usize = 20_000;

/// Member `a`, who signs whatever it likes; many streams fit into its one connection.
struct Signing {
    client: reqwest::Client,
    base: String,
    identity: Identity,
}

impl Signing {
    fn of(house: &House) -> Self {
        let identity =
            Identity { member: name("a"), key: Arc::new(own_key("a")), fresh: Still::new(77) };
        Signing { client: multiplexed(1 << 16), base: house.url(""), identity }
    }

    fn request(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> reqwest::RequestBuilder {
        let target_uri = &format!("{}{path}", self.base);
        let signed = sign(&Outgoing { method, target_uri, body: body.as_deref() }, &self.identity);
        let request = self.client.request(method.parse().unwrap(), target_uri);
        let request = request
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature);
        match (body, signed.content_digest) {
            (Some(body), Some(digest)) => request.header("content-digest", digest).body(body),
            _ => request,
        }
    }
}

/// A client whose streams share one connection, each with so many bytes on its way.
#[expect(clippy::disallowed_methods, reason = "a caller of its own, not of the workspace")]
fn multiplexed(window: u32) -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge();
    client.http2_initial_stream_window_size(window).build().unwrap()
}

/// The limit that a problem names, with its status.
async fn limit(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap_or_default();
    (status, problem["limit"].as_str().unwrap_or_default().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a caller of its own, not of the workspace")]
async fn post(house: &House, path: &str, media_type: &str, body: Vec<u8>) -> Value {
    let key = house.key(&[Scope::Admin]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(house.url(path)).bearer_auth(key).header("content-type", media_type);
    request.body(body).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_over_its_limit_is_refused_by_name() {
    let house = alone().await;
    for path in ["/v1/scan?item=1", "/v1/hash"] {
        let problem = post(&house, path, "video/mp4", vec![0; UPLOAD_BYTES + 1]).await;
        assert_eq!((&problem["status"], &problem["limit"]), (&413.into(), &"upload_bytes".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_over_its_limit_is_refused_by_name() {
    let house = alone().await;
    let problem = post(&house, "/v1/scan", "application/json", vec![b' '; (8 << 20) + 1]).await;
    assert_eq!((&problem["status"], &problem["limit"]), (&413.into(), &"json_bytes".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_over_their_limits_are_refused_by_name() {
    let house = alone().await;
    let scan = serde_json::to_vec(&scan_of("1", vec![pdq(1); 65])).unwrap();
    let problem = post(&house, "/v1/scan", "application/json", scan).await;
    assert_eq!((&problem["status"], &problem["limit"]), (&422.into(), &"scan_signals".into()));
    let client = house.client(&[Scope::Admin]).await;
    let query = watchfire_api::wire::AlertPageQuery { after: None, limit: Some(1_001) };
    let error = client.alerts(&query).await.unwrap_err();
    assert!(error.to_string().contains("page"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_take_all_streams() {
    let house = alone().await;
    let source = crate::logs::Stranger::of(&house);
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(source.get("/log/a/follow?from=0").await);
    }
    let refused = source.get("/log/a/follow?from=0").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.json::<Value>().await.unwrap()["limit"], "streams_of_an_address");
    // A member still gets one.
    let member = crate::house::peer_client("a", 9, house.address).source(&house.name);
    assert!(member.frames(0).await.is_ok());
}

/// A request that names member `a` and is signed by somebody else.
fn forged(house: &House, seed: u64) -> Signing {
    let (key, fresh) = (Arc::new(own_key("somebody")), Still::new(seed));
    Signing { identity: Identity { member: name("a"), key, fresh }, ..Signing::of(house) }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_wrongly_is_slowed_down_and_the_member_behind_the_same_address_is_not() {
    let house = alone().await;
    let (forged, member) = (forged(&house, 78), Signing::of(&house));
    let mut refused = 0;
    let told = loop {
        let told = limit(forged.request("GET", "/log/a/checkpoint", None)).await;
        if told.0 != 401 || refused > 1_000 {
            break told;
        }
        refused += 1;
    };
    assert_eq!((told, refused), ((429, "refused_requests_a_second".to_owned()), 100));
    assert_eq!(limit(member.request("GET", "/log/a/receipts", None)).await.0, 200);
    house.clock.forward(1_000);
    assert_eq!(limit(forged.request("GET", "/log/a/checkpoint", None)).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_flood_of_wrong_signatures_only_so_many_are_checked() {
    let house = alone().await;
    let few = watchfire_server::rates::Limits {
        public_burst: 3,
        ..watchfire_server::rates::Limits::default()
    };
    let server = watchfire_server::Server::new(house.node.clone(), &[], hashing(), None).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let tls = watchfire_server::Tls::LoopbackPlain;
    let running = watchfire_server::serve_on(server.limited(few), listener, tls).unwrap();
    let there = |signing: Signing| Signing { base: base.clone(), ..signing };
    let (forged, member) = (there(forged(&house, 79)), there(Signing::of(&house)));
    // What is good costs nothing, however much of it comes.
    for _ in 0..10 {
        assert_eq!(limit(member.request("GET", "/log/a/receipts", None)).await.0, 200);
    }
    for _ in 0..3 {
        assert_eq!(limit(forged.request("GET", "/log/a/checkpoint", None)).await.0, 401);
    }
    let told = limit(forged.request("GET", "/log/a/checkpoint", None)).await;
    assert_eq!(told, (429, "public_requests_a_second".to_owned()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_brings_over_a_limit_is_refused_by_name() {
    let house = alone().await;
    let member = Signing::of(&house);
    let frames = member.request("POST", "/log/a/frames", Some(vec![0; FRAME_BYTES.value + 1]));
    assert_eq!(limit(frames).await, (413, FRAME_BYTES.name.to_owned()));
    let receipt = member.request("POST", "/log/a/receipts", Some(vec![0; RECEIPT_BYTES.value + 1]));
    assert_eq!(limit(receipt).await, (413, RECEIPT_BYTES.name.to_owned()));
    let indices = vec!["1"; RECORD_INDICES.value + 1].join(",");
    let records = member.request("GET", &format!("/log/a/records?index={indices}"), None);
    assert_eq!(limit(records).await, (422, RECORD_INDICES.name.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_idempotency_key_is_refused_by_name() {
    let house = alone().await;
    let key = house.key(&[Scope::Curate]).await;
    let alert = |length| {
        let request = multiplexed(1 << 16).post(house.url("/v1/alerts")).bearer_auth(&key);
        request.header("idempotency-key", "k".repeat(length)).json(&alert_of(vec![pdq(1)]))
    };
    let refused = limit(alert(IDEMPOTENCY_KEY_BYTES.value + 1)).await;
    assert_eq!(refused, (422, IDEMPOTENCY_KEY_BYTES.name.to_owned()));
    assert_eq!(alert(IDEMPOTENCY_KEY_BYTES.value).send().await.unwrap().status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_of_events_and_streams_of_a_member_have_their_limits() {
    let house = alone().await;
    let key = house.key(&[Scope::Admin]).await;
    let client = multiplexed(1 << 16);
    let watch = || client.get(house.url("/v1/events")).bearer_auth(&key);
    let mut open = Vec::new();
    for _ in 0..EVENT_STREAMS.value {
        open.push(watch().send().await.unwrap());
    }
    assert_eq!(limit(watch()).await, (429, EVENT_STREAMS.name.to_owned()));
    assert!(open.iter().all(|response| response.status() == 200));
    drop(open);

    let member = Signing::of(&house);
    let follow = || member.request("GET", "/log/a/follow?from=0", None);
    let mut open = Vec::new();
    for _ in 0..MEMBER_STREAMS.value {
        open.push(follow().send().await.unwrap());
    }
    assert_eq!(limit(follow()).await, (429, MEMBER_STREAMS.name.to_owned()));
    assert!(open.iter().all(|response| response.status() == 200));
}

/// A request whose head is sent and whose body is awaited by the node.
async fn awaited(house: &House, key: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST /v1/hash HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-type: image/png\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_together_take_no_more_memory_than_was_given() {
    let house = alone().await;
    let key = house.key(&[Scope::Admin]).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(awaited(&house, &key, UPLOAD_BYTES).await);
    }
    let refused = post(&house, "/v1/hash", "image/png", vec![0; 10]).await;
    let found = (&refused["status"], &refused["limit"]);
    assert_eq!(found, (&429.into(), &"upload_memory_bytes".into()));
    // Who goes gives back what it took.
    drop(held.pop());
    for _ in 0..LOOKS {
        if post(&house, "/v1/hash", "image/png", vec![0; 10]).await["status"] == 422 {
            return;
        }
    }
    panic!("the memory of an upload that broke off is not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_ended_by_name() {
    let house = alone().await;
    let patience = Patience { request: Duration::from_millis(200), ..Patience::default() };
    let door = impatient(&house, hashing(), patience).await;
    let key = house.key(&[Scope::Admin]).await;
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    let head = format!(
        "POST /v1/hash HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         connection: close\r\ncontent-length: 10\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\"limit\":\"request_seconds\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nothing_is_asked_is_closed() {
    let house = alone().await;
    let patience = Patience { idle: Duration::from_millis(200), ..Patience::default() };
    let door = impatient(&house, hashing(), patience).await;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", door.address());
    // Says nothing; begins to say which version; HTTP/2, and nothing after it; asks once and keeps the connection.
    let settings =
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let beginnings = [b"".to_vec(), b"PRI * H".to_vec(), settings, request.into_bytes()];
    for beginning in beginnings {
        let mut stream = TcpStream::connect(door.address()).await.unwrap();
        stream.write_all(&beginning).await.unwrap();
        let mut answer = Vec::new();
        // It ends: nothing is waited for but that.
        let _reset = stream.read_to_end(&mut answer).await;
        let asked = beginning.starts_with(b"GET");
        assert_eq!(asked, answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    }
    // A stream that stands is no idle connection.
    let mut follow = multiplexed(1 << 16)
        .get(format!("http://{}/log/a/follow?from=0", door.address()))
        .send()
        .await
        .unwrap();
    follow.chunk().await.unwrap().unwrap();
    tokio::time::sleep(3 * patience.idle).await;
    let curator = house.client(&[Scope::Curate]).await;
    curator.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    assert!(follow.chunk().await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_yet_says_little() {
    let house = alone().await;
    for path in ["/v1/session", "/v1/session/invitation", "/v1/join"] {
        let long = vec![b' '; LOGIN_BYTES.value + 1];
        let problem = post(&house, path, "application/json", long).await;
        let found = (&problem["status"], &problem["limit"]);
        assert_eq!(found, (&413.into(), &"login_bytes".into()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_loses_its_place() {
    let house = alone().await;
    let patience = Patience { stall: Duration::from_millis(200), ..Patience::default() };
    let door = impatient(&house, hashing(), patience).await;
    let follow = format!("http://{}/log/a/follow?from=0", door.address());
    // One byte may be on its way to these readers, and they read nothing.
    let stalled = multiplexed(1);
    let mut held = Vec::new();
    for _ in 0..STREAMS_OF_AN_ADDRESS.value {
        let stream = stalled.get(&follow).send().await.unwrap();
        assert_eq!(stream.status(), 200);
        held.push(stream);
    }
    // A ping was pushed at the beginning; more than that has to come until nothing more is taken.
    let curator = house.client(&[Scope::Curate]).await;
    for seed in 0..4 {
        curator.alert(&alert_of(vec![pdq(seed)]), None).await.unwrap();
    }
    let stranger = multiplexed(1 << 16);
    for _ in 0..LOOKS {
        if stranger.get(&follow).send().await.unwrap().status() == 200 {
            return;
        }
    }
    panic!("{} stalled readers keep their places", held.len());
}
