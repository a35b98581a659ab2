//! What an old backup takes away: what nobody else had, and what a member knew of its own deeds.
//!
//! **Invariant:** what any other honest member held of a log at that moment has to stay.

use std::{collections::BTreeMap, sync::Arc};

use watchfire_signal::name::{LogName, MemberName};
use watchfire_store::{Store, StoreError};

use super::{Acked, Oracle, View, charters::Ballots};

impl Oracle {
    /// How much of the logs of a member others hold; of those that fit.
    ///
    /// # Errors
    /// The store's.
    pub async fn held_elsewhere(
        &self,
        member: &MemberName,
        fits: impl Fn(&MemberName) -> bool,
    ) -> Result<BTreeMap<LogName, u64>, StoreError> {
        let mut most = BTreeMap::new();
        let others = self.views.get().into_iter().flat_map(BTreeMap::values);
        for view in others.filter(|view| view.name != *member && fits(&view.name)) {
            for (log, size) in sizes(&*view.disk.durable(), member).await? {
                let known = most.entry(log).or_insert(size);
                *known = size.max(*known);
            }
        }
        Ok(most)
    }

    /// Whether an entry that is not on its author's disk comes from the others: an old backup brought back less of a
    /// log that has ended, which nobody has to have whole before signing in the next one. In the end all have it.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn comes_again(
        &self,
        author: &View,
        log: &LogName,
        index: u64,
    ) -> Result<bool, StoreError> {
        let charters = self.charters(author).await?;
        let written = charters.in_force().is_none_or(|now| now.member_of_log(log).is_some());
        if written || !self.state().restored {
            return Ok(false);
        }
        let elsewhere = self.held_elsewhere(&log.member, |_| true).await?;
        Ok(elsewhere.get(log).is_some_and(|size| index < *size))
    }

    /// A member's disk was set back; answers whether its logs are shorter than they were.
    ///
    /// # Errors
    /// The store's.
    pub async fn restored(
        &self,
        member: &MemberName,
        before: &Arc<dyn Store>,
        items: impl Iterator<Item = String>,
    ) -> Result<bool, StoreError> {
        let Some(view) = self.view(member.as_str()) else { return Ok(false) };
        let now = view.disk.durable();
        for item in items {
            if before.effects_of_item(&item).await? != now.effects_of_item(&item).await? {
                self.state().forgotten.insert((member.clone(), item));
            }
        }
        let mut kept = self.held_elsewhere(member, |_| true).await?;
        for (log, size) in sizes(&*now, member).await? {
            let known = kept.entry(log).or_insert(size);
            *known = size.max(*known);
        }
        let there = |log: &LogName, size: u64| {
            log.member != *member || kept.get(log).is_some_and(|kept| size <= *kept)
        };
        let shrunk = sizes(&**before, member).await? != sizes(&*now, member).await?;
        {
            let mut state = self.state();
            state.acked.retain(|Acked { at: (log, index), .. }| there(log, index + 1));
            state.roots.retain(|(log, size), _| log.parse().is_ok_and(|log| there(&log, *size)));
            state.restored = true;
            // Of what nobody saw, nobody knows.
            state.ballots = Ballots::default();
        }
        for view in self.views.get().into_iter().flat_map(BTreeMap::values) {
            self.look_at_charters(view).await?;
        }
        Ok(shrunk)
    }
}

/// How much of its own logs a member has on a disk.
async fn sizes(
    store: &dyn Store,
    member: &MemberName,
) -> Result<BTreeMap<LogName, u64>, StoreError> {
    let heads = store.logs().await?.into_iter();
    let named =
        heads.filter_map(|head| Some((head.log.as_str().parse::<LogName>().ok()?, head.size)));
    Ok(named.filter(|(log, _)| log.member == *member).collect())
}
