//! Shows what a node answers over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod actions;
mod audit;
mod banks;
mod callers;
mod decoders;
mod document;
mod edited;
mod house;
mod incidents;
mod limits;
mod logs;
mod media;
mod moving;
mod people;
mod policy;
mod preflight;
mod proofs;
mod quorums;
mod seen;
mod story;
mod tls;
mod witness;
mod words;
