//! Draws luminance and lines, to show a person why two pictures match.

use std::io;
use std::path::Path;

use image::{ImageError, Rgb, RgbImage};
use watchfire_signal::features::Grey;

/// A colour: red, green and blue.
pub type Colour = [u8; 3];

/// The most steps of a line: longer than any canvas of two working pictures.
const MOST_STEPS: f32 = 8_192.0;

/// A picture that is drawn.
pub struct Canvas(RgbImage);

impl Canvas {
    /// One of one colour.
    #[must_use]
    pub fn new(width: u32, height: u32, colour: Colour) -> Self {
        Self(RgbImage::from_pixel(width, height, Rgb(colour)))
    }

    /// Puts luminance on it, so many pixels from the left; what does not fit is left out.
    pub fn paste(&mut self, grey: &Grey, left: u32) {
        for (y, row) in grey.bytes.chunks_exact(grey.width.max(1)).enumerate() {
            for (x, value) in row.iter().enumerate() {
                self.put(x as u32 + left, y as u32, [*value; 3]);
            }
        }
    }

    /// A straight line, as far as it lies on the canvas.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), colour: Colour) {
        let (across, down) = (to.0 - from.0, to.1 - from.1);
        let steps = across.abs().max(down.abs()).ceil().clamp(1.0, MOST_STEPS) as u32;
        for step in 0..=steps {
            let share = step as f32 / steps as f32;
            let (x, y) = (from.0 + share * across, from.1 + share * down);
            if x >= 0.0 && y >= 0.0 {
                self.put(x as u32, y as u32, colour);
            }
        }
    }

    fn put(&mut self, x: u32, y: u32, colour: Colour) {
        if x < self.0.width() && y < self.0.height() {
            self.0.put_pixel(x, y, Rgb(colour));
        }
    }

    /// Writes it as a PNG.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        self.0.save_with_format(path, image::ImageFormat::Png).map_err(|error| match error {
            ImageError::IoError(error) => error,
            other => io::Error::other(other),
        })
    }
}
