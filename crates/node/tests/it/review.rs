//! What waits for a person: taken by one, decided once, undone in time, kept over a restart.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use watchfire_node::{
    desk::{Actor, DeskKind},
    policy::Verdict,
    review::{
        Finding, Finds, LEASE_MS, Proposal, Queue, Refused, ReviewError, Scope, Ticket, TicketId,
        UNDO_MS,
    },
    standing::State,
};
use watchfire_signal::{commitment::Commitment, header::Review as Looked, value::Signal};
use watchfire_store::{MemoryStore, Store};

use crate::coalition::{Cast, Stage, TestClock, alert, charter, start};

fn person(name: &str) -> Actor {
    Actor::Person(name.to_owned())
}

fn picture(bits: u8) -> Signal {
    crate::workshop::picture(bits)
}

async fn alone(store: Arc<dyn Store>, clock: Arc<TestClock>, seed: u64) -> Stage {
    let charter = charter(&[("ant", "ants"), ("bee", "bees")], 2);
    let peers = BTreeMap::new();
    start(Cast { me: "ant", charter: &charter, store, trust: &[], peers, clock, seed }).await
}

/// Has an item of the picture wait: nobody has looked at the alert, so policy may do no more.
async fn waits(stage: &Stage, bits: u8, items: &[&str]) -> Ticket {
    let mut new = alert(vec![picture(bits)]);
    new.review = Looked::Unreviewed;
    stage.node.raise(new, None).await.unwrap();
    for item in items {
        let scanned = scan(stage, item, bits).await;
        assert_eq!(scanned, Verdict::Review);
    }
    loop {
        let tickets = stage.node.review().list(None, None, 10).await;
        if let Some(ticket) = tickets.into_iter().find(|ticket| ticket.items.len() == items.len()) {
            return ticket;
        }
        tokio::task::yield_now().await;
    }
}

async fn scan(stage: &Stage, item: &str, bits: u8) -> Verdict {
    let scanned = stage.node.scan(item.parse().unwrap(), vec![picture(bits)]);
    scanned.await.verdict
}

fn finds(finding: Finding, scope: Scope) -> Finds {
    let reason = "as it looks".to_owned();
    Finds { finding, scope, label: None, irreversible: false, reason }
}

async fn decided(stage: &Stage, ticket: &Ticket, finding: Finding, scope: Scope) {
    let (review, who) = (stage.node.review(), person("p1"));
    let taken = review.take(&ticket.id, &who).await.unwrap();
    review.decide(&ticket.id, &who, taken.version, finds(finding, scope)).await.unwrap();
}

async fn after_undo(stage: &Stage) {
    stage.clock.advance_ms(UNDO_MS);
    stage.node.review().settle().await.unwrap();
}

#[tokio::test]
async fn near_duplicates_are_one_entry_and_one_person_holds_it() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1", "post:2", "post:3"]).await;
    assert_eq!(ticket.items.len(), 3);
    let review = stage.node.review();
    let taken = review.next(None, &person("p1")).await.unwrap().unwrap();
    assert_eq!(taken.id, ticket.id);
    assert_eq!(review.next(None, &person("p2")).await.unwrap(), None);
    let refused = review.take(&ticket.id, &person("p2")).await;
    assert!(matches!(refused, Err(ReviewError::Refused(Refused::NotYours))));
    // A sign of life keeps it; without one it is free again.
    stage.clock.advance_ms(LEASE_MS - 1);
    review.heartbeat(&ticket.id, &person("p1")).await.unwrap();
    stage.clock.advance_ms(LEASE_MS - 1);
    assert_eq!(review.next(None, &person("p2")).await.unwrap(), None);
    stage.clock.advance_ms(1);
    assert!(review.next(None, &person("p2")).await.unwrap().is_some());
    let late = review.heartbeat(&ticket.id, &person("p1")).await;
    assert!(matches!(late, Err(ReviewError::Refused(Refused::NotYours))));
}

#[tokio::test]
async fn a_decision_takes_effect_when_it_can_no_longer_be_undone() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1"]).await;
    decided(&stage, &ticket, Finding::Harmful, Scope::Case).await;
    stage.node.review().settle().await.unwrap();
    assert_eq!(scan(&stage, "post:2", 0x5a).await, Verdict::Review);
    after_undo(&stage).await;
    assert_eq!(scan(&stage, "post:3", 0x5a).await, Verdict::Block);
    let undo = stage.node.review().undo(&ticket.id, &person("p1")).await;
    assert!(undo.is_err());
}

