//! Speaks to a node's native API as a program with an API key does; the command line uses nothing else.

mod access;
mod answers;
mod banks;
mod charter;
mod events;
mod incidents;
mod lines;
mod live;
mod policy;
mod review;

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderValue, Method, header};
use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;
use watchfire_signal::{
    commitment::Commitment,
    effect::EffectName,
    name::{ItemId, MemberName},
};

pub use review::ReviewStep;

use crate::outbound::{self, Outbound, OutboundError, read_body};
use crate::problem::Problem;
use crate::wire::{
    ActionQuery, AlertPage, AlertPageQuery, AlertRequest, AlertView, EffectView, Effects,
    EventView, HashRequest, Hashed, Imported, LookupQuery, Lookups, Members, PreflightView, Raised,
    ReadyView, RuleRequest, ScanQuery, ScanRequest, StopAnswer, StopRequest, Verdict,
};

/// How long a call may take: hashing a long video is the slowest.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(180);

/// The longest answer: a page of alerts with their signals.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A node's native API. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    outbound: Outbound,
    address: Url,
    authorization: Option<HeaderValue>,
}

/// Why a call did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The node answered with a problem.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// The node could not be reached, or the connection broke. Whether it did what was asked is not known.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is none that this version knows.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
    /// Refused without a problem, as by a proxy before the node.
    #[error("status {0} without a problem")]
    Status(u16),
    /// The address cannot be asked from here.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The key has characters that no key has.
    #[error("the API key is malformed")]
    Key,
}

impl Client {
    /// A node at its address, `http://host:port`, with an API key where one is needed.
    ///
    /// # Errors
    /// [`ClientError::Outbound`] or [`ClientError::Key`] when either is malformed.
    pub fn new(outbound: Outbound, address: &str, key: Option<&str>) -> Result<Self, ClientError> {
        let bearer = |key| HeaderValue::try_from(format!("Bearer {key}"));
        let mut authorization = key.map(bearer).transpose().map_err(|_| ClientError::Key)?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Client { outbound, address: outbound::node_address(address)?, authorization })
    }

    /// The node's address.
    pub fn address(&self) -> &Url {
        &self.address
    }

    /// Judges an item by its file.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn scan_bytes(
        &self,
        query: &ScanQuery,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Verdict, ClientError> {
        let request = self.request(Method::POST, "/v1/scan")?.query(query);
        call(request.header(header::CONTENT_TYPE, media_type).body(bytes.into())).await
    }

    /// Judges an item by its signals.
    pub async fn scan_signals(&self, scan: &ScanRequest) -> Result<Verdict, ClientError> {
        self.post("/v1/scan", scan, None).await
    }

    /// The signals of a file; nothing is kept.
    pub async fn hash(
        &self,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Hashed, ClientError> {
        let request = self.request(Method::POST, "/v1/hash")?;
        call(request.header(header::CONTENT_TYPE, media_type).body(bytes.into())).await
    }

    /// The fingerprint of a text or a link; nothing is kept.
    pub async fn hash_words(&self, request: &HashRequest) -> Result<Hashed, ClientError> {
        self.post("/v1/hash", request, None).await
    }

    /// The known signals near one.
    pub async fn lookup(&self, query: &LookupQuery) -> Result<Lookups, ClientError> {
        call(self.request(Method::GET, "/v1/lookup")?.query(query)).await
    }

    /// Raises an alert by signals. With a key, a repetition answers what the first call did.
    pub async fn alert(
        &self,
        alert: &AlertRequest,
        key: Option<&str>,
    ) -> Result<Raised, ClientError> {
        self.post("/v1/alerts", alert, key).await
    }

    /// Finds out what an alert by signals would hit.
    pub async fn alert_preflight(
        &self,
        alert: &AlertRequest,
    ) -> Result<PreflightView, ClientError> {
        self.post("/v1/alerts/preflight", alert, None).await
    }

    /// Finds out what an alert by a file would hit.
    pub async fn alert_media_preflight(
        &self,
        alert: &AlertRequest,
        media: impl Into<Bytes>,
    ) -> Result<PreflightView, ClientError> {
        let request = self.request(Method::POST, "/v1/alerts/preflight")?;
        call(request.multipart(alert_form(alert, media.into())?)).await
    }

    /// Raises an alert by a file, of which only signals leave the node.
    pub async fn alert_media(
        &self,
        alert: &AlertRequest,
        media: impl Into<Bytes>,
        key: Option<&str>,
    ) -> Result<Raised, ClientError> {
        let request = with_key(self.request(Method::POST, "/v1/alerts")?, key);
        call(request.multipart(alert_form(alert, media.into())?)).await
    }

    /// An alert with its state and the members that are protected by it.
    pub async fn alert_view(&self, id: &Commitment) -> Result<AlertView, ClientError> {
        call(self.request(Method::GET, &format!("/v1/alerts/{id}"))?).await
    }

    /// A page of alerts.
    pub async fn alerts(&self, query: &AlertPageQuery) -> Result<AlertPage, ClientError> {
        call(self.request(Method::GET, "/v1/alerts")?.query(query)).await
    }

    /// Votes for a halt of a member, or takes that vote back.
    pub async fn halt_member(
        &self,
        member: &MemberName,
        halt: &StopRequest,
    ) -> Result<StopAnswer, ClientError> {
        self.post(&format!("/v1/members/{member}/halt"), halt, None).await
    }

    /// Votes for a suspension of a member, or takes that vote back.
    pub async fn suspend_member(
        &self,
        member: &MemberName,
        suspend: &StopRequest,
    ) -> Result<StopAnswer, ClientError> {
        self.post(&format!("/v1/members/{member}/suspend"), suspend, None).await
    }

    /// The coalition as the node sees it.
    pub async fn members(&self) -> Result<Members, ClientError> {
        call(self.request(Method::GET, "/v1/members")?).await
    }

    /// What was done on the platform about an item, or a page of what is in a state.
    pub async fn actions(&self, query: &ActionQuery) -> Result<Effects, ClientError> {
        call(self.request(Method::GET, "/v1/actions")?.query(query)).await
    }

    /// Tries again what was given up.
    pub async fn retry_action(&self, name: &EffectName) -> Result<EffectView, ClientError> {
        call(self.request(Method::POST, &format!("/v1/actions/{name}/retry"))?).await
    }

    /// Gives up for good what is pending or was given up.
    pub async fn drop_action(&self, name: &EffectName) -> Result<EffectView, ClientError> {
        call(self.request(Method::POST, &format!("/v1/actions/{name}/drop"))?).await
    }

    /// Shows an item again, whatever cases say from now on.
    pub async fn restore_item(&self, item: &ItemId, why: &RuleRequest) -> Result<(), ClientError> {
        self.rule(item, "restore", why).await
    }

    /// Keeps an item down, whatever becomes of its cases.
    pub async fn keep_item(&self, item: &ItemId, why: &RuleRequest) -> Result<(), ClientError> {
        self.rule(item, "keep", why).await
    }

    async fn rule(&self, item: &ItemId, what: &str, why: &RuleRequest) -> Result<(), ClientError> {
        let mut url = self.url("/v1/actions")?;
        if let Ok(mut path) = url.path_segments_mut() {
            // An id may hold slashes; they are part of one segment.
            path.push(item.as_str()).push(what);
        }
        let request = self.authorized(self.outbound.request(Method::POST, &url)?);
        send(request.json(why).timeout(CALL_TIMEOUT)).await.map(drop)
    }

    /// Brings items that the platform held before, as lines of JSON. Repeating it is harmless.
    pub async fn import_seen(&self, lines: impl Into<Bytes>) -> Result<Imported, ClientError> {
        let request = self.request(Method::POST, "/v1/seen")?;
        call(request.header(header::CONTENT_TYPE, "application/x-ndjson").body(lines.into())).await
    }

    /// Tells the node that the platform deleted an item.
    pub async fn forget(&self, item: &ItemId) -> Result<(), ClientError> {
        let mut url = self.url("/v1/seen")?;
        if let Ok(mut path) = url.path_segments_mut() {
            // An id may hold slashes; they are part of one segment.
            path.push(item.as_str());
        }
        let request = self.authorized(self.outbound.request(Method::DELETE, &url)?);
        send(request.timeout(CALL_TIMEOUT)).await.map(drop)
    }

    /// Whether the node is ready.
    pub async fn ready(&self) -> Result<ReadyView, ClientError> {
        call(self.request(Method::GET, "/readyz")?).await
    }

    /// What happens at the node from now on, or after an event seen before. Ends with the connection.
    pub async fn events(
        &self,
        after: Option<u64>,
    ) -> Result<BoxStream<'static, Result<EventView, ClientError>>, ClientError> {
        let mut request = self.request(Method::GET, "/v1/events")?;
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = send(request.header(header::ACCEPT, "text/event-stream")).await?;
        Ok(events::read(response))
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, ClientError> {
        call(with_key(self.request(Method::POST, path)?, key).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, ClientError> {
        Ok(self.authorized(self.outbound.request(method, &self.url(path)?)?))
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        let address = outbound::address_at(&self.address, path);
        Url::parse(&address).map_err(|_| OutboundError::Address(address).into())
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value.clone()),
            None => request,
        }
    }
}

