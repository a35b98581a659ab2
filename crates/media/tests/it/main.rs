//! Tests of the decoders against data that others published, and against hostile input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod animations;
mod benign;
mod corpus;
mod features;
mod hostile_pictures;
mod odd_times;
mod pictures;
mod sandbox;
mod streams;
mod videos;
