//! Reads a policy file and says what is wrong with it: the line, the column, and what may have been
//! meant.
//!
//! **Invariant:** a policy that this file lets through cannot fail later.

use std::{collections::BTreeSet, ops::Range};

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use super::{Policy, TestCase, near_word::nearest};

/// The longest policy file: thousands of rules.
pub const MAX_POLICY_BYTES: usize = 256 << 10;
/// Rules of one policy: each is looked at for every match.
pub const MAX_RULES: usize = 1_000;

/// What is wrong with a policy, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (line {line}, column {column})")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Where something is wrong.
enum Place {
    Top,
    Rule(usize),
    Byte(usize),
}

/// Just the places of ids, for errors about a whole rule.
#[derive(Deserialize)]
struct Ids {
    #[serde(default)]
    rule: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: Spanned<String>,
}

impl Policy {
    /// Reads and checks a policy file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY_BYTES {
            let message = format!("a policy file has at most {MAX_POLICY_BYTES} bytes");
            return Err(PolicyError { line: 1, column: 1, message });
        }
        let policy = toml::from_str::<Self>(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            error_at(text, named_in(text, &span, error.message()), with_nearest(error.message()))
        })?;
        policy.problem(Some(text)).map_or(Ok(policy), |(place, message)| {
            let at = match place {
                Place::Top => 0,
                Place::Byte(at) => at,
                Place::Rule(number) => id_of(text, number).unwrap_or(0),
            };
            Err(error_at(text, at, message))
        })
    }

    /// Checks a policy that was not read from a file of its own.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.problem(None).map_or(Ok(()), |(place, message)| match place {
            Place::Rule(number) => Err(format!("rule {}: {message}", number + 1)),
            Place::Top | Place::Byte(_) => Err(message),
        })
    }

    fn problem(&self, text: Option<&str>) -> Option<(Place, String)> {
        if self.rules.len() > MAX_RULES {
            return Some((Place::Top, format!("a policy has at most {MAX_RULES} rules")));
        }
        if self.default.is_stricter_than_review() || self.default.is_independent() {
            let message = "what no rule speaks of is ignored, notified, labelled or reviewed";
            return Some((Place::Top, message.to_owned()));
        }
        let mut ids = BTreeSet::new();
        for (number, rule) in self.rules.iter().enumerate() {
            if !ids.insert(&rule.id) {
                return Some((Place::Rule(number), format!("two rules have the id `{}`", rule.id)));
            }
            if rule.then.is_empty() {
                let message = format!("rule `{}` does nothing: name something in `then`", rule.id);
                return Some((Place::Rule(number), message));
            }
            let Some(when) = &rule.when else { continue };
            if let Err(error) = when.get_ref().check(&self.facts) {
                let place = match text {
                    Some(text) => Place::Byte(inside(text, &when.span(), error.at)),
                    None => Place::Rule(number),
                };
                return Some((place, error.message));
            }
        }
        self.cases.iter().find_map(TestCase::problem).map(|message| (Place::Top, message))
    }
}

/// The byte of a character in an expression, from the place of the string that holds it.
fn inside(text: &str, string: &Range<usize>, character: usize) -> usize {
    let whole = text.get(string.clone()).unwrap_or_default();
    let triple = whole.starts_with("'''") || whole.starts_with("\"\"\"");
    let mut start = if triple { 3 } else { 1 };
    if triple && whole[start..].starts_with('\n') {
        start += 1;
    }
    let body = whole.get(start..).unwrap_or_default();
    let bytes = body.char_indices().nth(character).map_or(body.len(), |(at, _)| at);
    string.start + start + bytes
}

/// The place of the word that a message names, where the error knows only the list that it stands in.
fn named_in(text: &str, span: &Range<usize>, message: &str) -> usize {
    let list = text.get(span.clone()).unwrap_or_default();
    let word = message.split(['"', '`']).nth(1).filter(|word| !word.is_empty());
    let quoted = word.and_then(|word| {
        list.find(&format!("\"{word}\"")).or_else(|| list.find(&format!("'{word}'")))
    });
    span.start + quoted.unwrap_or(0)
}

fn id_of(text: &str, number: usize) -> Option<usize> {
    let ids = toml::from_str::<Ids>(text).ok()?;
    Some(ids.rule.get(number)?.id.span().start)
}

fn error_at(text: &str, byte: usize, message: String) -> PolicyError {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    PolicyError { line, column, message }
}

/// Adds to ``unknown field `trsut`, expected one of `trust`, …`` what may have been meant.
fn with_nearest(message: &str) -> String {
    let message = message.trim_end();
    let mut words = message.split('`').skip(1).step_by(2);
    let given = words.next().filter(|_| message.starts_with("unknown "));
    match given.and_then(|given| nearest(given, words)) {
        Some(word) => format!("{message}: did you mean `{word}`?"),
        None => message.to_owned(),
    }
}
