//! Keys: what each scope opens, how a key lives and ends, and what is answered to those who ask too often.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use watchfire_api::problem::ProblemKind;
use watchfire_api::wire::{KeyRequest, RotateRequest};
use watchfire_node::access::Scope;
use watchfire_node::desk::DeskKind;

use crate::house::{House, alone, to_loopback};

/// What needs no key: health, logs (which members sign for, and anyone may read in part), and logging in.
const OPEN: [&str; 22] = [
    "get /healthz",
    "get /readyz",
    "get /log/{member}/checkpoint",
    "get /log/{member}/tile/{*path}",
    "get /log/{member}/entries",
    "get /log/{member}/evidence",
    "get /log/{member}/cosigned",
    "get /log/lacking",
    "get /log/{member}/records",
    "post /log/{member}/records",
    "get /log/{member}/urgent",
    "get /log/{member}/follow",
    "post /log/{member}/frames",
    "post /log/{member}/heads",
    "get /log/{member}/receipts",
    "post /log/{member}/receipts",
    "get /log/charters",
    "post /log/{member}/charters",
    "post /v1/join",
    "post /witness/add-checkpoint",
    "post /v1/session",
    "post /v1/session/invitation",
];

#[expect(clippy::disallowed_methods, reason = "a caller of its own, not of the workspace")]
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

/// Every route of the document: method, path, and the scopes of which any one opens it. `None` needs no key.
fn routes() -> Vec<(String, String, Option<Vec<String>>)> {
    let document: Value = serde_json::from_str(&watchfire_server::openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scopes = operation["security"].as_array().map(|ways| {
                let scopes = ways.iter().filter_map(|way| way["key"].as_array()).flatten();
                scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect()
            });
            routes.push((method.clone(), path.clone(), scopes));
        }
    }
    routes
}

