//! How often callers may ask: by key, by person, by address.

use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use serde::Deserialize;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_node::access::Caller;
use watchfire_node::desk::Actor;
use watchfire_node::rate::{Buckets, Network, Rate, Wait};

use crate::answer::Failure;
use crate::connection::Remote;

/// The `[limits]` of a node's configuration. Each answers 429 with its name and how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second with one API key: above what two cores can scan, so that one runaway program is held back
    /// and no honest one is.
    pub key_requests_a_second: u32,
    /// How many of them may come at once.
    pub key_burst: u32,
    /// Requests a second by one person, in all sessions together.
    pub person_requests_a_second: u32,
    /// How many of them may come at once: a console that opens.
    pub person_burst: u32,
    /// Requests a second from one address that name no key, no session and no member where one is needed, or a member
    /// that did not sign them.
    pub refused_requests_a_second: u32,
    /// How many of them may come at once.
    pub refused_burst: u32,
    /// Requests a second from one address to logs, which anyone may read.
    pub public_requests_a_second: u32,
    /// How many of them may come at once: a mirror that begins.
    pub public_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            key_requests_a_second: 50_000,
            key_burst: 100_000,
            person_requests_a_second: 50,
            person_burst: 300,
            refused_requests_a_second: 5,
            refused_burst: 100,
            public_requests_a_second: 500,
            public_burst: 5_000,
        }
    }
}

/// Whose bucket.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Asker {
    Key(String),
    Person(String),
    Refused(Network),
    Signed(Network),
    Public(Network),
}

/// The buckets of all callers.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    limits: Limits,
    buckets: Buckets<Asker>,
}

impl Rates {
    pub(crate) fn new(limits: Limits) -> Self {
        Rates { limits, buckets: Buckets::default() }
    }

    /// Counts a request by somebody who is known.
    pub(crate) fn known(&self, caller: &Caller, now_ms: u64) -> Result<(), Failure> {
        let limits = &self.limits;
        match &caller.actor {
            Actor::Key(name) => {
                let a_second = limits.key_requests_a_second;
                let asker = Asker::Key(name.clone());
                let rate = Rate::a_second(a_second, limits.key_burst);
                self.take(asker, rate, ("key_requests_a_second", a_second), now_ms)
            }
            Actor::Person(name) => {
                let a_second = limits.person_requests_a_second;
                let asker = Asker::Person(name.clone());
                let rate = Rate::a_second(a_second, limits.person_burst);
                self.take(asker, rate, ("person_requests_a_second", a_second), now_ms)
            }
            Actor::Node => Ok(()),
        }
    }

    /// Counts a request that is refused because nobody known asks.
    pub(crate) fn refused(&self, from: IpAddr, now_ms: u64) -> Result<(), Failure> {
        let a_second = self.limits.refused_requests_a_second;
        let rate = Rate::a_second(a_second, self.limits.refused_burst);
        let asker = Asker::Refused(Network::of(from));
        self.take(asker, rate, ("refused_requests_a_second", a_second), now_ms)
    }

    /// Counts a request whose signature is to be checked, until it is found good: checks that fail cost us more than
    /// they cost their sender. As many as of the public's requests, so that members behind the address of somebody who
    /// signs wrongly are heard until that one floods.
    pub(crate) fn signed(&self, from: IpAddr, now_ms: u64) -> Result<(), Failure> {
        let asker = Asker::Signed(Network::of(from));
        let a_second = self.limits.public_requests_a_second;
        self.take(asker, self.of_public(), ("public_requests_a_second", a_second), now_ms)
    }

    /// A signature was good: its request counts against nobody.
    pub(crate) fn believed(&self, from: IpAddr) {
        self.buckets.give_back(&Asker::Signed(Network::of(from)), self.of_public());
    }

    fn of_public(&self) -> Rate {
        Rate::a_second(self.limits.public_requests_a_second, self.limits.public_burst)
    }

    /// Counts a request of anybody to what is public.
    pub(crate) fn public(&self, from: IpAddr, now_ms: u64) -> Result<(), Failure> {
        let a_second = self.limits.public_requests_a_second;
        let rate = self.of_public();
        let asker = Asker::Public(Network::of(from));
        self.take(asker, rate, ("public_requests_a_second", a_second), now_ms)
    }

    fn take(
        &self,
        asker: Asker,
        rate: Rate,
        (name, value): (&'static str, u32),
        now_ms: u64,
    ) -> Result<(), Failure> {
        self.buckets
            .take(asker, rate, now_ms)
            .map_err(|wait| too_often(name, u64::from(value), wait))
    }
}

/// The problem of somebody who asks too often.
pub(crate) fn too_often(name: &'static str, value: u64, Wait(wait_ms): Wait) -> Failure {
    metrics::counter!("watchfire_requests_limited_total", "limit" => name).increment(1);
    let problem = Problem::limit(ProblemKind::TooMany, name, value);
    Failure(Problem { retry_after_s: Some(wait_ms.div_ceil(1000).max(1)), ..problem })
}

/// Where a request comes from: the other end of the connection, or, behind a proxy, whom the proxy names last. What
/// stands before that in the header may be anybody's invention.
pub(crate) fn address_of(parts: &Parts, behind_proxy: bool) -> IpAddr {
    let remote = parts.extensions.get::<Remote>().map(|remote| remote.0.ip());
    let remote = remote.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    if !behind_proxy {
        return remote;
    }
    let named = parts.headers.get_all("x-forwarded-for").iter().next_back();
    let named = named.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    named.and_then(|text| address_in(text.trim())).unwrap_or(remote)
}

/// An address as proxies write it, some of them with a port.
fn address_in(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|both| both.ip());
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_may_write_an_address_with_its_port() {
        for (written, address) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
        ] {
            assert_eq!(address_in(written), Some(address.parse().unwrap()), "{written}");
        }
        for nothing in ["", "unknown", "_hidden", "192.0.2.1:", "2001:db8::1]"] {
            assert_eq!(address_in(nothing), None, "{nothing}");
        }
    }
}
