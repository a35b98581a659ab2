//! What a text that carries markup of HTML shows to people.
//!
//! **Invariant:** a text without `<` and `&` stays as it is.

use std::borrow::Cow;

/// The longest tag, in bytes: with an address in it, and far below what a text may hide by one.
const MAX_TAG_BYTES: usize = 2_048;

/// The text without tags, and with what character references stand for.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '&']) {
        return Cow::Borrowed(text);
    }
    let bare = without_tags(text);
    Cow::Owned(html_escape::decode_html_entities(&bare).into_owned())
}

/// A tag begins as HTML says, with a letter, `/` or `!` after `<`, and ends at the next `>`; what does not
/// end within [`MAX_TAG_BYTES`], or before another `<`, is text.
fn without_tags(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        bare.push_str(before);
        let length = tag_length(&from[1..]).map_or(1, |length| length + 1);
        if length == 1 {
            bare.push('<');
        }
        rest = &from[length..];
    }
    bare.push_str(rest);
    bare
}

/// Bytes of a tag after its `<`, with its `>`.
fn tag_length(after: &str) -> Option<usize> {
    let starts = |first: char| first.is_ascii_alphabetic() || matches!(first, '/' | '!');
    if !after.starts_with(starts) {
        return None;
    }
    let end = after.find(['<', '>'])?;
    (after[end..].starts_with('>') && end < MAX_TAG_BYTES).then_some(end + 1)
}
