//! The hot path: an item's signals come in, a verdict with its reasons goes out.
//!
//! **Invariant:** a scan waits for no peer and no disk.

use std::{collections::BTreeSet, sync::Arc};

use watchfire_signal::{
    commitment::Commitment,
    name::{BankName, ItemId},
    value::Signal,
};

use crate::{
    banks::{BankMatch, Banks},
    clock::Clock,
    facts::{Decided, KeptFacts},
    holds::Holds,
    judge::Judge,
    known::{Known, Match},
    near::Hit,
    policy::{Action, Decision, Facts, ItemFacts, Policy, Verdict},
    review::{Proposal, Review},
    seen::{Item, Seen},
};

/// What scanning needs.
#[derive(Clone)]
pub struct Scanner {
    /// What is known.
    pub known: Arc<Known>,
    /// This member's own lists; none in a measurement.
    pub banks: Option<Arc<Banks>>,
    /// What is held.
    pub seen: Arc<Seen>,
    /// What policy says.
    pub judge: Judge,
    /// Where what a person should see waits; nowhere in a measurement.
    pub review: Option<Review>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Where decisions are kept.
    pub facts: KeptFacts,
    /// Cases that wait for a person.
    pub holds: Holds,
}

/// Why a verdict is not `allow`: one matched signal set, or one content of the member's own banks.
#[derive(Debug, Clone)]
pub struct Reason {
    /// The case; of a content of a bank [`Bank::subject`](crate::banks::Bank::subject).
    pub case: Commitment,
    /// The record that brought the signals; of a content of a bank the same as the case.
    pub record: Commitment,
    /// The content, if it is one of a bank.
    pub bank: Option<BankMatch>,
    /// All that policy looked at.
    pub facts: Facts,
    /// How it matches.
    pub hit: Hit<Commitment>,
    /// What policy says of it.
    pub decision: Decision,
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
}

impl Scanner {
    /// Judges an item and remembers it, unless it is refused. `facts` is what the platform says about
    /// it.
    pub async fn scan(&self, id: ItemId, signals: Vec<Signal>, facts: ItemFacts) -> Scanned {
        let item = Item { id, seen_ms: self.clock.now_ms(), signals };
        // First findable, then looked up: an alert that comes in between finds it.
        let held = self.seen.insert(item.clone());
        let policy = self.judge.policy();
        let reasons = self.reasons(&policy, Some(&item.id), &item.signals, &facts);
        for reason in &reasons {
            let (facts, case) = (reason.facts.clone(), Some(reason.case));
            self.facts.keep(Decided::new(facts, case, &reason.decision, policy.version));
        }
        let scanned = answer(reasons, policy.version);
        if scanned.verdict == Verdict::Review {
            self.have_reviewed(&item, &scanned).await;
        }
        // A new upload that is refused never comes to be held; an item scanned again is.
        if scanned.verdict == Verdict::Block && !held {
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
        review
            .propose(Proposal {
                queue: reason.decision.then.queue.clone(),
                case: reason.case,
                set: reason.record,
                labels: reason.facts.labels.clone(),
                severity: reason.facts.severity,
                item: item.id.clone(),
                at_ms: item.seen_ms,
            })
            .await;
    }

    /// Judges signals and remembers nothing.
    #[must_use]
    pub fn judge(&self, item: Option<&ItemId>, signals: &[Signal], facts: &ItemFacts) -> Scanned {
        let policy = self.judge.policy();
        answer(self.reasons(&policy, item, signals, facts), policy.version)
    }

    /// All that policy looks at about an item, a match each.
    #[must_use]
    pub fn facts(
        &self,
        item: Option<&ItemId>,
        signals: &[Signal],
        facts: &ItemFacts,
    ) -> Vec<Facts> {
        let reasons = self.reasons(&self.judge.policy(), item, signals, facts);
        reasons.into_iter().map(|reason| reason.facts).collect()
    }

    /// Every match that is no drill, with what policy says of it.
    fn reasons(
        &self,
        policy: &Policy,
        item: Option<&ItemId>,
        signals: &[Signal],
        facts: &ItemFacts,
    ) -> Vec<Reason> {
        let now = self.clock.now_ms();
        let own = self.banks.as_ref().map_or_else(Vec::new, |banks| banks.lookup(signals));
        let (negative, own): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|found| found.bank.settings.negative);
        let negatives: BTreeSet<_> = negative.iter().map(|found| found.bank.name.clone()).collect();
        let of_cases = self.known.lookup(signals).into_iter();
        let of_cases = of_cases.filter(|found| !found.set.header.test);
        let of_cases = of_cases.map(|found| self.of_case(found, &negatives, now));
        let of_banks = own.into_iter().map(|found| of_bank(found, &negatives, now));
        let decided = of_cases.chain(of_banks).map(|mut reason| {
            reason.facts = reason.facts.about(item.cloned(), facts.clone());
            reason.facts.human = self.judge.human(item, &reason.case);
            reason.decision = policy.decide(&reason.facts);
            let held = self.holds.why(&reason.case);
            if let Some(why) = held.filter(|_| reason.facts.human.is_none()) {
                reason.decision = reason.decision.hold(why);
            }
            reason
        });
        decided.collect()
    }

    /// A match with a case, not yet decided about.
    fn of_case(&self, found: Match, negatives: &BTreeSet<BankName>, now_ms: u64) -> Reason {
        let set = &found.set;
        let facts = self.judge.facts(set, now_ms).matched(&found.hit);
        Reason {
            case: set.subject,
            record: set.name,
            bank: None,
            facts: Facts { negatives: negatives.clone(), ..facts },
            hit: found.hit,
            decision: Decision::default(),
        }
    }
}

/// A match with a content of a bank, not yet decided about.
fn of_bank(found: BankMatch, negatives: &BTreeSet<BankName>, now_ms: u64) -> Reason {
    let subject = Commitment(found.bank.subject(found.content));
    let facts = Facts {
        at_ms: now_ms,
        bank: Some(found.bank.name.clone()),
        negatives: negatives.clone(),
        labels: found.bank.settings.labels.clone(),
        severity: found.bank.settings.severity,
        ..Facts::default()
    };
    let Hit { kind, method, distance, aligned, .. } = found.hit.clone();
    Reason {
        case: subject,
        record: subject,
        facts: facts.matched(&found.hit),
        hit: Hit { owner: subject, kind, method, distance, aligned },
        bank: Some(found),
        decision: Decision::default(),
    }
}

/// The answer from all matches: those that lead to something are its reasons.
fn answer(mut reasons: Vec<Reason>, policy_version: u32) -> Scanned {
    reasons.retain(|reason| !reason.decision.then.is_empty());
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.decision.verdict()));
    let all = reasons.iter().map(|reason| reason.decision.clone());
    let decision = all.reduce(Decision::and).unwrap_or_default();
    Scanned { verdict: decision.verdict(), decision, reasons, policy_version }
}
