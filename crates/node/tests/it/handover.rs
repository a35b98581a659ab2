//! A charter changes over a node that runs: the next one begins with what was folded beside it, and is as if it had
//! folded everything itself.

mod stories;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
};

use tokio::sync::watch::Sender;
use watchfire_node::{
    Effect, EffectState, Node, PrepareError, Setup,
    charter::{
        approve,
        draft::{Ends, next},
    },
    clock::Clock,
    peer::Peer,
    people::{About, Word},
    policy::Human,
    seen::Item,
    standing::{PROVISIONAL_MAX_MS, State},
};
use watchfire_signal::{
    charter::{Approval, Charter, SignedCharter},
    commitment::Commitment,
    header::{Provenance, Review, Target},
    name::LogName,
    statement::{Head, Statement},
};
use watchfire_store::{Append, Batch, Held, MemoryStore, Row, Store};
use watchfire_tlog::{Checkpoint, Frontier, Origin, SignedCheckpoint};

use crate::{
    coalition::{
        Cast, START_MS, TestClock, TestPeer, TestPlatform, alert, charter, key, name, setup,
    },
    logs::{Logs, MEMBERS, SEEN},
    workshop::picture,
};

/// Those who speak, and the one whose node it is.
const SIX: [(&str, &str); 6] =
    [MEMBERS[0], MEMBERS[1], MEMBERS[2], MEMBERS[3], MEMBERS[4], ("twitch", "amazon")];
const HOUR_MS: u64 = 3_600_000;

/// An entry of a log, as it comes.
type Came = (LogName, Held);

/// A store into which logs grow, as copies of them do.
struct Copied {
    store: Arc<dyn Store>,
    frontiers: BTreeMap<LogName, Frontier>,
}

impl Copied {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), frontiers: BTreeMap::new() }
    }

    async fn grow<'a>(&mut self, entries: impl IntoIterator<Item = &'a (LogName, Held)>) {
        for (log, held) in entries {
            let frontier = self.frontiers.entry(log.clone()).or_default();
            let (size, leaf_hash) = (frontier.size(), held.entry.leaf_hash());
            assert_eq!(size, held.index);
            frontier.append(leaf_hash);
            let origin = Origin::new(log.to_string()).unwrap();
            let (size_after, root) = (frontier.size(), frontier.root());
            let head = Checkpoint { origin: origin.clone(), size: size_after, root };
            let by = if log.epoch == 1 { log.member.to_string() } else { again(&log.member) };
            let append = Append {
                log: origin,
                size,
                entries: vec![held.entry.clone()],
                leaf_hashes: vec![leaf_hash],
                checkpoint: SignedCheckpoint::sign(&head, &key(&by)),
                verified_ms: held.verified_ms,
            };
            let batch = Batch { append: Some(append), ..Batch::default() };
            self.store.commit(batch).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    async fn put(&self, row: &Row) {
        let batch = Batch { rows: vec![row.clone()], ..Batch::default() };
        self.store.commit(batch).await.unwrap();
    }
}

fn again(member: &impl ToString) -> String {
    format!("{} again", member.to_string())
}

/// The charter after another one, which all have approved.
fn signed(
    before: &SignedCharter,
    by: &str,
    ends: &Ends,
    change: impl FnOnce(&mut Charter),
) -> SignedCharter {
    let mut wanted = before.charter.clone();
    change(&mut wanted);
    let charter = next(before, wanted, &name(by), ends);
    let hash = charter.hash();
    let members = before.charter.members.iter().map(|member| member.name.clone());
    let approvals = members.map(|member| {
        let signature = approve(&hash, &key(member.as_str()));
        Approval { member, signature }
    });
    SignedCharter::new(charter, approvals.collect()).unwrap()
}

fn twitch(store: &Arc<dyn Store>, charter: &SignedCharter, clock: &Arc<TestClock>) -> Setup {
    let (store, clock) = (store.clone(), clock.clone());
    let (peers, trust) = (BTreeMap::new(), &["reddit", "google"][..]);
    let cast = Cast { me: "twitch", charter, store, trust, peers, clock, seed: 5 };
    Setup { alone: true, ..setup(cast) }
}

/// Lets the node work until something is so.
async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::task::yield_now().await;
    }
}

