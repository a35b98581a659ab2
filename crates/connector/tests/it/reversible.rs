//! What connectors make of it that an order has to stay reversible, or need not.

use watchfire_connector::{
    conformance::order,
    json_api::Token,
    synapse::{Setup, Synapse},
    webhook::Delivery,
};
use watchfire_node::connector::{Answer, Connector, Order};

use crate::webhook::{clock, loopback, platform_that_answers, webhook_of};

#[tokio::test]
async fn the_body_of_an_order_says_whether_it_must_be_reversible() {
    for reversible in [true, false] {
        let (address, seen) = platform_that_answers(200, &[], "").await;
        let webhook = webhook_of(format!("http://{address}/"), None, clock());
        let order = Order { reversible, ..order("k", "clip", "remove") };
        assert_eq!(webhook.enforce(&order).await, Ok(Answer::Done));
        let body = seen.lock().unwrap()[0].body.clone();
        let delivery: Delivery = serde_json::from_slice(&body).unwrap();
        assert_eq!(delivery.reversible, reversible);
    }
}

#[tokio::test]
async fn a_message_is_redacted_only_by_an_order_that_need_not_be_reversible() {
    // Nobody listens there: what is refused is refused before anybody is asked.
    let homeserver = |redact| {
        let token = Token::parse("syt_token").unwrap();
        let (moderator, viewer) = (token.clone(), token);
        let url = "http://127.0.0.1:9".to_owned();
        Synapse::new(Setup { url, moderator, viewer, redact, out: loopback() }).unwrap()
    };
    let message = order("k", "matrix:roomid/room:h.example/e/event", "remove");
    let for_good = Order { reversible: false, ..message.clone() };
    for (redact, order) in [(true, &message), (false, &message), (false, &for_good)] {
        let answer = homeserver(redact).enforce(order).await;
        assert!(matches!(answer, Ok(Answer::Refused(_))), "{redact} {order:?}: {answer:?}");
    }
    assert!(homeserver(true).enforce(&for_good).await.is_err(), "it goes on to ask the homeserver");
    let media = order("k", "mxc://h.example/media", "remove");
    assert!(homeserver(false).enforce(&media).await.is_err());
}
