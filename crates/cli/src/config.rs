//! The configuration of a node: one TOML file, read here and nowhere else.
//!
//! **Invariant:** an unknown field is an error, so that a misspelt one never goes unnoticed.
//! **Invariant:** every field stands with its comment in the file that `watchfire init` writes.

mod connector;

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};
use watchfire_node::{policy::Policy, seen::SeenLimits};
use watchfire_server::rates::Limits;
use watchfire_signal::name::MemberName;

pub(crate) use connector::{Connector, Ozone, Served, Synapse, Webhook};

/// The file that `watchfire init` writes, with its comments: the reference of all fields.
const TEMPLATE: &str = include_str!("config/template.toml");

/// Everything that a member configures.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Our name in the charter.
    pub member: MemberName,
    /// Whether a new charter is folded while the node goes on, which takes the memory of that twice.
    #[serde(default)]
    pub fold_beside: FoldBeside,
    /// Where we can be reached.
    pub listen: Listen,
    /// Connections that we open.
    #[serde(default)]
    pub outbound: Outbound,
    /// What removes and restores on our platform.
    #[serde(default)]
    pub webhook: Option<Webhook>,
    /// What removes and restores items whose ids begin in certain ways.
    #[serde(default)]
    pub connector: Vec<Served>,
    /// Limits on uploads.
    #[serde(default)]
    pub media: Media,
    /// How often callers may ask.
    #[serde(default)]
    pub limits: Limits,
    /// How much of what the platform holds is remembered.
    #[serde(default)]
    pub seen: SeenLimits,
    /// What we do about matches.
    #[serde(default)]
    pub policy: Policy,
}

/// Whether a new charter is folded while the node goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "fold_beside is true, false or \"auto\"")]
pub(crate) enum FoldBeside {
    /// Always, or never.
    Fixed(bool),
    /// As something else says.
    By(Chooser),
}

/// What says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Chooser {
    /// Where there is memory for it.
    Auto,
}

impl Default for FoldBeside {
    fn default() -> Self {
        Self::By(Chooser::Auto)
    }
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// Address and port to bind.
    pub addr: SocketAddr,
    /// Who ends TLS.
    pub tls: Tls,
    /// Addresses under which others reach us: scheme and authority, no slash at the end.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Certificate chain in PEM; only with `tls = "files"`.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Private key in PEM; only with `tls = "files"`.
    #[serde(default)]
    pub private_key: Option<PathBuf>,
}

/// Who ends TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tls {
    /// We do, with certificate and key from files.
    Files,
    /// A proxy before us does.
    Proxy,
    /// Nobody does; only on loopback.
    LoopbackPlain,
}

/// Connections that a node opens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outbound {
    /// Hosts, addresses and networks that may be reached besides the public internet.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Certificates in PEM that are trusted besides the system's.
    #[serde(default)]
    pub roots: Vec<PathBuf>,
}

/// Limits on uploads that are hashed here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    /// The largest upload in bytes.
    pub max_bytes: u64,
    /// Files that are hashed at the same time; others wait.
    pub at_once: usize,
    /// Memory for all uploads together, in bytes.
    pub memory_bytes: u64,
}

impl Default for Media {
    fn default() -> Self {
        Self { max_bytes: 512 << 20, at_once: 2, memory_bytes: 1 << 30 }
    }
}

/// What `watchfire init` knows of a new node.
#[derive(Debug, Clone)]
pub(crate) struct New<'a> {
    /// Its member's name.
    pub member: &'a MemberName,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it, if they can.
    pub address: Option<&'a str>,
}

