//! What persons do about the outbox, over real sockets: what was given up is tried again or dropped,
//! items are shown or kept down by hand.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use watchfire_api::client::{Client, ClientError};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    ActionQuery, EffectState, EffectView, Raised, RetractRequest, RuleRequest,
};
use watchfire_node::access::Scope;
use watchfire_node::action::{Intervened, Intervention};
use watchfire_node::budget;
use watchfire_node::connector::{Answer, Connector, ConnectorError, Order, Visibility};
use watchfire_node::desk::DeskKind;
use watchfire_signal::effect::EffectName;
use watchfire_signal::name::ItemId;
use watchfire_signal::reason::Reason;

use crate::house::{House, alert_of, alone_with, pdq, scan};

/// A platform that refuses orders until it is repaired, or does not answer at all.
#[derive(Default)]
pub(crate) struct Stubborn {
    refuses: AtomicBool,
    hangs: AtomicBool,
    hidden: Mutex<BTreeSet<String>>,
    orders: Mutex<Vec<Order>>,
}

impl Stubborn {
    fn take(&self, order: &Order, hide: bool) -> Answer {
        self.orders.lock().unwrap().push(order.clone());
        if self.refuses.load(Ordering::SeqCst) {
            return Answer::Refused("closed on Sundays".to_owned());
        }
        let mut hidden = self.hidden.lock().unwrap();
        let item = order.item.clone();
        if if hide { hidden.insert(item) } else { hidden.remove(&item) } {
            Answer::Done
        } else {
            Answer::AlreadyDone
        }
    }

    fn hides(&self, item: &str) -> bool {
        self.hidden.lock().unwrap().contains(item)
    }
}

#[async_trait]
impl Connector for Stubborn {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(self.take(order, true))
    }
    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        Ok(if self.hides(item) { Visibility::Hidden } else { Visibility::Visible })
    }
    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        Ok(self.take(order, false))
    }
}

/// A member that holds two items and alerts on them, with a person who may do all there is to do.
struct Desk {
    house: House,
    platform: Arc<Stubborn>,
    client: Client,
    raised: Raised,
}

const PENDING: watchfire_node::EffectState = watchfire_node::EffectState::Pending;
const ITEM: &str = "clip:1";
const OTHER: &str = "clip:2";

fn item() -> ItemId {
    ITEM.parse().unwrap()
}

async fn desk(refuses: bool) -> Desk {
    let platform = Arc::new(Stubborn::default());
    platform.refuses.store(refuses, Ordering::SeqCst);
    let house = alone_with(platform.clone()).await;
    let client = house.client(&[Scope::Scan, Scope::Curate, Scope::Review]).await;
    for item in [ITEM, OTHER] {
        scan(&client, item, pdq(1)).await;
    }
    let raised = client.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    Desk { house, platform, client, raised }
}

