//! Compares descriptors with the instruction that counts bits, where the machine has it.
//!
//! **Invariant:** both ways give the same numbers.
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
    if std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the machine has the instruction.
        return unsafe { nearest_popcnt(asked, known) };
    }
    nearest_plain(asked, known)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn nearest_popcnt(asked: &[[u64; 4]], known: &[[u64; 4]]) -> Nearest {
    nearest_plain(asked, known)
}

#[inline(always)]
fn nearest_plain(asked: &[[u64; 4]], known: &[[u64; 4]]) -> Nearest {
    let mut of_asked = vec![(u32::MAX, 0); asked.len()];
    let mut of_known = Vec::with_capacity(known.len());
    for (number, held) in known.iter().enumerate() {
        let mut best = (u32::MAX, 0);
        for (asking, (bits, of_asked)) in asked.iter().zip(&mut of_asked).enumerate() {
            let mut far = 0;
            for word in 0..4 {
                far += (bits[word] ^ held[word]).count_ones();
            }
            if far < best.0 {
                best = (far, asking);
            }
            if far < of_asked.0 {
                *of_asked = (far, number);
            }
        }
        of_known.push(best);
    }
    Nearest { of_known, of_asked }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_instruction_counts_as_plain_code_does(
            asked in proptest::collection::vec(any::<[u64; 4]>(), 0..20),
            known in proptest::collection::vec(any::<[u64; 4]>(), 0..20),
        ) {
            prop_assert_eq!(nearest(&asked, &known), nearest_plain(&asked, &known));
        }
    }
}
