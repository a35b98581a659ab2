//! Several platforms behind one node: each order goes to the one that serves its item, and none waits
//! for another.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use watchfire_node::{
    Effect, EffectState, Node, Readiness, Setup,
    action::Intervention,
    budget::Budget,
    clock::Clock,
    connector::Connector,
    desk::Actor,
    raise::Answer,
    routes::{NOBODY, Routes},
};
use watchfire_signal::{commitment::Commitment, effect::EffectName, reason::Reason};
use watchfire_store::{MemoryStore, Store};

use crate::{
    coalition::{Cast, TestClock, alert, charter, setup},
    story::picture,
    workshop::{Mood, Platform, Virtual},
};

/// Longer than a node needs for what nothing holds up, on a clock that jumps.
const LONG: Duration = Duration::from_secs(30);

/// A member that is configured again and again over one store.
struct Member {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

/// What a configuration says: a connector, how the ids begin that it serves, what it may be asked.
type Line<'a> = (&'a str, &'a str, &'a Arc<Platform>, Budget);

fn line<'a>(name: &'a str, prefix: &'a str, platform: &'a Arc<Platform>) -> Line<'a> {
    (name, prefix, platform, Budget::default())
}

fn platform(mood: Mood) -> Arc<Platform> {
    let platform = Platform::fine();
    *platform.mood.lock().unwrap() = mood;
    Arc::new(platform)
}

