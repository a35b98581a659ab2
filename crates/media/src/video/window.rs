//! Keeps the last frames of a stream, so that a live one is looked at in segments that overlap, and the hashes of all
//! of it, so that the recording is held in the end.
//!
//! **Invariant:** memory of a segment is bounded by its length and frames a second, not by the stream; that of a
//! recording by [`MAX_CHUNKS`].

use std::collections::VecDeque;
use std::time::Duration;

use watchfire_signal::value::{MAX_FRAMES, Signal, Span, Value, ValueOrBlob};
use watchfire_signal::vpdq::{Frame, Vpdq};

/// The most signals of a stream that are kept until its end, of 3,600 frames each: 32 hours at two a second.
const MAX_CHUNKS: usize = 64;

/// A segment that moves along with a stream.
#[derive(Debug, Clone)]
pub struct Window {
    length_ms: u32,
    every_ms: u32,
    next_ms: u32,
    frames: VecDeque<Frame>,
}

impl Window {
    /// Segments of `length`, one every `every`; both at least a millisecond.
    #[must_use]
    pub fn new(length: Duration, every: Duration) -> Self {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
        let (length_ms, every_ms) = (ms(length), ms(every));
        Self { length_ms, every_ms, next_ms: every_ms, frames: VecDeque::new() }
    }

    /// How long a segment is.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.length_ms.into())
    }

    /// Takes the next frame of the stream. Gives the frames of the segment that ends with it where one
    /// is due: they are to be looked at now.
    pub fn push(&mut self, frame: Frame) -> Option<&[Frame]> {
        self.frames.push_back(frame);
        let oldest = frame.at_ms.saturating_sub(self.length_ms);
        while self.frames.front().is_some_and(|first| first.at_ms < oldest) {
            self.frames.pop_front();
        }
        if frame.at_ms < self.next_ms {
            return None;
        }
        // A stream may jump ahead: segments that it left out are not made up for.
        self.next_ms = frame.at_ms.saturating_add(self.every_ms);
        Some(self.frames.make_contiguous())
    }

    /// The frames of the last segment: what is left to be looked at when a stream ends.
    pub fn rest(&mut self) -> &[Frame] {
        self.frames.make_contiguous()
    }
}

/// The frames of a stream from its beginning; of a very long one from its last hours.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    chunks: VecDeque<Vec<Frame>>,
}

impl Recording {
    /// Takes the next frame.
    pub fn push(&mut self, frame: Frame) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < MAX_FRAMES => chunk.push(frame),
            _ => self.chunks.push_back(vec![frame]),
        }
        if self.chunks.len() > MAX_CHUNKS {
            self.chunks.pop_front();
        }
    }

    /// As signals, each with as many frames as one may have.
    #[must_use]
    pub fn signals(self) -> Vec<Signal> {
        let signal = |frames| Signal::new(Value::Vpdq(Vpdq { frames }));
        self.chunks.into_iter().map(signal).collect()
    }
}

/// From the first frame to the last of what is judged together; nothing but frames has a say.
#[must_use]
pub fn frames_span(signals: &[Signal]) -> Span {
    let times = signals.iter().flat_map(|signal| match &signal.value {
        ValueOrBlob::Value(Value::Vpdq(vpdq)) => vpdq.frames.as_slice(),
        _ => &[],
    });
    let times = times.map(|frame| frame.at_ms);
    Span { start_ms: times.clone().min().unwrap_or(0), end_ms: times.max().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use watchfire_signal::pdq::Pdq;

    use super::*;

    #[test]
    fn every_part_of_a_stream_is_in_a_segment_that_began_well_before_it() {
        let mut window = Window::new(Duration::from_secs(10), Duration::from_secs(4));
        let mut segments = Vec::new();
        for number in 0..60 {
            let frame = Frame { number, quality: 100, pdq: Pdq([0; 32]), at_ms: number * 500 };
            if let Some(frames) = window.push(frame) {
                segments.push((frames[0].at_ms, frame.at_ms));
                assert!(frames.len() <= 21);
            }
        }
        let expected = [(0, 4_000), (0, 8_000), (2_000, 12_000), (6_000, 16_000), (10_000, 20_000)];
        assert_eq!(segments[..5], expected);
        assert_eq!(window.rest().last().map(|frame| frame.at_ms), Some(29_500));
    }

    #[test]
    fn of_a_stream_of_days_the_last_hours_are_recorded() {
        let mut recording = Recording::default();
        let most = (MAX_CHUNKS * MAX_FRAMES) as u32;
        for number in 0..most + 1 {
            recording.push(Frame { number, quality: 100, pdq: Pdq([0; 32]), at_ms: number * 500 });
        }
        let first = recording.chunks.front().map(|chunk| chunk[0].number);
        assert_eq!((first, recording.chunks.len()), (Some(MAX_FRAMES as u32), MAX_CHUNKS));
        assert_eq!(recording.signals().len(), MAX_CHUNKS);
    }

    #[test]
    fn a_jump_ahead_gives_one_segment() {
        let mut window = Window::new(Duration::from_secs(10), Duration::from_secs(4));
        let frame = |at_ms| Frame { number: 0, quality: 100, pdq: Pdq([0; 32]), at_ms };
        assert!(window.push(frame(0)).is_none());
        assert_eq!(window.push(frame(3_600_000)).map(<[Frame]>::len), Some(1));
        assert!(window.push(frame(3_600_500)).is_none());
    }
}
