//! Eight values at a time for every machine; a compiler makes of it what it can.

use super::{Divisor, Lanes, Simd};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

/// Weights of luminance in thousandths: 0.299, 0.587 and 0.114.
const RED: f32 = 299.0;
const GREEN: f32 = 587.0;
const BLUE: f32 = 114.0;

impl Simd for Scalar {
    type Eight = Lanes;
    type By = f32;

    #[inline(always)]
    fn zero(self) -> Lanes {
        [0.0; 8]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn store(self, value: Lanes, to: &mut Lanes) {
        *to = value;
    }

    #[inline(always)]
    fn add(self, mut a: Lanes, b: Lanes) -> Lanes {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    }

    #[inline(always)]
    fn sub(self, mut a: Lanes, b: Lanes) -> Lanes {
        for (a, b) in a.iter_mut().zip(b) {
            *a -= b;
        }
        a
    }

    #[inline(always)]
    fn by(self, divisor: Divisor) -> f32 {
        divisor.value
    }

    #[inline(always)]
    fn divide(self, mut a: Lanes, by: f32) -> Lanes {
        for a in &mut a {
            *a /= by;
        }
        a
    }

    #[inline(always)]
    fn transpose(self, rows: [Lanes; 8]) -> [Lanes; 8] {
        let mut columns = [[0.0; 8]; 8];
        for (row, values) in rows.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                columns[column][row] = *value;
            }
        }
        columns
    }

    #[inline(always)]
    fn store_rows(self, columns: [Lanes; 8], rows: &mut [Lanes; 8]) {
        *rows = self.transpose(columns);
    }

    #[inline(always)]
    fn grey_columns(self, rows: &[&[[u8; 8]]; 8], block: usize) -> [Lanes; 8] {
        let mut columns = [[0.0; 8]; 8];
        for (row, bytes) in rows.iter().enumerate() {
            for (column, byte) in bytes[block].iter().enumerate() {
                columns[column][row] = f32::from(*byte);
            }
        }
        columns
    }

    #[inline(always)]
    fn rgb_columns(self, rows: &[&[[u8; 24]]; 8], block: usize) -> [Lanes; 8] {
        let mut columns = [[0.0; 8]; 8];
        for (row, bytes) in rows.iter().enumerate() {
            for (column, rgb) in bytes[block].as_chunks::<3>().0.iter().enumerate() {
                let [red, green, blue] = rgb.map(f32::from);
                columns[column][row] = RED * red + GREEN * green + BLUE * blue;
            }
        }
        for column in &mut columns {
            *column = self.divide(*column, 1000.0);
        }
        columns
    }
}
