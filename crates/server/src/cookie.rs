//! The cookie of a session, and what a request that comes with it has to show before it may change something.
//!
//! **Invariant:** no page of another site changes anything with a person's cookie: the cookie is `SameSite=Strict`,
//! and a request by cookie that is not a reading one has to come from this origin.
//! Source: RFC 6265bis (`__Host-`, `SameSite`), Fetch Metadata (`Sec-Fetch-Site`).

use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use watchfire_api::problem::ProblemKind;

use crate::answer::Failure;
use crate::server::Server;

/// The cookie's name; the prefix binds it to this host, to HTTPS and to the whole path.
const NAME: &str = "__Host-watchfire";

/// The cookie that a session begins with.
pub(crate) fn set(token: &str, for_s: u64) -> String {
    format!("{NAME}={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={for_s}")
}

/// The cookie that ends it.
pub(crate) fn clear() -> String {
    set("", 0)
}

/// The session's token, if there is a cookie.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
}

/// Refuses a request that would change something and comes from elsewhere, or does not say from where.
pub(crate) fn check_origin(parts: &Parts, server: &Server) -> Result<(), Failure> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    if is_from_here(parts, server) == Some(true) {
        return Ok(());
    }
    let detail = "a request by cookie that changes something comes from this origin, and says so";
    Err(Failure::new(ProblemKind::Forbidden, detail))
}

/// Refuses a request that says that it comes from elsewhere.
pub(crate) fn refuse_elsewhere(parts: &Parts, server: &Server) -> Result<(), Failure> {
    if is_from_here(parts, server) == Some(false) {
        let detail = "nobody logs in from a page of another site";
        return Err(Failure::new(ProblemKind::Forbidden, detail));
    }
    Ok(())
}

/// Whether a request comes from a page of this node; `None` where it does not say.
fn is_from_here(parts: &Parts, server: &Server) -> Option<bool> {
    if let Some(site) = parts.headers.get("sec-fetch-site") {
        return Some(site == HeaderValue::from_static("same-origin"));
    }
    let origin = parts.headers.get(ORIGIN)?.to_str().unwrap_or_default();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.authority().map(http::uri::Authority::as_str).or(host);
    let same_host = origin.split_once("://").is_some_and(|(_, of)| Some(of) == host);
    Some(same_host || server.addresses.iter().any(|own| own.trim_end_matches('/') == origin))
}