impl Desk {
    /// Waits until the newest effect on an item is this and in a state.
    async fn until(&self, item: &str, action: &str, state: EffectState) -> EffectView {
        let query = ActionQuery { item: Some(item.parse().unwrap()), ..ActionQuery::default() };
        loop {
            let actions = self.client.actions(&query).await.unwrap().actions;
            match actions.into_iter().next_back() {
                Some(last) if last.action == action && last.state == state => return last,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    async fn retract(&self) {
        let why = RetractRequest { reason: Reason::WrongMatch, restore: true, note: None };
        self.client.retract(&self.raised.id, &why, None).await.unwrap();
    }

    fn orders(&self, item: &str) -> Vec<Order> {
        let orders = self.platform.orders.lock().unwrap();
        orders.iter().filter(|order| order.item == item).cloned().collect()
    }
}

fn named(effect: &EffectView) -> EffectName {
    effect.name.parse().unwrap()
}

fn note(text: &str) -> RuleRequest {
    RuleRequest { note: Some(text.to_owned()) }
}

fn problem<T: std::fmt::Debug>(result: Result<T, ClientError>, kind: ProblemKind) -> Problem {
    match result {
        Err(ClientError::Problem(problem)) if problem.is(kind) => *problem,
        other => panic!("{other:?} instead of {kind:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_listed_tried_again_and_done() {
    let desk = desk(true).await;
    let dead = desk.until(ITEM, "remove", EffectState::Dead).await;
    assert_eq!((dead.note.as_str(), dead.connector.as_str()), ("closed on Sundays", "platform"));
    assert!(dead.reversible, "unless a rule says otherwise");
    let query = ActionQuery { state: Some(EffectState::Dead), ..ActionQuery::default() };
    let listed = desk.client.actions(&query).await.unwrap();
    assert!(listed.actions.contains(&dead) && listed.next.is_none());

    desk.platform.refuses.store(false, Ordering::SeqCst);
    let retried = desk.client.retry_action(&named(&dead)).await.unwrap();
    assert_eq!((retried.state, retried.name.as_str()), (EffectState::Pending, dead.name.as_str()));
    let done = desk.until(ITEM, "remove", EffectState::Done).await;
    assert_eq!((done.name.as_str(), done.attempts), (dead.name.as_str(), 2));
    assert!(desk.platform.hides(ITEM));
    // Under the same key as before, and with a line of the desk log for each.
    let orders = desk.orders(ITEM);
    let keys = orders.iter().map(|order| order.key.as_str()).collect::<Vec<_>>();
    assert_eq!(keys, [dead.name.as_str(); 2]);
    assert!(orders.iter().all(|order| order.reversible));
    let mut lines =
        desk.house.node.desk().newest(Some(DeskKind::Outbox), u64::MAX, 9).await.unwrap();
    let intervened = lines.remove(0).deed::<Intervened>().unwrap();
    assert_eq!((intervened.effect, intervened.what), (dead.name.clone(), Intervention::Retry));
    problem(desk.client.retry_action(&named(&dead)).await, ProblemKind::Conflict);
    problem(desk.client.drop_action(&named(&dead)).await, ProblemKind::Conflict);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_not_done_any_more() {
    let desk = desk(true).await;
    let dead = desk.until(ITEM, "remove", EffectState::Dead).await;
    let dropped = desk.client.drop_action(&named(&dead)).await.unwrap();
    assert_eq!(dropped.state, EffectState::Dropped);
    desk.platform.refuses.store(false, Ordering::SeqCst);
    problem(desk.client.retry_action(&named(&dead)).await, ProblemKind::Conflict);
    let dropped = desk.until(ITEM, "remove", EffectState::Dropped).await;
    assert!(dropped.note.starts_with("dropped by key:"), "{}", dropped.note);
    assert_eq!(desk.orders(ITEM).len(), 1);
    problem(desk.client.drop_action(&EffectName([9; 32])).await, ProblemKind::NotFound);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_a_person_shows_comes_back_and_stays() {
    let desk = desk(false).await;
    let removed = desk.until(ITEM, "remove", EffectState::Done).await;
    assert!(desk.platform.hides(ITEM));
    let long = note(&"x".repeat(5_000));
    problem(desk.client.restore_item(&item(), &long).await, ProblemKind::Invalid);
    desk.client.restore_item(&item(), &note("news footage")).await.unwrap();
    let restored = desk.until(ITEM, "restore", EffectState::Done).await;
    assert_eq!(restored.connector, removed.connector);
    assert!(!desk.platform.hides(ITEM));
    // Neither the case, which is alive, nor another one takes it down again.
    scan(&desk.client, "clip:3", pdq(2)).await;
    desk.client.alert(&alert_of(vec![pdq(1), pdq(2)]), None).await.unwrap();
    desk.until("clip:3", "remove", EffectState::Done).await;
    assert_eq!(desk.until(ITEM, "restore", EffectState::Done).await, restored);
    let elsewhere = "clip:9".parse().unwrap();
    problem(desk.client.restore_item(&elsewhere, &note("")).await, ProblemKind::NotFound);
    problem(desk.client.keep_item(&item(), &note("")).await, ProblemKind::Conflict);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_a_person_keeps_stays_down_when_its_case_is_taken_back() {
    let desk = desk(false).await;
    let removed = desk.until(ITEM, "remove", EffectState::Done).await;
    desk.client.keep_item(&item(), &note("ours anyway")).await.unwrap();
    desk.retract().await;
    // Both were judged together.
    desk.until(OTHER, "restore", EffectState::Done).await;
    assert_eq!(desk.until(ITEM, "remove", EffectState::Done).await, removed);
    assert!(desk.platform.hides(ITEM));
    desk.client.restore_item(&item(), &note("after all")).await.unwrap();
    desk.until(ITEM, "restore", EffectState::Done).await;
    assert!(!desk.platform.hides(ITEM));
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_wait_for_too_long_are_listed_page_by_page() {
    const LATE: usize = 5;
    let platform = Arc::new(Stubborn::default());
    platform.hangs.store(true, Ordering::SeqCst);
    let house = alone_with(platform).await;
    let client = house.client(&[Scope::Scan, Scope::Curate]).await;
    let items = budget::AT_ONCE + LATE;
    for item in 0..items {
        scan(&client, &format!("clip:{item}"), pdq(1)).await;
    }
    client.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let begun = async || {
        let effects = house.store.effects_in(PENDING, 0, usize::MAX).await.unwrap();
        effects.iter().filter(|(_, effect)| effect.attempts > 0).count() == budget::AT_ONCE
            && effects.len() == items
    };
    while !begun().await {
        tokio::task::yield_now().await;
    }
    let query = ActionQuery { late: true, limit: Some(LATE - 1), ..ActionQuery::default() };
    assert_eq!(client.actions(&query).await.unwrap().actions, []);
    let within_ms = u64::try_from(budget::WITHIN.as_millis()).unwrap();
    house.clock.forward(within_ms);
    let first = client.actions(&query).await.unwrap();
    let rest = client.actions(&ActionQuery { after: first.next, ..query }).await.unwrap();
    assert_eq!((first.actions.len(), rest.actions.len(), rest.next), (LATE - 1, 1, None));
    assert!(first.actions.iter().chain(&rest.actions).all(|late| late.attempts == 0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_decide_may_not_touch_the_outbox_and_questions_are_one_of_three() {
    let desk = desk(true).await;
    let dead = desk.until(ITEM, "remove", EffectState::Dead).await;
    let curator = desk.house.client(&[Scope::Curate]).await;
    problem(curator.retry_action(&named(&dead)).await, ProblemKind::Forbidden);
    problem(curator.drop_action(&named(&dead)).await, ProblemKind::Forbidden);
    problem(curator.restore_item(&item(), &note("")).await, ProblemKind::Forbidden);
    problem(curator.keep_item(&item(), &note("")).await, ProblemKind::Forbidden);
    let late = ActionQuery { late: true, ..ActionQuery::default() };
    assert_eq!(curator.actions(&late).await.unwrap().actions, []);
    let of_item = ActionQuery { item: Some(item()), ..ActionQuery::default() };
    let in_state = ActionQuery { state: Some(EffectState::Dead), ..ActionQuery::default() };
    for wrong in [
        ActionQuery::default(),
        ActionQuery { item: Some(item()), ..in_state.clone() },
        ActionQuery { late: true, ..in_state },
        ActionQuery { late: true, ..of_item.clone() },
        ActionQuery { limit: Some(1), ..of_item },
    ] {
        problem(curator.actions(&wrong).await, ProblemKind::Invalid);
    }
    let scanner = desk.house.client(&[Scope::Scan]).await;
    problem(scanner.actions(&late).await, ProblemKind::Forbidden);
    desk.house.stop().await;
}
