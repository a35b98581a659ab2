//! Blanks comments, texts and characters out of Rust, so that rules meet only code.
//!
//! **Invariant:** every line keeps its number, and every byte its place.

/// The code with every byte of a comment or literal replaced by a space; line ends stay.
#[must_use]
pub fn masked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        for byte in out.iter_mut().take(end).skip(at) {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    // What is left is whole characters: literals and comments end where a character ends.
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment(rest);
    }
    match rest.first() {
        Some(b'"') => at + quoted(rest, b'"'),
        Some(b'\'') => at + character(rest),
        Some(b'r' | b'b' | b'c') if !follows_word(bytes, at) => at + prefixed(rest),
        _ => at,
    }
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|&byte| is_word(byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(two) = rest.get(at..at + 2) {
        match two {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal, or nothing when it is a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return quoted(rest, b'\'');
    }
    // A character is at most 4 bytes; a lifetime has no closing quote behind its first character.
    let first = rest.get(1).copied().unwrap_or_default();
    let length = match first {
        0x00..=0x7F => 1,
        0x80..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xFF => 4,
    };
    if rest.get(1 + length) == Some(&b'\'') { length + 2 } else { 0 }
}

/// `r"…"`, `r#"…"#`, `b"…"`, `b'…'`, `br"…"`, `c"…"`, `cr"…"`; nothing when it is a word.
fn prefixed(rest: &[u8]) -> usize {
    let letters = rest.iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    if letters > 2 {
        return 0;
    }
    let raw = rest.get(..letters).is_some_and(|prefix| prefix.contains(&b'r'));
    let after = rest.get(letters..).unwrap_or_default();
    let hashes = after.iter().take_while(|&&byte| byte == b'#').count();
    match after.get(hashes) {
        Some(b'"') if raw => letters + hashes + 1 + raw_end(after.get(hashes + 1..), hashes),
        Some(b'"') if hashes == 0 => letters + quoted(after, b'"'),
        Some(b'\'') if hashes == 0 && !raw => letters + quoted(after, b'\''),
        _ => 0,
    }
}

fn raw_end(inside: Option<&[u8]>, hashes: usize) -> usize {
    let inside = inside.unwrap_or_default();
    let mut end = vec![b'"'];
    end.resize(hashes + 1, b'#');
    let found = inside.windows(end.len()).position(|window| window == end);
    found.map_or(inside.len(), |at| at + end.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        for (text, code) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            ("f(\"}\\\"{\") g", "f( ) g"),
            ("r#\"un\"safe\"# x", "x"),
            ("b\"{\" br\"{\" c\"{\" d", "d"),
            ("'{' b'}' '\\'' 'é' x", "x"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("number\"x\" r2 bar", "number r2 bar"),
            ("\"open", ""),
        ] {
            let found = masked(text);
            assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), code, "{text}");
            assert_eq!(found.lines().count(), text.lines().count(), "{text}");
            assert_eq!(found.len(), text.len(), "{text}");
        }
    }
}
