//! Reads frames that ffmpeg writes one after another as PPM pictures: each tells its size.

use std::io::{self, BufRead, ErrorKind, Read};

use super::{Limits, VideoError};

/// The longest line of a header: two numbers of ten digits.
const MAX_LINE_BYTES: u64 = 32;

/// The size of the next frame, or `None` at the end of the stream.
pub(super) fn header(
    stream: &mut impl BufRead,
    limits: &Limits,
) -> Result<Option<(u32, u32)>, VideoError> {
    let mut line = String::new();
    next_line(stream, &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let unexpected = || io::Error::new(ErrorKind::InvalidData, "ffmpeg wrote no PPM picture");
    if line != "P6\n" {
        return Err(unexpected().into());
    }
    next_line(stream, &mut line)?;
    let (width, height) = line.trim_end().split_once(' ').ok_or_else(unexpected)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| unexpected());
    let (width, height) = (number(width)?, number(height)?);
    next_line(stream, &mut line)?;
    if line != "255\n" {
        return Err(unexpected().into());
    }
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > limits.max_side || pixels > limits.max_pixels {
        return Err(VideoError::TooLarge(format!("{width} × {height} pixels")));
    }
    Ok(Some((width, height)))
}

fn next_line(stream: &mut impl BufRead, line: &mut String) -> io::Result<()> {
    line.clear();
    stream.take(MAX_LINE_BYTES).read_line(line).map(drop)
}

/// Reads the pixels of a frame into `to`; `false` if the stream ends within it.
pub(super) fn pixels(stream: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match stream.read_exact(to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ppm_is_an_error_and_the_end_is_the_end() {
        let limits = Limits::default();
        let header = |text: &str| header(&mut text.as_bytes(), &limits);
        assert_eq!(header("P6\n7 5\n255\n...").unwrap(), Some((7, 5)));
        assert_eq!(header("").unwrap(), None);
        for bad in ["P6", "P5\n7 5\n255\n", "P6\n7\n255\n", "P6\n7 x\n255\n", "P6\n7 5\n65535\n"] {
            assert!(header(bad).is_err(), "{bad:?}");
        }
        assert!(matches!(header("P6\n9000 9000\n255\n"), Err(VideoError::TooLarge(_))));
    }
}
