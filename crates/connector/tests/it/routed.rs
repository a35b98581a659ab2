//! Which connector an order goes to.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use watchfire_connector::{
    conformance::order,
    routed::{RouteError, Routed},
};
use watchfire_node::connector::{Answer, Connector, ConnectorError, Order, Visibility};

/// Keeps what it was asked.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

#[async_trait]
impl Connector for Asked {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.0.lock().unwrap().push(format!("enforce {}", order.item));
        Ok(Answer::Done)
    }
    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        self.0.lock().unwrap().push(format!("verify {item}"));
        Ok(Visibility::Hidden)
    }
    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.0.lock().unwrap().push(format!("undo {}", order.item));
        Ok(Answer::Done)
    }
}

#[tokio::test]
async fn the_longest_prefix_that_fits_decides() {
    let (all, matrix, own) =
        (Arc::<Asked>::default(), Arc::<Asked>::default(), Arc::<Asked>::default());
    let mut routed = Routed::default();
    routed.add("", all.clone()).unwrap();
    routed.add("mxc://", matrix.clone()).unwrap();
    routed.add("mxc://own.example/", own.clone()).unwrap();
    for item in ["mxc://own.example/1", "mxc://other.example/2", "clip-3"] {
        assert_eq!(routed.enforce(&order("k", item, "remove")).await, Ok(Answer::Done));
        assert_eq!(routed.verify(item).await, Ok(Visibility::Hidden));
        assert_eq!(routed.undo(&order("k", item, "restore")).await, Ok(Answer::Done));
    }
    for (asked, item) in
        [(own, "mxc://own.example/1"), (matrix, "mxc://other.example/2"), (all, "clip-3")]
    {
        let expected = ["enforce", "verify", "undo"].map(|verb| format!("{verb} {item}"));
        assert_eq!(*asked.0.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn an_item_that_nobody_serves_is_not_said_to_be_done() {
    let mut routed = Routed::default();
    routed.add("mxc://", Arc::<Asked>::default()).unwrap();
    let order = order("k", "clip-3", "remove");
    assert!(matches!(routed.enforce(&order).await, Ok(Answer::Refused(_))));
    assert!(matches!(routed.undo(&order).await, Ok(Answer::Refused(_))));
    assert_eq!(routed.verify("clip-3").await, Ok(Visibility::Unknown));
}

#[test]
fn two_connectors_for_the_same_items_are_refused() {
    let mut routed = Routed::default();
    routed.add("mxc://", Arc::<Asked>::default()).unwrap();
    let error = routed.add("mxc://", Arc::<Asked>::default()).unwrap_err();
    assert_eq!(error, RouteError("mxc://".to_owned()));
}
