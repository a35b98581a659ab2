//! The way out to the network for commands that talk to a node.

use std::{fs, path::PathBuf};

use watchfire_api::outbound::{Allowed, Outbound};

use crate::exit::{Failure, OrEnvironment};

/// Where the person at the keyboard may send a command: they chose the address.
pub(crate) const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The way out; `allow` names what may be reached besides the public internet, `roots` are files
/// with certificates that are trusted besides the system's.
pub(crate) fn way_out<T: AsRef<str>>(allow: &[T], roots: &[PathBuf]) -> Result<Outbound, Failure> {
    let allowed = Allowed::new(allow).or_environment("what may be reached")?;
    let mut certificates = Vec::new();
    for root in roots {
        certificates.push(fs::read(root).or_environment(root.display())?);
    }
    Outbound::new(allowed, &certificates).or_environment("the way to the network")
}
