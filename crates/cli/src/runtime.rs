//! The runtime that commands run on when they wait for a store or for the network.

use tokio::runtime::{Builder, Runtime};

use crate::exit::Failure;

/// Makes the runtime.
pub(crate) fn start() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// Runs one future to its end.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    Ok(start()?.block_on(future))
}
