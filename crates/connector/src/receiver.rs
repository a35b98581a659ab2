//! Serves a folder as a small platform would, and takes items down and puts them back on signed
//! webhooks: the remover of a small member, of the demo, and the model for one's own.
//!
//! **Invariant:** nothing moves without a webhook whose signature and age were checked.
//! **Invariant:** an order is carried out once: its key is remembered, also over a restart.
//! **Invariant:** only plain files of the folder itself are served or moved.

mod folder;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use thiserror::Error;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_util::io::ReaderStream;
use watchfire_node::clock::Clock;

use crate::{
    standard_webhook::{self, CheckingKey, Presented},
    webhook::Delivery,
};
use folder::{Folder, Moved};

/// The longest webhook: an order names its reasons, never content.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How a receiver is set up.
pub struct Setup {
    /// The folder that is served. What is taken down goes into `.quarantine` inside it, which is
    /// never served.
    pub folder: PathBuf,
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// Whose orders are believed; several during a rotation.
    pub keys: Vec<CheckingKey>,
    /// The clock that the age of a webhook is measured by.
    pub clock: Arc<dyn Clock>,
}

/// A running receiver. Dropping it, or [`Receiver::stop`], ends it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

/// Why a receiver does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Without a key every order would be refused.
    #[error("a receiver needs at least one key")]
    NoKey,
    /// The folder cannot be used.
    #[error("the folder {path} cannot be used: {error}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

struct Shared {
    folder: Folder,
    keys: Vec<CheckingKey>,
    clock: Arc<dyn Clock>,
}

impl Receiver {
    /// Starts to listen and serve. It answers at once when this returns.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        if setup.keys.is_empty() {
            return Err(StartError::NoKey);
        }
        let folder = Folder::open(&setup.folder)
            .map_err(|error| StartError::Folder { path: setup.folder.clone(), error })?;
        let failed = |error| StartError::Listen { address: setup.listen, error };
        let listener = TcpListener::bind(setup.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared { folder, keys: setup.keys, clock: setup.clock });
        let router = Router::new()
            .route("/items/{item}", get(item))
            .route("/webhook", post(webhook))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(shared);
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            // The sender is dropped together with the receiver: that ends it as well.
            let _ = stopped.await;
        });
        let task = tokio::spawn(serve.into_future());
        Ok(Receiver { address, stop: Some(stop), task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that orders are posted to.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// The template of the address under which an ordinary user sees an item.
    #[must_use]
    pub fn verify_url(&self) -> String {
        format!("http://{}/items/{{item}}", self.address)
    }

    /// Stops listening and waits until the requests under way are answered.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = (&mut self.task).await;
    }
}

async fn item(State(shared): State<Arc<Shared>>, Path(item): Path<String>) -> Response {
    let Some(path) = shared.folder.served(&item) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(file) = tokio::fs::File::open(path).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind =
        [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    (kind, Body::from_stream(ReaderStream::new(file))).into_response()
}

async fn webhook(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(presented) = presented(&headers) else {
        return answer(StatusCode::UNAUTHORIZED, "refused", "the webhook headers are missing");
    };
    let now_s = shared.clock.now_ms() / 1000;
    if let Err(error) = standard_webhook::verify(&shared.keys, presented, &body, now_s) {
        return answer(StatusCode::UNAUTHORIZED, "refused", &error.to_string());
    }
    let Ok(delivery) = serde_json::from_slice::<Delivery>(&body) else {
        return answer(StatusCode::BAD_REQUEST, "refused", "the body is not an order");
    };
    if delivery.key != presented.id {
        return answer(StatusCode::BAD_REQUEST, "refused", "the body's key is not the webhook-id");
    }
    // Moving and syncing files blocks; a request that is dropped half-way still ends its move.
    let moved = tokio::task::spawn_blocking(move || carry_out(&shared.folder, &delivery)).await;
    match moved {
        Ok(Ok(Moved::Done)) => answer(StatusCode::OK, "done", ""),
        Ok(Ok(Moved::AlreadyDone)) => answer(StatusCode::OK, "already_done", ""),
        Ok(Ok(Moved::Gone)) => answer(StatusCode::NOT_FOUND, "gone", "no such item"),
        Ok(Ok(Moved::Refused(why))) => answer(StatusCode::UNPROCESSABLE_ENTITY, "refused", why),
        Ok(Err(error)) => {
            tracing::error!(%error, "an order could not be carried out");
            answer(StatusCode::SERVICE_UNAVAILABLE, "failed", "the file could not be moved")
        }
        Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE, "failed", "the move was interrupted"),
    }
}

fn carry_out(folder: &Folder, delivery: &Delivery) -> io::Result<Moved> {
    match delivery.action.as_str() {
        "remove" | "hide" => folder.take_down(&delivery.item, &delivery.key),
        "restore" => folder.put_back(&delivery.item, &delivery.key),
        _ => Ok(Moved::Refused("this receiver knows remove, hide and restore")),
    }
}

fn presented(headers: &HeaderMap) -> Option<Presented<'_>> {
    let text = |name| headers.get(name)?.to_str().ok();
    Some(Presented {
        id: text(standard_webhook::ID_HEADER)?,
        timestamp: text(standard_webhook::TIMESTAMP_HEADER)?,
        signature: text(standard_webhook::SIGNATURE_HEADER)?,
    })
}

fn answer(code: StatusCode, status: &str, detail: &str) -> Response {
    (code, Json(json!({ "status": status, "detail": detail }))).into_response()
}
