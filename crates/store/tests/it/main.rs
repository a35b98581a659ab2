//! The stores against the contract, against killed processes and against disks that forget.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alike;
mod audit;
mod disk;
mod kill;
mod power;
mod sqlite;
mod stores;
mod writing;
