//! Tells public addresses from those that only our own network should reach.
//!
//! Source: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// IPv4 networks that are not the public internet, with the length of their prefix.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this host
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, with the metadata services of clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // former 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved and broadcast
];

/// IPv6 networks inside 2000::/3 that are not the public internet. Outside of 2000::/3 nothing is.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4, which carries any IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether an address belongs to the public internet. An IPv4 address in IPv6 clothes (mapped, or behind NAT64) is
/// judged as the IPv4 address that it reaches.
pub fn is_public(ip: IpAddr) -> bool {
    match plain(ip) {
        IpAddr::V4(ip) => {
            !SPECIAL_V4.iter().any(|(network, length)| within_v4(ip, *network, *length))
        }
        IpAddr::V6(ip) => {
            within_v6(ip, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
                && !SPECIAL_V6.iter().any(|(network, length)| within_v6(ip, *network, *length))
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, where it stands for one.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    match v6.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => ip,
    }
}

fn within_v4(ip: Ipv4Addr, network: Ipv4Addr, length: u32) -> bool {
    (ip.to_bits() ^ network.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0
}

fn within_v6(ip: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    (ip.to_bits() ^ network.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0
}

/// What may be reached besides public addresses: hosts by name and networks. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    hosts: Vec<String>,
    networks: Vec<(IpAddr, u32)>,
}

/// Text that is neither a host, nor an address, nor a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no host, address or network such as 10.1.0.0/16")]
pub struct AllowedError(pub String);

impl Allowed {
    /// Reads entries of the configuration: `127.0.0.1`, `10.1.0.0/16`, `fd00::/8`, `receiver.internal`.
    ///
    /// # Errors
    /// [`AllowedError`] with the first entry that is none of these.
    pub fn new<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, AllowedError> {
        let mut allowed = Allowed::default();
        for entry in entries {
            allowed.add(entry.as_ref())?;
        }
        Ok(allowed)
    }

    fn add(&mut self, entry: &str) -> Result<(), AllowedError> {
        let error = || AllowedError(entry.to_owned());
        let (address, length) = match entry.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (entry, None),
        };
        match (IpAddr::from_str(address), length) {
            (Ok(ip), length) => {
                let most = if ip.is_ipv4() { 32 } else { 128 };
                let length = match length {
                    Some(text) => text.parse().ok().filter(|length| *length <= most),
                    None => Some(most),
                };
                self.networks.push((ip, length.ok_or_else(error)?));
                Ok(())
            }
            // Through `url`, so that it has the form in which hosts of addresses are compared.
            (Err(_), None) => match url::Host::parse(entry) {
                Ok(url::Host::Domain(host)) => {
                    self.hosts.push(host);
                    Ok(())
                }
                _ => Err(error()),
            },
            (Err(_), Some(_)) => Err(error()),
        }
    }

    /// Whether a connection to `ip` may be opened, which `host` led to if there was a name.
    pub fn may_reach(&self, host: Option<&str>, ip: IpAddr) -> bool {
        let named =
            host.is_some_and(|host| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)));
        let plain = plain(ip);
        let within = |(network, length): &(IpAddr, u32)| match (plain, network) {
            (IpAddr::V4(ip), IpAddr::V4(network)) => within_v4(ip, *network, *length),
            (IpAddr::V6(ip), IpAddr::V6(network)) => within_v6(ip, *network, *length),
            _ => false,
        };
        named || self.networks.iter().any(within) || is_public(ip)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_our_own_networks_are_not_public() {
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip(special)), "{special}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "193.0.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(ip(public)), "{public}");
        }
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let allowed =
            Allowed::new(["127.0.0.1", "10.1.0.0/16", "fd00::/8", "Receiver.internal"]).unwrap();
        for (host, address, may) in [
            (None, "127.0.0.1", true),
            (None, "127.0.0.2", false),
            (None, "::ffff:127.0.0.1", true),
            (None, "10.1.255.1", true),
            (None, "10.2.0.1", false),
            (None, "fd12::1", true),
            (None, "fe80::1", false),
            (None, "::1", false),
            (Some("receiver.internal"), "192.168.0.9", true),
            (Some("evil.receiver.internal"), "192.168.0.9", false),
            (Some("evil.example"), "127.0.0.1", true),
            (Some("evil.example"), "192.168.0.9", false),
            (Some("example.com"), "1.1.1.1", true),
        ] {
            assert_eq!(allowed.may_reach(host, ip(address)), may, "{host:?} {address}");
        }
    }

    #[test]
    fn everything_may_be_allowed_and_nonsense_may_not() {
        assert!(Allowed::new(["0.0.0.0/0"]).unwrap().may_reach(None, ip("10.0.0.1")));
        for bad in ["10.0.0.0/33", "10.0.0.0/x", "a b", "host/8", "", "fd00::/129", "1.2.3"] {
            assert!(Allowed::new([bad]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_the_address_it_reaches(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(is_public(IpAddr::V6(v4.to_ipv6_mapped())), is_public(IpAddr::V4(v4)));
        }
    }
}
