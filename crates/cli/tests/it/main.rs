//! The program as its users run it: exit codes, data directories, real nodes, and the short demo.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod actions;
mod audits;
mod backlog;
mod banks;
mod bench;
mod charters;
mod coalition;
mod commons;
mod crash;
mod demo;
mod edits;
mod evidence;
mod handover;
mod hash;
#[allow(dead_code, reason = "the tests of the server use the rest of it")]
#[path = "../../../server/tests/it/house.rs"]
mod house;
mod kills;
mod live;
mod machine;
mod moving;
mod newcomer;
mod nodes;
mod overtaking;
mod platform;
mod policy;
mod program;
mod proof;
mod reference;
mod scenarios;
mod services;
mod small;
mod sound;
mod trio;
mod wire;
