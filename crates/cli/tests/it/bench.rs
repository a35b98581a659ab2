//! `bench`: its keys are what scripts read, so a changed one is a broken script.

use crate::program::json;

#[test]
fn bench_index_measures_every_kind_of_data_and_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    for data in ["uniform", "clustered", "skewed"] {
        let directory = folder.path().display().to_string();
        let size = ["bench", "index", "--size", "40000", "--searches", "200", "--data", data];
        let measured = json(size.into_iter().chain(["--directory", &directory]));
        assert_eq!(measured["size"], 40_000);
        assert_eq!(measured["data"], data);
        assert_eq!(measured["recall"], 1.0);
        for key in [
            "searches_per_second_hit",
            "searches_per_second_miss",
            "p50_us",
            "p99_us",
            "max_us",
            "insert_us",
            "bytes_per_hash",
            "load_s",
            "bytes_per_hash_live",
            "save_s",
        ] {
            assert!(measured[key].as_f64().is_some_and(|value| value > 0.0), "{key}: {measured}");
        }
        let share = measured["fallback_share"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share), "{measured}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "the snapshot is removed");
}