#[tokio::test]
async fn a_benign_case_is_let_through_and_a_benign_item_alone_is_too() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1"]).await;
    decided(&stage, &ticket, Finding::Benign, Scope::Items).await;
    after_undo(&stage).await;
    assert_eq!(scan(&stage, "post:1", 0x5a).await, Verdict::Allow);
    assert_eq!(scan(&stage, "post:2", 0x5a).await, Verdict::Review);
    let ticket = loop {
        let tickets = stage.node.review().list(None, None, 10).await;
        match tickets.into_iter().next() {
            Some(ticket) => break ticket,
            None => tokio::task::yield_now().await,
        }
    };
    decided(&stage, &ticket, Finding::Benign, Scope::Case).await;
    after_undo(&stage).await;
    assert_eq!(scan(&stage, "post:9", 0x5a).await, Verdict::Allow);
}

#[tokio::test]
async fn an_undone_decision_changes_nothing_and_the_entry_is_held_again() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1"]).await;
    decided(&stage, &ticket, Finding::Benign, Scope::Case).await;
    stage.clock.advance_ms(UNDO_MS - 1);
    let other = stage.node.review().undo(&ticket.id, &person("p2")).await;
    assert!(matches!(other, Err(ReviewError::Refused(Refused::TooLate))));
    let undone = stage.node.review().undo(&ticket.id, &person("p1")).await.unwrap();
    assert_eq!(undone.lease.unwrap().who, "person:p1");
    after_undo(&stage).await;
    assert_eq!(scan(&stage, "post:1", 0x5a).await, Verdict::Review);
}

#[tokio::test]
async fn who_looked_at_another_version_is_told() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1"]).await;
    let (review, who) = (stage.node.review(), person("p1"));
    let taken = review.take(&ticket.id, &who).await.unwrap();
    review.release(&ticket.id, &who).await.unwrap();
    review.take(&ticket.id, &who).await.unwrap();
    let stale = finds(Finding::Benign, Scope::Items);
    let stale = review.decide(&ticket.id, &who, taken.version, stale).await;
    assert!(matches!(stale, Err(ReviewError::Refused(Refused::Stale { .. }))));
    let for_good = Finds { irreversible: true, ..finds(Finding::Benign, Scope::Items) };
    let for_good = review.decide(&ticket.id, &person("p1"), taken.version, for_good).await;
    assert!(matches!(for_good, Err(ReviewError::Refused(Refused::Irreversible))));
    let wordless = Finds { reason: String::new(), ..finds(Finding::Benign, Scope::Items) };
    let wordless = review.decide(&ticket.id, &who, taken.version + 2, wordless).await;
    assert!(matches!(wordless, Err(ReviewError::Refused(Refused::Reason))));
}

#[tokio::test]
async fn what_waits_and_what_was_decided_survives_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1"]).await;
    let clock = stage.clock.clone();
    decided(&stage, &ticket, Finding::Harmful, Scope::Case).await;
    stage.node.stop().await;
    drop(stage);

    // The crash came between the decision and its effect.
    let stage = alone(store.clone(), clock.clone(), 2).await;
    after_undo(&stage).await;
    assert_eq!(stage.node.review().list(None, None, 10).await, []);
    stage.node.stop().await;
    drop(stage);

    let stage = alone(store, clock, 3).await;
    assert_eq!(scan(&stage, "post:2", 0x5a).await, Verdict::Block);
    let lines = stage.node.desk().newest(Some(DeskKind::Decision), u64::MAX, 10).await.unwrap();
    let actors: Vec<_> = lines.iter().map(|line| line.record.clone().unwrap().actor).collect();
    assert_eq!(actors, ["node", "person:p1"]);
}

#[tokio::test]
async fn a_case_that_lapses_stays_until_somebody_has_looked() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1"]).await;
    stage.clock.advance_ms(25 * 3_600_000);
    let view = stage.node.alert(&ticket.set).unwrap();
    assert_eq!(view.state, State::Lapsed);
    let taken = stage.node.review().next(None, &person("p1")).await.unwrap();
    assert_eq!(taken.map(|taken| taken.id), Some(ticket.id));
}

