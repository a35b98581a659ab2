//! How many files and sockets the system lets this process have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What is not for connections: the database, decoders, connections to peers and platforms.
const FOR_OTHERS: u64 = 256;

/// How many connections there may be at a time. Raises the limit of this process as far as it may go first: what is
/// usual at logins is a thousand.
pub(crate) fn for_connections() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::debug!(%error, "the limit of open files stays"),
        }
    }
    let Some(most) = limit.current else { return usize::MAX };
    let most = usize::try_from(most.saturating_sub(FOR_OTHERS).max(most / 2)).unwrap_or(usize::MAX);
    if most < crate::limits::CONNECTIONS.value {
        tracing::warn!(connections = most, "few files may be open: raise the limit (ulimit -n)");
    }
    most
}
