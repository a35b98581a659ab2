//! Turns the bytes of a picture or a video into signals; the only decoder of foreign media.
//!
//! **Invariant:** input is hostile: every refusal is an error, nothing panics, hangs or grows without limit.
//! **Invariant:** the bytes end here; nothing keeps them or sends them on.

pub mod animation;
pub mod canvas;
pub mod edits;
pub mod features;
pub mod format;
mod grey;
pub mod hash;
pub mod pdq;
pub mod picture;
pub mod regions;
pub mod sandbox;
mod simd;
pub mod video;
