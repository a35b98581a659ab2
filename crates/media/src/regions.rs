//! Finds what a picture is mounted in: uniform borders, and straight-edged rectangles that hold a picture of their own.
//!
//! What is inside is hashed too, so that a letterbox, a frame, a screenshot or a picture in a picture does
//! not hide what it shows. A rectangle too many costs a look-up and nothing else.
//! **Invariant:** a rectangle lies inside of its picture, and there are at most [`MAX_PARTS`].

mod lines;

use watchfire_signal::features::{Grey, MAX_PARTS};

use crate::{
    grey,
    pdq::{Layout, Pixels},
};
use lines::Steps;

/// The longest side at which edges are looked for, in pixels.
const LONGEST: usize = 512;

/// The share of a line that may differ from the colour of a border: specks, a logo in a corner.
const SPECKS: f32 = 0.02;

/// How far luminance of a border may be from its median: what compression leaves of one colour.
const BORDER_SLACK: u8 = 10;

/// One in so many pixels of a side is the thinnest border.
const THIN: usize = 100;

/// What an edge of the whole picture counts as; steps are counted in three lines, so no other has as much.
const WHOLE: f32 = lines::WHOLE;

/// How far the median of a line of a border may be from that of the first.
const COLOUR_SLACK: u8 = 3;

/// The least share of each edge of a rectangle that steps in luminance, and of all four together.
const LEAST_EDGE: f32 = 0.45;
const LEAST_EDGES: f32 = 0.7;

/// Steps of luminance within a cell that is flat.
const FLAT: u8 = 3;

/// The least and greatest area of a rectangle, as a share of the picture.
const AREAS: (f32, f32) = (0.06, 0.97);

/// The least side of a rectangle, in pixels at which edges are looked for.
const LEAST_SIDE: usize = 64;

/// A part of a picture, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rectangle {
    /// The first column.
    pub left: u32,
    /// The first row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Pixels of a part, copied.
pub struct Part {
    width: u32,
    height: u32,
    layout: Layout,
    bytes: Vec<u8>,
}

impl Part {
    /// The pixels.
    #[must_use]
    pub fn pixels(&self) -> Pixels<'_> {
        let Self { width, height, layout, ref bytes } = *self;
        Pixels { width, height, layout, bytes }
    }

    /// Their bytes, row by row.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Copies a part of a picture; what lies outside of it is left out.
#[must_use]
pub fn cut(pixels: Pixels<'_>, rectangle: Rectangle) -> Part {
    let left = rectangle.left.min(pixels.width);
    let top = rectangle.top.min(pixels.height);
    let width = rectangle.width.min(pixels.width - left);
    let height = rectangle.height.min(pixels.height - top);
    let pixel = pixels.layout.bytes();
    let row = |y: u32| {
        let start = (y as usize * pixels.width as usize + left as usize) * pixel;
        &pixels.bytes[start..start + width as usize * pixel]
    };
    let mut bytes = Vec::with_capacity(width as usize * height as usize * pixel);
    (top..top + height).for_each(|y| bytes.extend_from_slice(row(y)));
    Part { width, height, layout: pixels.layout, bytes }
}

/// What is inside of borders and edges, without the whole picture: inside of a uniform border first, then
/// rectangles, those with the clearest edges first.
#[must_use]
pub fn content(pixels: Pixels<'_>) -> Vec<Rectangle> {
    if pixels.width.min(pixels.height) < LEAST_SIDE as u32 {
        return Vec::new();
    }
    let longest = LONGEST.min(pixels.width.max(pixels.height) as usize);
    let grey = grey::working(pixels, longest);
    let mut found = Vec::new();
    let inner = inside_border(&grey);
    if inner.is_some_and(|inner| inner.is_part_of(&grey)) {
        found.extend(inner);
    }
    for candidate in rectangles(&grey) {
        if found.len() < MAX_PARTS && found.iter().all(|other| !candidate.is_like(other)) {
            found.push(candidate);
        }
    }
    found.iter().map(|inner| inner.in_pixels(pixels, &grey)).collect()
}

/// What of a picture is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// All of it.
    Whole,
    /// What a border or the screen of an app holds.
    Part(Rectangle),
    /// It is the screen of an app, but what of it the app has drawn is not plain to see.
    Unclear,
}

