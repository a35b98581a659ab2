//! What new nodes know of what was erased before they read it.

use watchfire_node::{place::Place, standing::State};
use watchfire_signal::{header::Review, record::Leaf, statement::Resolution, verb::Verb};
use watchfire_tlog::Entry;

use crate::logs::{Logs, SEEN, SOON};

#[test]
fn a_new_member_knows_of_what_was_erased_what_an_old_one_knows() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let google = logs.confirm("google", &case, SEEN);
    logs.retract_and("tiktok", &case.1, false);
    for (member, place) in [("google", &google), ("tiktok", &case.1)] {
        logs.erase(member, place);
    }
    let old = logs.fold(&[]);
    for held in logs.logs.values_mut().flatten() {
        let erased = Leaf::decode(&held.entry.leaf).unwrap().header.verb;
        if matches!(erased, Verb::Assert | Verb::Confirm) {
            held.entry = Entry::new(held.entry.leaf.clone(), None);
        }
    }
    let new = logs.fold(&[]);
    let (old, new) = (old.set(&case.0).unwrap(), new.set(&case.0).unwrap());
    assert_eq!((&old.opinions, &old.standing), (&new.opinions, &new.standing));
}

#[test]
fn how_a_dispute_ended_is_known_also_to_who_never_read_it_because_it_was_erased() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let dispute = logs.dispute("reddit", &case);
    for member in ["reddit", "facebook", "google"] {
        logs.resolve(member, &dispute, Resolution::Withdrawn);
    }
    assert_eq!(logs.state(&case.0, SOON), State::Retracted);
    logs.erase("reddit", &dispute);
    let old = logs.fold(&[]);
    for held in logs.logs.values_mut().flatten() {
        if Leaf::decode(&held.entry.leaf).unwrap().header.verb == Verb::Dispute {
            held.entry = Entry::new(held.entry.leaf.clone(), None);
        }
    }
    let new = logs.fold(&[]);
    assert!(new.is_erased(&Place { log: dispute.log, index: dispute.index }));
    let (old, new) = (old.set(&case.0).unwrap(), new.set(&case.0).unwrap());
    assert_eq!((&old.opinions, &old.standing), (&new.opinions, &new.standing));
    assert_eq!(new.state(SOON), State::Retracted);
}

#[test]
fn what_was_taken_back_is_known_also_to_who_never_read_it_because_it_was_erased() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let confirmed = logs.confirm("google", &case, SEEN);
    logs.dispute("google", &case);
    logs.erase("google", &confirmed);
    logs.retract("google", &confirmed);
    let old = logs.fold(&[]);
    for held in logs.logs.values_mut().flatten() {
        if Leaf::decode(&held.entry.leaf).unwrap().header.verb == Verb::Confirm {
            held.entry = Entry::new(held.entry.leaf.clone(), None);
        }
    }
    let new = logs.fold(&[]);
    assert!(new.is_erased(&Place { log: confirmed.log, index: confirmed.index }));
    let (old, new) = (old.set(&case.0).unwrap(), new.set(&case.0).unwrap());
    assert_eq!((&old.opinions, &old.standing), (&new.opinions, &new.standing));
    assert_eq!(new.state(SOON), State::Provisional);
}
