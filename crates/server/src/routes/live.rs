//! Judges a stream of video while it comes in: one rolling segment after another, by its frames, by what they show
//! edited, and by its sound.
//!
//! **Invariant:** what was seen of a stream is remembered, however it ends.
//! **Invariant:** when the caller is gone, or has its last verdict, the decoder ends.
//! **Invariant:** memory does not grow with the stream, but by 48 bytes a frame of its last 32 hours, and 32 a second of
//! the sound of its last ten.

use std::convert::Infallible;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use http::header;
use tokio::sync::mpsc;
use tokio::time::Instant;
use watchfire_api::problem::Problem;
use watchfire_api::wire::{
    DEFAULT_EVERY_S, DEFAULT_SEGMENT_S, LiveLine, LiveQuery, LiveVerdict, VerdictKind,
};
use watchfire_media::hash::HashError;
use watchfire_media::video::{
    Decoder, Input, Recording, VideoError, Window, frames_span, hear, live_looks,
};
use watchfire_node::{Node, policy::ItemFacts, reasons::Edited};
use watchfire_signal::name::ItemId;
use watchfire_signal::value::{Signal, Value};
use watchfire_signal::vpdq::Vpdq;

use super::scan::{item_facts, told, verdict};
use crate::answer::Failure;
use crate::caller::{Allowed, Scanning};
use crate::hashing::{Waiting, failure, sound_rates};
use crate::input::Query;
use crate::limits::{LIVE_STREAMS, PING_INTERVAL, SEGMENT_SECONDS};
use crate::server::Server;

/// Pieces of a body that wait for the decoder.
const AHEAD: usize = 8;

/// Judges a stream while it comes in.
///
/// The body is a video that can be decoded as it comes: MPEG-TS, Matroska, WebM, FLV, or fragmented MP4. Every `every_s`
/// seconds of it the last `segment_s` are judged by their frames, by edited copies of what is known in them (cropped,
/// filmed off a screen, written over, in a part of the frame), and by their sound, and a line of JSON is written; an
/// empty line says that nothing is due yet. It ends with the first `block`, or with a verdict on the whole recording,
/// which is remembered: also where the stream breaks off in the middle, as streams do, and, before the problem, where
/// it cannot be decoded any further. Sound that cannot be decoded is not compared.
#[utoipa::path(
    post, path = "/v1/scan/live", tag = "scan", params(LiveQuery), security(("key" = ["scan"])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = LiveLine, content_type = "application/x-ndjson"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn live(
    State(server): State<Arc<Server>>,
    _caller: Allowed<Scanning>,
    Query(query): Query<LiveQuery>,
    request: Request,
) -> Result<Response, Failure> {
    let window = window(&query)?;
    let mut facts = told(query.facts.as_deref())?;
    facts.entry("live".to_owned()).or_insert_with(|| true.into());
    let facts = item_facts(facts)?;
    let place = server.live_streams.clone().try_acquire_owned();
    let place = place.map_err(|_| LIVE_STREAMS.too_many())?;
    let (decoder, waiting) = server.hashing.live();
    let (pieces, incoming) = mpsc::channel(AHEAD);
    tokio::spawn(pump(request.into_body(), server.patience.stall, pieces));
    let (segments, due) = mpsc::channel(1);
    let node = server.node.clone();
    let incoming = Incoming { pieces: incoming, rest: Bytes::new() };
    tokio::task::spawn_blocking(move || {
        // The place is taken until the decoder has ended.
        let _place = place;
        decode(&node, &decoder, incoming, window, &segments);
    });
    let judging = Judging { server, item: query.item, facts, due, over: false, _waiting: waiting };
    let lines =
        stream::unfold(
            judging,
            |mut judging| async move { Some((judging.next().await?, judging)) },
        );
    // The first line makes proxies send the head on, before anything is judged.
    let first = stream::iter([Bytes::from_static(b"\n")]);
    let lines = first.chain(lines).map(Ok::<_, Infallible>);
    let head =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(lines)).into_response())
}

fn window(query: &LiveQuery) -> Result<Window, Failure> {
    let seconds = |asked: Option<u32>, standard| {
        let seconds = asked.unwrap_or(standard);
        let fits = (1..=SEGMENT_SECONDS.value as u64).contains(&u64::from(seconds));
        if fits { Ok(Duration::from_secs(seconds.into())) } else { Err(SEGMENT_SECONDS.exceeded()) }
    };
    let segment = seconds(query.segment_s, DEFAULT_SEGMENT_S)?;
    Ok(Window::new(segment, seconds(query.every_s, DEFAULT_EVERY_S)?))
}