/// What a reference is known by. The whole of a screenshot is never used, as every screenshot of the app
/// looks like it.
#[must_use]
pub fn subject(pixels: Pixels<'_>) -> Subject {
    let longest = LONGEST.min(pixels.width.max(pixels.height) as usize);
    if pixels.width.min(pixels.height) < LEAST_SIDE as u32 {
        return Subject::Whole;
    }
    let grey = grey::working(pixels, longest);
    let (columns, rows) = (Steps::of_columns(&grey), Steps::of_rows(&grey));
    let clear = |inner: &Inner| {
        let Inner { left, top, right, bottom } = *inner;
        rows.is_clear(top, left, right)
            && rows.is_clear(bottom, left, right)
            && columns.is_clear(left, top, bottom)
            && columns.is_clear(right, top, bottom)
    };
    let across = |inner: &Inner| {
        let Inner { left, top, right, bottom } = *inner;
        let wide = left == 0 && right == grey.width && top > 0 && bottom < grey.height;
        wide || (top == 0 && bottom == grey.height && left > 0 && right < grey.width)
    };
    let border = inside_border(&grey).filter(|inner| inner.is_part_of(&grey) && clear(inner));
    if let Some(inner) = border {
        return Subject::Part(inner.in_pixels(pixels, &grey));
    }
    let found = rectangles(&grey).into_iter().filter(|inner| across(inner) && clear(inner));
    match found.map(|inner| (texture(&grey, &inner), inner)).max_by_key(|(texture, _)| *texture) {
        None => Subject::Whole,
        Some((1.., inner)) => Subject::Part(inner.in_pixels(pixels, &grey)),
        Some(_) => Subject::Unclear,
    }
}

/// A rectangle of the small picture: first column and row, and those after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inner {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Inner {
    fn area(&self) -> f32 {
        (self.right - self.left) as f32 * (self.bottom - self.top) as f32
    }

    fn is_some(&self) -> bool {
        self.left < self.right && self.top < self.bottom
    }

    fn is_part_of(&self, grey: &Grey) -> bool {
        let share = self.area() / (grey.width * grey.height) as f32;
        let side = (self.right - self.left).min(self.bottom - self.top);
        side >= LEAST_SIDE && (AREAS.0..AREAS.1).contains(&share)
    }

    /// Whether both are nearly the same: edges within two pixels of one another.
    fn is_like(&self, other: &Self) -> bool {
        let sides = |inner: &Self| [inner.left, inner.top, inner.right, inner.bottom];
        sides(self).iter().zip(sides(other)).all(|(a, b)| a.abs_diff(b) <= 2)
    }

    fn in_pixels(self, pixels: Pixels<'_>, grey: &Grey) -> Rectangle {
        let scaled = |at: usize, to: u32, of: usize| {
            // Both sides are below 2¹⁶, and the result is at most `to`.
            ((at as u64 * u64::from(to) + of as u64 / 2) / of as u64) as u32
        };
        let left = scaled(self.left, pixels.width, grey.width);
        let top = scaled(self.top, pixels.height, grey.height);
        Rectangle {
            left,
            top,
            width: scaled(self.right, pixels.width, grey.width) - left,
            height: scaled(self.bottom, pixels.height, grey.height) - top,
        }
    }
}

/// How many more cells with texture than without are inside: a picture has it nearly everywhere, what an
/// app draws around it hardly anywhere.
fn texture(grey: &Grey, inner: &Inner) -> i64 {
    let mut more = 0;
    for y in (inner.top..inner.bottom.saturating_sub(8)).step_by(8) {
        for x in (inner.left..inner.right.saturating_sub(8)).step_by(8) {
            let cell =
                (y..y + 8).flat_map(|y| &grey.bytes[y * grey.width + x..y * grey.width + x + 8]);
            let (least, most) = cell
                .fold((u8::MAX, 0), |(least, most), value| (least.min(*value), most.max(*value)));
            more += if most - least > FLAT { 1 } else { -1 };
        }
    }
    more
}

