//! Affine transforms of the plane: where a place of one picture lies in another.

/// The most by which a transform may stretch one direction more than another: pictures are cropped,
/// turned and scaled, and squeezed a little.
const MAX_STRETCH: f32 = 2.0;

/// The least and the greatest scale: beyond it no descriptor is met again.
const SCALES: (f32, f32) = (0.1, 10.0);

/// A place and where it went.
type Moved = ((f32, f32), (f32, f32));

/// A transform as two rows of three numbers: `x' = x[0]·x + x[1]·y + x[2]`, and so `y'`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// The row of the new x.
    pub x: [f32; 3],
    /// The row of the new y.
    pub y: [f32; 3],
}

impl Transform {
    /// Everything stays where it is.
    pub(super) const IDENTITY: Self = Self { x: [1.0, 0.0, 0.0], y: [0.0, 1.0, 0.0] };

    /// Where a place goes.
    #[must_use]
    pub fn apply(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (self.x[0] * x + self.x[1] * y + self.x[2], self.y[0] * x + self.y[1] * y + self.y[2])
    }

    /// How much larger an area becomes; negative where it is mirrored.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.x[0] * self.y[1] - self.x[1] * self.y[0]
    }

    /// The transform back; `None` where everything falls on a line.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let area = self.area();
        if area.abs() < 1e-6 {
            return None;
        }
        let (a, b) = (self.y[1] / area, -self.x[1] / area);
        let (c, d) = (-self.y[0] / area, self.x[0] / area);
        Some(Self {
            x: [a, b, -a * self.x[2] - b * self.y[2]],
            y: [c, d, -c * self.x[2] - d * self.y[2]],
        })
    }

    /// This transform of the picture mirrored left to right, for the picture as it is.
    #[must_use]
    pub fn of_mirrored(&self, width: f32) -> Self {
        let row = |[a, b, c]: [f32; 3]| [-a, b, c + a * width];
        Self { x: row(self.x), y: row(self.y) }
    }

    /// The affine transform with the least squared error; a similarity where places are too few or too
    /// much on a line for it. `None` where it is none that a picture goes through.
    pub(crate) fn fitted(places: &[Moved]) -> Option<Self> {
        let affine = (places.len() >= 6).then(|| affine(places)).flatten();
        affine.filter(Self::is_sound).or_else(|| similar(places)).filter(Self::is_sound)
    }

    /// Whether it neither mirrors nor squeezes nor scales too much.
    fn is_sound(&self) -> bool {
        let area = self.area();
        let all = self.x[0].powi(2) + self.x[1].powi(2) + self.y[0].powi(2) + self.y[1].powi(2);
        // With singular values s and t: area = s t, all = s² + t².
        area > SCALES.0 * SCALES.0
            && area < SCALES.1 * SCALES.1
            && all <= area * (MAX_STRETCH + 1.0 / MAX_STRETCH)
    }
}

fn means(places: &[Moved]) -> [f64; 4] {
    let sum = |of: fn(&Moved) -> f32| -> f64 {
        places.iter().map(|place| f64::from(of(place))).sum::<f64>() / places.len() as f64
    };
    [sum(|p| p.0.0), sum(|p| p.0.1), sum(|p| p.1.0), sum(|p| p.1.1)]
}

fn affine(places: &[Moved]) -> Option<Transform> {
    let [mx, my, mu, mv] = means(places);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    let mut to = [[0.0_f64; 2]; 2];
    for ((x, y), (u, v)) in places {
        let (x, y) = (f64::from(*x) - mx, f64::from(*y) - my);
        xx += x * x;
        xy += x * y;
        yy += y * y;
        for (row, value) in to.iter_mut().zip([f64::from(*u) - mu, f64::from(*v) - mv]) {
            row[0] += x * value;
            row[1] += y * value;
        }
    }
    let determinant = xx * yy - xy * xy;
    // Places on a line leave the direction across it open.
    if determinant < 0.01 * (xx + yy) * (xx + yy) {
        return None;
    }
    let row = |[tx, ty]: [f64; 2], mean: f64| {
        let (a, b) = ((tx * yy - ty * xy) / determinant, (ty * xx - tx * xy) / determinant);
        [a as f32, b as f32, (mean - a * mx - b * my) as f32]
    };
    Some(Transform { x: row(to[0], mu), y: row(to[1], mv) })
}

fn similar(places: &[Moved]) -> Option<Transform> {
    let [mx, my, mu, mv] = means(places);
    let (mut dot, mut cross, mut all) = (0.0, 0.0, 0.0);
    for ((x, y), (u, v)) in places {
        let (x, y) = (f64::from(*x) - mx, f64::from(*y) - my);
        let (u, v) = (f64::from(*u) - mu, f64::from(*v) - mv);
        dot += x * u + y * v;
        cross += x * v - y * u;
        all += x * x + y * y;
    }
    if all < 1.0 {
        return None;
    }
    let (cos, sin) = (dot / all, cross / all);
    Some(Transform {
        x: [cos as f32, -sin as f32, (mu - cos * mx + sin * my) as f32],
        y: [sin as f32, cos as f32, (mv - sin * mx - cos * my) as f32],
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHEAR: Transform = Transform { x: [0.9, 0.1, 12.0], y: [-0.2, 1.1, -7.0] };

    fn near(a: (f32, f32), b: (f32, f32)) -> bool {
        (a.0 - b.0).abs() < 1e-2 && (a.1 - b.1).abs() < 1e-2
    }

    #[test]
    fn the_inverse_leads_back() {
        let back = SHEAR.inverse().unwrap();
        assert!(near(back.apply(SHEAR.apply((31.0, 57.0))), (31.0, 57.0)));
        assert!(Transform { x: [1.0, 2.0, 0.0], y: [2.0, 4.0, 0.0] }.inverse().is_none());
    }

    #[test]
    fn a_fit_finds_the_transform_that_places_went_through() {
        let places =
            [(0.0, 0.0), (90.0, 10.0), (40.0, 80.0), (70.0, 70.0), (5.0, 60.0), (50.0, 3.0)];
        let moved: Vec<_> = places.iter().map(|place| (*place, SHEAR.apply(*place))).collect();
        let fitted = Transform::fitted(&moved).unwrap();
        assert!(near(fitted.apply((123.0, 45.0)), SHEAR.apply((123.0, 45.0))));
    }

    #[test]
    fn places_on_a_line_give_a_similarity() {
        let moved: Vec<_> = (0..9).map(|i| ((i as f32, 0.0), (5.0, 2.0 * i as f32))).collect();
        let fitted = Transform::fitted(&moved).unwrap();
        assert!(near(fitted.apply((0.0, 1.0)), (3.0, 0.0)));
    }

    #[test]
    fn a_mirrored_place_goes_where_the_place_went() {
        let mirrored = SHEAR.of_mirrored(100.0);
        assert!(near(mirrored.apply((30.0, 8.0)), SHEAR.apply((70.0, 8.0))));
    }
}
