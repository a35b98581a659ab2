//! Shows what a node answers over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
