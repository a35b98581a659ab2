//! Reads every Rust file once and knows its place: crate, module, whether it is a test.

use std::path::Path;

use super::{TidyError, masked, read, walk};

/// A Rust file of ours.
pub(super) struct Source {
    /// From the root of the repository.
    pub(super) file: String,
    /// As it is.
    pub(super) text: String,
    /// With comments and literals blanked.
    pub(super) code: String,
    /// How many lines stand before its unit tests.
    pub(super) lines_before_tests: usize,
}

impl Source {
    /// Takes a file's text.
    pub(super) fn new(file: &str, text: &str) -> Self {
        let code = masked(text);
        let lines_before_tests = before_tests(&code);
        Source { file: file.to_owned(), text: text.to_owned(), code, lines_before_tests }
    }

    /// The numbered lines of code, without comments and literals.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Whether the whole file is a test, a bench or an example.
    pub(super) fn is_test(&self) -> bool {
        let name = self.file.rsplit('/').next().unwrap_or_default();
        ["/tests/", "/benches/", "/examples/"].iter().any(|part| self.file.contains(part))
            || name == "tests.rs"
    }

    /// The crate's folder, such as `crates/node`, and the path below its `src/`.
    pub(super) fn place(&self) -> Option<(&str, &str)> {
        self.file.split_once("/src/")
    }
}

/// Every Rust file under `crates/` and `xtask/`.
pub(super) fn sources(root: &Path) -> Result<Vec<Source>, TidyError> {
    let mut sources = Vec::new();
    for folder in ["crates", "xtask", "fuzz"] {
        for path in walk::files(&root.join(folder), ".rs")? {
            sources.push(Source::new(&walk::shown(root, &path), &read(&path)?));
        }
    }
    Ok(sources)
}

/// Counts the lines before `#[cfg(test)]` with a `mod` behind it.
fn before_tests(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let begins = |at: &usize| {
        lines.get(*at) == Some(&"#[cfg(test)]")
            && lines
                .iter()
                .skip(at + 1)
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    (0..lines.len()).find(begins).unwrap_or(lines.len())
}

/// The words of a line of code: identifiers, keywords and numbers.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}
