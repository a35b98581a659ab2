//! Checks how a file reads: first line, length, names, what it may not contain.

use super::{
    Finding,
    source::{Source, words},
};

/// Where a file splits (before its unit tests): beyond this, nobody holds it in mind at once.
pub(super) const MAX_LINES: usize = 600;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 12] = [
    "utils",
    "util",
    "common",
    "helpers",
    "helper",
    "misc",
    "manager",
    "managers",
    "types",
    "shared",
    "lib_utils",
    "stuff",
];
/// The only places that may hold `unsafe`, each block with its proof.
const UNSAFE_PLACES: [&str; 2] = ["crates/index/", "crates/media/src/simd"];
/// Things that only some crates may name, so that everything else works with any other of the kind.
const CONCRETE: [(&str, &[&str]); 3] = [
    ("SqliteStore", &["crates/store/", "crates/cli/"]),
    ("MemoryStore", &["crates/store/", "crates/sim/"]),
    ("Webhook", &["crates/connector/", "crates/cli/"]),
];
/// How far above `unsafe` its proof may begin: a long proof is a long comment.
const PROOF_LINES: usize = 12;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |line, what: String| findings.push(Finding::new(&source.file, line, what));
    if !source.text.starts_with("//! ") {
        find(1, "the first line is `//!` and one sentence that says what the file is for".into());
    }
    if source.lines_before_tests > MAX_LINES {
        let lines = source.lines_before_tests;
        find(0, format!("{lines} lines before its tests; split it below {MAX_LINES}"));
    }
    if source.file.ends_with("/mod.rs") {
        find(0, "write `foo.rs` beside `foo/`, not `foo/mod.rs`".into());
    }
    for part in source.file.split('/').map(|part| part.trim_end_matches(".rs")) {
        if EMPTY_NAMES.contains(&part) {
            find(0, format!("`{part}` says nothing; name it after what is inside"));
        }
    }
    for (number, line) in source.code_lines() {
        for what in line_faults(source, number, line) {
            find(number, what);
        }
    }
    findings
}

fn line_faults(source: &Source, number: usize, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let compact: String = line.split_whitespace().collect();
    if compact.contains("#[ignore") || compact.contains(",ignore)") || compact.contains(",ignore=")
    {
        faults.push("a test runs or goes; `#[ignore]` is neither".to_owned());
    }
    let mut before = "";
    for word in words(line) {
        if before == "fn" && word.starts_with("get_") {
            faults.push(format!("`{word}`: what is got needs no `get_`"));
        }
        if before == "mod" && EMPTY_NAMES.contains(&word) {
            faults.push(format!("`mod {word}` says nothing; name it after what is inside"));
        }
        if word == "unsafe" {
            faults.extend(unsafe_fault(source, number, line));
        }
        let concrete = CONCRETE.iter().find(|(name, _)| *name == word);
        if let Some((name, places)) = concrete
            && number <= source.lines_before_tests
            && !source.is_test()
            && !places.iter().any(|place| source.file.starts_with(place))
        {
            faults.push(format!("`{name}` is named in {} only", places.join(" and ")));
        }
        before = word;
    }
    faults
}

/// A block or an `impl` needs its proof; an `unsafe fn` hands the duty on to its callers.
fn unsafe_fault(source: &Source, number: usize, line: &str) -> Option<String> {
    if !UNSAFE_PLACES.iter().any(|place| source.file.starts_with(place)) {
        return Some(format!("`unsafe` lives in {} only", UNSAFE_PLACES.join(" and ")));
    }
    if words(line).skip_while(|word| *word != "unsafe").nth(1) == Some("fn") {
        return None;
    }
    let first = number.saturating_sub(PROOF_LINES + 1);
    let above = source.text.lines().skip(first).take(number - first);
    let proven =
        above.into_iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
    (!proven).then(|| "`unsafe` without a `// SAFETY:` proof above it".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn faults(file: &str, text: &str) -> Vec<String> {
        check(&Source::new(file, text)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_file_that_keeps_the_rules_has_no_faults() {
        let text = "//! Does one thing.\n\n// unsafe get_x #[ignore]\nfn x() { \"unsafe\"; }\n";
        assert_eq!(faults("crates/node/src/x.rs", text), [""; 0]);
        let proven = "//! Reads.\n// SAFETY: checked above.\nunsafe { read() }\n";
        assert_eq!(faults("crates/index/src/x.rs", proven), [""; 0]);
        let handed_on = "//! Reads.\npub unsafe fn read();\n";
        assert_eq!(faults("crates/index/src/x.rs", handed_on), [""; 0]);
        assert_eq!(faults("crates/media/src/simd/x.rs", proven), [""; 0]);
        let concrete = "//! Reads.\nuse store::SqliteStore;\n";
        assert_eq!(faults("crates/cli/src/x.rs", concrete), [""; 0]);
        assert_eq!(faults("crates/node/tests/it/x.rs", concrete), [""; 0]);
    }

    #[test]
    fn every_rule_of_reading_can_fail() {
        for (file, text, part) in [
            ("crates/node/src/x.rs", "fn x() {}\n", "first line"),
            ("crates/node/src/x.rs", "//!\nfn x() {}\n", "first line"),
            ("crates/node/src/x/mod.rs", "//! X.\n", "mod.rs"),
            ("crates/node/src/utils.rs", "//! X.\n", "`utils`"),
            ("crates/node/src/helpers/x.rs", "//! X.\n", "`helpers`"),
            ("crates/node/src/x.rs", "//! X.\nmod common;\n", "`mod common`"),
            ("crates/node/src/x.rs", "//! X.\npub fn get_x() {}\n", "`get_x`"),
            ("crates/node/src/x.rs", "//! X.\nunsafe { x() }\n", "lives in"),
            ("crates/media/src/x.rs", "//! X.\n// SAFETY: no.\nunsafe { x() }\n", "lives in"),
            ("crates/index/src/x.rs", "//! X.\nunsafe { x() }\n", "without"),
            ("crates/node/src/x.rs", "//! X.\nuse store::SqliteStore;\n", "`SqliteStore`"),
            ("crates/node/src/x.rs", "//! X.\n#[ignore = \"slow\"]\nfn x() {}\n", "ignore"),
            ("crates/node/src/x.rs", "//! X.\n#[cfg_attr(x, ignore)]\nfn x() {}\n", "ignore"),
        ] {
            let found = faults(file, text);
            assert!(found.iter().any(|what| what.contains(part)), "{file} {text:?}: {found:?}");
        }
    }

    #[test]
    fn only_lines_before_the_tests_count_for_the_length() {
        let lines = |count: usize| "x();\n".repeat(count);
        let tests = format!("#[cfg(test)]\n#[allow(x)]\nmod tests {{\n{}}}\n", lines(400));
        let right = format!("//! X.\n{}{tests}", lines(MAX_LINES - 1));
        assert_eq!(faults("crates/node/src/x.rs", &right), [""; 0]);
        let wrong = format!("//! X.\n{}{tests}", lines(MAX_LINES));
        assert_eq!(faults("crates/node/src/x.rs", &wrong).len(), 1);
    }
}
