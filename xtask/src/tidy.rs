//! Checks the rules of the house: what may use what, how files read, what documents promise.
//!
//! **Invariant:** a rule reads the repository and nothing else, so it can be tried on a small one.

mod arrows;
mod circles;
mod dependencies;
mod documents;
mod functions;
mod manifest;
mod markdown;
mod masked;
mod reading;
mod source;
mod walk;

use std::{fmt, io, path::Path, path::PathBuf};

use thiserror::Error;

pub use masked::masked;

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root of the repository.
    pub file: String,
    /// The line, counted from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong, as a sentence that says what to do.
    pub what: String,
}

/// Why the rules could not be checked.
#[derive(Debug, Error)]
pub enum TidyError {
    /// A file or folder could not be read.
    #[error("{path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A manifest is not TOML.
    #[error("{path}: {error}")]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Box<toml::de::Error>,
    },
}

/// Checks every rule on the repository at `root`. The findings are sorted.
///
/// # Errors
/// [`TidyError`] when the repository cannot be read.
pub fn check(root: &Path) -> Result<Vec<Finding>, TidyError> {
    let packages = manifest::packages(root)?;
    let sources = source::sources(root)?;
    let documents = documents::documents(root)?;
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(reading::check(source));
        findings.extend(functions::check(source));
    }
    findings.extend(circles::check(&sources));
    findings.extend(arrows::check(root, &packages)?);
    findings.extend(dependencies::check(root, &packages)?);
    findings.extend(documents::check(root, &documents));
    findings.sort();
    Ok(findings)
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Finding { file: file.into(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

fn read(path: &Path) -> Result<String, TidyError> {
    std::fs::read_to_string(path).map_err(|error| TidyError::Read { path: path.to_owned(), error })
}
