//! Applies a policy to the facts of one match.

use std::slice;

use watchfire_signal::label::Label;

use super::{
    Action, Decision, Facts, Fired, Mode, Negative, Policy, Rule,
    cap::{Cap, soften},
};
use crate::standing::State;

/// What stands for a rule where no rule spoke.
const DEFAULT: &str = "default";
/// What stands for a rule where a person has decided.
const HUMAN: &str = "human";

impl Policy {
    /// What this member does about a match.
    #[must_use]
    pub fn decide(&self, facts: &Facts) -> Decision {
        let human = facts.human.as_ref();
        if human.is_some_and(|human| !human.harmful) {
            return Decision { rules: vec![fired(HUMAN, Mode::Live)], ..Decision::default() };
        }
        let (state, cap) = facts.standing_here(self);
        if cap == Cap::Nothing || (human.is_none() && self.is_suppressed(facts)) {
            return Decision::default();
        }
        let labels = human.and_then(|human| human.label.as_ref());
        let labels = labels.map_or(&facts.labels[..], slice::from_ref);
        let mut decision = self.apply_rules(facts, state, labels);
        match cap {
            Cap::Nothing | Cap::Review => soften(&mut decision.then, Action::Review),
            Cap::Reversible => decision.reversible = true,
            Cap::Everything => {}
        }
        if human.is_some() {
            // A person has looked already: what asked for another look is put out of sight, until
            // the person's word is undone.
            decision.rules.insert(0, fired(HUMAN, Mode::Live));
            if decision.then.actions.remove(&Action::Review) {
                decision.then.actions.insert(Action::Hide);
            }
        }
        if facts.label_only(labels) {
            decision.then.actions.remove(&Action::Review);
            soften(&mut decision.then, Action::Label);
        }
        decision
    }

    /// Whether a negative bank speaks against the match.
    fn is_suppressed(&self, facts: &Facts) -> bool {
        let speaks = |negative: &&Negative| facts.negatives.contains(&negative.bank);
        self.negatives.iter().filter(speaks).any(|negative| match (&facts.bank, &facts.source) {
            (Some(bank), _) => negative.banks.contains(bank),
            (None, Some(member)) => negative.members.contains(member),
            (None, None) => false,
        })
    }

    fn apply_rules(&self, facts: &Facts, state: Option<State>, labels: &[Label]) -> Decision {
        let mut decision = Decision::default();
        let evaluated = self.rules.iter().filter(|rule| rule.mode != Mode::Draft);
        for rule in evaluated.filter(|rule| rule.fits(facts, state, labels)) {
            decision.rules.push(fired(&rule.id, rule.mode));
            if rule.mode == Mode::Live {
                decision.then.add(&rule.then);
                let removes = rule.then.actions.contains(&Action::Remove);
                decision.reversible &= !(rule.irreversible && removes);
            }
        }
        if decision.acted().next().is_none() {
            decision.then.actions.insert(self.default);
            decision.rules.push(fired(DEFAULT, Mode::Live));
        }
        decision
    }
}

fn fired(id: &str, mode: Mode) -> Fired {
    Fired { id: id.into(), mode }
}

impl Rule {
    /// Whether it speaks of a match; what is not known does not fit.
    fn fits(&self, facts: &Facts, state: Option<State>, labels: &[Label]) -> bool {
        let known = |fact: Option<u32>, fits: &dyn Fn(u32) -> bool| fact.is_some_and(fits);
        let labelled = || labels.iter().any(|l| self.label.iter().any(|fits| fits.matches(l)));
        facts.severity >= self.min_severity
            && (self.label.is_empty() || labelled())
            && (self.state.is_empty() || state.is_some_and(|state| self.state.contains(&state)))
            && (self.bank.is_empty() || facts.bank.as_ref().is_some_and(|b| self.bank.contains(b)))
            && self.min_confirmations.is_none_or(|least| facts.confirmations >= least)
            && self.kind.is_none_or(|kind| facts.kind == Some(kind))
            && self.max_distance.is_none_or(|most| known(facts.distance, &|bits| bits <= most))
            && self.min_matched_ms.is_none_or(|least| known(facts.matched_ms, &|ms| ms >= least))
            && self.rolls_out_to(facts.item.as_ref())
    }
}
