//! What happens at one node, as it is told over server-sent events, with the time each word came.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use watchfire_api::{client::Client, wire::EventView};

/// Pause before a stream that broke is opened again.
const AGAIN: Duration = Duration::from_millis(100);

/// The events of one node since the feed was opened.
pub(super) struct Feed {
    heard: Arc<Heard>,
    task: JoinHandle<()>,
}

struct Heard {
    events: Mutex<Vec<(Instant, EventView)>>,
    count: watch::Sender<usize>,
}

/// An event in a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Its place in the feed.
    pub place: usize,
    /// When it came.
    pub at: Instant,
}

impl Feed {
    /// Listens to a node from now on.
    pub(super) fn open(client: Client) -> Self {
        let heard = Arc::new(Heard { events: Mutex::default(), count: watch::Sender::new(0) });
        let task = tokio::spawn(listen(client, heard.clone()));
        Self { heard, task }
    }

    /// How many events have come: the place of the next one.
    pub(super) fn here(&self) -> usize {
        *self.heard.count.borrow()
    }

    /// The first event from a place on that fits; waits for it until a moment.
    pub(super) async fn first(
        &self,
        from: usize,
        until: Instant,
        fits: impl Fn(&EventView) -> bool,
    ) -> Option<Moment> {
        let mut count = self.heard.count.subscribe();
        let mut looked = from;
        loop {
            count.borrow_and_update();
            {
                let events = self.heard.events();
                let mut fresh = events.iter().enumerate().skip(looked);
                let found = fresh.find(|(_, (_, event))| fits(event));
                if let Some((place, (at, _))) = found {
                    return Some(Moment { place, at: *at });
                }
                looked = events.len();
            }
            match tokio::time::timeout_at(until, count.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Heard {
    fn events(&self) -> MutexGuard<'_, Vec<(Instant, EventView)>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(client: Client, heard: Arc<Heard>) {
    let mut last = None;
    loop {
        if let Ok(mut events) = client.events(last).await {
            while let Some(Ok(event)) = events.next().await {
                last = Some(event.id);
                let count = {
                    let mut events = heard.events();
                    events.push((Instant::now(), event));
                    events.len()
                };
                heard.count.send_replace(count);
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
