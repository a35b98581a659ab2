//! What a member decided is anchored in its public log, and can be proven to somebody who has
//! nothing but the charter; whatever is changed in a proof is found.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use watchfire_node::{
    anchor::ANCHOR_EVERY,
    desk::{Actor, Deed, DeskKind, Line},
    peer::Peer,
    proof::{
        bundle::{Bundle, BundleError, Link, Octets},
        check::{Proven, Wrong, check},
    },
    raise::Answer,
};
use watchfire_signal::{
    charter::SignedCharter,
    commitment::Commitment,
    desk::{DeskRecord, seal_line},
    pdq::Pdq,
    reason::Reason,
    statement::{Basis, Statement},
    tlp::Audience,
    value::Signal,
    verb::Verb,
};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Frontier, Hash, Origin, leaf_hash, proof::inclusion};

use crate::coalition::{
    Cast, Stage, TestClock, TestPeer, alert, charter, charter_with, name, start,
};

const FOR_THE_COMMUNITY: Option<Audience> = Some(Audience::Community);

pub(crate) const THREE: [(&str, &str); 3] =
    [("tiktok", "bytedance"), ("twitch", "amazon"), ("google", "alphabet")];

#[derive(serde::Serialize)]
struct Looked {
    item: String,
}

impl Deed for Looked {
    const KIND: DeskKind = DeskKind::Look;
}

pub(crate) fn every_ms() -> u64 {
    u64::try_from(ANCHOR_EVERY.as_millis()).unwrap()
}

pub(crate) async fn look(stage: &Stage) {
    let line = Line::new(&Actor::Node, &Looked { item: "post:1".to_owned() }).unwrap();
    stage.node.desk().write(line).await.unwrap();
}

async fn alone(store: &Arc<dyn Store>, clock: &Arc<TestClock>, seed: u64) -> Stage {
    let charter = charter(&THREE, 2);
    let (store, clock, peers) = (store.clone(), clock.clone(), BTreeMap::new());
    start(Cast { me: "google", charter: &charter, store, trust: &[], peers, clock, seed }).await
}

async fn settled() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

/// What the member's log says of its desk log, in order.
pub(crate) async fn anchors(stage: &Stage) -> Vec<(u64, u64)> {
    let log = stage.node.log().clone();
    let mut found = Vec::new();
    let held = stage.node.held().await.unwrap().get(&log.member).copied().unwrap_or(0);
    for index in 0..held {
        if let Some(Statement::Desk(head)) = stage.node.statement(&log, index).await.unwrap() {
            found.push((index, head.size));
        }
    }
    found
}

