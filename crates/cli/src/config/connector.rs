//! The part of the configuration that says who removes and restores which items.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use watchfire_node::budget::{self, Budget};

/// A connector and the items that it serves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Served {
    /// Its name: orders are queued by it, and people read it.
    pub name: String,
    /// How the ids begin that it serves.
    pub items: Vec<String>,
    /// The connector.
    pub by: Connector,
}

/// A connector of some kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Connector {
    /// An atproto network.
    Ozone(Ozone),
    /// A Matrix homeserver.
    Synapse(Synapse),
    /// A remover of one's own.
    Webhook(Webhook),
}

/// An atproto network, through its moderation service Ozone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ozone {
    /// The moderator's PDS.
    pub pds_url: String,
    /// What ordinary users read from.
    pub appview_url: String,
    /// Ozone's DID.
    pub ozone_did: String,
    /// Handle or DID of the moderator.
    pub moderator: String,
    /// The file with its app password.
    pub password_file: PathBuf,
    /// Whether whole accounts are taken down.
    #[serde(default)]
    pub accounts: bool,
    /// Orders under way at once.
    #[serde(default = "at_once")]
    pub at_once: usize,
    /// Orders in any minute; as many as fit when absent.
    #[serde(default)]
    pub orders_a_minute: Option<u32>,
    /// Seconds that an order may wait for its turn before a person is told.
    #[serde(default = "within_s")]
    pub within_s: u64,
}

/// A Matrix homeserver that runs Synapse.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Synapse {
    /// Its address.
    pub url: String,
    /// The file with an administrator's access token.
    pub moderator_token_file: PathBuf,
    /// The file with an ordinary account's access token.
    pub viewer_token_file: PathBuf,
    /// Whether messages are redacted, by rules that are irreversible.
    #[serde(default)]
    pub redact: bool,
    /// Orders under way at once.
    #[serde(default = "at_once")]
    pub at_once: usize,
    /// Orders in any minute; as many as fit when absent.
    #[serde(default)]
    pub orders_a_minute: Option<u32>,
    /// Seconds that an order may wait for its turn before a person is told.
    #[serde(default = "within_s")]
    pub within_s: u64,
}

/// The platform's remover.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// Where orders are posted.
    pub url: String,
    /// Where an ordinary user would see an item; `{item}` stands for its id.
    #[serde(default)]
    pub verify_url: Option<String>,
    /// Files with the keys that orders are signed with; several during a rotation.
    pub key_files: Vec<PathBuf>,
    /// Orders under way at once.
    #[serde(default = "at_once")]
    pub at_once: usize,
    /// Orders in any minute; as many as fit when absent.
    #[serde(default)]
    pub orders_a_minute: Option<u32>,
    /// Seconds that an order may wait for its turn before a person is told.
    #[serde(default = "within_s")]
    pub within_s: u64,
}

fn at_once() -> usize {
    budget::AT_ONCE
}

fn within_s() -> u64 {
    budget::WITHIN.as_secs()
}

impl Connector {
    /// The word in the configuration.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Connector::Ozone(_) => "ozone",
            Connector::Synapse(_) => "synapse",
            Connector::Webhook(_) => "webhook",
        }
    }

    /// What the platform may be asked.
    pub(crate) fn budget(&self) -> Budget {
        let (at_once, orders_a_minute, within_s) = match self {
            Connector::Ozone(by) => (by.at_once, by.orders_a_minute, by.within_s),
            Connector::Synapse(by) => (by.at_once, by.orders_a_minute, by.within_s),
            Connector::Webhook(by) => (by.at_once, by.orders_a_minute, by.within_s),
        };
        Budget { at_once, orders_a_minute, within: Duration::from_secs(within_s) }
    }
}
