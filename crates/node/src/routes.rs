//! Which connector serves an item, by how the item's id begins.
//!
//! **Invariant:** an item has one connector at most: the one with the longest prefix that fits.
//! **Invariant:** an item that nobody serves is refused in words, never said to be done.

use std::{cmp::Reverse, collections::BTreeSet};

use async_trait::async_trait;
use thiserror::Error;
use watchfire_store::Effect;

use crate::{
    connector::{Answer, Connector, ConnectorError, Order, Visibility},
    hold::RESTORE,
};

/// The name under which orders are queued that no connector serves: they are refused in words, and
/// a person can have them tried again once somebody does.
pub const NOBODY: &str = "nobody";

/// The names of connectors, and the items that each of them serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Beginning of ids and connector, the longest beginning first.
    beginnings: Vec<(String, String)>,
    names: BTreeSet<String>,
}

/// Two connectors want the same items.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("two connectors serve the items that begin with `{0}`")]
pub struct RouteError(pub String);

impl Routes {
    /// One connector serves every item.
    #[must_use]
    pub fn all_to(name: &str) -> Self {
        Self { beginnings: vec![(String::new(), name.to_owned())], names: [name.to_owned()].into() }
    }

    /// Has a connector serve the items whose ids begin with `prefix`; the empty one fits all.
    ///
    /// # Errors
    /// [`RouteError`] when another one has this prefix.
    pub fn add(&mut self, prefix: &str, name: &str) -> Result<(), RouteError> {
        if self.beginnings.iter().any(|(taken, _)| taken == prefix) {
            return Err(RouteError(prefix.to_owned()));
        }
        self.beginnings.push((prefix.to_owned(), name.to_owned()));
        self.beginnings.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        self.names.insert(name.to_owned());
        Ok(())
    }

    /// Whether nobody serves anything: nothing is queued then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.beginnings.is_empty()
    }

    /// The connector that serves an item, or [`NOBODY`].
    #[must_use]
    pub fn of(&self, item: &str) -> &str {
        let found = self.beginnings.iter().find(|(prefix, _)| item.starts_with(prefix));
        found.map_or(NOBODY, |(_, name)| name)
    }

    /// The connector that had an item in its hands before, if there is still one of this name;
    /// otherwise the one that serves the item.
    #[must_use]
    pub fn same(&self, before: &str, item: &str) -> &str {
        if let Some(name) = self.names.get(before) { name } else { self.of(item) }
    }

    /// The connector of an order that is tried again: a restore stays where the item was taken down.
    #[must_use]
    pub fn again(&self, effect: &Effect) -> &str {
        match self.of(&effect.item) {
            serving if effect.action != RESTORE && serving != NOBODY => serving,
            _ => self.same(&effect.connector, &effect.item),
        }
    }
}

/// Refuses the orders that no connector serves.
pub struct Nobody;

impl Nobody {
    fn refusal() -> Answer {
        Answer::Refused("no connector of the configuration serves this item".to_owned())
    }
}

#[async_trait]
impl Connector for Nobody {
    async fn enforce(&self, _order: &Order) -> Result<Answer, ConnectorError> {
        Ok(Self::refusal())
    }

    async fn verify(&self, _item: &str) -> Result<Visibility, ConnectorError> {
        Ok(Visibility::Unknown)
    }

    async fn undo(&self, _order: &Order) -> Result<Answer, ConnectorError> {
        Ok(Self::refusal())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn three() -> Routes {
        let mut routes = Routes::default();
        routes.add("mxc://", "matrix").unwrap();
        routes.add("mxc://own.example/", "own").unwrap();
        routes.add("matrix:", "matrix").unwrap();
        routes
    }

    #[test]
    fn the_longest_beginning_that_fits_decides() {
        let mut routes = three();
        assert_eq!(routes.of("mxc://own.example/1"), "own");
        assert_eq!(routes.of("mxc://other.example/1"), "matrix");
        assert_eq!(routes.of("matrix:room"), "matrix");
        assert_eq!(routes.of("clip-3"), NOBODY);
        routes.add("", "webhook").unwrap();
        assert_eq!(routes.of("clip-3"), "webhook");
    }

    #[test]
    fn two_connectors_for_the_same_items_are_refused() {
        let mut routes = three();
        assert_eq!(routes.add("mxc://", "other"), Err(RouteError("mxc://".to_owned())));
        assert!(Routes::default().is_empty() && !routes.is_empty());
    }

    #[test]
    fn a_connector_that_is_gone_is_followed_by_the_one_that_serves_the_item() {
        let routes = three();
        assert_eq!(routes.same("own", "mxc://other.example/1"), "own");
        assert_eq!(routes.same("gone", "mxc://other.example/1"), "matrix");
        assert_eq!(routes.same("gone", "clip-3"), NOBODY);
        assert_eq!(Routes::all_to("one").of("anything"), "one");
    }
}