pub(crate) async fn anchored(stage: &Stage, size: u64) {
    while stage.node.anchored().is_none_or(|anchor| anchor.head.size < size) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_desk_log_that_grew_is_anchored_once_and_not_again_after_a_restart() {
    let (store, clock) = (Arc::new(MemoryStore::new()) as Arc<dyn Store>, TestClock::new());
    let stage = alone(&store, &clock, 1).await;
    look(&stage).await;
    clock.advance_ms(every_ms() - 1);
    look(&stage).await;
    settled().await;
    assert_eq!(anchors(&stage).await, [], "no line has waited long enough");
    clock.advance_ms(1);
    look(&stage).await;
    anchored(&stage, 3).await;
    assert_eq!(anchors(&stage).await, [(0, 3)]);
    let anchor = stage.node.anchored().unwrap();
    let head = stage.node.desk().head().await.unwrap().unwrap();
    assert_eq!((anchor.head.size, anchor.head.root), (head.size, head.root.0));
    stage.node.stop().await;

    // Nothing was written meanwhile.
    clock.advance_ms(10 * every_ms());
    let stage = alone(&store, &clock, 2).await;
    anchored(&stage, 3).await;
    settled().await;
    assert_eq!(anchors(&stage).await, [(0, 3)]);
    look(&stage).await;
    settled().await;
    assert_eq!(anchors(&stage).await, [(0, 3)]);
    stage.node.stop().await;

    // A line waits for its anchor when the node starts.
    clock.advance_ms(every_ms());
    let stage = alone(&store, &clock, 3).await;
    anchored(&stage, 4).await;
    assert_eq!(anchors(&stage).await, [(0, 3), (1, 4)]);
}

#[tokio::test]
async fn a_desk_log_that_lost_lines_is_anchored_anew_for_all_to_see() {
    let (store, clock) = (Arc::new(MemoryStore::new()) as Arc<dyn Store>, TestClock::new());
    let stage = alone(&store, &clock, 1).await;
    for _ in 0..3 {
        look(&stage).await;
    }
    clock.advance_ms(every_ms());
    look(&stage).await;
    anchored(&stage, 4).await;
    // The public log comes back from its peers, the desk log does not.
    let peer = TestPeer { store: store.clone(), up: tokio::sync::watch::Sender::new(true) };
    stage.node.stop().await;
    let charter = charter(&THREE, 2);
    let restored = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
    let peers = BTreeMap::from([(name("twitch"), Arc::new(peer) as Arc<dyn Peer>)]);
    let (trust, seed): (&[&str], u64) = (&[], 4);
    let clock_of = clock.clone();
    let cast = Cast {
        me: "google",
        charter: &charter,
        store: restored,
        trust,
        peers,
        clock: clock_of,
        seed,
    };
    let stage = start(cast).await;
    look(&stage).await;
    clock.advance_ms(every_ms());
    look(&stage).await;
    anchored(&stage, 2).await;
    assert_eq!(anchors(&stage).await, [(0, 4), (1, 2)]);
    // Whoever has the log sees it.
    while stage.node.rewritten_desks() != [stage.node.log().clone()] {
        tokio::task::yield_now().await;
    }
}

/// A case that `tiktok` raised, `twitch` confirmed and `google` enforced on two copies and restored
/// one of, with all of it anchored but the last line.
pub(crate) struct Story {
    pub(crate) google: Stage,
    pub(crate) others: [Stage; 2],
    pub(crate) store: Arc<dyn Store>,
    pub(crate) charter: SignedCharter,
    pub(crate) case: Commitment,
}

pub(crate) async fn story() -> Story {
    let charter = charter(&THREE, 2);
    let clock = TestClock::new();
    let stores = THREE.map(|_| Arc::new(MemoryStore::new()) as Arc<dyn Store>);
    let mut stages = Vec::new();
    for (place, (me, _)) in THREE.iter().enumerate() {
        let others = THREE.iter().zip(&stores).filter(|((other, _), _)| other != me);
        let peers = others.map(|((other, _), store)| {
            let up = tokio::sync::watch::Sender::new(true);
            (name(other), Arc::new(TestPeer { store: store.clone(), up }) as Arc<dyn Peer>)
        });
        let (store, clock, seed) = (stores[place].clone(), clock.clone(), place as u64);
        let peers = peers.collect();
        stages.push(
            start(Cast { me, charter: &charter, store, trust: &[], peers, clock, seed }).await,
        );
    }
    let [tiktok, twitch, google] = <[Stage; 3]>::try_from(stages).ok().unwrap();
    let picture = Signal { quality: Some(100), ..Signal::new(Pdq([0x1e; 32])) };
    for post in ["post:1", "post:2"] {
        google.node.scan(post.parse().unwrap(), vec![picture.clone()]).await;
    }
    look(&google).await;
    let other = Signal { quality: Some(100), ..Signal::new(Pdq([0x55; 32])) };
    tiktok.node.raise(alert(vec![other]), None).await.unwrap();
    let case = tiktok.node.raise(alert(vec![picture]), None).await.unwrap().commitment;
    while twitch.node.alert(&case).is_none() {
        tokio::task::yield_now().await;
    }
    let seen = Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    twitch.node.answer(&case, seen, None).await.unwrap();
    outcomes(&google, 2).await;
    clock.advance_ms(every_ms());
    look(&google).await;
    anchored(&google, 4).await;
    let retract = Answer::Retract { reason: Reason::BenignContext, restore: true, note: None };
    tiktok.node.answer(&case, retract.clone(), None).await.unwrap();
    twitch.node.answer(&case, retract, None).await.unwrap();
    outcomes(&google, 4).await;
    clock.advance_ms(every_ms());
    look(&google).await;
    anchored(&google, 7).await;
    let [store_of_google] = [stores[2].clone()];
    Story { google, others: [tiktok, twitch], store: store_of_google, charter, case }
}

/// Waits until so many orders have ended.
async fn outcomes(stage: &Stage, count: usize) {
    let desk = stage.node.desk();
    while desk.newest(Some(DeskKind::Outcome), u64::MAX, 10).await.unwrap().len() < count {
        tokio::task::yield_now().await;
    }
}

fn through_a_file(bundle: &Bundle) -> Bundle {
    Bundle::decode(&bundle.encode().unwrap()).unwrap()
}

fn verbs(proven: &Proven) -> Vec<(&str, Verb)> {
    let entries = proven.entries.iter();
    entries.map(|entry| (entry.log.member.as_str(), entry.header.verb)).collect()
}

#[tokio::test]
async fn an_enforcement_is_proven_with_nothing_but_the_charter() {
    let story = story().await;
    let bundle = story.google.node.prove(&story.case, FOR_THE_COMMUNITY).await.unwrap();
    let bytes = bundle.encode().unwrap();
    let line = serde_json::to_vec(&bundle.desk.lines[0]).unwrap();
    println!(
        "a proof of 4 records and 4 orders has {} bytes, an order {}",
        bytes.len(),
        line.len()
    );
    let proven = check(&Bundle::decode(&bytes).unwrap(), &story.charter.clone().into()).unwrap();
    let mut said = verbs(&proven);
    said.retain(|(member, _)| *member != "google");
    let wanted = [
        ("tiktok", Verb::Assert),
        ("tiktok", Verb::Retract),
        ("twitch", Verb::Confirm),
        ("twitch", Verb::Retract),
    ];
    assert_eq!(said, wanted);
    assert!(proven.entries.iter().all(|entry| entry.statement.is_some()));
    let actions: Vec<_> = proven.lines.iter().map(|line| line.body["action"].as_str()).collect();
    assert_eq!(actions.iter().filter(|action| **action == Some("remove")).count(), 2);
    assert_eq!(actions.iter().filter(|action| **action == Some("restore")).count(), 2);
    assert_eq!((proven.not_anchored, proven.left_out), (0, 0));
    let sizes: Vec<_> = proven.lines.iter().map(|line| line.anchor.unwrap().size).collect();
    assert_eq!(sizes[..2], [4, 4], "each by the first anchor that covers it");
    assert!(sizes[2..].iter().all(|size| *size >= 7));
}

#[tokio::test]
async fn a_redacted_proof_holds_without_a_single_record_about_the_case() {
    let story = story().await;
    let bundle = through_a_file(&story.google.node.prove(&story.case, None).await.unwrap());
    let proven = check(&bundle, &story.charter.clone().into()).unwrap();
    assert!(proven.entries.iter().all(|entry| entry.statement.is_none()));
    assert_eq!(proven.lines.len(), 4);
    assert!(!String::from_utf8(bundle.encode().unwrap()).unwrap().contains(&"1e".repeat(32)));
}

#[tokio::test]
async fn what_is_not_anchored_yet_is_said_so() {
    let story = story().await;
    let mut bundle = story.google.node.prove(&story.case, FOR_THE_COMMUNITY).await.unwrap();
    let line = bundle.desk.lines.last_mut().unwrap();
    (line.anchored, line.anchor, line.inclusion) = (false, None, vec![]);
    let proven = check(&bundle, &story.charter.clone().into()).unwrap();
    assert_eq!(proven.not_anchored, 1);
    assert_eq!(proven.lines.last().unwrap().anchor, None);
    bundle.desk.lines.last_mut().unwrap().anchored = true;
    assert!(matches!(check(&bundle, &story.charter.clone().into()), Err(Wrong::Unanchored(_))));
}

pub(crate) fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

fn flip_hash(link: &mut Link) {
    flip(&mut link.0.0);
}

/// Changes of one thing, and whether the error names it.
type Change = (&'static str, fn(&mut Bundle), fn(&Wrong) -> bool);

fn changes() -> Vec<Change> {
    [changes_of_logs(), changes_of_lines(), changes_of_the_whole()].concat()
}

fn changes_of_logs() -> Vec<Change> {
    vec![
        ("leaf", |b| flip(&mut b.logs[0].entries[0].leaf.0), |w| matches!(w, Wrong::Entry(..))),
        (
            "record",
            |b| {
                let part = b.logs.iter_mut().find(|part| part.log.member == name("tiktok"));
                flip(&mut part.unwrap().entries[0].record.as_mut().unwrap().0);
            },
            |w| matches!(w, Wrong::Record(..)),
        ),
        (
            "hash of a path",
            |b| {
                let part = b.logs.iter_mut().find(|part| part.log.member == name("tiktok"));
                flip_hash(&mut part.unwrap().entries[0].inclusion[0]);
            },
            |w| matches!(w, Wrong::Entry(..)),
        ),
        (
            "root in a checkpoint",
            |b| {
                let text = &b.logs[0].checkpoint;
                let root = text.lines().nth(2).unwrap();
                let other = root.replace(&root[..1], if root.starts_with('A') { "B" } else { "A" });
                b.logs[0].checkpoint = text.replace(root, &other);
            },
            |w| matches!(w, Wrong::Checkpoint(..)),
        ),
        (
            "checkpoint of another log",
            |b| b.logs[0].checkpoint = b.logs[1].checkpoint.clone(),
            |w| matches!(w, Wrong::Checkpoint(..)),
        ),
        (
            "another place of an entry",
            |b| b.logs[0].entries.last_mut().unwrap().index += 1,
            |w| matches!(w, Wrong::Entry(..)),
        ),
    ]
}

fn changes_of_lines() -> Vec<Change> {
    vec![
        ("line", |b| flip(&mut b.desk.lines[0].leaf.0), |w| matches!(w, Wrong::Line(_))),
        (
            "record of a line",
            |b| flip(&mut b.desk.lines[0].record.0),
            |w| matches!(w, Wrong::LineRecord(..)),
        ),
        (
            "path of a line",
            |b| flip_hash(&mut b.desk.lines[0].inclusion[0]),
            |w| matches!(w, Wrong::Line(_)),
        ),
        (
            "another anchor for a line",
            |b| b.desk.lines[0].anchor = Some(b.desk.anchors[1].index),
            |w| matches!(w, Wrong::Line(_)),
        ),
        (
            "no such anchor",
            |b| b.desk.lines[0].anchor = Some(99),
            |w| matches!(w, Wrong::Unanchored(_)),
        ),
        (
            "anchor that is none",
            |b| b.desk.anchors[0].index = 99,
            |w| matches!(w, Wrong::Anchor(_)),
        ),
        (
            "anchor whose record is hidden",
            |b| {
                let index = b.desk.anchors[0].index;
                let part = b.logs.iter_mut().find(|part| part.log.member == name("google"));
                let mut entries = part.unwrap().entries.iter_mut();
                entries.find(|entry| entry.index == index).unwrap().record = None;
            },
            |w| matches!(w, Wrong::Anchor(_)),
        ),
        (
            "path between anchors",
            |b| flip_hash(&mut b.desk.anchors[1].consistency[0]),
            |w| matches!(w, Wrong::Rewritten(..)),
        ),
    ]
}

fn changes_of_the_whole() -> Vec<Change> {
    vec![
        (
            "the founding alert left out",
            |b| {
                let part = b.logs.iter_mut().find(|part| part.log.member == name("tiktok"));
                part.unwrap().entries.remove(0);
            },
            |w| matches!(w, Wrong::NoAlert),
        ),
        (
            "lines out of order",
            |b| b.desk.lines.swap(0, 1),
            |w| matches!(w, Wrong::LineUnrelated(_)),
        ),
        (
            "a line twice",
            |b| b.desk.lines.push(b.desk.lines[b.desk.lines.len() - 1].clone()),
            |w| matches!(w, Wrong::LineUnrelated(_)),
        ),
        (
            "another member's decisions",
            |b| b.member = name("twitch"),
            |w| matches!(w, Wrong::Anchor(_)),
        ),
        ("another case", |b| b.case = Commitment([7; 32]), |w| matches!(w, Wrong::NoAlert)),
        (
            "another charter",
            |b| flip_hash(&mut b.charter.hash),
            |w| matches!(w, Wrong::OtherCharter(..)),
        ),
    ]
}

#[tokio::test]
async fn whatever_is_changed_in_a_proof_is_found_and_named() {
    let story = story().await;
    let bundle = story.google.node.prove(&story.case, FOR_THE_COMMUNITY).await.unwrap();
    check(&bundle, &story.charter.clone().into()).unwrap();
    for (what, change, named) in changes() {
        let mut changed = bundle.clone();
        change(&mut changed);
        let wrong = check(&changed, &story.charter.clone().into()).expect_err(what);
        assert!(named(&wrong), "{what}: {wrong}");
    }
}

#[tokio::test]
async fn a_proof_of_another_coalition_is_none_here() {
    let story = story().await;
    let mut bundle = story.google.node.prove(&story.case, FOR_THE_COMMUNITY).await.unwrap();
    let other = charter_with(&THREE, 1, |_| {});
    assert!(matches!(check(&bundle, &other.clone().into()), Err(Wrong::OtherCharter(..))));
    // Who renames the charter in the file has to sign with its keys too.
    let strangers = charter_with(&THREE, 2, |charter| charter.coalition = "other".parse().unwrap());
    bundle.coalition = "other".parse().unwrap();
    bundle.charter.hash = Link(strangers.hash().into());
    assert!(matches!(check(&bundle, &strangers.clone().into()), Err(Wrong::Log(_))));
}

/// The desk log of a story, one line changed, with the tree and all paths made anew.
async fn rewritten(story: &Story, bundle: &Bundle) -> Bundle {
    let origin = Origin::new(format!("{}/desk", story.google.node.log())).unwrap();
    let held = story.store.held(&origin, 0, 100).await.unwrap();
    let mut leaves: Vec<_> = held.iter().map(|held| held.entry.leaf.to_vec()).collect();
    let mut forged = bundle.clone();
    let line = &mut forged.desk.lines[0];
    let body = format!(r#"{{"case":"{}","action":"restore"}}"#, story.case).into_bytes();
    let record = DeskRecord { actor: "node".to_owned(), body };
    let at_ms = 1_800_000_000_000;
    let sealed = seal_line(DeskKind::Outcome, at_ms, &record, [5; 16]).unwrap();
    (line.leaf, line.record) = (Octets(sealed.leaf.clone()), Octets(sealed.record));
    leaves[usize::try_from(line.index).unwrap()] = sealed.leaf;
    let tree = Tree(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
    for line in &mut forged.desk.lines {
        let size = story_size(bundle, line.anchor.unwrap());
        line.inclusion = tree.path(line.index, size).await;
    }
    forged
}

fn story_size(bundle: &Bundle, anchor: u64) -> u64 {
    let first = bundle.desk.anchors[0].index == anchor;
    if first { 4 } else { bundle.desk.lines.last().unwrap().index + 1 }
}

struct Tree(Vec<Hash>);

impl Tree {
    async fn path(&self, index: u64, size: u64) -> Vec<Link> {
        let mut frontier = Frontier::new();
        self.0.iter().for_each(|hash| frontier.append(*hash));
        inclusion(self, index, size).await.unwrap().into_iter().map(Link).collect()
    }
}

#[async_trait::async_trait]
impl watchfire_tlog::HashReader for Tree {
    async fn hashes(
        &self,
        level: u8,
        from: u64,
        to: u64,
    ) -> Result<Vec<Hash>, watchfire_tlog::SourceError> {
        assert_eq!(level, 0);
        let [from, to] = [from, to].map(|at| usize::try_from(at).unwrap());
        Ok(self.0[from..to.min(self.0.len())].to_vec())
    }
}

#[tokio::test]
async fn a_desk_log_that_was_rewritten_after_its_anchor_proves_nothing() {
    let story = story().await;
    let bundle = story.google.node.prove(&story.case, FOR_THE_COMMUNITY).await.unwrap();
    let first = bundle.desk.lines[0].index;
    let forged = rewritten(&story, &bundle).await;
    let wrong = check(&forged, &story.charter.clone().into()).unwrap_err();
    assert!(matches!(wrong, Wrong::Line(index) if index == first), "{wrong}");
}

#[test]
fn a_file_that_passes_a_limit_or_is_of_another_time_is_refused() {
    let refused = |text: &str| Bundle::decode(text.as_bytes()).unwrap_err();
    assert!(matches!(refused(r#"{"watchfire_proof":2}"#), BundleError::Version(2)));
    assert!(matches!(refused("{}"), BundleError::Json(_)));
    let zero = "00".repeat(32);
    let long = vec![format!("\"{zero}\""); 65].join(",");
    let text = format!(
        r#"{{"watchfire_proof":1,"coalition":"test","charter":{{"seq":1,"hash":"{zero}"}},
            "member":"google","case":"{zero}","logs":[{{"log":"watchfire/test/google/1",
            "checkpoint":"","entries":[{{"index":0,"leaf":"","inclusion":[{long}]}}]}}],
            "desk":{{"anchors":[],"lines":[],"left_out":0}}}}"#
    );
    assert!(matches!(refused(&text), BundleError::Limit("a path", 64)));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _refused = Bundle::decode(&bytes);
    }

    #[test]
    fn no_text_near_a_proof_makes_the_check_panic(
        leaf in "[0-9a-f]{0,200}", index in any::<u64>(), path in prop::collection::vec("[0-9a-f]{64}", 0..70),
        checkpoint in ".{0,200}",
        (anchored, anchor) in (any::<bool>(), any::<Option<u64>>()),
    ) {
        let zero = "00".repeat(32);
        let text = serde_json::json!({
            "watchfire_proof": 1, "coalition": "test", "charter": {"seq": 1, "hash": zero},
            "member": "google", "case": zero,
            "logs": [{"log": "watchfire/test/google/1", "checkpoint": checkpoint,
                      "entries": [{"index": index, "leaf": leaf, "record": leaf, "inclusion": path}]}],
            "desk": {"anchors": [{"index": index, "consistency": path}],
                     "lines": [{"index": index, "leaf": leaf, "record": leaf, "anchored": anchored,
                                "anchor": anchor, "inclusion": path}], "left_out": index},
        }).to_string();
        if let Ok(mut bundle) = Bundle::decode(text.as_bytes()) {
            let charter = charter(&THREE, 2);
            bundle.charter.hash = Link(charter.hash().into());
            prop_assert!(check(&bundle, &charter.clone().into()).is_err());
        }
    }
}
