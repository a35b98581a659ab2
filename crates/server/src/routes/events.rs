//! What happens at the node, as server-sent events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, header};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::EventView;
use watchfire_node::events::Numbered;

use crate::answer::Failure;
use crate::caller::{Allowed, Reading};
use crate::limits::{EVENT_STREAMS, PING_INTERVAL};
use crate::server::Server;

/// Events from now on, or with `Last-Event-ID` from where the caller was.
///
/// A watcher that is too slow, or comes back too late, gets the newest ones and sees by the numbers that some are missing.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    security(("key" = ["curate"]), ("key" = ["review"]), ("key" = ["audit"])),
    params(("last-event-id" = Option<u64>, Header, description = "The last event that was seen.")),
    responses(
        (status = 200, body = EventView, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn watch(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Reading>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let place =
        server.watchers.clone().try_acquire_owned().map_err(|_| EVENT_STREAMS.too_many())?;
    let after = match headers.get("last-event-id") {
        None => server.node.events().last(),
        Some(id) => id
            .to_str()
            .ok()
            .and_then(|id| id.trim().parse().ok())
            .ok_or_else(|| Failure::new(ProblemKind::Malformed, "Last-Event-ID is a number"))?,
    };
    // A number from the future is of another run whose clock was ahead: the caller has seen nothing of this one.
    let after = if after > server.node.events().last() { 0 } else { after };
    let (missed, live) = server.node.events().watch(after);
    let last = missed.last().map_or(after, |event| event.id);
    let stop = server.stop.clone();
    let watching = Watching { live, last, stop, _place: place };
    // The first line makes proxies send the head on, before anything happens.
    let first = std::iter::once(Bytes::from_static(b": watching\n\n"));
    let first = first.chain(missed.iter().map(text).collect::<Vec<_>>());
    let news =
        stream::unfold(
            watching,
            |mut watching| async move { Some((watching.next().await?, watching)) },
        );
    let events = stream::iter(first).chain(news).map(Ok::<_, std::convert::Infallible>);
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(events)).into_response())
}

struct Watching {
    live: broadcast::Receiver<Numbered>,
    last: u64,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let event = tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(PING_INTERVAL) => return Some(Bytes::from_static(b": ping\n\n")),
                event = self.live.recv() => event,
            };
            match event {
                // One that came between the memory and the subscription is in both.
                Ok(event) if event.id <= self.last => {}
                Ok(event) => {
                    self.last = event.id;
                    return Some(text(&event));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// One event as text. JSON has no line ends of its own.
fn text(event: &Numbered) -> Bytes {
    let value = serde_json::to_value(event).unwrap_or_default();
    let name = value.get("event").and_then(|name| name.as_str()).unwrap_or("event");
    format!("id: {}\nevent: {name}\ndata: {value}\n\n", event.id).into()
}
