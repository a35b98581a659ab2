//! Tests of the log as its users see it: one binary, a module a subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepted;
mod add_checkpoint;
mod audit;
mod book;
mod checkpoint;
mod extend;
mod frontier;
mod note;
mod proof;
mod tile;
mod vectors;
