//! What is erased by whose word, and what new nodes know of what was erased before they read it.

use watchfire_node::{
    cases::Cases,
    incidents::{IncidentState, WORDS_A_DAY},
    place::Place,
    standing::State,
};
use watchfire_signal::{
    charter::{Charter, CharterChain, ClosedLog, SignedCharter},
    commitment::Commitment,
    header::{Review, Target},
    incident::IncidentStep::{Conclude, Cosign, Declare, Update},
    label::Class,
    record::Leaf,
    statement::{Head, KeyStep, Resolution, Statement},
    verb::Verb,
};
use watchfire_tlog::Entry;

use crate::{
    coalition::{key, name},
    logs::{Logs, SEEN, SOON, incident},
};

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

fn place(of: &Target) -> Place {
    Place { log: of.log.clone(), index: of.index }
}

#[test]
fn a_dispute_whose_end_was_erased_is_open_again_and_what_had_been_said_before_that_ends_it_no_more()
{
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("google", &case, SEEN);
    let dispute = logs.dispute("reddit", &case);
    let other = logs.dispute("facebook", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed);
    logs.resolve("reddit", &dispute, Resolution::Stands);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed);
    let last = logs.resolve("reddit", &dispute, Resolution::Stands);
    logs.resolve("facebook", &other, Resolution::Withdrawn);
    logs.erase("reddit", &last);
    assert_eq!(logs.state(&case.0, SOON), State::Disputed);
    let cases = new_as_old(&mut logs, &case.0, &[Verb::Resolve]);
    assert!(cases.is_erased(&place(&last)));
}

/// A level 3 in force that ties a case which nobody has looked at, by words that can be erased.
fn in_force() -> (Logs, Commitment, [Target; 4]) {
    let mut logs = Logs::new();
    let case = logs.assert("google", Review::Unreviewed);
    let declared = logs.incident("tiktok", None, incident(Declare, 3, &[]));
    let said = [("facebook", Cosign, vec![]), ("reddit", Cosign, vec![])];
    let ties = [("facebook", Update, vec![case.0]), ("tiktok", Update, vec![case.0])];
    let said = said.into_iter().chain(ties).map(|(member, step, cases)| {
        logs.incident(member, Some(&declared.1), incident(step, 3, &cases)).1
    });
    let [_, cosigned, tied, _] = <[Target; 4]>::try_from(said.collect::<Vec<_>>()).unwrap();
    let over = logs.incident("google", Some(&declared.1), incident(Conclude, 3, &[])).1;
    (logs, case.0, [declared.1, cosigned, tied, over])
}

/// The state of the only incident, and of a case, at a member that has read all and at one that never gets what was
/// erased, in two orders each.
fn at_all(logs: &Logs, case: &Commitment) -> (IncidentState, State) {
    let mut bare = logs.logs.clone();
    let erased = logs.fold(&[]);
    for (log, held) in
        bare.iter_mut().flat_map(|(log, held)| held.iter_mut().map(move |held| (log, held)))
    {
        if erased.is_erased(&Place { log: log.clone(), index: held.index }) {
            held.entry = Entry::new(held.entry.leaf.clone(), None);
        }
    }
    let seen: Vec<_> = [&logs.logs, &bare]
        .into_iter()
        .flat_map(|all| [false, true].map(|back| (all, back)))
        .map(|(all, back)| {
            let mut cases = logs.cases();
            for (log, held) in all {
                let mut held: Vec<_> = held.iter().collect();
                if back {
                    held.reverse();
                }
                held.into_iter().for_each(|held| drop(cases.fold(log, held.clone())));
            }
            let state = cases.incidents().iter().next().unwrap().state(SOON);
            (state, cases.set(case).unwrap().state(SOON))
        })
        .collect();
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:?}");
    seen[0]
}

