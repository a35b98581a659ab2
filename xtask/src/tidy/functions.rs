//! Measures functions: how long they are and how many parameters they take.

use super::{Finding, source::Source};

/// A function that does not fit a screen is two functions.
pub(super) const MAX_LINES: usize = 70;
/// More parameters than this are a struct that has no name yet. `self` does not count.
pub(super) const MAX_PARAMETERS: usize = 5;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let code = source.code.as_bytes();
    let mut findings = Vec::new();
    for at in starts(&source.code) {
        let Some(function) = Function::read(code, at) else { continue };
        let line = 1 + count(code, 0, at);
        let lines = 1 + count(code, at, function.end);
        let name = &function.name;
        if lines > MAX_LINES {
            let what = format!("`{name}` has {lines} lines; a function stays within {MAX_LINES}");
            findings.push(Finding::new(&source.file, line, what));
        }
        if function.parameters > MAX_PARAMETERS {
            let many = function.parameters;
            let what = format!("`{name}` takes {many} parameters; at most {MAX_PARAMETERS}");
            findings.push(Finding::new(&source.file, line, what));
        }
    }
    findings
}

struct Function {
    name: String,
    parameters: usize,
    end: usize,
}

/// Where the word `fn` stands before a name.
fn starts(code: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices("fn ")
        .filter(|(at, _)| !code.get(..*at).is_some_and(|before| before.ends_with(is_word)))
        .filter(|(at, _)| code.get(at + 3..).is_some_and(|after| after.starts_with(is_word)))
        .map(|(at, _)| at)
        .collect()
}

impl Function {
    /// Reads from `fn` to the brace that ends the body; nothing for a declaration without one.
    fn read(code: &[u8], at: usize) -> Option<Self> {
        let after = code.get(at + 3..)?;
        let length = after.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let name = String::from_utf8_lossy(after.get(..length)?).into_owned();
        let open = parameters_begin(code, at + 3 + length)?;
        let (parameters, close) = parameters(code, open)?;
        let end = body_end(code, close)?;
        Some(Function { name, parameters, end })
    }
}

/// The parenthesis behind the name and its generics, which may hold `Fn(…)` themselves.
fn parameters_begin(code: &[u8], from: usize) -> Option<usize> {
    let mut angles = 0_i32;
    let mut before = 0;
    for (at, &byte) in code.iter().enumerate().skip(from) {
        match byte {
            b'<' => angles += 1,
            b'>' if before != b'-' => angles -= 1,
            b'(' if angles == 0 => return Some(at),
            b'{' | b';' => return None,
            _ => {}
        }
        before = byte;
    }
    None
}

/// How many parameters stand between the parentheses, without `self`, and where they close.
fn parameters(code: &[u8], open: usize) -> Option<(usize, usize)> {
    let (mut depth, mut begin, mut before) = (0_i32, open + 1, 0);
    let mut count = 0;
    let mut piece = |begin: usize, end: usize| {
        let text = String::from_utf8_lossy(code.get(begin..end).unwrap_or_default()).into_owned();
        let text = text.trim();
        let first = text.split(':').next().unwrap_or_default();
        let is_self = first
            .split_whitespace()
            .next_back()
            .is_some_and(|word| word.trim_start_matches('&') == "self");
        count += usize::from(!text.is_empty() && !is_self);
    };
    for (at, &byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b'>' if before == b'-' => {}
            b')' | b']' | b'}' | b'>' => depth -= 1,
            b',' if depth == 1 => {
                piece(begin, at);
                begin = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            piece(begin, at);
            return Some((count, at));
        }
        before = byte;
    }
    None
}

fn body_end(code: &[u8], from: usize) -> Option<usize> {
    let (mut depth, mut brackets) = (0_i32, 0_i32);
    for (at, &byte) in code.iter().enumerate().skip(from + 1) {
        match byte {
            b'[' => brackets += 1,
            b']' => brackets -= 1,
            b'{' => depth += 1,
            // The length of an array, as in `-> [u8; 2];`, does not end the declaration.
            b';' if depth == 0 && brackets == 0 => return None,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn count(code: &[u8], from: usize, to: usize) -> usize {
    code.iter().take(to).skip(from).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let found = check(&Source::new("crates/node/src/x.rs", text));
        found.into_iter().map(|finding| format!("{} {}", finding.line, finding.what)).collect()
    }

    fn function(signature: &str, lines: usize) -> String {
        format!("{signature} {{\n{}}}\n", "    x(\"}\"); // }\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_seventy_lines_passes_and_one_of_seventy_one_does_not() {
        assert_eq!(faults(&function("fn x()", MAX_LINES)), [""; 0]);
        let found = faults(&format!("\n{}", function("fn x() -> [u8; 2]", MAX_LINES + 1)));
        assert_eq!(found.len(), 1);
        assert!(found.first().unwrap().starts_with("2 `x` has 71 lines"), "{found:?}");
    }

    #[test]
    fn a_declaration_has_no_length_of_its_own() {
        let text = format!("trait T {{\n    fn a(&self);\n{}}}\n", "    fn b();\n".repeat(90));
        assert_eq!(faults(&text), [""; 0]);
    }

    #[test]
    fn parameters_are_counted_without_self_and_with_their_own_commas() {
        let five = "fn f<F: Fn(u8, u8) -> u8>(&mut self, a: u8, b: (u8, u8), c: [u8; 2], d: HashMap<A, B>, e: impl Fn(A, B) -> C,)";
        assert_eq!(faults(&function(five, 3)), [""; 0]);
        let typed = "fn f(self: Arc<Self>, a: u8, b: u8, c: u8, d: u8, e: u8)";
        assert_eq!(faults(&function(typed, 3)), [""; 0]);
        let six = "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8)";
        let found = faults(&function(six, 3));
        assert!(found.first().unwrap().contains("takes 6 parameters"), "{found:?}");
    }
}
