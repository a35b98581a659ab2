//! Finds the part of a reference that a query shows whole: a picture in a collage, cut to fit, next to others.
//!
//! Where a picture ends, what lies beside it begins, and has nothing to do with the reference. All of these blocks
//! disagree and all of those agree, which no number of agreeing blocks alone says.

use std::cmp::Reverse;

/// Of so many blocks of a rectangle that say something one may say otherwise.
const OTHER_OF: u32 = 10;

/// What is seen in one block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Whether half of the features in it agree; `None` if there are none.
    pub(super) features: Option<bool>,
    /// Whether luminance agrees; `None` where it says nothing.
    pub(super) luminance: Option<bool>,
}

impl Seen {
    pub(super) fn is_both(&self) -> bool {
        self.features == Some(true) && self.luminance == Some(true)
    }

    fn is_held(&self) -> bool {
        self.features != Some(false) && self.luminance == Some(true)
    }

    pub(super) fn is_against(&self) -> bool {
        self.features == Some(false) || self.luminance == Some(false)
    }

    pub(super) fn is_torn(&self) -> bool {
        self.features == Some(true) && self.luminance == Some(false)
    }
}

/// What a part of a reference has of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Blocks that are held: luminance agrees, and features do not disagree.
    pub held: u32,
    /// Of these, the ones in which there are features and half of them agree.
    pub both: u32,
    /// Blocks whose features or luminance disagree.
    pub against: u32,
}

/// Blocks of one kind in a rectangle.
type Count = fn(&Part) -> u32;

/// The blocks of a reference, as sums of all that are above and to the left of each corner.
pub(super) struct Blocks {
    columns: usize,
    rows: usize,
    sums: Vec<Part>,
}

impl Blocks {
    /// Row by row.
    pub(super) fn of(blocks: &[Seen], columns: usize) -> Self {
        let mut sums = vec![Part::default(); columns + 1];
        for row in blocks.chunks_exact(columns.max(1)) {
            let mut sum = Part::default();
            sums.push(sum);
            for seen in row {
                sum = sum.with(seen);
                sums.push(sum.and(&sums[sums.len() - columns - 1]));
            }
        }
        Self { columns, rows: blocks.len() / columns.max(1), sums }
    }

    /// All of them.
    pub(super) fn whole(&self) -> Part {
        self.within((0, 0), (self.columns, self.rows))
    }

    /// The part that a query shows whole: of all rectangles that are half of the reference, the one with the most
    /// blocks that are held, if it has enough of them.
    pub(super) fn part(&self) -> Option<Part> {
        self.fullest(2, (|part| part.held, |part| part.against))
    }

    /// Whether a quarter of the reference or more is one rectangle that shows something else.
    pub(super) fn has_a_hole(&self) -> bool {
        self.fullest(4, (|part| part.against, |part| part.held)).is_some()
    }

    /// Of the rectangles that are one in so many of all blocks or more, the one with the most of what is asked for:
    /// two thirds of its blocks, and nine of ten of those that say something.
    fn fullest(&self, one_in: usize, (with, without): (Count, Count)) -> Option<Part> {
        let ranges = |side: usize| {
            (0..side).flat_map(move |from| (from + 1..=side).map(move |to| (from, to)))
        };
        let all = ranges(self.rows)
            .flat_map(|rows| ranges(self.columns).map(move |columns| (rows, columns)));
        let full = all.filter_map(|((top, bottom), (left, right))| {
            let area = (bottom - top) * (right - left);
            if area * one_in < self.rows * self.columns {
                return None;
            }
            let part = self.within((left, top), (right, bottom));
            let is_dense = with(&part) as usize * 3 >= area * 2;
            let is_whole = without(&part) * OTHER_OF <= part.held + part.against;
            (is_dense && is_whole).then_some(part)
        });
        full.max_by_key(|part| (with(part), Reverse(without(part))))
    }

    /// How many blocks of a kind are outside of the one sticker that the most of them lie in, lying or standing.
    pub(super) fn beyond(&self, (long, short): (usize, usize), count: Count) -> u32 {
        let corners = (0..self.columns).flat_map(|left| (0..self.rows).map(move |top| (left, top)));
        let inside = corners.flat_map(|(left, top)| {
            [(long, short), (short, long)].map(|(width, height)| {
                let end = ((left + width).min(self.columns), (top + height).min(self.rows));
                count(&self.within((left, top), end))
            })
        });
        count(&self.whole()) - inside.max().unwrap_or(0)
    }

