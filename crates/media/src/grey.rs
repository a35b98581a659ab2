//! Brings the luminance of a picture to the size that features are taken at, in whole numbers.

use watchfire_signal::features::{Grey, shrink_rows};

use crate::pdq::{Layout, Pixels};

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
    shrink_rows((width, height), size, |y, row| luminance(pixels, y, row))
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
