//! Finds out which member calls, by the signature of its request.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use tokio::sync::OwnedSemaphorePermit;
use watchfire_api::problem::ProblemKind;
use watchfire_api::signature::{Incoming, SignatureError, Verified, verify};
use watchfire_signal::name::MemberName;

use crate::answer::Failure;
use crate::input::read_body;
use crate::limits::{Limit, MEMBER_REQUESTS};
use crate::places::{Place, StreamPlace};
use crate::rates::address_of;
use crate::server::Server;

/// Who asks for a log: a member, or anybody. A signature that is there and wrong is refused, so that a member with a
/// wrong clock learns of it instead of getting the public's answer.
pub(crate) struct Asker {
    member: Option<Verified>,
    from: IpAddr,
}

impl FromRequestParts<Arc<Server>> for Asker {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        let from = address_of(parts, server.behind_proxy);
        let now_ms = server.node.clock().now_ms();
        if !parts.headers.contains_key("signature-input") {
            server.rates.public(from, now_ms)?;
            return Ok(Asker { member: None, from });
        }
        server.rates.signed(from, now_ms)?;
        let request = Incoming {
            method: parts.method.as_str(),
            addresses: &server.addresses,
            path_and_query: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            headers: &parts.headers,
        };
        let now_s = server.node.wall_clock().now_ms() / 1000;
        let key_of = |member: &MemberName| server.node.key_of(member);
        let checked = verify(&request, key_of, now_s, &server.nonces);
        if matches!(checked, Ok(_) | Err(SignatureError::TooMany)) {
            server.rates.believed(from);
        } else {
            // Only who fails meets this bucket: a member behind the same address does not.
            server.rates.refused(from, now_ms)?;
        }
        checked.map(|member| Asker { member: Some(member), from }).map_err(refusal)
    }
}

impl Asker {
    /// The member's name, if it is a member.
    pub(crate) fn name(&self) -> Option<&MemberName> {
        self.member.as_ref().map(|verified| &verified.member)
    }

    /// Where it asks from.
    pub(crate) fn from(&self) -> IpAddr {
        self.from
    }

    /// A place for its request.
    pub(crate) fn place(&self, server: &Server) -> Result<Place, Failure> {
        server.places.request(self.name(), self.from)
    }

    /// A place for a stream.
    pub(crate) fn stream(&self, server: &Server) -> Result<StreamPlace, Failure> {
        server.places.stream(self.name(), self.from)
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

/// What a member says: the body of a request to the path that has its name, which its signature covers.
pub(crate) async fn said_by(
    (server, signer): (&Server, &Verified),
    member: &MemberName,
    request: Request,
    limit: Limit,
) -> Result<Said, Failure> {
    same_member(signer, member)?;
    said((server, signer), request, limit).await
}

/// The body of a member's request, which its signature covers. Over its number of places a member waits.
pub(crate) async fn said(
    (server, signer): (&Server, &Verified),
    request: Request,
    limit: Limit,
) -> Result<Said, Failure> {
    let place = server.places.body(&signer.member).await?;
    let body = read_body(request.into_body(), limit).await?;
    signer.check_body(&body).map_err(refusal)?;
    Ok(Said { body, _place: place })
}

/// What a member says, which keeps one of its places until it is dropped: until it is done with.
pub(crate) struct Said {
    pub(crate) body: Bytes,
    _place: OwnedSemaphorePermit,
}

/// A caller that has to be a member.
pub(crate) struct Signer(pub(crate) Verified);

impl FromRequestParts<Arc<Server>> for Signer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        match Asker::from_request_parts(parts, server).await? {
            Asker { member: Some(verified), .. } => Ok(Signer(verified)),
            Asker { member: None, .. } => Err(Failure::new(
                ProblemKind::Unauthenticated,
                "only members may do this: the request has to be signed (RFC 9421)",
            )),
        }
    }
}

/// The answer to a request whose signature is not believed.
fn refusal(error: SignatureError) -> Failure {
    match error {
        SignatureError::TooMany => MEMBER_REQUESTS.too_many(),
        error => Failure::new(ProblemKind::Unauthenticated, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_asks_too_often_is_told_the_limit() {
        // That the memory of nonces says so after so many requests is tested where it is.
        let Failure(problem) = refusal(SignatureError::TooMany);
        assert_eq!((problem.status, problem.limit.as_deref()), (429, Some(MEMBER_REQUESTS.name)));
    }
}