fn ask(house: &House, method: &str, path: &str) -> reqwest::RequestBuilder {
    let mut filled = String::new();
    for part in path.split('/').skip(1) {
        let part = if part.starts_with('{') { "nobody" } else { part };
        filled.push('/');
        filled.push_str(part);
    }
    http().request(method.to_uppercase().parse().unwrap(), house.url(&filled))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_opens_to_the_scopes_that_the_document_names_and_to_no_other() {
    let house = alone().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((format!("{scope:?}").to_lowercase(), house.key(&[scope]).await));
    }
    for (method, path, scopes) in routes() {
        let name = format!("{method} {path}");
        let Some(scopes) = scopes else {
            assert!(OPEN.contains(&name.as_str()), "{name} names no scope");
            continue;
        };
        // Its numbers are open to loopback, where this test is.
        if path == "/metrics" {
            continue;
        }
        // Beyond the burst of strangers the answer is 429; hours pass between one and the next.
        house.clock.forward(60_000);
        let bare = ask(&house, &method, &path).send().await.unwrap().status();
        assert_eq!(bare, 401, "{name} without a key");
        for (scope, key) in &keys {
            let opens = scopes.is_empty() || scope == "admin" || scopes.contains(scope);
            let status =
                ask(&house, &method, &path).bearer_auth(key).send().await.unwrap().status();
            assert_eq!(status != 403, opens, "{name} with {scope}: {status}");
            assert_ne!(status, 401, "{name} with {scope}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_rotated_and_revoked_and_each_is_a_line() {
    let house = alone().await;
    let admin = house.client(&[Scope::Admin]).await;
    let request: KeyRequest =
        serde_json::from_value(json!({"name": "uploads", "scopes": ["scan"]})).unwrap();
    let made = admin.make_key(&request).await.unwrap();
    let works = async |key: &str| {
        http().get(house.url("/v1/members")).bearer_auth(key).send().await.unwrap().status() == 200
    };
    assert!(works(&made.api_key).await);
    let error = admin.make_key(&request).await.err().unwrap();
    assert!(error.to_string().contains("uploads"), "{error}");

    let rotated = admin.rotate_key("uploads", &RotateRequest { overlap_s: 60 }).await.unwrap();
    assert!(works(&made.api_key).await && works(&rotated.api_key).await);
    assert_eq!(rotated.key.created_ms, made.key.created_ms);
    let listed = admin.keys().await.unwrap().keys;
    let listed: Vec<_> = listed.iter().filter(|key| key.name == "uploads").collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|key| key.live && key.used_ms.is_some()), "{listed:?}");
    house.clock.forward(60_000);
    assert!(!works(&made.api_key).await && works(&rotated.api_key).await);

    admin.revoke_key("uploads").await.unwrap();
    assert!(!works(&rotated.api_key).await);
    assert!(admin.revoke_key("uploads").await.is_err());
    assert!(admin.rotate_key("uploads", &RotateRequest { overlap_s: 0 }).await.is_err());

    let lines = house.node.desk().newest(Some(DeskKind::Key), u64::MAX, 3).await.unwrap();
    let lines: Vec<_> = lines.into_iter().map(|line| line.record.unwrap()).collect();
    let did = |place: usize| serde_json::from_slice::<Value>(&lines[place].body).unwrap();
    assert_eq!(lines[0].actor, "key:test-0");
    assert_eq!([&did(0)["did"], &did(1)["did"], &did(2)["did"]], ["revoked", "rotated", "made"]);
    let secret = made.api_key.as_bytes();
    assert!(lines.iter().all(|line| !line.body.windows(secret.len()).any(|part| part == secret)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_an_end_ends_and_its_successor_lives_as_long() {
    let house = alone().await;
    let admin = house.client(&[Scope::Admin]).await;
    let request = json!({"name": "short", "scopes": ["scan"], "valid_for_s": 100});
    let made = admin.make_key(&serde_json::from_value(request).unwrap()).await.unwrap();
    house.clock.forward(50_000);
    let next = admin.rotate_key("short", &RotateRequest { overlap_s: 1_000 }).await.unwrap();
    assert_eq!(next.key.expires_ms, Some(next.key.made_ms + 100_000));
    house.clock.forward(50_000);
    let status = async |key: &str| {
        http().get(house.url("/v1/members")).bearer_auth(key).send().await.unwrap().status()
    };
    assert_eq!(status(&made.api_key).await, 401, "an overlap makes no key live longer");
    assert_eq!(status(&next.api_key).await, 200);
    house.clock.forward(50_000);
    assert_eq!(status(&next.api_key).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_their_last_use_survive_a_restart_and_what_was_revoked_stays_so() {
    let house = alone().await;
    let (kept, gone) = (house.key(&[Scope::Scan]).await, house.key(&[Scope::Scan]).await);
    let access = house.node.access();
    access.caller(&kept).unwrap();
    access.caller(&gone).unwrap();
    let name = "test-1".parse().unwrap();
    access.revoke_key(watchfire_node::desk::Actor::Node, name).await.unwrap();
    access.flush().await.unwrap();
    let desk = house.node.desk().clone();
    let (clock, random) = (house.clock.clone(), house.clock.clone());
    let again = watchfire_node::access::Access::load(house.store.clone(), desk, clock, random);
    let again = again.await.unwrap();
    assert_eq!(again.caller(&gone), None);
    assert_eq!(again.caller(&kept).unwrap().scopes, BTreeSet::from([Scope::Scan]));
    assert_eq!(again.keys().len(), 1);
    assert!(again.keys()[0].used_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_keys_is_slowed_down_and_who_has_one_is_not() {
    let house = alone().await;
    let key = house.key(&[Scope::Scan]).await;
    let guess = || http().get(house.url("/v1/members")).bearer_auth("wf_guess");
    let mut refused = 0;
    let (status, problem, after) = loop {
        let response = guess().send().await.unwrap();
        let after = response.headers().get("retry-after").cloned();
        let (status, problem) = (response.status(), response.json::<Value>().await.unwrap());
        if status != 401 {
            break (status, problem, after);
        }
        refused += 1;
    };
    assert_eq!((status.as_u16(), refused), (429, 100));
    assert_eq!(problem["limit"], "refused_requests_a_second");
    assert_eq!(problem["retry_after_s"], 1);
    assert_eq!(after.unwrap(), "1");
    let known = http().get(house.url("/v1/members")).bearer_auth(&key).send().await.unwrap();
    assert_eq!(known.status(), 200);
    house.clock.forward(1_000);
    assert_eq!(guess().send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_program_is_held_back_by_the_limit_of_its_key() {
    let house = alone().await;
    let (one, other) = (house.key(&[Scope::Scan]).await, house.key(&[Scope::Scan]).await);
    let limits = watchfire_server::rates::Limits {
        key_requests_a_second: 1,
        key_burst: 2,
        ..watchfire_server::rates::Limits::default()
    };
    let node = house.node.clone();
    let server = watchfire_server::Server::new(node, &[], crate::house::hashing(), None).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = watchfire_server::serve_on(
        server.limited(limits),
        listener,
        watchfire_server::Tls::LoopbackPlain,
    );
    let running = running.unwrap();
    let client = |key: &str| {
        watchfire_api::client::Client::new(to_loopback(), &format!("http://{address}"), Some(key))
            .unwrap()
    };
    client(&one).members().await.unwrap();
    client(&one).members().await.unwrap();
    let error = client(&one).members().await.unwrap_err();
    let watchfire_api::client::ClientError::Problem(problem) = error else { panic!("{error}") };
    assert!(problem.is(ProblemKind::TooMany));
    assert_eq!(problem.limit.as_deref(), Some("key_requests_a_second"));
    client(&other).members().await.unwrap();
    house.clock.forward(1_000);
    client(&one).members().await.unwrap();
    running.stop().await;
}
