//! Hands out places for requests and streams, so that nobody takes them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use watchfire_signal::name::MemberName;

use crate::answer::Failure;
use crate::limits::{ANONYMOUS_REQUESTS, ANONYMOUS_STREAMS, MEMBER_STREAMS};

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
    pub(crate) fn request(
        &self,
        member: Option<&MemberName>,
    ) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        if member.is_some() {
            return Ok(None);
        }
        let place = self.requests.clone().try_acquire_owned();
        place.map(Some).map_err(|_| ANONYMOUS_REQUESTS.too_many())
    }

    /// A place for a stream, until it is dropped.
    pub(crate) fn stream(
        &self,
        member: Option<&MemberName>,
    ) -> Result<OwnedSemaphorePermit, Failure> {
        let Some(member) = member else {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_strangers_have_a_limit_and_those_of_members_have_none_here() {
        let places = Places::default();
        let held: Vec<_> =
            (0..ANONYMOUS_REQUESTS.value).map(|_| places.request(None).unwrap()).collect();
        let refused = places.request(None).unwrap_err();
        assert_eq!(refused.0.limit.as_deref(), Some("anonymous_requests"));
        assert!(places.request(Some(&"a".parse().unwrap())).is_ok());
        drop(held);
        assert!(places.request(None).is_ok());
    }
}
