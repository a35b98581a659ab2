//! Members without an address: they go to the others, and are full members all the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use watchfire_node::{
    Node, Setup,
    charter::{
        approve,
        draft::{Ends, next},
    },
    gossip::Heads,
    peer::{Peer, PeerError},
    place::Place,
    receipts::Effective,
};
use watchfire_signal::{
    charter::{Approval, CharterChain, Group, SignedCharter},
    name::{LogName, MemberName},
    statement::Statement,
    value::Signal,
};
use watchfire_store::{MemoryStore, Store};
use watchfire_tlog::{Extension, Origin, Source};

use crate::coalition::{Cast, Stage, TestClock, alert, charter_with, key, name, setup, start};

const MEMBERS: [(&str, &str); 3] = [("ant", "a"), ("bee", "b"), ("cat", "c")];

/// A node as a member that comes to it sees it.
struct Visited {
    visitor: MemberName,
    node: Arc<Node>,
    store: Arc<dyn Store>,
    pushed: Mutex<Vec<Extension>>,
}

#[async_trait]
impl Peer for Visited {
    fn source(&self, log: &LogName) -> Arc<dyn Source> {
        self.store.read(&Origin::new(log.to_string()).unwrap())
    }

    async fn push(&self, _log: &LogName, more: &Extension) -> Result<u64, PeerError> {
        self.pushed.lock().unwrap().push(more.clone());
        let taken = self.node.accept(&self.visitor, more.clone()).await;
        Ok(taken.map_err(|error| PeerError(error.to_string()))?.unwrap())
    }

    async fn receipt(&self, effective: &BTreeMap<LogName, Effective>) -> Result<(), PeerError> {
        let noted = self.node.receipt(&self.visitor, effective).await;
        noted.map_err(|error| PeerError(error.to_string()))
    }

    async fn receipts(&self) -> Result<BTreeMap<LogName, Effective>, PeerError> {
        Ok(self.node.receipts().effective())
    }

    async fn lacking(&self) -> Result<BTreeMap<LogName, Vec<u64>>, PeerError> {
        Ok(self.node.filler().holes.lacking())
    }

    async fn bring(&self, place: &Place, record: &Bytes) -> Result<bool, PeerError> {
        let taken = self.node.filler().take(place.clone(), record.clone()).await;
        taken.map_err(|error| PeerError(error.to_string()))
    }

    async fn exchange(&self, ours: &Heads) -> Result<Heads, PeerError> {
        let failed = |error: watchfire_store::StoreError| PeerError(error.to_string());
        self.node.gossip().take(ours).await.map_err(failed)?;
        self.node.gossip().ours().await.map_err(failed)
    }
}

/// A charter in which only some have an address; `insiders` is a group of two.
fn charter(reachable: &[&str], insiders: [&str; 2]) -> SignedCharter {
    charter_with(&MEMBERS, 2, |charter| {
        for member in &mut charter.members {
            if !reachable.contains(&member.name.as_str()) {
                member.address = None;
            }
        }
        charter.groups =
            vec![Group { name: "insiders".parse().unwrap(), members: insiders.map(name).into() }];
    })
}

struct House {
    stage: Stage,
    store: Arc<dyn Store>,
}

impl House {
    async fn open(me: &str, charter: &SignedCharter, hosts: &[Arc<Visited>]) -> House {
        Self::open_on(Arc::new(MemoryStore::new()), me, charter, hosts).await
    }

    /// Starts it again, with others within reach.
    async fn again(self, charter: &SignedCharter, hosts: &[Arc<Visited>]) -> House {
        Self::open_on(self.store, self.stage.node.me().as_str(), charter, hosts).await
    }

    async fn open_on(
        store: Arc<dyn Store>,
        me: &str,
        charter: &SignedCharter,
        hosts: &[Arc<Visited>],
    ) -> House {
        let peers = hosts.iter().map(|host| (host.node.me().clone(), host.clone() as _)).collect();
        let seed = u64::from(me.as_bytes()[0]);
        let (trust, clock) = (&[][..], TestClock::new());
        let stage =
            start(Cast { me, charter, store: store.clone(), trust, peers, clock, seed }).await;
        House { stage, store }
    }

    fn visited_by(&self, visitor: &str) -> Arc<Visited> {
        let (node, store) = (self.stage.node.clone(), self.store.clone());
        Arc::new(Visited { visitor: name(visitor), node, store, pushed: Mutex::default() })
    }
}

fn picture(byte: u8) -> Signal {
    crate::workshop::picture(byte)
}

