//! Checks an expression of a policy before it ever runs: every name known, every type right, every
//! label and state one that there is.

use std::collections::BTreeMap;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators as op},
    parser::Parser,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use watchfire_signal::{alert::Exception, header::Provenance, label::Label, value::Kind};

use super::near_word::nearest;
use crate::standing::State;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("when: {message}, at character {}", .at + 1)]
pub struct WhenError {
    /// Where in the expression, in characters.
    pub at: usize,
    /// What.
    pub message: String,
}

/// The type of a fact that a platform tells about its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactType {
    /// Yes or no.
    Bool,
    /// A whole number.
    Int,
    /// A text.
    String,
}

/// The facts about items that expressions may name: `[facts]` of the policy; the standard ones stand beside them.
pub type Declared = BTreeMap<String, FactType>;

/// Facts about items that every policy may name without declaring them.
pub(super) const STANDARD: [(&str, FactType); 10] = [
    ("views", FactType::Int),
    ("followers", FactType::Int),
    ("author_strikes", FactType::Int),
    ("author_age_days", FactType::Int),
    ("author_verified", FactType::Bool),
    ("live", FactType::Bool),
    ("public", FactType::Bool),
    ("context", FactType::String),
    ("country", FactType::String),
    ("language", FactType::String),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Bool,
    Int,
    Text,
    Texts,
    Ints,
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a number",
            Self::Text => "a text",
            Self::Texts => "a list of texts",
            Self::Ints => "a list of numbers",
        }
    }
}

/// Which words a text can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    Any,
    Label,
    State,
    Match,
    Signal,
    Provenance,
    Exception,
}

const CASE: [(&str, Type, Words); 12] = [
    ("state", Type::Text, Words::State),
    ("severity", Type::Int, Words::Any),
    ("confidence", Type::Int, Words::Any),
    ("confirmations", Type::Int, Words::Any),
    ("labels", Type::Texts, Words::Label),
    ("members", Type::Texts, Words::Any),
    ("source", Type::Text, Words::Any),
    ("provenance", Type::Text, Words::Provenance),
    ("exceptions", Type::Texts, Words::Exception),
    ("own", Type::Bool, Words::Any),
    ("was_confirmed", Type::Bool, Words::Any),
    ("critical", Type::Bool, Words::Any),
];
const MATCH: [(&str, Type, Words); 5] = [
    ("kind", Type::Text, Words::Match),
    ("signal", Type::Text, Words::Signal),
    ("distance", Type::Int, Words::Any),
    ("matched_ms", Type::Int, Words::Any),
    ("agreed", Type::Bool, Words::Any),
];
const ROOTS: [&str; 4] = ["item", "case", "match", "bank"];
const FUNCTIONS: [&str; 5] = ["has", "size", "startsWith", "endsWith", "contains"];
const STATES: [(State, &str); 6] = [
    (State::Proposed, "PROPOSED"),
    (State::Provisional, "PROVISIONAL"),
    (State::Confirmed, "CONFIRMED"),
    (State::Disputed, "DISPUTED"),
    (State::Lapsed, "LAPSED"),
    (State::Retracted, "RETRACTED"),
];

/// The word of a state in files and expressions.
pub(super) fn state_word(state: State) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("", |(_, word)| word)
}

/// Reads the syntax.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), WhenError> {
    Parser::default().parse_with_source_info(text).map_err(|errors| {
        let first = errors.errors.first();
        let at =
            first.map_or(0, |error| usize::try_from(error.pos.1).unwrap_or(1).saturating_sub(1));
        let message = first.map_or_else(String::new, |error| error.msg.clone());
        WhenError { at, message: format!("no expression: {message}") }
    })
}

/// Checks names and types; an expression is true or false.
pub(super) fn check(
    expression: &IdedExpr,
    source: &SourceInfo,
    declared: &Declared,
) -> Result<(), WhenError> {
    let checker = Checker { source, declared };
    checker.expect(expression, Type::Bool)
}

