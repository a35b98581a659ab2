//! Keys and accounts of a member whose node is stopped: the same verbs, with a writer of the desk log
//! that lives as long as they need it. Whoever calls holds the data directory's lock.

use std::sync::Arc;

use watchfire_signal::name::LogName;
use watchfire_store::{Store, StoreError};
use watchfire_tlog::OwnKey;

use super::Access;
use crate::{
    clock::{Clock, Random},
    desk::{Desk, Stamp, desk_origin},
    replicate::load_verified,
    sequence::Sequencer,
};

/// A stopped member's keys, accounts and desk log.
pub struct Offline {
    /// Keys and accounts.
    pub access: Arc<Access>,
    /// The desk log.
    pub desk: Desk,
}

/// Opens them; needs a tokio runtime around it, on which the writer runs until both are dropped.
///
/// # Errors
/// The store's.
pub async fn offline(
    store: Arc<dyn Store>,
    log: &LogName,
    key: Arc<OwnKey>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Offline, StoreError> {
    let origin = desk_origin(log).map_err(StoreError::Failed)?;
    let verified = load_verified(&*store, &origin, &key.public()).await?;
    let (desk, lines) = Desk::new(origin.clone(), key.public(), store.clone());
    let sequencer = Sequencer {
        origin,
        key,
        sealer: Stamp { clock: clock.clone(), random: random.clone() },
        frontier: verified.frontier().clone(),
        store: store.clone(),
        clock: clock.clone(),
    };
    tokio::spawn(sequencer.run(lines));
    let access = Access::load(store, desk.clone(), clock, random).await?;
    Ok(Offline { access, desk })
}
