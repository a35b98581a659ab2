//! Many nodes in one process under one seed: wire, clocks and disks that fail, a member that lies, and an
//! oracle that says what must not happen (`docs/sim.md`).
//!
//! **Invariant:** a run depends on its options alone: the same seed gives the same trace.
//! **Invariant:** what is simulated is the node itself; only what lies behind its seams is not real.

pub mod cast;
pub mod chance;
pub mod disk;
pub mod fault;
pub mod host;
pub mod liar;
pub mod many;
pub mod member;
pub mod oracle;
mod panics;
pub mod papers;
pub mod pictures;
pub mod platform;
pub mod process;
pub mod run;
pub mod time;
pub mod trace;
pub mod wire;
pub mod world;

use thiserror::Error;

pub use many::{Sum, run_many};
pub use run::{Outcome, run};

/// Steps of a run, unless others are asked for.
pub const STEPS: u32 = 60;

/// What decides a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many things happen.
    pub steps: u32,
    /// What is wrong with a node on purpose.
    pub mutant: Option<Mutant>,
    /// Whether every line of the trace is printed.
    pub aloud: bool,
}

impl Options {
    /// A run of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self { seed, steps: STEPS, mutant: None, aloud: false }
    }
}

/// A mistake made on purpose, which the oracle must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The first member's disk acknowledges statements and loses some.
    ForgetsStatements,
    /// The first member's disk keeps what was erased.
    KeepsErased,
    /// The first member does not see retractions of others.
    IgnoresRetractions,
    /// The clock of the first member stands still.
    StoppedClock,
    /// Members give records to whoever asks.
    LeaksRecords,
    /// The first member's platform says that it shows things again, and shows none before the run's end.
    KeepsDown,
    /// The first member's platform says that it has hidden things, and hides none.
    HidesNothing,
    /// Members do not compare what they hold.
    NoGossip,
    /// The first member never gets a record of another.
    LosesRecords,
    /// The first member neither hears of charters nor tells of them.
    NoCharters,
    /// The first member's disk acknowledges what it votes for as a charter, and keeps none of that.
    ForgetsVotes,
    /// The first member's disk keeps of each charter one approval.
    LosesApprovals,
    /// The first member does not see who agrees with an incident.
    IgnoresAgreement,
    /// The first member takes whoever says anything of an incident for one who agrees with it.
    SeesAgreement,
    /// The one that lies approves two charters of one number, each of which enough others have approved, and shows one to
    /// some and the other to the others.
    TwoCharters,
    /// The first member stays cut off when all others are connected again.
    StaysCut,
    /// Nobody starts the first member's node again once it has ended.
    StaysDown,
    /// A task panics.
    Panics,
}

/// The simulation itself does not work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the simulation is broken: {0}")]
pub struct Broken(pub String);

/// Whatever goes wrong with the simulation ends the run.
macro_rules! breaks {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Broken {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })+
    };
}

breaks!(
    std::io::Error,
    watchfire_store::StoreError,
    watchfire_store::CommitError,
    watchfire_tlog::SourceError,
    watchfire_tlog::origin::OriginError,
    watchfire_node::publish::PublishError,
    watchfire_node::raise::RaiseError,
);