fn entries(logs: &Logs) -> Vec<(LogName, Held)> {
    let all = logs.interleaved(&[]).into_iter();
    all.map(|(log, held)| (log.clone(), held.clone())).collect()
}

/// A case that two organisations stand by, of a picture that is far from others.
fn confirmed(logs: &mut Logs, number: u8) -> (Commitment, Target) {
    let body = alert(vec![picture(number)]).alert;
    let case = logs.say("tiktok", &Statement::Assert(body), |header| {
        header.severity = Some(3);
        header.review = Some(Review::OneHuman);
        header.provenance = Provenance::OwnDetection;
    });
    logs.confirm("google", &case, SEEN);
    case
}

/// One that two others want halted.
fn disputed(logs: &mut Logs, number: u8) -> (Commitment, Target) {
    let case = confirmed(logs, number);
    logs.halt("facebook", &case.1);
    logs.halt("reddit", &case.1);
    case
}

/// Holds an item of what a set is about.
async fn hold(node: &Node, item: &str, set: &Commitment) {
    let signals = node.alert(set).unwrap().set.alert.clone().unwrap().signals;
    let (id, parts, facts) = (item.parse().unwrap(), Vec::new(), Default::default());
    node.import(vec![Item { id, seen_ms: START_MS, signals, parts, facts }]).await.unwrap();
}

#[tokio::test]
async fn what_a_charter_undoes_comes_back_also_where_the_node_before_removed_it_meanwhile() {
    let mut logs = Logs::under(charter(&SIX, 2));
    let first = logs.charter.clone();
    let (before, meanwhile) = (disputed(&mut logs, 1), disputed(&mut logs, 2));
    let stays = confirmed(&mut logs, 3);
    let second = signed(&first, "tiktok", &Ends::new(), |charter| charter.quorums.halt = 2);
    let (clock, platform) = (TestClock::new(), Arc::new(TestPlatform::default()));
    clock.advance_ms(HOUR_MS);
    let mut copied = Copied::new();
    copied.grow(&entries(&logs)).await;
    // It does not sign, because another member is silent: what it tells of in its log would have cases looked at.
    let peer = TestPeer { store: Arc::new(MemoryStore::new()), up: Sender::new(false) };
    let peer = Arc::new(peer) as Arc<dyn Peer>;
    let setup = || Setup {
        connectors: BTreeMap::from([("platform".to_owned(), platform.clone() as Arc<_>)]),
        alone: false,
        peers: BTreeMap::from([(name("tiktok"), peer.clone())]),
        ..twitch(&copied.store, &first, &clock)
    };
    let running = Node::start(setup()).await.unwrap();
    hold(&running, "before", &before.0).await;
    hold(&running, "stays", &stays.0).await;
    until(|| platform.is_hidden("before") && platform.is_hidden("stays")).await;
    running.changes().take(vec![second]).await.unwrap();
    let prepared = running.prepare().await.unwrap();
    hold(&running, "meanwhile", &meanwhile.0).await;
    // Once that is settled nothing but a look at the case comes back to it.
    let meanwhile_item = "meanwhile".parse().unwrap();
    let settled = |effect: &Effect| effect.state == EffectState::Done;
    while !running.effects(&meanwhile_item).await.unwrap().iter().any(settled) {
        tokio::task::yield_now().await;
    }
    assert!(platform.is_hidden("before"), "who prepares changes nothing");
    running.stop().await;
    let handed = Node::start_after(setup(), prepared).await.unwrap();
    assert_eq!(handed.alert(&before.0).unwrap().state, State::Retracted);
    until(|| !platform.is_hidden("before") && !platform.is_hidden("meanwhile")).await;
    assert!(platform.is_hidden("stays"));
}

