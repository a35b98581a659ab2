//! Sixteen values at a time for every machine; a compiler makes of it what it can.

use super::{Divisor, GREY_BYTES, Lanes, RGB_BYTES, Simd, Tile, WIDTH};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

/// Weights of luminance in thousandths: 0.299, 0.587 and 0.114.
const RED: f32 = 299.0;
const GREEN: f32 = 587.0;
const BLUE: f32 = 114.0;

impl Simd for Scalar {
    type Sixteen = Lanes;
    type By = f32;

    #[inline(always)]
    fn zero(self) -> Lanes {
        Lanes::ZERO
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
        for (a, b) in a.0.iter_mut().zip(b.0) {
            *a += b;
        }
        a
    }

    #[inline(always)]
    fn sub(self, mut a: Lanes, b: Lanes) -> Lanes {
        for (a, b) in a.0.iter_mut().zip(b.0) {
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
        for a in &mut a.0 {
            *a /= by;
        }
        a
    }

    #[inline(always)]
    fn transpose(self, rows: [Lanes; WIDTH]) -> [Lanes; WIDTH] {
        let mut columns = [Lanes::ZERO; WIDTH];
        for (row, values) in rows.iter().enumerate() {
            for (column, value) in values.0.iter().enumerate() {
                columns[column].0[row] = *value;
            }
        }
        columns
    }

    #[inline(always)]
    fn grey_columns(self, tile: Tile<'_, GREY_BYTES>) -> [Lanes; WIDTH] {
        let mut columns = [Lanes::ZERO; WIDTH];
        for row in 0..WIDTH {
            for (column, byte) in tile.part::<GREY_BYTES>(row, 0).iter().enumerate() {
                columns[column].0[row] = f32::from(*byte);
            }
        }
        columns
    }

    #[inline(always)]
    fn rgb_columns(self, tile: Tile<'_, RGB_BYTES>) -> [Lanes; WIDTH] {
        let mut columns = [Lanes::ZERO; WIDTH];
        for row in 0..WIDTH {
            let colours = tile.part::<RGB_BYTES>(row, 0).as_chunks::<3>().0;
            for (column, rgb) in colours.iter().enumerate() {
                let [red, green, blue] = rgb.map(f32::from);
                columns[column].0[row] = RED * red + GREEN * green + BLUE * blue;
            }
        }
        for column in &mut columns {
            *column = self.divide(*column, 1000.0);
        }
        columns
    }
}
