//! Banks: found at once, off at once, the same after a restart, every change a line of the desk log.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use watchfire_node::{
    banks::{
        BATCH, BankDeed, BankError, BankWhat, Change, ContentChange, ContentError, ContentId,
        ContentWhat, NewContent, Settings, SettingsError, SignalsDeed,
    },
    desk::{Actor, DeskKind},
};
use watchfire_signal::{
    digest::{Md5Digest, Sha256Digest},
    hex,
    name::BankName,
    pdq::Pdq,
    value::{Kind, Signal, Value, ValueOrBlob},
    vpdq::{Frame, Vpdq},
};
use watchfire_store::{Batch, MemoryStore, Row, Store};

use crate::coalition::{Cast, Stage, TestClock, charter, start};

async fn alone(store: Arc<dyn Store>, seed: u64) -> Stage {
    let charter = charter(&[("ant", "ants"), ("bee", "bees")], 1);
    let clock = TestClock::new();
    let peers = BTreeMap::new();
    start(Cast { me: "ant", charter: &charter, store, trust: &[], peers, clock, seed }).await
}

fn bank(text: &str) -> BankName {
    text.parse().unwrap()
}

fn actor() -> Actor {
    Actor::Person("p1".to_owned())
}

/// A picture hash that differs by `seed` in about half of all bits.
fn pdq(seed: u64) -> Pdq {
    use watchfire_node::clock::Random;
    let mut bytes = [0; 32];
    crate::coalition::TestRandom::new(seed.wrapping_mul(77_777_777)).fill(&mut bytes);
    Pdq(bytes)
}

fn picture(seed: u64) -> Signal {
    Signal::new(Value::Pdq(pdq(seed)))
}

/// The same picture with so many bits turned.
fn edited(seed: u64, bits: usize) -> Signal {
    let mut pdq = pdq(seed);
    (0..bits).for_each(|bit| pdq.0[bit / 8] ^= 1 << (bit % 8));
    Signal::new(Value::Pdq(pdq))
}

fn video(seed: u64) -> Signal {
    let frame = |number: u32| {
        let pdq = pdq(seed + u64::from(number));
        Frame { number, at_ms: number * 500, quality: 100, pdq }
    };
    Signal::new(Value::Vpdq(Vpdq { frames: (0..20).map(frame).collect() }))
}

async fn put(stage: &Stage, name: &str, signals: Vec<Signal>) -> ContentId {
    let list = vec![NewContent::of(signals)];
    stage.node.banks().add(&actor(), &bank(name), list).await.unwrap()[0].id
}

/// What a lookup answers: banks and contents.
fn found(stage: &Stage, signal: &Signal) -> Vec<(String, u64)> {
    let found = stage.node.banks().lookup(std::slice::from_ref(signal), &[]);
    found.iter().map(|found| (found.bank.name.to_string(), found.content.0)).collect()
}

#[tokio::test]
async fn an_added_signal_of_every_kind_matches_at_once_and_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), 1).await;
    let banks = stage.node.banks();
    let label = "violence.graphic_death".parse().unwrap();
    let settings = Settings { labels: vec![label], severity: 3, ..Settings::default() };
    banks.create(&actor(), bank("GORE"), settings.clone()).await.unwrap();
    let sha256 = Signal::new(Value::Sha256(Sha256Digest([1; 32])));
    let md5 = Signal::new(Value::Md5(Md5Digest([2; 16])));
    let both = put(&stage, "GORE", vec![sha256.clone(), picture(1)]).await;
    let exact = put(&stage, "GORE", vec![md5.clone()]).await;
    let clip = put(&stage, "GORE", vec![video(100)]).await;
    assert_eq!((both.0, exact.0, clip.0), (1, 2, 3));
    let check = |stage: &Stage| {
        for (signal, id) in
            [(&sha256, 1), (&picture(1), 1), (&edited(1, 31), 1), (&md5, 2), (&video(100), 3)]
        {
            assert_eq!(found(stage, signal), [("GORE".to_owned(), id)], "{}", signal.kind());
        }
        assert!(found(stage, &edited(1, 32)).is_empty());
        let of_two = stage.node.banks().lookup(&[sha256.clone(), edited(1, 5)], &[]);
        assert_eq!(of_two.len(), 1, "a content stands in an answer once");
        assert_eq!(of_two[0].hit.kind, Kind::Sha256, "by its strongest hit");
        assert_eq!(of_two[0].bank.settings, settings);
        let counts = stage.node.banks().counts(of_two[0].bank.number);
        assert_eq!((counts.contents, counts.sha256, counts.md5), (3, 1, 1));
        assert_eq!((counts.pdq, counts.vpdq), (1, 1));
    };
    check(&stage);
    stage.node.stop().await;
    drop(stage);
    check(&alone(store, 2).await);
}