#[tokio::test]
async fn what_a_person_finds_harmful_while_it_is_prepared_is_found_although_its_case_is_over() {
    let mut logs = Logs::under(charter(&SIX, 3));
    let first = logs.charter.clone();
    let case = confirmed(&mut logs, 1);
    let second = signed(&first, "tiktok", &Ends::new(), |charter| charter.quorums.halt = 2);
    let clock = TestClock::new();
    clock.advance_ms(PROVISIONAL_MAX_MS + HOUR_MS);
    let mut copied = Copied::new();
    copied.grow(&entries(&logs)).await;
    let setup = || twitch(&copied.store, &first, &clock);
    let running = Node::start(setup()).await.unwrap();
    let found = |node: &Node| node.lookup(&[picture(1)]).len();
    assert_eq!((running.alert(&case.0).unwrap().state, found(&running)), (State::Lapsed, 0));
    running.changes().take(vec![second]).await.unwrap();
    let prepared = running.prepare().await.unwrap();
    let human = Human { harmful: true, label: None, irreversible: false, at_ms: 1 };
    copied.put(&About::Case(case.0).row(Some(&Word::Found(human)))).await;
    running.stop().await;
    let handed = Node::start_after(setup(), prepared).await.unwrap();
    assert_eq!((handed.charter().seq, found(&handed)), (2, 1));
}

#[tokio::test]
async fn what_has_lapsed_stays_so_under_the_next_charter_although_the_machine_was_set_back() {
    let mut logs = Logs::under(charter(&SIX, 3));
    let first = logs.charter.clone();
    let case = confirmed(&mut logs, 1);
    let second = signed(&first, "tiktok", &Ends::new(), |charter| charter.quorums.halt = 2);
    let mut copied = Copied::new();
    copied.grow(&entries(&logs)).await;
    let clock = TestClock::new();
    let running = Node::start(twitch(&copied.store, &first, &clock)).await.unwrap();
    clock.advance_ms(PROVISIONAL_MAX_MS + HOUR_MS);
    until(|| running.alert(&case.0).unwrap().state == State::Lapsed).await;
    running.changes().take(vec![second]).await.unwrap();
    running.outdated().await;
    let handover = running.handover();
    running.stop().await;
    // Nothing in the logs is as new as what the node has measured.
    let set_back = twitch(&copied.store, &first, &TestClock::new());
    let next = Node::start_after(set_back, handover).await.unwrap();
    assert_eq!((next.charter().seq, next.alert(&case.0).unwrap().state), (2, State::Lapsed));
}

