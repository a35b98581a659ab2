//! Tests what the index promises its users: recall, changes under readers, videos in time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commons;
mod concurrency;
mod conformance;
mod data;
mod flat;
mod memory;
mod moments;
mod recall;
mod scene;
mod snapshots;
mod sounds;
mod texts;
mod variants;
mod videos;
