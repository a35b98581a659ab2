//! Checks that `docs/dependencies.md` has one line for each dependency and none for one that left,
//! and that the workspace offers only what somebody uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Finding, TidyError,
    manifest::{PREFIX, Package, workspace_dependencies},
    markdown, read,
};

const LIST: &str = "docs/dependencies.md";
const HEAD: [&str; 2] = ["package", "why"];

pub(super) fn check(root: &Path, packages: &[Package]) -> Result<Vec<Finding>, TidyError> {
    let list = read(&root.join(LIST))?;
    Ok(compare(&list, packages, &workspace_dependencies(root)?))
}

fn compare(list: &str, packages: &[Package], offered: &BTreeSet<String>) -> Vec<Finding> {
    let mut used: BTreeMap<&str, &str> = BTreeMap::new();
    for package in packages {
        for name in package.dependencies.iter().chain(&package.test_dependencies) {
            used.insert(name, &package.manifest);
        }
    }
    let mut findings = Vec::new();
    for name in offered.iter().filter(|name| !name.starts_with(PREFIX)) {
        if !used.contains_key(name.as_str()) {
            findings.push(Finding::new("Cargo.toml", 0, format!("nobody uses `{name}`")));
        }
    }
    let Some(rows) = markdown::table(list, &HEAD) else {
        let what = format!("there is no table with the columns {}", HEAD.join(", "));
        findings.push(Finding::new(LIST, 0, what));
        return findings;
    };
    let mut listed = BTreeSet::new();
    for row in &rows {
        let [name, why] = row.cells.as_slice() else { continue };
        let name = name.trim_matches('`');
        if !used.contains_key(name) {
            findings.push(Finding::new(LIST, row.line, format!("nobody depends on `{name}`")));
        }
        if !listed.insert(name) || why.is_empty() {
            let what = format!("`{name}` needs one line with one reason");
            findings.push(Finding::new(LIST, row.line, what));
        }
    }
    for (name, manifest) in used {
        if !name.starts_with(PREFIX) && !listed.contains(name) {
            findings.push(Finding::new(manifest, 0, format!("`{name}` is not in {LIST}")));
        }
    }
    findings
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn found(list: &str, offered: &[&str]) -> Vec<String> {
        let package = Package {
            manifest: "crates/x/Cargo.toml".to_owned(),
            name: "x".to_owned(),
            dependencies: ["serde".to_owned(), "watchfire-y".to_owned()].into(),
            test_dependencies: ["insta".to_owned()].into(),
        };
        let offered = offered.iter().map(|&name| name.to_owned()).collect();
        let findings = compare(list, &[package], &offered);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_list_of_what_is_used_has_no_faults() {
        let list = "| package | why |\n|---|---|\n| `serde` | a |\n| `insta` | b |\n";
        assert_eq!(found(list, &["serde", "insta", "watchfire-z"]), [""; 0]);
    }

    #[test]
    fn a_missing_a_stale_a_double_and_an_unused_dependency_are_found() {
        let head = "| package | why |\n|---|---|\n";
        let list = format!("{head}| `serde` | a |\n");
        assert_eq!(found(&list, &[]), ["`insta` is not in docs/dependencies.md"]);
        let list = format!("{head}| `serde` | a |\n| `insta` | b |\n| `gone` | c |\n");
        assert_eq!(found(&list, &[]), ["nobody depends on `gone`"]);
        let list = format!("{head}| `serde` | a |\n| `insta` | b |\n| `serde` | c |\n");
        assert_eq!(found(&list, &[]).len(), 1);
        let list = format!("{head}| `serde` |  |\n| `insta` | b |\n");
        assert_eq!(found(&list, &[]).len(), 1);
        let list = format!("{head}| `serde` | a |\n| `insta` | b |\n");
        assert_eq!(found(&list, &["tokio"]), ["nobody uses `tokio`"]);
        assert_eq!(found("nothing", &[]).len(), 1);
    }
}
