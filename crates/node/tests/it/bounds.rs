//! What one member may say of one case, whatever it says, and for how long it is heard.

use std::sync::Arc;

use watchfire_node::{
    cases::{Cases, Ignored},
    standing::State,
};
use watchfire_signal::{
    charter::Role,
    header::Review,
    statement::{AppealStage, Resolution, Statement},
};

use crate::coalition::{charter_with, name};
use crate::logs::{Logs, MEMBERS, SEEN, SOON};

#[test]
fn of_what_one_member_says_of_one_set_the_first_words_are_heard_and_then_one_retraction() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    for _ in 0..20 {
        let own = logs.confirm("google", &case, SEEN);
        logs.retract("google", &own);
    }
    // Beyond what is heard.
    let late = logs.confirm("google", &case, SEEN);
    let dispute = logs.dispute("google", &case);
    assert_eq!(logs.state(&case.0, SOON), State::Provisional, "its last word is a retraction");
    for other in ["facebook", "reddit", "tiktok"] {
        logs.resolve(other, &dispute, Resolution::Withdrawn);
    }
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
    logs.confirm("reddit", &case, SEEN);
    logs.erase("google", &late);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed);
    // In whatever order: all at once at the end, or with its first words last.
    let mut turned = Cases::new(Arc::new(logs.charter.charter.clone()));
    let google = logs.log("google");
    let others = logs.logs.iter().filter(|(log, _)| **log != google);
    for (log, entries) in others {
        entries.iter().for_each(|held| drop(turned.fold(log, held.clone())));
    }
    let mut bodiless = logs.logs[&google].clone();
    for held in &mut bodiless {
        held.entry.record = None;
    }
    for held in bodiless.iter().chain(logs.logs[&google].iter().rev()) {
        turned.fold(&google, held.clone());
    }
    let (turned, straight) = (turned.set(&case.0).unwrap(), logs.fold(&[]).set(&case.0).unwrap());
    assert_eq!((&turned.opinions, &turned.standing), (&straight.opinions, &straight.standing));
    let mut cases = logs.fold(&[]);
    let last = logs.confirm("google", &case, SEEN);
    let held = logs.logs[&google][last.index as usize].clone();
    assert_eq!(cases.fold(&google, held).1, Some(Ignored::Flood));
}

#[test]
fn of_the_appeals_that_one_member_tells_of_the_first_are_kept() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    for member in ["google", "reddit"] {
        for _ in 0..100 {
            let statement = Statement::Appeal { stage: AppealStage::Opened, result: None };
            logs.say(member, &statement, |header| header.target = Some(case.1.clone()));
        }
    }
    let kept = |cases: &Cases| cases.set(&case.0).unwrap().counts().clone();
    let straight = kept(&logs.fold(&[]));
    assert_eq!(straight.appeals.len(), 2 * 32);
    assert!(straight.appeals.keys().all(|place| place.index < 32));
    assert_eq!(straight, kept(&logs.fold(&[2; 300])));
}

#[test]
fn a_record_of_the_future_caps_a_case_as_long_as_its_author_is_heard_and_within_its_quota() {
    let mut logs = Logs::under(charter_with(&MEMBERS, 2, |charter| {
        charter.quotas.records_a_day = 2;
    }));
    let cases: Vec<_> = (0..2).map(|_| logs.assert("tiktok", Review::OneHuman)).collect();
    let third = logs.assert("google", Review::OneHuman);
    for case in cases.iter().chain([&third]) {
        logs.say_in_a_future_version("reddit", &case.1);
    }
    let capped = |logs: &Logs| {
        let folded = logs.fold(&[]);
        let again = logs.fold_with_repeats(&[1, 120, 2, 200, 0, 150, 101]);
        [cases[0].0, cases[1].0, third.0].map(|name| {
            assert_eq!(folded.set(&name).unwrap().unreadable, again.set(&name).unwrap().unreadable);
            folded.set(&name).unwrap().unreadable
        })
    };
    assert_eq!(capped(&logs), [true, true, false], "the third one is over its quota");
    let halts: Vec<_> = ["tiktok", "facebook", "google"]
        .map(|member| logs.halt_member(member, "reddit"))
        .into_iter()
        .collect();
    assert_eq!(capped(&logs), [false; 3]);
    logs.retract("google", &halts[2]);
    assert_eq!(capped(&logs), [true, true, false]);
}

#[test]
fn only_members_with_a_say_cap_a_case_by_a_record_of_the_future() {
    let unreadable = |role| {
        let mut logs = Logs::under(charter_with(&MEMBERS, 2, |charter| {
            let mut members = charter.members.iter_mut();
            members.find(|member| member.name == name("reddit")).unwrap().role = role;
        }));
        let case = logs.assert("tiktok", Review::OneHuman);
        logs.say_in_a_future_version("reddit", &case.1);
        logs.fold(&[0; 9]).set(&case.0).unwrap().unreadable
    };
    assert!(unreadable(Role::Platform) && unreadable(Role::Convenor));
    assert!(!unreadable(Role::Auditor) && !unreadable(Role::Witness));
}
