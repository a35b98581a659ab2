//! Incidents over the API, between members.

use watchfire_api::client::{Client, ClientError};
use watchfire_api::wire::{
    ConcludeRequest, IncidentRequest, IncidentState, IncidentUpdateRequest, State, VerdictKind,
};
use watchfire_node::access::Scope;
use watchfire_node::incidents::COSIGN_MS;
use watchfire_signal::commitment::Commitment;
use watchfire_signal::header::Review;

use crate::house::{House, alert_of, coalition, pdq, scan, wait_for};

fn attack(cases: &[Commitment]) -> IncidentRequest {
    IncidentRequest {
        level: 3,
        title: "Attack on a market".to_owned(),
        criteria: "Footage of it by whoever did it".to_owned(),
        regions: vec!["NZ".to_owned()],
        cases: cases.to_vec(),
        note: Some("No link, no name.".to_owned()),
        test: false,
        ask_approval: false,
    }
}

/// Four members; the second knows of a case that the first has raised and nobody has looked at.
async fn stage() -> (Vec<House>, Vec<Client>, Commitment) {
    let houses = coalition(&[("a", true), ("b", true), ("c", true), ("d", true)]).await;
    let mut clients = Vec::new();
    for house in &houses {
        clients.push(house.client(&[Scope::Admin]).await);
    }
    let mut at_b = clients[1].events(None).await.unwrap();
    let mut alert = alert_of(vec![pdq(1)]);
    alert.review = Review::Automatic;
    let raised = clients[0].alert(&alert, None).await.unwrap();
    assert_eq!(raised.state, State::Proposed);
    wait_for(&mut at_b, |event| event.event == "case").await;
    (houses, clients, raised.id)
}

async fn until(client: &Client, id: &Commitment, state: IncidentState) {
    while !matches!(client.incident(id).await, Ok(found) if found.state == state) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_in_force_has_its_cases_acted_on_until_it_is_over() {
    let (houses, clients, case) = stage().await;
    // What is only proposed is for people; only members that trust its author look at it themselves.
    assert_ne!(scan(&clients[2], "c:1", pdq(1)).await.verdict, VerdictKind::Block);
    let declared = clients[3].declare(&attack(&[case]), None).await.unwrap();
    assert_eq!(declared.state, IncidentState::Declared);
    for client in &clients[..3] {
        until(client, &declared.id, IncidentState::Declared).await;
    }
    let mut at_c = clients[2].events(None).await.unwrap();
    clients[1].cosign(&declared.id, None).await.unwrap();
    let now = clients[2].cosign(&declared.id, None).await.unwrap();
    wait_for(&mut at_c, |event| event.event == "incident" && event.more["state"] == "in_force")
        .await;
    until(&clients[2], &declared.id, IncidentState::InForce).await;
    assert!(matches!(now.state, IncidentState::Declared | IncidentState::InForce));
    let view = clients[2].alert_view(&case).await.unwrap();
    assert_eq!(view.summary.state, State::Provisional);
    assert_eq!(scan(&clients[2], "c:2", pdq(1)).await.verdict, VerdictKind::Block);

    let update =
        IncidentUpdateRequest { title: Some("Attack in town".to_owned()), ..Default::default() };
    clients[3].update_incident(&declared.id, &update, None).await.unwrap();
    let incident = clients[3].incident(&declared.id).await.unwrap();
    assert_eq!(incident.title.as_deref(), Some("Attack in town"));
    assert_eq!((incident.cases, incident.cosigned_by.len()), (vec![case], 2));
    assert!(incident.ends_ms > incident.in_force_ms && incident.debrief_due_ms.is_none());

    for client in &clients[1..] {
        client.conclude(&declared.id, &ConcludeRequest::default(), None).await.unwrap();
    }
    until(&clients[2], &declared.id, IncidentState::Concluded).await;
    assert_ne!(scan(&clients[2], "c:3", pdq(1)).await.verdict, VerdictKind::Block);
    let list = clients[0].incidents().await.unwrap().incidents;
    assert!(list.len() == 1 && list[0].id == declared.id);
    for house in houses {
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_declaring_again_at_once_is_refused_and_a_drill_changes_nothing() {
    let (houses, clients, case) = stage().await;
    let drill = IncidentRequest { test: true, ..attack(&[case]) };
    let drilled = clients[3].declare(&drill, None).await.unwrap();
    for client in &clients[..3] {
        until(client, &drilled.id, IncidentState::Declared).await;
    }
    for client in &clients[..3] {
        client.cosign(&drilled.id, None).await.unwrap();
    }
    until(&clients[2], &drilled.id, IncidentState::InForce).await;
    assert_ne!(scan(&clients[2], "c:1", pdq(1)).await.verdict, VerdictKind::Block);

    let lonely = clients[3].declare(&attack(&[case]), None).await.unwrap();
    until(&clients[2], &lonely.id, IncidentState::Declared).await;
    assert_ne!(scan(&clients[2], "c:2", pdq(1)).await.verdict, VerdictKind::Block);
    houses.iter().for_each(|house| house.clock.forward(COSIGN_MS));
    assert_eq!(clients[3].incident(&lonely.id).await.unwrap().state, IncidentState::Lapsed);
    let refused = clients[3].declare(&attack(&[case]), None).await;
    let Err(ClientError::Problem(problem)) = refused else { panic!("{refused:?}") };
    assert!(problem.detail.unwrap().contains("24 hours"));
    // Or another organisation agrees first.
    let asks = IncidentRequest { ask_approval: true, level: 1, ..attack(&[case]) };
    let asked = clients[3].declare(&asks, None).await.unwrap();
    assert_eq!(asked.state, IncidentState::Refused);
    until(&clients[0], &asked.id, IncidentState::Refused).await;
    clients[0].cosign(&asked.id, None).await.unwrap();
    until(&clients[3], &asked.id, IncidentState::InForce).await;
    let wrong = IncidentRequest { level: 4, ..attack(&[]) };
    assert!(clients[0].declare(&wrong, None).await.is_err());
    let nothing = clients[0].cosign(&case, None).await;
    assert!(nothing.unwrap_err().to_string().contains("no alert"));
}
