//! One life of a member's process, which ends at a crash or a stop.
//!
//! **Invariant:** after the end nothing of that life reaches disk, wire or platform.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use watchfire_node::Node;

/// Whether a process is alive, to be asked and waited for.
#[derive(Debug, Clone)]
pub struct Life(watch::Receiver<bool>);

impl Life {
    /// Whether it is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for its end.
    pub async fn ends(&self) {
        let mut alive = self.0.clone();
        // The sender is gone only where the process is.
        let _gone = alive.wait_for(|alive| !alive).await;
    }

    /// Returns while it lives; of a process that has ended nothing goes on.
    pub async fn goes_on(&self) {
        if !self.is_alive() {
            std::future::pending::<()>().await;
        }
    }
}

/// A process.
pub struct Process {
    alive: watch::Sender<bool>,
    node: OnceLock<Arc<Node>>,
}

impl Default for Process {
    fn default() -> Self {
        Self { alive: watch::Sender::new(true), node: OnceLock::new() }
    }
}

impl Process {
    /// Its life.
    #[must_use]
    pub fn life(&self) -> Life {
        Life(self.alive.subscribe())
    }

    /// The node that it runs, once that has started.
    #[must_use]
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.node.get().filter(|_| *self.alive.borrow())
    }

    /// Its node has started.
    pub fn runs(&self, node: Arc<Node>) {
        if !*self.alive.borrow() {
            node.kill();
        }
        // A process starts one node.
        let _first = self.node.set(node);
    }

    /// Its end.
    pub fn end(&self) {
        self.alive.send_replace(false);
        if let Some(node) = self.node.get() {
            node.kill();
        }
    }
}