#[tokio::test]
async fn a_bank_that_is_off_out_of_reach_or_too_far_matches_nothing() {
    let stage = alone(Arc::new(MemoryStore::new()), 1).await;
    let banks = stage.node.banks();
    banks.create(&actor(), bank("A"), Settings::default()).await.unwrap();
    for seed in 1..=200 {
        put(&stage, "A", vec![picture(seed)]).await;
    }
    let change = async |change| banks.change(&actor(), bank("A"), change).await.unwrap();
    let hits = || (1..=200).filter(|seed| !found(&stage, &edited(*seed, 10)).is_empty());

    change(Change { enabled: Some(false), ..Change::default() }).await;
    assert_eq!(hits().count(), 0);
    change(Change { enabled: Some(true), ratio: Some(0.25), ..Change::default() }).await;
    let quarter: Vec<_> = hits().collect();
    assert!((25..=75).contains(&quarter.len()), "{} of 200", quarter.len());
    assert_eq!(quarter, hits().collect::<Vec<_>>(), "the same at each lookup");
    change(Change { ratio: Some(0.5), ..Change::default() }).await;
    let half: Vec<_> = hits().collect();
    assert!(quarter.iter().all(|seed| half.contains(seed)), "a greater share holds a smaller one");
    change(Change { ratio: Some(0.0), ..Change::default() }).await;
    assert_eq!(hits().count(), 0);
    change(Change { ratio: Some(1.0), max_distance: Some(9), ..Change::default() }).await;
    assert_eq!(hits().count(), 0);
    change(Change { max_distance: Some(10), ..Change::default() }).await;
    assert_eq!(hits().count(), 200);
}

#[tokio::test]
async fn a_content_that_is_disabled_matches_again_when_its_time_has_come() {
    let stage = alone(Arc::new(MemoryStore::new()), 1).await;
    let banks = stage.node.banks();
    banks.create(&actor(), bank("A"), Settings::default()).await.unwrap();
    let id = put(&stage, "A", vec![picture(1)]).await;
    let until = crate::coalition::START_MS + 1_000;
    let change = ContentChange { disabled_until_ms: Some(until), note: Some("why".to_owned()) };
    let content = banks.change_content(&actor(), bank("A"), id, change).await.unwrap();
    assert_eq!((content.new.note.as_str(), content.disabled_until_ms), ("why", until));
    assert!(found(&stage, &picture(1)).is_empty());
    stage.clock.advance_ms(1_000);
    assert_eq!(found(&stage, &picture(1)).len(), 1);
}

