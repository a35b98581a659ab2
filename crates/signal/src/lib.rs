//! What members say to each other: signals, distances, labels, records and their canonical bytes.
//!
//! **Invariant:** nothing here knows that logs, peers or networks exist.
//! **Invariant:** a record has exactly one encoding; every other byte string is refused.

pub mod alert;
mod cbor;
pub mod charter;
pub mod code;
pub mod commitment;
pub mod contradiction;
pub mod desk;
pub mod digest;
pub mod effect;
pub mod features;
mod floor;
pub mod header;
pub mod hex;
pub mod incident;
pub mod label;
pub mod link;
pub mod name;
pub mod pdq;
pub mod reason;
pub mod record;
pub mod sound_print;
pub mod statement;
pub mod text;
pub mod text_print;
pub mod tlp;
pub mod value;
pub mod verb;
pub mod vpdq;

pub use cbor::CborError;
pub use floor::{MIN_DISTINCT_FRAMES, MIN_DISTINCT_ITEMS, MIN_SURE_FEATURES};
