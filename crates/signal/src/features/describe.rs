//! 256 comparisons of brightness around a corner, turned by its angle.
//!
//! Samples lie on rings, coarser with the distance, as in Leutenegger, Chli and Siegwart, "BRISK" (2011),
//! and Alahi, Ortiz and Vandergheynst, "FREAK" (2012); a sample is the mean of a square, as in Suárez,
//! Buenaposada and Baumela, "BEBLID" (2020). Which of them are compared was drawn by lot, as in Calonder
//! and others, "BRIEF" (2010).

use std::sync::LazyLock;

use super::{
    Descriptor,
    pyramid::Level,
    sine::{cosine, sine},
};

/// Pixels of a level around a place, the reach of a descriptor and of the smoothing below it, that have
/// to be inside of the picture for the place to be described.
pub const REACH: i32 = 21;

/// Rings of samples: how many, how far out in 1/16 pixel, and pixels on each side of a sample.
const RINGS: [(u8, i32, i32); 5] = [(1, 0, 1), (6, 64, 1), (8, 120, 2), (10, 184, 2), (12, 248, 3)];

/// Samples of all rings.
const SAMPLES: usize = 37;

/// Sines are times 2¹⁴ and radii in 1/16 pixel.
const SHIFT: u32 = 14 + 4;

struct Sample {
    angle: u8,
    radius: i32,
    half: i32,
}

struct Pattern {
    samples: Vec<Sample>,
    surfaces: Vec<[f32; SAMPLES]>,
    pairs: [(u8, u8); 256],
}

static PATTERN: LazyLock<Pattern> = LazyLock::new(Pattern::new);

impl Pattern {
    fn new() -> Self {
        let mut samples = Vec::with_capacity(SAMPLES);
        for (ring, (count, radius, half)) in RINGS.into_iter().enumerate() {
            for place in 0..count {
                // Every second ring begins half a step further.
                let steps = 2 * u32::from(place) + ring as u32 % 2;
                let angle = (steps * 128 / u32::from(count)) as u8;
                samples.push(Sample { angle, radius, half });
            }
        }
        Self { pairs: pairs(), surfaces: surfaces(&samples), samples }
    }
}

/// 256 different pairs of samples, drawn by lot from all of them: the high bits of a linear congruential
/// generator (Knuth's MMIX constants, from 1) say which of those left comes next.
fn pairs() -> [(u8, u8); 256] {
    let samples = SAMPLES as u8;
    let mut left: Vec<(u8, u8)> =
        (0..samples).flat_map(|a| (a + 1..samples).map(move |b| (a, b))).collect();
    let mut state = 1_u64;
    std::array::from_fn(|_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        left.swap_remove(((state >> 33) % left.len() as u64) as usize)
    })
}

/// Describes a pixel of a level; `None` where it is not inside by [`REACH`].
#[must_use]
pub fn describe(level: &Level, (x, y): (i32, i32), angle: u8) -> Option<Descriptor> {
    let inside = |at: i32, side: usize| at >= REACH && at + REACH < side as i32;
    if !inside(x, level.width) || !inside(y, level.height) {
        return None;
    }
    let pattern = &*PATTERN;
    let mut means = [0_f32; SAMPLES];
    for (mean, sample) in means.iter_mut().zip(&pattern.samples) {
        let turned = sample.angle.wrapping_add(angle);
        let at = |part: i32| (sample.radius * part + (1 << (SHIFT - 1))) >> SHIFT;
        let side = (2 * sample.half + 1) as f32;
        let sum = level.square(x + at(cosine(turned)), y + at(sine(turned)), sample.half);
        *mean = sum as f32 / (side * side);
    }
    flatten(&mut means, pattern);
    let mut bits = [0_u8; 32];
    for (place, (a, b)) in pattern.pairs.iter().enumerate() {
        let brighter = means[usize::from(*a)] < means[usize::from(*b)];
        bits[place / 8] |= u8::from(brighter) << (place % 8);
    }
    Some(Descriptor(bits))
}

/// Takes the smooth surfaces that fit the samples best away from them: a slope, which all corners have
/// along their angle, and a bend. What is left tells one corner from another.
fn flatten(means: &mut [f32; SAMPLES], pattern: &Pattern) {
    for surface in &pattern.surfaces {
        let share: f32 = means.iter().zip(surface).map(|(mean, part)| mean * part).sum();
        for (mean, part) in means.iter_mut().zip(surface) {
            *mean -= share * part;
        }
    }
}

/// Surfaces over the samples, of length one and at right angles to each other: level, slopes, bends.
fn surfaces(samples: &[Sample]) -> Vec<[f32; SAMPLES]> {
    let place = |sample: &Sample| {
        let out = sample.radius as f32 / 16.0;
        let part = |part: i32| out * part as f32 / 16384.0;
        (part(cosine(sample.angle)), part(sine(sample.angle)))
    };
    let shapes: [fn(f32, f32) -> f32; 6] =
        [|_, _| 1.0, |x, _| x, |_, y| y, |x, y| x * x + y * y, |x, y| x * x - y * y, |x, y| x * y];
    let mut surfaces: Vec<[f32; SAMPLES]> = Vec::new();
    for shape in shapes {
        let mut surface: [f32; SAMPLES] = std::array::from_fn(|number| {
            let (x, y) = place(&samples[number]);
            shape(x, y)
        });
        for other in &surfaces {
            let share: f32 = surface.iter().zip(other).map(|(a, b)| a * b).sum();
            surface.iter_mut().zip(other).for_each(|(a, b)| *a -= share * b);
        }
        let length = surface.iter().map(|part| part * part).sum::<f32>().sqrt();
        surface.iter_mut().for_each(|part| *part /= length);
        surfaces.push(surface);
    }
    surfaces
}
