//! What a member does: says things in its log, copies and folds those of others, judges uploads,
//! takes down and restores.
//!
//! **Invariant:** nothing here knows HTTP; peers, platforms, clock and store come in as traits.
//! **Invariant:** a verb does not call another verb; `follow` and `scan` are the compositions.

pub mod access;
pub mod anchor;
pub mod audit;
pub mod backtest;
pub mod banks;
pub mod benign;
pub mod breaker;
pub mod bring;
pub mod budget;
pub mod cases;
pub mod charter;
pub mod clock;
pub mod connector;
pub mod content;
pub mod contradictions;
pub mod cosigner;
pub mod deliver;
pub mod desk;
pub mod effective;
pub mod enforce;
pub mod events;
pub mod evidence;
pub mod facts;
pub mod fetch;
pub mod few;
pub mod follow;
pub mod gossip;
pub mod halts;
pub mod heads;
pub mod hold;
pub mod holds;
pub mod incidents;
pub mod judge;
pub mod known;
pub mod late;
mod live;
pub mod looks;
pub mod near;
pub mod node;
pub mod outcomes;
pub mod peer;
pub mod people;
pub mod place;
pub mod policies;
pub mod policy;
pub mod proof;
pub mod publish;
pub mod raise;
pub mod rate;
pub mod reasons;
pub mod receipts;
pub mod recover;
pub mod replicate;
pub mod review;
pub mod room;
pub mod routes;
pub mod said;
pub mod scan;
pub mod seen;
pub mod sequence;
pub mod sightings;
pub mod spent;
pub mod standing;
pub mod upload;
pub mod urgent;
mod waiting;
pub mod witness;

pub use watchfire_store::{Effect, EffectState, StoreError};

pub use node::{
    AlertView, Handover, NewIncident, Node, OfIncident, Preflight, PrepareError, Prepared,
    PromoteError, Readiness, Setup, StartError, StopMember, action,
};
