//! What goes over HTTP between people, programs and members: wire types, frames, signatures, clients, and the way out.
//!
//! **Invariant:** every connection that the workspace opens to another host is opened by [`outbound`].
//! **Invariant:** what a peer sends is read here and believed nowhere here: [`watchfire_tlog`] verifies it.

pub mod client;
pub mod frame;
pub mod outbound;
pub mod peer;
pub mod problem;
pub mod signature;
pub mod wire;
