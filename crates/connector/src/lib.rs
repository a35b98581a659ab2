//! Carries take-downs and restores out on platforms, a file a kind of platform.
//!
//! **Invariant:** implements [`watchfire_node::connector::Connector`] and decides nothing.
//! **Invariant:** every request goes out through [`watchfire_api::outbound`].

pub mod abilities;
pub mod conformance;
pub mod json_api;
pub mod ozone;
pub mod pause;
pub mod receiver;
mod segment;
pub mod standard_webhook;
pub mod synapse;
pub mod webhook;
