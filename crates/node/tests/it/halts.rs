//! Quorums halt cases and members and suspend members; votes are taken back.

use watchfire_node::{
    hold::is_undone,
    standing::{PROVISIONAL_MAX_MS, State},
};
use watchfire_signal::{
    header::Review,
    reason::Reason,
    statement::{Head, Statement},
};

use crate::coalition::name;
use crate::logs::{Logs, SEEN, SOON};

#[test]
fn enough_organisations_halt_a_case_for_all_and_one_that_takes_its_vote_back_lets_it_live_on() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let wider = logs.widen("google", &case, false, false);
    logs.confirm("reddit", &case, SEEN);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed);
    // Two keys of one owner are one organisation, and three of four have to say so.
    logs.halt("facebook", &case.1);
    logs.halt("instagram", &case.1);
    logs.halt("google", &case.1);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed);
    let vote = logs.halt("reddit", &case.1);
    let cases = logs.fold(&[]);
    for (set, _) in [&case, &wider] {
        let set = cases.set(set).unwrap();
        assert_eq!(set.state(SOON), State::Retracted, "a halt is of the whole case");
        assert!(set.standing.restores);
        assert_eq!(set.halted_by().len(), 4);
    }
    logs.retract("reddit", &vote);
    assert_eq!(logs.state(&case.0, SOON), State::Confirmed);
}

#[test]
fn a_halt_names_the_founding_assert_and_a_drill_halts_nothing_real() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let wider = logs.widen("google", &case, false, false);
    for member in ["facebook", "google", "reddit"] {
        logs.halt(member, &wider.1);
        let statement = Statement::Halt { member: None };
        logs.say(member, &statement, |header| {
            header.target = Some(case.1.clone());
            header.reason = Some(Reason::Test);
            header.test = true;
        });
    }
    assert_eq!(logs.state(&case.0, SOON), State::Provisional);
    assert_eq!(logs.state(&wider.0, SOON), State::Provisional);
}

#[test]
fn what_a_halted_member_stands_by_counts_for_nothing_and_what_others_stand_by_goes_on() {
    let mut logs = Logs::new();
    let alone = logs.assert("tiktok", Review::OneHuman);
    let shared = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("reddit", &shared, SEEN);
    logs.confirm("google", &shared, SEEN);
    let votes = ["facebook", "google", "reddit"].map(|member| logs.halt_member(member, "tiktok"));
    let cases = logs.fold(&[]);
    let set = cases.set(&alone.0).unwrap();
    assert_eq!(set.state(SOON), State::Retracted);
    assert!(set.standing.restores, "what it alone caused comes back");
    assert_eq!(cases.set(&shared.0).unwrap().state(SOON), State::Confirmed);
    // What it says while it is halted counts as little.
    let later = logs.assert("tiktok", Review::OneHuman);
    assert_eq!(logs.state(&later.0, SOON), State::Retracted);
    let facts = logs.fold(&[]).set(&later.0).unwrap().facts(&name("reddit"), SOON);
    assert!(facts.looked.is_empty(), "a member that trusts it does not act either");
    logs.retract("google", &votes[1]);
    assert_eq!(logs.state(&alone.0, SOON), State::Provisional);
}

/// The state of a set that facebook stood by too long ago, and its sister looks at only now, once facebook is
/// silenced.
fn looked_at_by_a_sister(
    silence: impl Fn(&mut Logs, &str),
    withdraws: bool,
) -> (State, State, State) {
    let mut logs = Logs::new();
    let case = logs.assert("facebook", Review::OneHuman);
    if withdraws {
        logs.retract("facebook", &case.1);
    }
    logs.later(PROVISIONAL_MAX_MS + 600_000);
    logs.confirm("instagram", &case, SEEN);
    let now = SOON + PROVISIONAL_MAX_MS + 600_000;
    let before = logs.state(&case.0, now);
    ["tiktok", "google", "reddit"].iter().for_each(|member| silence(&mut logs, member));
    (before, logs.state(&case.0, now), logs.state(&case.0, now + PROVISIONAL_MAX_MS))
}

#[test]
fn the_age_of_what_a_silenced_member_said_does_not_end_what_its_owners_other_member_has_seen() {
    let halt = |logs: &mut Logs, by: &str| {
        logs.halt_member(by, "facebook");
    };
    let suspend = |logs: &mut Logs, by: &str| {
        logs.suspend(by, "facebook", 3);
    };
    let ends_with_its_own_term = (State::Lapsed, State::Provisional, State::Lapsed);
    for withdraws in [false, true] {
        assert_eq!(looked_at_by_a_sister(halt, withdraws), ends_with_its_own_term, "{withdraws}");
        assert_eq!(looked_at_by_a_sister(suspend, withdraws), ends_with_its_own_term);
    }
}

