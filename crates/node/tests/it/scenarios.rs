//! Stories that happen to a coalition, each with what makes it pass, scaled to a test. What a story
//! counts in seconds is printed and not asserted: a busy machine is no fault of the code.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;
use watchfire_node::{
    EffectState, audit,
    clock::Random,
    connector::Visibility,
    desk::DeskKind,
    peer::Peer,
    policy::{Fact, ItemFacts, Verdict},
    raise::{Answer, NewAlert},
    standing::State,
};
use watchfire_signal::{
    alert::{ContentKind, Exception},
    commitment::Commitment,
    name::ItemId,
    pdq::Pdq,
    reason::Reason,
    statement::{Basis, Done, Statement},
    value::{Signal, Span},
    vpdq::{Frame, Vpdq},
};
use watchfire_store::{Durability, MemoryStore, SqliteOptions, SqliteStore, Store};

use crate::{
    coalition::{Cast, Stage, TestClock, TestPeer, TestRandom, alert, charter, name, start},
    words,
};

pub(crate) type Stages = BTreeMap<&'static str, Stage>;

const TEN: [(&str, &str); 10] = [
    ("tiktok", "bytedance"),
    ("facebook", "meta"),
    ("instagram", "meta"),
    ("google", "alphabet"),
    ("youtube", "alphabet"),
    ("twitter", "twitter"),
    ("twitch", "amazon"),
    ("snapchat", "snap"),
    ("pinterest", "pinterest"),
    ("reddit", "advance"),
];
pub(crate) const FOUR: [(&str, &str); 4] =
    [("tiktok", "bytedance"), ("google", "alphabet"), ("twitch", "amazon"), ("reddit", "advance")];

