//! Compares descriptors with the instructions that count bits, where the machine has them.
//!
//! **Invariant:** all ways give the same numbers.
#![allow(unsafe_code)]

/// For each of the known descriptors the nearest one asked for, and for each asked for the nearest known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nearest {
    /// Bits and place among those asked for, of each known one.
    pub(super) of_known: Vec<(u32, usize)>,
    /// Bits and place among the known, of each one asked for.
    pub(super) of_asked: Vec<(u32, usize)>,
}

/// Compares all with all.
pub(super) fn nearest(asked: &[[u64; 4]], known: &[[u64; 4]]) -> Nearest {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq") {
            // SAFETY: the machine has the instructions.
            return unsafe { nearest_wide(asked, known) };
        }
        if is_x86_feature_detected!("popcnt") {
            // SAFETY: the machine has the instruction.
            return unsafe { nearest_popcnt(asked, known) };
        }
    }
    nearest_plain(asked, known)
}

/// Eight asked for at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn nearest_wide(asked: &[[u64; 4]], known: &[[u64; 4]]) -> Nearest {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_min_epu64, _mm512_or_si512, _mm512_popcnt_epi64,
        _mm512_reduce_min_epu64, _mm512_set1_epi64, _mm512_slli_epi64, _mm512_xor_si512,
    };
    const {
        assert!(LANES == 8, "eight words of 64 bits are a register");
    }
    // SAFETY: both are 64 bytes in which every pattern is a value.
    let wide = |lanes: [u64; LANES]| unsafe { std::mem::transmute::<[u64; LANES], __m512i>(lanes) };
    let mut all: Vec<([__m512i; 4], __m512i, __m512i)> = asked
        .chunks(LANES)
        .enumerate()
        .map(Asked::of)
        .map(|some| (some.words.map(wide), wide(some.places), wide(some.nearest)))
        .collect();
    let none = _mm512_set1_epi64(-1);
    let mut of_known = Vec::with_capacity(known.len());
    for (number, held) in known.iter().enumerate() {
        let held = held.map(|word| _mm512_set1_epi64(word as i64));
        let number = _mm512_set1_epi64(number as i64);
        let mut best = none;
        for (words, places, nearest) in &mut all {
            let differ =
                |word: usize| _mm512_popcnt_epi64(_mm512_xor_si512(words[word], held[word]));
            let far = _mm512_add_epi64(
                _mm512_add_epi64(differ(0), differ(1)),
                _mm512_add_epi64(differ(2), differ(3)),
            );
            let far = _mm512_slli_epi64::<32>(far);
            best = _mm512_min_epu64(best, _mm512_or_si512(far, *places));
            *nearest = _mm512_min_epu64(*nearest, _mm512_or_si512(far, number));
        }
        of_known.push(apart(_mm512_reduce_min_epu64(best)));
    }
    // SAFETY: as above.
    let lanes = |wide: __m512i| unsafe { std::mem::transmute::<__m512i, [u64; LANES]>(wide) };
    let of_asked = all.iter().flat_map(|(_, _, nearest)| lanes(*nearest)).take(asked.len());
    Nearest { of_known, of_asked: of_asked.map(apart).collect() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn nearest_popcnt(asked: &[[u64; 4]], known: &[[u64; 4]]) -> Nearest {
    nearest_plain(asked, known)
}

/// Numbers that are worked on side by side where the machine can.
#[cfg(target_arch = "x86_64")]
const LANES: usize = 8;

/// Some that are asked for, word by word.
#[cfg(target_arch = "x86_64")]
struct Asked {
    words: [[u64; LANES]; 4],
    /// Of each its place; where there is none, all bits, so that it is never the least.
    places: [u64; LANES],
    /// Of each the nearest known one.
    nearest: [u64; LANES],
}

#[cfg(target_arch = "x86_64")]
impl Asked {
    fn of((at, some): (usize, &[[u64; 4]])) -> Self {
        let word =
            |word: usize, lane: usize| some.get(lane).map_or(0, |bits: &[u64; 4]| bits[word]);
        let place =
            |lane: usize| if lane < some.len() { (at * LANES + lane) as u64 } else { u64::MAX };
        Self {
            words: std::array::from_fn(|of| std::array::from_fn(|lane| word(of, lane))),
            places: std::array::from_fn(place),
            nearest: [u64::MAX; LANES],
        }
    }
}

#[inline(always)]
fn nearest_plain(asked: &[[u64; 4]], known: &[[u64; 4]]) -> Nearest {
    let mut of_asked = vec![u64::MAX; asked.len()];
    let mut of_known = Vec::with_capacity(known.len());
    for (number, held) in known.iter().enumerate() {
        let mut best = u64::MAX;
        for (asking, (bits, of_asked)) in asked.iter().zip(&mut of_asked).enumerate() {
            let mut far = 0;
            for word in 0..4 {
                far += u64::from((bits[word] ^ held[word]).count_ones());
            }
            best = best.min(far << 32 | asking as u64);
            *of_asked = (*of_asked).min(far << 32 | number as u64);
        }
        of_known.push(apart(best));
    }
    Nearest { of_known, of_asked: of_asked.into_iter().map(apart).collect() }
}

/// Bits and a place in one number, so that the least is the nearest, and of these the first.
fn apart(both: u64) -> (u32, usize) {
    match both {
        u64::MAX => (u32::MAX, 0),
        both => ((both >> 32) as u32, both as u32 as usize),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first of the nearest.
    fn literally(one: &[u64; 4], others: &[[u64; 4]]) -> (u32, usize) {
        let far =
            |other: &[u64; 4]| (0..4).map(|word| (one[word] ^ other[word]).count_ones()).sum();
        let all = others.iter().map(far).enumerate().map(|(at, far)| (far, at));
        all.min().unwrap_or((u32::MAX, 0))
    }

    /// Descriptors of which some are the same.
    fn descriptors() -> impl Strategy<Value = Vec<[u64; 4]>> {
        let word = prop_oneof![any::<u64>(), 0_u64..3];
        let one = prop_oneof![any::<[u64; 4]>(), word.prop_map(|word| [word, 0, 0, 0])];
        proptest::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn every_set_of_instructions_finds_the_first_of_the_nearest(
            asked in descriptors(),
            known in descriptors(),
        ) {
            let expected = Nearest {
                of_known: known.iter().map(|one| literally(one, &asked)).collect(),
                of_asked: asked.iter().map(|one| literally(one, &known)).collect(),
            };
            prop_assert_eq!(&nearest(&asked, &known), &expected);
            prop_assert_eq!(&nearest_plain(&asked, &known), &expected);
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("popcnt") {
                // SAFETY: the machine has the instruction.
                prop_assert_eq!(&unsafe { nearest_popcnt(&asked, &known) }, &expected);
            }
        }
    }
}
