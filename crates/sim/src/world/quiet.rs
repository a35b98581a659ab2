//! Members with which nothing is wrong for a while, in the middle of everything: what holds for them then.

use std::sync::Arc;

use super::World;
use crate::{Broken, disk::Trouble, platform::Mood};

/// How long a member has to be well, awake, before what it should have given back by then is missed: a slow disk, and two
/// looks of a node at its clock.
const QUIET_MS: u64 = 45_000;

/// Since when a node runs with nothing wrong, and whether it was looked at since.
pub(super) struct Quiet {
    node: usize,
    since_ms: u64,
    looked: bool,
}

impl World {
    /// Looks at what is hidden at members that are well.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn look_at_the_quiet(&self) -> Result<(), Broken> {
        let now_ms = self.time.waking_ms();
        for member in &self.members {
            let incidents = member.node().map(|node| node.incidents()).unwrap_or_default();
            let well = member.disk.troubled() == Trouble::default()
                && member.platform.mood() == Mood::Fine
                && !self.time.leapt_since(now_ms.saturating_sub(QUIET_MS));
            let node = member.ready().filter(|_| well).map(|node| Arc::as_ptr(&node) as usize);
            let Some(node) = node else {
                self.quiet().remove(&member.place);
                continue;
            };
            let begins = || Quiet { node, since_ms: now_ms, looked: false };
            let due = {
                let mut quiet = self.quiet();
                let quiet = quiet.entry(member.place).or_insert_with(begins);
                if quiet.node != node {
                    *quiet = begins();
                }
                // Terms end in leaps; a look costs as much as a reading of all logs.
                let due = !quiet.looked && now_ms - quiet.since_ms >= QUIET_MS;
                quiet.looked |= due;
                due
            };
            if due {
                let posted = member.platform.posted();
                self.oracle.look_at_hidden(&member.name, posted, QUIET_MS).await?;
                self.oracle.look_at_incidents(&member.name, &incidents, QUIET_MS).await?;
            }
        }
        Ok(())
    }
}
