//! S7: a member shows two others different logs. It is found within one exchange of checkpoints, both
//! have evidence that anyone can check, and that log alone is frozen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use watchfire_node::{
    Node,
    events::Event,
    gossip::{Gossip, Heads},
    peer::{Peer, PeerError},
    receipts::Effective,
    witness::witnesses,
};
use watchfire_signal::{charter::Role, commitment::Commitment, name::LogName, value::Signal};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{
    Evidence, EvidenceKind, Extension, Origin, PeerKey, Source, cosign::cosigned_at,
};

use crate::{
    coalition::{
        Cast, START_MS, Stage, TestClock, TestPeer, alert, charter, charter_with, log_name, name,
        start,
    },
    faulty::{Disk, FaultyStore},
};

const FOUR: [(&str, &str); 4] =
    [("ant", "ants"), ("bee", "bees"), ("cat", "cats"), ("dog", "dogs")];

/// Another member's node, with which heads are exchanged once it runs.
struct Neighbour {
    store: Arc<dyn Store>,
    node: Arc<OnceLock<Arc<Node>>>,
}

#[async_trait]
impl Peer for Neighbour {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        self.store.read(&Origin::new(log.to_string()).unwrap())
    }

    async fn push(&self, _log: &LogName, _more: &Extension) -> Result<u64, PeerError> {
        Err(PeerError("comes itself".to_owned()))
    }

    async fn receipt(&self, _effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        Ok(())
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        Err(PeerError("comes itself".to_owned()))
    }

    async fn exchange(&self, ours: &Heads) -> Result<Heads, PeerError> {
        let node = self.node.get().ok_or_else(|| PeerError("not yet".to_owned()))?;
        let failed = |error: watchfire_node::StoreError| PeerError(error.to_string());
        node.gossip().take(ours).await.map_err(failed)?;
        node.gossip().ours().await.map_err(failed)
    }
}

