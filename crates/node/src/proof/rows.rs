//! Finds what was decided about uploads that match a case: kept as facts, of which the desk log has one line a group.

use std::collections::BTreeMap;

use watchfire_signal::name::ItemId;
use watchfire_store::{Store, StoreError};
use watchfire_tlog::Hash;

use super::{
    Known,
    bundle::{Octets, RowPart, links},
};
use crate::facts::{
    self, Decided, Group,
    shown::{Shown, leaves, path, root},
};

/// Groups read at once: some MB.
const PAGE: usize = 8;

/// What is shown of the groups that hold something about the case, by the root over all that each shows.
pub(super) struct Rows(BTreeMap<Hash, Vec<RowPart>>);

impl Rows {
    /// Reads the facts that are kept, from the first decision about the case on. Of a group from before there were
    /// roots nothing is shown: its one hash is over all of it.
    pub(super) async fn of(
        store: &dyn Store,
        known: &Known,
        item: Option<&ItemId>,
    ) -> Result<Self, StoreError> {
        let mut found = BTreeMap::new();
        let mut after = facts::KeptFacts::since(known.since_ms);
        while let Some((groups, next)) = facts::groups(store, &after, PAGE).await? {
            for group in groups {
                let rows = shown_of(&group, known, item);
                let rows = rows.map_err(|error| StoreError::Corrupt(format!("facts: {error}")))?;
                found.extend(rows);
            }
            after = next;
        }
        Ok(Self(found))
    }

    /// What is shown of the group of a line.
    pub(super) fn of_line(&self, body: &[u8]) -> Vec<RowPart> {
        let root = serde_json::from_slice::<Group>(body).ok().and_then(|group| group.root());
        root.and_then(|root| self.0.get(&root)).cloned().unwrap_or_default()
    }
}

fn shown_of(
    group: &[Decided],
    known: &Known,
    item: Option<&ItemId>,
) -> Result<Option<(Hash, Vec<RowPart>)>, serde_json::Error> {
    let wanted = |decided: &Decided| {
        decided.upload
            && decided.case == Some(known.case)
            && !decided.then.is_empty()
            && item.is_none_or(|item| decided.facts.item.as_ref() == Some(item))
    };
    let salted = group.iter().all(|decided| !decided.salt.is_empty());
    if !salted || !group.iter().any(wanted) {
        return Ok(None);
    }
    let leaves = leaves(group)?;
    let rows = group.iter().enumerate().filter(|(_, decided)| wanted(decided));
    let rows = rows.map(|(at, decided)| {
        let row = Octets(Shown::of(decided).encode()?);
        Ok(RowPart { index: at as u64, row, inclusion: links(path(at, &leaves)) })
    });
    Ok(Some((root(&leaves), rows.collect::<Result<_, serde_json::Error>>()?)))
}
