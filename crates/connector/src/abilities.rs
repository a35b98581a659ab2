//! Says what each kind of connector can and cannot remove: `watchfire connectors` and
//! `docs/connectors.md` show it.

use serde::Serialize;

/// What one kind of connector does, in sentences for the people who choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Abilities {
    /// The word in the configuration.
    pub kind: &'static str,
    /// Ids of the items that it understands.
    pub items: &'static str,
    /// What it takes down, and how.
    pub removes: &'static str,
    /// What it takes back.
    pub restores: &'static str,
    /// How it looks whether that really happened.
    pub verifies: &'static str,
    /// What becomes of the same content when it is uploaded again.
    pub again: &'static str,
    /// What it cannot do.
    pub cannot: &'static str,
}

/// Of every kind, by name.
pub const ABILITIES: [Abilities; 3] = [
    Abilities {
        kind: "ozone",
        items: "at://DID/COLLECTION/RKEY for records, at://DID for accounts",
        removes: "records with all their blobs, by a take-down event; accounts, only with \
                  `accounts = true`",
        restores: "both, by a reversal; not what another moderator took down",
        verifies: "asks the AppView for posts and profiles without a login; of other records nothing is \
                   known",
        again: "the account's PDS refuses the same bytes; in other accounts, and edited, nothing \
                refuses them: atproto has no upload gate",
        cannot: "keep the raw record from being read in its repository (Ozone hides records by a \
                 label); reach an AppView or a PDS that does not obey this Ozone; delete",
    },
    Abilities {
        kind: "synapse",
        items: "mxc://SERVER/MEDIA for media, matrix:roomid/ROOM/e/EVENT for messages",
        removes: "media, by quarantine: nobody is served them any more, identical bytes neither; \
                  messages, by redaction, only with `redact = true` and by a rule that is \
                  `irreversible`",
        restores: "media, with all copies of the same bytes; not what another administrator \
                   quarantined",
        verifies: "downloads or reads as the ordinary account of `viewer_token_file`; of a message in \
                   a room that this account is not in, nothing is known",
        again: "identical bytes are accepted and never shown; with the upload gate of \
                examples/synapse-gate, edited copies too are refused",
        cannot: "undo a redaction; reach copies on other homeservers; see into files that clients \
                 encrypt; touch media that an administrator has protected",
    },
    Abilities {
        kind: "webhook",
        items: "any",
        removes: "what the platform's own remover removes (POST, Standard Webhooks, signed)",
        restores: "what the platform's own remover restores",
        verifies: "asks `verify_url` without credentials, as a visitor; without it the platform is \
                   believed",
        again: "the platform asks POST /v1/scan before it stores an upload",
        cannot: "do anything that the remover does not do",
    },
];
