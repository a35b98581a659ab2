//! The seen table: every copy is found, what was deleted stays away, nobody hides a case.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use proptest::prelude::*;
use watchfire_node::{
    clock::{Clock, Random},
    near::{Method, compare},
    policy::Verdict,
    raise::Answer,
    seen::{Item, Seen, SeenLimits, SeenParts, SeenSetup},
};
use watchfire_signal::{
    digest::{Md5Digest, Sha256Digest},
    link::{LinkPrint, LinkScope},
    name::ItemId,
    pdq::Pdq,
    statement::Basis,
    text_print::TextPrint,
    value::{Signal, Value, ValueOrBlob},
    vpdq::{Frame, Vpdq},
};
use watchfire_store::{Durability, MemoryStore, OpenError, SqliteOptions, SqliteStore, Store};

use crate::{
    coalition::{START_MS, TestClock, TestRandom, alert},
    story::{clip, coalition, picture, until, until_hidden},
    workshop::picture as random_picture,
};

fn id(number: u64) -> ItemId {
    format!("item:{number}").parse().unwrap()
}

fn item(number: u64, signals: Vec<Signal>) -> Item {
    Item {
        id: id(number),
        seen_ms: START_MS + number,
        signals,
        parts: Vec::new(),
        facts: Default::default(),
    }
}

/// Small limits, so that a few items already go into files.
fn setup(directory: &Path) -> SeenSetup {
    let limits = SeenLimits { recent_items: 8, ..SeenLimits::default() };
    SeenSetup { directory: Some(directory.to_owned()), limits }
}

async fn open(store: &Arc<dyn Store>, clock: &Arc<TestClock>, setup: SeenSetup) -> Seen {
    let (store, clock) = (store.clone(), clock.clone());
    let parts = SeenParts { store, clock, setup, seed: [7; 32], least_matched_ms: 1_000 };
    let (seen, unwritten) = Seen::load(parts).await.unwrap();
    tokio::spawn(unwritten.run());
    seen
}

async fn load(store: &Arc<dyn Store>) -> Seen {
    open(store, &TestClock::new(), SeenSetup::default()).await
}

async fn scan(seen: &Seen, item: Item) {
    let id = item.id.clone();
    seen.insert(item);
    seen.keep(&id).await;
}

/// Ids of all copies, each page looked at.
pub(crate) async fn found(seen: &Seen, signals: &[Signal]) -> Vec<ItemId> {
    let mut copies = seen.search(signals).await.unwrap();
    let mut ids = Vec::new();
    loop {
        let page = copies.next().await.unwrap();
        if page.is_empty() {
            ids.sort();
            return ids;
        }
        ids.extend(page.into_iter().map(|(item, _)| item.id.clone()));
    }
}

#[tokio::test]
async fn all_of_five_thousand_copies_of_one_file_are_found_each_once() {
    let seen = load(&(Arc::new(MemoryStore::new()) as Arc<dyn Store>)).await;
    let signals = vec![picture(3), Signal::new(Sha256Digest([5; 32]))];
    for number in 0..5_000 {
        seen.insert(item(number, signals.clone()));
    }
    let mut expected: Vec<ItemId> = (0..5_000).map(id).collect();
    expected.sort();
    for searched in [&signals[..], &signals[..1], &signals[1..]] {
        assert_eq!(found(&seen, searched).await, expected);
    }
}

#[tokio::test]
async fn an_item_deleted_right_after_its_scan_is_gone_for_good() {
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let seen = load(&store).await;
    seen.insert(item(1, vec![picture(1)]));
    seen.keep(&id(1)).await;
    assert!(seen.forget(&id(1)).await.unwrap());
    assert!(!seen.forget(&id(1)).await.unwrap());
    // Its scan was still under way when it was deleted.
    seen.insert(item(2, vec![picture(1)]));
    assert!(seen.forget(&id(2)).await.unwrap());
    seen.keep(&id(2)).await;
    seen.flush().await;
    assert!(store.seen(0, 9).await.unwrap().is_empty());
    assert!(found(&load(&store).await, &[picture(1)]).await.is_empty());
}