fn picture(byte: u8) -> Signal {
    crate::workshop::picture(byte)
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn plain(store: &Arc<dyn Store>) -> Arc<dyn Peer> {
    Arc::new(TestPeer { store: store.clone(), up: tokio::sync::watch::Sender::new(true) })
}

async fn member(
    me: &str,
    store: &Arc<dyn Store>,
    peers: BTreeMap<watchfire_signal::name::MemberName, Arc<dyn Peer>>,
    seed: u64,
) -> Stage {
    let charter = charter(&FOUR, 2);
    let (store, clock) = (store.clone(), TestClock::new());
    start(Cast { me, charter: &charter, store, trust: &[], peers, clock, seed }).await
}

async fn raise(stage: &Stage, pictures: impl IntoIterator<Item = u8>) -> Commitment {
    let mut last = None;
    for byte in pictures {
        last = Some(stage.node.raise(alert(vec![picture(byte)]), None).await.unwrap().commitment);
    }
    last.unwrap()
}

async fn knows(stage: &Stage, case: &Commitment) {
    while stage.node.alert(case).is_none() {
        tokio::task::yield_now().await;
    }
}

/// `cat` signs with one key in two places; `ant` follows the first, `bee` the second, both follow
/// `dog`.
struct Zoo {
    cats: [Stage; 2],
    dog: Stage,
    ant: Stage,
    bee: Stage,
    stores: [Arc<dyn Store>; 2],
}

/// `linked`: whether `ant` and `bee` exchange heads by themselves.
async fn zoo(pictures: [std::ops::Range<u8>; 2], linked: bool) -> Zoo {
    let lairs = [store(), store()];
    let mut cats = Vec::new();
    let mut shown = Vec::new();
    for (seed, (lair, pictures)) in (1..).zip(lairs.iter().zip(pictures)) {
        let cat = member("cat", lair, BTreeMap::new(), seed).await;
        shown.push(raise(&cat, pictures).await);
        cats.push(cat);
    }
    let (dogs, stores) = (store(), [store(), store()]);
    let dog = member("dog", &dogs, BTreeMap::new(), 9).await;
    let nodes = [(); 2].map(|()| Arc::new(OnceLock::new()));
    let mut stages = Vec::new();
    for (place, (me, other)) in [("ant", "bee"), ("bee", "ant")].into_iter().enumerate() {
        let there = 1 - place;
        let neighbour = Neighbour { store: stores[there].clone(), node: nodes[there].clone() };
        let neighbour =
            if linked { Arc::new(neighbour) as Arc<dyn Peer> } else { plain(&stores[there]) };
        let peers = BTreeMap::from([
            (name("cat"), plain(&lairs[place])),
            (name("dog"), plain(&dogs)),
            (name(other), neighbour),
        ]);
        let stage = member(me, &stores[place], peers, 20 + place as u64).await;
        knows(&stage, &shown[place]).await;
        let _first = nodes[place].set(stage.node.clone());
        stages.push(stage);
    }
    let [ant, bee] = <[Stage; 2]>::try_from(stages).ok().unwrap();
    let cats = <[Stage; 2]>::try_from(cats).ok().unwrap();
    Zoo { cats, dog, ant, bee, stores }
}

/// Evidence against `cat` at a member, which convicts with nothing but the key of the charter.
async fn evidence(stage: &Stage) -> Vec<Evidence> {
    let proofs = stage.node.evidence(&log_name("cat")).await.unwrap();
    let charter = charter(&FOUR, 2);
    let log = charter.charter.log_of(&name("cat")).unwrap();
    let key = PeerKey::from_bytes(&charter.charter.member(&name("cat")).unwrap().key).unwrap();
    let origin = Origin::new(log.to_string()).unwrap();
    assert!(proofs.iter().all(|proof| proof.check(&origin, &key)));
    proofs
}

async fn one_exchange(from: &Stage, to: &Stage) {
    let node = Arc::new(OnceLock::new());
    let _first = node.set(to.node.clone());
    let there = Neighbour { store: store(), node };
    from.node.gossip().exchange(&there).await.unwrap();
}

#[tokio::test]
async fn s7_two_logs_of_one_member_are_found_within_one_exchange_and_it_alone_is_frozen() {
    // Of one size, and each of the two the longer one, whoever asks.
    for (pictures, same_size) in
        [([1..3, 5..7], true), ([1..3, 5..9], false), ([1..5, 5..7], false)]
    {
        let zoo = zoo(pictures, false).await;
        assert!(evidence(&zoo.ant).await.is_empty() && evidence(&zoo.bee).await.is_empty());
        one_exchange(&zoo.ant, &zoo.bee).await;
        for stage in [&zoo.ant, &zoo.bee] {
            let proofs = evidence(stage).await;
            assert_eq!(proofs.len(), 1, "{}", stage.node.me());
            assert_eq!(proofs[0].kind == EvidenceKind::SameSize, same_size);
            assert_eq!(stage.node.forked().await.unwrap(), BTreeSet::from([name("cat")]));
            let (events, _) = stage.node.events().watch(0);
            let fork =
                |event: &Event| matches!(event, Event::Fork { log } if log.member == name("cat"));
            assert_eq!(events.iter().filter(|numbered| fork(&numbered.event)).count(), 1);
        }
        // Again says nothing new.
        one_exchange(&zoo.bee, &zoo.ant).await;
        assert_eq!(evidence(&zoo.ant).await.len(), 1);

        // The other logs go on, this one does not.
        let held = zoo.ant.node.held().await.unwrap()[&name("cat")];
        for cat in &zoo.cats {
            raise(cat, [60]).await;
        }
        let honest = raise(&zoo.dog, [70]).await;
        knows(&zoo.ant, &honest).await;
        knows(&zoo.bee, &honest).await;
        assert_eq!(zoo.ant.node.held().await.unwrap()[&name("cat")], held);
    }
}

#[tokio::test(start_paused = true)]
async fn members_compare_heads_by_themselves_and_the_freeze_outlives_a_restart() {
    let zoo = zoo([1..3, 5..8], true).await;
    while evidence(&zoo.ant).await.is_empty() || evidence(&zoo.bee).await.is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    zoo.ant.node.stop().await;
    let again = member("ant", &zoo.stores[0], BTreeMap::new(), 30).await;
    assert_eq!(again.node.forked().await.unwrap(), BTreeSet::from([name("cat")]));
    assert_eq!(evidence(&again).await.len(), 1);
}

#[tokio::test]
async fn a_proof_that_a_full_disk_did_not_take_is_kept_and_told_once_there_is_room() {
    // Ant holds the longer history, and with that the proof.
    let zoo = zoo([1..4, 5..7], false).await;
    let disk = tokio::sync::watch::Sender::new(Disk::Works);
    let faulty = Arc::new(FaultyStore { store: zoo.stores[0].clone(), disk: disk.clone() });
    zoo.ant.node.stop().await;
    let full = faulty as Arc<dyn Store>;
    let ant = member("ant", &full, BTreeMap::new(), 30).await;
    let shown = zoo.bee.node.gossip().ours().await.unwrap();
    let dog = member("dog", &store(), BTreeMap::new(), 31).await;
    disk.send_replace(Disk::Full);
    assert!(ant.node.gossip().take(&shown).await.is_err());
    assert_eq!(ant.node.forked().await.unwrap(), BTreeSet::from([name("cat")]));
    assert!(evidence(&ant).await.is_empty(), "there is no room for it");
    disk.send_replace(Disk::Works);
    one_exchange(&ant, &dog).await;
    assert_eq!(evidence(&ant).await.len(), 1);
    assert_eq!(dog.node.forked().await.unwrap(), BTreeSet::from([name("cat")]));
}

#[tokio::test]
async fn heads_that_agree_or_that_nobody_signed_freeze_nothing() {
    // Both follow one log, one of them further.
    let zoo = zoo([1..3, 5..8], false).await;
    let gossip: Gossip = zoo.ant.node.gossip();
    let before = gossip.ours().await.unwrap();
    let more = raise(&zoo.cats[0], [9]).await;
    knows(&zoo.ant, &more).await;
    assert_eq!(gossip.take(&before).await.unwrap(), 0, "an older head of the same history");

    // A head that is not by the log's key, and a proof that is none.
    let mut lies = zoo.bee.node.gossip().ours().await.unwrap();
    let cat = lies.heads.keys().find(|log| log.member == name("cat")).unwrap().clone();
    let forged = lies.heads[&cat].text.replace("\n3\n", "\n2\n");
    lies.heads.insert(cat.clone(), watchfire_tlog::SignedCheckpoint::new(forged));
    let head = before.heads[&cat].clone();
    let proof = Evidence { ours: head.clone(), theirs: head, kind: EvidenceKind::SameSize };
    lies.proofs.push((cat, proof));
    assert_eq!(gossip.take(&lies).await.unwrap(), 0);
    assert!(zoo.ant.node.forked().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_member_learns_from_the_others_that_its_own_key_signs_elsewhere() {
    let zoo = zoo([1..3, 5..8], false).await;
    // The first cat hears of what the second one signed.
    let heads = zoo.bee.node.gossip().ours().await.unwrap();
    let gossip = zoo.cats[0].node.gossip();
    assert_eq!(gossip.take(&heads).await.unwrap(), 0, "larger than what it wrote");
    one_exchange(&zoo.cats[0], &zoo.bee).await;
    let forked = zoo.cats[0].node.forked().await.unwrap();
    assert_eq!(forked, BTreeSet::from([name("cat")]), "who holds more has proven it");
}

#[tokio::test]
async fn a_witness_cosigns_the_logs_that_it_holds_and_others_keep_what_it_cosigned() {
    let charter = charter_with(&FOUR, 2, |charter| {
        for member in charter.members.iter_mut().filter(|member| member.name == name("bee")) {
            member.role = Role::Witness;
        }
    });
    let stores = [(); 3].map(|()| store());
    let mut stages = Vec::new();
    for (place, me) in ["ant", "bee", "cat"].into_iter().enumerate() {
        let peers =
            ["ant", "bee", "cat"].into_iter().zip(&stores).filter(|(other, _)| *other != me);
        let peers = peers.map(|(other, store)| (name(other), plain(store))).collect();
        let (store, clock, seed) = (stores[place].clone(), TestClock::new(), 40 + place as u64);
        let cast = Cast { me, charter: &charter, store, trust: &[], peers, clock, seed };
        stages.push(start(cast).await);
    }
    let [ant, bee, cat] = <[Stage; 3]>::try_from(stages).ok().unwrap();
    let case = raise(&cat, [1, 2]).await;
    knows(&ant, &case).await;
    knows(&bee, &case).await;
    one_exchange(&ant, &bee).await;
    let cosigned = ant.node.cosigned(&log_name("cat"));
    assert_eq!(cosigned.len(), 1);
    let (witness, key) = witnesses(&charter.charter).pop_first().unwrap();
    assert_eq!(witness, "watchfire/test/bee/1");
    assert_eq!(cosigned_at(&cosigned[0], &witness, &key), Some(START_MS / 1_000));
    let origin = Origin::new(cat.node.log().to_string()).unwrap();
    assert_eq!(
        cosigned[0].verify(&origin, &crate::coalition::key("cat").public()).unwrap().size,
        2
    );
    assert!(ant.node.cosigned(&log_name("bee")).is_empty(), "nobody witnesses itself");
    // A member that is no witness cosigns nothing, and a later head takes the place of this one.
    one_exchange(&bee, &ant).await;
    assert!(bee.node.cosigned(&log_name("ant")).is_empty());
    let more = raise(&cat, [3]).await;
    knows(&ant, &more).await;
    knows(&bee, &more).await;
    one_exchange(&ant, &bee).await;
    let cosigned = ant.node.cosigned(&log_name("cat"));
    assert_eq!((cosigned.len(), cosigned[0].text.lines().nth(1)), (1, Some("3")));
}
