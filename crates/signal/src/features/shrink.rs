//! Makes a picture smaller, in whole numbers: each pixel is the average of the area that it covers.

use super::Grey;

/// Fractional bits of a row that is shrunk in width but not yet in height.
const FRACTION: u32 = 8;

/// Where an output pixel takes its part of the input: input pixel, output pixel, how much.
struct Share {
    from: usize,
    to: usize,
    weight: u32,
}

/// A smaller picture, each pixel the average of the area that it covers.
pub(super) fn shrink(grey: &Grey, size: (usize, usize)) -> Grey {
    let from = (grey.width, grey.height);
    shrink_rows(from, size, |y| grey.bytes[y * grey.width..(y + 1) * grey.width].to_vec())
}

/// A smaller picture, made row by row: `row` gives the rows of the larger one, each asked for in its turn.
#[must_use]
pub fn shrink_rows(
    (width, height): (usize, usize),
    (new_width, new_height): (usize, usize),
    mut row: impl FnMut(usize) -> Vec<u8>,
) -> Grey {
    let (across, down) = (shares(width, new_width), shares(height, new_height));
    let mut bytes = Vec::with_capacity(new_width * new_height);
    let mut sums = vec![0_u64; new_width];
    let (mut held, mut narrow) = (usize::MAX, vec![0; new_width]);
    let mut current = 0;
    let average = |sums: &mut Vec<u64>, bytes: &mut Vec<u8>| {
        let whole = (height as u64) << FRACTION;
        bytes.extend(sums.iter().map(|sum| ((sum + whole / 2) / whole).min(255) as u8));
        sums.fill(0);
    };
    for share in &down {
        if share.to != current {
            average(&mut sums, &mut bytes);
            current = share.to;
        }
        if share.from != held {
            narrow = narrowed(&row(share.from), &across, new_width);
            held = share.from;
        }
        for (sum, value) in sums.iter_mut().zip(&narrow) {
            *sum += u64::from(share.weight) * u64::from(*value);
        }
    }
    average(&mut sums, &mut bytes);
    Grey { width: new_width, height: new_height, bytes }
}

/// A row in its new width, with [`FRACTION`] more bits.
fn narrowed(row: &[u8], across: &[Share], new_width: usize) -> Vec<u32> {
    let mut sums = vec![0_u64; new_width];
    for share in across {
        sums[share.to] += u64::from(share.weight) * u64::from(row[share.from]);
    }
    let width = row.len() as u64;
    sums.iter().map(|sum| ((sum << FRACTION) / width) as u32).collect()
}

/// How `length` pixels share in `new_length` ones; the weights of an output pixel add up to `length`.
fn shares(length: usize, new_length: usize) -> Vec<Share> {
    let mut shares = Vec::with_capacity(length + new_length);
    for to in 0..new_length {
        let (start, end) = (to * length, (to + 1) * length);
        for from in start / new_length..end.div_ceil(new_length) {
            let overlap = ((from + 1) * new_length).min(end) - (from * new_length).max(start);
            shares.push(Share { from, to, weight: overlap as u32 });
        }
    }
    shares
}
