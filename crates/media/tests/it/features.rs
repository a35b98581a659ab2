//! Local features are the same on every machine, and are met again in edited pictures; regions are where they were drawn.

use sha2::{Digest, Sha256};
use watchfire_media::{
    features,
    pdq::{Layout, Pixels},
    regions::{self, Rectangle, Subject},
};
use watchfire_signal::features::{MAX_FEATURES, MAX_PRINT_BYTES};

/// A grey picture.
#[derive(Clone)]
struct Grey {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Grey {
    fn of(width: usize, height: usize, at: impl Fn(usize, usize) -> u8) -> Self {
        let place = |number: usize| at(number % width, number / width);
        Self { width, height, bytes: (0..width * height).map(place).collect() }
    }

    /// Squares of any brightness, drawn by lot in whole numbers.
    fn drawn(seed: u32, width: usize, height: usize) -> Self {
        let mut grey = Self::of(width, height, |_, _| 120);
        let mut state = seed;
        let mut lot = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for number in 0..160 {
            let side = 6 + lot(4 + width / (4 + number / 4));
            let (left, top, colour) = (lot(width), lot(height), lot(256) as u8);
            for y in top..height.min(top + side) {
                for x in left..width.min(left + side) {
                    grey.bytes[y * width + x] = colour;
                }
            }
        }
        grey
    }

    fn with(mut self, other: &Self, left: usize, top: usize) -> Self {
        for y in 0..other.height {
            for x in 0..other.width {
                self.bytes[(top + y) * self.width + left + x] = other.bytes[y * other.width + x];
            }
        }
        self
    }

    fn pixels(&self) -> Pixels<'_> {
        Pixels::new(self.width as u32, self.height as u32, Layout::Grey, &self.bytes).unwrap()
    }
}

#[test]
fn the_same_pixels_give_the_same_print_on_every_machine() {
    let print = features::print(Grey::drawn(1, 700, 500).pixels()).unwrap();
    let bytes = print.to_bytes();
    assert!(print.features().len() <= MAX_FEATURES && bytes.len() <= MAX_PRINT_BYTES);
    assert_eq!((print.width(), print.height()), (512, 366));
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "8b8a6eff11f85d56d073f348495f2c48e65e1b963c8616f149ced2b1854e9395");
}

#[test]
fn grey_in_three_colours_is_grey() {
    let grey = Grey::drawn(2, 400, 300);
    let rgb: Vec<u8> = grey.bytes.iter().flat_map(|value| [*value; 3]).collect();
    let coloured = Pixels::new(400, 300, Layout::Rgb, &rgb).unwrap();
    assert_eq!(features::print(coloured), features::print(grey.pixels()));
}

#[test]
fn features_are_met_again_when_the_picture_is_turned_a_quarter() {
    let grey = Grey::drawn(3, 512, 384);
    let turned = Grey::of(384, 512, |x, y| grey.bytes[(383 - x) * 512 + y]);
    let print = features::print(grey.pixels()).unwrap();
    let seen = features::seen(turned.pixels()).unwrap();
    let again = |feature: &&watchfire_signal::features::Feature| {
        let (x, y) = feature.place();
        seen.plain.iter().any(|other| {
            let there = (other.x - (384.0 - y)).hypot(other.y - x) < 4.0;
            let turned = other.angle.wrapping_sub(feature.angle).wrapping_sub(64);
            let same_way = turned.min(turned.wrapping_neg()) < 10;
            there && same_way && other.descriptor.distance(&feature.descriptor) <= 48
        })
    };
    let met = print.features().iter().filter(again).count();
    assert!(met * 3 > print.features().len() * 2, "{met} of {}", print.features().len());
}

#[test]
fn features_are_spread_over_the_picture_from_the_first() {
    let print = features::print(Grey::drawn(4, 512, 512).pixels()).unwrap();
    for some in [64, 400] {
        let quarter = |x: f32, y: f32| usize::from(x >= 256.0) + 2 * usize::from(y >= 256.0);
        let mut counts = [0; 4];
        for feature in print.features().iter().take(some) {
            let (x, y) = feature.place();
            counts[quarter(x, y)] += 1;
        }
        assert!(
            counts.iter().all(|count| count * 12 >= some.min(print.features().len())),
            "{counts:?}"
        );
    }
}

