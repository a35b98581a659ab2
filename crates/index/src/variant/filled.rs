//! Takes out of a laid picture what is not the reference's, and fills the gaps from what is around them.
//!
//! A hash is of a whole picture: a sticker on a quarter of a copy changes it as much as another picture does. Where
//! blocks say that something else is shown, nothing is known of the reference; what is smooth there adds least to the
//! frequencies that a hash is made of.

use watchfire_signal::pdq::frequencies::{SIDE, Small};

/// How often each cell of a gap becomes the mean of its neighbours: a few sides of the widest gap.
const ROUNDS: usize = 300;

/// Which cells of a laid picture show the reference.
pub(super) struct Shown([[bool; SIDE]; SIDE]);

impl Shown {
    pub(super) fn of(is_shown: impl Fn(usize, usize) -> bool) -> Self {
        Self(std::array::from_fn(|row| std::array::from_fn(|column| is_shown(column, row))))
    }

    /// Whether that is two thirds of them: the slot of a picture in the screen of an app is more than the rest.
    pub(super) fn is_most(&self) -> bool {
        let shown = self.0.as_flattened().iter().filter(|shown| **shown).count();
        shown * 3 >= SIDE * SIDE * 2
    }

    /// The cells that are shown, and between them no edge: each other cell is the mean of those beside it.
    pub(super) fn fill(&self, mut cells: Small) -> Small {
        let shown = || self.0.as_flattened().iter().zip(cells.as_flattened());
        let count = shown().filter(|(shown, _)| **shown).count().max(1);
        let sum: f32 = shown().filter(|(shown, _)| **shown).map(|(_, cell)| cell).sum();
        let gaps: Vec<(usize, usize)> = (0..SIDE * SIDE)
            .map(|at| (at % SIDE, at / SIDE))
            .filter(|(column, row)| !self.0[*row][*column])
            .collect();
        gaps.iter().for_each(|(column, row)| cells[*row][*column] = sum / count as f32);
        for _ in 0..ROUNDS {
            for (column, row) in &gaps {
                let (column, row) = (*column, *row);
                let (right, below) = ((column + 1).min(SIDE - 1), (row + 1).min(SIDE - 1));
                let beside = cells[row][column.saturating_sub(1)] + cells[row][right];
                let around = beside + cells[row.saturating_sub(1)][column] + cells[below][column];
                cells[row][column] = around / 4.0;
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brighter from left to right.
    fn slope() -> Small {
        [std::array::from_fn(|column| column as f32); SIDE]
    }

    #[test]
    fn a_gap_takes_what_is_around_it() {
        let mut cells = slope();
        let is_shown = |column: usize, row: usize| !((20..30).contains(&column) && row > 40);
        let shown = Shown::of(is_shown);
        (41..SIDE).for_each(|row| cells[row][20..30].fill(255.0));
        let filled = shown.fill(cells);
        for (row, line) in filled.iter().enumerate() {
            for (column, cell) in line.iter().enumerate() {
                assert!((cell - column as f32).abs() < 1.0, "{column} {row} {cell}");
            }
        }
    }

    #[test]
    fn what_is_shown_stays_as_it_is() {
        let shown = Shown::of(|column, _| column % 2 == 0);
        let filled = shown.fill(slope());
        assert!(filled.iter().all(|line| line[20] == 20.0 && (line[21] - 21.0).abs() < 0.1));
        let nothing = Shown::of(|_, _| false).fill(slope());
        assert!(nothing.as_flattened().iter().all(|cell| *cell == 0.0));
    }

    #[test]
    fn two_thirds_of_the_cells_are_enough() {
        let of = |columns| Shown::of(move |column, _| column < columns).is_most();
        assert!(of(43) && !of(42));
    }
}
