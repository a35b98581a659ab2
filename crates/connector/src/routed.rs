//! Hands each order to the connector that serves the item, by how the item's id begins.
//!
//! **Invariant:** an item has one connector at most: the one with the longest prefix that fits.
//! **Invariant:** an item that nobody serves is refused in words, never said to be done.

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use watchfire_node::connector::{Answer, Connector, ConnectorError, Order, Visibility};

/// Several connectors as one.
#[derive(Default)]
pub struct Routed {
    /// The longest prefix first.
    routes: Vec<(String, Arc<dyn Connector>)>,
}

/// Two connectors want the same items.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("two connectors serve the items that begin with `{0}`")]
pub struct RouteError(pub String);

impl Routed {
    /// Has a connector serve the items whose ids begin with `prefix`; the empty one fits all.
    ///
    /// # Errors
    /// [`RouteError`] when another one has this prefix.
    pub fn add(&mut self, prefix: &str, connector: Arc<dyn Connector>) -> Result<(), RouteError> {
        if self.routes.iter().any(|(taken, _)| taken == prefix) {
            return Err(RouteError(prefix.to_owned()));
        }
        self.routes.push((prefix.to_owned(), connector));
        self.routes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    fn of(&self, item: &str) -> Option<&dyn Connector> {
        let found = self.routes.iter().find(|(prefix, _)| item.starts_with(prefix));
        found.map(|(_, connector)| &**connector)
    }
}

fn nobody() -> Answer {
    Answer::Refused("no connector of the configuration serves this item".to_owned())
}

#[async_trait]
impl Connector for Routed {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        match self.of(&order.item) {
            Some(connector) => connector.enforce(order).await,
            None => Ok(nobody()),
        }
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        match self.of(item) {
            Some(connector) => connector.verify(item).await,
            None => Ok(Visibility::Unknown),
        }
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        match self.of(&order.item) {
            Some(connector) => connector.undo(order).await,
            None => Ok(nobody()),
        }
    }
}
