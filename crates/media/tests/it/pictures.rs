//! Pictures hash as the reference hashes them.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageDecoder, ImageFormat, ImageReader};
use image::{Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use watchfire_media::hash;
use watchfire_media::pdq::{self, Dihedral, Fingerprint};
use watchfire_media::picture::{self, Limits};
use watchfire_signal::pdq::{MIN_QUALITY, Pdq};

use crate::corpus;

/// The distance and difference of quality that another JPEG decoder may cause.
const MAX_DISTANCE: u32 = 10;
const MAX_QUALITY_DIFFERENCE: u8 = 5;
const GOOD_QUALITY: u8 = 80;
/// Bits that may differ where only the hash of the plain picture is known: still a match. Drawings of few
/// frequencies lie at the median; photographs differ by few bits.
const MAX_GUESSED_BITS: u32 = 31;
const MEAN_GUESSED_BITS: u32 = 8;
/// Bits that may differ because inverted pixels round differently.
const MAX_ROUNDING_BITS: u32 = 2;

fn fingerprint(bytes: &[u8]) -> Fingerprint {
    let picture = picture::decode(bytes, &Limits::default()).unwrap();
    pdq::hash(picture.pixels()).unwrap()
}

#[test]
fn every_published_picture_hashes_as_the_reference_does() {
    for folder in corpus::folders() {
        let expected = std::fs::read_to_string(folder.join("pdq/expected.csv")).unwrap();
        let mut count = 0;
        for line in expected.lines().skip(1) {
            let [path, width, height, hash, quality] =
                line.split(',').collect::<Vec<_>>().try_into().unwrap();
            let (hash, quality): (Pdq, u8) = (hash.parse().unwrap(), quality.parse().unwrap());
            let bytes = std::fs::read(folder.join("pdq/images").join(path)).unwrap();
            let picture = picture::decode(&bytes, &Limits::default()).unwrap();
            let pixels = picture.pixels();
            assert_eq!(
                format!("{},{}", pixels.width(), pixels.height()),
                [width, height].join(",")
            );
            let ours = pdq::hash(pixels).unwrap();
            let distance = ours.pdq.distance(&hash);
            println!("{path}: distance {distance}, quality {} for {quality}", ours.quality);
            assert!(ours.quality.abs_diff(quality) <= MAX_QUALITY_DIFFERENCE, "{path}");
            // PNG leaves a decoder no freedom: the pixels are the same, so the hash must be.
            if path.ends_with(".png") {
                assert_eq!((ours.pdq, ours.quality), (hash, quality), "{path}");
            } else if quality >= GOOD_QUALITY {
                assert!(distance <= MAX_DISTANCE, "{path}: {distance}");
            }
            count += 1;
        }
        assert!(count >= 8, "{} lists only {count} pictures", folder.display());
    }
}

#[test]
fn a_hash_alone_tells_about_what_the_hashes_of_the_turned_and_inverted_picture_are() {
    let (mut bits, mut worst, mut count) = (0, 0, 0);
    for folder in corpus::folders() {
        let expected = std::fs::read_to_string(folder.join("pdq/expected.csv")).unwrap();
        for path in expected.lines().skip(1).filter_map(|line| line.split(',').next()) {
            let bytes = std::fs::read(folder.join("pdq/images").join(path)).unwrap();
            let print = fingerprint(&bytes);
            // A picture that says too little is not matched at all.
            if print.quality < MIN_QUALITY {
                continue;
            }
            let guessed = print.pdq.turned();
            for (place, by) in Dihedral::ALL.into_iter().skip(1).enumerate() {
                let exact = print.turned(by);
                let distance = exact.distance(&guessed[place]);
                assert!(distance <= MAX_GUESSED_BITS, "{path} {by:?}: {distance}");
                assert_eq!(print.inverted(by).distance(&guessed[place + 7]), distance);
                (bits, worst, count) = (bits + distance, worst.max(distance), count + 1);
            }
            assert_eq!(print.pdq.mirrored().distance(&print.turned(Dihedral::FlipY)), {
                print.pdq.turned()[4].distance(&print.turned(Dihedral::FlipY))
            });
        }
    }
    println!("{count} turns: {bits} bits in all, {worst} at most");
    assert!(bits <= MEAN_GUESSED_BITS * count);
}

#[test]
fn turned_hashes_are_near_those_of_turned_pictures() {
    let bytes = corpus::file("pdq/images/square-512x512.jpg");
    let picture = image::load_from_memory(&bytes).unwrap();
    let turned = [
        picture.clone(),
        picture.rotate270(),
        picture.rotate180(),
        picture.rotate90(),
        picture.flipv(),
        picture.fliph(),
        picture.rotate90().fliph(),
        picture.rotate90().flipv(),
    ];
    let original = fingerprint(&bytes);
    assert_eq!(original.turned(Dihedral::Original), original.pdq);
    for (by, turned) in Dihedral::ALL.into_iter().zip(turned) {
        let pixels = turned.to_rgb8();
        let pixels = pdq::Pixels::new(512, 512, pdq::Layout::Rgb, &pixels).unwrap();
        let distance = pdq::hash(pixels).unwrap().pdq.distance(&original.turned(by));
        assert!(distance <= 30, "{by:?}: {distance}");
    }
}

#[test]
fn the_hash_of_an_inverted_picture_is_the_complement() {
    let (mut pictures, mut worst) = (0, 0);
    for folder in corpus::folders() {
        for file in std::fs::read_dir(folder.join("pdq/images")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            let Ok(picture) = image::load_from_memory(&bytes) else { continue };
            let (width, height) = (picture.width(), picture.height());
            let mut rgb = picture.to_rgb8().into_raw();
            let hash = |rgb: &[u8]| {
                pdq::hash(pdq::Pixels::new(width, height, pdq::Layout::Rgb, rgb).unwrap()).unwrap()
            };
            let original = hash(&rgb);
            rgb.iter_mut().for_each(|value| *value = !*value);
            let inverted = hash(&rgb);
            if original.quality < GOOD_QUALITY {
                continue;
            }
            for by in Dihedral::ALL {
                worst = worst.max(original.inverted(by).distance(&inverted.turned(by)));
            }
            assert!(original.pdq.distance(&inverted.pdq) >= 254);
            pictures += 1;
        }
    }
    println!("{pictures} pictures, at most {worst} bits off");
    assert!(pictures > 0 && worst <= MAX_ROUNDING_BITS, "{worst}");
}

#[test]
fn memory_that_held_another_picture_changes_no_hash() {
    let mut workspace = hash::Workspace::default();
    let limits = Limits::default();
    for path in ["square-512x512.jpg", "wee.jpg", "square-128x128.jpg", "square-512x512.jpg"] {
        let bytes = corpus::file(&format!("pdq/images/{path}"));
        let used = workspace.hash_picture(&bytes, &limits).unwrap();
        assert_eq!(used, hash::hash_picture(&bytes, &limits).unwrap(), "{path}");
        assert_eq!(used.inverted()[0], used.pdq.complement());
        // A picture that fails in between leaves nothing behind.
        assert!(workspace.hash_picture(&bytes[..bytes.len() / 2], &limits).is_err());
    }
}

#[test]
fn orientation_in_metadata_is_ignored() {
    let bytes = corpus::file("exif/orientation-6.jpg");
    let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Jpeg);
    let orientation = reader.into_decoder().unwrap().orientation().unwrap();
    assert_eq!(orientation, Orientation::Rotate90, "the file asks for a turn");
    // The segment stands behind the first two bytes and says how long it is.
    let segment = 2 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    let plain = [&bytes[..2], &bytes[2 + segment..]].concat();
    assert_eq!(fingerprint(&bytes), fingerprint(&plain));
    let mut turned = image::load_from_memory(&plain).unwrap();
    turned.apply_orientation(orientation);
    assert!(fingerprint(&bytes).pdq.distance(&fingerprint(&png(turned)).pdq) > 60);
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Eight bits a pixel that are places in a palette, as BMP has it: rows from below, of whole words.
fn palette_bmp(width: u32, height: u32, grey: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let pixels_at = 14 + 40 + 4 * 256;
    let mut bytes = b"BM".to_vec();
    for word in [pixels_at + width * height, 0, pixels_at, 40, width, height, 1 | 8 << 16] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([0; 24]);
    // A palette in which no colour stands at its own number.
    bytes.extend((0..=255_u8).flat_map(|place| [!place, !place, !place, 0]));
    for y in (0..height).rev() {
        bytes.extend((0..width).map(|x| !grey(x, y)));
    }
    bytes
}

#[test]
fn the_same_picture_in_another_mode_has_the_same_hash() {
    let (width, height) = (160, 120);
    let grey = |x: u32, y: u32| {
        let (x, y) = (f64::from(x), f64::from(y));
        ((x * 0.11 + (y * 0.07).sin() * 2.0).sin() * (y * 0.05).cos() * 120.0 + 128.0) as u8
    };
    // What is left when alpha is dropped; blending it in would change the picture.
    let alpha = |x: u32, y: u32| (x * 5 + y * 3) as u8;
    let wide = |x: u32, y: u32| u16::from(grey(x, y)) << 8 | u16::from(alpha(x, y));
    let rgb = RgbImage::from_fn(width, height, |x, y| Rgb([grey(x, y); 3]));
    let expected = fingerprint(&png(rgb));
    assert!(expected.quality > 50);
    let l = GrayImage::from_fn(width, height, |x, y| Luma([grey(x, y)]));
    let la = GrayAlphaImage::from_fn(width, height, |x, y| LumaA([grey(x, y), alpha(x, y)]));
    let rgba = RgbaImage::from_fn(width, height, |x, y| {
        let v = grey(x, y);
        Rgba([v, v, v, alpha(x, y)])
    });
    let l16 = image::ImageBuffer::<Luma<u16>, _>::from_fn(width, height, |x, y| Luma([wide(x, y)]));
    let rgb16 =
        image::ImageBuffer::<Rgb<u16>, _>::from_fn(width, height, |x, y| Rgb([wide(x, y); 3]));
    for (mode, bytes) in [
        ("L", png(l)),
        ("LA", png(la)),
        ("RGBA", png(rgba)),
        ("L 16", png(l16)),
        ("RGB 16", png(rgb16)),
        ("palette", palette_bmp(width, height, grey)),
    ] {
        assert_eq!(fingerprint(&bytes), expected, "{mode}");
    }
}