#[tokio::test]
async fn the_same_signals_twice_are_one_content() {
    let stage = alone(Arc::new(MemoryStore::new()), 1).await;
    let banks = stage.node.banks();
    for name in ["A", "B"] {
        banks.create(&actor(), bank(name), Settings::default()).await.unwrap();
    }
    let list = |seeds: &[u64]| {
        seeds.iter().map(|seed| NewContent::of(vec![picture(*seed)])).collect::<Vec<_>>()
    };
    let add = async |name, list| {
        let added = banks.add(&actor(), &bank(name), list).await.unwrap();
        added.iter().map(|added| (added.id.0, added.new)).collect::<Vec<_>>()
    };
    assert_eq!(add("A", list(&[1, 2, 1])).await, [(1, true), (2, true), (1, false)]);
    let lines = stage.node.desk().size().await.unwrap();
    assert_eq!(add("A", list(&[2, 1])).await, [(2, false), (1, false)]);
    assert_eq!(stage.node.desk().size().await.unwrap(), lines, "what is there leaves no line");
    assert_eq!(add("B", list(&[1])).await, [(3, true)], "another bank has contents of its own");
    let (one, two) = (picture(1), picture(2));
    let pair = vec![
        NewContent::of(vec![one.clone(), two.clone()]),
        NewContent::of(vec![two.clone(), one]),
    ];
    assert_eq!(add("A", pair).await, [(4, true), (4, false)], "in whatever order");
    let of_quality = |quality| NewContent::of(vec![Signal { quality, ..picture(1) }]);
    let qualities = vec![of_quality(Some(97)), of_quality(Some(10))];
    assert_eq!(add("B", qualities).await, [(3, false), (5, true)], "one of 10 matches nothing");
    banks.take(&actor(), bank("A"), ContentId(2)).await.unwrap();
    assert_eq!(add("A", vec![NewContent::of(vec![two])]).await, [(6, true)]);
}

#[tokio::test]
async fn nothing_of_a_list_with_an_error_is_added() {
    let stage = alone(Arc::new(MemoryStore::new()), 1).await;
    let banks = stage.node.banks();
    banks.create(&actor(), bank("A"), Settings::default()).await.unwrap();
    let value = ValueOrBlob::Blob { kind: Kind::Vpdq, sha256: Sha256Digest([1; 32]), size: 9 };
    let beside = Signal { value, ..Signal::new(Pdq([0; 32])) };
    for (wrong, expected) in
        [(vec![], ContentError::Signals(0)), (vec![beside], ContentError::Unmatchable(Kind::Vpdq))]
    {
        let list = vec![NewContent::of(vec![picture(1)]), NewContent::of(wrong)];
        let refused = banks.add(&actor(), &bank("A"), list).await;
        let Err(BankError::Content { place: 1, error }) = refused else { panic!("{refused:?}") };
        assert_eq!(error, expected);
    }
    assert!(found(&stage, &picture(1)).is_empty());
    assert_eq!(stage.node.desk().size().await.unwrap(), 1, "only that the bank was made");
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let stage = alone(Arc::new(MemoryStore::new()), 1).await;
    let banks = stage.node.banks();
    let create = async |name, settings| banks.create(&actor(), bank(name), settings).await;
    let wrong = Settings { ratio: f64::NAN, ..Settings::default() };
    assert!(matches!(create("A", wrong).await, Err(BankError::Settings(SettingsError::Ratio))));
    let wrong = Settings { max_distance: 32, ..Settings::default() };
    assert!(matches!(create("A", wrong).await, Err(BankError::Settings(SettingsError::Distance))));
    assert!(create("A", Settings::default()).await.unwrap().1);
    assert!(!create("A", Settings::default()).await.unwrap().1, "again is the same");
    let other = Settings { negative: true, ..Settings::default() };
    assert!(matches!(create("A", other).await, Err(BankError::Exists(_))));
    create("B", Settings::default()).await.unwrap();
    let to_b = Change { name: Some(bank("B")), ..Change::default() };
    assert!(matches!(banks.change(&actor(), bank("A"), to_b).await, Err(BankError::Exists(_))));
    let id = put(&stage, "A", vec![picture(1)]).await;
    let through_another = banks.take(&actor(), bank("B"), id).await;
    assert!(matches!(through_another, Err(BankError::NoContent(_, _))));
    let nowhere = banks.add(&actor(), &bank("C"), vec![]).await;
    assert!(matches!(nowhere, Err(BankError::NoBank(_))));
}

