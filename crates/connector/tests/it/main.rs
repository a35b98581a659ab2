//! Tries the webhook against a receiver that is really there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod receiver;
mod reversible;
mod services;
mod webhook;
