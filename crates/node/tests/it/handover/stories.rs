//! Stories made by chance, with a charter in their midst.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use tokio::runtime::Builder;
use watchfire_node::{
    Node, Setup,
    clock::Clock,
    people::{About, Word},
    place::Place,
    policy::Human,
};
use watchfire_signal::{
    charter::{Charter, CharterChain, Role, SignedCharter},
    commitment::Commitment,
    header::Review,
    name::LogName,
    statement::{Head, KeyStep, Statement},
};
use watchfire_store::{Held, Row, Table};
use watchfire_tlog::{Entry, Origin};

use super::{Came, Copied, Ends, HOUR_MS, SIX, again, signed, twitch};
use crate::{
    coalition::{START_MS, TestClock, charter, key, name},
    logs::{Logs, SEEN},
    moves::{Move, moves, play},
};

/// One of the ways in which a charter changes what its logs come to.
fn changed(first: &SignedCharter, way: u8, size: u64) -> SignedCharter {
    let ends = |member: &str| {
        let log = first.charter.log_of(&name(member)).unwrap();
        Ends::from([(log, Head { size, root: [0; 32] })])
    };
    let new_key = |charter: &mut Charter| {
        let mut members = charter.members.iter_mut();
        let its = members.find(|member| member.name == name("google"));
        its.unwrap().key = key(&again(&"google")).public().to_bytes();
    };
    match way {
        0 => signed(first, "tiktok", &ends("reddit"), |charter| {
            charter.members.retain(|member| member.name != name("reddit"));
        }),
        1 => signed(first, "google", &Ends::new(), new_key),
        2 => signed(first, "tiktok", &ends("google"), new_key),
        3 => signed(first, "tiktok", &ends("reddit"), |charter| {
            let mut members = charter.members.iter_mut();
            let its = members.find(|member| member.name == name("reddit")).unwrap();
            (its.role, its.key) = (Role::Auditor, key(&again(&"reddit")).public().to_bytes());
        }),
        _ => signed(first, "tiktok", &Ends::new(), |charter| {
            charter.quorums.confirm = 3;
            charter.quorums.halt = 2;
            charter.quorums.dispute = 1;
        }),
    }
}

/// Room for what is seldom said in which nothing is: what was taken out again leaves it behind.
const NOTHING_RARE: &str = "rare: Some(
        Rare {
            renewals: Few(
                [],
            ),
            halted_by: {},
            joined: {},
            counts: Counts {
                sightings: {},
                outcomes: {},
                appeals: {},
            },
            resolutions: {},
            cosigned: {},
            erased: {},
            unread: {},
            waiting: {},
        },
    )";

/// All that a node says of what its logs come to; not `whole`: but what stands of an opinion that was erased, which only
/// who had read it knows, and which changes nothing (`a_new_member_knows_of_what_was_erased_what_an_old_one_knows`).
fn told(node: &Node, whole: bool) -> Vec<String> {
    let now = node.clock().now_ms();
    let mut told = Vec::new();
    for set in node.alerts(None, usize::MAX) {
        told.push(format!("{:?} {} {:#?}", set.state(now), set.name, set.alert));
        told.push(format!("{:#?} {:#?}", set.opinions, set.standing));
        if whole {
            told.push(format!("{set:#?}").replace(NOTHING_RARE, "rare: None"));
        }
        let signals = set.alert.as_ref().map_or(&[][..], |alert| &alert.signals);
        let mut found: Vec<_> = node
            .lookup(signals)
            .iter()
            .map(|one| format!("{} {:?}", one.set.name, one.hit))
            .collect();
        found.sort();
        told.push(format!("finds {found:#?}"));
    }
    let stops: Vec<_> = SIX.iter().map(|(member, _)| node.stops_of(&name(member))).collect();
    told.push(format!("{stops:#?} {:#?}", node.incidents()));
    told.push(format!("{:#?}", node.receipts().here()));
    let holes = whole.then(|| node.filler().holes.len());
    told.push(format!("{holes:?} missing, {} known", node.sizes().0));
    told.push(format!("under {}", node.charter().seq));
    told
}

