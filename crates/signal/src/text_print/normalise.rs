//! The normalised form of a text: what is left when spelling tricks, spacing and case do not count.
//!
//! Source of the steps: Unicode Standard Annex 15 (NFKD); Unicode Technical Standard 39 for the idea of
//! look-alikes, of which the table here has those that people use to pass filters.
//! **Invariant:** normalising a normalised text changes nothing.

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

use super::{lookalike::letter, markup};

/// The normalised form: what markup shows, compatibility decomposition, lower case, no marks, look-alikes as the letters
/// they stand for, letters and digits only, and of equal characters in a row only one.
#[must_use]
pub fn normalised(text: &str) -> String {
    let text = markup::shown(text);
    let lower = text.nfkd().flat_map(char::to_lowercase).collect::<String>();
    let starters = lower.nfkd().filter(|character| canonical_combining_class(*character) == 0);
    let mut starters = starters.peekable();
    let mut normal = String::with_capacity(lower.len());
    let mut last = None;
    while let Some(character) = starters.next() {
        let inside = starters.peek().is_some_and(|next| next.is_alphanumeric());
        // A sign at the end of a word is a sign.
        let stands = character.is_alphanumeric() || inside;
        let character = if stands { letter(character) } else { character };
        if character.is_alphanumeric() && last != Some(character) {
            normal.push(character);
            last = Some(character);
        }
    }
    normal
}