#[tokio::test]
async fn a_member_that_repeats_itself_does_not_hide_a_confirmed_case() {
    let stages = coalition().await;
    let far = Signal { quality: Some(100), ..Signal::new(Pdq([0x0f; 32])) };
    let upload = {
        let mut hash = [0x0f; 32];
        hash[..3].fill(0xff);
        Signal { quality: Some(100), ..Signal::new(Pdq(hash)) }
    };
    let case = stages["reddit"].node.raise(alert(vec![far]), None).await.unwrap().commitment;
    let google = &stages["google"];
    while google.node.judge(std::slice::from_ref(&upload)).verdict != Verdict::Review {
        tokio::task::yield_now().await;
    }
    let seen = Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    stages["google"].node.answer(&case, seen, None).await.unwrap();
    let mut last = case;
    for _ in 0..1_100 {
        let raised = stages["tiktok"].node.raise(alert(vec![upload.clone()]), None).await;
        last = raised.unwrap().commitment;
    }
    let node = &stages["google"].node;
    while node.alert(&last).is_none() {
        tokio::task::yield_now().await;
    }
    let scanned = node.judge(std::slice::from_ref(&upload));
    assert_eq!(scanned.verdict, Verdict::Block);
    let cases: BTreeSet<_> = scanned.reasons.iter().map(|reason| reason.case).collect();
    assert!(cases.contains(&case));
    // The flood itself is still answered for, up to its limit.
    assert_eq!(cases.len(), 1 + watchfire_node::near::CROWD_HITS);
    until(&stages["twitch"], 255, Verdict::Allow).await;
}

fn mirrored(film: &Vpdq) -> Vpdq {
    let mirror = |frame: &Frame| Frame { pdq: frame.pdq.mirrored(), ..*frame };
    Vpdq { frames: film.frames.iter().map(mirror).collect() }
}

/// Signals that are near each other now and then: digests of few kinds, pictures of few sorts with some
/// bits changed, turned now and then, clips of few films that begin somewhere, texts of few sentences with some letters changed,
/// links at few hosts.
fn signals(seed: u64) -> Vec<Signal> {
    let mut bytes = [0; 8];
    TestRandom::new(seed).fill(&mut bytes);
    let [kind, sort, bits, noise, start, ..] = bytes;
    let mut hash = [sort % 5 * 51; 32];
    for bit in 0..usize::from(bits % 48) {
        hash[(bit * 7 + usize::from(noise)) % 32] ^= 1 << (bit % 8);
    }
    let hash = Pdq(hash).turned().get(usize::from(start % 30)).copied().unwrap_or(Pdq(hash));
    let picture = Signal { quality: Some(49 + kind % 40), ..Signal::new(hash) };
    match kind % 6 {
        3 => text(&posted(usize::from(sort), usize::from(bits), usize::from(noise))),
        4 => vec![Signal::new(link(sort, bits % 8))],
        0 => vec![Signal::new(Sha256Digest([sort % 6; 32])), picture],
        1 => vec![Signal::new(Md5Digest([sort % 6; 16]))],
        2 => {
            let film = clip(u32::from(sort % 4) * 100_000 + u32::from(start % 8) * 500, 6, 2);
            vec![Signal::new(if bits % 3 == 0 { mirrored(&film) } else { film })]
        }
        _ => vec![picture],
    }
}

/// An item, in whose picture another one lies now and then.
fn item_of(number: u64, seed: u64) -> Item {
    let within = signals(seed.rotate_left(32));
    let parts = within.iter().filter_map(|signal| match signal.value {
        ValueOrBlob::Value(Value::Pdq(pdq)) => Some(pdq),
        _ => None,
    });
    let parts = if seed.is_multiple_of(3) { parts.collect() } else { Vec::new() };
    Item { parts, ..item(number, signals(seed)) }
}

