//! The hot path: an item's signals come in, a verdict with its reasons goes out.
//!
//! **Invariant:** a scan waits for no peer and no disk.

use std::{collections::BTreeSet, sync::Arc};

use watchfire_signal::{
    commitment::Commitment,
    label::Label,
    name::{ItemId, MemberName},
    value::Signal,
};

use crate::{
    clock::Clock,
    judge::Judge,
    known::{Known, Match},
    near::Hit,
    policy::{Action, Decision, Verdict},
    seen::{Item, Seen},
    standing::{Stance, State},
};

/// What scanning needs.
#[derive(Clone)]
pub struct Scanner {
    /// What is known.
    pub known: Arc<Known>,
    /// What is held.
    pub seen: Arc<Seen>,
    /// What policy says.
    pub judge: Judge,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

/// Why a verdict is not `allow`: one matched signal set.
#[derive(Debug, Clone)]
pub struct Reason {
    /// The case.
    pub case: Commitment,
    /// The record that brought the signals.
    pub record: Commitment,
    /// Members that stand by it.
    pub members: Vec<MemberName>,
    /// Labels of the alert.
    pub labels: Vec<Label>,
    /// 0 to 4.
    pub severity: u8,
    /// State of the case at this moment.
    pub state: State,
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
    /// What is to be done.
    pub actions: BTreeSet<Action>,
    /// Why, the strictest first.
    pub reasons: Vec<Reason>,
    /// The policy that decided.
    pub policy_version: u32,
}

impl Scanner {
    /// Judges an item and remembers it, unless it is refused.
    pub async fn scan(&self, id: ItemId, signals: Vec<Signal>) -> Scanned {
        let item = Item { id, seen_ms: self.clock.now_ms(), signals };
        // First findable, then looked up: an alert that comes in between finds it.
        let held = self.seen.insert(item.clone());
        let scanned = self.judge(&item.signals);
        // A new upload that is refused never comes to be held; an item scanned again is.
        if scanned.verdict == Verdict::Block && !held {
            self.seen.withdraw(&item.id);
        } else {
            self.seen.keep(&item.id).await;
        }
        let verdict = match scanned.verdict {
            Verdict::Allow => "allow",
            Verdict::Flag => "flag",
            Verdict::Review => "review",
            Verdict::Block => "block",
        };
        metrics::counter!("watchfire_scans_total", "verdict" => verdict).increment(1);
        scanned
    }

    /// Judges signals and remembers nothing.
    #[must_use]
    pub fn judge(&self, signals: &[Signal]) -> Scanned {
        let now = self.clock.now_ms();
        let mut reasons = self
            .known
            .lookup(signals)
            .into_iter()
            .filter(|found| !found.set.header.test)
            .map(|found| self.reason(found, now))
            .filter(|reason| !reason.decision.actions.is_empty())
            .collect::<Vec<_>>();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.decision.verdict()));
        let decision =
            reasons.iter().fold(Decision::default(), |all, one| all.and(one.decision.clone()));
        Scanned {
            verdict: decision.verdict(),
            actions: decision.actions,
            reasons,
            policy_version: self.judge.policy.version,
        }
    }

    fn reason(&self, found: Match, now_ms: u64) -> Reason {
        let set = &found.set;
        let stand = |stance: Stance| matches!(stance, Stance::Positive { .. });
        let members = set.opinions.iter().filter(|(_, opinion)| stand(opinion.stance));
        Reason {
            case: set.subject,
            record: set.name,
            members: members.map(|(member, _)| member.clone()).collect(),
            labels: set.alert.as_ref().map_or_else(Vec::new, |alert| alert.labels.clone()),
            severity: set.header.severity.unwrap_or(0),
            state: set.state(now_ms),
            decision: self.judge.about(set, now_ms),
            hit: found.hit,
        }
    }
}