async fn until(mut there: impl FnMut() -> bool) {
    while !there() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_members_that_nobody_can_reach_see_each_other_and_learn_of_receipts() {
    let charter = charter(&["bee"], ["ant", "cat"]);
    let bee = House::open("bee", &charter, &[]).await;
    let ant = House::open("ant", &charter, &[bee.visited_by("ant")]).await;
    let cat = House::open("cat", &charter, &[bee.visited_by("cat")]).await;
    let case = ant.stage.node.raise(alert(vec![picture(1)]), None).await.unwrap().commitment;
    until(|| cat.stage.node.alert(&case).is_some()).await;
    let known = cat.stage.node.alert(&case).unwrap();
    assert_eq!(known.set.author(), &name("ant"));
    assert!(known.set.alert.is_some(), "with its record");
    let protected = |node: &Node| node.alert(&case).unwrap().effective_at_ms[&name("bee")];
    until(|| protected(&ant.stage.node).is_some()).await;
}

#[tokio::test]
async fn what_is_brought_to_a_member_outside_the_group_has_no_record() {
    let charter = charter(&["bee", "cat"], ["ant", "cat"]);
    let bee = House::open("bee", &charter, &[]).await;
    let cat = House::open("cat", &charter, &[]).await;
    let (at_bee, at_cat) = (bee.visited_by("ant"), cat.visited_by("ant"));
    let ant = House::open("ant", &charter, &[at_bee.clone(), at_cat.clone()]).await;
    let mut secret = alert(vec![picture(2)]);
    secret.group = "insiders".parse().unwrap();
    let case = ant.stage.node.raise(secret, None).await.unwrap().commitment;
    for house in [&bee, &cat] {
        until(|| house.stage.node.alert(&case).is_some()).await;
    }
    let records = |visited: &Visited| {
        let pushed = visited.pushed.lock().unwrap();
        let entries = pushed.iter().flat_map(|more| more.entries.iter());
        entries.map(|entry| entry.record.is_some()).collect::<Vec<_>>()
    };
    assert_eq!((records(&at_bee), records(&at_cat)), (vec![false], vec![true]));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_a_relay_outside_its_group_left_out_is_brought_by_its_author() {
    let charter = charter(&["bee", "cat"], ["ant", "cat"]);
    let bee = House::open("bee", &charter, &[]).await;
    let cat = House::open("cat", &charter, &[bee.visited_by("cat")]).await;
    // At first ant reaches bee alone, and cat has its log from there.
    let ant = House::open("ant", &charter, &[bee.visited_by("ant")]).await;
    let mut secret = alert(vec![picture(3)]);
    secret.group = "insiders".parse().unwrap();
    let case = ant.stage.node.raise(secret, None).await.unwrap().commitment;
    let known =
        |house: &House| house.stage.node.alert(&case).map(|known| known.set.alert.is_some());
    while known(&cat).is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(known(&cat), Some(false), "a hole");
    ant.stage.node.stop().await;
    let at_cat = cat.visited_by("ant");
    let hosts = [bee.visited_by("ant"), at_cat.clone()];
    let again = ant.again(&charter, &hosts).await;
    while known(&cat) != Some(true) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(known(&bee), Some(false), "who is not in the group gets nothing");
    assert!(at_cat.node.filler().holes.is_empty());
    again.stage.node.stop().await;
}

#[tokio::test]
async fn what_a_member_that_nobody_can_reach_said_under_its_former_key_comes_with_its_end() {
    let first = charter(&["bee"], ["ant", "cat"]);
    let ant = House::open("ant", &first, &[]).await;
    let case = ant.stage.node.raise(alert(vec![picture(1)]), None).await.unwrap().commitment;
    ant.stage.node.stop().await;
    // It had told nobody; now it goes on under another key.
    let mut wanted = first.charter.clone();
    let own = wanted.members.iter_mut().find(|member| member.name == name("ant"));
    own.unwrap().key = key("ant again").public().to_bytes();
    let second = next(&first, wanted, &name("ant"), &Ends::new());
    let (hash, by) = (second.hash(), ["ant", "bee", "cat"]);
    let by = by.map(|by| Approval { member: name(by), signature: approve(&hash, &key(by)) });
    let mut chain = CharterChain::from(first.clone());
    chain.push(SignedCharter::new(second, by.to_vec()).unwrap()).unwrap();

    let opened = |me: &'static str, store: &Arc<dyn Store>, peers| {
        let (trust, clock, store) = (&[][..], TestClock::new(), store.clone());
        let setup = setup(Cast { me, charter: &first, store, trust, peers, clock, seed: 7 });
        Setup { charter: chain.clone(), ..setup }
    };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let bee = Node::start(opened("bee", &store, BTreeMap::new())).await.unwrap();
    let (visitor, pushed) = (name("ant"), Mutex::default());
    let host = Visited { visitor, node: bee.clone(), store: store.clone(), pushed };
    let peers = BTreeMap::from([(name("bee"), Arc::new(host) as Arc<dyn Peer>)]);
    let (former, now) = (Arc::new(key("ant")), Arc::new(key("ant again")));
    let again = Setup { key: now, former_key: Some(former), ..opened("ant", &ant.store, peers) };
    let again = Node::start(again).await.unwrap();
    until(|| bee.alert(&case).is_some()).await;
    // The end came too: what somebody says with the former key after it was never said.
    let ended = again.log_of(&name("ant"), Some(1)).unwrap();
    until(|| bee.receipts().here().get(&ended) == again.receipts().here().get(&ended)).await;
    let last = bee.receipts().here()[&ended] - 1;
    assert!(matches!(bee.statement(&ended, last).await, Ok(Some(Statement::Key { .. }))));
}
