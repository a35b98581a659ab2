//! Pictures hash as the reference hashes them.

use watchfire_media::pdq::{self, Dihedral, Fingerprint};
use watchfire_media::picture::{self, Limits};
use watchfire_signal::pdq::Pdq;

use crate::corpus;

/// The distance and difference of quality that another JPEG decoder may cause.
const MAX_DISTANCE: u32 = 10;
const MAX_QUALITY_DIFFERENCE: u8 = 5;
const GOOD_QUALITY: u8 = 80;

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
