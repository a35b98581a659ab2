//! Checks that a connector keeps the contract of [`Connector`], against a platform that is really
//! there: what it says it did is looked at from outside.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use thiserror::Error;
use watchfire_node::connector::{Answer, Connector, ConnectorError, Order, Visibility};

/// How often a platform that has only accepted an order is looked at, and how long in between: what
/// it promised has to come true within half a minute.
const LOOKS: u32 = 300;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The platform under test, as its users and its owner know it.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Puts a new item there and answers its id.
    async fn upload(&self) -> String;

    /// Whether an ordinary user sees the item unchanged, found out without the connector.
    async fn shows(&self, item: &str) -> bool;

    /// An action that the platform refuses for good.
    fn refused_action(&self) -> &'static str;
}

/// Where a connector and the contract part.
#[derive(Debug, Error)]
#[error("{step}: expected {expected}, found {found}")]
pub struct Deviation {
    /// What was tried.
    pub step: &'static str,
    /// What the contract says.
    pub expected: String,
    /// What happened.
    pub found: String,
}

/// Runs every check. The platform is left with one visible item more.
///
/// # Errors
/// The first [`Deviation`].
pub async fn check(connector: &dyn Connector, platform: &dyn Platform) -> Result<(), Deviation> {
    let run = Run { connector, platform, accepted: AtomicBool::new(false) };
    let item = platform.upload().await;
    run.shown("an upload", &item, true).await?;

    let remove = order("conformance-remove-1", &item, "remove");
    run.enforced("remove", &remove, &[Answer::Done, Answer::Accepted]).await?;
    run.shown("remove", &item, false).await?;
    run.enforced("remove again under the same key", &remove, &[Answer::AlreadyDone]).await?;
    run.shown("remove again under the same key", &item, false).await?;

    let restore = order("conformance-restore-1", &item, "restore");
    run.undone("restore", &restore, &[Answer::Done, Answer::Accepted]).await?;
    run.shown("restore", &item, true).await?;
    run.undone("restore again under the same key", &restore, &[Answer::AlreadyDone]).await?;
    run.shown("restore again under the same key", &item, true).await?;

    run.enforced("a late repetition of the removal", &remove, &[Answer::AlreadyDone]).await?;
    run.shown("a late repetition of the removal", &item, true).await?;

    let again = order("conformance-remove-2", &item, "remove");
    run.enforced("remove under a new key", &again, &[Answer::Done, Answer::Accepted]).await?;
    run.shown("remove under a new key", &item, false).await?;
    let back = order("conformance-restore-2", &item, "restore");
    run.undone("restore under a new key", &back, &[Answer::Done, Answer::Accepted]).await?;
    run.shown("restore under a new key", &item, true).await?;

    let absent = format!("{item}-that-never-was");
    let gone = order("conformance-remove-3", &absent, "remove");
    run.enforced("remove what was never there", &gone, &[Answer::Gone]).await?;

    let refused = order("conformance-refused-1", &item, platform.refused_action());
    let answer = run.connector.enforce(&refused).await;
    if !matches!(answer, Ok(Answer::Refused(_))) {
        return Err(deviation("an action that the platform refuses", "Refused", &answer));
    }
    run.shown("an action that the platform refuses", &item, true).await
}

struct Run<'a> {
    connector: &'a dyn Connector,
    platform: &'a dyn Platform,
    /// Whether the platform has ever said "accepted": then it may take its time.
    accepted: AtomicBool,
}

impl Run<'_> {
    async fn enforced(
        &self,
        step: &'static str,
        order: &Order,
        right: &[Answer],
    ) -> Result<(), Deviation> {
        self.is_one_of(step, self.connector.enforce(order).await, right)
    }

    async fn undone(
        &self,
        step: &'static str,
        order: &Order,
        right: &[Answer],
    ) -> Result<(), Deviation> {
        self.is_one_of(step, self.connector.undo(order).await, right)
    }

    fn is_one_of(
        &self,
        step: &'static str,
        answer: Result<Answer, ConnectorError>,
        right: &[Answer],
    ) -> Result<(), Deviation> {
        match answer {
            Ok(answer) if right.contains(&answer) => {
                self.accepted.fetch_or(answer == Answer::Accepted, Ordering::Relaxed);
                Ok(())
            }
            other => Err(deviation(step, &format!("one of {right:?}"), &other)),
        }
    }

    async fn shown(&self, step: &'static str, item: &str, shown: bool) -> Result<(), Deviation> {
        if self.accepted.load(Ordering::Relaxed) {
            for _ in 1..LOOKS {
                if self.look(step, item, shown).await.is_ok() {
                    return Ok(());
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        }
        self.look(step, item, shown).await
    }

    /// The connector's own look and the look from outside must both say the same.
    async fn look(&self, step: &'static str, item: &str, shown: bool) -> Result<(), Deviation> {
        let seen = self.platform.shows(item).await;
        if seen != shown {
            return Err(deviation(step, &format!("shown to users: {shown}"), &seen));
        }
        let verified = self.connector.verify(item).await;
        let right = match &verified {
            Ok(Visibility::Unknown) => true,
            Ok(Visibility::Visible) => shown,
            Ok(Visibility::Hidden | Visibility::Gone) => !shown,
            Err(_) => false,
        };
        if right {
            Ok(())
        } else {
            Err(deviation(step, &format!("verified as visible: {shown}"), &verified))
        }
    }
}

fn deviation(step: &'static str, expected: &str, found: &impl std::fmt::Debug) -> Deviation {
    Deviation { step, expected: expected.to_owned(), found: format!("{found:?}") }
}

/// An order with nothing in its detail.
#[must_use]
pub fn order(key: &str, item: &str, action: &str) -> Order {
    Order {
        key: key.to_owned(),
        item: item.to_owned(),
        action: action.to_owned(),
        reversible: true,
        decided_ms: 0,
        detail: b"{}".to_vec(),
    }
}
