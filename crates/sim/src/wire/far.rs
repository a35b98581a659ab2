//! A log as another member shows it over the wire.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use watchfire_signal::name::LogName;
use watchfire_tlog::{Entry, Extension, Hash, SignedCheckpoint, Source, SourceError, Urgent};

use super::{Line, line::Answer, stream};
use crate::{Mutant, fault::Fault, host::Host};

/// The log.
pub(super) struct Far {
    pub(super) line: Line,
    log: LogName,
}

impl Far {
    pub(super) fn new(line: Line, log: LogName) -> Self {
        Self { line, log }
    }

    /// Reads from the log at the other side.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(Arc<dyn Source>) -> BoxFuture<'static, Result<T, SourceError>>
        + Send
        + 'static,
    ) -> Result<T, SourceError> {
        let leaks = self.line.wire.mutant == Some(Mutant::LeaksRecords);
        let (me, log) = (self.line.me.clone(), self.log.clone());
        let ask = move |host: Arc<dyn Host>| -> BoxFuture<'static, Answer<_>> {
            Box::pin(async move {
                let source = host.source((!leaks).then_some(&me), &log);
                let source = source.ok_or("no such log")?;
                Ok(read(source).await)
            })
        };
        self.line.ask(ask).await.map_err(SourceError::Unreachable)?
    }

    /// An entry that may lose its record on the way.
    pub(super) fn arrives(line: &Line, mut entry: Entry) -> Entry {
        let wire = &line.wire;
        if line.loses_records(line.from) {
            entry.record = None;
        }
        if entry.record.is_some() && wire.chance.permille(wire.weather().withheld) {
            wire.faults.fired(Fault::BodyWithheld);
            entry.record = None;
        }
        entry
    }
}

#[async_trait]
impl Source for Far {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        self.read(|source| Box::pin(async move { source.checkpoint().await })).await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        self.read(move |source| Box::pin(async move { source.entries(from, to).await })).await
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        self.read(move |source| Box::pin(async move { source.hashes(level, from, to).await })).await
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let inner =
            self.read(move |source| Box::pin(async move { source.follow(from).await })).await?;
        Ok(stream::over(&self.line, inner))
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        if self.line.loses_records(self.line.from) {
            return Ok(vec![None; indices.len()]);
        }
        let indices = indices.to_vec();
        self.read(move |source| Box::pin(async move { source.records(&indices).await })).await
    }

    async fn urgent(&self, held: u64, from: u64) -> Result<Vec<Urgent>, SourceError> {
        self.read(move |source| Box::pin(async move { source.urgent(held, from).await })).await
    }
}
