//! Finds videos that have edited copies of references: cropped, filmed off a screen, written over, beside something else.

use std::{ops::ControlFlow, path::Path};

use watchfire_index::{EditedVideo, KnownVideo, MatchRule, MomentIndex, VariantLimits};
use watchfire_media::video::{Decoder, Input, MAX_MOMENTS, looks};
use watchfire_signal::{
    features::Moment,
    value::{Signal, Value, ValueOrBlob},
};

use crate::exit::Failure;

/// References by the features of their frames.
pub(super) struct Videos {
    moments: MomentIndex,
    min_matched_ms: u32,
    decoder: Decoder,
}

impl Videos {
    /// None yet, with room for so many.
    pub(super) fn new(
        seed: [u8; 32],
        references: usize,
        min_matched_ms: u32,
    ) -> Result<Self, Failure> {
        let references = (references * MAX_MOMENTS).max(1);
        let limits = VariantLimits { references, ..VariantLimits::default() };
        Ok(Self {
            moments: MomentIndex::new(seed, limits),
            min_matched_ms,
            decoder: Decoder::new(std::env::current_exe()?, std::env::temp_dir()),
        })
    }

    /// Adds a reference by its signals; one that is no video is left out.
    pub(super) fn insert(&self, number: usize, signals: &[Signal]) {
        let moments: Vec<Moment> = signals.iter().filter_map(Signal::moment).collect();
        let Some(length_ms) = signals.iter().find_map(length_ms) else { return };
        let rule = MatchRule { min_matched_ms: self.min_matched_ms, ..MatchRule::default() };
        let known = KnownVideo { moments: &moments, length_ms, rule };
        if let Err(full) = self.moments.insert(number as u64, known) {
            tracing::warn!(?full, number, "a reference is not known by its frames' features");
        }
    }

    /// The references of which a file has edited copies; none where it is no video.
    pub(super) fn search(&self, file: &Path) -> Vec<EditedVideo> {
        if self.moments.is_empty() {
            return Vec::new();
        }
        let mut search = self.moments.search();
        let looked = looks(Input::File(file), &self.decoder, |look| {
            search.see(look.frame.at_ms, &look.pictures);
            ControlFlow::Continue(())
        });
        // What was seen of a broken file counts; that it is broken was said when it was hashed.
        if let Err(error) = looked {
            tracing::debug!(%error, "not all of a video was looked at");
        }
        search.found()
    }
}

/// How long a video is, from its first frame that is hashed to the last.
fn length_ms(signal: &Signal) -> Option<u32> {
    let ValueOrBlob::Value(Value::Vpdq(vpdq)) = &signal.value else { return None };
    let (first, last) = (vpdq.frames.first()?, vpdq.frames.last()?);
    Some(last.at_ms - first.at_ms)
}
