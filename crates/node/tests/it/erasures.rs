//! What new nodes know of what was erased before they read it.

use watchfire_node::{cases::Cases, place::Place, standing::State};
use watchfire_signal::{
    commitment::Commitment, header::Review, record::Leaf, statement::Resolution, verb::Verb,
};
use watchfire_tlog::Entry;

use crate::logs::{Logs, SEEN, SOON};

/// What a member knows that comes when the records of some verbs are gone: of the case the same as one that has read
/// all.
fn new_as_old(logs: &mut Logs, case: &Commitment, gone: &[Verb]) -> Cases {
    let old = logs.fold(&[]);
    for held in logs.logs.values_mut().flatten() {
        if gone.contains(&Leaf::decode(&held.entry.leaf).unwrap().header.verb) {
            held.entry = Entry::new(held.entry.leaf.clone(), None);
        }
    }
    let new = logs.fold(&[]);
    let of = |cases: &Cases| {
        let set = cases.set(case).unwrap();
        (set.opinions.clone(), set.standing.clone())
    };
    assert_eq!(of(&old), of(&new));
    new
}

#[test]
fn a_new_member_knows_of_what_was_erased_what_an_old_one_knows() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let google = logs.confirm("google", &case, SEEN);
    logs.retract_and("tiktok", &case.1, false);
    for (member, place) in [("google", &google), ("tiktok", &case.1)] {
        logs.erase(member, place);
    }
    new_as_old(&mut logs, &case.0, &[Verb::Assert, Verb::Confirm]);
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
    let new = new_as_old(&mut logs, &case.0, &[Verb::Dispute]);
    assert!(new.is_erased(&Place { log: dispute.log, index: dispute.index }));
    assert_eq!(new.set(&case.0).unwrap().state(SOON), State::Retracted);
}

#[test]
fn what_was_taken_back_is_known_also_to_who_never_read_it_because_it_was_erased() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let confirmed = logs.confirm("google", &case, SEEN);
    logs.dispute("google", &case);
    logs.erase("google", &confirmed);
    logs.retract("google", &confirmed);
    let new = new_as_old(&mut logs, &case.0, &[Verb::Confirm]);
    assert!(new.is_erased(&Place { log: confirmed.log, index: confirmed.index }));
    assert_eq!(new.set(&case.0).unwrap().state(SOON), State::Provisional);
}