fn assert_same([one, other]: [&Node; 2], whole: bool, when: &str) {
    let [one, other] = [one, other].map(|node| told(node, whole));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other, "{when}");
    }
    assert_eq!(one.len(), other.len(), "{when}");
}

/// What one run of a story is made of.
#[derive(Debug, Clone)]
struct Story {
    before: Vec<(usize, prop::sample::Index, Move)>,
    after: Vec<(usize, prop::sample::Index, Move)>,
    /// In which order entries of the logs come.
    choices: Vec<u8>,
    /// Up to where they have come when the node starts, when all is prepared, and when it stops.
    cuts: [prop::sample::Index; 3],
    way: u8,
    ended_at: u64,
    /// Hours that pass before, between and after.
    hours: [u64; 3],
    /// Which entries come without their record at first.
    holes: Vec<prop::sample::Index>,
    harmful: prop::sample::Index,
}

/// Without the second charter of other stories, for these have one of their own; and without erasures by whose log ends: where the charter before counts one and the new one does not, the record is gone
/// from the store and perhaps not from what was read before.
fn kept<T>(mut moves: Vec<(usize, T, Move)>, way: u8) -> Vec<(usize, T, Move)> {
    let ended = match way {
        0 | 3 => Some(4),
        2 => Some(3),
        _ => None,
    };
    moves.retain(|(_, _, what)| !matches!(what, Move::NextCharter));
    moves.retain(|(by, _, what)| Some(*by) != ended || !matches!(what, Move::Erase { .. }));
    moves
}

fn stories() -> impl Strategy<Value = Story> {
    let index = any::<prop::sample::Index>;
    let cuts = [index(), index(), index()];
    let hours = [0_u64..2_500, 1_u64..200, 0_u64..2_500];
    let choices = proptest::collection::vec(any::<u8>(), 0..60);
    let holes = proptest::collection::vec(index(), 0..4);
    let change = (0_u8..5, 0_u64..6);
    (moves(), moves(), choices, (cuts, hours), change, holes, index()).prop_map(
        |(before, after, choices, (cuts, hours), (way, ended_at), holes, harmful)| Story {
            before: kept(before, way),
            after: kept(after, way),
            choices,
            cuts,
            way,
            ended_at,
            hours,
            holes,
            harmful,
        },
    )
}

/// What happens beside the logs, and is found in the store.
fn beside(set: Commitment, (log, early): &(LogName, Held)) -> [Row; 2] {
    let human = Human { harmful: true, label: None, irreversible: false, at_ms: 1 };
    let leaf = &early.entry.leaf;
    let value = [
        &early.verified_ms.to_be_bytes()[..],
        &u32::try_from(leaf.len()).unwrap().to_be_bytes(),
        leaf,
        early.entry.record.as_ref().unwrap(),
    ];
    let key = [log.to_string().as_bytes(), &[0], &early.index.to_be_bytes()].concat();
    let (table, value) = (Table::Ledger("early"), Some(value.concat()));
    [About::Case(set).row(Some(&Word::Found(human))), Row { table, key, value }]
}

/// Everything that the members said, in the order in which it comes; and a retraction that overtakes all of it.
fn spoken(
    story: &Story,
    logs: &mut Logs,
    second: &SignedCharter,
) -> (Vec<Came>, Came, Vec<Commitment>) {
    let mut sets = play(logs, story.before.clone());
    sets.extend(play(logs, story.after.clone()));
    if story.way == 1 {
        let new = key(&again(&"google")).public().to_bytes();
        let last = Head { size: 3, root: [0; 32] };
        let turn = Statement::Key { step: KeyStep::Rotate, key: new, last };
        logs.say("google", &turn, |_| {});
    }
    // Those who work under the new charter already.
    logs.charter = second.clone();
    let fresh = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("google", &fresh, SEEN);
    logs.confirm("facebook", &sets[0], SEEN);
    sets.push(fresh.clone());
    logs.retract("tiktok", &fresh.1);
    let log = fresh.1.log;
    let early = logs.logs.get_mut(&log).unwrap().pop().unwrap();
    let all = logs.interleaved(&story.choices).into_iter();
    let all = all.map(|(log, held)| (log.clone(), held.clone())).collect();
    (all, (log, early), sets.into_iter().map(|(set, _)| set).collect())
}

