//! Draws pictures that look like no other: overlapping shapes with texture; and edits them.

use watchfire_media::pdq::{Layout, Pixels};

use crate::data::Random;

/// A grey picture.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Scene {
    /// One colour.
    pub(crate) fn plain(width: usize, height: usize, grey: u8) -> Self {
        Self { width, height, bytes: vec![grey; width * height] }
    }

    /// Shapes drawn by lot.
    pub(crate) fn drawn(seed: u64, width: usize, height: usize) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut scene = Self::plain(width, height, 128);
        for number in 0..90 {
            let largest = (width / (2 + number / 8)).max(12) as u64;
            let (w, h) = (8 + random.below(largest) as i32, 8 + random.below(largest) as i32);
            let x = random.below(width as u64) as i32 - w / 2;
            let y = random.below(height as u64) as i32 - h / 2;
            let (grey, slope) = (random.below(256) as i32, random.below(7) as i32 - 3);
            let round = random.below(2) == 0;
            scene.draw(move |px, py| {
                let (dx, dy) = (px - x, py - y);
                let inside = (0..w).contains(&dx) && (0..h).contains(&dy);
                let from_middle = |d: i32, side: i32| (2 * d - side) as f32 / side as f32;
                let bulge = from_middle(dx, w).hypot(from_middle(dy, h)) <= 1.0;
                (inside && (!round || bulge)).then(|| grey + slope * (dx + dy) / 8)
            });
        }
        for byte in &mut scene.bytes {
            *byte = byte.saturating_add(random.below(7) as u8);
        }
        scene
    }

    fn draw(&mut self, colour: impl Fn(i32, i32) -> Option<i32>) {
        for y in 0..self.height {
            for x in 0..self.width {
                if let Some(grey) = colour(x as i32, y as i32) {
                    self.bytes[y * self.width + x] = grey.clamp(0, 248) as u8;
                }
            }
        }
    }

    pub(crate) fn pixels(&self) -> Pixels<'_> {
        Pixels::new(self.width as u32, self.height as u32, Layout::Grey, &self.bytes).unwrap()
    }

    /// A picture of another size, whose pixels come from places in this one; grey where those are outside.
    pub(crate) fn mapped(
        &self,
        (width, height): (usize, usize),
        from: impl Fn(f32, f32) -> (f32, f32),
    ) -> Self {
        let mut out = Self::plain(width, height, 30);
        for y in 0..height {
            for x in 0..width {
                let (u, v) = from(x as f32 + 0.5, y as f32 + 0.5);
                if u >= 0.0 && v >= 0.0 && (u as usize) < self.width && (v as usize) < self.height {
                    out.bytes[y * width + x] = self.bytes[v as usize * self.width + u as usize];
                }
            }
        }
        out
    }

    pub(crate) fn cropped(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        self.mapped((width, height), |x, y| (x + left as f32, y + top as f32))
    }

    pub(crate) fn mirrored(&self) -> Self {
        self.mapped((self.width, self.height), |x, y| (self.width as f32 - x, y))
    }

    /// Turned around its middle, and scaled.
    pub(crate) fn turned(&self, degrees: f32, scale: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (mx, my) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        self.mapped((self.width, self.height), |x, y| {
            let (x, y) = ((x - mx) / scale, (y - my) / scale);
            (mx + cos * x - sin * y, my + sin * x + cos * y)
        })
    }

    /// With another picture put onto it.
    pub(crate) fn with(&self, other: &Self, left: usize, top: usize) -> Self {
        let mut out = self.clone();
        for y in 0..other.height.min(self.height - top) {
            for x in 0..other.width.min(self.width - left) {
                out.bytes[(top + y) * self.width + left + x] = other.bytes[y * other.width + x];
            }
        }
        out
    }

    /// A slope of grey, with nothing on it.
    pub(crate) fn slope(width: usize, height: usize, (right, down): (f32, f32)) -> Self {
        let mut scene = Self::plain(width, height, 0);
        scene.draw(|x, y| Some((70.0 + right * x as f32 + down * y as f32) as i32));
        scene
    }

    /// With lines of letters all over its width, white with a black edge; the same lot writes the same.
    pub(crate) fn written(&self, lot: u64, tops: &[usize], pen: usize) -> Self {
        let mut out = self.clone();
        let mut random = Random(lot.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for top in tops {
            for left in (pen..self.width - 7 * pen).step_by(7 * pen) {
                let strokes: Vec<(usize, usize)> = (0..35)
                    .filter(|_| random.below(100) < 55)
                    .map(|cell| (left + cell % 5 * pen, top + cell / 5 * pen))
                    .collect();
                for (grey, edge) in [(0, 2), (255, 0)] {
                    for (x, y) in &strokes {
                        out.fill((x - edge, y - edge), pen + 2 * edge, grey);
                    }
                }
            }
        }
        out
    }

    /// With lines of letters of thin strokes, white with a black edge, as a font has them; the same lot writes the same.
    pub(crate) fn lettered(&self, lot: u64, tops: &[usize], pen: usize) -> Self {
        let mut out = self.clone();
        let mut random = Random(lot.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Seven strokes of five pens: three lie, four stand.
        let lying = [0, 4, 8].map(|down| (0, down, 5, 1));
        let standing = [(0, 0), (4, 0), (0, 4), (4, 4)].map(|(right, down)| (right, down, 1, 5));
        for top in tops {
            for left in (pen..self.width - 7 * pen).step_by(7 * pen) {
                let all = lying.into_iter().chain(standing);
                let strokes: Vec<_> = all.filter(|_| random.below(100) < 70).collect();
                for (grey, edge) in [(0, 2), (255, 0)] {
                    for (right, down, wide, high) in &strokes {
                        for step in 0..wide * high {
                            let (x, y) = (right + step % wide, down + step / wide);
                            let at = (left + x * pen - edge, top + y * pen - edge);
                            out.fill(at, pen + 2 * edge, grey);
                        }
                    }
                }
            }
        }
        out
    }

    fn fill(&mut self, (left, top): (usize, usize), side: usize, grey: u8) {
        for y in top..(top + side).min(self.height) {
            let row = y * self.width;
            self.bytes[row + left..row + (left + side).min(self.width)].fill(grey);
        }
    }

    /// The picture as a BMP file of 24 bits.
    pub(crate) fn bmp(&self) -> Vec<u8> {
        let row = (self.width * 3).next_multiple_of(4);
        let size = (54 + row * self.height) as u32;
        let mut file = b"BM".to_vec();
        for word in [size, 0, 54, 40, self.width as u32, self.height as u32, 0x0018_0001] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0; 24]);
        for y in (0..self.height).rev() {
            let grey = &self.bytes[y * self.width..(y + 1) * self.width];
            file.extend(grey.iter().flat_map(|grey| [*grey; 3]));
            file.resize(file.len() + row - self.width * 3, 0);
        }
        file
    }
}
