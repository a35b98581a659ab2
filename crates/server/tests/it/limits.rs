//! Every limit answers with its name.

use serde_json::Value;
use watchfire_node::access::Scope;

use crate::house::{House, UPLOAD_BYTES, alone, pdq, scan_of};

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
    assert_eq!(refused.json::<Value>().await.unwrap()["limit"], "anonymous_streams");
    // A member still gets one.
    let member = crate::house::peer_client("a", 9, house.address).source(&house.name);
    assert!(member.frames(0).await.is_ok());
}
