//! Checks which crate may use which, and which packages a crate keeps to itself, against the table
//! in `ARCHITECTURE.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Finding, TidyError,
    manifest::{PREFIX, Package},
    markdown, read,
};

const MAP: &str = "ARCHITECTURE.md";
const HEAD: [&str; 4] = ["floor", "crate", "may use", "keeps to itself"];

/// What the table allows a crate.
struct Rule {
    line: usize,
    floor: u32,
    may_use: BTreeSet<String>,
    may_use_all: bool,
    keeps: BTreeSet<String>,
}

pub(super) fn check(root: &Path, packages: &[Package]) -> Result<Vec<Finding>, TidyError> {
    let text = read(&root.join(MAP))?;
    Ok(compare(&text, packages))
}

fn compare(text: &str, packages: &[Package]) -> Vec<Finding> {
    let Some(rules) = rules(text) else {
        let what = format!("there is no table with the columns {}", HEAD.join(", "));
        return vec![Finding::new(MAP, 0, what)];
    };
    let mut findings = Vec::new();
    let ours = packages.iter().filter(|package| package.manifest.starts_with("crates/"));
    for package in ours.clone() {
        match rules.get(&package.name) {
            Some(rule) => findings.extend(arrows(package, rule, &rules)),
            None => {
                let what = format!("the crate `{}` is not in the table", package.name);
                findings.push(Finding::new(MAP, 0, what));
            }
        }
        findings.extend(kept(package, &rules));
    }
    for (name, rule) in &rules {
        if !ours.clone().any(|package| package.name == *name) {
            findings.push(Finding::new(MAP, rule.line, format!("there is no crate `{name}`")));
        }
    }
    findings
}

fn rules(text: &str) -> Option<BTreeMap<String, Rule>> {
    let mut rules = BTreeMap::new();
    for row in markdown::table(text, &HEAD)? {
        let [floor, name, may_use, keeps] = row.cells.as_slice() else { continue };
        let list = |cell: &str| {
            let names = cell.split([',', ';']).map(|name| name.trim().trim_matches('`').to_owned());
            names.filter(|name| !matches!(name.as_str(), "" | "–" | "-")).collect::<BTreeSet<_>>()
        };
        let may_use = list(may_use);
        let rule = Rule {
            line: row.line,
            floor: floor.parse().unwrap_or(u32::MAX),
            may_use_all: may_use.contains("all"),
            may_use,
            keeps: list(keeps),
        };
        rules.insert(name.trim_matches('`').to_owned(), rule);
    }
    Some(rules)
}

fn arrows(package: &Package, rule: &Rule, rules: &BTreeMap<String, Rule>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(Finding::new(&package.manifest, 0, what));
    let name = &package.name;
    for used in package.dependencies.iter().filter_map(|used| used.strip_prefix(PREFIX)) {
        if !rule.may_use_all && !rule.may_use.contains(used) {
            find(format!("`{name}` may not use `{used}` ({MAP}:{})", rule.line));
        }
    }
    for used in package.test_dependencies.iter().filter_map(|used| used.strip_prefix(PREFIX)) {
        // What stands above a crate cannot be needed to see whether the crate works.
        if rules.get(used).is_some_and(|above| above.floor > rule.floor) {
            find(format!("the tests of `{name}` may not use `{used}`, which stands above it"));
        }
    }
    findings
}

/// Packages that another crate keeps to itself.
fn kept(package: &Package, rules: &BTreeMap<String, Rule>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for used in &package.dependencies {
        let keepers: Vec<&str> = rules
            .iter()
            .filter(|(_, rule)| rule.keeps.contains(used))
            .map(|(name, _)| name.as_str())
            .collect();
        if !keepers.is_empty() && !keepers.contains(&package.name.as_str()) {
            let what = format!("`{used}` is kept by {}; use it through there", keepers.join(", "));
            findings.push(Finding::new(&package.manifest, 0, what));
        }
    }
    findings
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| floor | crate | what lives there | may use | keeps to itself |
|---|---|---|---|---|
| 1 | signal | kinds | – | – |
| 2 | store | keeps | signal | `rusqlite` |
| 3 | node | does | signal, store | – |
| 4 | cli | starts | all | `clap` |
";

    fn package(name: &str, dependencies: &[&str], test_dependencies: &[&str]) -> Package {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Package {
            manifest: format!("crates/{name}/Cargo.toml"),
            name: name.to_owned(),
            dependencies: set(dependencies),
            test_dependencies: set(test_dependencies),
        }
    }

    fn workspace() -> Vec<Package> {
        vec![
            package("signal", &["serde"], &["watchfire-signal"]),
            package("store", &["watchfire-signal", "rusqlite"], &[]),
            package("node", &["watchfire-store"], &["watchfire-store", "rusqlite"]),
            package("cli", &["clap", "watchfire-node", "watchfire-signal"], &[]),
        ]
    }

    fn with(package: Package) -> Vec<String> {
        let mut packages = workspace();
        packages.retain(|one| one.name != package.name);
        packages.push(package);
        compare(TABLE, &packages).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_workspace_as_in_the_table_has_no_faults() {
        assert_eq!(compare(TABLE, &workspace()), []);
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        let found = with(package("store", &["watchfire-node"], &[]));
        assert_eq!(found, ["`store` may not use `node` (ARCHITECTURE.md:4)"]);
        let found = with(package("signal", &["watchfire-store"], &[]));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn tests_may_look_sideways_and_down_but_not_up() {
        assert_eq!(with(package("node", &[], &["watchfire-signal"])), [""; 0]);
        let found = with(package("store", &[], &["watchfire-node"]));
        assert_eq!(found, ["the tests of `store` may not use `node`, which stands above it"]);
    }

    #[test]
    fn what_a_crate_keeps_to_itself_no_other_is_built_from() {
        let found = with(package("node", &["rusqlite"], &[]));
        assert_eq!(found, ["`rusqlite` is kept by store; use it through there"]);
    }

    #[test]
    fn crates_and_rows_must_meet() {
        let found = with(package("bridge", &[], &[]));
        assert_eq!(found, ["the crate `bridge` is not in the table"]);
        let mut packages = workspace();
        packages.pop();
        let found: Vec<String> =
            compare(TABLE, &packages).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, ["there is no crate `cli`"]);
        assert_eq!(compare("no table", &workspace()).len(), 1);
    }
}
