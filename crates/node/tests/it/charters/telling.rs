//! Members tell each other what is proposed, who has approved it, and what is in force.

use std::{sync::Arc, time::Duration};

use watchfire_node::charter::check_chain;

use super::{Neighbour, THREE, halting, opened, store};
use crate::coalition::{TestRandom, charter, charter_with};

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
