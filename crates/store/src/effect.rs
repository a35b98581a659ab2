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
    /// The signal set of that case that caused it: the commitment of the record that brought it.
    pub record: [u8; 32],
    /// How often the item was acted on for this case before.
    pub round: u32,
    /// Lower goes first: 0 restores, then by severity.
    pub priority: u8,
    /// Whether the platform must be able to take it back.
    pub reversible: bool,
    /// What the connector is told besides, as JSON.
    pub detail: Vec<u8>,
    /// When it was decided, in milliseconds since 1970.
    pub created_ms: u64,
    /// When to try next, in milliseconds since 1970.
    pub due_ms: u64,
    /// How often an attempt was begun; 0: the platform never heard of it.
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
    /// No longer wanted when its turn came. With attempts begun before, it may have happened.
    Cancelled,
    /// Given up by a person.
    Dropped,
}

/// What became of an attempt at an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The effect.
    pub name: [u8; 32],
    /// Where it stands now.
    pub state: EffectState,
    /// How often an attempt was begun by now.
    pub attempts: u32,
    /// When to try next, if pending.
    pub due_ms: u64,
    /// The connector's answer.
    pub note: String,
    /// The connector that carries it out from now on, if another one.
    pub connector: Option<String>,
}

/// What waits in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Effects that are pending.
    pub pending: u64,
    /// Effects that were given up after the last attempt and wait for a person.
    pub dead: u64,
    /// When the oldest pending effect was decided, in milliseconds since 1970.
    pub oldest_pending_ms: Option<u64>,
}

/// Which pending effects of a connector get their first turn too late: those that were never tried
/// and either were decided too long ago or have too many before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateOrders {
    /// The connector.
    pub connector: String,
    /// The latest decision that is too long ago, in milliseconds since 1970.
    pub decided_ms: u64,
    /// How many pending effects can be met in time, in order of priority, then of age; `None`: all.
    pub met: Option<u64>,
}

/// On how many items effects of a case were carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaseCounts {
    /// Items of which a take-down was carried out.
    pub removed: u64,
    /// Items of which a restore was carried out.
    pub restored: u64,
}
