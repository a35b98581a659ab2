//! Tries connectors against platforms that are really there, each test against its own.
//!
//! These tests need what `scripts/services.sh install` installs; `make test` runs it, and them. Plain
//! `cargo nextest run` leaves them out (`.config/nextest.toml`).

mod ozone;
mod receivers;
mod service;
mod synapse;
mod transcript;
