//! Lists the files of the repository that rules look at.

use std::path::{Path, PathBuf};

use super::TidyError;

/// Folders that are not ours to check.
const SKIPPED: [&str; 4] = ["target", ".git", "node_modules", "data"];

/// All files below `folder` whose name ends with `ending`, sorted; no files when there is no such
/// folder.
pub(super) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, TidyError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        let failed = |error| TidyError::Read { path: folder.clone(), error };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The path from the root, with `/` between its parts.
pub(super) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
