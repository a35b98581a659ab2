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
pub const ABILITIES: [Abilities; 2] = [
    Abilities {
        kind: "synapse",
        items: "mxc://SERVER/MEDIA for media, matrix:roomid/ROOM/e/EVENT for messages",
        removes: "media, by quarantine: nobody is served them any more, identical bytes neither; \
                  messages, by redaction, only with `redact = true`",
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
