//! Members tell each other what is proposed, who has approved it, and what is in force.

use std::{sync::Arc, time::Duration};

use watchfire_node::charter::{changes::Double, check_chain, draft::differences};
use watchfire_signal::charter::{Charter, SignedCharter};

use super::{Neighbour, THREE, halting, opened, store};
use crate::coalition::{TestRandom, charter, charter_with, name};

#[tokio::test(start_paused = true)]
async fn a_charter_is_in_force_everywhere_once_enough_organisations_have_approved_it() {
    let first = charter(&THREE, 2);
    let mut houses = Vec::new();
    for (member, _) in THREE {
        houses.push(opened(member, &store(), first.clone()).await);
    }
    for (one, (member, _)) in houses.iter().zip(THREE) {
        for other in houses.iter().filter(|other| !std::ptr::eq(*other, one)) {
            let peer = Arc::new(Neighbour(other.clone(), member, 1));
            tokio::spawn(one.clone().run(peer, TestRandom::new(1)));
        }
    }
    let hash = houses[0].propose(halting(&first, 1), None).await.unwrap();
    // Everybody learns of the proposal, and one organisation of three does not suffice.
    let mut waited = 0;
    while houses.iter().any(|house| house.proposals().len() != 1) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        waited += 1;
        assert!(waited < 1_000, "proposals travel");
    }
    assert_eq!(houses[2].chain().in_force().charter.seq, 1);
    assert!(houses[1].approve(&hash, None).await.unwrap(), "the second of three organisations");
    for house in &houses {
        house.newer_than(1).await;
        let chain = house.chain();
        assert_eq!(chain.in_force().hash(), hash);
        check_chain(&chain).unwrap();
        assert!(house.proposals().is_empty());
    }
}

/// Whoever has it in force and whoever has not know of two approvals each, one of which is another one.
#[tokio::test(start_paused = true)]
async fn who_lacks_the_approval_that_decides_is_told_it_although_it_has_as_many() {
    let owned = [("bee", "bees"), ("bug", "bees"), ("bat", "bees")];
    let members = [&[THREE[0], THREE[2]][..], &owned].concat();
    let first = charter_with(&members, 2, |charter| charter.quorums.charter = 2);
    let mut houses = Vec::new();
    for member in ["ant", "bee", "cat"] {
        houses.push(opened(member, &store(), first.clone()).await);
    }
    let [ant, bee, cat] = &houses[..] else { unreachable!() };
    let hash = ant.propose(halting(&first, 1), None).await.unwrap();
    for house in [bee, cat] {
        house.take(ant.lacking(1, true)).await.unwrap();
    }
    assert!(!bee.approve(&hash, None).await.unwrap(), "one of three members of its organisation");
    assert!(cat.approve(&hash, None).await.unwrap(), "the second of three organisations");
    let peer = Arc::new(Neighbour(bee.clone(), "cat", 1));
    tokio::spawn(cat.clone().run(peer, TestRandom::new(1)));
    let hour = Duration::from_secs(3_600);
    tokio::time::timeout(hour, bee.newer_than(1)).await.unwrap();
    assert_eq!(bee.chain().in_force().hash(), hash);
}

