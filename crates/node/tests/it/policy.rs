//! Policy decides by its facts alone, and never more than the state of a case allows.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use watchfire_node::{
    policy::{Action, Facts, Human, MatchKind, Mode, Negative, Policy, Rule, Then, Verdict},
    standing::State,
};
use watchfire_signal::{
    label::{Label, LabelPattern},
    value::Kind,
};

const STATES: [State; 6] = [
    State::Proposed,
    State::Provisional,
    State::Confirmed,
    State::Disputed,
    State::Lapsed,
    State::Retracted,
];

pub(crate) fn facts(state: State) -> impl Strategy<Value = Facts> {
    let flags = any::<[bool; 7]>();
    let numbers = (0_u8..=4, 0_u32..5, proptest::option::of(0_u32..40), 0_u32..50);
    let kind = proptest::option::of(proptest::sample::select(
        &[MatchKind::Exact, MatchKind::Near, MatchKind::Variant][..],
    ));
    (flags, numbers, kind).prop_map(move |(flags, numbers, kind)| {
        let (severity, confirmations, distance, item) = numbers;
        Facts {
            item: Some(format!("post:{item}").parse().unwrap()),
            state: Some(state),
            was_confirmed: flags[0],
            own: flags[1],
            looked: flags[2].then(|| "bee".parse().unwrap()).into_iter().collect(),
            agreed: flags[5],
            critical: flags[6],
            drill: flags[3],
            unreadable: flags[4],
            labels: vec![Label::received("violence.graphic_death").unwrap()],
            severity,
            confirmations,
            distance,
            kind,
            ..Facts::default()
        }
    })
}

pub(crate) fn any_facts() -> impl Strategy<Value = Facts> {
    proptest::sample::select(&STATES[..]).prop_flat_map(facts)
}