impl Member {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), clock: Virtual::begun() }
    }

    async fn start(&self, lines: &[Line<'_>]) -> Arc<Node> {
        let mut routes = Routes::default();
        let (mut connectors, mut budgets) = (BTreeMap::new(), BTreeMap::new());
        for (name, prefix, platform, budget) in lines {
            routes.add(prefix, name).unwrap();
            let connector: Arc<dyn Connector> = Arc::clone(platform) as _;
            connectors.insert((*name).to_owned(), connector);
            budgets.insert((*name).to_owned(), *budget);
        }
        let alone = setup(Cast {
            me: "tiktok",
            charter: &charter(&[("tiktok", "bytedance")], 1),
            store: self.store.clone(),
            trust: &[],
            peers: BTreeMap::new(),
            clock: TestClock::new(),
            seed: self.clock.now_ms(),
        });
        let clock = self.clock.clone();
        let node =
            Node::start(Setup { connectors, routes, budgets, alone: true, clock, ..alone }).await;
        let node = node.unwrap();
        while node.readiness() != Readiness::Ready {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        node
    }

    async fn effects(&self, state: EffectState) -> Vec<Effect> {
        let page = self.store.effects_in(state, 0, usize::MAX).await.unwrap();
        page.into_iter().map(|(_, effect)| effect).collect()
    }

    /// Waits until nothing waits in the outbox.
    async fn settle(&self) {
        while !self.effects(EffectState::Pending).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Holds items and alerts on them.
async fn hold(node: &Node, items: impl IntoIterator<Item = String>, byte: u8) -> Commitment {
    for item in items {
        node.scan(item.parse().unwrap(), vec![picture(byte)]).await;
    }
    let case = node.raise(alert(vec![picture(byte)]), None).await.unwrap().commitment;
    tokio::time::sleep(LONG).await;
    case
}

async fn retract(node: &Node, case: &Commitment) {
    let given = Answer::Retract { reason: Reason::WrongMatch, restore: true, note: None };
    node.answer(case, given, None).await.unwrap();
    tokio::time::sleep(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_hangs_does_not_delay_the_orders_of_another() {
    const EACH: usize = 40;
    let (slow, quick) = (platform(Mood::Hanging), platform(Mood::Fine));
    let member = Member::new();
    let node = member.start(&[line("slow", "slow:", &slow), line("quick", "", &quick)]).await;
    let items = (0..EACH).flat_map(|item| [format!("slow:{item}"), format!("clip-{item}")]);
    hold(&node, items, 1).await;
    assert_eq!(quick.journal.lock().unwrap().len(), EACH);
    let done = member.effects(EffectState::Done).await;
    assert!(done.len() == EACH && done.iter().all(|effect| effect.connector == "quick"));
    assert_eq!(slow.asked() as usize, Budget::default().at_once);
    let waiting = member.effects(EffectState::Pending).await;
    assert!(waiting.len() == EACH && waiting.iter().all(|effect| effect.connector == "slow"));
}

#[tokio::test(start_paused = true)]
async fn each_connector_has_a_budget_of_its_own() {
    let (small, large) = (platform(Mood::Fine), platform(Mood::Fine));
    let member = Member::new();
    let two = Budget { orders_a_minute: Some(2), ..Budget::default() };
    let seven = Budget { orders_a_minute: Some(7), ..Budget::default() };
    let lines = [("small", "small:", &small, two), ("large", "large:", &large, seven)];
    let node = member.start(&lines).await;
    let items = (0..9).flat_map(|item| [format!("small:{item}"), format!("large:{item}")]);
    hold(&node, items, 1).await;
    assert_eq!((small.asked(), large.asked()), (2, 7));
}

#[tokio::test(start_paused = true)]
async fn what_a_budget_cannot_meet_in_time_is_late_and_what_has_waited_too_long_as_well() {
    let (small, hung) = (platform(Mood::Fine), platform(Mood::Hanging));
    let member = Member::new();
    let within = Duration::from_secs(120);
    let two = Budget { orders_a_minute: Some(2), within, ..Budget::default() };
    let one = Budget { at_once: 1, within, ..Budget::default() };
    let node =
        member.start(&[("small", "small:", &small, two), ("hung", "hung:", &hung, one)]).await;
    let items = (0..9).map(|item| format!("small:{item}"));
    hold(&node, items.chain(["hung:a".to_owned(), "hung:b".to_owned()]), 1).await;
    // Two of nine are done, four of the others can be in time.
    let late = async || {
        let page = node.late_effects(0, 99).await.unwrap();
        page.into_iter().map(|(_, effect)| effect.item).collect::<Vec<_>>()
    };
    assert_eq!(late().await.len(), 3, "{:?}", late().await);
    tokio::time::sleep(within).await;
    // What hangs has its turn; what waits behind it has waited too long.
    assert!(late().await.contains(&"hung:b".to_owned()), "{:?}", late().await);
    assert_eq!(node.late_counts().await.unwrap()["hung"], 1);
    let first = node.late_effects(0, 1).await.unwrap();
    let rest = node.late_effects(first[0].0, 99).await.unwrap();
    assert_eq!(1 + rest.len(), late().await.len());
}

#[tokio::test(start_paused = true)]
async fn orders_under_a_name_that_is_gone_go_to_whoever_serves_the_item() {
    let member = Member::new();
    // As before connectors had queues of their own: all of them as one, which hangs.
    let all = platform(Mood::Hanging);
    let before = member.start(&[line("platform", "", &all)]).await;
    let case = hold(&before, ["mxc://a".to_owned(), "clip".to_owned()], 1).await;
    before.stop().await;
    assert_eq!(member.effects(EffectState::Pending).await.len(), 2);

    let (matrix, webhook) = (platform(Mood::Fine), platform(Mood::Fine));
    let lines = [line("matrix", "mxc://", &matrix), line("webhook", "", &webhook)];
    let after = member.start(&lines).await;
    member.settle().await;
    assert!(matrix.is_hidden("mxc://a") && webhook.is_hidden("clip"));
    let done = member.effects(EffectState::Done).await;
    assert_eq!(done.len(), 2);
    assert!(done.iter().all(|effect| effect.attempts == 2), "they were begun before");
    retract(&after, &case).await;
    assert!(!matrix.is_hidden("mxc://a") && !webhook.is_hidden("clip"));
}

#[tokio::test(start_paused = true)]
async fn an_item_comes_back_where_it_was_taken_down_whoever_serves_it_now() {
    let (first, second) = (platform(Mood::Fine), platform(Mood::Fine));
    let member = Member::new();
    let before = member.start(&[line("first", "", &first)]).await;
    let case = hold(&before, ["clip".to_owned()], 1).await;
    assert!(first.is_hidden("clip"));
    before.stop().await;

    let after = member.start(&[line("first", "old:", &first), line("second", "", &second)]).await;
    // What takes it down besides is told to the one that has it down, so that one restore is enough.
    let other = hold(&after, ["clip".to_owned()], 1).await;
    assert_eq!(member.store.effects_of_item("clip").await.unwrap().len(), 2);
    retract(&after, &case).await;
    assert!(first.is_hidden("clip"), "the other case holds it");
    retract(&after, &other).await;
    assert!(!first.is_hidden("clip"));
    assert_eq!(second.asked(), 0);
    hold(&after, ["clip".to_owned()], 1).await;
    assert!(second.is_hidden("clip"), "a new order goes to the one that serves the item");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_serves_is_refused_and_can_be_tried_again_once_somebody_does() {
    let (matrix, webhook) = (platform(Mood::Fine), platform(Mood::Fine));
    let member = Member::new();
    let before = member.start(&[line("matrix", "mxc://", &matrix)]).await;
    hold(&before, ["clip".to_owned()], 1).await;
    let dead = member.effects(EffectState::Dead).await;
    assert_eq!((dead.len(), dead[0].connector.as_str()), (1, NOBODY));
    assert_eq!(dead[0].note, "no connector of the configuration serves this item");
    before.stop().await;

    let lines = [line("matrix", "mxc://", &matrix), line("webhook", "", &webhook)];
    let after = member.start(&lines).await;
    let name = EffectName(dead[0].name);
    let retried = after.intervene(&Actor::Node, name, Intervention::Retry).await.unwrap();
    assert_eq!(retried.connector, "webhook");
    member.settle().await;
    assert!(webhook.is_hidden("clip"));
    assert_eq!(matrix.asked(), 0);
}
