//! Logs that have ended: of members that left, and of members that go on under a new key.

use serde::{Deserialize, Serialize};

use crate::{
    cbor::{CborError, Item, Reader, Writer},
    hex,
    name::MemberName,
    statement::Head,
};

/// A log that nobody writes any more. Its key stands here for good, so that what was said in it can
/// be checked by whoever has the charter in force alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedLog {
    /// The member that wrote it.
    pub member: MemberName,
    /// The epoch.
    pub epoch: u32,
    /// The key that signed it.
    #[serde(serialize_with = "hex::serialize", deserialize_with = "hex::deserialize")]
    pub key: [u8; 32],
    /// What is accepted of it. Without: all up to the `key` record by which its author ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Head>,
}

impl ClosedLog {
    /// What orders closed logs, and is there once.
    #[must_use]
    pub fn name(&self) -> (&MemberName, u32) {
        (&self.member, self.epoch)
    }
}

impl Item for ClosedLog {
    fn write(&self, writer: &mut Writer) {
        writer.map(|map| {
            map.put(0, &self.member);
            map.put(1, &self.epoch);
            map.put(2, &self.key);
            map.put_some(3, self.last.map(|last| last.size).as_ref());
            map.put_some(4, self.last.map(|last| last.root).as_ref());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = reader.map()?;
        let (member, epoch, key) = (map.take(0)?, map.take(1)?, map.take(2)?);
        let last = match map.take_if(3)? {
            Some(size) => Some(Head { size, root: map.take(4)? }),
            None => None,
        };
        map.end()?;
        Ok(Self { member, epoch, key, last })
    }
}
