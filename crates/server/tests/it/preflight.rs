//! Who raises an alert about what is everybody's is told so before anybody else is.

use watchfire_api::client::ClientError;
use watchfire_api::problem::ProblemKind;
use watchfire_api::wire::{AlertRequest, SignalJson, VerdictKind};
use watchfire_node::access::Scope;
use watchfire_signal::link::LinkScope;

use crate::house::{alert_of, alone, pdq, scan};

/// The hash of colour bars, with the best quality that an author can claim.
fn bars() -> SignalJson {
    let list = include_str!("../../../node/src/benign/set.txt");
    let line = list.lines().find(|line| line.ends_with(" bars-smpte-wide")).unwrap();
    SignalJson { value: line.split(' ').nth(1).unwrap().to_owned(), ..pdq(1) }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> String {
    match answer {
        Err(ClientError::Problem(problem)) if problem.is(ProblemKind::Preflight) => {
            problem.detail.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_about_what_is_everybodys_is_refused_unless_somebody_insists_and_then_held() {
    let house = alone().await;
    let client = house.client(&[Scope::Curate, Scope::Scan, Scope::Review]).await;
    let about = alert_of(vec![pdq(1), bars()]);
    let found = client.alert_preflight(&about).await.unwrap();
    assert_eq!((found.refused, found.benign.as_deref()), (true, Some("bars-smpte-wide")));
    assert_eq!((found.held.as_deref(), found.signals_summary.len()), (Some("benign_set"), 2));
    let detail = refused(client.alert(&about, None).await);
    assert!(detail.contains("bars-smpte-wide"), "{detail}");
    assert!(house.node.held().await.unwrap().is_empty(), "nothing was said");

    let insists = AlertRequest { anyway: true, ..about };
    let raised = client.alert(&insists, None).await.unwrap();
    assert!(raised.warnings[0].contains("bars-smpte-wide"), "{:?}", raised.warnings);
    let verdict = scan(&client, "x", pdq(1)).await;
    assert_eq!(verdict.verdict, VerdictKind::Review);
    assert_eq!(verdict.reasons[0].held.as_deref(), Some("benign_set"));
    let hold = loop {
        let holds = client.holds().await.unwrap().holds;
        if let [hold] = &holds[..] {
            break hold.clone();
        }
    };
    assert_eq!((hold.record, hold.limit.as_str()), (raised.id, "benign_set"));
    assert_eq!(hold.found, "near bars-smpte-wide of the benign set");
    let ticket = loop {
        let page = client.review_list(&Default::default()).await.unwrap();
        if let [ticket] = &page.tickets[..] {
            break ticket.clone();
        }
    };
    assert_eq!(ticket.held, Some(hold), "who looks at it sees why");
    client.release(&raised.id).await.unwrap();
    assert_eq!(scan(&client, "y", pdq(1)).await.verdict, VerdictKind::Block);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preflight_knows_words_hosts_and_what_the_platform_holds() {
    let house = alone().await;
    let client = house.client(&[Scope::Curate, Scope::Scan]).await;
    let of = |alert: AlertRequest| AlertRequest { kind: None, ..alert };
    let words = of(AlertRequest { text: Some("Happy Birthday!".to_owned()), ..alert_of(vec![]) });
    refused(client.alert(&words, None).await);
    let host = AlertRequest {
        url: Some("https://www.google.com/".to_owned()),
        url_scope: Some(LinkScope::Host),
        ..of(alert_of(vec![]))
    };
    refused(client.alert(&host, None).await);

    for number in 0..60 {
        scan(&client, &format!("x:{number}"), pdq(3)).await;
    }
    house.clock.forward(1);
    let often = client.alert_preflight(&alert_of(vec![pdq(3)])).await.unwrap();
    assert_eq!((often.refused, often.copies), (false, 60));
    assert_eq!(often.held.as_deref(), Some("older_matches_per_signal"));
    let raised = client.alert(&alert_of(vec![pdq(3)]), None).await.unwrap();
    assert!(raised.warnings[0].contains("older_matches_per_signal"), "{:?}", raised.warnings);
    let thin = SignalJson { quality: Some(10), ..pdq(4) };
    let found = client.alert_preflight(&alert_of(vec![thin])).await.unwrap();
    assert_eq!((found.refused, found.thin, found.held), (false, 1, None));
    let clean = client.alert(&alert_of(vec![pdq(5)]), None).await.unwrap();
    assert!(clean.warnings.is_empty());
}
