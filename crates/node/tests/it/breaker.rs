//! Limits trip where too many cases are enforced, and never because one clip has many copies.

use watchfire_node::{
    breaker::{Breaker, older},
    policy::{Held, Limits},
};
use watchfire_signal::commitment::Commitment;

use crate::coalition::{START_MS, name};

fn case(number: u32) -> Commitment {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Commitment(bytes)
}

#[test]
fn more_cases_in_a_minute_than_the_limit_are_held() {
    let limits = Limits { cases_enforced_per_minute: 3, ..Limits::default() };
    let mut breaker = Breaker::default();
    let mut admit = |number, now_ms| breaker.admit(case(number), &name("bee"), &limits, now_ms);
    for number in 0..3 {
        assert_eq!(admit(number, START_MS), Ok(()));
    }
    assert_eq!(admit(3, START_MS + 59_999), Err(Held::CasesPerMinute));
    assert_eq!(admit(3, START_MS + 60_001), Ok(()));
}

#[test]
fn a_viral_clip_trips_nothing_however_many_copies_it_has() {
    let limits = Limits {
        cases_enforced_per_minute: 1,
        cases_enforced_per_source_per_hour: 1,
        ..Limits::default()
    };
    let mut breaker = Breaker::default();
    for copy in 0..100_000 {
        assert_eq!(breaker.admit(case(1), &name("bee"), &limits, START_MS + copy), Ok(()));
    }
}

#[test]
fn more_cases_of_one_source_in_an_hour_than_the_limit_are_held_and_others_are_not() {
    let limits = Limits { cases_enforced_per_source_per_hour: 2, ..Limits::default() };
    let mut breaker = Breaker::default();
    let mut admit =
        |number, source, now_ms| breaker.admit(case(number), &name(source), &limits, now_ms);
    assert_eq!(admit(1, "bee", START_MS), Ok(()));
    assert_eq!(admit(2, "bee", START_MS), Ok(()));
    assert_eq!(admit(3, "bee", START_MS + 1_800_000), Err(Held::CasesPerSourcePerHour));
    assert_eq!(admit(4, "ant", START_MS + 1_800_000), Ok(()));
    assert_eq!(admit(3, "bee", START_MS + 3_600_001), Ok(()));
}

#[test]
fn many_copies_from_before_the_case_are_held_unless_it_is_confirmed() {
    let limits = Limits { older_matches_per_signal: 50, ..Limits::default() };
    let before = |count| std::iter::repeat_n(START_MS - 1, count);
    assert_eq!(older(before(50), START_MS, false, &limits), Ok(()));
    assert_eq!(older(before(51), START_MS, false, &limits), Err(Held::OlderMatches));
    assert_eq!(older(before(100_000), START_MS, true, &limits), Ok(()));
    // Copies that came after the case are what it is about.
    assert_eq!(older(std::iter::repeat_n(START_MS, 100_000), START_MS, false, &limits), Ok(()));
}
