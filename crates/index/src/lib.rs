//! Which known signals are near this one: exact maps, Hamming search over 256-bit hashes, videos in time.
//!
//! **Invariant:** nothing here knows a log, a peer or a verdict.
//! **Invariant:** a search finds every stored hash within its distance; speed never costs recall.
//! **Invariant:** readers never wait for writers; what `insert` returned from is found by the next search.

mod exact_index;
mod hash_index;

pub use exact_index::ExactIndex;
pub use hash_index::{Found, HashIndex};