#[tokio::test]
async fn every_change_is_a_line_that_names_its_list_by_digest() {
    use sha2::Digest;
    let stage = alone(Arc::new(MemoryStore::new()), 1).await;
    let banks = stage.node.banks();
    banks.create(&actor(), bank("A"), Settings::default()).await.unwrap();
    let list: Vec<_> = (1..=BATCH as u64 + 2).map(|n| NewContent::of(vec![picture(n)])).collect();
    banks.add(&actor(), &bank("A"), list).await.unwrap();
    banks.take(&actor(), bank("A"), ContentId(1)).await.unwrap();
    let renamed = Change { name: Some(bank("Z")), ..Change::default() };
    banks.change(&actor(), bank("A"), renamed).await.unwrap();
    banks.delete(&actor(), bank("Z")).await.unwrap();

    let lines = stage.node.desk().read(0, 10).await.unwrap();
    assert!(lines.iter().all(|line| line.record.as_ref().unwrap().actor == "person:p1"));
    let about_banks: Vec<BankDeed> = lines.iter().filter_map(|line| line.deed()).collect();
    let whats: Vec<_> = about_banks.iter().map(|deed| deed.what).collect();
    assert_eq!(whats, [BankWhat::Create, BankWhat::Change, BankWhat::Delete]);
    assert_eq!(about_banks[1].bank.name, bank("Z"));
    let of_lists: Vec<SignalsDeed> = lines.iter().filter_map(|line| line.deed()).collect();
    let shape: Vec<_> = of_lists.iter().map(|d| (d.what, d.first.0, d.contents)).collect();
    let expected = [
        (ContentWhat::Add, 1, BATCH as u64),
        (ContentWhat::Add, BATCH as u64 + 1, 2),
        (ContentWhat::Remove, 1, 1),
    ];
    assert_eq!(shape, expected);
    let text: String =
        (BATCH as u64 + 1..=BATCH as u64 + 2).map(|id| format!("{id} pdq {}\n", pdq(id))).collect();
    assert_eq!(of_lists[1].sha256, hex::encode(&sha2::Sha256::digest(text.as_bytes())));
    assert_eq!(lines.len(), 6);
    assert!(lines.iter().all(|l| matches!(l.kind, DeskKind::Bank | DeskKind::BankSignals)));
}

#[tokio::test]
async fn contents_are_listed_page_by_page_and_only_those_of_the_bank() {
    let stage = alone(Arc::new(MemoryStore::new()), 1).await;
    let banks = stage.node.banks();
    for name in ["A", "B"] {
        banks.create(&actor(), bank(name), Settings::default()).await.unwrap();
    }
    for seed in 1..=9 {
        put(&stage, if seed % 3 == 0 { "B" } else { "A" }, vec![picture(seed)]).await;
    }
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = banks.contents(&bank("A"), after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        pages.push(page.iter().map(|content| content.id.0).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![1, 2, 4, 5], vec![7, 8]]);
}

#[tokio::test]
async fn a_deleted_bank_leaves_nothing_and_its_ids_are_not_given_again() {
    let store = Arc::new(MemoryStore::new());
    let stage = alone(store.clone(), 1).await;
    let banks = stage.node.banks();
    banks.create(&actor(), bank("A"), Settings::default()).await.unwrap();
    put(&stage, "A", vec![picture(1)]).await;
    let orphan = store.rows(watchfire_node::banks::CONTENTS, &[], 10).await.unwrap();
    banks.delete(&actor(), bank("A")).await.unwrap();
    assert!(found(&stage, &picture(1)).is_empty());
    assert!(store.rows(watchfire_node::banks::CONTENTS, &[], 10).await.unwrap().is_empty());
    stage.node.stop().await;
    drop(stage);

    // As if the process had died between the line and the clearing.
    let rows = orphan.into_iter().map(|(key, value)| Row {
        table: watchfire_node::banks::CONTENTS,
        key,
        value: Some(value),
    });
    store.commit(Batch { rows: rows.collect(), ..Batch::default() }).await.unwrap();
    let stage = alone(store.clone(), 2).await;
    assert!(store.rows(watchfire_node::banks::CONTENTS, &[], 10).await.unwrap().is_empty());
    let banks = stage.node.banks();
    let (made, _) = banks.create(&actor(), bank("A"), Settings::default()).await.unwrap();
    assert_eq!(made.number.0, 2);
    assert!(found(&stage, &picture(1)).is_empty());
    assert_eq!(put(&stage, "A", vec![picture(1)]).await, ContentId(2));
}

