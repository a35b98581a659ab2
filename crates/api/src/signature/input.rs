//! Reads and writes what a signature says that it covers, the `Signature-Input` header, and builds the bytes signed.
//!
//! Source: RFC 9421 sections 2.3, 2.5 and 4.1; RFC 8941 (structured fields), as far as those use it.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use super::SignatureError;

/// The most components that a signature may cover here; three are used.
const MAX_COMPONENTS: usize = 16;

/// One member of `Signature-Input`: the components covered, and the parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Input {
    pub(super) components: Vec<String>,
    pub(super) created: Option<u64>,
    pub(super) expires: Option<u64>,
    pub(super) nonce: Option<String>,
    pub(super) keyid: Option<String>,
    pub(super) alg: Option<String>,
}

impl Input {
    /// Reads `("a" "b");created=1;keyid="c"`. Components with parameters of their own, such as `;req`, are refused.
    pub(super) fn parse(text: &str) -> Result<Self, SignatureError> {
        let text = text.strip_prefix('(').ok_or(SignatureError::Malformed)?;
        let (list, parameters) = text.split_once(')').ok_or(SignatureError::Malformed)?;
        let mut input = Input::default();
        for component in list.split(' ').filter(|component| !component.is_empty()) {
            let name = quoted(component)?;
            if input.components.contains(&name) || input.components.len() == MAX_COMPONENTS {
                return Err(SignatureError::Malformed);
            }
            input.components.push(name);
        }
        for parameter in pieces(parameters, ';')?.into_iter().skip(1) {
            input.set(parameter)?;
        }
        Ok(input)
    }

    fn set(&mut self, parameter: &str) -> Result<(), SignatureError> {
        let (name, value) = parameter.split_once('=').ok_or(SignatureError::Malformed)?;
        let free = match name {
            "created" => self.created.replace(integer(value)?).is_none(),
            "expires" => self.expires.replace(integer(value)?).is_none(),
            "nonce" => self.nonce.replace(quoted(value)?).is_none(),
            "keyid" => self.keyid.replace(quoted(value)?).is_none(),
            "alg" => self.alg.replace(quoted(value)?).is_none(),
            // Nothing depends on parameters of other names, such as `tag`; they are signed as received.
            _ => true,
        };
        if free { Ok(()) } else { Err(SignatureError::Malformed) }
    }

    /// The bytes that are signed: a line a component with its value, then the parameters as they are in `text`.
    /// `None` when a component has no value or one that could pass for another line.
    pub(super) fn base(
        &self,
        text: &str,
        value_of: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let mut base = String::new();
        for component in &self.components {
            let value = value_of(component)?;
            if value.contains(['\n', '\r']) {
                return None;
            }
            base.push_str(&format!("\"{component}\": {value}\n"));
        }
        base.push_str(&format!("\"@signature-params\": {text}"));
        Some(base)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let components: Vec<_> =
            self.components.iter().map(|component| format!("\"{component}\"")).collect();
        write!(f, "({})", components.join(" "))?;
        for (name, value) in [("created", self.created), ("expires", self.expires)] {
            if let Some(value) = value {
                write!(f, ";{name}={value}")?;
            }
        }
        for (name, value) in [("nonce", &self.nonce), ("keyid", &self.keyid), ("alg", &self.alg)] {
            if let Some(value) = value {
                write!(f, ";{name}=\"{value}\"")?;
            }
        }
        Ok(())
    }
}

/// The value of one member of a dictionary, as it is written. A label that is there twice is refused: RFC 8941 lets
/// the last one win, a proxy may have looked at the first.
pub(super) fn member<'a>(
    dictionary: &'a str,
    label: &str,
) -> Result<Option<&'a str>, SignatureError> {
    let mut found = None;
    for piece in pieces(dictionary, ',')? {
        if let Some((name, value)) = piece.trim_matches([' ', '\t']).split_once('=')
            && name == label
            && found.replace(value).is_some()
        {
            return Err(SignatureError::Malformed);
        }
    }
    Ok(found)
}

/// Splits at a character outside quoted strings.
fn pieces(text: &str, at: char) -> Result<Vec<&str>, SignatureError> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        if character == '"' {
            skip_string(&mut characters)?;
        } else if character == at {
            pieces.push(&text[start..place]);
            start = place + at.len_utf8();
        }
    }
    pieces.push(&text[start..]);
    Ok(pieces)
}

fn skip_string(characters: &mut Peekable<CharIndices<'_>>) -> Result<(), SignatureError> {
    while let Some((_, character)) = characters.next() {
        match character {
            '"' => return Ok(()),
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    Err(SignatureError::Malformed)
}

/// A string of RFC 8941 section 3.3.3, without escapes: names, nonces and keys of ours need none.
fn quoted(text: &str) -> Result<String, SignatureError> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match inner {
        Some(inner)
            if inner.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\') =>
        {
            Ok(inner.to_owned())
        }
        _ => Err(SignatureError::Malformed),
    }
}

/// An integer of RFC 8941 section 3.3.1 that is not negative.
fn integer(text: &str) -> Result<u64, SignatureError> {
    if text.is_empty() || text.len() > 15 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SignatureError::Malformed);
    }
    text.parse().map_err(|_| SignatureError::Malformed)
}