/// Hands the body on piece by piece, no faster than it is decoded.
async fn pump(body: Body, stall: Duration, pieces: mpsc::Sender<Bytes>) {
    let mut body = body.into_data_stream();
    // A body that breaks off, or stands still, is a stream that ends.
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(stall, body.next()).await {
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

/// What came in, for whoever reads on a thread.
struct Incoming {
    pieces: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// What is to be judged.
enum Due {
    /// A segment.
    Segment(Vec<Signal>, Edited),
    /// All of it, after its end.
    Whole(Vec<Signal>, Edited),
    /// It could not be looked at any further.
    Broken(VideoError),
}

/// Looks at a stream, hears it, and sends what is due, until it ends or nobody takes it. Blocks.
fn decode(
    node: &Arc<Node>,
    decoder: &Decoder,
    incoming: Incoming,
    mut window: Window,
    segments: &mpsc::Sender<Due>,
) {
    let mut recording = Recording::default();
    let mut looking = node.reasons().looking();
    let depth = || node.live_depth();
    let knowing = Arc::clone(node);
    let speeds = Box::new(move || sound_rates(knowing.knows_sound()));
    let (heard, hearing) = match hear(incoming, window.length(), speeds, decoder) {
        Ok(both) => both,
        Err(error) => {
            let _gone = segments.blocking_send(Due::Broken(error.into()));
            return;
        }
    };
    let looked = live_looks(Input::Reader(Box::new(heard)), decoder, depth, |look| {
        looking.see(&look.frame, &look.pictures, look.parts);
        recording.push(look.frame);
        let Some(frames) = window.push(look.frame) else { return ControlFlow::Continue(()) };
        let edited = looking.found_since(frames.first().map_or(0, |frame| frame.at_ms));
        let mut signals = vec![Signal::new(Value::Vpdq(Vpdq { frames: frames.to_vec() }))];
        signals.extend(hearing.segment());
        match segments.blocking_send(Due::Segment(signals, edited)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    let broken = match looked {
        Ok(streamed) if streamed.broken_off => return,
        Ok(_) => None,
        Err(error) => Some(error),
    };
    let mut signals = recording.signals();
    let last = match broken {
        Some(error) if signals.is_empty() => vec![Due::Broken(error)],
        broken => {
            signals.extend(hearing.recording());
            let found = looking.found();
            // The recording: from now on an alert about any part of it finds the item.
            match broken {
                None | Some(VideoError::Truncated(_)) => vec![Due::Whole(signals, found)],
                Some(error) => vec![Due::Segment(signals, found), Due::Broken(error)],
            }
        }
    };
    // The caller may be gone; then nobody is told.
    let _gone = last.into_iter().try_for_each(|due| segments.blocking_send(due));
}

/// A stream that is judged.
struct Judging {
    server: Arc<Server>,
    item: ItemId,
    facts: ItemFacts,
    due: mpsc::Receiver<Due>,
    over: bool,
    _waiting: Waiting,
}

impl Judging {
    /// The next line; `None` after the last one.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let due = tokio::select! {
            () = self.server.stop.cancelled() => return None,
            () = tokio::time::sleep(PING_INTERVAL) => return Some(Bytes::from_static(b"\n")),
            due = self.due.recv() => due?,
        };
        let line = match due {
            Due::Segment(signals, edited) => self.judge(signals, &edited).await,
            Due::Whole(signals, edited) => {
                self.over = true;
                self.judge(signals, &edited).await
            }
            Due::Broken(error) => {
                self.over = true;
                let Failure(problem) = failure(HashError::Video(error));
                LiveLine::Broken { problem }
            }
        };
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        Some(text.into())
    }

    async fn judge(&mut self, signals: Vec<Signal>, edited: &Edited) -> LiveLine {
        let begun = Instant::now();
        let segment_ms = frames_span(&signals);
        let (item, facts) = (self.item.clone(), self.facts.clone());
        let scanned = self.server.node.scan_with(item, signals, Some(edited), facts).await;
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let verdict = verdict(self.item.clone(), &scanned, None, took_us);
        self.over |= verdict.verdict == VerdictKind::Block;
        LiveLine::Judged(Box::new(LiveVerdict { segment_ms, verdict }))
    }
}