/// What can happen to banks.
#[derive(Debug, Clone)]
enum Happening {
    Create(u8),
    Delete(u8),
    Enable(u8, bool),
    Add(u8, Vec<u8>),
    Take(u8, usize),
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    let name = || 0..3u8;
    prop_oneof![
        2 => name().prop_map(Happening::Create),
        1 => name().prop_map(Happening::Delete),
        2 => (name(), any::<bool>()).prop_map(|(name, on)| Happening::Enable(name, on)),
        6 => (name(), prop::collection::vec(0..12u8, 1..4))
            .prop_map(|(name, pictures)| Happening::Add(name, pictures)),
        3 => (name(), any::<usize>()).prop_map(|(name, place)| Happening::Take(name, place)),
        1 => Just(Happening::Restart),
    ]
}

/// The naive model: a map of banks, each on or off with its contents by id.
#[derive(Debug, Default)]
struct Model {
    banks: BTreeMap<u8, (bool, BTreeMap<u64, u8>)>,
    next: u64,
}

impl Model {
    fn found(&self, picture: u8) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for (name, (on, contents)) in &self.banks {
            let ids = contents.iter().filter(|(_, held)| *on && **held == picture);
            found.extend(ids.map(|(id, _)| (format!("BANK_{name}"), *id)));
        }
        found.sort_by_key(|(_, id)| *id);
        found
    }
}