#[tokio::test]
async fn every_look_is_written_down_and_a_person_sees_so_much_a_day() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let ticket = waits(&stage, 0x5a, &["post:1"]).await;
    let review = stage.node.review();
    review.look(&ticket.id, &person("p1")).await.unwrap();
    review.look(&ticket.id, &person("p1")).await.unwrap();
    let lines = stage.node.desk().newest(Some(DeskKind::Look), u64::MAX, 10).await.unwrap();
    assert_eq!(lines.len(), 2);
    // The same ticket again and again is one; others fill the day that the policy allows.
    const A_DAY: usize = 400;
    for n in 1..u32::try_from(A_DAY).unwrap() {
        let mut case = [0; 32];
        case[..4].copy_from_slice(&n.to_be_bytes());
        review.propose(proposal(Commitment(case), 4, "post:x")).await;
    }
    while review.list(None, None, 1_000).await.len() < A_DAY {
        tokio::task::yield_now().await;
    }
    for _ in 1..A_DAY {
        let taken = review.next(None, &person("p1")).await.unwrap().unwrap();
        review.release(&taken.id, &person("p1")).await.unwrap();
        review.take(&taken.id, &person("p2")).await.unwrap();
    }
    review.propose(proposal(Commitment([255; 32]), 4, "post:y")).await;
    while review.list(None, None, 1_000).await.len() <= A_DAY {
        tokio::task::yield_now().await;
    }
    let enough = review.next(None, &person("p1")).await;
    assert!(matches!(enough, Err(ReviewError::Exposure(_))), "{enough:?}");
    // Nor is there a way round by its name.
    let all = review.list(None, None, 1_000).await;
    let last = all.iter().find(|ticket| ticket.case == Commitment([255; 32])).unwrap();
    let taken = review.take(&last.id, &person("p1")).await;
    assert!(matches!(taken, Err(ReviewError::Exposure(_))), "{taken:?}");
    let lines = stage.node.desk().newest(Some(DeskKind::Look), u64::MAX, 10_000).await.unwrap();
    assert_eq!(lines.len(), 2 + 2 * (A_DAY - 1), "who took one has looked");
    stage.clock.advance_ms(86_400_000);
    assert!(review.next(None, &person("p1")).await.unwrap().is_some());
}

