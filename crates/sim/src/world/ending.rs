//! The end of a run: nothing is wrong any more, and what should hold then has time to.

use std::time::Duration;

use super::World;
use crate::{
    Broken, Mutant,
    disk::Trouble,
    oracle::{Finding, Standpoint},
    platform::Mood,
};

const HOUR_MS: u64 = 3_600_000;
/// How long everybody has to agree, in looks.
const LOOKS: u32 = 120;
/// Between two looks: half a minute is the longest pause of a stream that is opened again.
const LOOK: Duration = Duration::from_secs(10);

impl World {
    pub(super) async fn end(&self) -> Result<(), Broken> {
        self.trace.note("world", "everything is mended");
        self.wire.heal();
        for member in &self.members {
            member.disk.trouble(|trouble| *trouble = Trouble::default());
            member.platform.set_mood(Mood::Fine);
            member.platform.does_what_it_said();
        }
        match (self.options.mutant, self.members.first()) {
            (Some(Mutant::StaysCut), _) => self.wire.cut_off(0),
            (Some(Mutant::StaysDown), Some(member)) => member.crash().await,
            _ => {}
        }
        if let Some(liar) = &self.liar {
            liar.repent();
        }
        self.returns().values_mut().for_each(|at_ms| *at_ms = 0);
        // What waits for an hour before it is tried again is due.
        self.time.leap(2 * HOUR_MS);
        self.settle().await?;
        if !self.oracle.findings().is_empty() {
            return Ok(());
        }
        self.trace.note("world", "all terms of hours end");
        self.time.leap(26 * HOUR_MS);
        self.settle().await
    }

    /// Waits until everything holds that should; what never does is found.
    async fn settle(&self) -> Result<(), Broken> {
        let mut left = Vec::new();
        for look in 0..LOOKS {
            tokio::time::sleep(LOOK).await;
            self.supervise().await;
            self.oracle.look().await?;
            if !self.oracle.findings().is_empty() {
                return Ok(());
            }
            self.watch_incidents();
            left = self.unsettled().await?;
            if left.is_empty() {
                self.trace.note("world", format_args!("all agree after {look} looks"));
                return Ok(());
            }
        }
        for Finding { rule, member, what } in left {
            self.oracle.object(rule, member, what);
        }
        Ok(())
    }

    async fn unsettled(&self) -> Result<Vec<Finding>, Broken> {
        let mut all = Vec::new();
        for member in self.members.iter().filter(|member| self.oracle.is_member(&member.name)) {
            let Some(node) = member.ready() else {
                let rule = crate::oracle::Rule::Unwell;
                let readiness = member.node().map(|node| node.readiness());
                let what = format!("it does not work: {readiness:?}");
                return Ok(vec![Finding { rule, member: member.name.to_string(), what }]);
            };
            let posted = member.platform.posted();
            all.push(Standpoint { name: member.name.clone(), node, posted });
        }
        Ok(self.oracle.unsettled(&all).await?)
    }
}
