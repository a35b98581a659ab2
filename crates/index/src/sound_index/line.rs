//! Follows two sounds along one line in time for as long as they go together.

use std::cmp::Ordering;

use watchfire_signal::sound_print::{MAX_SOUND_DISTANCE, SoundPrint};

use super::{SoundMatch, WINDOW};

/// Speeds at which a copy whose pitch was kept may run, in items of the reference for each of the
/// query, the likeliest first: 2.5 % apart, so that over a window the nearest is half an item off.
const SPEEDS: [f64; 19] = [
    1.0, 1.025, 0.975, 1.05, 0.95, 1.075, 0.925, 1.1, 0.9, 1.125, 0.875, 1.15, 0.85, 1.175, 0.825,
    1.2, 0.8, 1.225, 1.25,
];

/// Of a quarter more bits than may differ a finer look at other speeds is not worth it: unrelated
/// sound is at 50 percent, and a copy at another speed keeps the items near the anchor.
const HOPELESS: u32 = 42;

/// Percent by which a likely speed may be worse than another and still be taken.
const CLEARLY: u32 = 2;

/// Items by which a line is followed on.
const STRIDE: usize = 8;

/// The fewest different items of a window that says something, and the fewest bits that change in it.
/// Silence has one item; a steady tone few, which hardly change. Music and speech change about four
/// bits an item.
const LEAST_DIFFERENT: usize = 12;
const LEAST_CHANGES: u32 = WINDOW as u32;

/// Two sounds that go together from one place on to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    speed: f64,
    /// Places of the query: the first item and the one after the last.
    query: (usize, usize),
    /// The place of the reference that belongs to the first.
    reference: f64,
    distance: u32,
}

/// Whether a stretch of sound is more than silence or one tone.
pub(super) fn is_varied(items: &[u32]) -> bool {
    let changes: u32 = items.windows(2).map(|pair| (pair[0] ^ pair[1]).count_ones()).sum();
    let mut different = items.to_vec();
    different.sort_unstable();
    different.dedup();
    changes >= LEAST_CHANGES && different.len() >= LEAST_DIFFERENT
}

impl Line {
    /// The longest line through a pair of places, if five seconds around, after or before them go
    /// together: a part may begin or end there.
    pub(super) fn through(
        query: &[u32],
        reference: &[u32],
        (place, at): (usize, usize),
    ) -> Option<Self> {
        let starts = [place.checked_sub(WINDOW / 2), Some(place), (place + 8).checked_sub(WINDOW)];
        let mut best: Option<Self> = None;
        for speed in SPEEDS {
            let mut hopeful = false;
            for from in starts.into_iter().flatten() {
                let start = at as f64 + (from as f64 - place as f64) * speed;
                let Some(distance) = window(query, reference, from, (start, speed)) else {
                    continue;
                };
                hopeful |= distance <= HOPELESS;
                // Another speed has to be clearly nearer than a likelier one.
                let nearer = best.is_none_or(|best| distance + CLEARLY <= best.distance);
                if distance <= MAX_SOUND_DISTANCE && nearer {
                    let query = (from, from + WINDOW);
                    best = Some(Self { speed, query, reference: start, distance });
                }
            }
            if speed == 1.0 && !hopeful {
                return None;
            }
        }
        best?.followed(query, reference)
    }

    /// The line as far as windows along it go together, both ways.
    fn followed(mut self, query: &[u32], reference: &[u32]) -> Option<Self> {
        let (first, origin, speed) = (self.query.0, self.reference, self.speed);
        let at = |from: usize| origin + (from as f64 - first as f64) * speed;
        let goes = |from: usize| {
            let distance = window(query, reference, from, (at(from), speed))?;
            (distance <= MAX_SOUND_DISTANCE).then_some(distance)
        };
        while let Some(distance) =
            self.query.0.checked_sub(STRIDE).and_then(|from| goes(from).map(|d| (from, d)))
        {
            self.query.0 = distance.0;
            self.distance = self.distance.min(distance.1);
        }
        while let Some(distance) = goes(self.query.1 + STRIDE - WINDOW) {
            self.query.1 += STRIDE;
            self.distance = self.distance.min(distance);
        }
        // A window goes along too where most of it does: its ends may be something else.
        let near = |from: usize| differ(query, reference, from..from + STRIDE, (at(from), speed));
        let far = |from: usize| near(from).is_none_or(|percent| percent > MAX_SOUND_DISTANCE);
        while self.query.1 - self.query.0 > WINDOW && far(self.query.0) {
            self.query.0 += STRIDE;
        }
        while self.query.1 - self.query.0 > WINDOW && far(self.query.1 - STRIDE) {
            self.query.1 -= STRIDE;
        }
        self.reference = at(self.query.0);
        Some(self)
    }

    /// Orders lines by what they prove: length, then nearness.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let length = |line: &Self| line.query.1 - line.query.0;
        length(self).cmp(&length(other)).then(other.distance.cmp(&self.distance))
    }

    /// The line in times.
    pub(super) fn shown(
        self,
        query: &SoundPrint,
        reference: &SoundPrint,
        sound: u64,
    ) -> SoundMatch {
        let items = (self.query.1 - self.query.0) as f64 * self.speed;
        let last = (self.reference + items).round().max(0.0) as usize;
        let first = self.reference.round().max(0.0) as usize;
        SoundMatch {
            sound,
            query_span_ms: (query.at_ms(self.query.0), query.at_ms(self.query.1)),
            reference_span_ms: (reference.at_ms(first), reference.at_ms(last)),
            // An item of the query is as much of its time as its print was played faster.
            speed: self.speed * 100.0 / f64::from(query.rate()),
            distance: self.distance,
        }
    }
}

/// Percent of bits that differ between items of the query and what belongs to them on the line; `None`
/// where either ends.
fn differ(
    query: &[u32],
    reference: &[u32],
    range: std::ops::Range<usize>,
    (start, speed): (f64, f64),
) -> Option<u32> {
    let query = query.get(range)?;
    let pairs = query.iter().enumerate().map(|(item, of)| {
        let place = (start + item as f64 * speed).round();
        let with = reference.get(if place < 0.0 { usize::MAX } else { place as usize })?;
        Some((of ^ with).count_ones())
    });
    let bits: u32 = pairs.sum::<Option<u32>>()?;
    Some((bits * 100).div_ceil(query.len() as u32 * u32::BITS))
}

/// Percent of bits that differ between five seconds of the query and what belongs to them on the line;
/// `None` where either ends or says too little.
fn window(
    query: &[u32],
    reference: &[u32],
    from: usize,
    (start, speed): (f64, f64),
) -> Option<u32> {
    let query = query.get(from..from + WINDOW)?;
    let (first, last) = (start, start + (WINDOW - 1) as f64 * speed);
    if first < -0.5 || last.round() as usize >= reference.len() {
        return None;
    }
    let place = |item: usize| (first + item as f64 * speed).round().max(0.0) as usize;
    let with: [u32; WINDOW] = std::array::from_fn(|item| reference[place(item)]);
    let differ: u32 = query.iter().zip(with).map(|(one, other)| (one ^ other).count_ones()).sum();
    let percent = (differ * 100).div_ceil(WINDOW as u32 * u32::BITS);
    (is_varied(query) && is_varied(&with)).then_some(percent)
}
