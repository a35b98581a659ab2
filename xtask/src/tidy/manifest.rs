//! Reads what the manifests say about packages and what they depend on.

use std::{collections::BTreeSet, path::Path};

use toml::{Table, Value};

use super::{TidyError, read, walk};

/// A package of the workspace.
#[derive(Debug)]
pub(super) struct Package {
    /// The manifest, from the root.
    pub(super) manifest: String,
    /// The crate's short name: `node` for `watchfire-node`, the folder's name for others.
    pub(super) name: String,
    /// What it is built from.
    pub(super) dependencies: BTreeSet<String>,
    /// What its tests and build script need besides.
    pub(super) test_dependencies: BTreeSet<String>,
}

/// What the names of our packages begin with.
pub(super) const PREFIX: &str = "watchfire-";

/// The packages under `crates/`, and `xtask`.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>, TidyError> {
    let mut packages = Vec::new();
    for folder in ["crates", "xtask"] {
        for path in walk::files(&root.join(folder), "Cargo.toml")? {
            let table = table(&path)?;
            let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
            packages.push(Package {
                manifest: walk::shown(root, &path),
                name: folder.to_string_lossy().into_owned(),
                dependencies: names(&table, &["dependencies"]),
                test_dependencies: names(&table, &["dev-dependencies", "build-dependencies"]),
            });
        }
    }
    Ok(packages)
}

/// What the root manifest offers to all packages.
pub(super) fn workspace_dependencies(root: &Path) -> Result<BTreeSet<String>, TidyError> {
    let table = table(&root.join("Cargo.toml"))?;
    let workspace = table.get("workspace").and_then(Value::as_table);
    Ok(workspace.map(|workspace| names(workspace, &["dependencies"])).unwrap_or_default())
}

fn table(path: &Path) -> Result<Table, TidyError> {
    read(path)?
        .parse()
        .map_err(|error| TidyError::Manifest { path: path.to_owned(), error: Box::new(error) })
}

/// The names under the given tables, also under `target.*`.
fn names(table: &Table, kinds: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let targets = table.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    for table in std::iter::once(table).chain(targets) {
        for kind in kinds {
            let found = table.get(*kind).and_then(Value::as_table);
            names.extend(found.into_iter().flat_map(Table::keys).cloned());
        }
    }
    names
}
