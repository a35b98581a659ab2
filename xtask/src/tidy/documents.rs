//! Checks that documents name no path that is gone and link to nothing that is not there.

use std::path::Path;

use super::{Finding, TidyError, markdown, read, walk};

const MAP: &str = "ARCHITECTURE.md";
/// Endings of files that a code word in the map means literally.
const ENDINGS: [&str; 8] = [".rs", ".md", ".toml", ".json", ".sql", ".sh", "/", ".csv"];

/// A document of ours.
pub(super) struct Document {
    file: String,
    text: String,
}

/// Every Markdown file of the repository.
pub(super) fn documents(root: &Path) -> Result<Vec<Document>, TidyError> {
    let mut documents = Vec::new();
    for path in walk::files(root, ".md")? {
        documents.push(Document { file: walk::shown(root, &path), text: read(&path)? });
    }
    Ok(documents)
}

pub(super) fn check(root: &Path, documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents {
        let folder = root.join(&document.file);
        let folder = folder.parent().unwrap_or(root);
        for (line, target) in markdown::links(&document.text) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains(':');
            if !elsewhere && !folder.join(path).exists() {
                let what = format!("the link to `{target}` leads nowhere");
                findings.push(Finding::new(&document.file, line, what));
            }
        }
        if document.file == MAP {
            findings.extend(missing_paths(root, document));
        }
    }
    findings
}

/// Paths in the map are from the root, or begin with a crate: `node/publish.rs`.
fn missing_paths(root: &Path, map: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, word) in markdown::code_words(&map.text) {
        let Some(exists) = exists(root, word) else { continue };
        if !exists {
            findings.push(Finding::new(&map.file, line, format!("there is no `{word}`")));
        }
    }
    findings
}

/// Whether a path is there; nothing when the word is no path of ours.
fn exists(root: &Path, word: &str) -> Option<bool> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let outside = word.starts_with('/') || word.starts_with("..") || !word.contains('/');
    if outside || !word.chars().all(plain) {
        return None;
    }
    if root.join(word).exists() {
        return Some(true);
    }
    let (first, rest) = word.split_once('/')?;
    let krate = root.join("crates").join(first);
    if krate.is_dir() {
        return Some(krate.join("src").join(rest).exists() || krate.join(rest).exists());
    }
    ENDINGS.iter().any(|ending| word.ends_with(ending)).then_some(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in ["crates/node/src/publish.rs", "docs/format.md", "docs/glossary.md"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        root
    }

    #[test]
    fn a_path_in_the_map_is_from_the_root_or_from_a_crate() {
        let root = repository();
        for (word, right) in [
            ("docs/format.md", Some(true)),
            ("node/publish.rs", Some(true)),
            ("crates/node", Some(true)),
            ("node/gone.rs", Some(false)),
            ("node/gone", Some(false)),
            ("docs/gone.md", Some(false)),
            ("gone/x.rs", Some(false)),
            ("application/cbor-seq", None),
            ("/v1/scan", None),
            ("../shared/conformance", None),
            ("publish", None),
            ("H(a, b)/c", None),
        ] {
            assert_eq!(exists(root.path(), word), right, "{word}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_and_a_path_that_is_gone_are_found() {
        let root = repository();
        let write = |file: &str, text: &str| std::fs::write(root.path().join(file), text).unwrap();
        write("ARCHITECTURE.md", "`node/gone.rs` and [here](docs/format.md#x)\n");
        write("README.md", "[a](docs/none.md) [b](https://example.org/x) [c](#d) `node/gone.rs`\n");
        write("docs/format.md", "[g](glossary.md) [h](docs/glossary.md)\n");
        let found = check(root.path(), &documents(root.path()).unwrap());
        let found: Vec<String> = found.iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:1: there is no `node/gone.rs`",
                "README.md:1: the link to `docs/none.md` leads nowhere",
                "docs/format.md:1: the link to `docs/glossary.md` leads nowhere",
            ]
        );
    }
}