    fn within(&self, (left, top): (usize, usize), (right, bottom): (usize, usize)) -> Part {
        let at = |column: usize, row: usize| &self.sums[row * (self.columns + 1) + column];
        at(right, bottom).and(at(left, top)).less(at(left, bottom)).less(at(right, top))
    }
}

impl Part {
    fn with(self, seen: &Seen) -> Self {
        Self {
            held: self.held + u32::from(seen.is_held()),
            both: self.both + u32::from(seen.is_both()),
            against: self.against + u32::from(seen.is_against()),
        }
    }

    fn and(self, other: &Self) -> Self {
        Self {
            held: self.held + other.held,
            both: self.both + other.both,
            against: self.against + other.against,
        }
    }

    fn less(self, other: &Self) -> Self {
        Self {
            held: self.held - other.held,
            both: self.both - other.both,
            against: self.against - other.against,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `#`: both agree, `h`: luminance alone, `x`: against, `.`: says nothing.
    fn blocks(rows: &[&str]) -> Blocks {
        let seen = |block| match block {
            '#' => Seen { features: Some(true), luminance: Some(true) },
            'h' => Seen { features: None, luminance: Some(true) },
            'x' => Seen { features: Some(false), luminance: Some(true) },
            _ => Seen::default(),
        };
        let seen: Vec<Seen> = rows.iter().flat_map(|row| row.chars().map(seen)).collect();
        Blocks::of(&seen, rows[0].len())
    }

    fn of(rows: &[&str]) -> Option<Part> {
        blocks(rows).part()
    }

    #[test]
    fn a_part_ends_where_what_is_beside_it_begins() {
        let found = of(&["xx####h", "xx###hh", "xx#####", "xx####x"]);
        assert_eq!(found, Some(Part { held: 19, both: 16, against: 1 }));
    }

    #[test]
    fn less_than_half_of_a_reference_is_no_part() {
        assert_eq!(of(&["xxx###", "xxx###"]), Some(Part { held: 6, both: 6, against: 0 }));
        assert_eq!(of(&["xxxx###", "xxxx###"]), None);
    }

    #[test]
    fn a_part_is_held_nearly_everywhere() {
        assert_eq!(of(&["##.", "#.#"]).map(|part| part.held), Some(4));
        assert_eq!(of(&["#..", ".#."]), None);
        assert_eq!(of(&["####", "###x"]).map(|part| part.held), Some(6));
    }

    #[test]
    fn a_hole_is_a_quarter_that_shows_something_else() {
        let has = |rows: &[&str]| blocks(rows).has_a_hole();
        assert!(has(&["####", "##xx", "##xx", "####"]));
        assert!(has(&["####", "##x.", "##xx", "####"]));
        assert!(!has(&["####", "##xx", "##hx", "####"]));
        assert!(!has(&["#####", "##xx#", "##xx#", "#####"]));
        assert!(!has(&["x#x#", "#x#x", "x#x#", "#x#x"]));
    }

    #[test]
    fn blocks_beyond_one_sticker_are_those_outside_of_any_seven_by_four() {
        let areas = |areas: &[(usize, usize, usize, usize)]| {
            let mut seen = vec![Seen::default(); 12 * 9];
            for (left, top, width, height) in areas {
                for at in 0..width * height {
                    let block = (top + at / width) * 12 + left + at % width;
                    seen[block] = Seen { features: Some(true), luminance: Some(true) };
                }
            }
            Blocks::of(&seen, 12).beyond((7, 4), |part| part.both)
        };
        assert_eq!(areas(&[]), 0);
        assert_eq!(areas(&[(2, 1, 7, 4)]), 0);
        assert_eq!(areas(&[(2, 1, 4, 7)]), 0);
        assert_eq!(areas(&[(0, 0, 10, 4)]), 12);
        assert_eq!(areas(&[(0, 0, 7, 4), (8, 6, 2, 2)]), 4);
    }

    #[test]
    fn no_blocks_have_no_part() {
        let none = Blocks::of(&[], 0);
        assert_eq!((none.part(), none.whole(), none.has_a_hole()), (None, Part::default(), false));
    }
}
