//! Pictures of a run: each number has one, far from all others.

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
