//! What one member says alone changes nothing of another's, and enough organisations change it: over real
//! sockets.

use watchfire_api::client::Client;
use watchfire_api::wire::{DisputeRequest, EraseRequest, ResolveRequest, State};
use watchfire_node::access::Scope;
use watchfire_signal::commitment::Commitment;
use watchfire_signal::reason::Reason;
use watchfire_signal::statement::Resolution;

use crate::house::{House, alert_of, coalition, pdq};

/// Four members of four owners, their clients, and an alert of the first that all of them know.
async fn four() -> (Vec<House>, Vec<Client>, Commitment) {
    let houses = coalition(&[("a", true), ("b", true), ("c", true), ("d", true)]).await;
    let mut clients = Vec::new();
    for house in &houses {
        clients.push(house.client(&[Scope::Admin]).await);
    }
    let id = clients[0].alert(&alert_of(vec![pdq(1)]), None).await.unwrap().id;
    for house in &houses {
        while house.node.alert(&id).is_none() {
            tokio::task::yield_now().await;
        }
    }
    (houses, clients, id)
}

/// Waits until a house has taken in so many entries of another's log.
async fn heard(house: &House, of: &House, entries: u64) {
    let here = || house.node.receipts().here().get(of.node.log()).copied().unwrap_or(0);
    while here() < entries {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_members_record_is_erased_by_three_of_four_organisations() {
    let (houses, clients, id) = four().await;
    let erase = EraseRequest { reason: Some(Reason::VictimWithdrew) };
    let log = houses[0].node.log().clone();
    for voter in [1, 2, 3] {
        let there = houses[0].node.statement(&log, 0).await.unwrap();
        assert!(there.is_some(), "two of four are not enough");
        clients[voter].erase(&id, &erase, None).await.unwrap();
        for house in &houses {
            heard(house, &houses[voter], 1).await;
        }
    }
    for (house, client) in houses.iter().zip(&clients) {
        while house.node.statement(&log, 0).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        let view = client.alert_view(&id).await.unwrap();
        assert!(view.erased && view.alert.is_none());
        assert_eq!(view.summary.state, State::Lapsed, "a person decides what comes back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_is_ended_against_its_author_by_two_organisations_and_the_alert_by_three() {
    let (houses, clients, id) = four().await;
    let dispute = DisputeRequest { reason: Reason::BenignContext, note: None };
    let answer = clients[3].dispute(&id, &dispute, None).await.unwrap();
    assert_eq!(answer.state, State::Disputed);
    for house in &houses {
        heard(house, &houses[3], 1).await;
    }
    let resolve = |outcome| ResolveRequest { member: houses[3].name.clone(), outcome, note: None };
    let stands = resolve(Resolution::Stands);
    let alone = clients[0].resolve(&id, &stands, None).await.unwrap();
    assert_eq!(alone.state, State::Disputed, "one organisation is not enough");
    heard(&houses[1], &houses[0], 2).await;
    assert_eq!(clients[1].resolve(&id, &stands, None).await.unwrap().state, State::Provisional);

    // It disputes again, and three agree with it: the case is over, whoever stands by it.
    heard(&houses[3], &houses[1], 1).await;
    heard(&houses[3], &houses[0], 2).await;
    clients[3].dispute(&id, &dispute, None).await.unwrap();
    let withdrawn = resolve(Resolution::Withdrawn);
    for (voter, state) in [(1, State::Disputed), (2, State::Disputed), (3, State::Retracted)] {
        for other in &houses {
            let said = other.node.held().await.unwrap().get(&other.name).copied().unwrap_or(0);
            heard(&houses[voter], other, said).await;
        }
        assert_eq!(clients[voter].resolve(&id, &withdrawn, None).await.unwrap().state, state);
    }
}