#[test]
fn what_a_suspended_member_had_taken_down_waits_for_a_person() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    let taken_back = logs.assert("tiktok", Review::OneHuman);
    logs.retract("tiktok", &taken_back.1);
    // A key that was stolen takes back what it stood by, and says more.
    let stolen = logs.logs[&logs.log("tiktok")].len() as u64;
    logs.retract("tiktok", &case.1);
    let forged = logs.assert("tiktok", Review::OneHuman);
    for (member, size) in [("facebook", stolen), ("google", stolen - 1), ("reddit", stolen)] {
        logs.suspend(member, "tiktok", size);
    }
    let state = logs.state(&taken_back.0, SOON);
    assert_eq!(state, State::Lapsed, "a quorum has not seen that it took that back");
    logs.suspend("google", "tiktok", stolen);
    let cases = logs.fold(&[]);
    let set = cases.set(&case.0).unwrap();
    assert_eq!(set.state(SOON), State::Lapsed);
    assert!(set.standing.needs_person() && !is_undone(&set, SOON), "nothing comes back by itself");
    assert!(is_undone(&cases.set(&taken_back.0).unwrap(), SOON), "it took that back in time");
    let forged = cases.set(&forged.0).unwrap();
    assert_eq!(forged.state(SOON), State::Retracted);
    assert!(is_undone(&forged, SOON), "that was never the member's own word");
}

#[test]
fn what_is_said_in_the_name_of_a_suspended_member_hides_nothing_of_what_it_said_before() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("reddit", &case, SEEN);
    logs.retract("tiktok", &case.1);
    let disputed = logs.assert("tiktok", Review::OneHuman);
    logs.dispute("reddit", &disputed);
    let stolen = logs.logs[&logs.log("reddit")].len() as u64;
    // A stolen key says it all once more.
    logs.confirm("reddit", &case, SEEN);
    logs.confirm("reddit", &disputed, SEEN);
    for member in ["facebook", "google", "tiktok"] {
        logs.suspend(member, "reddit", stolen);
    }
    let cases = logs.fold(&[]);
    let set = cases.set(&case.0).unwrap();
    assert_eq!(set.state(SOON), State::Lapsed);
    assert!(!is_undone(&set, SOON), "it stood by it when it was suspended: a person decides");
    assert_eq!(cases.set(&disputed.0).unwrap().state(SOON), State::Disputed);
    // Nor does it halt what others stand by.
    let shared = logs.assert("tiktok", Review::OneHuman);
    for member in ["facebook", "google", "reddit"] {
        logs.halt(member, &shared.1);
    }
    assert_eq!(logs.state(&shared.0, SOON), State::Provisional);
}

/// Three roots of one size are three histories: whose end is it that they accept?
#[test]
fn suspensions_at_one_size_of_different_histories_do_not_add_up() {
    let suspended = |ends: [(&str, u64, u8); 3]| {
        let mut logs = Logs::new();
        let case = logs.assert("tiktok", Review::OneHuman);
        for (member, size, root) in ends {
            logs.suspend_at(member, "tiktok", Head { size, root: [root; 32] });
        }
        let mut cases = logs.fold(&[]);
        let other = logs.fold(&[2, 2, 1]);
        let set = cases.set(&case.0).unwrap();
        assert_eq!(set.standing, other.set(&case.0).unwrap().standing);
        let stops = cases.changed_stops().unwrap();
        stops[&name("tiktok")].suspended_at
    };
    let [facebook, google, reddit] = ["facebook", "google", "reddit"];
    assert_eq!(suspended([(facebook, 1, 7), (google, 1, 8), (reddit, 1, 9)]), None);
    assert_eq!(suspended([(facebook, 1, 7), (google, 1, 7), (reddit, 1, 9)]), None);
    assert_eq!(suspended([(facebook, 1, 7), (google, 1, 7), (reddit, 1, 7)]), Some(1));
    // Who has seen more of it accepts what it began with.
    assert_eq!(suspended([(facebook, 3, 6), (google, 2, 7), (reddit, 1, 8)]), Some(1));
    assert_eq!(suspended([(facebook, 3, 6), (google, 1, 7), (reddit, 1, 8)]), None);
}
