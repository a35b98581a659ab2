//! Checks licences, sources and bans of all dependencies against `deny.toml`, whose form is that of
//! cargo-deny: compiling that tool costs more than compiling the project, and its list of
//! advisories needs a network.

mod licence;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde::Deserialize;
use thiserror::Error;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What breaks a rule.
    pub findings: Vec<String>,
    /// What deserves a look: packages that are there in several versions.
    pub notes: Vec<String>,
}

/// Why dependencies could not be checked.
#[derive(Debug, Error)]
pub enum DenyError {
    /// `deny.toml` is missing or not as expected.
    #[error("deny.toml: {0}")]
    Rules(String),
    /// Cargo did not say what the workspace is built from.
    #[error("cargo: {0}")]
    Cargo(String),
}

#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    package: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Checks every package that is built for Linux on this kind of machine.
///
/// # Errors
/// [`DenyError`].
pub fn check(root: &Path) -> Result<Report, DenyError> {
    let text = std::fs::read_to_string(root.join("deny.toml"));
    let text = text.map_err(|error| DenyError::Rules(error.to_string()))?;
    let rules: Rules =
        toml::from_str(&text).map_err(|error| DenyError::Rules(error.to_string()))?;
    let metadata = cargo(root, &["metadata", "--format-version=1"])?;
    let metadata: Metadata =
        serde_json::from_slice(&metadata).map_err(|error| DenyError::Cargo(error.to_string()))?;
    // Metadata also names what no feature of ours turns on; the tree has what is really built.
    let tree = cargo(root, &["tree", "--workspace", "--prefix=none", "--format={p}"])?;
    Ok(compare(&rules, &metadata, &built(&String::from_utf8_lossy(&tree))))
}

/// Runs cargo without network: whoever checks the dependencies has built them.
fn cargo(root: &Path, arguments: &[&str]) -> Result<Vec<u8>, DenyError> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let place = if arguments.contains(&"tree") { "--target" } else { "--filter-platform" };
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline", place, &platform])
        .current_dir(root)
        .output()
        .map_err(|error| DenyError::Cargo(error.to_string()))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(DenyError::Cargo(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

/// Names and versions out of lines such as `serde v1.0.0 (proc-macro)`.
fn built(tree: &str) -> BTreeSet<(String, String)> {
    let package = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    tree.lines().filter_map(package).collect()
}

fn compare(rules: &Rules, metadata: &Metadata, built: &BTreeSet<(String, String)>) -> Report {
    let foreign = |package: &&Package| {
        let id = (package.name.clone(), package.version.clone());
        package.source.is_some() && built.contains(&id)
    };
    let mut report = Report::default();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in metadata.packages.iter().filter(foreign) {
        versions.entry(&package.name).or_default().push(&package.version);
        report.findings.extend(faults(rules, package));
    }
    for (name, versions) in versions.into_iter().filter(|(_, versions)| versions.len() > 1) {
        report.notes.push(format!("{name} is there as {}", versions.join(", ")));
    }
    report
}

fn faults(rules: &Rules, package: &Package) -> Vec<String> {
    let Package { name, version, .. } = package;
    let mut faults = Vec::new();
    if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.package == *name) {
        faults.push(format!("{name} {version} is banned: {}", ban.reason));
    }
    let source = package.source.as_deref().unwrap_or_default();
    let registry = source.strip_prefix("registry+").or(source.strip_prefix("sparse+"));
    if !registry.is_some_and(|registry| rules.sources.allow_registry.contains(registry)) {
        faults.push(format!("{name} {version} comes from {source}"));
    }
    let allowed = |licence: &str| {
        let mine = rules.licenses.exceptions.iter().filter(|exception| exception.package == *name);
        rules.licenses.allow.contains(licence)
            || mine.into_iter().any(|exception| exception.allow.contains(licence))
    };
    match package.license.as_deref() {
        Some(expression) if licence::allows(expression, &allowed) => {}
        Some(expression) => faults.push(format!("{name} {version} has the licence {expression}")),
        None => faults.push(format!("{name} {version} names no licence")),
    }
    faults
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn found(name: &str, license: Option<&str>, source: &str) -> Vec<String> {
        let rules: Rules = toml::from_str(
            "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"odd\", allow = [\"Zlib\"] }]\n\
             [bans]\ndeny = [{ crate = \"openssl\", reason = \"no\" }]\n\
             [sources]\nallow-registry = [\"https://github.com/rust-lang/crates.io-index\"]\n",
        )
        .unwrap();
        let package = |version: &str| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: license.map(str::to_owned),
            source: Some(source.to_owned()),
        };
        // The second is for another machine or a feature that is off.
        let metadata = Metadata { packages: vec![package("1.0.0"), package("2.0.0")] };
        let tree =
            format!("{name} v1.0.0 (proc-macro)\n{name} v1.0.0 (*)\n\nours v0.1.0 (/here)\n");
        compare(&rules, &metadata, &built(&tree)).findings
    }

    #[test]
    fn what_the_rules_allow_passes() {
        assert_eq!(found("a", Some("MIT OR Apache-2.0"), REGISTRY), [""; 0]);
        assert_eq!(found("odd", Some("Zlib"), REGISTRY), [""; 0]);
    }

    #[test]
    fn every_rule_about_dependencies_can_fail() {
        assert_eq!(found("openssl", Some("MIT"), REGISTRY), ["openssl 1.0.0 is banned: no"]);
        assert_eq!(found("a", Some("GPL-3.0"), REGISTRY), ["a 1.0.0 has the licence GPL-3.0"]);
        assert_eq!(found("a", Some("Zlib"), REGISTRY), ["a 1.0.0 has the licence Zlib"]);
        assert_eq!(found("a", None, REGISTRY), ["a 1.0.0 names no licence"]);
        let git = "git+https://example.org/a";
        assert_eq!(found("a", Some("MIT"), git), [format!("a 1.0.0 comes from {git}")]);
    }
}
