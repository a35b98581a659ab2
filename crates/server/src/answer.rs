//! Turns answers and errors into HTTP.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use watchfire_api::problem::{MEDIA_TYPE, Problem, ProblemKind};
use watchfire_node::StoreError;
use watchfire_node::charter::changes::ChangeError;
use watchfire_node::charter::invites::JoinError;
use watchfire_node::desk::WriteError;
use watchfire_node::publish::PublishError;
use watchfire_node::raise::RaiseError;
use watchfire_node::replicate::TakeError;
use watchfire_node::sequence::SequenceError;
use watchfire_tlog::SourceError;

/// A problem as the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub Problem);

impl Failure {
    /// A problem with what it was this time.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Failure(Problem::new(kind, detail))
    }

    /// A fault of this node; what it was goes to its log and not to the caller.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %error, "a request failed");
        Failure(Problem::plain(ProblemKind::Internal))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, self.0.retry_after_s.unwrap_or(1).into());
            }
            _ => {}
        }
        response
    }
}

impl From<RaiseError> for Failure {
    fn from(error: RaiseError) -> Self {
        match error {
            RaiseError::Unknown(_) | RaiseError::NoMember(_) | RaiseError::NoRecord(_) => {
                Failure::new(ProblemKind::NotFound, error.to_string())
            }
            RaiseError::OnlyFeatures
            | RaiseError::NoGroup(_)
            | RaiseError::Itself
            | RaiseError::Wordless(_) => Failure::new(ProblemKind::Invalid, error.to_string()),
            RaiseError::NoOpinion(_)
            | RaiseError::NoVote(_)
            | RaiseError::NoDispute(_)
            | RaiseError::NotWaiting(_)
            | RaiseError::MustWait { .. }
            | RaiseError::NotAllowed { .. }
            | RaiseError::Lapsed(_)
            | RaiseError::Taxonomy { .. }
            | RaiseError::NotAuthor(_)
            | RaiseError::Wider(_)
            | RaiseError::NoLog(_)
            | RaiseError::Oneself
            | RaiseError::Own(_) => Failure::new(ProblemKind::Conflict, error.to_string()),
            RaiseError::Quota { name, value, wait_ms } => {
                let problem = Problem::limit(ProblemKind::TooMany, name, value);
                let (detail, retry_after_s) =
                    (Some(error.to_string()), Some(wait_ms.div_ceil(1000)));
                Failure(Problem { detail, retry_after_s, ..problem })
            }
            RaiseError::Publish(PublishError::Invalid(error)) => {
                Failure::new(ProblemKind::Invalid, error.to_string())
            }
            RaiseError::Publish(PublishError::Quota(name, value)) => {
                let problem = Problem::limit(ProblemKind::TooMany, name, value);
                Failure(Problem { detail: Some(error.to_string()), ..problem })
            }
            RaiseError::Publish(PublishError::Sequence(error)) => error.into(),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown(_) => Failure::new(ProblemKind::NotFound, error.to_string()),
            ChangeError::Voted { .. } | ChangeError::Same => {
                Failure::new(ProblemKind::Conflict, error.to_string())
            }
            ChangeError::Invalid(_) | ChangeError::Untrusted(_) => {
                Failure::new(ProblemKind::Invalid, error.to_string())
            }
            ChangeError::Store(error) => Failure::internal(&error),
            ChangeError::Write(error) => error.into(),
        }
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Unknown => Failure::new(ProblemKind::NotFound, error.to_string()),
            JoinError::Used | JoinError::Taken(_) => {
                Failure::new(ProblemKind::Conflict, error.to_string())
            }
            JoinError::Other { .. } | JoinError::Signature => {
                Failure::new(ProblemKind::Invalid, error.to_string())
            }
            JoinError::Change(error) => error.into(),
            JoinError::Store(error) => Failure::internal(&error),
        }
    }
}

impl From<SequenceError> for Failure {
    fn from(error: SequenceError) -> Self {
        match error {
            SequenceError::Store(error @ StoreError::Full) => {
                Failure::new(ProblemKind::Unavailable, error.to_string())
            }
            SequenceError::Store(error) => Failure::internal(&error),
            SequenceError::TwoWriters | SequenceError::Stopping => {
                Failure::new(ProblemKind::Unavailable, error.to_string())
            }
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Sequence(error) => error.into(),
            WriteError::Body(_) | WriteError::TooLong | WriteError::Invalid(_) => {
                Failure::new(ProblemKind::Invalid, error.to_string())
            }
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Failure::internal(&error)
    }
}

impl From<TakeError> for Failure {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Unproven(_) | TakeError::Ahead { .. } | TakeError::TooMuch { .. } => {
                Failure::new(ProblemKind::Invalid, error.to_string())
            }
            TakeError::Frozen(_) => Failure::new(ProblemKind::Conflict, error.to_string()),
            TakeError::Source(error) => Failure::internal(&error),
            TakeError::Store(error) => Failure::internal(&error),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_quota_is_named_and_says_when_there_is_room_again() {
        let spent = RaiseError::Quota { name: "records_a_day", value: 7, wait_ms: 1_500 };
        let failure = Failure::from(spent);
        assert_eq!(failure.0.limit.as_deref(), Some("records_a_day"));
        assert!(failure.0.detail.as_deref().unwrap().contains("records_a_day (7)"));
        let response = failure.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