const SENTENCES: [&str; 4] = [
    "Everybody who lives in this street should put their bins out before six on Thursday morning please.",
    "The ferry to the islands was cancelled again because of the wind and three hundred people wait here.",
    "My grandfather built that boat with his own hands and sailed it alone around the whole of the cape.",
    "Kill them all, now!",
];

/// A sentence with some letters changed, perhaps before another.
fn posted(which: usize, changed: usize, step: usize) -> String {
    let mut letters: Vec<u8> = SENTENCES[which % 4].bytes().collect();
    for number in 0..changed % 14 {
        let place = (number * (step % 9 + 3) + step) % letters.len();
        letters[place] = b'q' + (number % 5) as u8;
    }
    let posted = String::from_utf8(letters).unwrap();
    if step.is_multiple_of(3) { posted } else { format!("{posted} {}", SENTENCES[step % 3]) }
}

fn text(posted: &str) -> Vec<Signal> {
    TextPrint::of(posted).unwrap().into_iter().map(Signal::new).collect()
}

fn link(sort: u8, depth: u8) -> LinkPrint {
    let path = ["a", "b", "c"].map(|segment| format!("{segment}{}", sort % 2)).join("/");
    let link = format!("https://x{}.example.com/{}", sort % 3, &path[..usize::from(depth)]);
    match sort % 5 {
        0 => LinkPrint::named(&link, LinkScope::Host).unwrap(),
        1 => LinkPrint::named(&link, LinkScope::Prefix).unwrap(),
        _ => LinkPrint::met(&link).unwrap(),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Scan(u64, u64),
    Import(u64, u64, u64),
    Forget(u64),
    Restart { files_lost: bool },
    Search(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0u64..40;
    prop_oneof![
        8 => (id.clone(), any::<u64>()).prop_map(|(id, seed)| Step::Scan(id, seed)),
        2 => (id.clone(), any::<u64>(), 0u64..60)
            .prop_map(|(id, seed, age)| Step::Import(id, seed, age)),
        2 => id.prop_map(Step::Forget),
        1 => any::<bool>().prop_map(|files_lost| Step::Restart { files_lost }),
        3 => any::<u64>().prop_map(Step::Search),
    ]
}

/// Takes steps on a real store with files, and on a map that compares a query with everything.
async fn compare_with_a_map(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("seen");
    let options = SqliteOptions { durability: Durability::Off, ..SqliteOptions::default() };
    let open_store = || SqliteStore::open(directory.path(), options).unwrap();
    let mut store = Arc::new(open_store()) as Arc<dyn Store>;
    let clock = TestClock::new();
    let mut seen = open(&store, &clock, setup(&files)).await;
    let mut map = BTreeMap::<ItemId, Item>::new();
    for (number, step) in (100u64..).zip(steps) {
        match step {
            Step::Scan(id, seed) => {
                let item = Item { seen_ms: START_MS + number, ..item_of(id, seed) };
                map.insert(item.id.clone(), item.clone());
                scan(&seen, item).await;
            }
            Step::Import(id, seed, age) => {
                let item = Item { seen_ms: START_MS + number - age, ..item_of(id, seed) };
                let known = map.get(&item.id).is_some_and(|known| known.seen_ms >= item.seen_ms);
                assert_eq!(seen.import(vec![item.clone()]).await.unwrap(), usize::from(!known));
                if !known {
                    map.insert(item.id.clone(), item);
                }
            }
            Step::Forget(number) => {
                let known = map.remove(&id(number)).is_some();
                assert_eq!(seen.forget(&id(number)).await.unwrap(), known);
            }
            Step::Restart { files_lost } => {
                seen.flush().await;
                drop((seen, store));
                if files_lost && let Some(file) = fs::read_dir(&files).unwrap().next() {
                    fs::write(file.unwrap().path(), b"damaged").unwrap();
                }
                store = Arc::new(open_again(directory.path(), options).await);
                seen = open(&store, &clock, setup(&files)).await;
            }
            Step::Search(seed) => {
                let query = signals(seed);
                let matches = |item: &&Item| {
                    let parts = item.parts.iter().copied().map(Signal::new);
                    let mut held = item.signals.iter().cloned().chain(parts);
                    held.any(|held| {
                        query.iter().any(|one| compare((), one, &held, 1_000).is_some())
                    })
                };
                let expected: Vec<_> =
                    map.values().filter(matches).map(|item| item.id.clone()).collect();
                assert_eq!(found(&seen, &query).await, expected);
                for held in map.keys() {
                    assert_eq!(*seen.item(held).await.unwrap().unwrap(), map[held]);
                }
            }
        }
    }
    seen.flush().await;
    assert_eq!(seen.len(), map.len());
    assert!(map.len() <= 8 || seen.older() > 0);
}

/// The threads of a store end a moment after its last handle.
async fn open_again(directory: &Path, options: SqliteOptions) -> SqliteStore {
    loop {
        match SqliteStore::open(directory, options) {
            Ok(store) => return store,
            Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn memory_and_files_together_find_what_a_comparison_with_everything_finds(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare_with_a_map(steps));
    }
}

#[tokio::test]
async fn the_oldest_items_go_when_a_limit_or_their_days_are_over_and_the_horizon_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let clock = TestClock::new();
    let mut small = setup(directory.path());
    small.limits.max_items = 100;
    small.limits.days = 10;
    clock.advance_ms(3_600_000);
    let seen = open(&store, &clock, small.clone()).await;
    for number in 0..100 {
        scan(&seen, item(number, vec![picture(1)])).await;
    }
    seen.flush().await;
    assert_eq!(seen.len(), 100);
    assert!(seen.older() > 80);
    assert!(!seen.horizon().is_short());
    for number in 100..150 {
        scan(&seen, item(number, vec![picture(1)])).await;
    }
    seen.flush().await;
    let youngest: BTreeSet<_> = (50..150).map(id).collect();
    assert_eq!(found(&seen, &[picture(1)]).await.into_iter().collect::<BTreeSet<_>>(), youngest);
    assert_eq!((seen.len(), store.seen(0, 999).await.unwrap().len()), (100, 100));
    // Item 49 was the last that a limit took: everything scanned after it is held.
    assert!(seen.horizon().is_short());
    assert_eq!(seen.horizon().seconds, (clock.now_ms() - START_MS - 49) / 1_000);
    drop(seen);
    let seen = open(&store, &clock, small).await;
    assert!(seen.horizon().is_short());

    clock.advance_ms(10 * 86_400_000 + 140 - 3_600_000);
    assert!(!seen.horizon().is_short());
    seen.flush().await;
    assert_eq!(seen.len(), 10);
    clock.advance_ms(86_400_000);
    seen.flush().await;
    assert!(seen.is_empty());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert_eq!(seen.import(vec![item(1, vec![picture(1)])]).await.unwrap(), 0);
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let mut small = setup(directory.path());
    small.limits.max_bytes = 20_000;
    let seen = open(&store, &TestClock::new(), small).await;
    for number in 0..300 {
        scan(&seen, item(number, vec![picture(1), Signal::new(Sha256Digest([2; 32]))])).await;
    }
    seen.flush().await;
    assert!(seen.bytes() <= 20_000 && seen.len() > 20, "{} {}", seen.bytes(), seen.len());
    assert!(found(&seen, &[picture(1)]).await.contains(&id(299)));
}

#[tokio::test]
async fn an_item_scanned_again_and_refused_still_stands_for_what_is_held_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let seen = open(&store, &TestClock::new(), setup(directory.path())).await;
    for number in 0..20 {
        scan(&seen, item(number, vec![picture(1)])).await;
    }
    seen.flush().await;
    // Both are refused; the first is held since long, the second was never published.
    for number in [0, 99] {
        let again = item(number, vec![picture(2)]);
        assert!(!seen.insert(again.clone()));
        seen.withdraw(again).await;
    }
    seen.flush().await;
    assert_eq!(found(&seen, &[picture(2)]).await, [id(0)]);
    assert_eq!(seen.len(), 20);
}

#[tokio::test]
async fn what_a_platform_held_before_is_taken_down_by_an_alert_that_is_older() {
    let stages = coalition().await;
    let tiktok = &stages["tiktok"];
    tiktok.node.raise(alert(vec![picture(1)]), None).await.unwrap();
    until(tiktok, 1, Verdict::Block).await;
    let items = vec![item(1, vec![picture(1)]), item(2, vec![picture(255)])];
    assert_eq!(tiktok.node.import(items.clone()).await.unwrap(), 2);
    until_hidden(tiktok, "item:1", true).await;
    assert!(!tiktok.platform.is_hidden("item:2"));
    assert_eq!(tiktok.node.import(items).await.unwrap(), 0);
}

/// What was uploaded before anybody knew: turned, inverted and mirrored copies, of which those that are not
/// in memory any more are in files.
#[tokio::test]
async fn copies_that_were_turned_before_the_alert_came_are_taken_down_by_it() {
    let stages = coalition().await;
    let tiktok = &stages["tiktok"];
    let ValueOrBlob::Value(Value::Pdq(pdq)) = random_picture(9).value else { panic!("no picture") };
    let turned = pdq.turned();
    for (number, pdq) in (0..).zip(turned) {
        tiktok.node.scan(id(number), vec![Signal::new(pdq)]).await;
    }
    tiktok.node.scan(id(50), vec![Signal::new(mirrored(&clip(0, 10, 2)))]).await;
    tiktok.node.scan(id(51), vec![random_picture(8)]).await;
    tiktok.node.scan(id(52), vec![Signal::new(mirrored(&clip(9_000, 10, 2)))]).await;
    let known = vec![random_picture(9), Signal::new(clip(0, 10, 2))];
    tiktok.node.raise(alert(known), None).await.unwrap();
    for number in (0..turned.len() as u64).chain([50]) {
        until_hidden(tiktok, id(number).as_str(), true).await;
    }
    assert!(!tiktok.platform.is_hidden("item:51") && !tiktok.platform.is_hidden("item:52"));
}

#[tokio::test]
async fn a_copy_says_whether_it_was_turned_or_lies_in_another_picture() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let seen = open(&store, &TestClock::new(), setup(directory.path())).await;
    let ValueOrBlob::Value(Value::Pdq(pdq)) = random_picture(9).value else { panic!("no picture") };
    scan(&seen, item(0, vec![Signal::new(pdq.mirrored())])).await;
    scan(&seen, item(1, vec![Signal::new(pdq)])).await;
    scan(&seen, item(2, vec![Signal::new(mirrored(&clip(0, 10, 2)))])).await;
    scan(&seen, Item { parts: vec![pdq], ..item(3, vec![random_picture(3)]) }).await;
    for number in 10..40 {
        scan(&seen, item(number, vec![random_picture(number as u8)])).await;
    }
    // Both in memory, and of both kinds in files.
    scan(&seen, item(41, vec![Signal::new(pdq.complement())])).await;
    scan(&seen, Item { parts: vec![pdq.mirrored()], ..item(42, vec![random_picture(42)]) }).await;
    seen.flush().await;
    assert!(seen.older() > 3);
    let mut copies = seen.search(&[Signal::new(pdq), Signal::new(clip(0, 10, 2))]).await.unwrap();
    let mut methods = BTreeMap::new();
    loop {
        let page = copies.next().await.unwrap();
        if page.is_empty() {
            break;
        }
        methods.extend(page.into_iter().map(|(item, hit)| (item.id.clone(), hit.method)));
    }
    let turned = [0, 2, 41].map(|number| (id(number), Method::Turned));
    let parts = [3, 42].map(|number| (id(number), Method::Part));
    let near = [(id(1), Method::Near)];
    assert_eq!(methods, turned.into_iter().chain(parts).chain(near).collect());
}
