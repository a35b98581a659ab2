//! Puts frames that carry parts of one extension together again, so that what leaves here is covered exactly.

use watchfire_tlog::Extension;

use super::FrameError;

/// The most bytes of entries that wait for the rest of their extension. A member that is further behind fetches
/// entries by range and tiles first.
pub const MAX_GATHERED_BYTES: usize = 64 * 1024 * 1024;

/// The most entries that wait, however small: a real one has more than 128 bytes, so that an honest sender reaches
/// [`MAX_GATHERED_BYTES`] first, and one of a byte each would cost the reader a hundred times what it costs to send.
pub const MAX_GATHERED_ENTRIES: usize = MAX_GATHERED_BYTES / 128;

/// Parts of an extension, until they reach the size of their checkpoint.
#[derive(Debug, Default)]
pub struct Gather {
    parts: Option<Extension>,
    bytes: usize,
}

impl Gather {
    /// Takes the next frame's entries, and returns them once its checkpoint covers exactly what came. A part under
    /// another checkpoint, or not where the last one ended, starts again.
    ///
    /// The size is read from the checkpoint unverified: a lie makes the caller's own verification fail, or wait
    /// until the limit.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] when the checkpoint names no size or a smaller one than its entries reach,
    /// [`FrameError::Limit`] beyond [`MAX_GATHERED_BYTES`] or [`MAX_GATHERED_ENTRIES`].
    pub fn push(&mut self, part: Extension) -> Result<Option<Extension>, FrameError> {
        let size = claimed_size(&part.checkpoint.text).ok_or(FrameError::Malformed)?;
        let bytes: usize = part.entries.iter().map(super::entry_bytes).sum();
        let all = match self.parts.take() {
            Some(mut held)
                if held.checkpoint == part.checkpoint && end(&held) == Some(part.from) =>
            {
                held.entries.extend(part.entries);
                self.bytes += bytes;
                held
            }
            _ => {
                self.bytes = bytes;
                part
            }
        };
        match end(&all) {
            Some(end) if end == size => Ok(Some(all)),
            Some(end) if end < size => {
                super::limit(self.bytes, MAX_GATHERED_BYTES, "bytes of one extension")?;
                super::limit(all.entries.len(), MAX_GATHERED_ENTRIES, "entries of one extension")?;
                self.parts = Some(all);
                Ok(None)
            }
            _ => Err(FrameError::Malformed),
        }
    }
}

fn end(extension: &Extension) -> Option<u64> {
    extension.from.checked_add(extension.entries.len() as u64)
}

/// The second line of a checkpoint is its size (C2SP tlog-checkpoint).
fn claimed_size(checkpoint: &str) -> Option<u64> {
    checkpoint.lines().nth(1)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use watchfire_tlog::{Entry, SignedCheckpoint};

    use super::*;

    fn part(from: u64, count: usize, size: u64) -> Extension {
        let entries = (0..count).map(|_| Entry::new(&b"leaf"[..], None)).collect();
        let checkpoint = SignedCheckpoint::new(format!("log\n{size}\nroot\n"));
        Extension { from, entries, checkpoint }
    }

    #[test]
    fn a_covered_frame_passes_and_parts_wait_for_the_last() {
        let mut gather = Gather::default();
        assert_eq!(gather.push(part(0, 2, 2)).unwrap(), Some(part(0, 2, 2)));
        assert_eq!(gather.push(part(2, 3, 9)).unwrap(), None);
        assert_eq!(gather.push(part(5, 3, 9)).unwrap(), None);
        assert_eq!(gather.push(part(8, 1, 9)).unwrap(), Some(part(2, 7, 9)));
    }

    #[test]
    fn a_part_that_does_not_continue_starts_again() {
        let mut gather = Gather::default();
        assert_eq!(gather.push(part(0, 1, 9)).unwrap(), None);
        assert_eq!(gather.push(part(4, 1, 9)).unwrap(), None);
        assert_eq!(gather.push(part(5, 4, 9)).unwrap(), Some(part(4, 5, 9)));
    }

    #[test]
    fn entries_beyond_their_checkpoint_and_nameless_sizes_are_refused() {
        let mut gather = Gather::default();
        assert_eq!(gather.push(part(0, 3, 2)), Err(FrameError::Malformed));
        assert_eq!(gather.push(part(u64::MAX, 1, 2)), Err(FrameError::Malformed));
        let checkpoint = SignedCheckpoint::new("log");
        let nameless = Extension { from: 0, entries: vec![], checkpoint };
        assert_eq!(gather.push(nameless), Err(FrameError::Malformed));
    }

    #[test]
    fn a_sender_cannot_make_the_receiver_hold_without_bound() {
        let mut gather = Gather::default();
        let leaf = vec![0; 60_000];
        let mut from = 0;
        let refused = loop {
            let entries = (0..60).map(|_| Entry::new(leaf.clone(), None)).collect();
            let checkpoint = SignedCheckpoint::new("log\n9000000\nroot\n");
            match gather.push(Extension { from, entries, checkpoint }) {
                Ok(_) => from += 60,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, FrameError::Limit("bytes of one extension"));
        assert!(from * 60_000 <= MAX_GATHERED_BYTES as u64);
    }

    #[test]
    fn a_sender_of_tiny_entries_is_bounded_too() {
        let mut gather = Gather::default();
        let mut from = 0;
        let refused = loop {
            match gather.push(part(from, 60_000, 9_000_000)) {
                Ok(_) => from += 60_000,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, FrameError::Limit("entries of one extension"));
        assert!(from <= MAX_GATHERED_ENTRIES as u64);
    }
}
