//! What a node answers over HTTP: each route reads a request, calls one verb of the node, writes the answer.
//!
//! **Invariant:** nothing is decided here; what a caller may do is said by its key, what a member may have by the node.
//! **Invariant:** whatever a caller sends is bounded before it is held, and every bound answers with its name.
//! **Invariant:** every error is a problem of RFC 9457.

pub mod answer;
mod caller;
pub mod connection;
mod cookie;
pub mod hashing;
mod input;
pub mod limits;
mod lines;
mod member;
mod open_files;
mod places;
pub mod rates;
mod routes;
mod said;
pub mod serve;
pub mod server;
mod texts;
pub mod tls;
pub mod views;

pub use routes::{openapi, router};
pub use serve::{Running, ServeError, serve, serve_on};
pub use server::{AddressError, Server};
pub use tls::{Tls, TlsError};