/// Members in one process, linked without a network; two organisations confirm.
pub(crate) async fn found(
    members: &[(&'static str, &str)],
    trust: &'static [&'static str],
    mut store_of: impl FnMut(&str) -> Arc<dyn Store>,
) -> Stages {
    let charter = charter(members, 2);
    let stores: Vec<_> = members.iter().map(|(member, _)| (*member, store_of(member))).collect();
    let clock = TestClock::new();
    let mut stages = BTreeMap::new();
    for (seed, (me, store)) in (0..).zip(&stores) {
        let peer = |store: &Arc<dyn Store>| {
            let up = tokio::sync::watch::Sender::new(true);
            Arc::new(TestPeer { store: store.clone(), up }) as Arc<dyn Peer>
        };
        let others = stores.iter().filter(|(member, _)| member != me);
        let cast = Cast {
            me,
            charter: &charter,
            store: store.clone(),
            trust: if *me == "tiktok" { &[] } else { trust },
            peers: others.map(|(member, store)| (name(member), peer(store))).collect(),
            clock: clock.clone(),
            seed,
        };
        stages.insert(*me, start(cast).await);
    }
    stages
}

pub(crate) fn in_memory(_: &str) -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

pub(crate) fn item(text: &str) -> ItemId {
    text.parse().unwrap()
}

pub(crate) fn picture(hash: [u8; 32]) -> Signal {
    Signal { quality: Some(100), ..Signal::new(Pdq(hash)) }
}

/// A picture that nobody has seen, always the same of a number.
pub(crate) fn scene(number: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    TestRandom::new(number).fill(&mut hash);
    hash
}

/// A scene as somebody has edited it: some bits of its hash differ.
fn edited(scene: [u8; 32], edit: u64) -> Signal {
    let mut hash = scene;
    for bit in 0..20 {
        hash[((edit * 7 + bit * 11) % 32) as usize] ^= 1 << ((edit + bit) % 8);
    }
    picture(hash)
}

pub(crate) async fn judged(stage: &Stage, signals: &[Signal], verdict: Verdict) {
    while stage.node.judge(signals).verdict != verdict {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn scan(stage: &Stage, id: &str, signal: Signal) -> Verdict {
    stage.node.scan(item(id), vec![signal]).await.verdict
}

pub(crate) async fn confirm(stage: &Stage, case: &Commitment) {
    while stage.node.alert(case).is_none() {
        tokio::task::yield_now().await;
    }
    let seen = Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    stage.node.answer(case, seen, None).await.unwrap();
}

pub(crate) async fn retract(stage: &Stage, case: &Commitment) {
    let given = Answer::Retract { reason: Reason::BenignContext, restore: true, note: None };
    stage.node.answer(case, given, None).await.unwrap();
}

/// Waits until every one of these items is out of sight, or back in it, and looked at there.
pub(crate) async fn until_hidden(stage: &Stage, items: &[String], hidden: bool) {
    for item in items {
        while stage.platform.is_hidden(item) != hidden {
            tokio::task::yield_now().await;
        }
    }
    while stage.node.outbox_counts().await.unwrap().pending > 0 {
        tokio::task::yield_now().await;
    }
}

/// Waits until a member has told the coalition how much it has done, in digits.
async fn until_told(stage: &Stage, what: Done, digits: u8) {
    let log = stage.node.log().clone();
    let told = Statement::Outcome { what, bucket: digits };
    let mut index = 0;
    loop {
        match stage.node.statement(&log, index).await.unwrap() {
            Some(statement) if statement == told => return,
            Some(_) => index += 1,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Leaves of all logs of a coalition, as one member holds them.
async fn leaves(stage: &Stage) -> u64 {
    stage.node.held().await.unwrap().values().sum()
}

/// A film: a new picture every 0.4 seconds, each its own; another film for another number.
fn film(number: u64, seconds: u32) -> Vec<Frame> {
    let frame = |place: u32| Frame {
        number: place,
        quality: 100,
        pdq: Pdq(scene(number << 32 | u64::from(place * 100 / 400))),
        at_ms: place * 100,
    };
    (0..seconds * 10).map(frame).collect()
}

/// What a member sees of a host film into which a part of another was spliced: two frames a second, each
/// as far from the original as bad encoding moves a hash.
fn spliced(host: &[Frame], part: &[Frame], (at_ms, speed): (u32, f64), edit: u64) -> Vpdq {
    let (first, last) = (part[0].at_ms, part[part.len() - 1].at_ms);
    let length = (f64::from(last - first) / speed) as u32;
    let seen = |number: u32| {
        let at = number * 500;
        let frame = match at.checked_sub(at_ms).filter(|into| *into < length) {
            Some(into) => part[((f64::from(into) * speed) as usize / 100).min(part.len() - 1)],
            None => host[(at as usize / 100).min(host.len() - 1)],
        };
        let mut pdq = frame.pdq;
        for bit in 0..18 {
            pdq.0[((edit * 5 + u64::from(number) + bit * 11) % 32) as usize] ^= 1 << (bit % 8);
        }
        Frame { number, at_ms: at, pdq, ..frame }
    };
    let frames = host.last().map_or(0, |frame| frame.at_ms) / 500;
    Vpdq { frames: (0..frames).map(seen).collect() }
}

/// S1 on made-up hashes, at other speeds too: what aligns frames, and that six days later it still does. With films that
/// are decoded, and clips of which each is another one, it is in the tests of the program (`crates/cli/tests/it/scenarios.rs`).
#[tokio::test]
async fn s1_a_span_of_a_few_seconds_is_refused_in_whatever_it_is_spliced_into_days_later() {
    let stages = found(&FOUR, &[], in_memory).await;
    let (tiktok, google) = (&stages["tiktok"], &stages["google"]);
    let mut all = Vec::new();
    for (story, seconds) in (0_u64..).zip([3_u32, 5, 8]) {
        let original = film(1_000 + story, 30);
        let (start_ms, end_ms) = (10_000, 10_000 + seconds * 1_000);
        let span = Some(Span { start_ms, end_ms });
        let signal = Signal { span, ..Signal::new(Vpdq { frames: original.clone() }) };
        let mut new = alert(vec![signal]);
        new.alert.kind = ContentKind::Video;
        let case = tiktok.node.raise(new, None).await.unwrap().commitment;
        confirm(&stages["reddit"], &case).await;
        let inside = |frame: &&Frame| (start_ms..=end_ms).contains(&frame.at_ms);
        all.push((case, original.iter().filter(inside).copied().collect::<Vec<_>>()));
    }
    for (case, part) in &all {
        judged(google, &[Signal::new(Vpdq { frames: part.clone() })], Verdict::Block).await;
        assert_eq!(google.node.alert(case).unwrap().state, State::Confirmed);
    }
    google.clock.advance_ms(6 * 86_400_000);
    let (mut blocked, mut uploads) = (0, 0);
    for host in 0..20_u64 {
        let clip = film(host, 15 + (host as u32 * 45) / 19);
        let (_, part) = &all[host as usize % all.len()];
        let speed = [1.0, 0.9, 1.1, 0.97, 1.2][host as usize % 5];
        let harmless = spliced(&clip, part, (u32::MAX, 1.0), host);
        let id = format!("google:harmless-{host}");
        assert_eq!(scan(google, &id, Signal::new(harmless)).await, Verdict::Allow, "{host}");
        for at_ms in [0, 3_300, 6_100] {
            let upload = Signal::new(spliced(&clip, part, (at_ms, speed), host));
            let verdict = scan(google, &format!("google:{host}-{at_ms}"), upload).await;
            uploads += 1;
            blocked += u32::from(verdict == Verdict::Block);
        }
    }
    println!("S1: {blocked} of {uploads} spliced uploads refused");
    assert!(blocked * 100 >= uploads * 95, "{blocked} of {uploads}");
}

/// S2. What the scenario counts in seconds is an order here: the clock stands still from the report until all ten refuse
/// it, and is set 90 seconds forward for the first re-upload.
#[tokio::test(start_paused = true)]
async fn s2_day_zero_race_every_member_is_effective_and_held_copies_are_gone() {
    let stages = found(&TEN, &["tiktok"], in_memory).await;
    let holders = ["youtube", "twitch", "pinterest"];
    for (edit, holder) in (0..).zip(holders) {
        let stage = &stages[holder];
        assert_eq!(scan(stage, "held", edited(scene(1), edit)).await, Verdict::Allow);
        assert_eq!(scan(stage, "other", picture(scene(2))).await, Verdict::Allow);
    }
    let began = Instant::now();
    stages["tiktok"].node.raise(alert(vec![picture(scene(1))]), None).await.unwrap();
    for stage in stages.values() {
        judged(stage, &[picture(scene(1))], Verdict::Block).await;
    }
    println!("S2: all ten effective {:?} after the report began", began.elapsed());

    // All nodes of a stage share one clock.
    stages["tiktok"].clock.advance_ms(90_000);
    let held_by = |stage: &Stage| stage.node.sizes().1;
    let before: Vec<_> = stages.values().map(held_by).collect();
    for edit in 0..200 {
        for (member, stage) in &stages {
            let upload = format!("{member}:again-{edit}");
            let verdict = scan(stage, &upload, edited(scene(1), edit)).await;
            assert_eq!(verdict, Verdict::Block, "{upload} was published");
        }
    }
    let after: Vec<_> = stages.values().map(held_by).collect();
    assert_eq!(before, after, "nothing of it was published");
    for (member, stage) in &stages {
        assert_eq!(scan(stage, "harmless", picture(scene(3))).await, Verdict::Allow);
        let held = if holders.contains(member) { &["held"][..] } else { &[] };
        until_hidden(stage, &held.iter().map(ToString::to_string).collect::<Vec<_>>(), true).await;
        let orders = stage.platform.orders.lock().unwrap().len();
        assert_eq!(orders, held.len(), "{member}: what was held is removed once, and nothing else");
    }
    for holder in holders {
        let stage = &stages[holder];
        assert!(!stage.platform.is_hidden("other"));
        assert_eq!(stage.platform.looked_for("held"), Some(Visibility::Hidden), "{holder}");
        let effects = stage.node.effects(&item("held")).await.unwrap();
        let done: Vec<_> = effects.iter().map(|one| (one.action.as_str(), one.state)).collect();
        assert_eq!(done, [("remove", EffectState::Done)], "{holder}");
    }
}

/// The load of S3 on made-up hashes, for the copies that are held and the counts. With films that are edited, and the whole
/// hour, it is in the tests of the program (`crates/cli/tests/it/scenarios.rs`).
#[tokio::test]
async fn s3_christchurch_load_trips_no_breaker_and_costs_few_leaves() {
    const VARIANTS: u64 = 64;
    const HELD: u64 = 2_000;
    const UPLOADS: u64 = 4_000;
    let stages = found(&FOUR, &[], in_memory).await;
    let google = &stages["google"];
    let variant = |number: u64| edited(scene(number % VARIANTS), number / VARIANTS);
    let mut held = Vec::new();
    for number in 0..HELD {
        let id = format!("held:{number}");
        assert_eq!(scan(google, &id, variant(number)).await, Verdict::Allow);
        held.push(id);
        scan(google, &format!("old:{number}"), picture(scene(10_000 + number))).await;
    }
    let variants = (0..VARIANTS).map(|number| picture(scene(number))).collect();
    let case = stages["tiktok"].node.raise(alert(variants), None).await.unwrap().commitment;
    confirm(&stages["reddit"], &case).await;
    judged(google, &[variant(0)], Verdict::Block).await;

    let mut times = Vec::new();
    for number in 0..UPLOADS {
        let harmless = number % 2 == 0;
        let signal = if harmless { picture(scene(50_000 + number)) } else { variant(number) };
        let began = Instant::now();
        let verdict = scan(google, &format!("up:{number}"), signal).await;
        times.push(began.elapsed());
        assert_eq!(verdict == Verdict::Allow, harmless, "upload {number}");
        assert_ne!(verdict, Verdict::Review, "upload {number}");
    }
    let quarter = times.len() / 4;
    for (quarter, times) in times.chunks_mut(quarter).enumerate() {
        times.sort_unstable();
        println!("S3: quarter {quarter}: p99 of a scan {:?}", times[times.len() * 99 / 100]);
    }

    until_hidden(google, &held, true).await;
    assert!(stages.values().all(|stage| stage.node.holds().list().is_empty()), "a breaker tripped");
    let gone = google.platform.orders.lock().unwrap().len();
    assert_eq!(gone as u64, HELD, "nothing but the copies was removed, each once");
    // 2,000 in binary digits: whatever came before was told in at most one record a digit.
    until_told(google, Done::Removed, 11).await;
    let leaves = leaves(google).await;
    println!("S3: {leaves} leaves in all logs for {HELD} removals and {UPLOADS} uploads");
    assert!(leaves < 20, "{leaves}");
}

/// S4 in its full size. That a retraction is heard at once is an order here: the clock stands still from the first word of
/// it until nobody matches the clip any more, and no upload is refused from then on.
#[tokio::test(start_paused = true)]
async fn s4_retraction_storm_restores_all_and_the_log_proves_it() {
    const COPIES: u64 = 5_000;
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { durability: Durability::Off, ..SqliteOptions::default() };
    let stages = found(&FOUR, &[], |member| match member {
        "google" => Arc::new(SqliteStore::open(directory.path(), options).unwrap()),
        _ => Arc::new(MemoryStore::new()),
    })
    .await;
    let google = &stages["google"];
    let mut held = Vec::new();
    for number in 0..COPIES {
        let id = format!("held:{number}");
        scan(google, &id, edited(scene(1), number)).await;
        held.push(id);
    }
    let clip = picture(scene(1));
    let case = stages["tiktok"].node.raise(alert(vec![clip.clone()]), None).await.unwrap();
    let case = case.commitment;
    confirm(&stages["reddit"], &case).await;
    until_hidden(google, &held, true).await;
    assert_eq!(google.node.alert(&case).unwrap().state, State::Confirmed);
    for number in 0..COPIES {
        let verdict = scan(google, &format!("up:{number}"), edited(scene(1), number)).await;
        assert_eq!(verdict, Verdict::Block);
    }
    assert!(google.node.holds().list().is_empty(), "a breaker tripped");

    let began = Instant::now();
    retract(&stages["tiktok"], &case).await;
    retract(&stages["reddit"], &case).await;
    for stage in stages.values() {
        judged(stage, std::slice::from_ref(&clip), Verdict::Allow).await;
        assert_eq!(stage.node.alert(&case).unwrap().state, State::Retracted);
        for edit in 0..100 {
            let verdict = scan(stage, &format!("after:{edit}"), edited(scene(1), edit)).await;
            assert_eq!(verdict, Verdict::Allow, "{edit}");
        }
    }
    println!("S4: nobody matches {:?} after the first of two retractions began", began.elapsed());
    until_hidden(google, &held, false).await;
    println!("S4: all {COPIES} copies are back after {:?}", began.elapsed());
    for id in &held {
        assert_eq!(google.platform.looked_for(id), Some(Visibility::Visible), "{id}");
        let effects = google.node.effects(&item(id)).await.unwrap();
        let done: Vec<_> = effects.iter().map(|one| (one.action.as_str(), one.state)).collect();
        let wanted = [("remove", EffectState::Done), ("restore", EffectState::Done)];
        assert_eq!(done, wanted, "{id}");
    }
    let orders = google.platform.orders.lock().unwrap().len() as u64;
    assert_eq!(orders, 2 * COPIES, "each item was asked for once and once");

    // Its own log has a line for every end of an order, whole and signed; the coalition's has counts.
    let most = 3 * COPIES as usize;
    let ends = google.node.desk().newest(Some(DeskKind::Outcome), u64::MAX, most).await.unwrap();
    assert_eq!(ends.len() as u64, 2 * COPIES);
    let report = audit::verify(google.node.desk(), &mut |_, _| {}).await;
    assert_eq!((report.problem, report.erased), (None, 0));
    // 5,000 in binary digits.
    until_told(google, Done::Restored, 13).await;
    let leaves = leaves(google).await;
    assert!(leaves < 60, "a line a digit at most, not one a copy: {leaves}");
}

#[tokio::test]
async fn s11_news_and_condemnation_are_routed_to_people_and_not_blocked() {
    let stages = found(&FOUR, &[], in_memory).await;
    let google = &stages["google"];
    let in_context = |context: &str| {
        let fact = Fact::Text(context.to_owned());
        ItemFacts::from(BTreeMap::from([("context".to_owned(), fact)]))
    };
    let text = words::text(
        "We will hunt down every last one of these people and burn their houses at night.",
    );
    let clip = vec![picture(scene(1))];
    for signals in [&clip, &text] {
        let mut new: NewAlert = alert(signals.clone());
        new.alert.exceptions = vec![Exception::News, Exception::CounterSpeech];
        let case = stages["tiktok"].node.raise(new, None).await.unwrap().commitment;
        confirm(&stages["reddit"], &case).await;
        judged(google, signals, Verdict::Block).await;
    }
    let mut waiting = 0;
    for (place, signals) in [&clip, &text].into_iter().enumerate() {
        for (context, verdict) in [
            ("news", Verdict::Review),
            ("counter_speech", Verdict::Review),
            ("art", Verdict::Block),
            ("", Verdict::Block),
        ] {
            let id = item(&format!("{place}:{context}"));
            let facts = in_context(context);
            let scanned = google.node.scan_with(id, signals.clone(), None, facts).await;
            assert_eq!(scanned.verdict, verdict, "{context:?}");
            waiting += usize::from(verdict == Verdict::Review);
        }
        let upload = item(&format!("{place}:upload"));
        assert_eq!(google.node.scan(upload, signals.clone()).await.verdict, Verdict::Block);
    }
    loop {
        let tickets = google.node.review().list(None, None, 10).await;
        if tickets.iter().map(|ticket| ticket.items.len()).sum::<usize>() == waiting {
            break;
        }
        tokio::task::yield_now().await;
    }
}
