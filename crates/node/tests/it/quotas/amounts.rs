//! Bytes of a day and live alerts: counted by the leaves of one log, whoever has the records and in which order
//! they came.

use proptest::prelude::*;
use watchfire_node::{
    cases::{Cases, Ignored},
    standing::State,
};
use watchfire_signal::{
    commitment::Commitment,
    header::{Provenance, Review, Target},
    statement::Statement,
    value::Signal,
    vpdq::Vpdq,
};

use super::{DAY, NOW, assert_same, erase_at, logs, retract_at, state};
use crate::{
    coalition::alert,
    logs::{Logs, SEEN},
};

/// An alert whose body has about so many KiB, and whose lease ends so many days from now.
fn alert_of(
    logs: &mut Logs,
    member: &str,
    (kib, days): (usize, u32),
    minute: u32,
) -> (Commitment, Target) {
    // 25 frames of 41 bytes each are a KiB.
    let frame = |at: u32| [&at.to_be_bytes()[..], &at.to_be_bytes(), &[100; 33]].concat();
    let frames = Vpdq::from_bytes(&(0..25).flat_map(frame).collect::<Vec<_>>()).unwrap();
    let more = (1..kib).map(|_| Signal::new(frames.clone()));
    let pdq = Signal::new(watchfire_signal::pdq::Pdq([1; 32]));
    let mut body = alert([pdq].into_iter().chain(more).collect()).alert;
    body.valid_until = u64::from(minute + days * DAY) * 60_000;
    logs.say(member, &Statement::Assert(body), |header| {
        header.severity = Some(3);
        header.review = Some(Review::OneHuman);
        header.provenance = Provenance::OwnDetection;
        header.minute = Some(minute);
        header.lease_day = Some(minute / DAY + days);
    })
}

fn renew_at(logs: &mut Logs, member: &str, own: &Target, (minute, days): (u32, u32)) {
    let valid_until = u64::from(minute + days * DAY) * 60_000;
    logs.say(member, &Statement::Renew { valid_until }, |header| {
        header.target = Some(own.clone());
        header.minute = Some(minute);
        header.lease_day = Some(minute / DAY + days);
    });
}

#[test]
fn what_is_beyond_the_bytes_of_a_day_says_nothing_and_what_is_smaller_still_fits() {
    let mut logs = logs(|charter| charter.quotas.bytes_a_day = 12 * 1_024);
    let say = |logs: &mut Logs, kib, minute| alert_of(logs, "tiktok", (kib, 9), minute);
    let (first, large) = (say(&mut logs, 10, NOW), say(&mut logs, 10, NOW));
    let small: Vec<_> = (0..4).map(|_| say(&mut logs, 1, NOW)).collect();
    retract_at(&mut logs, "tiktok", &first.1, NOW);
    let tomorrow = say(&mut logs, 10, NOW + DAY);
    let honest = alert_of(&mut logs, "google", (10, 9), NOW);
    let sizes = logs.sizes("tiktok");
    assert_eq!(sizes[..3], [10, 10, 1], "the test says what it means");
    // Who does not get the records counts the same.
    let mut bare = Logs::under(logs.charter.clone());
    bare.logs = logs.logs.clone();
    let records = bare.logs.values_mut().flatten();
    records.for_each(|held| held.entry = watchfire_tlog::Entry::new(held.entry.leaf.clone(), None));
    for choices in [&[][..], &[1, 1, 0, 1, 0, 0, 0, 1]] {
        for logs in [&logs, &bare] {
            let cases = logs.fold(choices);
            let counted = |case: &(Commitment, Target)| cases.set(&case.0).is_some();
            assert!(counted(&first) && !counted(&large));
            assert_eq!(small.iter().map(counted).collect::<Vec<_>>(), [true, true, false, false]);
            assert!(counted(&tomorrow) && counted(&honest));
        }
    }
}

#[test]
fn the_end_of_a_log_is_heard_from_a_key_that_floods() {
    let mut logs = logs(|charter| charter.quotas.bytes_a_day = 0);
    let over = alert_of(&mut logs, "tiktok", (1, 9), NOW);
    let last = watchfire_signal::statement::Head { size: 1, root: [1; 32] };
    let step = watchfire_signal::statement::KeyStep::Rotate;
    let rotate = Statement::Key { step, key: [9; 32], last };
    logs.say("tiktok", &rotate, |header| header.minute = Some(NOW));
    let log = logs.log("tiktok");
    let mut cases = logs.fold(&[]);
    let again = |cases: &mut Cases, index: usize| cases.fold(&log, logs.logs[&log][index].clone());
    assert_eq!(again(&mut cases, 0), (Vec::new(), Some(Ignored::Quota)));
    assert_eq!(again(&mut cases, 1), (Vec::new(), None));
    assert!(cases.set(&over.0).is_none());
}

