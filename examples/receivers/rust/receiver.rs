//! A receiver of Watchfire's orders: serves a folder, takes files down and puts them back.
//!
//!     cargo run -p watchfire-connector --example receiver -- ./uploads 127.0.0.1:8001 webhook.key …
//!
//! GET /items/NAME answers a file of the folder, POST /webhook takes orders in the format of Standard
//! Webhooks. What is taken down goes into FOLDER/.quarantine, which is never served. It shows how
//! `standard_webhook::verify` is used; `watchfire receiver` is the same, hardened.
//!
//! **Invariant:** nothing moves before signature and age were checked, and each key moves once.

use std::{
    collections::HashSet,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path as Segment, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use watchfire_connector::{
    standard_webhook::{self, CheckingKey, Presented},
    webhook::Delivery,
};
use watchfire_node::clock::{Clock, SystemClock};

/// An order names its reasons, never content.
const MAX_BODY_BYTES: usize = 64 * 1024;

struct Receiver {
    folder: PathBuf,
    keys: Vec<CheckingKey>,
    clock: SystemClock,
    /// Keys of the orders that were carried out; also in `.quarantine/.orders`.
    done: Mutex<HashSet<String>>,
}

impl Receiver {
    fn open(folder: &str, key_files: &[String]) -> Result<Self, Box<dyn std::error::Error>> {
        let folder = PathBuf::from(folder);
        fs::create_dir_all(folder.join(".quarantine"))?;
        let mut keys = Vec::new();
        for file in key_files {
            keys.push(CheckingKey::parse(fs::read_to_string(file)?.trim())?);
        }
        let orders = fs::read_to_string(folder.join(".quarantine/.orders")).unwrap_or_default();
        let done = Mutex::new(orders.lines().map(str::to_owned).collect());
        Ok(Self { folder, keys, clock: SystemClock::default(), done })
    }

    /// Whether the webhook is whole, fresh, and signed by one of our keys.
    fn is_believed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let presented = Presented {
            id: text(standard_webhook::ID_HEADER),
            timestamp: text(standard_webhook::TIMESTAMP_HEADER),
            signature: text(standard_webhook::SIGNATURE_HEADER),
        };
        let now_s = self.clock.now_ms() / 1000;
        standard_webhook::verify(&self.keys, presented, body, now_s).is_ok()
    }

    /// Does each key once; answers the status and its word.
    fn carry_out(&self, order: &Delivery) -> io::Result<(StatusCode, &'static str)> {
        if !matches!(order.action.as_str(), "remove" | "hide" | "restore") {
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, "refused"));
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.contains(&order.key) {
            return Ok((StatusCode::OK, "already_done"));
        }
        let (here, away) = (self.folder.clone(), self.folder.join(".quarantine"));
        let (from, to) = if order.action == "restore" { (away, here) } else { (here, away) };
        if let Some(source) = plain(&from, &order.item) {
            fs::rename(source, to.join(&order.item))?;
        } else if plain(&to, &order.item).is_none() {
            return Ok((StatusCode::NOT_FOUND, "gone"));
        }
        // Last: a crash before this repeats a move that changes nothing the second time.
        let orders = self.folder.join(".quarantine/.orders");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(orders)?;
        writeln!(file, "{}", order.key)?;
        file.sync_all()?;
        done.insert(order.key.clone());
        Ok((StatusCode::OK, "done"))
    }
}

/// The path of an item, if its name is that of a plain file of the folder.
fn plain(folder: &Path, item: &str) -> Option<PathBuf> {
    let named = !item.is_empty() && !item.starts_with('.') && !item.contains(['/', '\0']);
    let path = folder.join(item);
    (named && path.symlink_metadata().is_ok_and(|found| found.is_file())).then_some(path)
}

async fn item(State(receiver): State<Arc<Receiver>>, Segment(item): Segment<String>) -> Response {
    match plain(&receiver.folder, &item).and_then(|path| fs::read(path).ok()) {
        Some(bytes) => bytes.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn webhook(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let said = |status: StatusCode, word| (status, Json(json!({ "status": word }))).into_response();
    if !receiver.is_believed(&headers, &body) {
        return said(StatusCode::UNAUTHORIZED, "refused");
    }
    let order = serde_json::from_slice::<Delivery>(&body).ok();
    // The key inside the signed body has to be the message's id.
    let id = headers.get(standard_webhook::ID_HEADER).map(|id| id.as_bytes());
    let Some(order) = order.filter(|order| Some(order.key.as_bytes()) == id) else {
        return said(StatusCode::BAD_REQUEST, "refused");
    };
    match receiver.carry_out(&order) {
        Ok((status, word)) => said(status, word),
        Err(_) => said(StatusCode::SERVICE_UNAVAILABLE, "failed"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, listen, key_files @ ..] = arguments.as_slice() else {
        return Err("receiver FOLDER ADDRESS KEY_FILE…".into());
    };
    let receiver = Arc::new(Receiver::open(folder, key_files)?);
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/items/{item}", get(item))
        .route("/webhook", post(webhook))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(receiver);
    Ok(axum::serve(listener, router).await?)
}
