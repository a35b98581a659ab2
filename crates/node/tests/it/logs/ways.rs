//! The ways in which logs come to a member that folds them.

use watchfire_node::{cases::Cases, urgent::is_urgent};
use watchfire_signal::{charter::CharterChain, name::LogName, record::Leaf};
use watchfire_store::Held;
use watchfire_tlog::Entry;

use super::Logs;
use crate::coalition::START_MS;

impl Logs {
    /// Folds in an interleaving of the logs that the choices name.
    pub(crate) fn fold(&self, choices: &[u8]) -> Cases {
        self.fold_into(self.cases(), choices)
    }

    /// Folds under the last charter of a chain.
    pub(crate) fn fold_under(&self, chain: &CharterChain, choices: &[u8]) -> Cases {
        self.fold_into(Cases::of_chain(chain), choices)
    }

    fn fold_into(&self, mut cases: Cases, choices: &[u8]) -> Cases {
        for (log, held) in self.interleaved(choices) {
            cases.fold(log, held.clone());
            self.fold_what_is_due(&mut cases);
        }
        cases
    }

    /// Folds in all ways, in an interleaving of the logs, and lets time pass until all that is dated ahead counts: first
    /// one log after the other.
    pub(crate) fn fold_in_all_ways(&self, choices: &[u8]) -> (Cases, [Cases; 3]) {
        let ways =
            [self.fold(choices), self.fold_with_repeats(choices), self.fold_untidily(choices)];
        (self.settle(self.fold(&[])), ways.map(|cases| self.settle(cases)))
    }

    fn settle(&self, mut cases: Cases) -> Cases {
        for place in cases.pass_time(START_MS + self.later_ms + 30 * 86_400_000) {
            let held = self.logs[&place.log][place.index as usize].clone();
            cases.fold(&place.log, held);
        }
        self.fold_what_is_due(&mut cases);
        cases
    }

    /// Folds again what the fold asks for again, as a node does that has all of it.
    pub(crate) fn fold_what_is_due(&self, cases: &mut Cases) {
        while cases.has_again() {
            for place in cases.take_again() {
                let held = self.logs[&place.log][place.index as usize].clone();
                cases.fold(&place.log, held);
            }
        }
    }

    /// All entries in the interleaving of the logs that the choices name.
    pub(crate) fn interleaved(&self, choices: &[u8]) -> Vec<(&LogName, &Held)> {
        let mut queues = self.logs.iter().map(|(log, held)| (log, held.iter())).collect::<Vec<_>>();
        let mut choices = choices.iter().copied().chain(std::iter::repeat(0));
        let mut all = Vec::new();
        while !queues.is_empty() {
            let at = usize::from(choices.next().unwrap()) % queues.len();
            let (log, entries) = &mut queues[at];
            match entries.next() {
                Some(held) => all.push((*log, held)),
                None => drop(queues.remove(at)),
            }
        }
        all
    }

    /// Folds in an interleaving of the logs, with entries that come again, as often as the choices say.
    pub(crate) fn fold_with_repeats(&self, choices: &[u8]) -> Cases {
        let mut cases = self.cases();
        let mut queues = self.logs.iter().map(|(log, held)| (log, held.iter())).collect::<Vec<_>>();
        let mut choices = choices.iter().copied().chain(std::iter::repeat(0));
        let mut seen: Vec<(&LogName, &Held)> = Vec::new();
        while !queues.is_empty() {
            let choice = usize::from(choices.next().unwrap());
            let at = choice % queues.len();
            let (log, entries) = &mut queues[at];
            match entries.next() {
                Some(held) => {
                    seen.push((log, held));
                    cases.fold(log, held.clone());
                    self.fold_what_is_due(&mut cases);
                }
                None => drop(queues.remove(at)),
            }
            if choice > 100 && !seen.is_empty() {
                let (log, held) = seen[choice % seen.len()];
                cases.fold(log, held.clone());
            }
        }
        cases
    }

    /// Folds in an interleaving of the logs, as it may go: what is urgent may come before its turn and comes again in
    /// it, and what comes without its record gets it later.
    pub(crate) fn fold_untidily(&self, choices: &[u8]) -> Cases {
        let mut cases = self.cases();
        let all = self.interleaved(choices);
        let mut choices = choices.iter().rev().copied().chain(std::iter::repeat(0));
        let mut holes: Vec<(&LogName, &Held)> = Vec::new();
        for (at, (log, held)) in all.iter().enumerate() {
            let choice = choices.next().unwrap();
            let urgent = |(_, held): &&(&LogName, &Held)| {
                Leaf::decode(&held.entry.leaf).is_ok_and(|leaf| is_urgent(&leaf))
            };
            if choice % 3 == 1 {
                let ahead: Vec<_> = all[at..].iter().filter(urgent).collect();
                let early = ahead.get(usize::from(choice) % ahead.len().max(1));
                early.into_iter().for_each(|(log, held)| drop(cases.fold(log, (*held).clone())));
            }
            let mut held = (*held).clone();
            if choice % 4 == 2 {
                holes.push(all[at]);
                held.entry = Entry::new(held.entry.leaf, None);
            }
            cases.fold(log, held);
            self.fold_what_is_due(&mut cases);
            if choice % 5 == 0 && !holes.is_empty() {
                let (log, held) = holes.swap_remove(usize::from(choice) % holes.len());
                cases.fold(log, held.clone());
            }
        }
        holes.into_iter().for_each(|(log, held)| drop(cases.fold(log, held.clone())));
        self.fold_what_is_due(&mut cases);
        cases
    }
}
