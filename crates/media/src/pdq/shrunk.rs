//! Makes a picture smaller by means over boxes, for uses other than PDQ.

use super::Pixels;

/// As [`Pixels::shrunk`] says.
pub(super) fn shrunk(pixels: Pixels<'_>, side: u32) -> (u32, u32, Vec<u8>) {
    let Pixels { width, height, layout, bytes } = pixels;
    let longest = width.max(height);
    if longest <= side || side == 0 {
        return (width, height, bytes.to_vec());
    }
    let scaled = |length: u32| {
        let rounded =
            (u64::from(length) * u64::from(side) + u64::from(longest) / 2) / u64::from(longest);
        u32::try_from(rounded).unwrap_or(side).clamp(1, side)
    };
    let (to_width, to_height, parts) = (scaled(width), scaled(height), layout.bytes());
    let mut shrunk = Vec::with_capacity(to_width as usize * to_height as usize * parts);
    let row_bytes = width as usize * parts;
    let mut sums = vec![0_u32; row_bytes];
    for row in 0..to_height {
        sums.fill(0);
        let (top, bottom) = covered(row, to_height, height);
        let rows = bytes[top * row_bytes..bottom * row_bytes].chunks_exact(row_bytes);
        for row in rows {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += u32::from(*value);
            }
        }
        for column in 0..to_width {
            let (left, right) = covered(column, to_width, width);
            let count = ((right - left) * (bottom - top)) as u64;
            for part in 0..parts {
                let columns = sums[left * parts..right * parts].iter().skip(part).step_by(parts);
                let sum: u64 = columns.map(|sum| u64::from(*sum)).sum();
                shrunk.push(u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX));
            }
        }
    }
    (to_width, to_height, shrunk)
}

/// The pixels of `from` that pixel number `at` of `to` covers: at least one, and each only once.
fn covered(at: u32, to: u32, from: u32) -> (usize, usize) {
    let edge = |at: u32| (u64::from(at) * u64::from(from) / u64::from(to)) as usize;
    (edge(at), edge(at + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::Layout;
    use super::*;

    #[test]
    fn a_pixel_is_the_mean_of_what_it_covers() {
        let bytes = [10, 20, 90, 30, 40, 90, 1, 1, 7, 1, 1, 8];
        let pixels = Pixels::new(3, 4, Layout::Grey, &bytes).unwrap();
        assert_eq!(pixels.shrunk(4), (3, 4, bytes.to_vec()));
        assert_eq!(pixels.shrunk(2), (2, 2, vec![20, 60, 1, 4]));
        let colours: Vec<u8> = bytes.iter().flat_map(|value| [*value, 0, 255 - *value]).collect();
        let pixels = Pixels::new(3, 4, Layout::Rgb, &colours).unwrap();
        let expected = vec![20, 0, 235, 60, 0, 195, 1, 0, 254, 4, 0, 251];
        assert_eq!(pixels.shrunk(2), (2, 2, expected));
    }

    proptest! {
        #[test]
        fn a_flat_picture_stays_flat_at_any_size(
            width in 1_u32..200, height in 1_u32..200, side in 1_u32..100, value: u8,
        ) {
            let bytes = vec![value; (width * height) as usize];
            let pixels = Pixels::new(width, height, Layout::Grey, &bytes).unwrap();
            let (to_width, to_height, shrunk) = pixels.shrunk(side);
            prop_assert_eq!(shrunk, vec![value; (to_width * to_height) as usize]);
            prop_assert_eq!(to_width.max(to_height), side.min(width.max(height)));
        }
    }
}