#[test]
fn days_to_come_have_the_bytes_of_one_day_together() {
    let mut logs = logs(|charter| charter.quotas.bytes_a_day = 3 * 1_024);
    let year = NOW + 365 * DAY;
    let days: Vec<_> =
        (0..6).map(|day| alert_of(&mut logs, "tiktok", (1, 9), year + day * DAY)).collect();
    let mut cases = logs.fold(&[]);
    let counted = |cases: &Cases| days.iter().filter(|case| cases.set(&case.0).is_some()).count();
    assert_eq!(counted(&cases), 3);
    for place in cases.pass_time(u64::from(year + 9 * DAY) * 60_000) {
        let held = logs.logs[&place.log][place.index as usize].clone();
        cases.fold(&place.log, held);
    }
    assert_eq!(counted(&cases), 6);
}

#[test]
fn a_member_has_no_more_alerts_live_than_its_quota_until_leases_end_or_it_takes_some_back() {
    let mut logs = logs(|charter| charter.quotas.live_alerts = 3);
    let say = |logs: &mut Logs, days, minute| alert_of(logs, "tiktok", (1, days), minute);
    let short = say(&mut logs, 0, NOW);
    let long: Vec<_> = (0..2).map(|_| say(&mut logs, 20, NOW)).collect();
    let over = say(&mut logs, 20, NOW);
    // Beside those that are live there is room for answers, and for their renewal.
    renew_at(&mut logs, "tiktok", &long[0].1, (NOW, 30));
    let honest = alert_of(&mut logs, "google", (1, 20), NOW);
    logs.confirm("tiktok", &honest, SEEN);
    retract_at(&mut logs, "tiktok", &long[1].1, NOW);
    let instead = say(&mut logs, 20, NOW);
    let over_again = say(&mut logs, 20, NOW);
    let next_day = say(&mut logs, 20, NOW + DAY);
    erase_at(&mut logs, "tiktok", &long[0].1, NOW + DAY);
    let erased = say(&mut logs, 20, NOW + DAY);
    // What is over may be renewed, where there is room.
    renew_at(&mut logs, "tiktok", &short.1, (NOW + DAY, 9));
    retract_at(&mut logs, "tiktok", &instead.1, NOW + DAY);
    renew_at(&mut logs, "tiktok", &short.1, (NOW + DAY, 9));
    let last = say(&mut logs, 20, NOW + DAY);
    let ways = [&[][..], &[1, 1, 0, 1, 0, 0, 0, 1], &[0, 1, 1, 1, 0, 0]];
    for choices in ways {
        for cases in [logs.fold(choices), logs.fold_with_repeats(choices)] {
            let counted = |case: &(Commitment, Target)| cases.set(&case.0).is_some();
            assert!(
                [&short, &long[0], &long[1], &instead, &next_day, &erased, &honest]
                    .map(counted)
                    .iter()
                    .all(|counted| *counted)
            );
            assert_eq!([&over, &over_again, &last].map(counted), [false; 3]);
            assert_eq!(state(&cases, &honest.0), Some(State::Confirmed));
        }
    }
}

#[test]
fn what_is_taken_back_ahead_of_its_turn_makes_room_from_its_place_on() {
    let mut logs = logs(|charter| charter.quotas.live_alerts = 1);
    let first = alert_of(&mut logs, "tiktok", (1, 20), NOW);
    let over = alert_of(&mut logs, "tiktok", (1, 20), NOW);
    retract_at(&mut logs, "tiktok", &first.1, NOW);
    let next = alert_of(&mut logs, "tiktok", (1, 20), NOW);
    let log = logs.log("tiktok");
    let held = |index: usize| logs.logs[&log][index].clone();
    let mut cases = Cases::new(std::sync::Arc::new(logs.charter.charter.clone()));
    for index in [2, 0, 2, 1, 2, 3, 2, 3] {
        cases.fold(&log, held(index));
    }
    let counted = |case: &(Commitment, Target)| cases.set(&case.0).is_some();
    assert_eq!([&first, &over, &next].map(counted), [true, false, true]);
}

proptest! {
    #[test]
    fn what_counts_of_any_size_and_lease_does_not_depend_on_the_order_of_arrival(
        choices in proptest::collection::vec(any::<u8>(), 30..60),
        said in proptest::collection::vec((0_u8..8, 1_usize..6, 0_u32..4, any::<prop::sample::Index>()), 10..40),
    ) {
        let mut logs = logs(|charter| {
            charter.quotas.bytes_a_day = 16 * 1_024;
            charter.quotas.live_alerts = 3;
            charter.quotas.records_a_day = 12;
        });
        let mut cases: Vec<(Commitment, Target)> = Vec::new();
        let mut now = NOW;
        for (what, kib, days, which) in said {
            let own = (!cases.is_empty()).then(|| which.get(&cases).clone());
            match (what, own) {
                (0, Some(own)) => drop(retract_at(&mut logs, "tiktok", &own.1, now)),
                (1, Some(own)) => drop(erase_at(&mut logs, "tiktok", &own.1, now)),
                (2, Some(own)) => renew_at(&mut logs, "tiktok", &own.1, (now, days)),
                (3, Some(own)) => drop(logs.confirm("google", &own, SEEN)),
                (4, _) => now += DAY / 2,
                _ => cases.push(alert_of(&mut logs, "tiktok", (kib, days), now)),
            }
        }
        let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
        assert_same(&logs, &names, &choices)?;
    }
}
