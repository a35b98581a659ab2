//! The way out to the network for commands that talk to a node.

use std::{fs, path::PathBuf};

use url::{Host, Url};
use watchfire_api::outbound::{Allowed, Outbound, OutboundError, address_at, node_address};

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

/// The address of a member as charters have it, with a warning where what is said there goes in clear. It is signed, and
/// every node of the coalition reads it: a wrong one has to be found before that.
pub(crate) fn member_address(text: &str) -> Result<(String, Option<String>), OutboundError> {
    let url = node_address(text)?;
    let address = address_at(&url, "");
    let clear = (url.scheme() == "http" && !is_loopback(&url)).then(|| {
        format!(
            "{address} is no https address: what members and programs say to it goes in clear, and \
             anybody between can read it and keep it back"
        )
    });
    Ok((address, clear))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
