//! What the platform already holds: every scanned item with its signals, searched when an alert
//! comes.
//!
//! **Invariant:** an item is findable here before its own lookup begins, and a signal is findable
//! in [`Known`](crate::known::Known) before this table is searched for it, so no copy slips
//! between an upload and an alert.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use minicbor::{Decoder, Encoder};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use watchfire_signal::{
    name::ItemId,
    value::{Kind, Signal, Value, ValueOrBlob},
};
use watchfire_store::{SeenItem, Store, StoreError};

use crate::near::{Hit, Near, Whose};

/// Items that can wait to be written; a scan waits for room only beyond that.
pub const QUEUE: usize = 65_536;
/// Items in one transaction: few enough that an alert's commit never waits long behind one.
pub const MAX_GROUP: usize = 256;
/// How long a group gathers. A crash can lose the items of this window, no more; the platform's
/// next scan of them brings them back.
pub const WINDOW: Duration = Duration::from_millis(50);
/// Items read at once at start.
const PAGE: usize = 10_000;

/// An item with its signals.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The platform's own id.
    pub id: ItemId,
    /// When it was scanned, in milliseconds since 1970.
    pub seen_ms: u64,
    /// Its signals.
    pub signals: Vec<Signal>,
}

/// The seen table.
pub struct Seen {
    near: Near<u64>,
    items: papaya::HashMap<u64, Arc<Item>>,
    rows: papaya::HashMap<ItemId, u64>,
    next: AtomicU64,
    queue: mpsc::Sender<Message>,
    store: Arc<dyn Store>,
}

enum Message {
    Keep(SeenItem),
    Flush(oneshot::Sender<()>),
}

/// Items on their way to the store.
pub struct Unwritten(mpsc::Receiver<Message>);

impl Seen {
    /// Loads what the store holds.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is [`StoreError::Corrupt`].
    pub async fn load(
        store: Arc<dyn Store>,
        seed: [u8; 32],
        least_matched_ms: u32,
    ) -> Result<(Self, Unwritten), StoreError> {
        let (queue, unwritten) = mpsc::channel(QUEUE);
        let seen = Self {
            near: Near::new(seed, least_matched_ms),
            items: papaya::HashMap::new(),
            rows: papaya::HashMap::new(),
            next: AtomicU64::new(1),
            queue,
            store,
        };
        let mut after = 0;
        loop {
            let page = seen.store.seen(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (row, stored) in page {
                let item = Item::from_stored(&stored)
                    .map_err(|error| StoreError::Corrupt(format!("seen row {row}: {error}")))?;
                seen.insert(item);
            }
        }
        Ok((seen, Unwritten(unwritten)))
    }

    /// Makes an item findable; one of the same id is replaced. Not durable yet: [`Seen::keep`].
    /// Answers whether the id was known before.
    pub fn insert(&self, item: Item) -> bool {
        let row = self.next.fetch_add(1, Ordering::Relaxed);
        let id = item.id.clone();
        for signal in &item.signals {
            self.near.insert(row, signal);
        }
        self.items.pin().insert(row, Arc::new(item));
        let before = self.rows.pin().insert(id, row).copied();
        if let Some(before) = before {
            self.drop_row(before);
        }
        before.is_some()
    }

    /// Has an item written with the next group.
    pub async fn keep(&self, item: &Item) {
        // The receiver lives as long as the node; at its end there is nothing to keep any more.
        let _stopping = self.queue.send(Message::Keep(item.to_stored())).await;
    }

    /// Waits until what was kept so far is durable.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // The writer answers or is gone; either way there is nothing more to wait for.
            let _written = written.await;
        }
    }

    /// Forgets an item that was not accepted after all, and was never kept.
    pub fn withdraw(&self, id: &ItemId) {
        if let Some(row) = self.rows.pin().remove(id).copied() {
            self.drop_row(row);
        }
    }

    /// Forgets an item that the platform deleted; false if it was not known.
    ///
    /// # Errors
    /// The store's; the item is then still there.
    pub async fn forget(&self, id: &ItemId) -> Result<bool, StoreError> {
        let known = self.store.seen_remove(id.as_str()).await?;
        let in_memory = self.rows.pin().get(id).is_some();
        self.withdraw(id);
        Ok(known || in_memory)
    }

    /// An item by its id.
    #[must_use]
    pub fn item(&self, id: &ItemId) -> Option<Arc<Item>> {
        let row = self.rows.pin().get(id).copied()?;
        self.items.pin().get(&row).cloned()
    }

    /// Items near a signal, with how they match.
    #[must_use]
    pub fn search(&self, signal: &Signal) -> Vec<(Arc<Item>, Hit<u64>)> {
        let items = self.items.pin();
        let found = self.near.search(signal, Whose::Query);
        found.into_iter().filter_map(|hit| Some((items.get(&hit.owner)?.clone(), hit))).collect()
    }

    /// Items held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn drop_row(&self, row: u64) {
        self.items.pin().remove(&row);
        self.near.remove(&row);
    }
}

