//! Asks the fold how much of its quotas each member has used: it alone keeps what of all logs is live.
//!
//! **Invariant:** to ask changes nothing, and costs nothing where nobody asks.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::{mpsc, oneshot};
use watchfire_signal::name::LogName;

/// How long an answer is waited for. The fold answers between two turns, so it is late only where the disk is.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions that wait at a time.
const QUESTIONS: usize = 16;

/// What a member has used of its quotas, by its log as it is folded here. What says nothing because it is beyond a
/// quota counts as a record or dispute too, and has no bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Records of this day, by UTC; not what takes back.
    pub records: u64,
    /// Those of them that dispute.
    pub disputes: u64,
    /// Bytes of their bodies, each rounded up to a whole KiB.
    pub bytes: u64,
    /// Alerts that are live now.
    pub live_alerts: u64,
}

/// What all logs have used.
pub(crate) type AllSpent = BTreeMap<LogName, Spent>;

/// The questions, as the fold hears them.
pub(crate) type Questions = mpsc::Receiver<oneshot::Sender<AllSpent>>;

/// Where the fold is asked.
#[derive(Debug, Clone)]
pub(crate) struct Asking(mpsc::Sender<oneshot::Sender<AllSpent>>);

impl Asking {
    pub(crate) fn new() -> (Self, Questions) {
        let (ask, questions) = mpsc::channel(QUESTIONS);
        (Self(ask), questions)
    }

    /// What all logs have used; `None` where the fold does not answer in time.
    pub(crate) async fn ask(&self) -> Option<AllSpent> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(answer).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(PATIENCE, asked).await.ok()?
    }
}
