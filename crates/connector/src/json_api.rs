//! Asks a platform's JSON API, and says in the connector's own words what came back.
//!
//! **Invariant:** a token is never printed, and goes to the configured address and nowhere else.

use std::{fmt, time::Duration};

use http::{Method, header};
use serde_json::Value;
use thiserror::Error;
use url::Url;
use watchfire_api::outbound::{Outbound, Response, read_body, reason};
use watchfire_node::connector::{Answer, ConnectorError};

use crate::pause::{DEFAULT_PAUSE_MS, LONGEST_PAUSE_MS, pause_ms};

/// The longest answer that is read: a record, a user's view of it, an error.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// How long one request may take; what takes longer is tried again.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a platform's own words is kept for people to read.
const MAX_WORDS: usize = 200;

/// A platform's access token or password.
#[derive(Clone)]
pub struct Token(String);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a token is one line of visible ASCII characters")]
pub struct TokenError;

/// Why an address is none of an API.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not an http or https address without user, query and fragment")]
pub struct AddressError(pub String);

impl Token {
    /// Reads a token; white space around it is left out.
    ///
    /// # Errors
    /// [`TokenError`], which never repeats the text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text itself, for a body that has to carry it.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(not shown)")
    }
}

/// One place that is asked.
#[derive(Debug, Clone)]
pub(crate) struct JsonApi {
    base: Url,
    out: Outbound,
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Path and query, already encoded, beginning with a slash.
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a Token>,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: Option<&'a Value>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `Null` when there was none or it was no JSON.
    pub(crate) body: Value,
    pause_ms: u64,
}

impl<'a> Ask<'a> {
    pub(crate) fn read(path: &'a str, token: Option<&'a Token>) -> Self {
        Self { method: Method::GET, path, token, headers: &[], body: None }
    }

    pub(crate) fn write(method: Method, path: &'a str, token: &'a Token, body: &'a Value) -> Self {
        Self { method, path, token: Some(token), headers: &[], body: Some(body) }
    }
}

impl JsonApi {
    /// Checks the address. Nothing is sent yet.
    pub(crate) fn new(address: &str, out: Outbound) -> Result<Self, AddressError> {
        let base = watchfire_api::outbound::node_address(address);
        let base = base.map_err(|_| AddressError(address.to_owned()))?;
        Ok(Self { base, out })
    }

    /// Asks and reads the answer, whatever its status.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, ConnectorError> {
        let response = self.send(ask).await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read_body(response, MAX_ANSWER_BYTES).await;
        let body = body.map_err(|error| failed(ask.path, &error.to_string()))?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let pause_ms = asked_pause(&body).unwrap_or_else(|| pause_ms(retry_after.as_deref()));
        Ok(Reply { status, body, pause_ms })
    }

    /// Asks for the status alone; the body is dropped unread, as for a file that nobody wants here.
    pub(crate) async fn status(&self, ask: &Ask<'_>) -> Result<u16, ConnectorError> {
        Ok(self.send(ask).await?.status().as_u16())
    }

    async fn send(&self, ask: &Ask<'_>) -> Result<Response, ConnectorError> {
        let address = watchfire_api::outbound::address_at(&self.base, ask.path);
        let url = Url::parse(&address).map_err(|error| failed(ask.path, &error.to_string()))?;
        let request = self.out.request(ask.method.clone(), &url);
        let mut request = request.map_err(|error| failed(ask.path, &error.to_string()))?;
        // A cache on the way would show yesterday's item.
        request = request.header(header::CACHE_CONTROL, "no-cache").timeout(TIMEOUT);
        if let Some(token) = ask.token {
            request = request.bearer_auth(&token.0);
        }
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| failed(ask.path, &reason(&error)))
    }
}

impl Reply {
    /// Whether the platform did what it was asked.
    pub(crate) fn is_ok(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// What a status means that is no success, for an order: wait, refused for good, or an error
    /// that people repair (a token that has run out) or that passes.
    pub(crate) fn failure(&self) -> Result<Answer, ConnectorError> {
        match self.status {
            404 | 410 => Ok(Answer::Gone),
            408 | 425 | 429 | 503 => Ok(Answer::RetryAfter(self.pause_ms)),
            401 => Err(ConnectorError(self.words())),
            400..=499 => Ok(Answer::Refused(self.words())),
            _ => Err(ConnectorError(self.words())),
        }
    }

    /// The platform's own words, short and without control characters.
    pub(crate) fn words(&self) -> String {
        let text = self.body.to_string();
        let shown: String = text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
        format!("the platform answered {}: {shown}", self.status)
    }
}

fn failed(path: &str, why: &str) -> ConnectorError {
    let path = path.split('?').next().unwrap_or_default();
    ConnectorError(format!("{path}: {why}"))
}

/// Matrix says in the body how long to wait.
fn asked_pause(body: &Value) -> Option<u64> {
    let ms = body.get("retry_after_ms")?.as_u64()?;
    Some(if ms == 0 { DEFAULT_PAUSE_MS } else { ms.min(LONGEST_PAUSE_MS) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn reply(status: u16, body: Value) -> Reply {
        Reply { status, body, pause_ms: 7 }
    }

    #[test]
    fn every_failure_has_one_meaning() {
        let of = |status| reply(status, Value::Null).failure();
        assert_eq!(of(404), Ok(Answer::Gone));
        assert_eq!(of(429), Ok(Answer::RetryAfter(7)));
        assert!(matches!(of(403), Ok(Answer::Refused(_))));
        assert!(of(401).is_err() && of(500).is_err() && of(302).is_err());
    }

    #[test]
    fn a_platform_cannot_ask_to_wait_for_days() {
        let asked = |ms: u64| asked_pause(&serde_json::json!({ "retry_after_ms": ms }));
        assert_eq!(asked(1_500), Some(1_500));
        assert_eq!(asked(u64::MAX), Some(LONGEST_PAUSE_MS));
        assert_eq!(asked(0), Some(DEFAULT_PAUSE_MS));
        assert_eq!(asked_pause(&Value::Null), None);
    }

    #[test]
    fn a_token_is_one_visible_line_and_never_printed() {
        let token = Token::parse(" secret-1\n").unwrap();
        assert_eq!(
            (token.0.as_str(), format!("{token:?}").as_str()),
            ("secret-1", "Token(not shown)")
        );
        for text in ["", " \n", "two words", "line\nline", "ü"] {
            assert!(Token::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_platforms_words_are_kept_short() {
        let long = reply(400, Value::String("x".repeat(10_000)));
        assert!(long.words().len() < MAX_WORDS + 60);
    }
}
