//! Sines in whole numbers, so that every machine turns a descriptor the same way.

/// Sines of a quarter turn in steps of 1/256 turn, times 2¹⁴.
#[rustfmt::skip]
const QUARTER: [i32; 65] = [
    0, 402, 804, 1205, 1606, 2006, 2404, 2801, 3196, 3590, 3981, 4370, 4756,
    5139, 5520, 5897, 6270, 6639, 7005, 7366, 7723, 8076, 8423, 8765, 9102, 9434,
    9760, 10080, 10394, 10702, 11003, 11297, 11585, 11866, 12140, 12406, 12665, 12916, 13160,
    13395, 13623, 13842, 14053, 14256, 14449, 14635, 14811, 14978, 15137, 15286, 15426, 15557,
    15679, 15791, 15893, 15986, 16069, 16143, 16207, 16261, 16305, 16340, 16364, 16379, 16384,
];

/// Sine times 2¹⁴.
pub(super) fn sine(angle: u8) -> i32 {
    let within = usize::from(angle & 63);
    match angle >> 6 {
        0 => QUARTER[within],
        1 => QUARTER[64 - within],
        2 => -QUARTER[within],
        _ => -QUARTER[64 - within],
    }
}

/// Cosine times 2¹⁴.
pub(super) fn cosine(angle: u8) -> i32 {
    sine(angle.wrapping_add(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_those_of_the_real_sine() {
        for angle in 0..=255_u8 {
            let turn = f64::from(angle) * std::f64::consts::TAU / 256.0;
            assert!((f64::from(sine(angle)) / 16384.0 - turn.sin()).abs() < 1e-4);
            assert!((f64::from(cosine(angle)) / 16384.0 - turn.cos()).abs() < 1e-4);
        }
    }
}
