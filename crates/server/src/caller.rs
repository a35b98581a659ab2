//! Finds out which program or person calls, and whether they may do what the route needs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::header;
use http::request::Parts;
use sha2::{Digest, Sha256};
use watchfire_api::problem::ProblemKind;
use watchfire_node::access::{Caller, Scope};
use watchfire_node::desk::Actor;
use watchfire_node::publish::{AnswerKey, Asked};

use crate::answer::Failure;
use crate::cookie;
use crate::limits::IDEMPOTENCY_KEY_BYTES;
use crate::rates::address_of;
use crate::server::Server;

/// The longest key that is looked at.
const MAX_KEY_BYTES: usize = 256;

/// Which of several scopes open a route; any one is enough.
pub(crate) trait Opens {
    /// The scopes. None: every key opens it.
    const SCOPES: &'static [Scope];
}

macro_rules! doors {
    ($($(#[$doc:meta])* $door:ident: $($scope:ident)*;)+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $door;

            impl Opens for $door {
                const SCOPES: &'static [Scope] = &[$(Scope::$scope),*];
            }
        )+
    };
}

doors! {
    /// Asking for verdicts.
    Scanning: Scan;
    /// Raising alerts.
    Raising: Curate;
    /// Keeping banks.
    Banking: Curate;
    /// Answering alerts.
    Answering: Curate Review;
    /// Deciding about what waits for a person.
    Reviewing: Review;
    /// Reading what was said and done.
    Reading: Curate Review Audit;
    /// Changing the policy.
    Ruling: Admin;
    /// Seeing the policy, and why things are decided as they are.
    Seeing: Admin Review Audit;
    /// Releasing what a limit of the policy holds.
    Releasing: Admin Review;
    /// Reading numbers about the node.
    Measuring: Audit;
    /// Reading what was done at home.
    Auditing: Audit;
    /// Keeping keys and accounts.
    Administering: Admin;
    /// What any holder of a key may.
    Anything: ;
}

/// A caller who may do what `D` stands for. It is taken from the request before its body.
pub(crate) struct Allowed<D> {
    /// Who calls.
    pub(crate) caller: Caller,
    door: std::marker::PhantomData<D>,
}

impl<D> Allowed<D> {
    /// Who calls, as the desk log names them.
    pub(crate) fn actor(&self) -> Actor {
        self.caller.actor()
    }
}

impl<D: Opens> FromRequestParts<Arc<Server>> for Allowed<D> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        let caller = known(parts, server)?;
        if D::SCOPES.is_empty() || D::SCOPES.iter().any(|scope| caller.may(*scope)) {
            return Ok(Allowed { caller, door: std::marker::PhantomData });
        }
        let names: Vec<_> =
            D::SCOPES.iter().map(|scope| format!("{scope:?}").to_lowercase()).collect();
        let detail = format!("{} lacks the scope {}", caller.actor, names.join(" or "));
        Err(Failure::new(ProblemKind::Forbidden, detail))
    }
}

/// Who calls: by the header `Authorization`, or else by the cookie of a session. Everybody who is not known counts
/// against the address.
fn known(parts: &Parts, server: &Server) -> Result<Caller, Failure> {
    let now_ms = server.node.clock().now_ms();
    let unknown =
        |detail: &str| match server.rates.refused(address_of(parts, server.behind_proxy), now_ms) {
            Ok(()) => Failure::new(ProblemKind::Unauthenticated, detail),
            Err(too_often) => too_often,
        };
    let access = server.node.access();
    let caller = if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let secret = bearer(value).filter(|secret| secret.len() <= MAX_KEY_BYTES);
        let secret =
            secret.ok_or_else(|| unknown("the header is not Authorization: Bearer KEY"))?;
        access.caller(secret).ok_or_else(|| unknown("no such API key or session"))?
    } else if let Some(token) = cookie::token(&parts.headers) {
        let token = Some(token).filter(|token| token.len() <= MAX_KEY_BYTES);
        // A key is no cookie: what a browser sends by itself is a session and nothing else.
        let caller = token.and_then(|token| access.caller(token));
        let caller = caller.filter(|caller| caller.session.is_some());
        let caller = caller.ok_or_else(|| unknown("the session has ended"))?;
        cookie::check_origin(parts, server)?;
        caller
    } else {
        return Err(unknown("an API key is needed: Authorization: Bearer KEY"));
    };
    server.rates.known(&caller, now_ms)?;
    Ok(caller)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// Who has something said.
pub(crate) fn asked(caller: &Caller, parts: &Parts) -> Result<Option<Asked>, Failure> {
    Ok(Some(Asked { by: caller.actor.clone(), key: answer_key(caller, parts)? }))
}

/// Under which name the answer to a request is kept, if the caller wants it kept: nobody meets the answers of
/// another caller or of another route by choosing the same key.
fn answer_key(caller: &Caller, parts: &Parts) -> Result<Option<AnswerKey>, Failure> {
    let Some(key) = parts.headers.get("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES.value {
        return Err(IDEMPOTENCY_KEY_BYTES.exceeded());
    }
    let mut hash = Sha256::new();
    let (actor, created) = (caller.actor.to_string(), caller.created_ms.to_string());
    for part in [actor.as_bytes(), created.as_bytes(), parts.uri.path().as_bytes(), key.as_bytes()]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(Some(hash.finalize().to_vec()))
}
