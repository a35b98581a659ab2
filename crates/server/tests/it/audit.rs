//! The view of the desk log: pages, filters, the reader's own trace, and whether the log is whole.

use std::sync::Arc;

use serde_json::json;
use watchfire_api::wire::{AuditQuery, DeskQuery};
use watchfire_node::access::Scope;
use watchfire_node::access::account::Role;
use watchfire_node::desk::{Actor, DeskKind};

use crate::access::http;
use crate::house::{House, alone};

async fn lines(house: &House) -> u64 {
    house.node.desk().size().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_newest_first_by_cursor_and_filter() {
    let house = alone().await;
    let audit = house.client(&[Scope::Audit]).await;
    let admin = house.client(&[Scope::Admin]).await;
    for name in ["a", "b", "c"] {
        let request = json!({"name": name, "scopes": ["scan"]});
        admin.make_key(&serde_json::from_value(request).unwrap()).await.unwrap();
        house.clock.forward(1_000);
    }
    house
        .node
        .access()
        .open_account(Actor::Node, "kim".parse().unwrap(), Role::Lead)
        .await
        .unwrap();
    let ask = async |query: serde_json::Value| {
        audit.audit(&serde_json::from_value::<AuditQuery>(query).unwrap()).await
    };
    let all = ask(json!({})).await.unwrap();
    let indices: Vec<_> = all.lines.iter().map(|line| line.index).collect();
    assert_eq!((indices, all.next), (vec![5, 4, 3, 2, 1, 0], None));
    assert_eq!(all.lines[0].kind, "account");
    assert_eq!(all.lines[1].body.as_ref().unwrap()["name"], "c");

    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = ask(json!({"limit": 4, "before": before})).await.unwrap();
        seen.extend(page.lines);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, all.lines);

    let named = |page: watchfire_api::wire::AuditPage| {
        let names = page.lines.iter().map(|line| line.index);
        names.collect::<Vec<_>>()
    };
    assert_eq!(named(ask(json!({"kind": "account"})).await.unwrap()), [5]);
    assert_eq!(named(ask(json!({"actor": "key:test-1"})).await.unwrap()), [4, 3, 2]);
    let (from, to) = (all.lines[2].at_ms, all.lines[1].at_ms);
    assert_eq!(named(ask(json!({"from_ms": from, "to_ms": to})).await.unwrap()), [3]);
    assert!(ask(json!({"kind": "nonsense"})).await.is_err());
    assert!(ask(json!({"limit": 1_001})).await.is_err());
    assert_eq!(lines(&house).await, 6, "a program that reads leaves no line");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_reads_leaves_one_line_a_session_and_hour() {
    let house = alone().await;
    let access = house.node.access();
    let invited = access.open_account(Actor::Node, "kim".parse().unwrap(), Role::Auditor);
    let invited = invited.await.unwrap();
    let from = [127, 0, 0, 1].into();
    let passphrase = "four words are enough here".to_owned();
    let entered = access.accept_invitation(&invited.secret, passphrase, from).await.unwrap();
    let look = async || {
        let request = http().get(house.url("/v1/audit")).bearer_auth(&entered.secret);
        let page: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        page["lines"].as_array().unwrap().len() as u64
    };
    let before = lines(&house).await;
    let looks = futures_util::future::join_all((0..8).map(|_| look())).await;
    assert_eq!(looks, [before + 1; 8], "the look is durable before it is answered");
    assert_eq!(lines(&house).await, before + 1);
    for _ in 0..3 {
        house.clock.forward(1_200_000);
        look().await;
    }
    assert_eq!(lines(&house).await, before + 2);
    let looks = house.node.desk().newest(Some(DeskKind::Look), u64::MAX, 10).await.unwrap();
    let actor = format!("person:{}", invited.account.pseudonym);
    assert!(looks.iter().all(|look| look.record.as_ref().unwrap().actor == actor));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_is_verified_and_an_erased_record_leaves_it_sound() {
    let house = alone().await;
    let audit = house.client(&[Scope::Audit]).await;
    for _ in 0..4 {
        house.key(&[Scope::Scan]).await;
    }
    house.store.erase(house.node.desk().origin(), 2).await.unwrap();
    let report = audit.verify_desk(&DeskQuery::default()).await.unwrap();
    assert!(report.sound, "{report:?}");
    assert_eq!((report.size, report.erased, report.problem), (5, 1, None));
    assert!(report.log.ends_with("/desk"));
    let unknown = audit.verify_desk(&DeskQuery { epoch: Some(7) }).await.unwrap_err();
    assert!(unknown.to_string().contains("epoch 7"), "{unknown}");
    let page = audit.audit(&AuditQuery::default()).await.unwrap();
    assert_eq!((&page.lines[2].actor, &page.lines[2].body), (&None, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_that_of_its_line_is_found() {
    let house = alone().await;
    let audit = house.client(&[Scope::Audit]).await;
    house.key(&[Scope::Scan]).await;
    let desk = house.node.desk();
    let other = house.store.held(desk.origin(), 0, 1).await.unwrap().remove(0);
    house.store.erase(desk.origin(), 1).await.unwrap();
    // The store believes whoever fills a hole: here it is somebody who swaps what was done.
    let swapped = other.entry.record.unwrap();
    Arc::clone(&house.store).fill(desk.origin(), 1, swapped).await.unwrap();
    let report = audit.verify_desk(&DeskQuery::default()).await.unwrap();
    assert!(!report.sound);
    assert!(report.problem.unwrap().contains("line 1"));
}
