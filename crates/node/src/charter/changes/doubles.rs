//! Members that have approved two charters of one number, with the evidence.
//!
//! **Invariant:** nobody is named here but with two charters that both follow from one that this node has, and that the
//! member has signed.
//! **Invariant:** of each member and number one such pair is kept, for good.

use std::collections::BTreeMap;

use watchfire_signal::{
    charter::{CharterError, SignedCharter, decode_sequence},
    name::MemberName,
};
use watchfire_store::{Row, Store, Table};

use super::{ChangeError, all};
use crate::charter::verified;

/// Number and member → its two charters, one after the other, each with its approval alone.
const DOUBLES: Table = Table::Ledger("charter_doubles");

/// Two charters of one number that one member has approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Double {
    /// The member.
    pub member: MemberName,
    /// The charters, each with the member's approval alone; ascending by hash.
    pub charters: [SignedCharter; 2],
}

/// All that is known, by number and member.
pub(super) type Doubles = BTreeMap<(u64, MemberName), Double>;

impl Double {
    /// The evidence in two charters of one number with verified approvals, against each member that approved both.
    pub(super) fn between(
        one: &SignedCharter,
        other: &SignedCharter,
    ) -> Result<Doubles, CharterError> {
        let mut found = Doubles::new();
        for approval in &one.approvals {
            let member = &approval.member;
            let Some(again) = other.approvals.iter().find(|by| by.member == *member) else {
                continue;
            };
            let mut charters = [
                SignedCharter::new(one.charter.clone(), vec![approval.clone()])?,
                SignedCharter::new(other.charter.clone(), vec![again.clone()])?,
            ];
            charters.sort_by_key(SignedCharter::hash);
            let double = Self { member: member.clone(), charters };
            found.insert((one.charter.seq, member.clone()), double);
        }
        Ok(found)
    }

    /// The number of the two charters.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.charters[0].charter.seq
    }

    /// Reads the evidence as it is kept and handed on.
    ///
    /// # Errors
    /// [`ChangeError`] for what is not two charters that one member alone has approved.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChangeError> {
        let charters = decode_sequence(bytes).map_err(crate::charter::TrustError::from)?;
        let charters: Result<[SignedCharter; 2], _> = charters.try_into();
        let by =
            |charters: &[SignedCharter; 2]| match charters.each_ref().map(|one| &one.approvals[..])
            {
                [[one], [other]] if one.member == other.member => Some(one.member.clone()),
                _ => None,
            };
        let pair = charters.ok().and_then(|charters| Some((by(&charters)?, charters)));
        let (member, charters) = pair.ok_or(CharterError::Approvals)?;
        Ok(Self { member, charters })
    }

    /// The bytes that [`Double::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.charters.iter().flat_map(SignedCharter::encode).collect()
    }

    /// Whether it convicts the member, for whoever has the charter before these two and believes that one.
    #[must_use]
    pub fn check(&self, before: &SignedCharter) -> bool {
        let [one, other] = &self.charters;
        let signed = |charter: &SignedCharter| {
            let by = verified(charter, &before.charter);
            let signs = by.iter().any(|by| by.member == self.member);
            signs && charter.charter.check_follows(before).is_ok()
        };
        one.hash() != other.hash() && signed(one) && signed(other)
    }

    pub(super) fn row(&self) -> Row {
        let key = [&self.seq().to_be_bytes()[..], self.member.as_str().as_bytes()].concat();
        Row { table: DOUBLES, key, value: Some(self.encode()) }
    }
}

/// What is kept.
pub(super) async fn load(store: &dyn Store) -> Result<Doubles, ChangeError> {
    let mut doubles = Doubles::new();
    for (_, value) in all(store, DOUBLES).await? {
        let double = Double::decode(&value)?;
        doubles.insert((double.seq(), double.member.clone()), double);
    }
    Ok(doubles)
}
