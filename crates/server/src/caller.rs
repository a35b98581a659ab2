//! Finds out which program calls, by its API key, and whether it may do what the route needs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use sha2::{Digest, Sha256};
use watchfire_api::problem::ProblemKind;
use watchfire_node::access::{Caller, Scope};
use watchfire_node::desk::Actor;
use watchfire_node::publish::AnswerKey;

use crate::answer::Failure;
use crate::limits::IDEMPOTENCY_KEY_BYTES;
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
    /// Answering alerts.
    Answering: Curate Review;
    /// Reading what was said and done.
    Reading: Curate Review Audit;
    /// Reading numbers about the node.
    Measuring: Audit;
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
    #[allow(dead_code, reason = "the routes that write desk lines are being built")]
    pub(crate) fn actor(&self) -> Actor {
        self.caller.actor()
    }
}

impl<D: Opens> FromRequestParts<Arc<Server>> for Allowed<D> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        let unknown = |detail: &str| Failure::new(ProblemKind::Unauthenticated, detail);
        let value = parts.headers.get(header::AUTHORIZATION);
        let value =
            value.ok_or_else(|| unknown("an API key is needed: Authorization: Bearer KEY"))?;
        let key = value.to_str().ok().and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        let key = key.filter(|key| key.len() <= MAX_KEY_BYTES);
        let key = key.ok_or_else(|| unknown("the header is not Authorization: Bearer KEY"))?;
        let caller = server.node.caller(key).await.map_err(|error| Failure::internal(&error))?;
        let caller = caller.ok_or_else(|| unknown("no such API key"))?;
        if D::SCOPES.is_empty() || D::SCOPES.iter().any(|scope| caller.may(*scope)) {
            return Ok(Allowed { caller, door: std::marker::PhantomData });
        }
        let names: Vec<_> =
            D::SCOPES.iter().map(|scope| format!("{scope:?}").to_lowercase()).collect();
        let detail = format!("the key {:?} lacks the scope {}", caller.name, names.join(" or "));
        Err(Failure::new(ProblemKind::Forbidden, detail))
    }
}

/// Under which name the answer to a request is kept, if the caller wants it kept: nobody meets the answers of
/// another caller or of another route by choosing the same key.
pub(crate) fn answer_key(caller: &Caller, parts: &Parts) -> Result<Option<AnswerKey>, Failure> {
    let Some(key) = parts.headers.get("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES.value {
        return Err(IDEMPOTENCY_KEY_BYTES.exceeded());
    }
    let mut hash = Sha256::new();
    let created = caller.created_ms.to_string();
    for part in
        [caller.name.as_bytes(), created.as_bytes(), parts.uri.path().as_bytes(), key.as_bytes()]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(Some(hash.finalize().to_vec()))
}
