//! Writes into the desk log which person or program of this member had something said to the coalition.
//!
//! **Invariant:** what is said at somebody's word has its line: that it is owed one becomes durable with it, and goes with
//! the line. What the node says by itself has none.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use watchfire_signal::verb::Verb;
use watchfire_store::{Row, Store, Table};

use crate::{
    desk::{Actor, Deed, Desk, DeskKind, Line, WriteError},
    sequence::{Published, SequenceError},
};

/// Lines that are owed: index in our log → who said what.
const SAID: Table = Table::Ledger("said");
/// Lines that are written in one go.
const PAGE: usize = 256;
/// How long lines are gathered: what is owed is durable, and each transaction delays alerts.
const GATHER: Duration = Duration::from_millis(200);
/// How long to wait after a line could not be written.
const PAUSE: Duration = Duration::from_secs(1);

/// The body of a line: what was said, and where it stands in this member's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// What kind of statement.
    pub verb: String,
    /// The index in our log.
    pub index: u64,
    /// The name of the record.
    pub record: String,
}

impl Deed for Said {
    const KIND: DeskKind = DeskKind::Said;
}

#[derive(Serialize, Deserialize)]
struct Owed {
    by: Actor,
    said: Said,
}

/// What becomes durable with something that is said.
pub(crate) fn row(by: Actor, verb: Verb, published: Published) -> Row {
    let Published { commitment, index } = published;
    let said = Said { verb: verb.to_string(), index, record: commitment.to_string() };
    let value = serde_json::to_vec(&Owed { by, said }).unwrap_or_default();
    Row { table: SAID, key: index.to_be_bytes().to_vec(), value: Some(value) }
}

/// Writes the lines that are owed, from the last run of the node too.
pub(crate) struct Scribe {
    /// The desk log.
    pub(crate) desk: Desk,
    /// Where what is owed is kept.
    pub(crate) store: Arc<dyn Store>,
    /// Told when something was said.
    pub(crate) more: Arc<Notify>,
}

impl Scribe {
    /// Writes for ever.
    pub(crate) async fn run(self) {
        loop {
            match self.write_some().await {
                Ok(PAGE) => {}
                Ok(_) => {
                    self.more.notified().await;
                    tokio::time::sleep(GATHER).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "who said something is not in the desk log yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn write_some(&self) -> Result<usize, WriteError> {
        let rows = self.store.rows(SAID, &[], PAGE).await.map_err(SequenceError::Store)?;
        let found = rows.len();
        let lines = rows.into_iter().map(|(key, value)| {
            let owed: Owed = serde_json::from_slice(&value)
                .map_err(|error| WriteError::Body(format!("a row of said: {error}")))?;
            let written = Row { table: SAID, key, value: None };
            Ok(Line::new(&owed.by, &owed.said)?.rows([written]))
        });
        // All at once: the sequencer makes one transaction of what it has.
        let lines = lines.collect::<Result<Vec<_>, WriteError>>()?;
        try_join_all(lines.into_iter().map(|line| self.desk.write(line))).await?;
        Ok(found)
    }
}
