//! Which known signals are near this one: exact maps, Hamming search over 256-bit hashes, videos in time, texts by k-grams.
//!
//! **Invariant:** nothing here knows a log, a peer or a verdict.
//! **Invariant:** a search finds every stored hash within its distance; speed never costs recall.
//! **Invariant:** readers never wait for writers; what `insert` returned from is found by the next search.

mod align;
mod exact_index;
pub mod flat;
mod frames;
mod hash_index;
mod memory;
mod moments;
mod owners;
mod sound_index;
mod text_index;
mod variant;

pub use align::{
    Aligned, MAX_SPEED, MIN_ALIGNED_FRAMES, MIN_SPEED, MatchRule, Pair, SAME_FRAME_BITS, align,
    align_pairs,
};
pub use exact_index::ExactIndex;
pub use frames::{
    COMMON_CLUSTERS, CROWD_VIDEOS, Commons, FoundVideos, FrameIndex, Source, VideoMatch,
};
pub use hash_index::{Found, HashIndex, Level, SnapshotError};
pub use moments::{EditedVideo, KnownVideo, MomentIndex, MomentSearch};
pub use sound_index::{SoundIndex, SoundMatch};
pub use text_index::{TextIndex, TextMatch};
pub use variant::{
    Agreement, Bare, FoundVariants, Full, Limits as VariantLimits, MIN_INLIERS, Part, SecondLook,
    Transform, VariantDecision, VariantIndex, VariantMatch,
};
