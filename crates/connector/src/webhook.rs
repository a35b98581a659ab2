//! Tells a member's own remover, by signed webhook, what to take down and what to put back.
//!
//! **Invariant:** the message id is the effect's name, so a repeated order is recognised.
//! **Invariant:** no reviewer's identity and no secret leaves: the body is the order and nothing else.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{Method, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use url::Url;
use watchfire_api::outbound::Outbound;
use watchfire_node::{
    clock::Clock,
    connector::{Answer, Connector, ConnectorError, Order, Visibility},
};

use crate::{
    pause::pause_ms,
    segment::segment,
    standard_webhook::{self, Message, SigningKey},
};

/// What stands for the item's id in a template of an address.
pub const ITEM_PLACE: &str = "{item}";
/// The longest answer that is read: a status and a sentence.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// How long one request may take; what takes longer is tried again.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a refusal is kept for people to read.
const MAX_REASON_CHARS: usize = 200;

/// The body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `watchfire.` and the action.
    #[serde(rename = "type")]
    pub kind: String,
    /// The idempotency key; the same as `webhook-id`.
    pub key: String,
    /// The platform's own id of the item.
    pub item: String,
    /// `remove`, `hide`, `restore`, ….
    pub action: String,
    /// Whether it must be possible to take it back: out of sight, not destroyed.
    #[serde(default = "yes")]
    pub reversible: bool,
    /// When it was decided, in milliseconds since 1970.
    pub decided_at_ms: u64,
    /// Why: case, record, member, labels, state, and `tlp`, to whom that may be handed on. Of what is marked
    /// `TLP:RED` there are no labels.
    pub detail: Value,
}

fn yes() -> bool {
    true
}

/// How a webhook is set up.
pub struct Setup {
    /// Where orders are posted to.
    pub url: String,
    /// Where an ordinary user sees an item, with `{item}` for its id; without it nothing can be
    /// verified.
    pub verify_url: Option<String>,
    /// What orders are signed with; several during a rotation.
    pub keys: Vec<SigningKey>,
    /// The clock that stamps each attempt.
    pub clock: Arc<dyn Clock>,
    /// The way out.
    pub out: Outbound,
}

/// Why a webhook cannot be set up like this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SetupError {
    /// An order without a signature is not an order.
    #[error("a webhook needs at least one key")]
    NoKey,
    /// Not an `http` or `https` address.
    #[error("`{0}` is not an http or https address")]
    Address(String),
    /// The template does not say where the id goes.
    #[error("`{0}` has no `{{item}}` in its path or query")]
    NoPlace(String),
}

/// A platform that is reached by webhook.
pub struct Webhook {
    url: Url,
    verify_url: Option<String>,
    keys: Vec<SigningKey>,
    clock: Arc<dyn Clock>,
    out: Outbound,
}

impl Webhook {
    /// Checks the addresses and keys. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(setup: Setup) -> Result<Self, SetupError> {
        if setup.keys.is_empty() {
            return Err(SetupError::NoKey);
        }
        let url = address(&setup.url)?;
        if let Some(template) = &setup.verify_url {
            check_template(template)?;
        }
        let Setup { verify_url, keys, clock, out, .. } = setup;
        Ok(Webhook { url, verify_url, keys, clock, out })
    }

    async fn send(&self, order: &Order) -> Result<Answer, ConnectorError> {
        let delivery = Delivery {
            kind: format!("watchfire.{}", order.action),
            key: order.key.clone(),
            item: order.item.clone(),
            action: order.action.clone(),
            reversible: order.reversible,
            decided_at_ms: order.decided_ms,
            detail: serde_json::from_slice(&order.detail).unwrap_or(Value::Null),
        };
        let body = serde_json::to_vec(&delivery).map_err(|error| failed("writing", &error))?;
        let timestamp_s = self.clock.now_ms() / 1000;
        let message = Message { id: &order.key, timestamp_s, body: &body };
        let signature = standard_webhook::sign(&self.keys, message);
        let answer = self
            .out
            .request(Method::POST, &self.url)
            .map_err(|error| failed("the webhook's address", &error))?
            .header(standard_webhook::ID_HEADER, &order.key)
            .header(standard_webhook::TIMESTAMP_HEADER, timestamp_s)
            .header(standard_webhook::SIGNATURE_HEADER, signature)
            .header(header::CONTENT_TYPE, "application/json")
            .timeout(TIMEOUT)
            .body(body)
            .send()
            .await
            // What is kept and shown of it must not name the address: it may hold a secret.
            .map_err(|error| failed("the webhook", &error.without_url()))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = answer;
        let mut body = Vec::new();
        // An answer that breaks off, or goes on and on, still has its status; that decides.
        while let Ok(Some(chunk)) = answer.chunk().await {
            let room = MAX_ANSWER_BYTES.saturating_sub(body.len());
            body.extend(chunk.iter().take(room));
            if chunk.len() >= room {
                break;
            }
        }
        read(&Reply { status, retry_after: retry_after.as_deref(), body: &body })
    }
}