impl Unwritten {
    /// Writes items in groups until the seen table is gone.
    pub async fn run(mut self, store: Arc<dyn Store>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while self.0.recv_many(&mut group, MAX_GROUP).await > 0 {
            let mut flushes = Vec::new();
            let mut items = Vec::new();
            sort(&mut group, &mut items, &mut flushes);
            if flushes.is_empty() {
                tokio::time::sleep(WINDOW).await;
            }
            while items.len() < MAX_GROUP
                && let Ok(message) = self.0.try_recv()
            {
                sort(&mut vec![message], &mut items, &mut flushes);
            }
            if !items.is_empty()
                && let Err(error) = store.seen_add(items).await
            {
                metrics::counter!("watchfire_seen_lost_total").increment(1);
                tracing::error!(%error, "scanned items could not be kept");
            }
            for done in flushes {
                // Whoever asked may have gone.
                let _gone = done.send(());
            }
        }
    }
}

fn sort(
    messages: &mut Vec<Message>,
    items: &mut Vec<SeenItem>,
    flushes: &mut Vec<oneshot::Sender<()>>,
) {
    for message in messages.drain(..) {
        match message {
            Message::Keep(item) => items.push(item),
            Message::Flush(done) => flushes.push(done),
        }
    }
}

/// Why a stored item cannot be read.
#[derive(Debug, Error)]
pub enum ItemError {
    /// Not the encoding that this file writes.
    #[error(transparent)]
    Encoding(#[from] minicbor::decode::Error),
    /// A value that is none.
    #[error("{0}")]
    Value(String),
}

impl Item {
    fn to_stored(&self) -> SeenItem {
        SeenItem {
            item: self.id.to_string(),
            seen_ms: self.seen_ms,
            signals: encode_signals(&self.signals),
        }
    }

    fn from_stored(stored: &SeenItem) -> Result<Self, ItemError> {
        let id =
            stored.item.parse::<ItemId>().map_err(|error| ItemError::Value(error.to_string()))?;
        Ok(Self { id, seen_ms: stored.seen_ms, signals: decode_signals(&stored.signals)? })
    }
}

/// `[[kind as text, value bytes, quality or 255] …]`: a private encoding of this table.
fn encode_signals(signals: &[Signal]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    let values = signals.iter().filter_map(|signal| match &signal.value {
        ValueOrBlob::Value(value) => Some((value, signal.quality.unwrap_or(u8::MAX))),
        ValueOrBlob::Blob { .. } => None,
    });
    let values = values.collect::<Vec<_>>();
    let result = encoder.array(values.len() as u64).and_then(|encoder| {
        values.iter().try_fold(encoder, |encoder, (value, quality)| {
            encoder.array(3)?.str(value.kind().as_str())?.bytes(&value.to_bytes())?.u8(*quality)
        })
    });
    // Writing into memory cannot fail.
    assert!(result.is_ok(), "a vector takes every write");
    bytes
}

fn decode_signals(bytes: &[u8]) -> Result<Vec<Signal>, ItemError> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.array()?.unwrap_or(0);
    let mut signals = Vec::new();
    for _ in 0..count {
        decoder.array()?;
        let kind = decoder.str()?.parse::<Kind>();
        let kind = kind.map_err(|error| ItemError::Value(error.to_string()))?;
        let value = Value::from_bytes(kind, decoder.bytes()?);
        let value = value.map_err(|error| ItemError::Value(error.to_string()))?;
        let quality = Some(decoder.u8()?).filter(|quality| *quality != u8::MAX);
        signals.push(Signal { quality, ..Signal::new(value) });
    }
    Ok(signals)
}
