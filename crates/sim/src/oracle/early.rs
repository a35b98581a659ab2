//! Entries that came ahead of their turn, as they lie on a disk.

use bytes::Bytes;
use watchfire_signal::name::LogName;
use watchfire_store::Held;
use watchfire_tlog::Entry;

/// A row: log, 0, index → time of verification, length of the leaf, leaf, record.
pub(super) fn read(key: &[u8], value: &[u8]) -> Option<(LogName, Held)> {
    let (name, index) = key.split_last_chunk::<8>()?;
    let log = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?.parse().ok()?;
    let (verified_ms, rest) = value.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (leaf, record) = rest.split_at_checked(length)?;
    let record = (!record.is_empty()).then(|| Bytes::copy_from_slice(record));
    let entry = Entry::new(leaf.to_vec(), record);
    let (index, verified_ms) = (u64::from_be_bytes(*index), u64::from_be_bytes(*verified_ms));
    Some((log, Held { index, entry, verified_ms }))
}
