//! The runtime that commands run on when they wait for a store or for the network.

use std::{future::pending, io, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::exit::Failure;

/// Makes the runtime.
pub(crate) fn start() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// How long threads that are still at work may hold up the end of a node, which has stopped all that it knows of.
const LEAVE: Duration = Duration::from_secs(1);

/// Runs a node to its end. Threads that are at work then do not hold it up: what was acknowledged is durable.
pub(crate) fn run_node<F: Future>(node: F) -> Result<F::Output, Failure> {
    let runtime = start()?;
    let ended = runtime.block_on(node);
    runtime.shutdown_timeout(LEAVE);
    Ok(ended)
}

/// Runs one future to its end.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    Ok(start()?.block_on(future))
}

/// Asks to stop, SIGINT and SIGTERM, heeded from the moment that this is made.
pub(crate) struct Stops {
    interrupted: Signal,
    terminated: Signal,
}

impl Stops {
    /// Heeds them: made before anybody can talk to us, so that none of them ends us without a word.
    pub(crate) fn heeded() -> io::Result<Self> {
        let (interrupted, terminated) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupted, terminated })
    }

    /// Waits for one.
    pub(crate) async fn asked(mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
        }
    }
}

/// Waits until this process is asked to stop.
pub(crate) async fn stopped() -> io::Result<()> {
    Stops::heeded()?.asked().await;
    Ok(())
}

/// Waits until standard input ends, if it is watched: whoever started us is gone then.
pub(crate) async fn input_ended(watched: bool) {
    if !watched {
        return pending().await;
    }
    let (ended, wait) = oneshot::channel();
    // A thread of its own: a read of standard input cannot be cancelled, and must not hold up our end.
    std::thread::spawn(move || {
        let _copied = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // Nobody waits any more: we are ending anyway.
        let _told = ended.send(());
    });
    let _ended = wait.await;
}
