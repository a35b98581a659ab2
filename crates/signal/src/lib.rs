//! What members say to each other: signals, distances, labels, records and their canonical bytes.
//!
//! **Invariant:** nothing here knows that logs, peers or networks exist.
//! **Invariant:** a record has exactly one encoding; every other byte string is refused.

pub mod digest;
pub mod hex;
pub mod pdq;
pub mod vpdq;
