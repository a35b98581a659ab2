//! The normalised form of a text: what is left when spelling tricks, spacing and case do not count.
//!
//! Source of the steps: Unicode Standard Annex 15 (NFKD); Unicode Technical Standard 39 for the idea of
//! look-alikes, of which the table here has those that people use to pass filters.
//! **Invariant:** normalising a normalised text changes nothing.

use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
};

use super::{lookalike::letter, markup};

/// What nobody sees, first and last of each range: the Default_Ignorable_Code_Point of Unicode and the
/// marks of interlinear notes; and what only lengthens a line of Arabic (U+0640) or N'Ko (U+07FA).
/// Fillers of Hangul among them count as letters elsewhere.
const INVISIBLE: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{640}', '\u{640}'),
    ('\u{7fa}', '\u{7fa}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// The normalised form: what markup shows, compatibility decomposition, lower case, nothing invisible, no marks,
/// look-alikes as the letters they stand for, letters and digits only, and of equal characters in a row only one.
#[must_use]
pub fn normalised(text: &str) -> String {
    let text = markup::shown(text);
    let lower = text.nfkd().flat_map(char::to_lowercase).collect::<String>();
    let mut visible = lower.nfkd().filter(|character| !is_hidden(*character)).peekable();
    let mut normal = String::with_capacity(lower.len());
    let mut last = None;
    while let Some(character) = visible.next() {
        let inside = visible.peek().is_some_and(|next| next.is_alphanumeric());
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

/// Whether a character says nothing of its own: a mark on another one, or one that nobody sees.
fn is_hidden(character: char) -> bool {
    if character.is_ascii_graphic() {
        return false;
    }
    let mark = canonical_combining_class(character) != 0
        // Vowels of some scripts are such marks, and letters.
        || (is_combining_mark(character) && !character.is_alphanumeric());
    let control = character.is_control() && !character.is_whitespace();
    mark || control || is_invisible(character)
}

/// Whether nobody sees a character.
pub(crate) fn is_invisible(character: char) -> bool {
    INVISIBLE.iter().any(|(from, to)| (*from..=*to).contains(&character))
}
