//! The oracle can object: to nodes in which something is wrong on purpose.

use watchfire_sim::{Mutant, Options, oracle::Rule, run};

/// Seeds in which a mistake must show.
const SEEDS: u64 = 60;

/// The first objection to a mutant.
fn objection(mutant: Mutant) -> Option<Rule> {
    let found = (0..SEEDS).find_map(|seed| {
        let outcome = run(&Options { mutant: Some(mutant), ..Options::of(seed) });
        outcome.map_or_else(
            |error| Some(Err(error)),
            |outcome| Some(Ok(outcome.findings.first()?.rule)),
        )
    });
    found.transpose().ok().flatten()
}

/// Whether any seed has an objection of a kind to a mutant; another one may come first.
fn objects(mutant: Mutant, rule: Rule) -> bool {
    (0..SEEDS).any(|seed| {
        let outcome = run(&Options { mutant: Some(mutant), ..Options::of(seed) });
        outcome.is_ok_and(|outcome| outcome.findings.iter().any(|finding| finding.rule == rule))
    })
}

#[test]
fn a_disk_that_loses_what_it_acknowledged_is_objected_to() {
    let rule = objection(Mutant::ForgetsStatements);
    assert!(matches!(rule, Some(Rule::AlertLost | Rule::HistoryChanged)), "{rule:?}");
}

#[test]
fn an_erased_record_that_stays_on_a_disk_is_objected_to() {
    assert_eq!(objection(Mutant::KeepsErased), Some(Rule::StillThere));
}

#[test]
fn a_member_that_does_not_heed_retractions_is_objected_to() {
    // It lacks their bodies as well, which may be objected to first.
    let heeds =
        |rule: Rule| matches!(rule, Rule::StatesDiffer | Rule::Forbidden | Rule::StillHidden);
    let objected = (0..SEEDS).any(|seed| {
        let mutant = Some(Mutant::IgnoresRetractions);
        let outcome = run(&Options { mutant, ..Options::of(seed) }).unwrap();
        outcome.findings.iter().any(|finding| heeds(finding.rule))
    });
    assert!(objected);
}

#[test]
fn a_member_for_whom_no_term_ends_is_objected_to() {
    let rule = objection(Mutant::StoppedClock);
    assert!(
        matches!(
            rule,
            Some(Rule::StatesDiffer | Rule::Forbidden | Rule::StillHidden | Rule::IncidentsDiffer)
        ),
        "{rule:?}"
    );
}

#[test]
fn records_that_leave_their_group_are_objected_to() {
    assert_eq!(objection(Mutant::LeaksRecords), Some(Rule::OutOfGroup));
}

#[test]
fn what_is_not_given_back_before_all_is_mended_is_objected_to() {
    assert_eq!(objection(Mutant::KeepsDown), Some(Rule::StillHidden));
}

#[test]
fn what_a_platform_only_says_it_hides_is_objected_to() {
    assert_eq!(objection(Mutant::HidesNothing), Some(Rule::StillShown));
}

#[test]
fn a_fork_that_nobody_compares_is_objected_to() {
    assert!(objects(Mutant::NoGossip, Rule::ForkUnseen));
}

#[test]
fn records_that_never_come_are_objected_to() {
    assert_eq!(objection(Mutant::LosesRecords), Some(Rule::BodyMissing));
}

#[test]
fn a_member_that_hears_of_no_charter_is_objected_to() {
    assert_eq!(objection(Mutant::NoCharters), Some(Rule::CharterBehind));
}

#[test]
fn a_member_that_approves_two_charters_of_one_number_is_objected_to() {
    assert_eq!(objection(Mutant::ForgetsVotes), Some(Rule::VotedTwice));
}

#[test]
fn a_charter_in_force_that_too_few_have_approved_is_objected_to() {
    assert_eq!(objection(Mutant::LosesApprovals), Some(Rule::Unapproved));
}

#[test]
fn two_charters_of_one_number_in_force_are_objected_to() {
    assert_eq!(objection(Mutant::TwoCharters), Some(Rule::ChartersDiffer));
}

#[test]
fn a_member_that_stays_behind_is_objected_to() {
    // It is behind with charters too, where these change.
    assert!(objects(Mutant::StaysCut, Rule::LogsDiffer));
}

#[test]
fn a_node_that_does_not_run_is_objected_to() {
    assert_eq!(objection(Mutant::StaysDown), Some(Rule::Unwell));
}

#[test]
fn a_member_at_which_no_incident_lapses_is_objected_to() {
    // No term ends there either, which may be objected to first.
    assert!(objects(Mutant::StoppedClock, Rule::IncidentsDiffer));
}

#[test]
fn a_member_at_which_no_incident_comes_in_force_is_objected_to() {
    assert!(objects(Mutant::IgnoresAgreement, Rule::IncidentsDiffer));
}

#[test]
fn an_incident_in_force_that_too_few_agree_with_is_objected_to() {
    assert!(objects(Mutant::SeesAgreement, Rule::IncidentsDiffer));
}

#[test]
fn a_panic_is_objected_to() {
    assert_eq!(objection(Mutant::Panics), Some(Rule::Panicked));
}
