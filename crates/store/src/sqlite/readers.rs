//! Runs questions to the database on threads of their own, so that no async task waits for a disk.
//!
//! **Invariant:** the queue is bounded; who asks too much waits.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::feed::locked;

/// Questions that wait for a reader.
const QUEUE: usize = 256;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Where questions go.
#[derive(Debug)]
pub(super) struct Readers {
    questions: mpsc::Sender<Question>,
}

impl Readers {
    /// Starts a thread a connection. The threads end when the `Readers` are dropped.
    pub(super) fn start(
        connections: Vec<Connection>,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (questions, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let start = |connection| {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name("store-reader".to_owned());
            thread.spawn(move || run(&queue, &connection))
        };
        let threads = connections.into_iter().map(start).collect::<std::io::Result<_>>()?;
        Ok((Readers { questions }, threads))
    }

    /// Asks and waits for the answer.
    pub(super) async fn ask<T, E, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        E: Into<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            // Who asked may have gone; then nobody misses the answer.
            let _ = answer.send(question(connection).map_err(Into::into));
        });
        self.questions.send(question).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Questions that wait.
    pub(super) fn waiting(&self) -> usize {
        self.questions.max_capacity() - self.questions.capacity()
    }
}

fn run(queue: &Mutex<mpsc::Receiver<Question>>, connection: &Connection) {
    loop {
        // One reader waits on the queue, the others on the lock; the guard goes before the question
        // is answered.
        let question = locked(queue).blocking_recv();
        let Some(question) = question else { return };
        question(connection);
    }
}
