//! Pushes a log to whoever follows it, as it becomes durable here.
//!
//! **Invariant:** a place for a stream is given back when the stream's hour is over or its reader stops reading, also
//! by a reader that keeps the connection and takes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::header;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use watchfire_api::frame::{Frame, MEDIA_TYPE, split};
use watchfire_api::problem::Problem;
use watchfire_api::wire::LogPath;
use watchfire_tlog::{Extension, SourceError};

use super::log::{source, visible};
use crate::answer::Failure;
use crate::input::{Named, Query};
use crate::limits::PING_INTERVAL;
use crate::member::Asker;
use crate::places::StreamPlace;
use crate::server::Server;

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowQuery {
    /// The first index that the caller lacks.
    from: u64,
}

/// Everything of a log from an index on, as it becomes durable here: frames of `docs/format.md`, section 10.
///
/// Members of a record's group get the record with its leaf, others a hole. The stream says every 15 seconds that it stands, and ends after an hour.
#[utoipa::path(
    get, path = "/log/{member}/follow", tag = "log", params(("member" = String, Path), FollowQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/cbor-seq"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn follow(
    State(server): State<Arc<Server>>,
    asker: Asker,
    Named(path): Named<LogPath>,
    Query(FollowQuery { from }): Query<FollowQuery>,
) -> Result<Response, Failure> {
    let place = asker.stream(&server)?;
    let log = source(&server, &path)?.follow(from).await?;
    let pushing = Pushing {
        log,
        asker,
        end: Instant::now() + server.patience.stream,
        server,
        // The ping at the beginning makes proxies send the head on.
        ready: VecDeque::from(ping()),
        _place: place,
    };
    let (push, frames) = mpsc::channel(1);
    tokio::spawn(pushing.run(push));
    let frames = Body::from_stream(ReceiverStream::new(frames));
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], frames).into_response())
}

struct Pushing {
    log: BoxStream<'static, Result<Extension, SourceError>>,
    server: Arc<Server>,
    asker: Asker,
    end: Instant,
    ready: VecDeque<Bytes>,
    _place: StreamPlace,
}

impl Pushing {
    /// Pushes until the end, or until the reader is gone or takes nothing.
    async fn run(mut self, push: mpsc::Sender<Result<Bytes, SourceError>>) {
        loop {
            let patience = self.end.min(Instant::now() + self.server.patience.stall);
            let taken = match timeout_at(patience, push.reserve()).await {
                Ok(Ok(taken)) => taken,
                Ok(Err(_)) => return,
                Err(_) => return tracing::debug!("a follower reads nothing; its place is free"),
            };
            let next = tokio::select! {
                () = push.closed() => return,
                next = self.next() => next,
            };
            let Some(next) = next else { return };
            taken.send(next);
        }
    }

    async fn next(&mut self) -> Option<Result<Bytes, SourceError>> {
        if let Some(frame) = self.ready.pop_front() {
            return Some(Ok(frame));
        }
        let stop = self.server.stop.clone();
        let ping_at = Instant::now() + PING_INTERVAL;
        let more = tokio::select! {
            () = stop.cancelled() => return None,
            () = sleep_until(self.end) => return None,
            more = timeout_at(ping_at, self.log.next()) => more,
        };
        match more {
            Err(_) => self.ready.extend(ping()),
            Ok(None) => return None,
            Ok(Some(Err(error))) => {
                tracing::error!(%error, "a log could not be read for a follower");
                return Some(Err(error));
            }
            Ok(Some(Ok(extension))) => match split(&self.visible(extension)) {
                Ok(frames) => self.ready.extend(frames),
                Err(error) => return Some(Err(SourceError::Broken(error.to_string()))),
            },
        }
        self.ready.pop_front().map(Ok)
    }

    fn visible(&self, mut extension: Extension) -> Extension {
        let entries = extension.entries.into_iter();
        let entries = entries.map(|entry| visible(&self.server, self.asker.name(), entry));
        extension.entries = entries.collect();
        extension
    }
}

fn ping() -> Vec<Bytes> {
    Frame::Ping.encode().into_iter().collect()
}
