//! A policy file is read strictly, says what is wrong where, and explains what it decides.

use proptest::prelude::*;
use watchfire_node::{
    policy::{Action, Facts, ItemFacts, MatchKind, Policy, Verdict},
    standing::State,
};

use crate::policy::{any_facts, any_policy};

/// The example of the design, with a case.
const FILE: &str = r#"
version = 12
default = "review"
trust = ["twitch", "reddit"]
keep_decisions_days = 30

[limits]
cases_enforced_per_minute = 200

[promotion]
min_sample = 10

[facts]
subscribers = "int"

[[rule]]
id = "suicide-confirmed"
mode = "live"
expires = 2027-12-31
label = ["self_harm.suicide_depiction", "violence.graphic_death"]
state = ["CONFIRMED"]
min_severity = 2
max_distance = 20
then = ["remove", "block_upload", "preserve"]

[[rule]]
id = "hate-review"
mode = "shadow"
rollout = 0.5
label = ["hate.*"]
when = 'item.views > 10000 || item.author_strikes > 1 && "hate.incitement" in case.labels'
then = ["demote", "review:hate"]

[[negative]]
bank = "LOGOS"
members = ["twitch"]

[[case]]
name = "a near copy goes"
facts = { state = "CONFIRMED", labels = ["self_harm.suicide_depiction"], severity = 3, match = "near", distance = 12 }
expect = { verdict = "block", then = ["remove", "block_upload", "preserve"], rules = ["suicide-confirmed"] }
"#;

fn wrong(from: &str, to: &str) -> (usize, usize, String) {
    assert!(FILE.contains(from));
    let error = Policy::read(&FILE.replacen(from, to, 1)).unwrap_err();
    (error.line, error.column, error.message)
}

#[test]
fn the_example_is_read_and_its_case_passes() {
    let policy = Policy::read(FILE).unwrap();
    assert_eq!((policy.version, policy.rules.len(), policy.keep_decisions_days), (12, 2, 30));
    assert_eq!(policy.limits.cases_enforced_per_source_per_hour, 500);
    let tested = policy.test();
    assert_eq!((tested.len(), tested[0].failures.clone()), (1, vec![]));
    let failing = FILE.replace("verdict = \"block\"", "verdict = \"allow\"");
    let tested = Policy::read(&failing).unwrap().test();
    assert_eq!(tested[0].failures, ["verdict is block, not allow"]);
}

#[test]
fn what_is_wrong_is_told_with_line_column_and_the_nearest_word() {
    let line_of = |text: &str| FILE.lines().position(|line| line.contains(text)).unwrap() + 1;

    let (line, column, message) =
        wrong("suicide_depiction\", \"viol", "suicid_depiction\", \"viol");
    assert_eq!((line, column), (line_of("label = [\"self_harm"), 10), "{message}");
    assert!(message.contains("self_harm.suicid_depiction"), "{message}");
    assert!(message.contains("self_harm.suicide_depiction"), "{message}");

    let (line, _, message) = wrong("trust =", "trsut =");
    assert_eq!(line, line_of("trust ="));
    assert!(message.contains("did you mean `trust`"), "{message}");

    let (line, column, message) = wrong("item.views", "item.vews");
    assert_eq!(line, line_of("item.views"), "{message}");
    assert!(message.contains("did you mean `item.views`"), "{message}");
    assert!((9..=14).contains(&column), "{column}");

    let (_, _, message) = wrong("item.author_strikes > 1", "item.author_strikes > \"1\"");
    assert!(message.contains("a number is needed here, and this is a text"), "{message}");
    let (_, _, message) = wrong("\"hate.incitement\" in", "\"hate.incitment\" in");
    assert!(message.contains("hate.incitement"), "{message}");
    let (_, _, message) = wrong("item.views > 10000 ||", "item.views > ||");
    assert!(message.contains("when:"), "{message}");
    let (_, _, message) = wrong("item.views > 10000", "[1, 2].all(x, x > 0)");
    assert!(message.contains("not used in policies"), "{message}");
    let (_, _, message) = wrong("item.views > 10000", "matches(\"a\", \"b\")");
    assert!(message.contains("unknown function"), "{message}");

    let (line, _, message) = wrong("id = \"hate-review\"", "id = \"suicide-confirmed\"");
    assert_eq!(line, line_of("id = \"hate-review\""));
    assert!(message.contains("two rules"), "{message}");
    for (from, to, word) in [
        ("rollout = 0.5", "rollout = 1.5", "0.0 to 1.0"),
        ("min_severity = 2", "min_severity = 5", "0 to 4"),
        ("max_distance = 20", "max_distance = 64", "farther"),
        ("then = [\"demote\"", "then = [\"demot\"", "did you mean `demote`"),
        ("[\"CONFIRMED\"]", "[\"CONFIRMD\"]", "did you mean `CONFIRMED`"),
        ("default = \"review\"", "default = \"remove\"", "what no rule speaks of"),
        ("id = \"hate-review\"", "id = \"human\"", "no id of a rule"),
        ("2027-12-31", "2027-12-31T00:00:00Z", "without time"),
        ("facts = { state", "facts = { stat", "did you mean `state`"),
    ] {
        let (_, _, message) = wrong(from, to);
        assert!(message.contains(word), "{from} -> {to}: {message}");
    }
}

