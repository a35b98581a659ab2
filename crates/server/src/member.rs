//! Finds out which member calls, by the signature of its request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use watchfire_api::problem::ProblemKind;
use watchfire_api::signature::{Incoming, Verified, verify};
use watchfire_signal::name::MemberName;

use crate::answer::Failure;
use crate::limits::{ANONYMOUS_REQUESTS, ANONYMOUS_STREAMS, MEMBER_STREAMS};
use crate::serve::Server;

/// Who asks for a log: a member, or anybody. A signature that is there and wrong is refused, so that a member with a
/// wrong clock learns of it instead of getting the public's answer.
pub(crate) struct Asker(pub(crate) Option<Verified>);

impl FromRequestParts<Arc<Server>> for Asker {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        if !parts.headers.contains_key("signature-input") {
            return Ok(Asker(None));
        }
        let request = Incoming {
            method: parts.method.as_str(),
            addresses: &server.addresses,
            path_and_query: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            headers: &parts.headers,
        };
        let now_s = server.node.clock().now_ms() / 1000;
        let key_of = |member: &MemberName| server.node.key_of(member);
        Ok(Asker(Some(verify(&request, key_of, now_s, &server.nonces)?)))
    }
}

impl Asker {
    /// The member's name, if it is a member.
    pub(crate) fn name(&self) -> Option<&MemberName> {
        self.0.as_ref().map(|verified| &verified.member)
    }
}

/// The member that a route is for: the signer has to be the one whose name stands in the path.
pub(crate) fn same_member(verified: &Verified, member: &MemberName) -> Result<(), Failure> {
    if verified.member == *member {
        return Ok(());
    }
    let detail = format!("{} does not speak for {member}", verified.member);
    Err(Failure::new(ProblemKind::Forbidden, detail))
}

/// A caller that has to be a member.
pub(crate) struct Signer(pub(crate) Verified);

impl FromRequestParts<Arc<Server>> for Signer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        match Asker::from_request_parts(parts, server).await? {
            Asker(Some(verified)) => Ok(Signer(verified)),
            Asker(None) => Err(Failure::new(
                ProblemKind::Unauthenticated,
                "only members may do this: the request has to be signed (RFC 9421)",
            )),
        }
    }
}

/// Places for requests and streams, so that nobody takes them all.
#[derive(Debug)]
pub(crate) struct Places {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    members: Mutex<HashMap<MemberName, Arc<Semaphore>>>,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            requests: Arc::new(Semaphore::new(ANONYMOUS_REQUESTS.value)),
            streams: Arc::new(Semaphore::new(ANONYMOUS_STREAMS.value)),
            members: Mutex::default(),
        }
    }
}

impl Places {
    /// A place for a request, until it is dropped. Members need none.
    pub(crate) fn request(&self, asker: &Asker) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        if asker.0.is_some() {
            return Ok(None);
        }
        let place = self.requests.clone().try_acquire_owned();
        place.map(Some).map_err(|_| ANONYMOUS_REQUESTS.too_many())
    }

    /// A place for a stream, until it is dropped.
    pub(crate) fn stream(&self, asker: &Asker) -> Result<OwnedSemaphorePermit, Failure> {
        let Some(member) = asker.name() else {
            return self
                .streams
                .clone()
                .try_acquire_owned()
                .map_err(|_| ANONYMOUS_STREAMS.too_many());
        };
        // Names here are those of the charter, so there are few.
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let places = members.entry(member.clone());
        let places = places.or_insert_with(|| Arc::new(Semaphore::new(MEMBER_STREAMS.value)));
        places.clone().try_acquire_owned().map_err(|_| MEMBER_STREAMS.too_many())
    }
}