#[test]
fn an_erased_declaration_raises_nothing_and_an_erased_word_about_it_counts_for_nobody() {
    let (logs, case, [declared, cosigned, tied, _]) = in_force();
    assert_eq!(at_all(&logs, &case), (IncidentState::InForce, State::Provisional));
    let without = |member: &str, what: &Target| {
        let (mut logs, case, _) = in_force();
        logs.erase(member, what);
        at_all(&logs, &case)
    };
    let ended = without("tiktok", &declared);
    assert_eq!(ended, (IncidentState::Concluded, State::Proposed), "nobody is asked to agree");
    assert_eq!(without("reddit", &cosigned), (IncidentState::Declared, State::Proposed));
    assert_eq!(without("facebook", &tied), (IncidentState::InForce, State::Proposed));
    assert_eq!(
        without("google", &tied),
        (IncidentState::InForce, State::Provisional),
        "not its own"
    );
    // A word that was said again stands.
    let (mut logs, case, [declared, cosigned, ..]) = in_force();
    logs.incident("reddit", Some(&declared), incident(Cosign, 3, &[]));
    logs.erase("reddit", &cosigned);
    assert_eq!(at_all(&logs, &case), (IncidentState::InForce, State::Provisional));
}

#[test]
fn whoever_erases_a_declaration_that_nobody_agreed_with_waits_all_the_same() {
    let mut logs = Logs::new();
    let first = logs.incident("tiktok", None, incident(Declare, 3, &[]));
    logs.erase("tiktok", &first.1);
    logs.later(20 * 60_000);
    let second = logs.incident("tiktok", None, incident(Declare, 3, &[]));
    let cases = logs.fold(&[]);
    let refused = |name| cases.incidents().get(name).unwrap().course.refused;
    assert!(refused(&second.0) && !refused(&first.0));
    assert!(cases.incidents().get(&first.0).unwrap().erased);
}

#[test]
fn a_word_whose_record_is_missing_or_erased_takes_its_place_among_those_of_its_day() {
    let mut logs = Logs::new();
    let declared = logs.incident("tiktok", None, incident(Declare, 3, &[]));
    let said: Vec<_> = (0..WORDS_A_DAY)
        .map(|_| logs.incident("reddit", Some(&declared.1), incident(Update, 3, &[])).1)
        .collect();
    logs.incident("reddit", Some(&declared.1), incident(Cosign, 3, &[]));
    let agrees = |logs: &Logs| {
        let all = [logs.fold(&[]), logs.fold(&[1; 90])];
        all.map(|cases| cases.incidents().get(&declared.0).unwrap().cosigned.len())
    };
    assert_eq!(agrees(&logs), [0, 0], "it is beyond the words of a day");
    logs.erase("reddit", &said[3]);
    assert_eq!(agrees(&logs), [0, 0], "nor does a place become free");
    let held = logs.logs.get_mut(&said[3].log).unwrap();
    held[3].entry = Entry::new(held[3].entry.leaf.clone(), None);
    assert_eq!(agrees(&logs), [0, 0], "for nobody");
}

/// What says nothing to anybody lies in all stores: it is dropped there all the same, whichever comes first.
#[test]
fn what_nobody_hears_can_be_erased() {
    let mut logs = Logs::of_stories_with(|charter| charter.quotas.live_alerts = 1);
    logs.assert("tiktok", Review::OneHuman);
    let beyond = logs.assert("tiktok", Review::OneHuman).1;
    let nothing = Target { log: logs.log("google"), index: 0 };
    let senseless = logs.resolve("reddit", &nothing, Resolution::Stands);
    let waits = logs.resolve("facebook", &Target { index: 500, ..nothing }, Resolution::Stands);
    logs.renew("google", &beyond, SOON);
    let (renewed, erased) =
        (Target { log: logs.log("google"), index: 0 }, [&beyond, &senseless, &waits]);
    for place in erased.into_iter().chain([&renewed]) {
        logs.erase(place.log.member.as_str(), place);
    }
    for choices in [&[][..], &[3; 40], &[1; 40], &[2; 40]] {
        let mut cases = logs.fold(choices);
        let due = cases.take_erased();
        for at in erased {
            assert!(cases.is_erased(&place(at)) && due.contains(&place(at)), "{at:?} {choices:?}");
        }
        assert!(!cases.is_erased(&place(&renewed)), "it works by what it says");
    }
}

/// Two honest members want an alert erased that two organisations stand by, and so does google, which says other things
/// before that.
fn nearly_erased() -> (Logs, (Commitment, Target), u64) {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("reddit", &case, SEEN);
    let mut before = 0;
    for _ in 0..5 {
        logs.assert("google", Review::OneHuman);
        before += 1;
    }
    for member in ["google", "facebook", "reddit"] {
        logs.erase(member, &case.1);
    }
    (logs, case, before)
}