fn then() -> impl Strategy<Value = Then> {
    let actions =
        proptest::collection::btree_set(proptest::sample::select(Action::all().to_vec()), 1..5);
    (actions, 0_u8..3, any::<bool>()).prop_map(|(actions, strikes, report)| Then {
        actions,
        queue: None,
        strikes,
        reports: report.then(|| Arc::from("ncmec")).into_iter().collect(),
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let states = proptest::collection::btree_set(proptest::sample::select(&STATES[..]), 0..6);
    let mode = proptest::sample::select(&[Mode::Draft, Mode::Shadow, Mode::Live, Mode::Live][..]);
    let limits = (0_u8..=4, proptest::option::of(0_u32..5), proptest::option::of(0_u32..40));
    let rest = (proptest::option::of(0.0..=1.0), any::<bool>(), 0_u8..3);
    (states, mode, limits, rest, then()).prop_map(|(state, mode, limits, rest, then)| Rule {
        id: format!("r{}", rest.2),
        mode,
        rollout: rest.0,
        label: vec![LabelPattern::Any],
        state,
        min_severity: limits.0,
        min_confirmations: limits.1,
        max_distance: limits.2,
        then,
        irreversible: rest.1,
        ..Rule::default()
    })
}

pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    let rules = proptest::collection::vec(rule(), 0..5);
    let default = proptest::sample::select(Action::all().to_vec());
    (rules, default, any::<bool>()).prop_map(|(rules, default, trust)| Policy {
        rules,
        default,
        trust: trust.then(|| "bee".parse().unwrap()).into_iter().collect(),
        ..Policy::default()
    })
}

proptest! {
    #[test]
    fn no_rule_does_more_than_the_state_allows(policy in any_policy(), facts in any_facts()) {
        let decision = policy.decide(&facts);
        let then = &decision.then;
        let strict = then.actions.iter().any(|action| action.is_stricter_than_review())
            || then.strikes > 0
            || !then.reports.is_empty();
        let trusted = facts.looked.iter().any(|member| policy.trust.contains(member));
        let full = match facts.state.unwrap() {
            State::Confirmed => true,
            State::Provisional => facts.own || trusted || facts.critical,
            State::Proposed => facts.own || trusted,
            State::Disputed => facts.own,
            State::Lapsed | State::Retracted => false,
        };
        if facts.drill || facts.state == Some(State::Retracted) {
            prop_assert_eq!(decision.verdict(), Verdict::Allow);
        }
        // A variant acts by itself only in a CONFIRMED case of severity 4, or where two ways agree.
        let counts = if full { Some(State::Confirmed) } else { facts.state };
        let grave = counts == Some(State::Confirmed) && facts.severity == 4 && !facts.agreed;
        let faint = facts.kind == Some(MatchKind::Variant) && !grave && !facts.agreed;
        if !full || facts.unreadable || faint {
            prop_assert!(!strict, "{:?} in {:?}", decision, facts);
        }
        if facts.state != Some(State::Confirmed) {
            prop_assert!(decision.reversible || decision.take_down().is_none());
        }
    }

    #[test]
    fn the_same_facts_and_policy_give_the_same_decision(policy in any_policy(), facts in any_facts()) {
        let kept: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
        prop_assert_eq!(&kept, &facts);
        prop_assert_eq!(policy.decide(&facts), policy.clone().decide(&kept));
    }

    #[test]
    fn the_strictest_rule_wins_whatever_their_order(policy in any_policy(), facts in facts(State::Confirmed)) {
        let decision = policy.decide(&facts);
        let ordered = |then: &Then| {
            then.actions.iter().filter(|action| !action.is_independent()).max().copied()
        };
        let is_ordered = |action: &&Action| !action.is_independent();
        prop_assert!(decision.then.actions.iter().filter(is_ordered).count() <= 1);
        if !facts.drill && !facts.unreadable {
            // Each rule alone asks for no more than all of them together.
            for rule in policy.rules.iter().filter(|rule| rule.mode == Mode::Live) {
                let alone = Policy { rules: vec![rule.clone()], ..policy.clone() }.decide(&facts);
                if alone.acted().any(|id| id == rule.id) {
                    prop_assert!(ordered(&alone.then) <= ordered(&decision.then));
                    let independent = alone.then.actions.iter().filter(|action| action.is_independent());
                    prop_assert!(independent.into_iter().all(|action| decision.has(*action)));
                }
            }
        }
        let mut turned = policy.clone();
        turned.rules.reverse();
        let turned = turned.decide(&facts);
        prop_assert_eq!(turned.then.actions, decision.then.actions);
        prop_assert_eq!(turned.then.strikes, decision.then.strikes);
        prop_assert_eq!(turned.reversible, decision.reversible);
    }

    #[test]
    fn a_shadow_rule_is_kept_and_changes_nothing(policy in any_policy(), facts in any_facts()) {
        let without: Vec<_> =
            policy.rules.iter().filter(|rule| rule.mode == Mode::Live).cloned().collect();
        let without = Policy { rules: without, ..policy.clone() }.decide(&facts);
        let with = policy.decide(&facts);
        prop_assert_eq!(&with.then, &without.then);
        prop_assert!(with.acted().eq(without.acted()));
    }

    #[test]
    fn a_person_wins_over_every_rule(policy in any_policy(), facts in any_facts()) {
        let human = |harmful| Some(Human { harmful, label: None, irreversible: false, at_ms: 1 });
        let benign = policy.decide(&Facts { human: human(false), ..facts.clone() });
        prop_assert_eq!(benign.verdict(), Verdict::Allow);
        let harmful = policy.decide(&Facts { human: human(true), ..facts.clone() });
        if !facts.drill {
            prop_assert!(!harmful.has(Action::Review), "{:?}", harmful);
            prop_assert!(harmful.acted().any(|id| id == "human"));
        }
    }

    #[test]
    fn a_roll_out_grows_and_never_shrinks(item in "[a-z]{1,12}", low in 0.0..=1.0, high in 0.0..=1.0) {
        let item = item.parse().unwrap();
        let rule = |part| Rule { id: "r".to_owned(), rollout: Some(part), ..Rule::default() };
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        prop_assert!(!rule(low).rolls_out_to(Some(&item)) || rule(high).rolls_out_to(Some(&item)));
        prop_assert!(rule(1.0).rolls_out_to(Some(&item)) && !rule(0.0).rolls_out_to(Some(&item)));
    }
}

#[test]
fn half_a_roll_out_takes_about_half_of_the_items() {
    let rule = Rule { id: "r".to_owned(), rollout: Some(0.5), ..Rule::default() };
    let in_it = |n: &u32| rule.rolls_out_to(Some(&format!("post:{n}").parse().unwrap()));
    let taken = (0..4_000).filter(in_it).count();
    assert!((1_850..2_150).contains(&taken), "{taken}");
    assert!(!rule.rolls_out_to(None));
}

#[test]
fn misinformation_is_labelled_and_never_removed() {
    let facts = Facts {
        state: Some(State::Confirmed),
        was_confirmed: true,
        own: true,
        labels: vec!["info.misinformation".parse::<Label>().unwrap()],
        severity: 4,
        ..Facts::default()
    };
    let harmful = Some(Human { harmful: true, label: None, irreversible: false, at_ms: 1 });
    for facts in [facts.clone(), Facts { human: harmful, ..facts }] {
        let decision = Policy::default().decide(&facts);
        assert!(decision.has(Action::Label), "{decision:?}");
        assert_eq!(decision.verdict(), Verdict::Flag);
    }
}

#[test]
fn sound_alone_leads_to_a_person_and_together_with_what_is_seen_it_acts() {
    let heard = Facts {
        state: Some(State::Confirmed),
        labels: vec!["violence.graphic_death".parse::<Label>().unwrap()],
        severity: 4,
        kind: Some(MatchKind::Variant),
        signal: Some(Kind::Audio),
        ..Facts::default()
    };
    let verdict = |facts: &Facts| Policy::default().decide(facts).verdict();
    assert_eq!(verdict(&heard), Verdict::Review);
    assert_eq!(verdict(&Facts { agreed: true, ..heard.clone() }), Verdict::Block);
    let details = Facts { signal: Some(Kind::Features), ..heard };
    assert_eq!(verdict(&details), Verdict::Block);
    assert_eq!(verdict(&Facts { severity: 3, ..details }), Verdict::Review);
}

#[test]
fn a_person_can_have_removed_for_good_what_a_rule_would_only_hide() {
    let labels = vec!["hate.incitement".parse::<Label>().unwrap()];
    let facts = Facts { state: Some(State::Proposed), severity: 1, labels, ..Facts::default() };
    let said = |irreversible| Some(Human { harmful: true, label: None, irreversible, at_ms: 1 });
    let policy = Policy { rules: Vec::new(), ..Policy::default() };
    let hidden = policy.decide(&Facts { human: said(false), ..facts.clone() });
    assert_eq!((hidden.take_down(), hidden.reversible), (Some(Action::Hide), true));
    let gone = policy.decide(&Facts { human: said(true), ..facts });
    assert_eq!((gone.take_down(), gone.reversible), (Some(Action::Remove), false));
}

#[test]
fn an_own_bank_acts_by_its_rule_and_a_negative_bank_suppresses_what_it_names() {
    let text = "[[rule]]\nid='ours'\nbank=['TERROR']\nthen=['remove']\n\
                [[negative]]\nbank='LOGOS'\nbanks=['TERROR']\nmembers=['bee']";
    let policy = toml::from_str::<Policy>(text).unwrap();
    let ours = Facts { bank: Some("TERROR".parse().unwrap()), ..Facts::default() };
    assert_eq!(policy.decide(&ours).take_down(), Some(Action::Remove));
    let other = Facts { bank: Some("OTHER".parse().unwrap()), ..Facts::default() };
    assert_eq!(policy.decide(&other).verdict(), Verdict::Review);
    let negatives = BTreeSet::from(["LOGOS".parse().unwrap()]);
    let suppressed = Facts { negatives: negatives.clone(), ..ours };
    assert_eq!(policy.decide(&suppressed).verdict(), Verdict::Allow);
    let unnamed = Facts { negatives: negatives.clone(), ..other };
    assert_eq!(policy.decide(&unnamed).verdict(), Verdict::Review);
    let case = |source: &str| Facts {
        state: Some(State::Confirmed),
        source: Some(source.parse().unwrap()),
        labels: vec!["hate.incitement".parse().unwrap()],
        negatives: negatives.clone(),
        ..Facts::default()
    };
    assert_eq!(policy.decide(&case("bee")).verdict(), Verdict::Allow);
    assert_eq!(policy.decide(&case("ant")).verdict(), Verdict::Review);
    assert_eq!(
        policy.negatives,
        [Negative {
            bank: "LOGOS".parse().unwrap(),
            banks: BTreeSet::from(["TERROR".parse().unwrap()]),
            members: BTreeSet::from(["bee".parse().unwrap()]),
        }]
    );
}

#[test]
fn only_a_rule_that_says_so_removes_beyond_undo() {
    let policy = |irreversible| Policy {
        rules: vec![Rule {
            id: "r".to_owned(),
            then: Then::from([Action::Remove]),
            irreversible,
            ..Rule::default()
        }],
        trust: BTreeSet::from(["bee".parse().unwrap()]),
        ..Policy::default()
    };
    let facts = |state| Facts {
        state: Some(state),
        looked: BTreeSet::from(["bee".parse().unwrap()]),
        labels: vec!["hate.incitement".parse().unwrap()],
        ..Facts::default()
    };
    assert!(policy(false).decide(&facts(State::Confirmed)).reversible);
    assert!(!policy(true).decide(&facts(State::Confirmed)).reversible);
    let trusted = policy(true).decide(&facts(State::Provisional));
    assert_eq!((trusted.take_down(), trusted.reversible), (Some(Action::Remove), true));
}

#[test]
fn what_is_to_be_done_reads_as_it_is_written() {
    let text = r#"["review:hate","block_upload","strike:2","report:ncmec"]"#;
    let then: Then = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&then).unwrap(), text);
    for wrong in ["delete", "review:", "strike:0", "strike:x", "report:A b", "hide:x"] {
        let error = serde_json::from_str::<Then>(&format!("[{wrong:?}]")).unwrap_err();
        assert!(error.to_string().contains("did you mean"), "{error}");
    }
    let error = "remvoe".parse::<Action>().unwrap_err();
    assert_eq!(error.nearest, "remove");
}

#[test]
fn a_policy_file_with_an_unknown_key_or_action_is_refused() {
    let refused = |text: &str| toml::from_str::<Policy>(text).unwrap_err().to_string();
    assert!(refused("trsut = ['tiktok']").contains("trsut"));
    let rule = "[[rule]]\nid='x'\nlabel=['hate.*']\nstate=['CONFIRMED']\nthen=['delete']";
    assert!(refused(rule).contains("`delete` is no action"));
    let read = toml::from_str::<Policy>("version = 3\ntrust = ['tiktok']").unwrap();
    assert_eq!((read.version, read.rules.len()), (3, 1));
}
