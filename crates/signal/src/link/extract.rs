//! The links that stand in a text, where programs that show it would make links.
//!
//! **Invariant:** where it is open at what sign a link ends, each way to read it is given.
//! **Invariant:** the work grows with the length of the text, whatever stands in it.

use std::{iter::once, ops::RangeInclusive};

use super::MAX_LINK_BYTES;
use crate::text_print::is_invisible;

/// The most links of one text that are looked at: as many as a scan names beside it.
pub const MAX_LINKS: usize = 64;
/// How a link in a text begins.
const SCHEMES: [&str; 2] = ["http://", "https://"];
/// How one without a scheme does.
const WWW: &str = "www.";
/// Signs that part links from what is around them.
const BREAKS: &str = "<>\"“”„«»‹›`|・،؛؟।॥։";
/// Such signs of Chinese and Japanese, and wide forms of others; [`DOTS`] are none of them.
const WIDE_BREAKS: [RangeInclusive<char>; 7] = [
    '\u{3001}'..='\u{3001}',
    '\u{3003}'..='\u{3020}',
    '\u{ff01}'..='\u{ff0d}',
    '\u{ff0f}'..='\u{ff0f}',
    '\u{ff1a}'..='\u{ff20}',
    '\u{ff3b}'..='\u{ff40}',
    '\u{ff5b}'..='\u{ff65}',
];
/// Full stops that browsers read as a dot in the host; behind the host they end a link.
const DOTS: &str = "。．｡";
/// Letters that often follow a link without a space.
const NO_SPACES: [RangeInclusive<char>; 5] = [
    '\u{3040}'..='\u{30ff}',
    '\u{3400}'..='\u{9fff}',
    '\u{ac00}'..='\u{d7af}',
    '\u{f900}'..='\u{faff}',
    '\u{20000}'..='\u{3ffff}',
];
/// Signs that end a sentence, and not a link; what closes a bracket is seen to by [`end`].
const AFTER: &str = ".,;:!?([{'*\"»”’…。．｡";
/// Signs after which a link inside another one is a part of it.
const GOES_ON: &str = "/=?&";
/// Brackets, which a link has in pairs.
const BRACKETS: [(char, char); 3] = [('(', ')'), ('[', ']'), ('{', '}')];

/// The links in a text that begin with `http://`, `https://` or `www.`, or with a name under a known
/// suffix and a path, in their order.
pub(super) fn links_in(text: &str) -> impl Iterator<Item = &str> {
    let breaks = |c: char| {
        c.is_whitespace() || c.is_control() || BREAKS.contains(c) || is_in(&WIDE_BREAKS, c)
    };
    text.split(breaks).flat_map(links_of_word)
}

/// Each link of a word up to the next one in it, and up to the one after that where it goes on.
fn links_of_word(word: &str) -> Vec<&str> {
    let starts = starts(word);
    let start = |number: usize| starts.get(number).copied().unwrap_or(word.len());
    let mut links = Vec::new();
    for (number, from) in starts.iter().enumerate() {
        let (next, after) = (start(number + 1), start(number + 2));
        let goes_on =
            word[..next].ends_with(|c| GOES_ON.contains(c)) || scheme(word, next).is_none();
        let ends = once(next).chain((goes_on && after > next).then_some(after));
        for end in ends {
            links.extend(readings(&word[*from..end]));
        }
    }
    links
}

/// A link without what only ends a sentence; and where letters follow it that need no space, or signs that
/// nobody sees, also without these.
fn readings(link: &str) -> impl Iterator<Item = &str> {
    let trimmed = |link: &'_ str| link.trim_end_matches(|c| AFTER.contains(c)).len();
    let whole = &link[..end(link)];
    let whole = &whole[..trimmed(whole)];
    let open = |c: char| is_in(&NO_SPACES, c) || is_invisible(c) || DOTS.contains(c);
    let short = whole.find(open).map(|end| &whole[..end]);
    let short = short.map(|short| &short[..trimmed(short)]).filter(|short| short.contains('.'));
    once(whole).chain(short).filter(|link| link.len() <= MAX_LINK_BYTES)
}

/// Where a link ends at the latest: at a bracket that was opened before it, at a wide full stop behind the
/// host.
fn end(link: &str) -> usize {
    let host = scheme(link, 0).map_or(0, str::len);
    let mut open = [0_usize; BRACKETS.len()];
    let mut in_host = true;
    for (place, c) in link.char_indices() {
        in_host &= place < host || !"/?#".contains(c);
        if !in_host && DOTS.contains(c) {
            return place;
        }
        for (count, (opens, closes)) in open.iter_mut().zip(BRACKETS) {
            *count += usize::from(c == opens);
            if c == closes {
                match count.checked_sub(1) {
                    Some(left) => *count = left,
                    None => return place,
                }
            }
        }
    }
    link.len()
}

