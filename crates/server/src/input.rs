//! Reads what requests carry: bodies up to a limit, JSON, queries and path segments, with a problem for what is wrong.

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use watchfire_api::problem::ProblemKind;

use crate::answer::Failure;
use crate::limits::{JSON_BYTES, LOGIN_BODY_TIME, LOGIN_BYTES, Limit};

/// The longest detail that a problem repeats of what a caller sent.
const MAX_DETAIL_CHARS: usize = 400;

/// What is read of a refused body: more than its caller is likely to be over the limit by, less than is worth sending.
const MAX_LINGER_BYTES: usize = 32 << 20;

/// Reads a body that has at most so many bytes.
pub(crate) async fn read_body(mut body: Body, limit: Limit) -> Result<Bytes, Failure> {
    use hyper::body::Body as _;
    if body.size_hint().lower() > limit.value as u64 {
        return Err(refuse(body, limit).await);
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failure::new(ProblemKind::Malformed, error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit.value {
            return Err(refuse(body, limit).await);
        }
        // The usual body comes in one piece and is not copied.
        if bytes.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Refuses a body, but first lets go of some of what is on its way: a caller that is still sending when the
/// connection closes would see a broken pipe and not the answer.
pub(crate) async fn refuse(mut body: Body, limit: Limit) -> Failure {
    let mut rest = MAX_LINGER_BYTES;
    while rest > 0
        && let Some(Ok(frame)) = body.frame().await
    {
        rest = rest.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
    limit.too_large()
}

/// Reads a body of JSON.
pub(crate) async fn read_json<T: DeserializeOwned>(
    parts: &Parts,
    body: Body,
) -> Result<T, Failure> {
    read_some_json(parts, body, JSON_BYTES).await
}

async fn read_some_json<T: DeserializeOwned>(
    parts: &Parts,
    body: Body,
    limit: Limit,
) -> Result<T, Failure> {
    if !is_json(&parts.headers) {
        let detail = "the body has to be application/json";
        return Err(Failure::new(ProblemKind::UnsupportedMediaType, detail));
    }
    json(&read_body(body, limit).await?)
}

/// Reads what somebody says who has no key yet: little, and soon.
pub(crate) async fn read_login<T: DeserializeOwned>(
    parts: &Parts,
    body: Body,
) -> Result<T, Failure> {
    soon(read_some_json(parts, body, LOGIN_BYTES)).await
}

/// Reads what a stranger says that does not take long to be sent.
pub(crate) async fn read_soon(body: Body, limit: Limit) -> Result<Bytes, Failure> {
    soon(read_body(body, limit)).await
}

async fn soon<T>(read: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = |_| Failure::new(ProblemKind::Timeout, "the body did not come in time");
    tokio::time::timeout(LOGIN_BODY_TIME, read).await.map_err(late)?
}

/// Reads JSON: what is no JSON is malformed, what is JSON and says something else is invalid.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let kind = if error.is_data() { ProblemKind::Invalid } else { ProblemKind::Malformed };
        Failure::new(kind, cut(&error.to_string()))
    })
}

/// Whether the body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

/// The media type of the body, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// The query of an address.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let query = query.map_err(|error| {
            let mut why = error.body_text();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                why = error.to_string();
                cause = error.source();
            }
            Failure::new(ProblemKind::Invalid, cut(&why))
        })?;
        Ok(Query(query.0))
    }
}

/// The one parameter of a path, such as `{id}`.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: std::str::FromStr<Err: std::fmt::Display>, S: Send + Sync> FromRequestParts<S>
    for Named<T>
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let malformed = |error: String| Failure::new(ProblemKind::NotFound, cut(&error));
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|error| malformed(error.to_string()))?;
        let (_, value) = params.iter().next().ok_or_else(|| malformed("no name".to_owned()))?;
        value.parse().map(Named).map_err(|error: T::Err| malformed(error.to_string()))
    }
}

/// The two parameters of a path, such as `{name}` and `{id}`.
pub(crate) struct NamedWithin<A, B>(pub(crate) A, pub(crate) B);

impl<A, B, S> FromRequestParts<S> for NamedWithin<A, B>
where
    A: std::str::FromStr<Err: std::fmt::Display>,
    B: std::str::FromStr<Err: std::fmt::Display>,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let unknown = |error: String| Failure::new(ProblemKind::NotFound, cut(&error));
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|error| unknown(error.to_string()))?;
        let mut values = params.iter().map(|(_, value)| value);
        let mut next = || values.next().ok_or_else(|| unknown("no name".to_owned()));
        let outer = next()?.parse().map_err(|error: A::Err| unknown(error.to_string()))?;
        let inner = next()?.parse().map_err(|error: B::Err| unknown(error.to_string()))?;
        Ok(NamedWithin(outer, inner))
    }
}

/// Shortens what goes back to the caller.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(MAX_DETAIL_CHARS).collect()
}
