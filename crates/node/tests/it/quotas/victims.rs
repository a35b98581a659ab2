//! Quotas of what is taken back in the name of victims.

use proptest::prelude::*;
use watchfire_node::standing::State;
use watchfire_signal::{
    commitment::Commitment,
    header::{Provenance, Target},
    reason::Reason,
    statement::Statement,
};

use super::{NOW, assert_at, assert_same, erase_at, logs, retract_at, state};
use crate::logs::{Logs, SEEN};

/// Cases by `tiktok` of what victims reported. Persons of others stand by what `reddit` adds to each.
fn of_victims(logs: &mut Logs, count: usize) -> Vec<[(Commitment, Target); 2]> {
    let make = |_| {
        let case = assert_at(logs, "tiktok", NOW, |header| header.provenance = Provenance::Victim);
        let variant = logs.widen("reddit", &case, false, false);
        logs.confirm("google", &variant, SEEN);
        [case, variant]
    };
    (0..count).map(make).collect()
}

fn withdraw_at(logs: &mut Logs, about: &Target, minute: u32) -> (Commitment, Target) {
    let statement = Statement::Retract { restore: true, note: None };
    logs.say("tiktok", &statement, |header| {
        header.target = Some(about.clone());
        header.reason = Some(Reason::VictimWithdrew);
        header.minute = Some(minute);
    })
}

fn cosign(logs: &mut Logs, member: &str, retraction: &(Commitment, Target)) {
    let statement = Statement::Confirm { commitment: retraction.0, basis: SEEN };
    logs.say(member, &statement, |header| header.target = Some(retraction.1.clone()));
}

/// What somebody says of an alert.
type Saying = fn(&mut Logs, &(Commitment, Target));

#[test]
fn a_stolen_key_ends_in_the_name_of_victims_no_more_than_its_quota() {
    // Whatever it says of its alerts before.
    let before: [Saying; 3] = [
        |_, _| {},
        |logs, case| drop(logs.dispute("tiktok", case)),
        |logs, case| drop(erase_at(logs, "tiktok", &case.1, NOW)),
    ];
    for (way, before) in before.into_iter().enumerate() {
        let mut logs = logs(|charter| charter.quotas.retractions_an_hour = 3);
        let cases = of_victims(&mut logs, 6);
        cases.iter().for_each(|[case, _]| before(&mut logs, case));
        let undone: Vec<_> =
            cases.iter().map(|[case, _]| withdraw_at(&mut logs, &case.1, NOW + 90)).collect();
        let ended = |logs: &Logs| {
            let folded = logs.fold(&[]);
            let is_over = |[_, variant]: &&[(Commitment, Target); 2]| {
                state(&folded, &variant.0) == Some(State::Retracted)
            };
            cases.iter().filter(is_over).count()
        };
        assert_eq!(ended(&logs), 3, "way {way}");
        cosign(&mut logs, "reddit", undone.last().unwrap());
        assert_eq!(ended(&logs), 4, "way {way}");
        for member in ["facebook", "google", "tiktok"] {
            logs.halt_member(member, "reddit");
        }
        assert_eq!(ended(&logs), 3, "way {way}: a cosigner who is halted is not heard");
    }
}

proptest! {
    #[test]
    fn what_victims_take_back_does_not_depend_on_the_order_of_arrival(
        choices in proptest::collection::vec(any::<u8>(), 30..60),
        what in proptest::collection::vec((any::<u8>(), 0_u32..90), 5),
        halted in any::<u8>(),
    ) {
        let mut logs = logs(|charter| charter.quotas.retractions_an_hour = 2);
        let cases = of_victims(&mut logs, 5);
        let mut names: Vec<_> = cases.iter().flatten().map(|(name, _)| *name).collect();
        let mut undone = Vec::new();
        for ([case, variant], (how, minute)) in cases.iter().zip(what) {
            if how & 1 > 0 {
                logs.dispute("tiktok", case);
            }
            if how & 2 > 0 {
                erase_at(&mut logs, "tiktok", &case.1, NOW + minute / 2);
            }
            if how & 4 > 0 {
                retract_at(&mut logs, "tiktok", &case.1, NOW + minute / 2);
            }
            if how & 24 > 0 {
                undone.push(withdraw_at(&mut logs, &case.1, NOW + minute));
            }
            if how & 32 > 0 {
                // By which it is counted in the hour, after others were.
                logs.confirm("facebook", case, SEEN);
            }
            if how & 64 > 0 {
                names.push(logs.widen("google", variant, false, false).0);
            }
            if let Some(last) = undone.last().filter(|_| how & 128 > 0).cloned() {
                cosign(&mut logs, "reddit", &last);
            }
        }
        if halted < 80 {
            let other = if halted < 40 { "reddit" } else { "tiktok" };
            for member in ["facebook", "google", if halted < 40 { "tiktok" } else { "reddit" }] {
                logs.halt_member(member, other);
            }
        } else if halted < 120 {
            for member in ["facebook", "google", "reddit"] {
                logs.suspend(member, "tiktok", u64::from(halted) - 70);
            }
        }
        assert_same(&logs, &names, &choices)?;
    }
}
