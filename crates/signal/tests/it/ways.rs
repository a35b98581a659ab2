//! A hash is compared in all the ways to turn, mirror and invert its picture at once.

use proptest::prelude::*;
use watchfire_signal::pdq::{AnyWay, Pdq, Sorted};

proptest! {
    #[test]
    fn all_ways_at_once_are_as_near_as_the_nearest_of_them(
        hash: [u8; 32], noise: [[u8; 32]; 3], way in 0_usize..20, max in 0_u32..=256,
    ) {
        let query = Pdq(hash);
        let ways = query.turned();
        // An eighth of the bits differ from one of the ways, so that some are near and some are not.
        let of = ways.get(way).copied().unwrap_or(query);
        let held = Pdq(std::array::from_fn(|at| of.0[at] ^ (noise[0][at] & noise[1][at] & noise[2][at])));
        let nearest = ways.iter().map(|way| way.distance(&held)).fold(query.distance(&held), u32::min);
        let found = AnyWay::of(&query).within(&Sorted::of(&held), max);
        prop_assert_eq!(found, (nearest <= max).then_some(nearest));
    }
}
