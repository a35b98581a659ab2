//! A sheet to draw on: rectangles, discs and shades, in whole pixels, the same on every machine.

use watchfire_media::pdq::{Layout, Pixels};

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

pub(super) const BLACK: Colour = [0; 3];
pub(super) const WHITE: Colour = [255; 3];
pub(super) const GREY: Colour = [128; 3];
pub(super) const DARK: Colour = [32; 3];
pub(super) const LIGHT: Colour = [224; 3];

/// A picture that is drawn in thousandths of its sides.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Sheet {
    pub(super) fn new((width, height): (u32, u32), colour: Colour) -> Self {
        let pixels = (width * height) as usize;
        Self { width, height, bytes: colour.iter().copied().cycle().take(pixels * 3).collect() }
    }

    pub(super) fn pixels(&self) -> Pixels<'_> {
        Pixels::new(self.width, self.height, Layout::Rgb, &self.bytes).unwrap()
    }

    /// Gives each pixel the colour of its place, both in thousandths; `None` leaves it.
    pub(super) fn paint(mut self, colour: impl Fn(i64, i64) -> Option<Colour>) -> Self {
        let (width, height) = (i64::from(self.width), i64::from(self.height));
        for (place, pixel) in (0_i64..).zip(self.bytes.as_chunks_mut::<3>().0) {
            let (x, y) = (place % width, place / width);
            if let Some(colour) = colour(x * 1_000 / width, y * 1_000 / height) {
                *pixel = colour;
            }
        }
        self
    }

    pub(super) fn rect(
        self,
        (left, top, right, bottom): (i64, i64, i64, i64),
        colour: Colour,
    ) -> Self {
        self.paint(|x, y| {
            ((left..right).contains(&x) && (top..bottom).contains(&y)).then_some(colour)
        })
    }

    /// A ring, or a disc where `inner` is 0; radii in thousandths of the shorter side.
    pub(super) fn ring(
        self,
        (cx, cy): (i64, i64),
        (inner, outer): (i64, i64),
        colour: Colour,
    ) -> Self {
        let (width, height) = (i64::from(self.width), i64::from(self.height));
        let short = width.min(height);
        self.paint(|x, y| {
            let (dx, dy) = ((x - cx) * width / short, (y - cy) * height / short);
            let far = dx * dx + dy * dy;
            (far < outer * outer && far >= inner * inner).then_some(colour)
        })
    }

    /// A triangle that points right, in a square of `half` thousandths of the shorter side around a place.
    pub(super) fn arrow(self, (cx, cy): (i64, i64), half: i64, colour: Colour) -> Self {
        let (width, height) = (i64::from(self.width), i64::from(self.height));
        let short = width.min(height);
        self.paint(|x, y| {
            let (dx, dy) = ((x - cx) * width / short, (y - cy) * height / short);
            let inside = dx >= -half / 2 && dx <= half && dy.abs() * 3 <= (half - dx) * 2;
            inside.then_some(colour)
        })
    }

    /// Lines of words that nobody can read: bars between two sides, each as high as given.
    pub(super) fn lines(
        mut self,
        (left, right): (i64, i64),
        tops: impl IntoIterator<Item = i64>,
        high: i64,
        colour: Colour,
    ) -> Self {
        for (number, top) in tops.into_iter().enumerate() {
            // The last word of a line ends earlier in every third.
            let right = if number % 3 == 2 { (left + right * 2) / 3 } else { right };
            self = self.rect((left, top, right, top + high), colour);
        }
        self
    }
}