struct Checker<'a> {
    source: &'a SourceInfo,
    declared: &'a Declared,
}

type Typed = (Type, Words);

impl Checker<'_> {
    fn error<T>(&self, at: &IdedExpr, message: String) -> Result<T, WhenError> {
        let at = self.source.offset_for(at.id).map_or(0, |(start, _)| start as usize);
        Err(WhenError { at, message })
    }

    fn expect(&self, expression: &IdedExpr, wanted: Type) -> Result<(), WhenError> {
        let (found, _) = self.type_of(expression)?;
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (wanted.word(), found.word());
        self.error(expression, format!("{wanted} is needed here, and this is {found}"))
    }

    fn type_of(&self, at: &IdedExpr) -> Result<Typed, WhenError> {
        match &at.expr {
            Expr::Literal(LiteralValue::Boolean(_)) => Ok((Type::Bool, Words::Any)),
            Expr::Literal(LiteralValue::Int(_)) => Ok((Type::Int, Words::Any)),
            Expr::Literal(LiteralValue::String(_)) => Ok((Type::Text, Words::Any)),
            Expr::Literal(_) => {
                self.error(at, "facts are true or false, whole numbers and texts".to_owned())
            }
            Expr::Ident(name) if name == "bank" => Ok((Type::Text, Words::Any)),
            Expr::Ident(name) if ROOTS.contains(&name.as_str()) => self
                .error(at, format!("`{name}` is a group of facts: name one of them, `{name}.…`")),
            Expr::Ident(name) => self.unknown(at, "fact", name, ROOTS.iter().copied()),
            Expr::Select(select) => self.fact(at, select),
            Expr::List(list) => {
                let Some(first) = list.elements.first() else {
                    return self.error(at, "an empty list holds nothing".to_owned());
                };
                let (kind, _) = self.type_of(first)?;
                let of = match kind {
                    Type::Text => Type::Texts,
                    Type::Int => Type::Ints,
                    _ => return self.error(at, "a list has texts or numbers".to_owned()),
                };
                list.elements.iter().try_for_each(|one| self.expect(one, kind))?;
                Ok((of, Words::Any))
            }
            Expr::Call(call) => self.call(at, call),
            _ => self.error(at, "this part of CEL is not used in policies".to_owned()),
        }
    }

    fn fact(&self, at: &IdedExpr, select: &SelectExpr) -> Result<Typed, WhenError> {
        let Expr::Ident(root) = &select.operand.expr else {
            return self.error(at, "a fact is `item.…`, `case.…` or `match.…`".to_owned());
        };
        let field = select.field.as_str();
        let found = match root.as_str() {
            "item" => {
                let standard = STANDARD.iter().find(|(name, _)| *name == field);
                let kind = self.declared.get(field).copied().or(standard.map(|(_, kind)| *kind));
                kind.map(|kind| match kind {
                    FactType::Bool => (Type::Bool, Words::Any),
                    FactType::Int => (Type::Int, Words::Any),
                    FactType::String => (Type::Text, Words::Any),
                })
            }
            "case" => fact_in(&CASE, field),
            "match" => fact_in(&MATCH, field),
            other => return self.unknown(at, "fact", other, ROOTS.iter().copied()),
        };
        let Some(found) = found else {
            let known: Vec<String> = match root.as_str() {
                "item" => {
                    let standard = STANDARD.iter().map(|(name, _)| *name);
                    let all = standard.chain(self.declared.keys().map(String::as_str));
                    all.map(|name| format!("item.{name}")).collect()
                }
                "case" => CASE.iter().map(|(name, ..)| format!("case.{name}")).collect(),
                _ => MATCH.iter().map(|(name, ..)| format!("match.{name}")).collect(),
            };
            let known = known.iter().map(String::as_str);
            return self.unknown(at, "fact", &format!("{root}.{field}"), known);
        };
        Ok(if select.test { (Type::Bool, Words::Any) } else { found })
    }

    fn call(&self, at: &IdedExpr, call: &CallExpr) -> Result<Typed, WhenError> {
        let all = |kind: Type| call.args.iter().try_for_each(|one| self.expect(one, kind));
        let bool = Ok((Type::Bool, Words::Any));
        match (call.func_name.as_str(), &call.target, &call.args[..]) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT, None, _) => {
                all(Type::Bool)?;
                bool
            }
            (op::GREATER | op::GREATER_EQUALS | op::LESS | op::LESS_EQUALS, None, _) => {
                all(Type::Int)?;
                bool
            }
            (
                op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO | op::NEGATE,
                None,
                _,
            ) => {
                all(Type::Int)?;
                Ok((Type::Int, Words::Any))
            }
            (op::EQUALS | op::NOT_EQUALS, None, [left, right]) => {
                let (left_type, right_type) = (self.type_of(left)?, self.type_of(right)?);
                self.expect(right, left_type.0)?;
                self.word(left, right_type.1)?;
                self.word(right, left_type.1)?;
                bool
            }
            (op::IN, None, [one, list]) => {
                let (one_type, list_type) = (self.type_of(one)?, self.type_of(list)?);
                let wanted = if one_type.0 == Type::Int { Type::Ints } else { Type::Texts };
                self.expect(one, if wanted == Type::Ints { Type::Int } else { Type::Text })?;
                self.expect(list, wanted)?;
                self.word(one, list_type.1)?;
                if let Expr::List(list) = &list.expr {
                    list.elements.iter().try_for_each(|word| self.word(word, one_type.1))?;
                }
                bool
            }
            ("startsWith" | "endsWith" | "contains", Some(text), [_]) => {
                self.expect(text, Type::Text)?;
                all(Type::Text)?;
                bool
            }
            ("size", Some(what), []) => self.size(what),
            ("size", None, [what]) => self.size(what),
            (name, ..) => self.unknown(at, "function", name, FUNCTIONS.iter().copied()),
        }
    }

    fn size(&self, what: &IdedExpr) -> Result<Typed, WhenError> {
        match self.type_of(what)?.0 {
            Type::Text | Type::Texts | Type::Ints => Ok((Type::Int, Words::Any)),
            other => {
                self.error(what, format!("size is of a text or list, and this is {}", other.word()))
            }
        }
    }

    /// Whether a literal is one of the words that it is compared with.
    fn word(&self, at: &IdedExpr, words: Words) -> Result<(), WhenError> {
        let Expr::Literal(LiteralValue::String(text)) = &at.expr else { return Ok(()) };
        let text = text.inner();
        let known: Vec<&str> = match words {
            Words::Any => return Ok(()),
            Words::Label => {
                let checked = text.parse::<Label>();
                return checked.map(drop).or_else(|error| self.error(at, error.to_string()));
            }
            Words::State => STATES.iter().map(|(_, word)| *word).collect(),
            Words::Match => vec!["exact", "near", "variant"],
            Words::Signal => Kind::ALL.iter().map(|kind| kind.as_str()).collect(),
            Words::Provenance => Provenance::ALL.iter().map(|word| word.as_str()).collect(),
            Words::Exception => Exception::ALL.iter().map(|word| word.as_str()).collect(),
        };
        if known.contains(&text) { Ok(()) } else { self.unknown(at, "word", text, known) }
    }

    fn unknown<'k, T>(
        &self,
        at: &IdedExpr,
        what: &str,
        given: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Result<T, WhenError> {
        let nearest = nearest(given, known).unwrap_or_default();
        self.error(at, format!("unknown {what} `{given}`: did you mean `{nearest}`?"))
    }
}

fn fact_in(facts: &[(&str, Type, Words)], field: &str) -> Option<Typed> {
    facts.iter().find(|(name, ..)| *name == field).map(|(_, kind, words)| (*kind, *words))
}