#[async_trait]
impl Connector for Webhook {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.send(order).await
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        let address = self.verify_url.as_deref().and_then(|template| item_address(template, item));
        let Some(address) = address else { return Ok(Visibility::Unknown) };
        let answer = self
            .out
            .request(Method::GET, &address)
            .map_err(|error| failed("the item's address", &error))?
            // A cache on the way would show yesterday's item.
            .header(header::CACHE_CONTROL, "no-cache")
            .timeout(TIMEOUT)
            .send()
            .await
            .map_err(|error| failed("looking at the item", &error.without_url()))?;
        // Dropped unread: the item itself is not wanted here.
        visibility(answer.status().as_u16())
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.send(order).await
    }
}

fn failed(what: &str, error: &dyn std::error::Error) -> ConnectorError {
    // The outermost error of the HTTP client says only that sending failed; the cause is below.
    let mut said = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(said, ": {error}");
        cause = error.source();
    }
    ConnectorError(said)
}

/// What came back to an order.
struct Reply<'a> {
    status: u16,
    retry_after: Option<&'a str>,
    body: &'a [u8],
}

fn read(reply: &Reply<'_>) -> Result<Answer, ConnectorError> {
    match reply.status {
        208 => Ok(Answer::AlreadyDone),
        200..=299 if says_already_done(reply.body) => Ok(Answer::AlreadyDone),
        202 => Ok(Answer::Accepted),
        200..=299 => Ok(Answer::Done),
        404 | 410 => Ok(Answer::Gone),
        // A key that was rotated on one side, or a clock that is off: people repair that.
        401 => Err(ConnectorError(reason(reply))),
        // 408 and 425 say that the same request is welcome later.
        408 | 425 | 429 | 503 => Ok(Answer::RetryAfter(pause_ms(reply.retry_after))),
        400..=499 => Ok(Answer::Refused(reason(reply))),
        status => Err(ConnectorError(format!("the platform answered {status}"))),
    }
}

fn says_already_done(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Status {
        status: String,
    }
    serde_json::from_slice::<Status>(body).is_ok_and(|body| body.status == "already_done")
}

fn reason(reply: &Reply<'_>) -> String {
    let text = String::from_utf8_lossy(reply.body);
    let shown: String = text.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
    format!("the platform answered {}: {shown}", reply.status)
}

fn visibility(status: u16) -> Result<Visibility, ConnectorError> {
    match status {
        200..=299 => Ok(Visibility::Visible),
        // Many platforms answer 410 for what a moderator took down and can put back, so it is not
        // taken as the end of the item. What an ordinary user is refused, they do not see. 401 is a
        // login that stands before all items: it says nothing of this one.
        403 | 404 | 410 | 451 => Ok(Visibility::Hidden),
        status => Err(ConnectorError(format!("looking at the item gave {status}"))),
    }
}

fn address(text: &str) -> Result<Url, SetupError> {
    let wrong = || SetupError::Address(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(wrong()) }
}

