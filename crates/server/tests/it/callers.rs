//! Who may do what, and what the others are told.

use serde_json::Value;
use watchfire_node::access::Scope;

use crate::house::{House, alert_of, alone, pdq};

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    (status, response.json().await.unwrap())
}

#[expect(clippy::disallowed_methods, reason = "a caller of its own, not of the workspace")]
fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn post(house: &House, path: &str) -> reqwest::RequestBuilder {
    http().post(house.url(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_there_is_nothing_but_health_and_logs() {
    let house = alone().await;
    for path in [
        "/v1/lookup?kind=pdq&value=0",
        "/v1/alerts",
        "/v1/events",
        "/v1/members",
        "/v1/actions?item=1",
    ] {
        let (status, problem) = answer(http().get(house.url(path))).await;
        assert_eq!(
            (status, &problem["type"]),
            (401, &"urn:watchfire:problem:unauthenticated".into()),
            "{path}"
        );
    }
    for path in ["/v1/scan?item=1", "/v1/hash", "/v1/alerts"] {
        assert_eq!(answer(post(&house, path).body("x")).await.0, 401, "{path}");
    }
    for key in ["wf_wrong", "", "admin"] {
        assert_eq!(answer(http().get(house.url("/v1/members")).bearer_auth(key)).await.0, 401);
    }
    assert_eq!(http().get(house.url("/healthz")).send().await.unwrap().status(), 200);
    let ready = http().get(house.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.text().await.unwrap(), r#"{"readiness":"ready"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_what_its_scope_says() {
    let house = alone().await;
    let scan = house.key(&[Scope::Scan]).await;
    let audit = house.key(&[Scope::Audit]).await;
    let alert = alert_of(vec![pdq(1)]);
    for key in [&scan, &audit] {
        let (status, problem) =
            answer(post(&house, "/v1/alerts").bearer_auth(key).json(&alert)).await;
        assert_eq!(status, 403);
        assert!(problem["detail"].as_str().unwrap().contains("curate"), "{problem}");
    }
    assert_eq!(answer(http().get(house.url("/v1/alerts")).bearer_auth(&scan)).await.0, 403);
    let listed = http().get(house.url("/v1/alerts")).bearer_auth(&audit).send().await.unwrap();
    assert_eq!(listed.text().await.unwrap(), r#"{"alerts":[]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_router_refuses_is_a_problem_too() {
    let house = alone().await;
    let key = house.key(&[Scope::Admin]).await;
    let get = |path: &str| http().get(house.url(path)).bearer_auth(&key);
    let post = |path: &str| post(&house, path).bearer_auth(&key);
    let json = |path: &str, body: &'static str| {
        post(path).header("content-type", "application/json").body(body)
    };
    assert_eq!(answer(get("/nothing")).await.0, 404);
    assert_eq!(answer(get("/v1/scan")).await.0, 405);
    assert_eq!(answer(get("/v1/alerts/no-name")).await.0, 404);
    assert_eq!(answer(get("/v1/lookup?kind=pdq")).await.0, 422);
    assert_eq!(answer(get("/v1/lookup?kind=pdq&value=00")).await.0, 422);
    assert_eq!(answer(get("/v1/alerts?limit=1&offset=2")).await.0, 422);
    assert_eq!(answer(json("/v1/scan", "{")).await.0, 400);
    assert_eq!(answer(json("/v1/scan", "{\"itm\":\"1\"}")).await.0, 422);
    assert_eq!(answer(post("/v1/alerts").body("x")).await.0, 415);
    let (status, problem) = answer(post("/v1/scan").body("x")).await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("item"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_listed_page_by_page() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let mut raised = Vec::new();
    for seed in 0..5 {
        raised.push(client.alert(&alert_of(vec![pdq(seed)]), None).await.unwrap().id);
    }
    raised.sort();
    let mut listed = Vec::new();
    let mut query = watchfire_api::wire::AlertPageQuery { after: None, limit: Some(2) };
    loop {
        let page = client.alerts(&query).await.unwrap();
        listed.extend(page.alerts.iter().map(|alert| alert.id));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(listed, raised);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_node_is_not_ready_is_for_loopback_and_behind_a_proxy_for_auditors() {
    use watchfire_server::{Server, Tls, serve};
    let house = crate::house::unheard().await;
    let (audit, scan) = (house.key(&[Scope::Audit]).await, house.key(&[Scope::Scan]).await);
    while !house.node.events().links().values().any(|link| link.last_error.is_some()) {
        tokio::task::yield_now().await;
    }
    for (tls, stranger_is_told) in [(Tls::LoopbackPlain, true), (Tls::Proxy, false)] {
        let server = Server::new(house.node.clone(), &[], crate::house::hashing(), None).unwrap();
        let running = serve(server, "127.0.0.1:0".parse().unwrap(), tls).await.unwrap();
        let url = format!("http://{}/readyz", running.address());
        let keys = [("", stranger_is_told), (&audit, true), (&scan, stranger_is_told)];
        for (key, is_told) in keys {
            let request = http().get(&url);
            let request = if key.is_empty() { request } else { request.bearer_auth(key) };
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 503);
            let ready: Value = answer.json().await.unwrap();
            assert_eq!(ready["readiness"], "recovering");
            let why = ready["detail"].as_str().unwrap();
            assert_eq!(why.contains("b: ") && why.contains("127.0.0.1"), is_told, "{why}");
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_loopback_and_behind_a_proxy_for_auditors() {
    use watchfire_server::{Server, Tls, serve};
    let house = alone().await;
    let key = house.key(&[Scope::Audit]).await;
    let loopback = "127.0.0.1:0".parse().unwrap();
    for (tls, without_key) in [(Tls::LoopbackPlain, 200), (Tls::Proxy, 401)] {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let metrics = Some(recorder.handle());
        let hashing = crate::house::hashing();
        let server = Server::new(house.node.clone(), &[], hashing, metrics).unwrap();
        let running = serve(server, loopback, tls).await.unwrap();
        let url = format!("http://{}/metrics", running.address());
        assert_eq!(http().get(&url).send().await.unwrap().status(), without_key);
        let told = http().get(&url).bearer_auth(&key).send().await.unwrap();
        assert_eq!(told.status(), 200);
        running.stop().await;
    }
    let (status, problem) = answer(http().get(house.url("/metrics"))).await;
    assert_eq!((status, &problem["detail"]), (404, &"metrics are not recorded".into()));
}
