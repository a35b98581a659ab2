//! Leaves a process one file to read or none, one program to run, and the libraries that it is linked to.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};

/// Where shared libraries and their index are.
const LIBRARIES: [&str; 6] =
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"];

/// The loaders of dynamically linked programs: the kernel executes them beside the program.
const LOADERS: [&str; 4] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// The newest set of rights that is asked for; older kernels take away what they know.
const ASKED: ABI = ABI::V6;

/// Why the rights could not be taken away.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error(transparent)]
    Ruleset(#[from] landlock::RulesetError),
    #[error(transparent)]
    Path(#[from] landlock::PathFdError),
}

/// Restricts the calling thread and what it will execute; `false` if the kernel has no landlock.
///
/// The network and signals to others are refused too where the kernel's landlock knows them.
pub(super) fn restrict(input: Option<&Path>, program: &Path) -> Result<bool, FilesError> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let run: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::Execute;
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ASKED))?
        .handle_access(AccessNet::from_all(ASKED))?
        .scope(Scope::from_all(ASKED))?
        .create()?
        .add_rules(path_beneath_rules(LIBRARIES, read))?
        .add_rules(path_beneath_rules(LOADERS, run))?
        .add_rule(PathBeneath::new(PathFd::new(program)?, run))?;
    if let Some(input) = input {
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(input)?, AccessFs::ReadFile))?;
    }
    let status = ruleset.restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
