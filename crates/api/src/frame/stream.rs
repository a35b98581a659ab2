//! Cuts a byte stream into frames as it arrives, in one pass, whatever the sizes of its pieces.

use bytes::{Buf, BytesMut};

use super::{Frame, FrameError, MAX_FRAME_BYTES};

/// Bytes received and not yet handed out as frames.
///
/// It scans every byte once: it remembers how many CBOR items the current frame still needs and how many bytes of
/// a string are still to come, so that a peer that sends a byte at a time costs no more than one that does not.
#[derive(Debug)]
pub struct FrameStream {
    buffer: BytesMut,
    /// Bytes of the current frame that are scanned; may lie beyond the buffer inside a string.
    scanned: usize,
    /// CBOR items that the current frame still needs.
    needed: usize,
}

impl Default for FrameStream {
    fn default() -> Self {
        FrameStream { buffer: BytesMut::new(), scanned: 0, needed: 1 }
    }
}

impl FrameStream {
    /// Takes bytes as they arrived. The caller drains [`FrameStream::next_frame`] before it pushes more, so that no
    /// more than one frame and one piece are held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes are no frame; the stream cannot be read on from there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        while self.needed > 0 {
            let Some(head) = self.buffer.get(self.scanned..) else { return Ok(None) };
            // A frame is an array; what begins otherwise is not waited for.
            if self.scanned == 0 && head.first().is_some_and(|first| first >> 5 != 4) {
                return Err(FrameError::Malformed);
            }
            let Some(item) = Item::read(head)? else { return Ok(None) };
            // Every item needed takes at least one byte more, so a frame that declares too many is refused before
            // any of them is waited for.
            self.needed = (self.needed - 1).saturating_add(item.items);
            self.scanned = self.scanned.saturating_add(item.bytes);
            if self.scanned.saturating_add(self.needed) > MAX_FRAME_BYTES {
                return Err(FrameError::TooLarge);
            }
        }
        if self.buffer.len() < self.scanned {
            return Ok(None);
        }
        let frame = self.buffer.split_to(self.scanned).freeze();
        (self.scanned, self.needed) = (0, 1);
        Frame::decode(&frame).map(Some)
    }

    /// Checks that the stream ended between frames.
    ///
    /// # Errors
    /// [`FrameError::Cut`] when a part of a frame is left.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.has_remaining() { Err(FrameError::Cut) } else { Ok(()) }
    }
}

/// One CBOR item's head.
struct Item {
    /// Bytes of the head and, for a string, of its content.
    bytes: usize,
    /// Items that follow inside it.
    items: usize,
}

impl Item {
    fn read(bytes: &[u8]) -> Result<Option<Item>, FrameError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let head = match first & 0x1f {
            0..=23 => 1,
            24 => 2,
            25 => 3,
            26 => 5,
            27 => 9,
            _ => return Err(FrameError::Malformed),
        };
        let Some(argument) = bytes.get(1..head) else { return Ok(None) };
        let value = if head == 1 {
            u64::from(first & 0x1f)
        } else {
            argument.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let value = usize::try_from(value).unwrap_or(usize::MAX);
        match first >> 5 {
            0 => Ok(Some(Item { bytes: head, items: 0 })),
            2 | 3 => Ok(Some(Item { bytes: value.saturating_add(head), items: 0 })),
            4 => Ok(Some(Item { bytes: head, items: value })),
            _ => Err(FrameError::Malformed),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::tests::frame;
    use super::*;

    fn read(stream: &mut FrameStream) -> Vec<Frame> {
        std::iter::from_fn(|| stream.next_frame().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_the_bytes_arrive(
            frames in vec(frame(), 0..5), size in 1usize..700,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|f| f.encode().unwrap()).collect();
            let mut stream = FrameStream::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                stream.push(piece);
                found.extend(read(&mut stream));
            }
            prop_assert_eq!(found, frames);
            prop_assert_eq!(stream.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_end_in_an_error_or_wait_for_more(bytes in vec(any::<u8>(), 0..300)) {
            let mut stream = FrameStream::default();
            stream.push(&bytes);
            while let Ok(Some(_)) = stream.next_frame() {}
            prop_assert!(stream.buffer.len() <= bytes.len());
        }
    }

    #[test]
    fn a_frame_that_declares_too_much_is_refused_before_it_is_sent() {
        for declared in [
            &[0x84, 0x01, 0x00, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0x9a, 0x00, 0x40, 0x00, 0x01],
            &[0x81, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x81, 0x5a, 0x00, 0x40, 0x00, 0x00],
        ] {
            let mut stream = FrameStream::default();
            stream.push(declared);
            assert_eq!(stream.next_frame(), Err(FrameError::TooLarge), "{declared:02x?}");
        }
    }

    #[test]
    fn nested_arrays_do_not_nest_calls() {
        let mut stream = FrameStream::default();
        stream.push(&vec![0x81; 100_000]);
        assert_eq!(stream.next_frame(), Ok(None));
        stream.push(&[0x00]);
        assert_eq!(stream.next_frame(), Err(FrameError::Malformed));
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_was_cut() {
        let mut stream = FrameStream::default();
        stream.push(&[0x81]);
        assert_eq!(stream.next_frame(), Ok(None));
        assert_eq!(stream.finish(), Err(FrameError::Cut));
    }
}
