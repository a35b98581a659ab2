//! The seam to a platform: what carries out an action there, and says whether it really happened.

use async_trait::async_trait;
use thiserror::Error;

/// Carries out actions on a platform. Implementations live in the `connector` crate.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Carries out an action on an item. `order.key` makes a repeated call harmless.
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError>;

    /// Looks whether the item can be seen by an ordinary user. A `200` to [`Connector::enforce`]
    /// is not proof.
    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError>;

    /// Takes an action back.
    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError>;
}

/// One thing to do on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The idempotency key: the effect's name in hexadecimal.
    pub key: String,
    /// The platform's own id of the item.
    pub item: String,
    /// `remove`, `restore`, ….
    pub action: String,
    /// Whether the platform must be able to take it back: out of sight, not destroyed.
    pub reversible: bool,
    /// When it was decided, in milliseconds since 1970.
    pub decided_ms: u64,
    /// Reasons for people and the platform's records, as JSON.
    pub detail: Vec<u8>,
}

/// What a platform answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It will be done; verify later.
    Accepted,
    /// It is done.
    Done,
    /// It had been done under this key before.
    AlreadyDone,
    /// The platform has no such item (any more).
    Gone,
    /// Not now; try after so many milliseconds.
    RetryAfter(u64),
    /// The platform refuses for good.
    Refused(String),
}

/// What an ordinary user sees of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// It is there.
    Visible,
    /// It is out of sight.
    Hidden,
    /// It does not exist.
    Gone,
    /// This connector has no way to look.
    Unknown,
}

/// Why a platform could not be asked; the order is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConnectorError(pub String);
