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
    /// Cargo or `Cargo.lock` did not say what the workspace is built from.
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

/// `Cargo.lock`, which alone says where every package comes from.
#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

/// A package that is really built.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: String,
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
    let lock = std::fs::read_to_string(root.join("Cargo.lock"));
    let lock = lock.map_err(|error| DenyError::Cargo(error.to_string()))?;
    let lock: Lock = toml::from_str(&lock).map_err(|error| DenyError::Cargo(error.to_string()))?;
    Ok(compare(&rules, &lock, &built(&tree(root)?)))
}

/// What is built on this machine with our features, a package a line. Runs without network:
/// whoever checks the dependencies has built them.
fn tree(root: &Path) -> Result<String, DenyError> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--prefix=none", "--format={p}|{l}"])
        .args(["--locked", "--offline", "--target", &platform])
        .current_dir(root)
        .output()
        .map_err(|error| DenyError::Cargo(error.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(DenyError::Cargo(text(&output.stderr)))
    }
}

/// Reads lines such as `serde v1.0.0 (proc-macro)|MIT OR Apache-2.0 (*)`.
fn built(tree: &str) -> BTreeSet<Package> {
    let package = |line: &str| {
        let (id, license) = line.trim_end_matches(" (*)").split_once('|')?;
        let mut words = id.split(' ');
        Some(Package {
            name: words.next()?.to_owned(),
            version: words.next()?.strip_prefix('v')?.to_owned(),
            license: license.to_owned(),
        })
    };
    tree.lines().filter_map(package).collect()
}

fn compare(rules: &Rules, lock: &Lock, built: &BTreeSet<Package>) -> Report {
    let mut report = Report::default();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in built {
        let locked = |one: &&Locked| one.name == package.name && one.version == package.version;
        let Some(source) = lock.package.iter().find(locked).and_then(|one| one.source.as_ref())
        else {
            // Without a source it is one of ours.
            continue;
        };
        versions.entry(&package.name).or_default().push(&package.version);
        report.findings.extend(faults(rules, package, source));
    }
    for (name, versions) in versions.into_iter().filter(|(_, versions)| versions.len() > 1) {
        report.notes.push(format!("{name} is there as {}", versions.join(", ")));
    }
    report
}

fn faults(rules: &Rules, package: &Package, source: &str) -> Vec<String> {
    let Package { name, version, .. } = package;
    let mut faults = Vec::new();
    if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.package == *name) {
        faults.push(format!("{name} {version} is banned: {}", ban.reason));
    }
    let registry = source.strip_prefix("registry+").or(source.strip_prefix("sparse+"));
    if !registry.is_some_and(|registry| rules.sources.allow_registry.contains(registry)) {
        faults.push(format!("{name} {version} comes from {source}"));
    }
    let allowed = |licence: &str| {
        let mine = rules.licenses.exceptions.iter().filter(|exception| exception.package == *name);
        rules.licenses.allow.contains(licence)
            || mine.into_iter().any(|exception| exception.allow.contains(licence))
    };
    if package.license.is_empty() {
        faults.push(format!("{name} {version} names no licence"));
    } else if !licence::allows(&package.license, &allowed) {
        faults.push(format!("{name} {version} has the licence {}", package.license));
    }
    faults
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn found(name: &str, license: &str, source: &str) -> Vec<String> {
        let rules: Rules = toml::from_str(
            "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"odd\", allow = [\"Zlib\"] }]\n\
             [bans]\ndeny = [{ crate = \"openssl\", reason = \"no\" }]\n\
             [sources]\nallow-registry = [\"https://github.com/rust-lang/crates.io-index\"]\n",
        )
        .unwrap();
        // The second is for another machine or a feature that is off.
        let locked = |version: &str| {
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n"
            )
        };
        let ours = "[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n";
        let lock = toml::from_str(&[&locked("1.0.0"), &locked("2.0.0"), ours].concat()).unwrap();
        let tree = format!(
            "{name} v1.0.0 (proc-macro)|{license}\n{name} v1.0.0|{license} (*)\n\nours v0.1.0 (/here)|\n"
        );
        compare(&rules, &lock, &built(&tree)).findings
    }

    #[test]
    fn what_the_rules_allow_passes() {
        assert_eq!(found("a", "MIT OR Apache-2.0", REGISTRY), [""; 0]);
        assert_eq!(found("odd", "Zlib", REGISTRY), [""; 0]);
    }

    #[test]
    fn every_rule_about_dependencies_can_fail() {
        assert_eq!(found("openssl", "MIT", REGISTRY), ["openssl 1.0.0 is banned: no"]);
        assert_eq!(found("a", "GPL-3.0", REGISTRY), ["a 1.0.0 has the licence GPL-3.0"]);
        assert_eq!(found("a", "Zlib", REGISTRY), ["a 1.0.0 has the licence Zlib"]);
        assert_eq!(found("a", "", REGISTRY), ["a 1.0.0 names no licence"]);
        let git = "git+https://example.org/a";
        assert_eq!(found("a", "MIT", git), [format!("a 1.0.0 comes from {git}")]);
    }
}