/// A clock that tells no other thread the time before it is opened: whoever folds there stands still.
struct Gate {
    clock: Arc<TestClock>,
    here: ThreadId,
    waited_for: AtomicBool,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Clock for Gate {
    fn now_ms(&self) -> u64 {
        if std::thread::current().id() != self.here {
            self.waited_for.store(true, Ordering::SeqCst);
            let open = self.open.lock().unwrap();
            drop(self.opened.wait_while(open, |open| !*open).unwrap());
        }
        self.clock.now_ms()
    }
}

#[tokio::test]
async fn a_charter_that_comes_while_another_one_is_prepared_is_the_one_that_is_begun_with() {
    let mut logs = Logs::under(charter(&SIX, 2));
    let first = logs.charter.clone();
    let case = disputed(&mut logs, 1);
    let halting = |before: &SignedCharter, halt| {
        signed(before, "tiktok", &Ends::new(), |charter| charter.quorums.halt = halt)
    };
    let second = halting(&first, 2);
    let third = halting(&second, 3);
    let fourth = halting(&third, 2);
    let clock = TestClock::new();
    clock.advance_ms(HOUR_MS);
    let mut copied = Copied::new();
    copied.grow(&entries(&logs)).await;
    let gate = Arc::new(Gate {
        clock: clock.clone(),
        here: std::thread::current().id(),
        waited_for: AtomicBool::new(false),
        open: Mutex::new(false),
        opened: Condvar::new(),
    });
    let setup = || Setup { clock: gate.clone(), ..twitch(&copied.store, &first, &clock) };
    let running = Node::start(setup()).await.unwrap();
    running.changes().take(vec![second]).await.unwrap();
    let newer = async {
        until(|| gate.waited_for.load(Ordering::SeqCst)).await;
        running.changes().take(vec![third]).await.unwrap();
        *gate.open.lock().unwrap() = true;
        gate.opened.notify_all();
    };
    let (prepared, ()) = tokio::join!(running.prepare(), newer);
    let prepared = prepared.unwrap();
    assert_eq!(prepared.charter().seq, 3);
    // One that comes after that is not passed over either: what was prepared is of no use.
    running.changes().take(vec![fourth]).await.unwrap();
    running.stop().await;
    let node = Node::start_after(setup(), prepared).await.unwrap();
    assert_eq!(node.charter().seq, 4);
    assert_eq!(node.alert(&case.0).unwrap().state, State::Retracted, "by two of two");
}

#[tokio::test]
async fn nothing_is_prepared_for_a_member_that_has_left_or_whose_log_others_have_ended() {
    let first = charter(&SIX, 2);
    let log = first.charter.log_of(&name("twitch")).unwrap();
    let ends = Ends::from([(log, Head { size: 0, root: [0; 32] })]);
    let leave = |charter: &mut Charter| {
        charter.members.retain(|member| member.name != name("twitch"));
    };
    let stolen = |charter: &mut Charter| {
        let mut members = charter.members.iter_mut();
        let its = members.find(|member| member.name == name("twitch"));
        its.unwrap().key = key(&again(&"twitch")).public().to_bytes();
    };
    for (number, change) in [&leave as &dyn Fn(&mut Charter), &stolen].into_iter().enumerate() {
        let copied = Copied::new();
        let running = Node::start(twitch(&copied.store, &first, &TestClock::new())).await.unwrap();
        let second = signed(&first, "tiktok", &ends, change);
        running.changes().take(vec![second]).await.unwrap();
        let refused = running.prepare().await.map(drop).unwrap_err();
        let why = matches!(refused, PrepareError::Start(_)) && number == 0;
        assert!(why || matches!(refused, PrepareError::Ended) && number == 1, "{refused}");
    }
}

#[tokio::test]
async fn what_others_say_under_a_newer_charter_counts_while_that_is_prepared_and_what_it_ended_does_not()
 {
    let mut logs = Logs::under(charter(&SIX, 2));
    let first = logs.charter.clone();
    let taken_back = logs.assert("tiktok", Review::OneHuman);
    let also = logs.assert("tiktok", Review::OneHuman);
    let in_time = logs.assert("reddit", Review::OneHuman);
    let clock = TestClock::new();
    clock.advance_ms(HOUR_MS);
    let mut copied = Copied::new();
    let before = entries(&logs);
    copied.grow(&before).await;
    let running = Node::start(twitch(&copied.store, &first, &clock)).await.unwrap();
    let state = |case: &(Commitment, Target)| running.alert(&case.0).map(|alert| alert.state);
    let folded = |log: &LogName, size: u64| running.receipts().here().get(log) == Some(&size);

    let ends = Ends::from([(logs.log("reddit"), Head { size: 1, root: [0; 32] })]);
    let second = signed(&first, "tiktok", &ends, |charter| {
        charter.members.retain(|member| member.name != name("reddit"));
    });
    // One member is faster than the charter.
    logs.charter = second.clone();
    logs.retract("tiktok", &taken_back.1);
    let log = logs.log("tiktok");
    copied.grow(&entries(&logs)[before.len()..]).await;
    until(|| folded(&log, 3)).await;
    assert_eq!(state(&taken_back), Some(State::Provisional), "nobody here knows that charter");
    running.changes().take(vec![second.clone()]).await.unwrap();
    until(|| state(&taken_back) == Some(State::Retracted)).await;

    // Then one that speaks when it is known, and one that does not know that its log has ended.
    logs.retract("tiktok", &also.1);
    let fresh = logs.assert("facebook", Review::OneHuman);
    logs.charter = first;
    let too_late = logs.assert("reddit", Review::OneHuman);
    let new = entries(&logs).into_iter().filter(|(log, held)| {
        copied.frontiers.get(log).is_none_or(|frontier| held.index >= frontier.size())
    });
    let new: Vec<_> = new.collect();
    copied.grow(&new).await;
    until(|| new.iter().all(|(log, held)| folded(log, held.index + 1))).await;
    assert_eq!(state(&also), Some(State::Retracted));
    assert_eq!(state(&fresh), Some(State::Provisional));
    assert_eq!(
        state(&in_time),
        Some(State::Provisional),
        "what it said in time goes on until then"
    );
    assert_eq!(state(&too_late), None);
}
