//! Keeps the rules of the house where a machine can check them.

pub mod deny;
pub mod tidy;
