//! Takes thin strokes out of a laid picture: writing and watermarks, which go over all of it.
//!
//! Writing touches most blocks and covers little of them, so that blocks cannot tell the picture below from it. What is
//! narrower than a window vanishes where each pixel becomes the least around it, or the most; doing the opposite next
//! gives what is wider its size back. Letters have an edge of the other brightness, so both are taken out, one after
//! the other, the second by a wider window because the first has widened it.

use watchfire_signal::features::Grey;

/// Pixels to each side that a window reaches: of thin dark strokes and the light ones between them, and of thicker
/// light ones and what is dark around them. A reference has 512 pixels at most.
const DARK_FIRST: (usize, usize) = (2, 3);
const LIGHT_FIRST: (usize, usize) = (4, 6);

/// A picture without thin strokes, in the two ways that they are written.
pub(super) fn without(picture: &Grey) -> [Grey; 2] {
    let (dark, light) = DARK_FIRST;
    let thin = without_light(&without_dark(picture, dark), light);
    let (light, dark) = LIGHT_FIRST;
    [thin, without_dark(&without_light(picture, light), dark)]
}

fn without_light(picture: &Grey, reach: usize) -> Grey {
    around(&around(picture, reach, u8::min), reach, u8::max)
}

fn without_dark(picture: &Grey, reach: usize) -> Grey {
    around(&around(picture, reach, u8::max), reach, u8::min)
}

/// What is picked of all pixels of a square around each one; beyond the edges there are none.
fn around(picture: &Grey, reach: usize, pick: impl Fn(u8, u8) -> u8 + Copy) -> Grey {
    let Grey { width, height, ref bytes } = *picture;
    let mut across = bytes.clone();
    for (to, row) in across.chunks_exact_mut(width).zip(bytes.chunks_exact(width)) {
        for step in 1..=reach.min(width.saturating_sub(1)) {
            take(&mut to[step..], &row[..width - step], pick);
            take(&mut to[..width - step], &row[step..], pick);
        }
    }
    let mut all = across.clone();
    for step in 1..=reach.min(height.saturating_sub(1)) {
        take(&mut all[step * width..], &across[..(height - step) * width], pick);
        take(&mut all[..(height - step) * width], &across[step * width..], pick);
    }
    Grey { width, height, bytes: all }
}

fn take(to: &mut [u8], from: &[u8], pick: impl Fn(u8, u8) -> u8 + Copy) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = pick(*to, *from));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 64;

    /// Brighter from left to right.
    fn slope() -> Grey {
        let bytes = (0..SIDE * SIDE).map(|at| 40 + (at % SIDE) as u8).collect();
        Grey { width: SIDE, height: SIDE, bytes }
    }

    fn rectangle(
        picture: &mut Grey,
        (left, top, width, height): (usize, usize, usize, usize),
        luma: u8,
    ) {
        for y in top..top + height {
            picture.bytes[y * SIDE + left..][..width].fill(luma);
        }
    }

    fn furthest(one: &Grey, other: &Grey) -> u8 {
        let both = one.bytes.iter().zip(&other.bytes);
        both.map(|(one, other)| one.abs_diff(*other)).max().unwrap_or(0)
    }

    #[test]
    fn what_is_picked_is_of_the_square_around() {
        let mut picture = slope();
        picture.bytes[10 * SIDE + 20] = 255;
        picture.bytes[0] = 255;
        let most = around(&picture, 2, u8::max);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let near = (x.abs_diff(20) <= 2 && y.abs_diff(10) <= 2) || (x <= 2 && y <= 2);
                let expected = if near { 255 } else { 40 + (x + 2).min(SIDE - 1) as u8 };
                assert_eq!(most.bytes[y * SIDE + x], expected, "{x} {y}");
            }
        }
    }

    #[test]
    fn a_light_stroke_with_dark_edges_goes_and_what_is_wider_stays() {
        let plain = slope();
        let mut written = slope();
        rectangle(&mut written, (8, 20, 40, 9), 0);
        rectangle(&mut written, (10, 22, 36, 5), 255);
        let [_, simple] = without(&written);
        assert!(furthest(&simple, &plain) <= 12, "{}", furthest(&simple, &plain));
        let mut stuck = slope();
        rectangle(&mut stuck, (8, 20, 30, 20), 255);
        assert!(without(&stuck).iter().all(|simple| simple.bytes[30 * SIDE + 20] == 255));
    }

    #[test]
    fn a_picture_of_one_pixel_stays_what_it_is() {
        let one = Grey { width: 1, height: 1, bytes: vec![7] };
        assert!(without(&one).iter().all(|simple| simple.bytes == [7]));
    }
}
