//! Backups, and what an operator does who puts an old one back.
//!
//! **Invariant:** it is done as `docs/operating.md` says it is safe: nothing of before is under way any more, and
//! the others can be asked. An old copy of which the one who knew more is silent at the start is found out later,
//! by the node; that is not simulated.

use std::{sync::Arc, time::Duration};

use super::World;
use crate::{Broken, disk::Trouble, fault::Fault, member::Member};

/// How long it takes to put a backup back: what was under way before has come, or never will.
const RESTORING: Duration = Duration::from_secs(100);
/// How long a start waits for the others, in seconds.
const ASKING_S: u32 = 60;

impl World {
    /// Somebody copies a disk.
    pub(super) fn back_up(&self) {
        let Some(member) = self.chance.pick(&self.members) else { return };
        self.trace.note(member.name.as_str(), "is backed up");
        member.disk.back_up();
    }

    /// A disk is lost, and its last backup put in its place.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn restore(&self) -> Result<(), Broken> {
        let backed_up = self.members.iter().filter(|member| {
            member.disk.has_backup() && member.is_up() && self.oracle.is_member(&member.name)
        });
        let backed_up: Vec<_> = backed_up.collect();
        let Some(member) = self.chance.pick(&backed_up).copied() else { return Ok(()) };
        self.trace.note(member.name.as_str(), "loses its disk");
        member.crash().await;
        self.wire.heal();
        self.members.iter().for_each(|member| {
            member.disk.trouble(|trouble| *trouble = Trouble::default());
        });
        tokio::time::sleep(RESTORING).await;
        if self.can_be_asked(member).await?
            && let Some(before) = member.disk.restore()
        {
            let items = member.platform.posted().into_keys();
            let older = self.oracle.restored(&member.name, &before, items).await?;
            self.trace.note(member.name.as_str(), format_args!("has its backup back: {older}"));
            if older {
                self.faults.fired(Fault::BackupRestored);
            }
        }
        self.start(member);
        for _ in 0..ASKING_S {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if member.ready().is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Whether the others run, and those that can be reached have all that anybody has of what a member said.
    async fn can_be_asked(&self, member: &Arc<Member>) -> Result<bool, Broken> {
        let mut others = self
            .members
            .iter()
            .filter(|other| other.name != member.name && self.oracle.is_member(&other.name));
        if others.any(|other| other.ready().is_none()) {
            return Ok(false);
        }
        let hidden = self.around.cast.behind_nat.as_ref();
        let asked = |name: &_| Some(name) != hidden && self.oracle.is_member(name);
        let reached = self.oracle.held_elsewhere(&member.name, asked).await?;
        Ok(reached == self.oracle.held_elsewhere(&member.name, |_| true).await?)
    }
}
