//! Pictures that are cut, empty, huge or no pictures are refused with a reason.

use proptest::prelude::*;
use watchfire_media::picture::{Limits, PictureError, decode};

use crate::corpus;

fn refused(bytes: &[u8]) -> PictureError {
    decode(bytes, &Limits::default()).unwrap_err()
}

/// A picture in every format that can be written here.
fn in_every_format() -> Vec<(image::ImageFormat, Vec<u8>)> {
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let original = image::load_from_memory(&corpus::file("pdq/images/wee.jpg")).unwrap().to_rgb8();
    let write = |format| {
        let mut file = std::io::Cursor::new(Vec::new());
        original.write_to(&mut file, format).unwrap();
        (format, file.into_inner())
    };
    [Bmp, Gif, Jpeg, Png, Tiff, WebP].map(write).into()
}

#[test]
fn every_format_is_decoded() {
    for (format, bytes) in in_every_format() {
        let picture = decode(&bytes, &Limits::default()).unwrap();
        assert_eq!((picture.pixels().width(), picture.pixels().height()), (34, 42), "{format:?}");
    }
}

#[test]
fn a_picture_cut_anywhere_is_an_error() {
    for (format, bytes) in in_every_format() {
        for cut in [1, 7, bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4] {
            let error = refused(&bytes[..cut]);
            println!("{format:?} cut at {cut}: {error}");
        }
        assert_eq!(refused(&bytes[..bytes.len() / 2]), PictureError::Truncated, "{format:?}");
    }
}

#[test]
fn an_empty_file_and_a_text_are_no_pictures() {
    assert_eq!(refused(b""), PictureError::Empty);
    assert_eq!(refused(b"<html><body>not a picture</body></html>"), PictureError::NotAPicture);
    assert_eq!(refused(&corpus::file("README.md")), PictureError::NotAPicture);
}

#[test]
fn a_header_that_promises_huge_dimensions_is_refused_before_memory_is_taken() {
    // A PNG of 2,000,000,000 × 2,000,000,000 pixels, with the right checksum of its header.
    let mut png =
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\x77\x35\x94\x00\x77\x35\x94\x00\x08\x02\0\0\0".to_vec();
    png.extend(0xd442_f371_u32.to_be_bytes());
    assert!(matches!(refused(&png), PictureError::TooLarge(_)));
    // A JPEG of 128 × 128 pixels whose header says 65,500 × 65,500.
    let mut jpeg = corpus::file("pdq/images/square-128x128.jpg");
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    assert!(matches!(refused(&jpeg), PictureError::TooLarge(_)));
}

#[test]
fn limits_of_the_caller_hold() {
    let bytes = corpus::file("pdq/images/square-128x128.jpg");
    let refused = |limits| matches!(decode(&bytes, &limits), Err(PictureError::TooLarge(_)));
    assert!(refused(Limits { max_side: 127, ..Limits::default() }));
    assert!(refused(Limits { max_pixels: 128 * 128 - 1, ..Limits::default() }));
    assert!(refused(Limits { max_alloc_bytes: 1000, ..Limits::default() }));
    assert!(!refused(Limits { max_side: 128, max_pixels: 128 * 128, ..Limits::default() }));
}

/// Limits under which a mutated header cannot make a test slow.
const SMALL: Limits = Limits { max_side: 2048, max_pixels: 1 << 20, max_alloc_bytes: 16 << 20 };

proptest! {
    #[test]
    fn random_bytes_behind_any_magic_never_panic(
        magic in prop::sample::select(vec![
            &b""[..], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x20\0\0\0WEBP", b"II*\0",
            b"BM\0\0\0\0\0\0\0\0",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let file: Vec<u8> = magic.iter().copied().chain(bytes).collect();
        let _ = decode(&file, &SMALL);
    }

    #[test]
    fn a_mutated_picture_decodes_or_errs(
        which in 0_usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let (_, mut bytes) = in_every_format().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(picture) = decode(&bytes, &SMALL) {
            let _ = watchfire_media::pdq::hash(picture.pixels());
        }
    }
}
