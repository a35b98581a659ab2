//! Hands out places for connections, requests and streams, so that nobody takes them all.
//!
//! **Invariant:** whoever is nobody known holds at most a share of what there is for all of them, by address; a place is
//! held until the answer is taken, not until it is made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use watchfire_node::rate::Network;
use watchfire_signal::name::MemberName;

use crate::answer::Failure;
use crate::limits::{
    ANONYMOUS_REQUESTS, ANONYMOUS_STREAMS, LOGIN_REQUESTS, LOGINS_OF_AN_ADDRESS, Limit,
    MEMBER_BODIES, MEMBER_STREAMS, REQUESTS_OF_AN_ADDRESS, STREAMS_OF_AN_ADDRESS,
};

/// What of an answer is handed on at a time: what a slow reader keeps in memory beyond that is counted.
const PIECE_BYTES: usize = 64 << 10;

/// Places for requests and streams, so that nobody takes them all.
#[derive(Debug)]
pub(crate) struct Places {
    requests: Shares,
    streams: Shares,
    logins: Shares,
    members: Mutex<HashMap<MemberName, OfMember>>,
}

/// The places of one member.
#[derive(Debug, Clone)]
struct OfMember {
    streams: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            requests: Shares::new(ANONYMOUS_REQUESTS, REQUESTS_OF_AN_ADDRESS),
            streams: Shares::new(ANONYMOUS_STREAMS, STREAMS_OF_AN_ADDRESS),
            logins: Shares::new(LOGIN_REQUESTS, LOGINS_OF_AN_ADDRESS),
            members: Mutex::default(),
        }
    }
}

impl Places {
    /// A place for a request, until its answer is taken. Members need none.
    pub(crate) fn request(
        &self,
        member: Option<&MemberName>,
        from: IpAddr,
    ) -> Result<Place, Failure> {
        let share = member.is_none().then(|| self.requests.take(from)).transpose()?;
        Ok(Place(share))
    }

    /// A place for somebody who logs in or joins, until it is dropped.
    pub(crate) fn login(&self, from: IpAddr) -> Result<Share, Failure> {
        self.logins.take(from)
    }

    /// A place for a stream, until it is dropped.
    pub(crate) fn stream(
        &self,
        member: Option<&MemberName>,
        from: IpAddr,
    ) -> Result<StreamPlace, Failure> {
        let Some(member) = member else {
            return Ok(StreamPlace::Anybody { _share: self.streams.take(from)? });
        };
        let place = self.of_member(member).streams.try_acquire_owned();
        let place = place.map_err(|_| MEMBER_STREAMS.too_many())?;
        Ok(StreamPlace::Member { _place: place })
    }

    /// A place for what a member says, until it is dropped; waits for one.
    pub(crate) async fn body(&self, member: &MemberName) -> Result<OwnedSemaphorePermit, Failure> {
        let bodies = self.of_member(member).bodies;
        bodies.acquire_owned().await.map_err(|error| Failure::internal(&error))
    }

    fn of_member(&self, member: &MemberName) -> OfMember {
        // Names here are those of the charter, so there are few.
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let places = |limit: Limit| Arc::new(Semaphore::new(limit.value));
        let new = || OfMember { streams: places(MEMBER_STREAMS), bodies: places(MEMBER_BODIES) };
        members.entry(member.clone()).or_insert_with(new).clone()
    }
}

/// A place for a stream.
#[derive(Debug)]
pub(crate) enum StreamPlace {
    /// Of those of anybody.
    Anybody { _share: Share },
    /// Of a member's own.
    Member { _place: OwnedSemaphorePermit },
}

/// So many places, of which one address has no more than its share.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    all: Limit,
    share: Limit,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by: HashMap<Network, usize>,
}

impl Shares {
    pub(crate) fn new(all: Limit, share: Limit) -> Self {
        Shares { all, share, held: Arc::default() }
    }

