//! Tiles: one path each, and bytes that read back or not at all.

use bytes::Bytes;
use proptest::prelude::*;
use watchfire_tlog::tile::{TileError, decode_bundle, decode_hashes, encode_bundle, encode_hashes};
use watchfire_tlog::{Hash, MAX_LEAF_BYTES, Tile, TileKind};

fn tile(path: &str) -> Result<Tile, TileError> {
    path.parse()
}

#[test]
fn paths_are_those_of_the_specification() {
    let example = Tile::new(TileKind::Hashes(0), 1_234_067, 256).unwrap();
    assert_eq!(example.to_string(), "tile/0/x001/x234/067");
    for (path, kind, range) in [
        ("tile/0/000", TileKind::Hashes(0), (0, 256)),
        ("tile/0/000.p/1", TileKind::Hashes(0), (0, 1)),
        ("tile/7/999.p/255", TileKind::Hashes(7), (999 * 256, 999 * 256 + 255)),
        ("tile/63/x001/000", TileKind::Hashes(63), (256_000, 256_256)),
        ("tile/entries/x001/x234/067.p/8", TileKind::Entries, (315_921_152, 315_921_160)),
    ] {
        let tile = tile(path).unwrap();
        assert_eq!((tile.kind(), tile.range(), tile.to_string().as_str()), (kind, range, path));
    }
}

#[test]
fn every_other_spelling_of_a_path_is_refused() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p",
        "tile/entry/000",
        "tile/entries/x1/000",
        "tile/0/+01",
        "tile/0/xx01/000",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x099/x999/x999/x999/x999/999",
        "TILE/0/000",
    ] {
        assert_eq!(tile(path), Err(TileError::Path), "{path}");
    }
}

/// The example of the specification: a tree of 70,000.
#[test]
fn a_tree_of_seventy_thousand_has_the_tiles_of_the_specification() {
    let tiles = Tile::added(0, 70_000);
    let of = |kind, full| tiles.iter().filter(|t| t.kind() == kind && t.is_full() == full).count();
    assert_eq!((of(TileKind::Hashes(0), true), of(TileKind::Hashes(0), false)), (273, 1));
    assert_eq!((of(TileKind::Hashes(1), true), of(TileKind::Hashes(1), false)), (1, 1));
    assert_eq!((of(TileKind::Hashes(2), true), of(TileKind::Hashes(2), false)), (0, 1));
    assert_eq!(of(TileKind::Entries, true), 273);
    let partial: Vec<String> = tiles.iter().filter(|t| !t.is_full()).map(Tile::to_string).collect();
    assert_eq!(
        partial,
        ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    );
    assert!(tiles.iter().all(|tile| tile.is_within(70_000)));
    let paths: Vec<String> = Tile::added(255, 256).iter().map(Tile::to_string).collect();
    assert_eq!(paths, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
    assert!(Tile::added(256, 256).is_empty());
}

#[test]
fn a_tile_is_served_only_when_all_of_it_is_in_the_tree() {
    assert!(tile("tile/0/000.p/5").unwrap().is_within(5));
    assert!(!tile("tile/0/000.p/6").unwrap().is_within(5));
    assert!(!tile("tile/1/000.p/1").unwrap().is_within(255));
    assert!(tile("tile/1/000.p/1").unwrap().is_within(256));
    assert!(tile("tile/entries/000").unwrap().is_within(256));
    assert!(!tile("tile/63/000.p/1").unwrap().is_within(u64::MAX));
}

#[test]
fn a_bundle_of_another_width_or_with_a_rest_is_refused() {
    let bytes = Bytes::from(encode_bundle(&["ab", "", "c"]).unwrap());
    assert_eq!(bytes.as_ref(), b"\0\x02ab\0\0\0\x01c");
    assert_eq!(decode_bundle(bytes.clone(), 3).unwrap(), ["ab", "", "c"]);
    for width in [0, 1, 2, 4, 256] {
        assert_eq!(decode_bundle(bytes.clone(), width), Err(TileError::Width), "{width}");
    }
    for end in 0..bytes.len() {
        assert_eq!(decode_bundle(bytes.slice(..end), 3), Err(TileError::Width), "{end}");
    }
    assert_eq!(decode_bundle(Bytes::from_static(b"\xff\xff"), 1), Err(TileError::Leaf));
    assert_eq!(encode_bundle(&[vec![0; MAX_LEAF_BYTES + 1]]), Err(TileError::Leaf));
    let longest = Bytes::from(encode_bundle(&[vec![0; MAX_LEAF_BYTES]]).unwrap());
    assert_eq!(decode_bundle(longest, 1).unwrap()[0].len(), MAX_LEAF_BYTES);
}

proptest! {
    #[test]
    fn a_tile_reads_back_from_its_path(
        level in prop::option::of(0..=63u8),
        index in 0..(1u64 << 55) - 1,
        shift in 0..55u32,
        width in 1..=256u16,
    ) {
        let kind = level.map_or(TileKind::Entries, TileKind::Hashes);
        let tile = Tile::new(kind, index >> shift, width).unwrap();
        prop_assert_eq!(tile.to_string().parse::<Tile>(), Ok(tile));
    }

    #[test]
    fn any_text_is_a_path_that_prints_as_it_was_or_an_error(path in "(tile/)?([0-9]{1,2}|entries)/(x?[0-9]{3}/){0,3}[0-9]{0,3}(\\.p/[0-9]{0,3})?") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn hashes_and_leaves_read_back(
        hashes in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash), 1..256),
        leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..256),
    ) {
        let bytes = encode_hashes(&hashes);
        prop_assert_eq!(decode_hashes(&bytes[1..], hashes.len() as u64), Err(TileError::Width));
        prop_assert_eq!(decode_hashes(&bytes, hashes.len() as u64 + 1), Err(TileError::Width));
        prop_assert_eq!(decode_hashes(&bytes, hashes.len() as u64), Ok(hashes));
        let bundle = Bytes::from(encode_bundle(&leaves).unwrap());
        prop_assert_eq!(decode_bundle(bundle, leaves.len() as u64).unwrap(), leaves);
    }

    #[test]
    fn any_bytes_are_a_bundle_that_encodes_as_it_was_or_an_error(bytes in prop::collection::vec(0..4u8, 0..60), width in 0..20u64) {
        if let Ok(leaves) = decode_bundle(Bytes::from(bytes.clone()), width) {
            prop_assert_eq!(encode_bundle(&leaves).unwrap(), bytes);
        }
    }
}
