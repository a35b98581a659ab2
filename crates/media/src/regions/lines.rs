//! Straight edges along rows and columns, as the edges of a picture in a picture are.

use watchfire_signal::features::Grey;

/// The least step of luminance across an edge.
const LEAST_STEP: i32 = 10;

/// The least share of a side that a line takes, as one in so many.
const LEAST_SHARE: usize = 6;

/// The most lines of a direction, edges of the picture apart.
const MAX_LINES: usize = 18;

/// The least share of an edge that steps where a picture is plainly mounted.
const CLEAR_EDGE: f32 = 0.75;

/// The most that lines beside an edge may step, as a share of the edge.
const BESIDE: f32 = 0.7;

/// The support of an edge of the whole picture: more than three lines can have.
pub(super) const WHOLE: f32 = 4.0;

/// Where luminance steps between neighbouring pixels of a direction.
pub(super) struct Steps {
    /// Lines across the direction.
    pub(super) across: usize,
    /// Pixels of a line.
    along: usize,
    /// For each line the number of steps before each of its pixels; one more than pixels.
    before: Vec<u32>,
}

impl Steps {
    /// Steps from left to right; lines are columns.
    pub(super) fn of_columns(grey: &Grey) -> Self {
        Self::of(grey.width, grey.height, |x, y| i32::from(grey.bytes[y * grey.width + x]))
    }

    /// Steps from above; lines are rows.
    pub(super) fn of_rows(grey: &Grey) -> Self {
        Self::of(grey.height, grey.width, |y, x| i32::from(grey.bytes[y * grey.width + x]))
    }

    fn of(across: usize, along: usize, at: impl Fn(usize, usize) -> i32) -> Self {
        let step = |line: usize, place: usize| {
            if line == 0 || line >= across {
                0
            } else {
                (at(line, place) - at(line - 1, place)).abs()
            }
        };
        let mut before = Vec::with_capacity(across * (along + 1));
        for line in 0..across {
            let mut count = 0;
            before.push(0);
            for place in 0..along {
                let here = step(line, place);
                // The sharpest of three, so that a soft edge is one line.
                let sharpest =
                    here >= step(line.saturating_sub(1), place) && here >= step(line + 1, place);
                let hit = here >= LEAST_STEP && sharpest;
                count += u32::from(hit);
                before.push(count);
            }
        }
        Self { across, along, before }
    }

    /// The lines with the most steps, the edges of the picture first.
    pub(super) fn lines(&self) -> Vec<usize> {
        let mut lines: Vec<(u32, usize)> = (1..self.across)
            .map(|line| (self.steps(line) + self.steps(line - 1).max(self.steps(line + 1)), line))
            .filter(|(steps, _)| *steps as usize * LEAST_SHARE >= self.along)
            .collect();
        lines.sort_by_key(|(steps, line)| (std::cmp::Reverse(*steps), *line));
        let mut chosen = vec![0, self.across];
        for (_, line) in lines {
            if chosen.len() == MAX_LINES + 2 {
                break;
            }
            // A soft edge is found two or three times.
            if chosen.iter().all(|other| other.abs_diff(line) > 1) {
                chosen.push(line);
            }
        }
        chosen
    }

    /// Steps of a whole line.
    fn steps(&self, line: usize) -> u32 {
        self.before.get(line * (self.along + 1) + self.along).copied().unwrap_or_default()
    }

    /// The share of a part of a line that has steps, with those of its neighbours; all of it at the edge
    /// of the picture.
    pub(super) fn support(&self, line: usize, from: usize, to: usize) -> f32 {
        if line == 0 || line >= self.across {
            return WHOLE;
        }
        let count = |line: usize| {
            let row = line * (self.along + 1);
            self.before[row + to] - self.before[row + from]
        };
        let neighbours = [line - 1, line, line + 1].into_iter().filter(|line| *line < self.across);
        neighbours.map(count).sum::<u32>() as f32 / (to - from).max(1) as f32
    }

    /// Whether a part of a line is an edge and not a texture: it steps, and lines a little beside it
    /// hardly do.
    pub(super) fn is_clear(&self, line: usize, from: usize, to: usize) -> bool {
        if line == 0 || line >= self.across {
            return true;
        }
        let beside = [line.checked_sub(5), Some(line + 5)].into_iter().flatten();
        let inside = beside.filter(|line| (1..self.across).contains(line));
        let edge = self.support(line, from, to);
        edge >= CLEAR_EDGE
            && inside.into_iter().all(|other| self.support(other, from, to) <= edge * BESIDE)
    }
}
