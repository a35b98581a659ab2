//! The `when` of a rule: an expression in CEL over the facts of a match.
//!
//! **Invariant:** an expression that reads in knows every name it uses, and has a type: what can go
//! wrong when it runs is that a fact is not known, and then it does not hold.
//! **Invariant:** its cost is bounded by its length: there are no loops.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, Program, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    Fact, Facts,
    typed::{Declared, WhenError, check, parse},
};

/// The longest expression in bytes: a page of text is a policy of its own.
const MAX_WHEN_BYTES: usize = 2_048;

/// What expressions can call: the standard library of CEL.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// An expression. Equal where the text is.
#[derive(Clone)]
pub struct When {
    text: String,
    program: Arc<Program>,
}

impl When {
    /// Reads an expression; its names and types are checked by [`When::check`].
    ///
    /// # Errors
    /// What is no expression, and where.
    pub fn parse(text: &str) -> Result<Self, WhenError> {
        if text.len() > MAX_WHEN_BYTES {
            let message = format!("an expression has at most {MAX_WHEN_BYTES} bytes");
            return Err(WhenError { at: 0, message });
        }
        parse(text)?;
        let program = STANDARD.compile(text);
        let program = program.map_err(|error| WhenError { at: 0, message: error.to_string() })?;
        Ok(Self { text: text.to_owned(), program: Arc::new(program) })
    }

    /// Checks names and types against the facts that there are.
    ///
    /// # Errors
    /// The first that is wrong, and where.
    pub fn check(&self, declared: &Declared) -> Result<(), WhenError> {
        let (expression, source) = parse(&self.text)?;
        check(&expression, &source, declared)
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds; `None`: it asks for a fact that is not known.
    #[must_use]
    pub fn holds(&self, facts: &Facts) -> Option<bool> {
        let mut context = Context::with_env(STANDARD.clone());
        let names = self.program.references();
        if names.has_variable("item") {
            context.add_variable_from_value("item", item(facts));
        }
        if names.has_variable("case") {
            context.add_variable_from_value("case", case(facts));
        }
        if names.has_variable("match") {
            context.add_variable_from_value("match", matched(facts));
        }
        if let Some(bank) = &facts.bank {
            context.add_variable_from_value("bank", bank.as_str());
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Some(holds),
            Ok(_) | Err(_) => None,
        }
    }
}

fn item(facts: &Facts) -> HashMap<&str, Value> {
    let value = |fact: &Fact| match fact {
        Fact::Bool(value) => Value::Bool(*value),
        Fact::Int(value) => Value::Int(*value),
        Fact::Text(text) => text.as_str().into(),
    };
    facts.item_facts.iter().map(|(name, fact)| (name, value(fact))).collect()
}

fn case(facts: &Facts) -> HashMap<&'static str, Value> {
    let texts = |texts: Vec<&str>| Value::from(texts);
    let mut case = HashMap::from([
        ("severity", Value::Int(i64::from(facts.severity))),
        ("confirmations", Value::Int(i64::from(facts.confirmations))),
        ("own", Value::Bool(facts.own)),
        ("was_confirmed", Value::Bool(facts.was_confirmed)),
        ("critical", Value::Bool(facts.critical)),
        ("labels", texts(facts.labels.iter().map(|label| label.as_str()).collect())),
        ("members", texts(facts.members.iter().map(|member| member.as_str()).collect())),
        ("exceptions", texts(facts.exceptions.iter().map(|word| word.as_str()).collect())),
    ]);
    case.extend(facts.confidence.map(|percent| ("confidence", Value::Int(i64::from(percent)))));
    case.extend(facts.source.as_ref().map(|member| ("source", member.as_str().into())));
    case.extend(facts.provenance.map(|word| ("provenance", word.as_str().into())));
    case.extend(facts.state.map(|state| ("state", super::typed::state_word(state).into())));
    case
}

fn matched(facts: &Facts) -> HashMap<&'static str, Value> {
    let mut matched = HashMap::new();
    let number = |number: u32| Value::Int(i64::from(number));
    matched.insert("agreed", Value::Bool(facts.agreed));
    matched.extend(facts.kind.map(|kind| ("kind", kind.word().into())));
    matched.extend(facts.signal.map(|signal| ("signal", signal.as_str().into())));
    matched.extend(facts.distance.map(|bits| ("distance", number(bits))));
    matched.extend(facts.matched_ms.map(|ms| ("matched_ms", number(ms))));
    matched
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "When({:?})", self.text)
    }
}

impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| D::Error::custom(format!("{error}")))
    }
}