/// `cat` has two disks, and approves a charter at each: two of one number are in force.
#[tokio::test(start_paused = true)]
async fn two_charters_of_one_number_in_force_convict_who_approved_both_at_both_for_good() {
    let first = charter(&THREE, 2);
    let stores = [store(), store()];
    let ant = opened("ant", &stores[0], first.clone()).await;
    let bee = opened("bee", &stores[1], first.clone()).await;
    for (house, halt) in [(&ant, 1), (&bee, 3)] {
        let hash = house.propose(halting(&first, halt), None).await.unwrap();
        let cat = opened("cat", &store(), first.clone()).await;
        cat.take(house.lacking(1, true)).await.unwrap();
        assert!(cat.approve(&hash, None).await.unwrap());
        house.take(cat.lacking(1, false)).await.unwrap();
    }
    let in_force = [&ant, &bee].map(|house| house.chain().in_force().hash());
    assert!(in_force[0] != in_force[1] && ant.chain().in_force().charter.seq == 2);
    assert!(ant.doubled().is_empty() && bee.doubled().is_empty());
    // One goes on, so that their numbers differ: an exchange in one direction suffices for both.
    let third = halting(ant.chain().in_force(), 2);
    let hash = ant.propose(third, None).await.unwrap();
    let cat = opened("cat", &store(), ant.chain()).await;
    cat.take(ant.lacking(2, true)).await.unwrap();
    cat.approve(&hash, None).await.unwrap();
    ant.take(cat.lacking(2, false)).await.unwrap();
    assert_eq!(ant.chain().in_force().charter.seq, 3);
    let peer = Arc::new(Neighbour(ant.clone(), "bee", 1));
    tokio::spawn(bee.clone().run(peer, TestRandom::new(1)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (house, store) in [(&ant, &stores[0]), (&bee, &stores[1])] {
        let known = house.doubles();
        assert_eq!(known.iter().map(|one| &one.member).collect::<Vec<_>>(), [&name("cat")]);
        // Whoever has the charter before sees it by the evidence alone, as it is kept and handed on.
        let read = Double::decode(&known[0].encode()).unwrap();
        assert!(read == known[0] && read.seq() == 2 && read.check(&first));
        assert!(!read.check(ant.chain().in_force()), "that is not the charter before");
        let mut same = read.clone();
        same.charters[1] = same.charters[0].clone();
        assert!(!same.check(&first), "one charter approved once is no evidence");
        let mut forged = read.clone();
        forged.charters[1].approvals[0].signature = [1; 64];
        assert!(!forged.check(&first));
        let again = opened("ant", store, first.clone()).await;
        assert_eq!(again.doubles(), known, "it is there after a restart");
    }
}

/// The same between two that are at the same number, and after what was proposed is in force.
#[tokio::test(start_paused = true)]
async fn who_is_at_the_same_number_finds_out_too_and_what_was_found_out_stays_known() {
    let first = charter(&THREE, 2);
    let ant = opened("ant", &store(), first.clone()).await;
    let bee = opened("bee", &store(), first.clone()).await;
    let mut approved = Vec::new();
    for (house, halt) in [(&ant, 1), (&bee, 3)] {
        let hash = house.propose(halting(&first, halt), None).await.unwrap();
        let cat = opened("cat", &store(), first.clone()).await;
        cat.take(house.lacking(1, true)).await.unwrap();
        cat.approve(&hash, None).await.unwrap();
        approved.push(cat.lacking(1, true));
        house.take(cat.lacking(1, false)).await.unwrap();
    }
    let peer = Arc::new(Neighbour(ant.clone(), "bee", 1));
    tokio::spawn(bee.clone().run(peer, TestRandom::new(1)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for house in [&ant, &bee] {
        assert_eq!(house.doubled().into_iter().collect::<Vec<_>>(), [name("cat")]);
    }
    // Who is shown two proposals knows it still once one of them is in force.
    let store = store();
    let dog = opened("dog", &store, first.clone()).await;
    let one = SignedCharter::new(approved[1][0].charter.clone(), vec![]).unwrap();
    let by_cat = |signed: &SignedCharter| {
        let by = signed.approvals.iter().filter(|by| by.member == name("cat")).cloned();
        SignedCharter::new(signed.charter.clone(), by.collect()).unwrap()
    };
    dog.take(vec![by_cat(&approved[0][0]), by_cat(&approved[1][0]), one]).await.unwrap();
    assert_eq!((dog.proposals().len(), dog.doubled().len()), (2, 1));
    dog.take(approved[1].clone()).await.unwrap();
    assert_eq!((dog.proposals().len(), dog.doubled().len()), (0, 1));
    assert_eq!(opened("dog", &store, first).await.doubled().len(), 1);
}

#[test]
fn who_approves_is_told_that_local_features_travel_no_more() {
    let before = charter(&THREE, 2).charter;
    let after = Charter { without_features: true, ..before.clone() };
    let told = differences(&before, &after);
    assert_eq!(told, ["local features of pictures: do not travel, was travel"]);
}
