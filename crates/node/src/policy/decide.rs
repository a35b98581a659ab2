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
        let seen = Seen::of(facts, state);
        let mut decision = self.apply_rules(&seen);
        match cap {
            _ if human.is_none() && facts.is_faint(state) => {
                soften(&mut decision.then, Action::Review);
            }
            Cap::Nothing | Cap::Review => soften(&mut decision.then, Action::Review),
            Cap::Reversible => decision.reversible = true,
            Cap::Everything => {}
        }
        if let Some(human) = human {
            // A person has looked already: what asked for another look is put out of sight, until
            // the person's word is undone.
            decision.rules.insert(0, fired(HUMAN, Mode::Live));
            if decision.then.actions.remove(&Action::Review) {
                // Where nothing is enforced it is told, and nobody is asked again.
                let instead = if facts.advisory { Action::Notify } else { Action::Hide };
                decision.then.actions.insert(instead);
            }
            if human.irreversible && !facts.advisory {
                decision.then.actions.insert(Action::Remove);
                decision.then.keep_strictest();
                decision.reversible = false;
            }
        }
        if facts.label_only(seen.labels) {
            decision.then.actions.remove(&Action::Review);
            soften(&mut decision.then, Action::Label);
        }
        decision
    }

    /// Whether a rule could do more by itself than have a person look, whatever matches and however.
    #[must_use]
    pub fn could_act(&self, facts: &Facts) -> bool {
        let (state, cap) = facts.standing_here(self);
        if matches!(cap, Cap::Nothing | Cap::Review) || facts.label_only(&facts.labels) {
            return false;
        }
        let seen = Seen::of(facts, state);
        let acts = |rule: &&Rule| {
            rule.mode == Mode::Live
                && rule.then.actions.iter().any(|action| action.is_stricter_than_review())
        };
        self.rules.iter().filter(acts).any(|rule| rule.could_fit(&seen))
    }

    /// Whether a negative bank speaks against the match.
    #[must_use]
    pub fn is_suppressed(&self, facts: &Facts) -> bool {
        let speaks = |negative: &&Negative| facts.negatives.contains(&negative.bank);
        self.negatives.iter().filter(speaks).any(|negative| match (&facts.bank, &facts.source) {
            (Some(bank), _) => negative.banks.contains(bank),
            (None, Some(member)) => negative.members.contains(member),
            (None, None) => false,
        })
    }

    fn apply_rules(&self, seen: &Seen<'_>) -> Decision {
        let mut decision = Decision::default();
        let evaluated = self.rules.iter().filter(|rule| rule.mode != Mode::Draft);
        for rule in evaluated.filter(|rule| rule.fits(seen)) {
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

/// What the rules of one decision look at.
pub(super) struct Seen<'a> {
    pub(super) facts: &'a Facts,
    pub(super) state: Option<State>,
    pub(super) labels: &'a [Label],
}

impl<'a> Seen<'a> {
    /// The facts as rules see them: a person's label stands for those of the alert.
    pub(super) fn of(facts: &'a Facts, state: Option<State>) -> Self {
        let labels = facts.human.as_ref().and_then(|human| human.label.as_ref());
        Self { facts, state, labels: labels.map_or(&facts.labels[..], slice::from_ref) }
    }
}

/// The conditions of a rule; what is not known does not fit, what a rule leaves out does.
impl Rule {
    /// Whether it speaks of a match; the cheap conditions first.
    fn fits(&self, seen: &Seen<'_>) -> bool {
        self.fits_severity(seen)
            && self.fits_state(seen)
            && self.fits_label(seen)
            && self.fits_bank(seen)
            && self.fits_confirmations(seen)
            && self.fits_kind(seen)
            && self.fits_distance(seen)
            && self.fits_matched(seen)
            && self.expires.is_none_or(|day| !day.is_over(seen.facts.at_ms))
            && self.rolls_out_to(seen.facts.item.as_ref())
            && self.when.as_ref().is_none_or(|when| when.get_ref().holds(seen.facts) == Some(true))
    }

    /// Whether it speaks of some match of a case: of what is known before an item is there.
    fn could_fit(&self, seen: &Seen<'_>) -> bool {
        self.fits_severity(seen)
            && self.fits_state(seen)
            && self.fits_label(seen)
            && self.fits_bank(seen)
            && self.fits_confirmations(seen)
            && self.expires.is_none_or(|day| !day.is_over(seen.facts.at_ms))
    }

    pub(super) fn fits_severity(&self, seen: &Seen<'_>) -> bool {
        seen.facts.severity >= self.min_severity
    }

    pub(super) fn fits_label(&self, seen: &Seen<'_>) -> bool {
        let any = |label: &Label| self.label.iter().any(|pattern| pattern.matches(label));
        self.label.is_empty() || seen.labels.iter().any(any)
    }

    pub(super) fn fits_state(&self, seen: &Seen<'_>) -> bool {
        self.state.is_empty() || seen.state.is_some_and(|state| self.state.contains(&state))
    }

    pub(super) fn fits_bank(&self, seen: &Seen<'_>) -> bool {
        let bank = seen.facts.bank.as_ref();
        self.bank.is_empty() || bank.is_some_and(|bank| self.bank.contains(bank))
    }

    pub(super) fn fits_confirmations(&self, seen: &Seen<'_>) -> bool {
        self.min_confirmations.is_none_or(|least| seen.facts.confirmations >= least)
    }

    pub(super) fn fits_kind(&self, seen: &Seen<'_>) -> bool {
        self.kind.is_none_or(|kind| seen.facts.kind == Some(kind))
    }

    pub(super) fn fits_distance(&self, seen: &Seen<'_>) -> bool {
        let within = |most| seen.facts.distance.is_some_and(|bits| bits <= most);
        self.max_distance.is_none_or(within)
    }

    pub(super) fn fits_matched(&self, seen: &Seen<'_>) -> bool {
        let enough = |least| seen.facts.matched_ms.is_some_and(|ms| ms >= least);
        self.min_matched_ms.is_none_or(enough)
    }
}