#[tokio::test]
async fn long_names_of_items_keep_no_decision_from_taking_effect() {
    let stage = alone(Arc::new(MemoryStore::new()), TestClock::new(), 1).await;
    let review = stage.node.review();
    // As long as a name may be, in bytes and in characters.
    let name = |case: u8, number: usize| format!("{}{case}-{number:04}", "\u{1f600}".repeat(250));
    let hold = async |case: u8, items: std::ops::Range<usize>| {
        let end = items.end;
        for number in items {
            review.propose(proposal(Commitment([case; 32]), 4, &name(case, number))).await;
        }
        loop {
            let tickets = review.list(None, None, 10).await;
            let of = |ticket: &&Ticket| ticket.case == Commitment([case; 32]);
            if let Some(ticket) = tickets.iter().find(of).filter(|it| it.items.len() == end) {
                return ticket.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let many = hold(1, 0..90).await;
    decided(&stage, &many, Finding::Harmful, Scope::Items).await;
    let few = hold(2, 0..1).await;
    decided(&stage, &few, Finding::Harmful, Scope::Items).await;
    // Those that come before it is in effect are not ruled on, and not named.
    hold(2, 1..90).await;
    after_undo(&stage).await;
    let lines = stage.node.desk().newest(Some(DeskKind::Decision), u64::MAX, 10).await.unwrap();
    let named = |line: &watchfire_node::desk::Written| {
        let body = line.record.as_ref().map(|record| record.body.clone()).unwrap_or_default();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (body["step"].clone(), body["items"].as_array().unwrap().len())
    };
    let in_effect = lines.iter().map(named).filter(|(step, _)| step == "in_effect");
    let mut in_effect: Vec<_> = in_effect.map(|(_, items)| items).collect();
    in_effect.sort_unstable();
    assert_eq!((in_effect.len(), in_effect[0]), (2, 1));
    assert!((5..90).contains(&in_effect[1]), "{in_effect:?}");
}

fn proposal(case: Commitment, severity: u8, item: &str) -> Proposal {
    Proposal {
        queue: None,
        case,
        set: case,
        labels: vec![],
        severity,
        item: item.parse().unwrap(),
        at_ms: 1,
        content: None,
    }
}

#[derive(Debug, Clone)]
enum Move {
    Propose(u8, u8),
    Next(u8),
    Take(u8, u8),
    Heartbeat(u8, u8),
    Release(u8, u8),
    Decide(u8, u8, bool),
    Undo(u8, u8),
    Settle,
    Wait(u32),
}

fn moves() -> impl Strategy<Value = Move> {
    let (case, who) = (0_u8..4, 0_u8..3);
    prop_oneof![
        (case.clone(), 0_u8..5).prop_map(|(case, item)| Move::Propose(case, item)),
        who.clone().prop_map(Move::Next),
        (case.clone(), who.clone()).prop_map(|(case, who)| Move::Take(case, who)),
        (case.clone(), who.clone()).prop_map(|(case, who)| Move::Heartbeat(case, who)),
        (case.clone(), who.clone()).prop_map(|(case, who)| Move::Release(case, who)),
        (case.clone(), who.clone(), any::<bool>()).prop_map(|(c, w, all)| Move::Decide(c, w, all)),
        (case, who).prop_map(|(case, who)| Move::Undo(case, who)),
        Just(Move::Settle),
        (0_u32..900_000).prop_map(Move::Wait),
    ]
}

/// A second account of who holds what, kept beside the queue.
#[derive(Default)]
struct Account {
    queue: Queue,
    now: u64,
    holders: BTreeMap<u8, (String, u64)>,
    ruled: BTreeMap<u8, (String, u64)>,
}

fn id(case: u8) -> TicketId {
    TicketId::of(&Commitment([case; 32]))
}

fn named(who: u8) -> String {
    format!("person:{who}")
}

impl Account {
    fn holds(&self, case: u8, who: u8) -> bool {
        let lease = self.holders.get(&case);
        lease.is_some_and(|(holder, until)| *until > self.now && *holder == named(who))
    }

    fn held_by_another(&self, case: u8, who: u8) -> bool {
        let lease = self.holders.get(&case);
        lease.is_some_and(|(holder, until)| *until > self.now && *holder != named(who))
    }

    fn note_lease(&mut self, case: u8, who: u8) {
        self.holders.insert(case, (named(who), self.now + LEASE_MS));
    }

    /// Makes a move; the queue has to allow exactly what this account allows.
    fn make(&mut self, one: Move) {
        let now = self.now;
        match one {
            Move::Propose(case, item) => {
                let item = format!("post:{item}");
                self.queue.propose(proposal(Commitment([case; 32]), case, &item)).unwrap();
            }
            Move::Next(who) => {
                let Some(next) = self.queue.next(None, &named(who), now) else { return };
                let case = (0..4).find(|case| id(*case) == next).unwrap();
                assert!(!self.ruled.contains_key(&case));
                self.queue.take(&next, &named(who), now).unwrap();
                self.note_lease(case, who);
            }
            Move::Take(case, who) => {
                let there = self.queue.ticket(&id(case)).is_some();
                let free = !self.ruled.contains_key(&case) && !self.held_by_another(case, who);
                let took = self.queue.take(&id(case), &named(who), now).is_ok();
                assert_eq!(took, there && free);
                if took {
                    self.note_lease(case, who);
                }
            }
            Move::Heartbeat(case, who) => {
                let kept = self.queue.heartbeat(&id(case), &named(who), now).is_ok();
                assert_eq!(kept, self.holds(case, who));
                if kept {
                    self.note_lease(case, who);
                }
            }
            Move::Release(case, who) => {
                let released = self.queue.release(&id(case), &named(who), now).is_ok();
                assert_eq!(released, self.holds(case, who));
                if released {
                    self.holders.remove(&case);
                }
            }
            Move::Decide(case, who, all) => self.decide(case, who, all),
            Move::Undo(case, who) => {
                let own = self.ruled.get(&case);
                let may = own.is_some_and(|(by, due)| *by == named(who) && *due > now);
                assert_eq!(self.queue.undo(&id(case), &named(who), now).is_ok(), may);
                if may {
                    self.ruled.remove(&case);
                    self.note_lease(case, who);
                }
            }
            Move::Settle => self.settle(),
            Move::Wait(ms) => self.now += u64::from(ms),
        }
    }

    fn decide(&mut self, case: u8, who: u8, all: bool) {
        let may = self.holds(case, who);
        let version = self.queue.ticket(&id(case)).map_or(0, |ticket| ticket.version);
        let scope = if all { Scope::Case } else { Scope::Items };
        let finds = (version, finds(Finding::Benign, scope));
        let decided = self.queue.decide(&id(case), &named(who), finds, self.now).is_ok();
        assert_eq!(decided, may);
        if may {
            self.holders.remove(&case);
            self.ruled.insert(case, (named(who), self.now + UNDO_MS));
        }
    }

    fn settle(&mut self) {
        for due in self.queue.due(self.now) {
            let case = (0..4).find(|case| id(*case) == due).unwrap();
            let (_, at) = self.ruled.remove(&case).unwrap();
            assert!(at <= self.now);
            let left = Queue::settled(self.queue.ticket(&due).unwrap());
            self.queue.settle(&due, left);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn one_person_holds_a_ticket_and_nothing_leaves_undecided(
        moves in prop::collection::vec(moves(), 1..80),
    ) {
        let mut account = Account::default();
        moves.into_iter().for_each(|one| account.make(one));
    }
}
