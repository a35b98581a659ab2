//! Makes a picture smaller, in whole numbers: each pixel is the average of the area that it covers.

use super::Grey;

/// Fractional bits of a row that is shrunk in width but not yet in height.
const FRACTION: u32 = 8;

/// How many bits the inverse of a [`Length`] is shifted by.
const SHIFT: u32 = 48;

/// A number to divide by: multiplying by its inverse takes a fifth of the time.
///
/// With `m` the least whole number that is no less than 2⁴⁸ / d, `m · d` is 2⁴⁸ + e and e less than d. The quotient of x
/// and d is the one of `x · m` and 2⁴⁸ where `x · e` is less than 2⁴⁸: both lie between the same whole numbers. Here x is
/// at most 2¹⁶ d, so that is so for every d below 2¹⁶, and `x · m` fits 64 bits.
struct Length(u64);

impl Length {
    fn new(length: usize) -> Self {
        debug_assert!(length < 1 << 16, "pictures have fewer pixels a side");
        Self((1_u64 << SHIFT).div_ceil((length as u64).max(1)))
    }

    /// The quotient, of at most 2¹⁶ times the length.
    fn divide(&self, number: u64) -> u64 {
        (number * self.0) >> SHIFT
    }
}

/// Where an output pixel takes its part of the input. What lies between its first and its last pixel there is all its
/// own.
struct Share {
    first: usize,
    last: usize,
    /// Of the first and of the last.
    weights: [u32; 2],
}

/// How the pixels of a side share in those of a smaller one: of each as much as the smaller side has pixels, to each as much
/// as the larger one.
struct Shares {
    of: Vec<Share>,
    whole: u32,
}

/// A smaller picture, each pixel the average of the area that it covers.
pub(super) fn shrink(grey: &Grey, size: (usize, usize)) -> Grey {
    let from = (grey.width, grey.height);
    shrink_rows(from, size, |y, row| {
        row.copy_from_slice(&grey.bytes[y * grey.width..(y + 1) * grey.width]);
    })
}

/// A smaller picture, made row by row: `row` writes the rows of the larger one, each asked for in its turn. Neither
/// picture has 65,536 pixels on a side.
#[must_use]
pub fn shrink_rows(
    (width, height): (usize, usize),
    (new_width, new_height): (usize, usize),
    mut row: impl FnMut(usize, &mut [u8]),
) -> Grey {
    let (across, down) = (Shares::of(width, new_width), Shares::of(height, new_height));
    let (columns, rows) = (Length::new(width), Length::new(height));
    let mut bytes = Vec::with_capacity(new_width * new_height);
    let (mut held, mut wide, mut narrow) = (usize::MAX, Wide::new(width), vec![0; new_width]);
    let mut sums = vec![0_u32; new_width];
    for share in &down.of {
        // Rounded; what is below a whole `height` has no say in the quotient.
        sums.fill((height as u32) << (FRACTION - 1));
        for from in share.first..=share.last {
            let weight = down.weight(share, from);
            if weight == 0 {
                continue;
            }
            if from != held {
                row(from, &mut wide.row[..width]);
                wide.add_up();
                across.narrow(&wide, &columns, &mut narrow);
                held = from;
            }
            for (sum, value) in sums.iter_mut().zip(&narrow) {
                *sum += weight * value;
            }
        }
        let averages = sums.iter().map(|sum| rows.divide(u64::from(*sum >> FRACTION)));
        bytes.extend(averages.map(|average| average.min(255) as u8));
    }
    Grey { width: new_width, height: new_height, bytes }
}

/// A row of the larger picture, and one pixel that nobody has a share in.
struct Wide {
    row: Vec<u8>,
    /// Of each pixel the sum of those before it.
    sums: Vec<u32>,
}

impl Wide {
    fn new(width: usize) -> Self {
        Self { row: vec![0; width + 1], sums: vec![0; width + 1] }
    }

    fn add_up(&mut self) {
        let mut sum = 0;
        for (to, pixel) in self.sums.iter_mut().zip(&self.row) {
            *to = sum;
            sum += u32::from(*pixel);
        }
    }
}

impl Shares {
    /// How `length` pixels share in `new_length` ones.
    fn of(length: usize, new_length: usize) -> Self {
        let share = |to: usize| {
            let (start, end) = (to * length, (to + 1) * length);
            let (first, last) = (start / new_length, (end - 1) / new_length);
            let overlap = |from: usize| {
                let (from, to) =
                    ((from * new_length).max(start), ((from + 1) * new_length).min(end));
                to.saturating_sub(from) as u32
            };
            // Two of them, always: of the one behind nothing.
            let last = last.max(first + 1);
            Share { first, last, weights: [first, last].map(overlap) }
        };
        Self { of: (0..new_length).map(share).collect(), whole: new_length as u32 }
    }

    /// How much an output pixel has of one that it has a share in.
    fn weight(&self, share: &Share, from: usize) -> u32 {
        match from {
            from if from == share.first => share.weights[0],
            from if from == share.last => share.weights[1],
            _ => self.whole,
        }
    }

    /// A row in its new width, with [`FRACTION`] more bits.
    fn narrow(&self, Wide { row, sums }: &Wide, width: &Length, narrow: &mut [u32]) {
        for (to, share) in narrow.iter_mut().zip(&self.of) {
            let (first, last) = (share.first, share.last);
            let sum = self.whole * (sums[last] - sums[first + 1])
                + share.weights[0] * u32::from(row[first])
                + share.weights[1] * u32::from(row[last]);
            *to = width.divide(u64::from(sum) << FRACTION) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As it is described: areas first across and then down, each an average.
    fn literally(grey: &Grey, (width, height): (usize, usize)) -> Vec<u8> {
        let overlap = |from: usize, to: usize, old: usize, new: usize| {
            ((from + 1) * new).min((to + 1) * old).saturating_sub((from * new).max(to * old)) as u64
        };
        let narrow = |x: usize, y: usize| {
            let pixel = |from: usize| u64::from(grey.bytes[y * grey.width + from]);
            let shares =
                (0..grey.width).map(|from| overlap(from, x, grey.width, width) * pixel(from));
            (shares.sum::<u64>() << FRACTION) / grey.width as u64
        };
        let pixel = |x: usize, y: usize| {
            let rows = 0..grey.height;
            let sum: u64 =
                rows.map(|from| overlap(from, y, grey.height, height) * narrow(x, from)).sum();
            let whole = (grey.height as u64) << FRACTION;
            ((sum + whole / 2) / whole).min(255) as u8
        };
        (0..width * height).map(|at| pixel(at % width, at / width)).collect()
    }

    proptest! {
        #[test]
        fn each_pixel_is_the_average_of_what_it_covers(
            (width, height) in (1_usize..40, 1_usize..40),
            (across, down) in (0.0..=1.0, 0.0..=1.0),
            bytes in proptest::collection::vec(any::<u8>(), 40 * 40),
        ) {
            let bytes = bytes[..width * height].to_vec();
            let grey = Grey { width, height, bytes };
            let part = |side: usize, share: f64| 1 + ((side - 1) as f64 * share) as usize;
            let size = (part(width, across), part(height, down));
            prop_assert_eq!(shrink(&grey, size).bytes, literally(&grey, size));
        }

        #[test]
        fn the_inverse_divides_all_that_is_divided(length in 1_usize..1 << 16, number in any::<u64>()) {
            let most = (length as u64) << 16;
            for number in [number % most, most - 1, number % (1 << 16) * length as u64] {
                prop_assert_eq!(Length::new(length).divide(number), number / length as u64);
            }
        }
    }
}