/// Whether an alert is erased by every member, in whatever order it has heard of all.
fn is_erased(logs: &Logs, (name, at): &(Commitment, Target)) -> bool {
    let place = Place { log: at.log.clone(), index: at.index };
    let google_last = &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut all = Vec::new();
    for choices in [&[][..], &[3; 40], &[1; 40], &[2; 40], google_last] {
        let mut cases = logs.fold(choices);
        let set = cases.set(name).unwrap();
        let erased = cases.is_erased(&place);
        assert_eq!((set.erased, set.alert.is_none()), (erased, erased), "{choices:?}");
        let state = if erased { State::Lapsed } else { State::Confirmed };
        assert_eq!(set.state(SOON), state, "{choices:?}");
        assert_eq!(cases.take_erased().contains(&place), erased, "its bytes go, or stay");
        all.push(erased);
    }
    all.dedup();
    assert_eq!(all.len(), 1, "it depends on the order");
    all[0]
}

#[test]
fn what_a_suspended_key_says_after_its_end_erases_nothing_of_anybody() {
    let (mut logs, case, before) = nearly_erased();
    assert!(is_erased(&logs, &case));
    for member in ["facebook", "reddit", "tiktok"] {
        logs.suspend(member, "google", before);
    }
    assert!(!is_erased(&logs, &case), "three want it, and one of them is a stolen key");
    // What stands within what is accepted is google's own word.
    for member in ["facebook", "reddit", "tiktok"] {
        logs.suspend(member, "google", before + 1);
    }
    assert!(is_erased(&logs, &case));
}

#[test]
fn what_a_halted_member_wants_erased_is_not_until_it_is_heard_again() {
    let (mut logs, case, _) = nearly_erased();
    let halts = ["facebook", "reddit", "tiktok"].map(|member| logs.halt_member(member, "google"));
    assert!(!is_erased(&logs, &case));
    logs.retract("facebook", &halts[0]);
    assert!(is_erased(&logs, &case));
    // What it erases of its own it answers for alone.
    logs.halt_member("facebook", "google");
    let own = logs.assert("google", Review::OneHuman);
    logs.erase("google", &own.1);
    assert!(logs.fold(&[]).set(&own.0).unwrap().erased);
}

/// What google's former key wants erased after it has ended its log for another key, ahead of its turn or in it.
#[test]
fn what_an_ended_key_says_erases_nothing_of_anybody() {
    let (mut logs, case, _) = nearly_erased();
    let google = logs.log("google");
    let chain = chain_that_ends(&mut logs, "google");
    // The erasure stands after the key has ended the log.
    let mut own = logs.logs.remove(&google).unwrap();
    let end = own.len() - 1;
    own.swap(end - 1, end);
    for (index, held) in own.iter_mut().enumerate() {
        held.index = index as u64;
    }
    let late = own[end].clone();
    logs.logs.insert(google.clone(), own);
    let mut early = Cases::of_chain(&chain);
    for (log, held) in logs.interleaved(&[1; 9]).into_iter().filter(|(log, _)| **log != google) {
        early.fold(log, held.clone());
    }
    early.fold(&google, late);
    assert!(early.set(&case.0).unwrap().erased, "nobody knows yet that it has ended");
    for held in &logs.logs[&google] {
        early.fold(&google, held.clone());
        logs.fold_what_is_due(&mut early);
    }
    let ordered = logs.fold_under(&chain, &[]);
    for cases in [early, ordered] {
        let set = cases.set(&case.0).unwrap();
        assert_eq!(
            (set.erased, set.alert.is_some(), set.state(SOON)),
            (false, true, State::Confirmed)
        );
    }
}

/// Has a member end its log, and a second charter give it another key; answers both charters.
fn chain_that_ends(logs: &mut Logs, member: &str) -> CharterChain {
    let first = logs.charter.clone();
    let new_key = key("google again").public().to_bytes();
    let last = Head { size: 1, root: [0; 32] };
    let ends = Statement::Key { step: KeyStep::Rotate, key: new_key, last };
    logs.say(member, &ends, |header| header.class = Class::None);
    let mut second = Charter { seq: 2, previous: first.hash(), ..first.charter.clone() };
    let own = second.members.iter_mut().find(|one| one.name == name(member)).unwrap();
    let closed = ClosedLog { member: name(member), epoch: 1, key: own.key, last: None };
    (own.key, own.epoch) = (new_key, 2);
    second.closed.push(closed);
    let mut chain = CharterChain::from(first);
    chain.push(SignedCharter::new(second, vec![]).unwrap()).unwrap();
    chain
}