/// An alert with its file.
fn alert_form(alert: &AlertRequest, media: Bytes) -> Result<Form, ClientError> {
    let text = serde_json::to_string(alert).map_err(|error| unreadable(&error))?;
    let part = |part: Part, media_type| part.mime_str(media_type).map_err(|e| unreadable(&e));
    let media = Part::stream(media).file_name("media");
    let form = Form::new().part("alert", part(Part::text(text), "application/json")?);
    Ok(form.part("media", part(media, "application/octet-stream")?))
}

fn with_key(request: RequestBuilder, key: Option<&str>) -> RequestBuilder {
    match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    }
}

async fn call<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ClientError> {
    let response = send(request.timeout(CALL_TIMEOUT)).await?;
    let body = read_body(response, MAX_ANSWER_BYTES).await;
    let body = body.map_err(|error| ClientError::Unreachable(error.to_string()))?;
    serde_json::from_slice(&body).map_err(|error| unreadable(&error))
}

async fn send(request: RequestBuilder) -> Result<reqwest::Response, ClientError> {
    let response = request.send().await;
    let response = response.map_err(|error| ClientError::Unreachable(outbound::reason(&error)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = read_body(response, MAX_ANSWER_BYTES).await;
    let body = body.map_err(|error| ClientError::Unreachable(error.to_string()))?;
    Err(match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => ClientError::Problem(Box::new(problem)),
        Err(_) => ClientError::Status(status.as_u16()),
    })
}

fn unreadable(error: &dyn std::error::Error) -> ClientError {
    ClientError::Answer(error.to_string())
}
