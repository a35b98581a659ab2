//! The lists that the field publishes are read and written byte for byte.

use std::path::PathBuf;

use watchfire_signal::{pdq::Pdq, vpdq::Vpdq};

#[allow(clippy::disallowed_methods, reason = "a test finds its data by the environment")]
fn conformance() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");
    std::env::var_os("WATCHFIRE_CONFORMANCE").map_or_else(|| default.into(), PathBuf::from)
}

#[test]
fn published_vpdq_files_are_read_and_written_byte_for_byte() {
    let Ok(files) = std::fs::read_dir(conformance().join("vpdq/hashes")) else {
        eprintln!("no conformance data beside this checkout: read by the test below only");
        return;
    };
    for file in files {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let vpdq = Vpdq::from_lines(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_eq!(vpdq.to_lines().trim_end(), text.trim_end(), "{path:?}");
        assert_eq!(Vpdq::from_bytes(&vpdq.to_bytes()).unwrap(), vpdq);
    }
}

#[test]
fn the_distance_is_that_of_the_published_example() {
    // Two frames of the ThreatExchange repository's chair-19-sd-bar, counted with Python.
    let a: Pdq =
        "e271017837246aaccddea259648fb7d62f435c89d9e99b2497763e216c8d055c".parse().unwrap();
    let b: Pdq =
        "c0f11178372c6aaccddea259648fbfd62f434c89c9e99b249772be216c8d055c".parse().unwrap();
    assert_eq!(a.distance(&b), 10);
    assert_eq!(a.distance(&a.complement()), 256);
}
