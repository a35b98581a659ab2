//! Shows the way out, the clients and the streams over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod host;
mod outbound;
mod peer;
mod program;