async fn happen(stage: &mut Stage, store: &Arc<MemoryStore>, model: &mut Model, what: Happening) {
    let banks = stage.node.banks().clone();
    let named = |name: u8| bank(&format!("BANK_{name}"));
    match what {
        Happening::Create(name) => {
            let made = banks.create(&actor(), named(name), Settings::default()).await;
            match model.banks.get(&name) {
                // Turned off, it has other settings.
                Some((false, _)) => assert!(matches!(made, Err(BankError::Exists(_)))),
                Some((true, _)) => assert!(!made.unwrap().1),
                None => assert!(made.unwrap().1),
            }
            model.banks.entry(name).or_insert((true, BTreeMap::new()));
        }
        Happening::Delete(name) => {
            let gone = banks.delete(&actor(), named(name)).await;
            assert_eq!(gone.is_ok(), model.banks.remove(&name).is_some());
        }
        Happening::Enable(name, on) => {
            let change = Change { enabled: Some(on), ..Change::default() };
            let changed = banks.change(&actor(), named(name), change).await;
            assert_eq!(changed.is_ok(), model.banks.contains_key(&name));
            model.banks.entry(name).and_modify(|bank| bank.0 = on);
        }
        Happening::Add(name, pictures) => {
            let list = pictures.iter().map(|p| NewContent::of(vec![picture(u64::from(*p))]));
            let added = banks.add(&actor(), &named(name), list.collect()).await;
            let Some((_, contents)) = model.banks.get_mut(&name) else {
                assert!(matches!(added, Err(BankError::NoBank(_))));
                return;
            };
            for (picture, added) in pictures.iter().zip(added.unwrap()) {
                let known = contents.iter().find(|(_, held)| *held == picture);
                let id = known.map(|(id, _)| *id);
                assert_eq!((added.new, added.id.0), (id.is_none(), id.unwrap_or(model.next + 1)));
                if id.is_none() {
                    model.next += 1;
                    contents.insert(model.next, *picture);
                }
            }
        }
        Happening::Take(name, place) => {
            let Some((_, contents)) = model.banks.get_mut(&name) else { return };
            let ids: Vec<_> = contents.keys().copied().collect();
            let Some(id) = ids.get(place % ids.len().max(1)) else { return };
            banks.take(&actor(), named(name), ContentId(*id)).await.unwrap();
            contents.remove(id);
        }
        Happening::Restart => {
            stage.node.stop().await;
            *stage = alone(store.clone(), 9).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn banks_are_what_a_naive_map_of_them_is(happenings in prop::collection::vec(happening(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            let mut stage = alone(store.clone(), 1).await;
            let mut model = Model::default();
            for what in happenings {
                happen(&mut stage, &store, &mut model, what).await;
                for (name, (_, contents)) in &model.banks {
                    let bank = stage.node.banks().bank(&bank(&format!("BANK_{name}"))).unwrap();
                    let counts = stage.node.banks().counts(bank.number);
                    assert_eq!((counts.contents, counts.pdq), (contents.len() as u64, contents.len() as u64));
                }
                for p in 0..12 {
                    assert_eq!(found(&stage, &edited(u64::from(p), 3)), model.found(p));
                }
            }
            stage.node.stop().await;
        });
    }
}

/// A member alone, with a policy of its own.
async fn with_policy(policy: &str) -> Stage {
    use watchfire_node::{Node, Readiness, Setup, policy::Policy};
    let clock = TestClock::new();
    let node = Node::start(Setup {
        me: crate::coalition::name("ant"),
        key: Arc::new(crate::coalition::key("ant")),
        charter: charter(&[("ant", "ants")], 1).into(),
        former_key: None,
        policy: toml::from_str::<Policy>(policy).unwrap(),
        store: Arc::new(MemoryStore::new()),
        seen: watchfire_node::seen::SeenSetup::default(),
        over: None,
        peers: BTreeMap::new(),
        connectors: BTreeMap::new(),
        budgets: BTreeMap::new(),
        routes: watchfire_node::routes::Routes::default(),
        alone: true,
        clock: clock.clone(),
        random: crate::coalition::TestRandom::new(1),
    });
    let node = node.await.unwrap();
    while node.readiness() == Readiness::Recovering {
        tokio::task::yield_now().await;
    }
    Stage { node, platform: Arc::default(), clock }
}

#[tokio::test]
async fn a_bank_blocks_by_rule_until_it_is_off_and_a_negative_one_suppresses_what_it_names() {
    use watchfire_node::policy::Verdict;
    let stage = with_policy(
        "[[rule]]\nid='ours'\nbank=['GORE']\nthen=['block_upload','remove']\n\
         [[rule]]\nid='alerts'\nlabel=['*']\nstate=['CONFIRMED']\nthen=['block_upload']\n\
         [[negative]]\nbank='HARMLESS'\nbanks=['GORE']\nmembers=['ant']",
    )
    .await;
    let banks = stage.node.banks();
    banks.create(&actor(), bank("GORE"), Settings::default()).await.unwrap();
    let speaks_for = Settings { negative: true, ..Settings::default() };
    banks.create(&actor(), bank("HARMLESS"), speaks_for).await.unwrap();
    let verdict = |signal: Signal| stage.node.judge(&[signal]).verdict;
    let scanned = stage.node.judge(&[picture(1)]);
    assert_eq!((scanned.verdict, scanned.reasons.len()), (Verdict::Allow, 0));

    put(&stage, "GORE", vec![picture(1)]).await;
    let scanned = stage.node.judge(&[edited(1, 8)]);
    assert_eq!(scanned.verdict, Verdict::Block);
    let found = scanned.reasons[0].bank.as_ref().unwrap();
    assert_eq!((found.bank.name.as_str(), found.hit.distance), ("GORE", Some(8)));
    assert_eq!(scanned.reasons[0].facts.bank, Some(bank("GORE")));
    assert_eq!(scanned.reasons[0].decision.acted().collect::<Vec<_>>(), ["ours"]);

    let alert = crate::coalition::alert(vec![picture(2)]);
    stage.node.raise(alert, None).await.unwrap();
    assert_eq!(verdict(picture(2)), Verdict::Block, "our own alert");
    for seed in [1, 2] {
        put(&stage, "HARMLESS", vec![picture(seed)]).await;
        assert_eq!(verdict(picture(seed)), Verdict::Allow, "the negative bank speaks for {seed}");
    }
    let off = || Change { enabled: Some(false), ..Change::default() };
    banks.change(&actor(), bank("HARMLESS"), off()).await.unwrap();
    assert_eq!((verdict(picture(1)), verdict(picture(2))), (Verdict::Block, Verdict::Block));
    banks.change(&actor(), bank("GORE"), off()).await.unwrap();
    assert_eq!(verdict(picture(1)), Verdict::Allow);
}
