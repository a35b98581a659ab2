//! A log as anyone may read it: checkpoint and tiles over HTTP, without a signature.
//!
//! **Invariant:** answers are bounded here and believed nowhere here: the audit checks them.
//! Source: C2SP tlog-tiles.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{Method, StatusCode};
use url::Url;
use watchfire_api::outbound::{Outbound, read_body, reason};
use watchfire_tlog::{
    Entry, Extension, Hash, MAX_LEAF_BYTES, SignedCheckpoint, Source, SourceError, TILE_WIDTH,
    Tile, TileKind,
    tile::{decode_bundle, decode_hashes},
};

use crate::exit::{Failure, OrEnvironment, environment};

/// The longest checkpoint: three lines and some signatures.
const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// The longest bundle: 256 leaves with their lengths.
const MAX_BUNDLE_BYTES: usize = TILE_WIDTH as usize * (MAX_LEAF_BYTES + 2);

/// One log at one address.
pub(super) struct PublicLog {
    out: Outbound,
    /// `…/log/MEMBER`, without a slash at the end.
    address: String,
}

impl PublicLog {
    /// The log at an address.
    pub(super) fn new(out: Outbound, address: &str) -> Result<Self, Failure> {
        let address = address.trim_end_matches('/').to_owned();
        Url::parse(&address).or_environment(&address)?;
        let log = Self { out, address };
        if log.address.contains("/log/") && !log.member().is_empty() {
            return Ok(log);
        }
        Err(environment(format!("{}: the address of a log ends with /log/MEMBER", log.address)))
    }

    /// The member whose log it is, by the address.
    pub(super) fn member(&self) -> &str {
        self.address.rsplit('/').next().unwrap_or_default()
    }

    /// Reads a file of the log; `None` where there is none.
    pub(super) async fn file(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<Option<Bytes>, SourceError> {
        let url = Url::parse(&format!("{}/{path}", self.address)).map_err(broken)?;
        let request = self.out.request(Method::GET, &url);
        let request = request.map_err(|error| SourceError::Refused(error.to_string()))?;
        let response = request.send().await;
        let response = response.map_err(|error| unreachable_source(reason(&error)))?;
        match response.status() {
            StatusCode::OK => {
                read_body(response, limit).await.map(Some).map_err(unreachable_source)
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(SourceError::Refused(status.to_string())),
        }
    }

    /// Reads a tile, the full one where a mirror keeps no partial one.
    async fn tile(
        &self,
        kind: TileKind,
        place: Place,
    ) -> Result<Option<(Bytes, u64)>, SourceError> {
        let limit = match kind {
            TileKind::Entries => MAX_BUNDLE_BYTES,
            TileKind::Hashes(_) => TILE_WIDTH as usize * 32,
        };
        for width in [place.width, TILE_WIDTH] {
            let number = u16::try_from(width).map_err(broken)?;
            let tile = Tile::new(kind, place.index, number).map_err(broken)?;
            if let Some(bytes) = self.file(&tile.to_string(), limit).await? {
                return Ok(Some((bytes, width)));
            }
        }
        Ok(None)
    }
}

/// A tile of a level.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: u64,
    width: u64,
    /// How many of its first things were not asked for.
    skip: usize,
}

impl Place {
    /// The tile that `from` stands in, as wide as `to` needs.
    fn of(from: u64, to: u64) -> Self {
        let index = from / TILE_WIDTH;
        let start = index * TILE_WIDTH;
        let skip = usize::try_from(from - start).unwrap_or(usize::MAX);
        Self { index, width: (to - start).min(TILE_WIDTH), skip }
    }
}

fn broken(error: impl std::fmt::Display) -> SourceError {
    SourceError::Broken(error.to_string())
}

fn unreachable_source(error: impl std::fmt::Display) -> SourceError {
    SourceError::Unreachable(error.to_string())
}

#[async_trait]
impl Source for PublicLog {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        let text = self.file("checkpoint", MAX_CHECKPOINT_BYTES).await?;
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let text = std::str::from_utf8(&text).map_err(broken)?;
        Ok(Some(SignedCheckpoint::new(text)))
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let place = Place::of(from, to);
        let Some((bytes, width)) = self.tile(TileKind::Entries, place).await? else {
            return Ok(Vec::new());
        };
        let leaves = decode_bundle(bytes, width).map_err(broken)?;
        let wanted = usize::try_from(to - from).unwrap_or(usize::MAX);
        let leaves = leaves.into_iter().skip(place.skip).take(wanted);
        Ok(leaves.map(|leaf| Entry::new(leaf, None)).collect())
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let place = Place::of(from, to);
        let Some((bytes, width)) = self.tile(TileKind::Hashes(level), place).await? else {
            return Ok(Vec::new());
        };
        let hashes = decode_hashes(&bytes, width).map_err(broken)?;
        let wanted = usize::try_from(to - from).unwrap_or(usize::MAX);
        Ok(hashes.into_iter().skip(place.skip).take(wanted).collect())
    }

    async fn follow(
        &self,
        _from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        Err(SourceError::Refused("streams are for members".to_owned()))
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        // Records are for members: every one is a hole here.
        Ok(vec![None; indices.len()])
    }
}