    /// A place, until it is dropped.
    pub(crate) fn take(&self, from: IpAddr) -> Result<Share, Failure> {
        let from = Network::of(from);
        let mut held = self.held();
        if held.all >= self.all.value {
            return Err(self.all.too_many());
        }
        let own = held.by.entry(from).or_default();
        if *own >= self.share.value {
            return Err(self.share.too_many());
        }
        *own += 1;
        held.all += 1;
        Ok(Share { of: self.clone(), from })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place of an address's share.
#[derive(Debug)]
pub(crate) struct Share {
    of: Shares,
    from: Network,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        held.all -= 1;
        if let Some(own) = held.by.get_mut(&self.from) {
            *own -= 1;
            if *own == 0 {
                held.by.remove(&self.from);
            }
        }
    }
}

/// A place for a request; of a member none.
#[derive(Debug)]
pub(crate) struct Place(Option<Share>);

impl Place {
    /// The answer, which keeps the place until its reader has taken it; who takes longer than `patience` gets no more.
    pub(crate) fn until_taken(self, patience: Duration, answer: impl IntoResponse) -> Response {
        let Some(share) = self.0 else { return answer.into_response() };
        answer.into_response().map(|body| {
            let kept = Arc::new(Mutex::new(Some(Kept { body, rest: Bytes::new(), _share: share })));
            let dropped = Arc::clone(&kept);
            let late = tokio::spawn(async move {
                tokio::time::sleep(patience).await;
                drop(lock(&dropped).take());
            });
            Body::new(Answer { kept, late })
        })
    }
}

/// An answer that has not been taken yet.
#[derive(Debug)]
struct Kept {
    body: Body,
    /// What of the last frame is still to be handed on.
    rest: Bytes,
    _share: Share,
}

#[derive(Debug)]
struct Answer {
    kept: Arc<Mutex<Option<Kept>>>,
    late: JoinHandle<()>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        // At once: who waits for the reader is ended some time later.
        drop(lock(&self.kept).take());
        self.late.abort();
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut kept = lock(&self.kept);
        let Some(Kept { body, rest, .. }) = &mut *kept else {
            return Poll::Ready(Some(Err(axum::Error::new("the answer was not taken in time"))));
        };
        if rest.is_empty() {
            match Pin::new(body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => *rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        let kept = lock(&self.kept);
        kept.as_ref().is_some_and(|kept| kept.rest.is_empty() && kept.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let kept = lock(&self.kept);
        let Some(Kept { body, rest, .. }) = &*kept else { return SizeHint::default() };
        let (inner, rest) = (body.size_hint(), rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

fn lock(kept: &Mutex<Option<Kept>>) -> MutexGuard<'_, Option<Kept>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::BodyExt as _;
    use hyper::body::Body as _;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn address(number: usize) -> IpAddr {
        IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()])
    }

    #[test]
    fn requests_of_strangers_have_a_limit_and_those_of_members_have_none_here() {
        let places = Places::default();
        let share = REQUESTS_OF_AN_ADDRESS.value;
        let named = |refused: Result<Place, Failure>| refused.unwrap_err().0.limit;
        let mut held: Vec<_> = (0..share).map(|_| places.request(None, HERE).unwrap()).collect();
        let refused = named(places.request(None, HERE));
        assert_eq!(refused.as_deref(), Some("requests_of_an_address"));
        for other in held.len()..ANONYMOUS_REQUESTS.value {
            held.push(places.request(None, address(other / share)).unwrap());
        }
        let refused = named(places.request(None, address(99)));
        assert_eq!(refused.as_deref(), Some("anonymous_requests"));
        assert!(places.request(Some(&"a".parse().unwrap()), HERE).is_ok());
        drop(held);
        assert!(places.request(None, HERE).is_ok());
        assert!(places.requests.held().by.is_empty(), "an address that holds nothing is forgotten");
    }

    #[tokio::test]
    async fn a_member_that_says_much_at_once_waits_and_others_do_not() {
        let places = Places::default();
        let [one, other]: [MemberName; 2] = ["a", "b"].map(|name| name.parse().unwrap());
        let mut held = Vec::new();
        for _ in 0..MEMBER_BODIES.value {
            held.push(places.body(&one).await.unwrap());
        }
        assert!(places.body(&one).now_or_never().is_none());
        assert!(places.body(&other).now_or_never().is_some());
        held.pop();
        assert!(places.body(&one).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_held_until_the_answer_is_taken_or_its_reader_is_too_late() {
        let places = Places::default();
        let patience = Duration::from_secs(60);
        let answer = |bytes: usize| {
            let place = places.request(None, HERE).unwrap();
            place.until_taken(patience, vec![7_u8; bytes]).into_body()
        };
        let taken = answer(3 * PIECE_BYTES + 5);
        assert_eq!(taken.size_hint().exact(), Some(3 * PIECE_BYTES as u64 + 5));
        assert_eq!(places.requests.held().all, 1);
        let bytes = taken.collect().await.unwrap().to_bytes();
        assert!(bytes.len() == 3 * PIECE_BYTES + 5 && bytes.iter().all(|byte| *byte == 7));
        assert_eq!(places.requests.held().all, 0);

        let mut left = answer(PIECE_BYTES + 1);
        left.frame().await.unwrap().unwrap();
        assert_eq!(places.requests.held().all, 1);
        tokio::time::sleep(patience + Duration::from_secs(1)).await;
        assert_eq!(places.requests.held().all, 0, "its memory is free though it is still there");
        assert!(left.frame().await.unwrap().is_err());
    }
}
