//! The OpenAPI document is the one that is committed, and names every route.

use std::path::Path;

use serde_json::Value;

#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether to write the document anew")]
fn the_committed_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let current = watchfire_server::openapi();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/openapi.json is not current: UPDATE=1 cargo nextest run -p watchfire-server document"
    );
}

#[test]
fn the_document_is_openapi_3_1_with_a_description_of_everything() {
    let document: Value = serde_json::from_str(&watchfire_server::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["operationId"].is_string(), "{method} {path}");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a caller of its own, not of the workspace")]
async fn the_document_is_served() {
    let house = crate::house::alone().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let served = client.get(house.url("/openapi.json")).send().await.unwrap();
    assert_eq!(served.headers()["content-type"], "application/json");
    assert_eq!(served.text().await.unwrap(), watchfire_server::openapi());
}
