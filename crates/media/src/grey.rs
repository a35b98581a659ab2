//! Brings the luminance of a picture to the size that features are taken at, in whole numbers.

use watchfire_signal::features::Grey;

use crate::pdq::{Layout, Pixels};

/// Fractional bits of a row that is shrunk in width but not yet in height.
const FRACTION: u32 = 8;

/// Where an output pixel takes its part of the input: input pixel, output pixel, how much.
struct Share {
    from: usize,
    to: usize,
    weight: u32,
}

/// A picture so that its longest side is `longest`: shrunk by averages of areas, or enlarged, at most to
/// twice its size.
pub(crate) fn working(pixels: Pixels<'_>, longest: usize) -> Grey {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let side = width.max(height).max(1);
    let longest = longest.min(side * 2);
    let scaled = |length: usize| ((length * longest + side / 2) / side).max(1);
    let size = (scaled(width), scaled(height));
    if longest > side {
        return enlarge(&grey(pixels), size);
    }
    let mut row = vec![0; width];
    shrink_rows((width, height), size, |y| {
        luminance(pixels, y, &mut row);
        row.clone()
    })
}

/// Luminance of all pixels.
pub(crate) fn grey(pixels: Pixels<'_>) -> Grey {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let mut bytes = vec![0; width * height];
    for (y, row) in bytes.chunks_exact_mut(width.max(1)).enumerate() {
        luminance(pixels, y, row);
    }
    Grey { width, height, bytes }
}

/// A smaller picture, each pixel the average of the area that it covers.
pub(crate) fn shrink(grey: &Grey, size: (usize, usize)) -> Grey {
    let from = (grey.width, grey.height);
    shrink_rows(from, size, |y| grey.bytes[y * grey.width..(y + 1) * grey.width].to_vec())
}

/// ITU-R BT.601 luminance of a row, in 1/256.
fn luminance(pixels: Pixels<'_>, y: usize, row: &mut [u8]) {
    let length = row.len() * pixels.layout.bytes();
    let from = &pixels.bytes[y * length..(y + 1) * length];
    match pixels.layout {
        Layout::Grey => row.copy_from_slice(from),
        Layout::Rgb => {
            for (grey, rgb) in row.iter_mut().zip(from.as_chunks::<3>().0) {
                let [red, green, blue] = rgb.map(u32::from);
                *grey = ((77 * red + 150 * green + 29 * blue + 128) >> 8) as u8;
            }
        }
    }
}

fn shrink_rows(
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

/// A larger picture by bilinear interpolation.
fn enlarge(grey: &Grey, (width, height): (usize, usize)) -> Grey {
    let (columns, rows) = (steps(grey.width, width), steps(grey.height, height));
    let mut bytes = Vec::with_capacity(width * height);
    for &(y, below, down) in &rows {
        let (upper, lower) = (y * grey.width, below * grey.width);
        for &(x, beside, right) in &columns {
            let at = |row: usize| {
                let (left, next) = (grey.bytes[row + x], grey.bytes[row + beside]);
                u32::from(left) * (256 - right) + u32::from(next) * right
            };
            bytes.push(((at(upper) * (256 - down) + at(lower) * down + (1 << 15)) >> 16) as u8);
        }
    }
    Grey { width, height, bytes }
}

/// For each output pixel the two input pixels around its centre, and 256ths of the second.
fn steps(length: usize, new_length: usize) -> Vec<(usize, usize, u32)> {
    let last = length - 1;
    let step = |to: usize| {
        // The centre in the input, in 1/256 pixel, from the centre of its first pixel.
        let centre = ((2 * to + 1) * length * 128 / new_length).saturating_sub(128);
        let at = (centre >> 8).min(last);
        (at, (at + 1).min(last), if at == last { 0 } else { (centre & 255) as u32 })
    };
    (0..new_length).map(step).collect()
}