/// What is left when rows and columns of one colour are taken off all sides; `None` if nothing is.
fn inside_border(grey: &Grey) -> Option<Inner> {
    let mut inner = Inner { left: 0, top: 0, right: grey.width, bottom: grey.height };
    let row = |inner: &Inner, y: usize| -> Vec<u8> {
        grey.bytes[y * grey.width + inner.left..y * grey.width + inner.right].to_vec()
    };
    let column = |inner: &Inner, x: usize| -> Vec<u8> {
        (inner.top..inner.bottom).map(|y| grey.bytes[y * grey.width + x]).collect()
    };
    let first = [row(&inner, 0), row(&inner, grey.height - 1)].map(middle);
    let sides = [column(&inner, 0), column(&inner, grey.width - 1)].map(middle);
    // Twice, as columns are uniform only once the rows above and below are off.
    for _ in 0..2 {
        while inner.is_some() && is_of(row(&inner, inner.top), first[0]) {
            inner.top += 1;
        }
        while inner.is_some() && is_of(row(&inner, inner.bottom - 1), first[1]) {
            inner.bottom -= 1;
        }
        while inner.is_some() && is_of(column(&inner, inner.left), sides[0]) {
            inner.left += 1;
        }
        while inner.is_some() && is_of(column(&inner, inner.right - 1), sides[1]) {
            inner.right -= 1;
        }
    }
    // A row or two of one colour at the edge of a picture are no border.
    let whole = |taken: usize, side: usize| taken * THIN <= side;
    if whole(inner.left, grey.width) {
        inner.left = 0;
    }
    if whole(inner.top, grey.height) {
        inner.top = 0;
    }
    if whole(grey.width - inner.right, grey.width) {
        inner.right = grey.width;
    }
    if whole(grey.height - inner.bottom, grey.height) {
        inner.bottom = grey.height;
    }
    inner.is_some().then_some(inner)
}

/// The middle value of a line, which has at least one.
fn middle(mut line: Vec<u8>) -> u8 {
    let half = line.len() / 2;
    *line.select_nth_unstable(half).1
}

/// Whether a line is of one colour, the one that the border begins with: rows of a sky are of one each, but
/// not of the same.
fn is_of(line: Vec<u8>, colour: u8) -> bool {
    let specks = line.iter().filter(|value| value.abs_diff(colour) > BORDER_SLACK).count();
    let few = specks as f32 <= SPECKS * line.len() as f32;
    few && middle(line).abs_diff(colour) <= COLOUR_SLACK
}

/// Rectangles whose edges step in luminance, the clearest first.
fn rectangles(grey: &Grey) -> Vec<Inner> {
    let (columns, rows) = (Steps::of_columns(grey), Steps::of_rows(grey));
    let (across, down) = (sorted(columns.lines()), sorted(rows.lines()));
    let mut found: Vec<(f32, Inner)> = Vec::new();
    for (place, &left) in across.iter().enumerate() {
        for &right in &across[place + 1..] {
            if right - left < LEAST_SIDE {
                continue;
            }
            for (place, &top) in down.iter().enumerate() {
                let up = rows.support(top, left, right);
                if up < LEAST_EDGE {
                    continue;
                }
                for &bottom in &down[place + 1..] {
                    let inner = Inner { left, top, right, bottom };
                    if !inner.is_part_of(grey) {
                        continue;
                    }
                    let edges = [
                        up,
                        rows.support(bottom, left, right),
                        columns.support(left, top, bottom),
                        columns.support(right, top, bottom),
                    ];
                    let size = (inner.area() / (grey.width * grey.height) as f32).sqrt();
                    found.extend(worth(edges).map(|worth| (worth * size, inner)));
                }
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, inner)| inner).collect()
}

/// How clear four edges are; `None` where one of them is not. Edges of the whole picture, which are those
/// with all of it, add nothing.
fn worth(edges: [f32; 4]) -> Option<f32> {
    let least = edges.iter().copied().fold(f32::INFINITY, f32::min);
    let mean = edges.iter().map(|edge| edge.min(1.0)).sum::<f32>() / 4.0;
    let inner = edges.iter().filter(|edge| **edge < WHOLE);
    let clear = inner.map(|edge| edge.min(1.0) - LEAST_EDGE).sum();
    (least >= LEAST_EDGE && mean >= LEAST_EDGES).then_some(clear)
}

fn sorted(mut lines: Vec<usize>) -> Vec<usize> {
    lines.sort_unstable();
    lines
}
