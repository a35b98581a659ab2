//! The faults that a run can have, each counted when it really happened.
//!
//! **Invariant:** a fault is counted where it takes effect, never where it is planned.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a write is for: a crash is possible before each and after it, before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Write {
    /// Our own statement.
    Publish,
    /// A line of the desk log.
    Desk,
    /// More of a copied log.
    Copy,
    /// Effects that begin.
    Decide,
    /// What became of effects.
    Settle,
    /// An entry ahead of its turn, kept or forgotten.
    Early,
    /// Other rows.
    Rows,
    /// Items of the seen table.
    Seen,
    /// A missing record.
    Fill,
    /// An erased record.
    Erase,
}

impl Write {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Publish,
        Self::Desk,
        Self::Copy,
        Self::Decide,
        Self::Settle,
        Self::Early,
        Self::Rows,
        Self::Seen,
        Self::Fill,
        Self::Erase,
    ];
}

/// A named place at which a process can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Before a write of this kind reaches the disk.
    Before(Write),
    /// After it did, and before its writer is told.
    After(Write),
}

impl Point {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Write::ALL.into_iter().flat_map(|write| [Self::Before(write), Self::After(write)])
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(write) => write!(f, "crash before {write:?}"),
            Self::After(write) => write!(f, "crash after {write:?}"),
        }
    }
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it, and docs/sim.md has a table")]
pub enum Fault {
    Crash(Point),
    CrashAtAnyTime,
    CrashInStart,
    WriteLost,
    WriteUnanswered,
    WriteTorn,
    DiskFull,
    DiskSlow,
    ClockSetBack,
    ClockSkewed,
    HoursPass,
    Delayed,
    RequestLost,
    AnswerLost,
    FrameLost,
    FrameDoubled,
    FrameReordered,
    BodyWithheld,
    RequestReplayed,
    Partitioned,
    CutOneWay,
    HalfOpen,
    PlatformBusy,
    PlatformDeaf,
    PlatformAnswerLost,
    LogForked,
    LogShrunk,
    WrongKey,
    LeafUncovered,
    LeafForged,
    FrameOversized,
    Flood,
    DatedAhead,
    FalseHeads,
    ForeignLeaf,
    BackupRestored,
    CharterTurned,
    CopyCut,
    MemberJoined,
    MemberBack,
    NumbersProposed,
    OwnerProposed,
    GroupProposed,
    OwnKeyProposed,
    KeyTakenProposed,
    LeaveProposed,
    ReturnProposed,
    RoleProposed,
    VariantAdded,
    OutOfRole,
    MemberHalted,
    MemberSuspended,
    StopWithdrawn,
    IncidentDeclared,
    DrillDeclared,
    IncidentCosigned,
    IncidentUpdated,
    IncidentNamed,
    IncidentConcluded,
    IncidentWordErased,
    IncidentRefused,
    IncidentInForce,
    IncidentLapsed,
    IncidentQuiet,
    ActedInIncident,
}

impl Fault {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let plain = [
            Self::CrashAtAnyTime,
            Self::CrashInStart,
            Self::WriteLost,
            Self::WriteUnanswered,
            Self::WriteTorn,
            Self::DiskFull,
            Self::DiskSlow,
            Self::ClockSetBack,
            Self::ClockSkewed,
            Self::HoursPass,
            Self::Delayed,
            Self::RequestLost,
            Self::AnswerLost,
            Self::FrameLost,
            Self::FrameDoubled,
            Self::FrameReordered,
            Self::BodyWithheld,
            Self::RequestReplayed,
            Self::Partitioned,
            Self::CutOneWay,
            Self::HalfOpen,
            Self::PlatformBusy,
            Self::PlatformDeaf,
            Self::PlatformAnswerLost,
            Self::LogForked,
            Self::LogShrunk,
            Self::WrongKey,
            Self::LeafUncovered,
            Self::LeafForged,
            Self::FrameOversized,
            Self::Flood,
            Self::DatedAhead,
            Self::FalseHeads,
            Self::ForeignLeaf,
            Self::BackupRestored,
            Self::CharterTurned,
            Self::CopyCut,
            Self::MemberJoined,
            Self::MemberBack,
            Self::NumbersProposed,
            Self::OwnerProposed,
            Self::GroupProposed,
            Self::OwnKeyProposed,
            Self::KeyTakenProposed,
            Self::LeaveProposed,
            Self::ReturnProposed,
            Self::RoleProposed,
            Self::VariantAdded,
            Self::OutOfRole,
            Self::MemberHalted,
            Self::MemberSuspended,
            Self::StopWithdrawn,
            Self::IncidentDeclared,
            Self::DrillDeclared,
            Self::IncidentCosigned,
            Self::IncidentUpdated,
            Self::IncidentNamed,
            Self::IncidentConcluded,
            Self::IncidentWordErased,
            Self::IncidentRefused,
            Self::IncidentInForce,
            Self::IncidentLapsed,
            Self::IncidentQuiet,
            Self::ActedInIncident,
        ];
        Point::all().map(Self::Crash).chain(plain).collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Crash(point) = self {
            return point.fmt(f);
        }
        // `WriteTorn` reads as "write torn".
        for (place, letter) in format!("{self:?}").chars().enumerate() {
            if letter.is_uppercase() && place > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}", letter.to_lowercase())?;
        }
        Ok(())
    }
}

/// How often each fault happened.
pub type Counts = BTreeMap<Fault, u64>;

/// Counts faults. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Counts>>);

impl Faults {
    /// One happened.
    pub fn fired(&self, fault: Fault) {
        *self.counts().entry(fault).or_default() += 1;
    }

    /// How often each happened so far.
    #[must_use]
    pub fn counted(&self) -> Counts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