#[test]
fn pictures_that_say_too_little_have_no_print() {
    let plain = Grey::of(300, 300, |_, _| 90);
    assert_eq!(features::print(plain.pixels()), None);
    for (width, height) in [(1, 1), (5, 900), (900, 5), (15, 15), (4_000, 40), (3, 3)] {
        let grey = Grey::of(width, height, |x, y| (x * 31 + y * 57) as u8);
        let _ = (features::print(grey.pixels()), features::seen(grey.pixels()));
        let _ = (regions::content(grey.pixels()), regions::subject(grey.pixels()));
    }
}

fn is_near(found: Rectangle, expected: Rectangle) -> bool {
    let sides = |r: Rectangle| [r.left, r.top, r.left + r.width, r.top + r.height];
    sides(found).iter().zip(sides(expected)).all(|(a, b)| a.abs_diff(b) <= 3)
}

#[test]
fn what_a_border_holds_is_found() {
    let inside = Grey::drawn(5, 600, 400);
    let framed = Grey::of(600, 560, |_, _| 8).with(&inside, 0, 80);
    let expected = Rectangle { left: 0, top: 80, width: 600, height: 400 };
    assert!(is_near(regions::content(framed.pixels())[0], expected));
    let Subject::Part(part) = regions::subject(framed.pixels()) else { panic!("no part") };
    assert!(is_near(part, expected), "{part:?}");
}

#[test]
fn a_picture_in_a_picture_is_found() {
    let inside = Grey::drawn(6, 320, 240);
    let hills =
        |x: usize, y: usize| (60 + (x * x / 9000 + y * y / 5000 + x * y / 7000) % 130) as u8;
    let outer = Grey::of(800, 600, hills).with(&inside, 300, 180);
    let expected = Rectangle { left: 300, top: 180, width: 320, height: 240 };
    let found = regions::content(outer.pixels());
    assert!(found.len() <= watchfire_signal::features::MAX_PARTS);
    assert!(found.iter().any(|found| is_near(*found, expected)), "{found:?}");
    assert_eq!(regions::subject(outer.pixels()), Subject::Whole);
}

#[test]
fn of_the_screen_of_an_app_the_picture_is_the_subject() {
    let inside = Grey::drawn(8, 400, 300);
    let words =
        |x: usize, y: usize| x > 30 && x < 240 && y.is_multiple_of(40) && x.is_multiple_of(7);
    let screen =
        Grey::of(400, 800, |x, y| if words(x, y) { 20 } else { 250 }).with(&inside, 0, 130);
    let Subject::Part(part) = regions::subject(screen.pixels()) else { panic!("no part") };
    assert!(is_near(part, Rectangle { left: 0, top: 130, width: 400, height: 300 }), "{part:?}");
}

#[test]
fn a_screen_whose_picture_cannot_be_told_has_no_subject() {
    let line = |y: usize| (130..132).contains(&y) || (430..432).contains(&y);
    let words = |x: usize, y: usize| y % 200 == 20 && x.is_multiple_of(9);
    let screen = Grey::of(400, 800, |x, y| if line(y) || words(x, y) { 20 } else { 200 });
    assert_eq!(regions::subject(screen.pixels()), Subject::Unclear);
}

#[test]
fn a_part_is_cut_out_as_it_is() {
    let grey = Grey::of(20, 10, |x, y| (x + 20 * y) as u8);
    let rectangle = Rectangle { left: 15, top: 8, width: 99, height: 99 };
    let part = regions::cut(grey.pixels(), rectangle);
    assert_eq!((part.pixels().width(), part.pixels().height()), (5, 2));
    let all = regions::cut(part.pixels(), Rectangle { left: 1, top: 1, width: 2, height: 1 });
    let expected = Grey::of(2, 1, |x, _| (16 + x + 20 * 9) as u8);
    assert_eq!(all.bytes(), expected.bytes);
}
