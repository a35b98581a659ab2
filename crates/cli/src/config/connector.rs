//! The part of the configuration that says who removes and restores which items.

use std::path::PathBuf;

use serde::Deserialize;

use super::Webhook;

/// A connector and the items that it serves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Served {
    /// Its name, for people.
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
    /// Whether messages are redacted.
    #[serde(default)]
    pub redact: bool,
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
}
