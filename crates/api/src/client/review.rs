//! What waits for a person, asked for and decided by a program or the command line.

use http::Method;

use super::{Client, ClientError, call};
use crate::wire::{
    DecideRequest, ReviewNext, ReviewNextRequest, ReviewPage, ReviewPageQuery, ReviewQueues,
    ReviewTicket,
};

/// What is done with a ticket besides deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewStep {
    /// Take it, with a lease.
    Take,
    /// A sign of life.
    Heartbeat,
    /// Give it back.
    Release,
    /// Take a decision back.
    Undo,
}

impl ReviewStep {
    fn word(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Heartbeat => "heartbeat",
            Self::Release => "release",
            Self::Undo => "undo",
        }
    }
}

impl Client {
    /// The queues with what waits in each.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn review_queues(&self) -> Result<ReviewQueues, ClientError> {
        call(self.request(Method::GET, "/v1/review/queues")?).await
    }

    /// A page of tickets.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn review_list(&self, query: &ReviewPageQuery) -> Result<ReviewPage, ClientError> {
        call(self.request(Method::GET, "/v1/review")?.query(query)).await
    }

    /// The ticket to look at next, with a lease.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn review_next(&self, next: &ReviewNextRequest) -> Result<ReviewNext, ClientError> {
        self.post("/v1/review/next", next, None).await
    }

    /// A ticket.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn review_show(&self, id: &str) -> Result<ReviewTicket, ClientError> {
        call(self.request(Method::GET, &format!("/v1/review/{id}"))?).await
    }

    /// Takes, keeps, gives back a ticket, or takes a decision back.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn review_step(
        &self,
        id: &str,
        step: ReviewStep,
    ) -> Result<ReviewTicket, ClientError> {
        let path = format!("/v1/review/{id}/{}", step.word());
        call(self.request(Method::POST, &path)?).await
    }

    /// Decides about a ticket that the caller holds.
    ///
    /// # Errors
    /// [`ClientError`], as every call.
    pub async fn review_decide(
        &self,
        id: &str,
        decision: &DecideRequest,
    ) -> Result<ReviewTicket, ClientError> {
        self.post(&format!("/v1/review/{id}/decide"), decision, None).await
    }
}
