//! Prints of local features come back as they were, and nothing else is one.

use proptest::prelude::*;
use watchfire_signal::features::{
    Cells, Descriptor, Feature, FeaturesError, FeaturesPrint, LEVELS, MAX_FEATURES,
    MAX_PRINT_BYTES, MAX_SIDE, Sign, UNITS,
};

use crate::any;

/// As many features as asked for, each at another place.
fn features(count: usize) -> Vec<Feature> {
    let feature = |number: usize| Feature {
        descriptor: Descriptor([number as u8; 32]),
        x: number as u16,
        y: 64,
        level: 0,
        angle: 0,
    };
    (0..count).map(feature).collect()
}

fn print_of(
    (width, height): (u16, u16),
    features: Vec<Feature>,
) -> Result<FeaturesPrint, FeaturesError> {
    let signs = vec![Sign::Darker; Cells::of(width, height).signs()];
    FeaturesPrint::new((width, height), features, signs)
}

proptest! {
    #[test]
    fn a_print_comes_back_from_its_bytes(print in any::features_print()) {
        let bytes = print.to_bytes();
        prop_assert!(bytes.len() <= MAX_PRINT_BYTES);
        prop_assert_eq!(FeaturesPrint::from_bytes(&bytes), Ok(print));
    }

    #[test]
    fn changed_bytes_are_another_print_or_none(
        print in any::features_print(),
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut bytes = print.to_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(read) = FeaturesPrint::from_bytes(&bytes) {
            prop_assert_ne!(&read, &print);
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn cut_and_longer_bytes_are_no_print(print in any::features_print(), cut in 1_usize..50) {
        let mut bytes = print.to_bytes();
        prop_assert!(FeaturesPrint::from_bytes(&bytes[..bytes.len() - cut]).is_err());
        bytes.push(0);
        prop_assert!(FeaturesPrint::from_bytes(&bytes).is_err());
    }

    #[test]
    fn distance_counts_the_bits_that_differ(a: [u8; 32], b: [u8; 32]) {
        let bits = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
        prop_assert_eq!(Descriptor(a).distance(&Descriptor(b)), bits);
    }
}

#[test]
fn the_largest_print_fits_into_its_limit() {
    let print = print_of((MAX_SIDE, MAX_SIDE), features(MAX_FEATURES)).unwrap();
    assert_eq!(print.to_bytes().len(), 7 + 400 * 38 + 480);
    assert!(print.to_bytes().len() <= MAX_PRINT_BYTES);
}

#[test]
fn what_is_out_of_range_is_refused() {
    let size = (512, 384);
    assert!(print_of(size, features(8)).is_ok());
    assert_eq!(print_of(size, features(7)), Err(FeaturesError::Count(7)));
    assert_eq!(print_of(size, features(401)), Err(FeaturesError::Count(401)));
    assert_eq!(print_of((513, 64), features(8)), Err(FeaturesError::Size(513, 64)));
    assert_eq!(print_of((512, 63), features(8)), Err(FeaturesError::Size(512, 63)));
    let changed = |change: fn(&mut Feature)| {
        let mut features = features(9);
        change(&mut features[3]);
        print_of(size, features)
    };
    assert_eq!(changed(|f| f.x = 512 * UNITS), Err(FeaturesError::Outside(3)));
    assert_eq!(changed(|f| f.y = 384 * UNITS), Err(FeaturesError::Outside(3)));
    assert_eq!(changed(|f| f.level = LEVELS), Err(FeaturesError::Outside(3)));
    assert_eq!(changed(|f| f.x = 2), Err(FeaturesError::Twice(3)));
    let short = FeaturesPrint::new(size, features(8), vec![Sign::Flat; 3]);
    assert!(matches!(short, Err(FeaturesError::Signs { found: 3, .. })));
}

#[test]
fn signs_have_one_spelling() {
    // 4 × 5 cells: 2 × 5 + 4 × 3 signs, so half of the last byte is left over.
    let bytes = print_of((64, 80), features(8)).unwrap().to_bytes();
    let last = bytes.len() - 1;
    for wrong in [0b11, 0b0001_0000] {
        let mut twisted = bytes.clone();
        twisted[last] |= wrong;
        assert_eq!(FeaturesPrint::from_bytes(&twisted), Err(FeaturesError::Sign));
    }
}

#[test]
fn another_version_is_refused() {
    let mut bytes = print_of((512, 384), features(8)).unwrap().to_bytes();
    bytes[0] = 2;
    assert_eq!(FeaturesPrint::from_bytes(&bytes), Err(FeaturesError::Version(2)));
}
