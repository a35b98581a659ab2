//! The text forms of hashes come back as they were, and distance is one.

use proptest::prelude::*;
use watchfire_signal::{
    hex,
    pdq::Pdq,
    vpdq::{Frame, Vpdq},
};

use crate::any;

fn pdq() -> impl Strategy<Value = Pdq> {
    any::<[u8; 32]>().prop_map(Pdq)
}

proptest! {
    #[test]
    fn hexadecimal_comes_back_and_has_one_form(bytes: [u8; 32]) {
        let text = hex::encode(&bytes);
        prop_assert_eq!(hex::decode::<32>(&text), Ok(bytes));
        prop_assert_eq!(text.len(), 64);
        prop_assert_eq!(text.parse::<Pdq>(), Ok(Pdq(bytes)));
        prop_assert_eq!(Pdq(bytes).to_string(), text.clone());
        let upper = text.to_uppercase();
        prop_assert_eq!(hex::decode::<32>(&upper).is_ok(), upper == text);
    }

    #[test]
    fn what_is_read_as_hexadecimal_is_written_the_same(text in "[0-9a-fA-F]{0,10}|.{8}") {
        if let Ok(bytes) = hex::decode::<4>(&text) {
            prop_assert_eq!(hex::encode(&bytes), text);
        }
    }

    #[test]
    fn lines_and_bytes_of_a_video_come_back(video in any::vpdq()) {
        prop_assert_eq!(&Vpdq::from_lines(&video.to_lines()), &Ok(video.clone()));
        prop_assert_eq!(&Vpdq::from_bytes(&video.to_bytes()), &Ok(video));
    }

    #[test]
    fn the_json_of_a_video_comes_back_with_frames_numbered_by_place(video in any::vpdq()) {
        let frames = video.frames.iter().zip(0..);
        let frames = frames.map(|(frame, number)| Frame { number, ..*frame }).collect();
        prop_assert_eq!(Vpdq::from_json(&video.to_json()), Ok(Vpdq { frames }));
    }

    #[test]
    fn distance_is_symmetric_and_no_detour_is_shorter(a in pdq(), b in pdq(), c in pdq()) {
        prop_assert_eq!(a.distance(&b), b.distance(&a));
        prop_assert!(a.distance(&c) <= a.distance(&b) + b.distance(&c));
        prop_assert_eq!(a.distance(&a), 0);
        prop_assert_eq!(a.distance(&b) == 0, a == b);
        prop_assert_eq!(a.distance(&a.complement()), 256);
        let bits = a.0.iter().zip(&b.0).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
        prop_assert_eq!(a.distance(&b), bits);
    }
}