impl Config {
    /// Reads a configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The commented text of a new node's configuration.
    pub(crate) fn text(new: &New<'_>) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let loopback = new.listen.ip().is_loopback();
        // An address of `https` in front of a loopback port is that of a proxy.
        let behind = new.address.is_some_and(|address| address.starts_with("https://"));
        let tls = if loopback && !behind { Tls::LoopbackPlain } else { Tls::Proxy };
        let tls = toml::Value::try_from(tls).map_or_else(|_| String::new(), |tls| tls.to_string());
        let addresses = new.address.map(quoted).unwrap_or_default();
        TEMPLATE
            .replace("@MEMBER@", &quoted(new.member.as_str()))
            .replace("@LISTEN@", &quoted(&new.listen.to_string()))
            .replace("@TLS@", &tls)
            .replace("@ADDRESSES@", &addresses)
            .replace("@ALLOW@", if loopback { "\"127.0.0.0/8\", \"::1\"" } else { "" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn text() -> String {
        let member = "tiktok".parse().unwrap();
        let listen = "127.0.0.1:7001".parse().unwrap();
        Config::text(&New { member: &member, listen, address: Some("http://127.0.0.1:7001") })
    }

    #[test]
    fn the_file_that_init_writes_is_read() {
        let config = Config::parse(&text()).unwrap();
        assert_eq!(config.member.as_str(), "tiktok");
        assert_eq!(config.listen.tls, Tls::LoopbackPlain);
        assert_eq!(config.listen.addresses, ["http://127.0.0.1:7001"]);
        assert_eq!(config.outbound.allow, ["127.0.0.0/8", "::1"]);
        assert_eq!(config.media, Media::default());
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.seen, SeenLimits::default());
        assert_eq!(config.policy, Policy::default());
        assert_eq!(config.fold_beside, FoldBeside::By(Chooser::Auto));
    }

    #[test]
    fn a_node_on_loopback_with_an_address_of_https_has_a_proxy_before_it() {
        let member = "forum".parse().unwrap();
        let listen = "127.0.0.1:7001".parse().unwrap();
        let address = Some("https://watchfire.forum.example");
        let config =
            Config::parse(&Config::text(&New { member: &member, listen, address })).unwrap();
        assert_eq!(config.listen.tls, Tls::Proxy);
    }

    #[test]
    fn every_field_stands_in_the_file_that_init_writes() {
        // Fields that are commented out become live, so that a misspelt one is an error here.
        let uncommented = text().lines().fold(String::new(), |mut all, line| {
            let bare = line.strip_prefix("#: ").unwrap_or(line);
            all.push_str(bare);
            all.push('\n');
            all
        });
        let config = Config::parse(&uncommented).unwrap();
        assert!(config.listen.certificate.is_some() && config.listen.private_key.is_some());
        let webhook = config.webhook.unwrap();
        assert!(webhook.verify_url.is_some() && !webhook.key_files.is_empty());
        let kinds: Vec<_> = config.connector.iter().map(|served| served.by.kind()).collect();
        assert_eq!(kinds, ["synapse", "ozone"]);
        assert!(config.connector.iter().all(|served| !served.items.is_empty()));
        assert_eq!(config.policy.trust.len(), 2);
    }

    #[test]
    fn folding_beside_is_a_word_or_a_choice() {
        let with = |value: &str| {
            let field = "#: fold_beside = \"auto\"";
            assert!(text().contains(field));
            Config::parse(&text().replace(field, &format!("fold_beside = {value}")))
        };
        for (value, wanted) in [
            ("true", FoldBeside::Fixed(true)),
            ("false", FoldBeside::Fixed(false)),
            ("\"auto\"", FoldBeside::default()),
        ] {
            assert_eq!(with(value).unwrap().fold_beside, wanted);
        }
        for value in ["\"yes\"", "1"] {
            let error = with(value).unwrap_err().to_string();
            assert!(error.contains("true, false or \"auto\""), "{error}");
        }
    }

    #[test]
    fn a_misspelt_field_is_an_error_that_names_it() {
        let error = Config::parse(&text().replace("addr =", "adr =")).unwrap_err();
        assert!(error.to_string().contains("adr"), "{error}");
        let connector = "\n[[connector]]\nname = \"m\"\nitems = [\"mxc://\"]\n\
            [connector.by.synapse]\nurl = \"http://h\"\n\
            moderator_token_file = \"a\"\nviewer_token_file = \"b\"\n";
        assert!(Config::parse(&(text() + connector)).is_ok());
        let error = Config::parse(&(text() + connector + "redacts = true\n")).unwrap_err();
        assert!(error.to_string().contains("redacts"), "{error}");
        let error = Config::parse(&(text() + &connector.replace("synapse", "synapps")));
        assert!(error.unwrap_err().to_string().contains("synapps"));
    }
}
