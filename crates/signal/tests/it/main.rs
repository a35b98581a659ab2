//! Checks the formats that members must agree on: one encoding, read strictly, whatever comes in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod any;
mod charters;
mod corpus;
mod desk;
mod features;
mod forged;
mod golden;
mod hostile;
mod json;
mod limits;
mod links;
mod lists;
mod marks;
mod one_encoding;
mod records;
mod text_forms;
mod texts;
mod tree;
mod ways;
