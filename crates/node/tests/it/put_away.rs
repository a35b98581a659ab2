//! Where a signal set lies says nothing: packed, put away and brought back it is the same.

use std::sync::Arc;

use proptest::prelude::*;
use watchfire_node::{cases::Sets, known::Known};
use watchfire_signal::header::Review;

use crate::{
    logs::{Logs, SEEN, SOON},
    moves::{moves, play},
};

#[test]
fn what_was_erased_is_not_found_by_its_signals() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("google", &case, SEEN);
    let mut cases = logs.fold(&[]);
    let known = Known::of(cases.sets().clone(), [7; 32], 1_000);
    let signals = known.arrange(&case.0, SOON).unwrap().alert.clone().unwrap().signals;
    assert_eq!(known.lookup(&signals, &[]).len(), 1);
    // Google still stands by it, so it is not over.
    logs.erase("tiktok", &case.1);
    let (log, erase) = logs.logs.iter().find_map(|(log, held)| Some((log, held.get(1)?))).unwrap();
    cases.fold(log, erase.clone());
    assert!(known.arrange(&case.0, SOON).unwrap().alert.is_none());
    assert!(known.lookup(&signals, &[]).is_empty());
}

proptest! {
    #[test]
    fn sets_are_the_same_whenever_and_wherever_they_are_put_away(
        moves in moves(),
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        bits in 0_u32..3,
    ) {
        let mut logs = Logs::of_stories();
        let names = play(&mut logs, moves);
        let folder = tempfile::tempdir().unwrap();
        let straight = logs.fold(&choices);
        let files = Sets::in_directory(folder.path(), Box::new(|_| false)).unwrap();
        let files = files.with_room_for(usize::from(choices.len() % 3 == 0) * 1_000);
        let narrow = Sets::default().with_keys_of(bits).with_room_for(choices.len() % 3);
        for sets in [files, narrow] {
            let sets = Arc::new(sets);
            let mut cases = logs.cases().among(sets.clone());
            let mut chances = choices.iter().cycle();
            for (log, held) in logs.interleaved(&choices) {
                cases.fold(log, held.clone());
                for (name, _) in &names {
                    let (before, chance) = (sets.get(name), chances.next().unwrap_or(&0));
                    match (chance % 3, before.clone()) {
                        (0, _) => sets.put_away(name),
                        // It comes back.
                        (1, Some(set)) => sets.put(set),
                        _ => {}
                    }
                    prop_assert_eq!(sets.get(name), before);
                }
            }
            for (name, _) in &names {
                prop_assert_eq!(cases.set(name), straight.set(name));
            }
            let all: Vec<_> = sets.page(None, usize::MAX).iter().map(|set| set.name).collect();
            let mut said: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            said.retain(|name| straight.set(name).is_some());
            said.sort_unstable();
            prop_assert_eq!(all, said);
        }
    }
}
