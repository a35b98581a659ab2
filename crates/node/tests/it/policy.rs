//! Policy decides by its facts alone, and never more than the state of a case allows.

use std::collections::BTreeSet;

use proptest::prelude::*;
use watchfire_node::{
    policy::{Action, Facts, Policy, Rule, Verdict},
    standing::State,
};
use watchfire_signal::label::{Label, LabelPattern};

const ACTIONS: [Action; 11] = [
    Action::Ignore,
    Action::Notify,
    Action::Label,
    Action::Review,
    Action::Demote,
    Action::AgeGate,
    Action::GeoBlock,
    Action::Hide,
    Action::Remove,
    Action::BlockUpload,
    Action::Preserve,
];
const STATES: [State; 6] = [
    State::Proposed,
    State::Provisional,
    State::Confirmed,
    State::Disputed,
    State::Lapsed,
    State::Retracted,
];

fn facts(state: State) -> impl Strategy<Value = Facts<'static>> {
    let labels: &'static [Label] =
        Box::leak(Box::new([Label::received("violence.graphic_death").unwrap()]));
    (any::<[bool; 5]>(), 0_u8..=4).prop_map(move |(flags, severity)| Facts {
        state,
        was_confirmed: flags[0],
        own: flags[1],
        trusted: flags[2],
        drill: flags[3],
        unreadable: flags[4],
        labels,
        severity,
    })
}

fn any_facts() -> impl Strategy<Value = Facts<'static>> {
    proptest::sample::select(&STATES[..]).prop_flat_map(facts)
}

fn rule() -> impl Strategy<Value = Rule> {
    let states = proptest::collection::btree_set(proptest::sample::select(&STATES[..]), 0..6);
    let then = proptest::collection::btree_set(proptest::sample::select(&ACTIONS[..]), 1..5);
    (states, then, 0_u8..=4).prop_map(|(state, then, min_severity)| Rule {
        id: "r".to_owned(),
        label: vec![LabelPattern::Any],
        state,
        min_severity,
        then,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (proptest::collection::vec(rule(), 0..4), proptest::sample::select(&ACTIONS[..]))
        .prop_map(|(rules, default)| Policy { version: 1, default, trust: BTreeSet::new(), rules })
}

proptest! {
    #[test]
    fn no_rule_does_more_than_the_state_allows(policy in policy(), facts in any_facts()) {
        let decision = policy.decide(&facts);
        let strict = decision.actions.iter().any(|action| action.is_stricter_than_review());
        let full = match facts.state {
            State::Confirmed => true,
            State::Proposed | State::Provisional => facts.own || facts.trusted,
            State::Disputed => facts.own,
            State::Lapsed | State::Retracted => false,
        };
        if facts.drill || facts.state == State::Retracted {
            prop_assert_eq!(decision.verdict(), Verdict::Allow);
        }
        if !full || facts.unreadable {
            prop_assert!(!strict, "{:?} in {:?}", decision, facts);
        }
    }

    #[test]
    fn the_same_facts_and_policy_give_the_same_decision(policy in policy(), facts in any_facts()) {
        prop_assert_eq!(policy.decide(&facts), policy.clone().decide(&facts.clone()));
    }

    #[test]
    fn a_confirmed_case_gets_what_its_rules_say(then in proptest::sample::select(&ACTIONS[..]),
        facts in facts(State::Confirmed))
    {
        let rules = vec![Rule {
            id: "r".to_owned(),
            label: vec![LabelPattern::Family("violence".to_owned())],
            state: BTreeSet::from([State::Confirmed]),
            min_severity: 0,
            then: BTreeSet::from([then]),
        }];
        let policy = Policy { rules, ..Policy::default() };
        let decision = policy.decide(&facts);
        if !facts.drill && !facts.unreadable {
            prop_assert_eq!(decision.actions, BTreeSet::from([then]));
        }
    }
}

#[test]
fn misinformation_is_labelled_and_never_removed() {
    let labels = ["info.misinformation".parse::<Label>().unwrap()];
    let facts = Facts {
        state: State::Confirmed,
        was_confirmed: true,
        own: true,
        trusted: true,
        drill: false,
        unreadable: false,
        labels: &labels,
        severity: 4,
    };
    let decision = Policy::default().decide(&facts);
    assert!(decision.actions.contains(&Action::Label), "{decision:?}");
    assert_eq!(decision.verdict(), Verdict::Flag);
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
