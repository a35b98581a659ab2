//! One life of a member's process, which ends at a crash or a stop.
//!
//! **Invariant:** after the end nothing of that life reaches disk, wire or platform.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use watchfire_node::Node;

/// Whether a process is alive, to be asked and waited for.
#[derive(Debug, Clone)]
pub struct Life(CancellationToken);

impl Life {
    /// Whether it is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.0.is_cancelled()
    }

    /// Waits for its end.
    pub async fn ends(&self) {
        self.0.cancelled().await;
    }

    /// Returns while it lives; of a process that has ended nothing goes on.
    pub async fn goes_on(&self) {
        if !self.is_alive() {
            std::future::pending::<()>().await;
        }
    }
}

/// A process.
#[derive(Default)]
pub struct Process {
    over: CancellationToken,
    node: OnceLock<Arc<Node>>,
}

impl Process {
    /// Its life.
    #[must_use]
    pub fn life(&self) -> Life {
        Life(self.over.clone())
    }

    /// The node that it runs, once that has started.
    #[must_use]
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.node.get().filter(|_| !self.over.is_cancelled())
    }

    /// Its node has started.
    pub fn runs(&self, node: Arc<Node>) {
        if self.over.is_cancelled() {
            node.kill();
        }
        // A process starts one node.
        let _first = self.node.set(node);
    }

    /// Its end.
    pub fn end(&self) {
        self.over.cancel();
        if let Some(node) = self.node.get() {
            node.kill();
        }
    }
}