fn hate(item: &[(&str, i64)]) -> Facts {
    let fact = |(name, number): &(&str, i64)| {
        ((*name).to_owned(), watchfire_node::policy::Fact::Int(*number))
    };
    Facts {
        state: Some(State::Confirmed),
        labels: vec!["hate.incitement".parse().unwrap()],
        item: Some("post:1".parse().unwrap()),
        item_facts: ItemFacts::from(
            item.iter().map(fact).collect::<std::collections::BTreeMap<_, _>>(),
        ),
        kind: Some(MatchKind::Exact),
        ..Facts::default()
    }
}

fn with_when(when: &str) -> Policy {
    let text = format!("[[rule]]\nid = 'r'\nwhen = '''{when}'''\nthen = ['hide']");
    Policy::read(&text).unwrap_or_else(|error| panic!("{when}: {error}"))
}

#[test]
fn an_expression_holds_by_the_facts_and_never_by_what_is_not_known() {
    let fires = |when: &str, facts: &Facts| with_when(when).decide(facts).has(Action::Hide);
    let known = hate(&[("views", 20_000), ("author_strikes", 0)]);
    for (when, holds) in [
        ("item.views > 10000", true),
        ("item.views > 10000 && item.author_strikes > 1", false),
        ("item.views + 1 == 20001", true),
        ("!(item.views > 10000)", false),
        ("has(item.views) && !has(item.live)", true),
        ("\"hate.incitement\" in case.labels", true),
        ("case.state == \"CONFIRMED\" && match.kind in [\"exact\"]", true),
        ("size(case.labels) == 1", true),
        // Not known: neither it nor its contrary holds.
        ("item.followers > 1", false),
        ("!(item.followers > 1)", false),
        ("bank == \"OURS\"", false),
        ("match.distance < 5", false),
        // What decides without it, decides.
        ("item.followers > 1 || item.views > 1", true),
    ] {
        assert_eq!(fires(when, &known), holds, "{when}");
    }
    // A fact of another type than the policy says: it does not fire, nothing breaks.
    let text = [("views".to_owned(), watchfire_node::policy::Fact::Text("many".to_owned()))];
    let odd =
        Facts { item_facts: ItemFacts::from(std::collections::BTreeMap::from(text)), ..hate(&[]) };
    assert!(!fires("item.views > 1", &odd));
}

#[test]
fn a_rule_ends_with_its_last_day() {
    let text = "[[rule]]\nid = 'r'\nexpires = 2026-11-25\nthen = ['hide']";
    let policy = Policy::read(text).unwrap();
    let at = |at_ms| policy.decide(&Facts { at_ms, ..hate(&[]) }).has(Action::Hide);
    // 2026-11-26T00:00:00Z
    assert!(at(1_795_651_200_000 - 1) && !at(1_795_651_200_000));
}

#[test]
fn an_explanation_names_the_condition_that_does_not_fit() {
    let policy = Policy::read(FILE).unwrap();
    let facts = Facts {
        state: Some(State::Confirmed),
        labels: vec!["self_harm.suicide_depiction".parse().unwrap()],
        severity: 3,
        kind: Some(MatchKind::Near),
        distance: Some(25),
        ..Facts::default()
    };
    let explained = policy.explain(&facts);
    let rule = &explained.rules[0];
    assert!(!rule.fired);
    let misfits: Vec<_> = rule.conditions.iter().filter(|one| !one.fits).collect();
    assert_eq!(misfits.len(), 1);
    assert_eq!((misfits[0].key, misfits[0].known.as_deref()), ("max_distance", Some("25")));
    assert_eq!((explained.cap, explained.acted.join(" ")), ("everything", "default".to_owned()));
}

proptest! {
    #[test]
    fn an_explanation_says_what_the_decision_does(policy in any_policy(), facts in any_facts()) {
        let (explained, decision) = (policy.explain(&facts), policy.decide(&facts));
        if decision.verdict() != Verdict::Allow {
            let fired: Vec<_> = explained.rules.iter().filter(|rule| rule.fired)
                .map(|rule| rule.rule.clone()).collect();
            let kept = decision.rules.iter().map(|rule| rule.id.clone());
            prop_assert_eq!(kept.filter(|id| id != "default").collect::<Vec<_>>(), fired);
        }
        prop_assert_eq!(explained.then, decision.then.words());
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in ".{0,200}", at in 0..FILE.len()) {
        let at = (at..FILE.len()).find(|at| FILE.is_char_boundary(*at)).unwrap_or(0);
        let mut spoilt = FILE.to_owned();
        spoilt.insert_str(at, &text);
        for text in [text, spoilt] {
            if let Err(error) = Policy::read(&text) {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(error.line <= text.lines().count() + 1);
            }
        }
    }
}

#[test]
fn the_file_in_the_documentation_is_read_and_passes_its_case() {
    let text = include_str!("../../../../docs/operating.md");
    let files = text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let file = files.into_iter().find(|file| file.contains("[[rule]]")).unwrap();
    let policy = Policy::read(file).unwrap_or_else(|error| panic!("{error}"));
    let tested = policy.test();
    assert_eq!((tested.len(), &tested[0].failures), (1, &vec![]));
}
