//! Tests of a node as a whole, and of its pure parts over many inputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod banks;
mod coalition;
mod desk;
mod faulty;
mod fold;
mod outbox;
mod policy;
mod recovery;
mod replicate;
mod review;
mod seen;
mod story;
mod unreachable;
mod workshop;