fn check_template(template: &str) -> Result<(), SetupError> {
    let here = address(&template.replace(ITEM_PLACE, "a"))?;
    let there = address(&template.replace(ITEM_PLACE, "b"))?;
    // An id must not choose the host that is asked.
    if here == there || here.authority() != there.authority() {
        return Err(SetupError::NoPlace(template.to_owned()));
    }
    Ok(())
}

/// The address of an item; nothing for an id that no address can carry.
fn item_address(template: &str, item: &str) -> Option<Url> {
    // Even percent-encoded, these mean "here" and "one up".
    if matches!(item, "" | "." | "..") {
        return None;
    }
    Url::parse(&template.replace(ITEM_PLACE, &segment(item))).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn reply(status: u16, retry_after: Option<&str>, body: &str) -> Result<Answer, ConnectorError> {
        read(&Reply { status, retry_after, body: body.as_bytes() })
    }

    #[test]
    fn every_status_has_one_meaning() {
        assert_eq!(reply(200, None, ""), Ok(Answer::Done));
        assert_eq!(reply(204, None, ""), Ok(Answer::Done));
        assert_eq!(reply(202, None, "{}"), Ok(Answer::Accepted));
        assert_eq!(reply(208, None, ""), Ok(Answer::AlreadyDone));
        assert_eq!(reply(200, None, r#"{"status":"already_done"}"#), Ok(Answer::AlreadyDone));
        assert_eq!(reply(200, None, r#"{"status":"done"}"#), Ok(Answer::Done));
        assert_eq!(reply(404, None, ""), Ok(Answer::Gone));
        assert_eq!(reply(410, None, ""), Ok(Answer::Gone));
        assert!(matches!(reply(403, None, ""), Ok(Answer::Refused(_))));
        assert!(matches!(reply(422, None, ""), Ok(Answer::Refused(_))));
        for status in [301, 307, 401, 500, 502, 504] {
            assert!(reply(status, None, "").is_err(), "{status}");
        }
    }

    #[test]
    fn a_refusal_is_kept_short_and_without_control_characters() {
        let body = format!("no\u{1b}[31m {}", "x".repeat(10_000));
        let Ok(Answer::Refused(why)) = reply(400, None, &body) else { panic!("not refused") };
        assert!(why.chars().count() < MAX_REASON_CHARS + 40 && !why.contains('\u{1b}'), "{why}");
    }

    #[test]
    fn an_id_is_one_segment_of_the_address_whatever_it_contains() {
        let template = "https://platform.example/items/{item}?as=user";
        for (item, address) in [
            ("tiktok:123", "https://platform.example/items/tiktok%3A123?as=user"),
            ("../admin?x=1#y", "https://platform.example/items/..%2Fadmin%3Fx%3D1%23y?as=user"),
            ("é", "https://platform.example/items/%C3%A9?as=user"),
            ("{item}", "https://platform.example/items/%7Bitem%7D?as=user"),
        ] {
            assert_eq!(item_address(template, item).unwrap().as_str(), address);
        }
        assert_eq!(item_address(template, ".."), None);
        assert_eq!(item_address(template, "."), None);
    }

    #[test]
    fn a_template_in_which_the_id_chooses_the_host_is_refused() {
        assert_eq!(check_template("https://h.example/{item}"), Ok(()));
        assert_eq!(check_template("https://h.example/?id={item}"), Ok(()));
        for template in
            ["https://h.example/", "https://{item}.example/", "https://{item}@h.example/x"]
        {
            assert!(matches!(check_template(template), Err(SetupError::NoPlace(_))), "{template}");
        }
        assert!(matches!(check_template("ftp://h/{item}"), Err(SetupError::Address(_))));
    }

    #[test]
    fn what_a_user_is_refused_is_hidden() {
        assert_eq!(visibility(200), Ok(Visibility::Visible));
        for status in [403, 404, 410, 451] {
            assert_eq!(visibility(status), Ok(Visibility::Hidden));
        }
        for status in [302, 401, 429, 500] {
            assert!(visibility(status).is_err());
        }
    }
}
