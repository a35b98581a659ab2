//! Tests of a node as a whole, and of its pure parts over many inputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod banks;
mod breaker;
mod charters;
mod coalition;
mod copies;
mod desk;
mod disputes;
mod epochs;
mod equivocation;
mod faulty;
mod flood;
mod fold;
mod halts;
mod incidents;
mod logs;
mod marks;
mod outbox;
mod poisoning;
mod policies;
mod policy;
mod policy_file;
mod preflight;
mod proof;
mod quotas;
mod recovery;
mod replicate;
mod review;
mod routes;
mod scenarios;
mod seen;
mod story;
mod unreachable;
mod urgent;
mod words;
mod workshop;