/// The one node that begins with what was prepared, and one that folds all of it.
async fn run(story: Story) {
    let mut logs = Logs::under(charter(&SIX, 2));
    let first = logs.charter.clone();
    let second = changed(&first, story.way, story.ended_at);
    let (all, early, sets) = spoken(&story, &mut logs, &second);
    let rows = beside(*story.harmful.get(&sets), &early);
    let holes: BTreeSet<_> = story.holes.iter().map(|hole| hole.index(all.len())).collect();
    let mut came = all.clone();
    for hole in &holes {
        came[*hole].1.entry = Entry::new(came[*hole].1.entry.leaf.clone(), None);
    }
    let mut cuts = story.cuts.map(|cut| cut.index(all.len() + 1));
    cuts.sort_unstable();

    let (clock, folder) = (TestClock::new(), tempfile::tempdir().unwrap());
    // Everything was verified by then.
    let newest_ms = all.iter().map(|(_, held)| held.verified_ms).max().unwrap();
    clock.advance_ms(newest_ms.saturating_sub(START_MS) + story.hours[0] * HOUR_MS);
    let mut copied = Copied::new();
    copied.grow(&came[..cuts[0]]).await;
    let over =
        || Setup { over: Some(folder.path().into()), ..twitch(&copied.store, &first, &clock) };
    let setup = [over(), over()];
    let [setup, setup_again] = setup;
    let running = Node::start(setup).await.unwrap();
    assert!(running.changes().take(vec![second.clone()]).await.unwrap());
    running.outdated().await;
    // Who has not read an opinion before it was erased looks for its record, in vain, and does not know what spoke of it.
    let moves = story.before.iter().chain(&story.after);
    let whole = !moves.into_iter().any(|(_, _, what)| matches!(what, Move::Erase { .. }));
    let (prepared, ()) = tokio::join!(running.prepare(), copied.grow(&came[cuts[0]..cuts[1]]));
    let prepared = prepared.unwrap();
    copied.grow(&came[cuts[1]..cuts[2]]).await;
    for hole in &holes {
        let (log, Held { index, entry, .. }) = &all[*hole];
        let (place, record) = (Place { log: log.clone(), index: *index }, entry.record.clone());
        if let Some(record) = record {
            running.filler().take(place, record).await.unwrap();
        }
    }
    for row in &rows {
        copied.put(row).await;
    }
    clock.advance_ms(story.hours[1] * HOUR_MS);
    running.stop().await;
    copied.grow(&came[cuts[2]..]).await;
    let mut cold = Copied::new();
    let mut here_now = Vec::new();
    for (log, held) in &came {
        // With what was filled in, and without what was erased.
        let origin = Origin::new(log.to_string()).unwrap();
        let here = copied.store.held(&origin, held.index, 1).await.unwrap().remove(0);
        here_now.push((log.clone(), here));
    }
    let handed = Node::start_after(setup_again, prepared).await.unwrap();
    assert!(handed.events().last() < clock_us(&clock), "it goes on with what was prepared");
    cold.grow(&here_now).await;
    for row in &rows {
        cold.put(row).await;
    }
    let mut chain = CharterChain::from(first.clone());
    chain.push(second).unwrap();
    let setup = Setup { charter: chain, ..twitch(&cold.store, &first, &clock) };
    let cold = Node::start(setup).await.unwrap();
    assert!(cold.events().last() >= clock_us(&clock));
    stay_same([&handed, &cold], whole, (&clock, story.hours[2])).await;
}

/// Two nodes are the same, and stay so as time goes on.
async fn stay_same(nodes: [&Node; 2], whole: bool, (clock, hours): (&TestClock, u64)) {
    assert_same(nodes, whole, "at the start");
    for when in ["later", "later still", "at last"] {
        // All looks are drawn, and terms that are over by then have ended.
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_same(nodes, whole, when);
        clock.advance_ms(hours * HOUR_MS);
    }
}

fn clock_us(clock: &TestClock) -> u64 {
    clock.now_ms() * 1_000
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_node_that_begins_with_what_was_prepared_is_as_one_that_folds_everything(story in stories()) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(story));
    }
}
