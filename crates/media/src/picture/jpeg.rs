//! Walks the markers of a JPEG file, because its decoder fills what is missing with grey.
//!
//! Source: ITU-T T.81, annex B.

use super::PictureError;

/// The most scans that a progressive picture may have; real ones have about ten, and each costs a
/// pass over the whole picture.
const MAX_SCANS: usize = 100;

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// Markers that stand alone: start of image, restarts, and the temporary one.
fn has_length(marker: u8) -> bool {
    !matches!(marker, 0x01 | 0xd0..=0xd8)
}

/// Checks that the file goes on to its end marker and has a sane number of scans.
///
/// What follows the end marker is not looked at: cameras put previews and videos there.
pub(super) fn check_complete(bytes: &[u8]) -> Result<(), PictureError> {
    let mut rest = bytes;
    let mut scans = 0;
    loop {
        let (marker, behind) = next_marker(rest).ok_or(PictureError::Truncated)?;
        rest = behind;
        if marker == END_OF_IMAGE {
            break;
        }
        if marker == START_OF_SCAN {
            scans += 1;
        }
        if scans > MAX_SCANS {
            return Err(PictureError::TooLarge(format!("more than {MAX_SCANS} scans")));
        }
        if has_length(marker) {
            rest = skip_segment(rest).ok_or(PictureError::Truncated)?;
        }
    }
    if scans == 0 {
        return Err(PictureError::Malformed("no scan before the end marker".into()));
    }
    Ok(())
}

/// The next marker and what follows it. Coded data is skipped: in it, ff is followed by 00.
fn next_marker(mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let at = bytes.iter().position(|byte| *byte == 0xff)?;
        bytes = bytes.get(at + 1..)?;
        let (marker, behind) = bytes.split_first()?;
        // Any number of ff may come before a marker.
        if *marker != 0xff {
            bytes = behind;
        }
        if !matches!(*marker, 0x00 | 0xff) {
            return Some((*marker, behind));
        }
    }
}

/// What follows a segment: its first two bytes are its length, themselves included.
fn skip_segment(bytes: &[u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes(*bytes.first_chunk()?);
    bytes.get(usize::from(length.max(2))..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &[u8] = &[
        0xff, 0xd8, // start
        0xff, 0xe1, 0, 6, 0xff, 0xd9, 0xff, 0xd9, // a preview with an end marker of its own
        0xff, 0xda, 0, 2, 1, 2, 0xff, 0x00, 0xff, 0xd0, 3, // a scan with a restart
        0xff, 0xff, 0xd9, // end
    ];

    #[test]
    fn a_file_without_its_end_is_truncated_wherever_it_is_cut() {
        assert_eq!(check_complete(TINY), Ok(()));
        for cut in 0..TINY.len() {
            assert_eq!(check_complete(&TINY[..cut]), Err(PictureError::Truncated), "{cut}");
        }
    }

    #[test]
    fn a_picture_of_endless_scans_is_refused() {
        let mut bytes = vec![0xff, 0xd8];
        for _ in 0..200 {
            bytes.extend([0xff, 0xda, 0, 2, 7]);
        }
        bytes.extend([0xff, 0xd9]);
        assert!(matches!(check_complete(&bytes), Err(PictureError::TooLarge(_))));
    }
}
