//! The hot path: an item's signals come in, a verdict with its reasons goes out.
//!
//! **Invariant:** a scan waits for no peer and no disk.

use std::{collections::BTreeSet, sync::Arc};

use watchfire_signal::{features::Depth, name::ItemId, value::Signal};

use crate::{
    facts::{Decided, KeptFacts},
    policy::{Action, Decision, Facts, ItemFacts, Verdict},
    reasons::{Edited, Query, Reason, Reasons},
    review::{Proposal, Review},
    seen::{Item, Seen},
    sightings::Sightings,
};

/// What scanning needs.
#[derive(Clone)]
pub struct Scanner {
    /// What is known of signals.
    pub reasons: Reasons,
    /// What is held.
    pub seen: Arc<Seen>,
    /// Where what a person should see waits; nowhere in a measurement.
    pub review: Option<Review>,
    /// Where decisions are kept.
    pub facts: KeptFacts,
    /// Where uploads that match are counted.
    pub sightings: Sightings,
}

/// The answer to a scan.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// The verdict.
    pub verdict: Verdict,
    /// What is to be done, for all reasons together.
    pub decision: Decision,
    /// Why, the strictest first.
    pub reasons: Vec<Reason>,
    /// The policy that decided.
    pub policy_version: u32,
    /// Whether the file may show more edited than was looked at.
    pub truncated: bool,
}

impl Scanner {
    /// Judges an item and remembers it, unless it is refused. `edited` is what its file shows edited, `facts`
    /// what the platform says about it.
    pub async fn scan(
        &self,
        id: ItemId,
        signals: Vec<Signal>,
        edited: Option<&Edited>,
        facts: ItemFacts,
    ) -> Scanned {
        let seen_ms = self.reasons.clock.now_ms();
        let parts = edited.map(|edited| edited.parts.clone()).unwrap_or_default();
        let item = Item { id, seen_ms, signals, parts, facts: facts.clone() };
        // First findable, then looked up: an alert that comes in between finds it.
        let held = self.seen.insert(item.clone());
        let policy = self.reasons.judge.policy();
        // What its parts match was found, with their places, while the file was at hand.
        let query = Query { signals: &item.signals, parts: &[], edited };
        let reasons = self.reasons.of(&policy, Some(&item.id), query, &facts);
        for reason in &reasons {
            let (facts, case) = (reason.facts.clone(), Some(reason.case));
            let decided = Decided::new(facts, case, &reason.decision, policy.version);
            self.facts.keep(Decided { upload: true, ..decided });
        }
        let cases = reasons.iter().filter(|reason| reason.bank.is_none()).map(|reason| reason.case);
        let cases: BTreeSet<_> = cases.collect();
        let truncated = edited.is_some_and(|edited| edited.truncated);
        let scanned = Scanned { truncated, ..answer(reasons, policy.version) };
        let refused = scanned.verdict == Verdict::Block;
        cases.into_iter().for_each(|case| self.sightings.note(case, refused));
        if scanned.verdict == Verdict::Review {
            self.have_reviewed(&item, &scanned).await;
        }
        // A new upload that is refused never comes to be held; an item scanned again is.
        if refused && !held {
            self.seen.withdraw(item).await;
        } else {
            self.seen.keep(&item.id).await;
        }
        metrics::counter!("watchfire_scans_total", "verdict" => scanned.verdict.word())
            .increment(1);
        scanned
    }

    /// Has a person look at an item, under the case that asks for it most.
    async fn have_reviewed(&self, item: &Item, scanned: &Scanned) {
        let Some(review) = &self.review else { return };
        let asks = |reason: &&Reason| reason.decision.has(Action::Review);
        let Some(reason) = scanned.reasons.iter().filter(asks).max_by_key(|one| one.facts.severity)
        else {
            return;
        };
        review.propose(Proposal::new(reason, item.id.clone(), item.seen_ms)).await;
    }

    /// Judges signals and remembers nothing.
    #[must_use]
    pub fn judge(&self, item: Option<&ItemId>, signals: &[Signal], facts: &ItemFacts) -> Scanned {
        let policy = self.reasons.judge.policy();
        answer(self.reasons.of(&policy, item, signals.into(), facts), policy.version)
    }

    /// How far it is worth to look for edited copies in a file with these signals: as far as policy would act
    /// on them and anything is known that could be found, but at its parts in any case, which are held for
    /// alerts to come; and no further than the signals where they lead to a refusal already.
    #[must_use]
    pub fn depth(&self, item: &ItemId, signals: &[Signal], facts: &ItemFacts) -> Depth {
        let depth = self.reasons.depth().max(Depth::Parts);
        let worth = self.reasons.judge.policy().speaks_of_variants()
            && self.judge(Some(item), signals, facts).verdict != Verdict::Block;
        if worth { depth } else { Depth::Signals }
    }

    /// How far it is worth to look into the frames of a stream as they come.
    #[must_use]
    pub fn live_depth(&self) -> Depth {
        let speaks = self.reasons.judge.policy().speaks_of_variants();
        if speaks { self.reasons.depth() } else { Depth::Signals }
    }

    /// All that policy looks at about an item, a match each.
    #[must_use]
    pub fn facts(&self, item: Option<&ItemId>, query: Query<'_>, facts: &ItemFacts) -> Vec<Facts> {
        let policy = self.reasons.judge.policy();
        let reasons = self.reasons.of(&policy, item, query, facts);
        reasons.into_iter().map(|reason| reason.facts).collect()
    }
}

/// The answer from all matches: those that lead to something are its reasons.
fn answer(mut reasons: Vec<Reason>, policy_version: u32) -> Scanned {
    reasons.retain(|reason| !reason.decision.then.is_empty());
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.decision.verdict()));
    let all = reasons.iter().map(|reason| reason.decision.clone());
    let decision = all.reduce(Decision::and).unwrap_or_default();
    let verdict = decision.verdict();
    Scanned { verdict, decision, reasons, policy_version, truncated: false }
}
