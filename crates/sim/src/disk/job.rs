//! A write on its way to the disk.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use watchfire_store::{MemoryStore, StoreError};

use crate::fault::Write;

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done and answered.
    Done,
    /// Done, and nobody hears of it.
    Unanswered,
    /// Not done, and nobody hears of it.
    Lost,
    /// Not done, and answered so.
    Refused,
    /// Done, and answered as failed.
    Torn,
    /// Not done, and answered as done: only mutants do that.
    Forgotten,
}

/// A write.
pub(super) struct Job {
    /// What it is for.
    pub(super) write: Write,
    act: Box<dyn FnOnce(Verdict) -> BoxFuture<'static, ()> + Send>,
}

impl Job {
    /// A write that changes the store, and where its answer comes; `done` is what a lie answers.
    pub(super) fn new<T, E>(
        write: Write,
        store: Arc<MemoryStore>,
        change: impl FnOnce(Arc<MemoryStore>) -> BoxFuture<'static, Result<T, E>> + Send + 'static,
        done: T,
    ) -> (Self, oneshot::Receiver<Result<T, E>>)
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let act = move |verdict| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                let failed = |why: &str| Err(E::from(StoreError::Failed(why.to_owned())));
                let answer = match verdict {
                    Verdict::Done => Some(change(store).await),
                    Verdict::Unanswered => {
                        // Nobody waits for what it came to.
                        let _done = change(store).await;
                        None
                    }
                    Verdict::Lost => None,
                    Verdict::Refused => Some(failed("the disk is full")),
                    Verdict::Torn => {
                        let _done = change(store).await;
                        Some(failed("the disk failed in the middle"))
                    }
                    Verdict::Forgotten => Some(Ok(done)),
                };
                if let Some(answer) = answer {
                    // The writer may have gone.
                    let _gone = tell.send(answer);
                }
            })
        };
        (Self { write, act: Box::new(act) }, told)
    }

    /// Has it happen so.
    pub(super) async fn act(self, verdict: Verdict) {
        (self.act)(verdict).await;
    }
}
