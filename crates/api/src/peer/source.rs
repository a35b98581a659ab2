//! One log at one peer, as a [`Source`].

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{Method, header};
use watchfire_tlog::tile::{Tile, TileKind, decode_hashes};
use watchfire_tlog::{
    Entry, Extension, Hash, SignedCheckpoint, Source, SourceError, TILE_WIDTH, Urgent,
};

use super::{PeerClient, broken, send};
use crate::frame::{
    Frame, FrameStream, Gather, MAX_CHECKPOINT_BYTES, MAX_FRAME_BYTES, MAX_FRAME_ENTRIES,
    MAX_RECORD_INDICES, MEDIA_TYPE, decode_records,
};
use crate::outbound;
use crate::wire::LogPath;

/// How long a stream may be silent: two and a half of the pings that come every 15 seconds.
pub const STREAM_SILENCE: Duration = Duration::from_secs(40);

/// The most tiles fetched for one question; a caller that wants more asks again from where the answer ends.
const MAX_TILES: usize = 64;

/// A member's log as one peer holds it. Requests are signed; the answers are not verified here.
#[derive(Clone)]
pub struct PeerSource {
    peer: PeerClient,
    /// `/log/MEMBER` or `/log/MEMBER.EPOCH`
    path: String,
}

impl PeerSource {
    pub(super) fn new(peer: PeerClient, log: &LogPath) -> Self {
        PeerSource { peer, path: format!("/log/{log}") }
    }

    /// Everything that the peer sends from index `from` on, as it sends it: entries, what comes ahead of its turn,
    /// and pings. The stream ends with the connection or with an error.
    ///
    /// # Errors
    /// [`SourceError`] when the peer cannot be asked or refuses.
    pub async fn frames(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Frame, SourceError>>, SourceError> {
        let request = self.request(&format!("/follow?from={from}"))?;
        let sent = send(request.header(header::ACCEPT, MEDIA_TYPE));
        // The headers come at once, also where there is nothing to say yet.
        let response = tokio::time::timeout(STREAM_SILENCE, sent).await;
        let response = response.map_err(|_| SourceError::Unreachable(silence()))??;
        let start = Following {
            bytes: response.bytes_stream().boxed(),
            frames: FrameStream::default(),
            failed: false,
        };
        Ok(stream::unfold(start, Following::step).boxed())
    }

    fn request(&self, rest: &str) -> Result<reqwest::RequestBuilder, SourceError> {
        self.peer.request(Method::GET, &format!("{}{rest}", self.path), None)
    }

    /// A tile's hashes; `None` where the peer has no such tile.
    async fn tile(
        &self,
        level: u8,
        index: u64,
        width: u64,
    ) -> Result<Option<Vec<Hash>>, SourceError> {
        let width = u16::try_from(width).map_err(|error| broken(&error))?;
        let tile = Tile::new(TileKind::Hashes(level), index, width);
        let tile = tile.map_err(|error| broken(&error))?;
        let request = self.request(&format!("/{tile}"))?;
        let bytes = self.peer.answer_if_found(request, TILE_WIDTH as usize * 32).await?;
        let read = |bytes: Bytes| decode_hashes(&bytes, u64::from(width)).map_err(|e| broken(&e));
        bytes.map(read).transpose()
    }
}

struct Following {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    frames: FrameStream,
    failed: bool,
}

impl Following {
    async fn step(mut self) -> Option<(Result<Frame, SourceError>, Self)> {
        if self.failed {
            return None;
        }
        let next = self.next().await.transpose()?;
        self.failed = next.is_err();
        Some((next, self))
    }