/// Where links begin in a word, ascending.
fn starts(word: &str) -> Vec<usize> {
    let places = word.bytes().enumerate();
    let mut starts: Vec<usize> = places
        .filter_map(|(place, byte)| match byte {
            b'h' | b'H' => scheme(word, place).map(|_| place),
            b'w' | b'W' => is_www(word, place).then_some(place),
            b'/' => bare_host(&word[..place]),
            _ => None,
        })
        .collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// The scheme that stands at a place.
fn scheme(word: &str, place: usize) -> Option<&'static str> {
    SCHEMES.into_iter().find(|scheme| begins(word, place, scheme))
}

/// Whether a link says its scheme, and that it is of the web.
pub(super) fn has_scheme(link: &str) -> bool {
    scheme(link, 0).is_some()
}

/// Whether a text in lower case stands at a place, in any case.
fn begins(word: &str, place: usize, lower: &str) -> bool {
    let found = word.as_bytes().get(place..place + lower.len());
    found.is_some_and(|found| found.eq_ignore_ascii_case(lower.as_bytes()))
}

/// Whether a host with its `www.` begins at a place.
fn is_www(word: &str, place: usize) -> bool {
    begins(word, place, WWW)
        && word[place + WWW.len()..].starts_with(char::is_alphanumeric)
        && is_free(&word[..place])
}

/// Whether a host may begin behind this: not inside a name, a path or an address of mail.
fn is_free(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_alphanumeric() || "-_.@/\\%~+".contains(c))
}

/// Where the host begins that ends a text, if it is one under a suffix that there is: `bad.com`, and not
/// `file.txt`.
fn bare_host(before: &str) -> Option<usize> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let from = before.trim_end_matches(is_of_name).len();
    let host = before[from..].to_ascii_lowercase();
    let known = watchfire_suffix::has_public(&host);
    (known && !host.starts_with(['.', '-']) && is_free(&before[..from])).then_some(from)
}

fn is_in(ranges: &[RangeInclusive<char>], c: char) -> bool {
    ranges.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, links: &[&str]) {
        assert_eq!(links_in(text).collect::<Vec<_>>(), links, "{text}");
    }

    #[test]
    fn links_are_found_in_sentences_and_brackets() {
        check(
            "Look (https://a.example/x), or HTTP://b.example/?q=1. And <https://a.example/y>! \
             \u{201e}https://c.example/\u{e9}\u{201c} ftp://d.example",
            &[
                "https://a.example/x",
                "HTTP://b.example/?q=1",
                "https://a.example/y",
                "https://c.example/é",
            ],
        );
        check(
            "https://a.example/w/B_(c), **https://b.example**",
            &["https://a.example/w/B_(c)", "https://b.example"],
        );
    }

    #[test]
    fn several_links_are_found_in_one_word() {
        let two = ["https://a.example", "https://b.example/x"];
        check("[https://a.example](https://b.example/x)", &two);
        check("https://a.example,https://b.example/x", &two);
        check("https://a.examplehttps://b.example/x", &two);
        check("[a](https://a.example)b:https://b.example/x;", &two);
        let inside = "https://a.example/?u=https://b.example/x";
        check(inside, &["https://a.example/?u=", inside, "https://b.example/x"]);
    }

    #[test]
    fn wide_signs_and_letters_without_spaces_end_a_link() {
        check("请看https://bad.example/x。谢谢", &["https://bad.example/x"]);
        check(
            "（https://bad.example/x）、「https://b.example」！",
            &["https://bad.example/x", "https://b.example"],
        );
        check("https://bad.example/x谢谢", &["https://bad.example/x谢谢", "https://bad.example/x"]);
        check("https://bad。example/x", &["https://bad。example/x"]);
        check("https://bad.example。谢谢", &["https://bad.example。谢谢", "https://bad.example"]);
        check(
            "https://bad.example/x\u{200b}",
            &["https://bad.example/x\u{200b}", "https://bad.example/x"],
        );
    }

    #[test]
    fn hosts_without_a_scheme_are_links_and_names_of_files_are_not() {
        check("at www.bad.example/x, WWW.b.example.", &["www.bad.example/x", "WWW.b.example"]);
        check("看www.bad.example/x", &["www.bad.example/x"]);
        check("(bad.com/x) or: a.bad.co.uk/?q", &["bad.com/x", "a.bad.co.uk/?q"]);
        for none in [
            "file.txt a/file.txt file.txt/x main.rs src/main.rs a.b/c",
            "me@www.bad.example me@bad.com/x and/or 1.5/2 e.g./x com/x co.uk/x",
            "and so on.Then bad.com x/bad.com/y",
        ] {
            check(none, &[]);
        }
    }
}
