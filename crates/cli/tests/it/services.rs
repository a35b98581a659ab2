//! Real nodes with real platforms: what an alert does to an upload, and to a copy that is there.
//!
//! These tests need what `scripts/services.sh install` installs; `make test` runs it, and them. Plain
//! `cargo nextest run` leaves them out (`.config/nextest.toml`).

mod matrix;
#[path = "../../../connector/tests/it/services/service.rs"]
mod service;