    async fn next(&mut self) -> Result<Option<Frame>, SourceError> {
        loop {
            if let Some(frame) = self.frames.next_frame().map_err(|error| broken(&error))? {
                return Ok(Some(frame));
            }
            match tokio::time::timeout(STREAM_SILENCE, self.bytes.next()).await {
                Err(_) => return Err(SourceError::Unreachable(silence())),
                Ok(Some(Ok(bytes))) => self.frames.push(&bytes),
                Ok(Some(Err(error))) => {
                    return Err(SourceError::Unreachable(outbound::reason(&error)));
                }
                Ok(None) => {
                    let ended = self.frames.finish();
                    return ended
                        .map(|()| None)
                        .map_err(|e| SourceError::Unreachable(e.to_string()));
                }
            }
        }
    }
}

fn silence() -> String {
    format!("nothing came for {} seconds", STREAM_SILENCE.as_secs())
}

#[async_trait]
impl Source for PeerSource {
    async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, SourceError> {
        let request = self.request("/checkpoint")?;
        let text = self.peer.answer_if_found(request, MAX_CHECKPOINT_BYTES).await?;
        let read = |text: Bytes| {
            let text = std::str::from_utf8(&text).map_err(|error| broken(&error))?;
            Ok(SignedCheckpoint::new(text))
        };
        text.map(read).transpose()
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, SourceError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let to = to.min(from.saturating_add(MAX_FRAME_ENTRIES as u64));
        let request = self.request(&format!("/entries?from={from}&to={to}"))?;
        let bytes = self.peer.answer(request, MAX_FRAME_BYTES).await?;
        match Frame::decode(&bytes).map_err(|error| broken(&error))? {
            Frame::Entries(found) if found.from == from => {
                let mut entries = found.entries;
                entries.truncate(usize::try_from(to - from).unwrap_or(usize::MAX));
                Ok(entries)
            }
            _ => Err(SourceError::Broken("another frame than the one asked for".to_owned())),
        }
    }

    async fn hashes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>, SourceError> {
        let mut hashes = Vec::new();
        let mut at = from;
        for _ in 0..MAX_TILES {
            if at >= to {
                break;
            }
            let index = at / TILE_WIDTH;
            let start = index * TILE_WIDTH;
            let width = (to - start).min(TILE_WIDTH);
            // A mirror may keep only the full tile once there is one.
            let tile = match self.tile(level, index, width).await? {
                None if width < TILE_WIDTH => self.tile(level, index, TILE_WIDTH).await?,
                found => found,
            };
            let Some(tile) = tile else { break };
            let (skip, take) = ((at - start) as usize, (start + width - at) as usize);
            hashes.extend(tile.into_iter().skip(skip).take(take));
            at = start + width;
        }
        Ok(hashes)
    }

    async fn follow(
        &self,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Extension, SourceError>>, SourceError> {
        let mut gather = Gather::default();
        let frames = self.frames(from).await?;
        let extensions = frames.filter_map(move |frame| {
            // What comes ahead of its turn comes in its turn too.
            let extension = match frame {
                Ok(Frame::Entries(part)) => {
                    gather.push(part).map_err(|error| broken(&error)).transpose()
                }
                Ok(Frame::Ping | Frame::Priority(_)) => None,
                Err(error) => Some(Err(error)),
            };
            std::future::ready(extension)
        });
        Ok(extensions.boxed())
    }

    async fn urgent(&self, held: u64, from: u64) -> Result<Vec<Urgent>, SourceError> {
        let request = self.request(&format!("/urgent?held={held}&from={from}"))?;
        // A peer of an older version knows no such question.
        let bytes = self.peer.answer_if_found(request, MAX_FRAME_BYTES).await?;
        let mut frames = FrameStream::default();
        frames.push(&bytes.unwrap_or_default());
        let mut urgent = Vec::new();
        while let Some(frame) = frames.next_frame().map_err(|error| broken(&error))? {
            match frame {
                Frame::Priority(one) => urgent.push(one),
                Frame::Ping => {}
                Frame::Entries(_) => {
                    return Err(SourceError::Broken("a frame that was not asked for".to_owned()));
                }
            }
        }
        frames.finish().map_err(|error| broken(&error))?;
        Ok(urgent)
    }

    async fn records(&self, indices: &[u64]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let indices = &indices[..indices.len().min(MAX_RECORD_INDICES)];
        if indices.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<_> = indices.iter().map(u64::to_string).collect();
        let request = self.request(&format!("/records?index={}", list.join(",")))?;
        let bytes = self.peer.answer(request, MAX_FRAME_BYTES).await?;
        decode_records(&bytes, indices.len()).map_err(|error| broken(&error))
    }
}
