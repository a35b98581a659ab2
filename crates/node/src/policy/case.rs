//! Cases in a policy file: facts, and what has to come of them.

use serde::{Deserialize, Serialize};
use watchfire_signal::label::Label;

use super::{Facts, Policy, Verdict};

/// One `[[case]]` of a policy file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// What is known.
    #[serde(default)]
    pub facts: Facts,
    /// What has to come of it.
    pub expect: Expect,
}

/// What has to come of a case; what is left out may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// All that is to be done.
    pub then: Option<super::Then>,
    /// The rules that act, in the order of the file.
    pub rules: Option<Vec<String>>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// The case.
    pub name: String,
    /// What is not as expected; empty: it passed.
    pub failures: Vec<String>,
}

impl TestCase {
    /// What is wrong with the case itself.
    pub(super) fn problem(&self) -> Option<String> {
        let unknown = self.facts.labels.iter().find(|label| !label.known())?;
        let error = unknown.as_str().parse::<Label>().err()?;
        Some(format!("case {:?}: {error}", self.name))
    }

    fn test(&self, policy: &Policy) -> Tested {
        let decision = policy.decide(&self.facts);
        let mut failures = Vec::new();
        let verdict = decision.verdict();
        if let Some(wanted) = self.expect.verdict.filter(|wanted| *wanted != verdict) {
            failures.push(format!("verdict is {verdict}, not {wanted}"));
        }
        if let Some(wanted) = self.expect.then.as_ref().filter(|wanted| **wanted != decision.then) {
            let (is, not) = (decision.then.words().join(", "), wanted.words().join(", "));
            failures.push(format!("then is [{is}], not [{not}]"));
        }
        let acted: Vec<_> = decision.acted().map(str::to_owned).collect();
        if let Some(wanted) = self.expect.rules.as_ref().filter(|wanted| **wanted != acted) {
            failures.push(format!("rules are [{}], not [{}]", acted.join(", "), wanted.join(", ")));
        }
        Tested { name: self.name.clone(), failures }
    }
}

impl Policy {
    /// Tries every case of the file.
    #[must_use]
    pub fn test(&self) -> Vec<Tested> {
        self.cases.iter().map(|case| case.test(self)).collect()
    }
}
