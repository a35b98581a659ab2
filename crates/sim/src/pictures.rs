//! Pictures of a run, each far from all others, and the items that show them.

use watchfire_node::clock::Random;
use watchfire_signal::{pdq::Pdq, value::Signal};

use crate::chance::Chance;

/// The fingerprint of a picture, the same in every run.
#[must_use]
pub fn picture(number: u64) -> Signal {
    let mut hash = [0; 32];
    Chance::new(number, "picture").fill(&mut hash);
    Signal { quality: Some(100), ..Signal::new(Pdq(hash)) }
}

/// An item on a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// The number of its picture.
    pub picture: u64,
    /// Whether users do not see it.
    pub hidden: bool,
}
