//! Items that the platform held before: taken as a whole or not at all, found by alerts, forgotten.

use watchfire_api::wire::{Imported, SeenLine};
use watchfire_node::access::Scope;

use crate::house::{alone, pdq};

fn lines(items: &[(&str, u8)]) -> String {
    let line = |(item, byte): &(&str, u8)| {
        let line = SeenLine {
            item: item.parse().unwrap(),
            seen_ms: 1_800_000_000_000,
            signals: vec![pdq(*byte)],
            parts: Vec::new(),
            text: None,
            urls: Vec::new(),
            facts: Default::default(),
        };
        serde_json::to_string(&line).unwrap() + "\n"
    };
    items.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_platform_held_before_is_taken_once_and_forgotten_when_it_says_so() {
    let house = alone().await;
    let client = house.client(&[Scope::Scan]).await;
    let body = lines(&[("a", 1), ("b/ü", 2)]) + "\n";
    assert_eq!(client.import_seen(body.clone()).await.unwrap(), Imported { read: 2, taken: 2 });
    assert_eq!(client.import_seen(body).await.unwrap(), Imported { read: 2, taken: 0 });
    assert_eq!(house.node.sizes().1, 2);
    client.forget(&"b/ü".parse().unwrap()).await.unwrap();
    assert!(client.forget(&"b/ü".parse().unwrap()).await.is_err());
    assert_eq!(house.node.sizes().1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_line_refuses_the_whole_body_and_is_named() {
    let house = alone().await;
    let client = house.client(&[Scope::Scan]).await;
    let good = lines(&[("a", 1)]);
    let misspelt = good.replace("seen_ms", "seen");
    let not_hex = good.replace("\"value\":\"", "\"value\":\"zz");
    for wrong in [&misspelt[..], &not_hex[..], "[]\n", "{\n"] {
        let error = client.import_seen(format!("{good}\n{wrong}")).await.unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
    }
    let many = client.import_seen(good.repeat(10_001)).await.unwrap_err().to_string();
    assert!(many.contains("seen_lines"), "{many}");
    assert_eq!(house.node.sizes().1, 0);
    let client = house.client(&[Scope::Curate]).await;
    assert!(client.import_seen(good).await.is_err());
}
