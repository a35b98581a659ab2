//! The outbox: what is to be done on the platform, each under a name that makes it happen once.

/// Something to do on the platform for one item because of one case. A ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The deterministic name (`docs/format.md`, section 11).
    pub name: [u8; 32],
    /// The connector that carries it out.
    pub connector: String,
    /// The platform's own id of the item.
    pub item: String,
    /// The action: `remove`, `restore`, ….
    pub action: String,
    /// The subject of the case that caused it.
    pub subject: [u8; 32],
    /// How often the item was acted on for this case before.
    pub round: u32,
    /// Lower goes first: 0 restores, then by severity.
    pub priority: u8,
    /// What the connector is told besides, as JSON.
    pub detail: Vec<u8>,
    /// When it was decided, in milliseconds since 1970.
    pub created_ms: u64,
    /// When to try next, in milliseconds since 1970.
    pub due_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it stands.
    pub state: EffectState,
    /// The last answer of the connector, for people.
    pub note: String,
}

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EffectState {
    /// To be tried when due.
    Pending,
    /// Carried out and verified.
    Done,
    /// Given up after the last attempt; a person can retry it.
    Dead,
    /// Overtaken before it was carried out.
    Cancelled,
}

/// What became of an attempt at an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The effect.
    pub name: [u8; 32],
    /// Where it stands now.
    pub state: EffectState,
    /// How often it was tried by now.
    pub attempts: u32,
    /// When to try next, if pending.
    pub due_ms: u64,
    /// The connector's answer.
    pub note: String,
}
