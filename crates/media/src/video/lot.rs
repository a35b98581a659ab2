//! Draws by lot at which moments an upload is looked at.
//!
//! Whoever knows these moments can cut a harmless frame into each, and hide everything else.
//! **Invariant:** what is drawn depends on a secret and on all bytes, so no answer about one file tells anything about
//! another one.

use std::hash::BuildHasher as _;
use std::hash::RandomState;

/// Frames a second that are looked at.
pub const LOOKS_A_SECOND: u32 = 2;

/// What lots are drawn by. The same bytes have the same lot for as long as this lives.
#[derive(Debug, Clone, Default)]
pub struct Secret(RandomState);

impl Secret {
    /// The lot of a file.
    pub(super) fn of(&self, bytes: &[u8]) -> Lot {
        Lot::from(self.0.hash_one(bytes))
    }
}

/// At which moments one video is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lot(u32);

impl Lot {
    /// The lot of a stream, whose bytes are not known yet: another one each time.
    pub(super) fn of_a_stream() -> Self {
        Self::from(RandomState::new().hash_one(()))
    }

    /// The number of the part that a time is in, for ffmpeg. Each second has two: one from its beginning, as references
    /// that others make at one frame a second have it, and one from a moment in its middle half that is drawn. References
    /// of ours have every frame.
    pub(super) fn part(self, time: &str) -> String {
        let Self(lot) = self;
        // Registers: the time, its second, and a number of which the fraction is anybody's guess.
        let drawn = format!("sin(ld(1)*12.9898+{lot}/65536)*43758.5453");
        let moment = "0.25+0.5*(ld(2)-floor(ld(2)))";
        format!(
            "(st(0,{time}+0.0005);st(1,floor(ld(0)));st(2,{drawn});2*ld(1)+gte(ld(0)-ld(1),{moment}))"
        )
    }
}

impl From<u64> for Lot {
    fn from(hash: u64) -> Self {
        Self((hash >> 32) as u32)
    }
}
