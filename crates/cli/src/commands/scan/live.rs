//! A stream, judged while it runs, one rolling segment after another: a node looks into it, or its frames are hashed
//! here and a node judges the hashes.
//!
//! **Invariant:** memory is bounded, however long the stream.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    num::NonZeroU32,
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use watchfire_api::{
    client::Client,
    wire::{LiveQuery, LiveVerdict, ScanRequest, SignalJson, VerdictKind},
};
use watchfire_media::video::{
    self, Decoder, Input, MAX_STALL, Pace, Recording, Streaming, VideoError, Window,
};
use watchfire_signal::{
    name::ItemId,
    value::{Signal, Span, Value},
    vpdq::{Frame, Vpdq},
};

use crate::{
    exit::{Answer, Ended, Failure, OrEnvironment, environment},
    node_api::answered,
    output::{Output, word},
    runtime,
};

/// Frames of a stream that are hashed a second; an alert has every frame, so that two line up with it.
const FRAMES_A_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// Bytes of a stream that are sent at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Pieces that wait to be sent.
const AHEAD: usize = 4;

/// How often a file that does not grow is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What to look at, and how.
pub(super) struct Live<'a> {
    pub(super) path: &'a Path,
    pub(super) item: ItemId,
    pub(super) facts: BTreeMap<String, serde_json::Value>,
    /// How long a segment is, and how often one is judged.
    pub(super) segment: Duration,
    pub(super) every: Duration,
    /// How long a file may stand still before it is taken for ended.
    pub(super) idle: Duration,
}

/// Has a node look into a stream until it ends or is to be blocked.
pub(super) fn send(live: &Live<'_>, client: &Client, output: &Output) -> Ended {
    let (pieces, ready) = mpsc::channel(AHEAD);
    let reader = live.reader()?;
    std::thread::spawn(move || read(reader, &pieces));
    let seconds = |time: Duration| u32::try_from(time.as_secs()).ok();
    let query = LiveQuery {
        item: live.item.clone(),
        facts: Some(serde_json::json!(live.facts).to_string()),
        segment_s: seconds(live.segment),
        every_s: seconds(live.every),
    };
    runtime::block_on(async {
        let video =
            stream::unfold(ready, |mut ready| async move { Some((ready.recv().await?, ready)) });
        let mut verdicts = answered(client.scan_live(&query, video).await)?;
        let mut last = None;
        while let Some(told) = verdicts.next().await {
            let told = answered(told)?;
            tell(&live.item, &told, output)?;
            last = Some(told.verdict.verdict);
        }
        let last =
            last.ok_or_else(|| environment("the node ended the stream without a verdict"))?;
        Ok(Answer::of(last != VerdictKind::Block))
    })?
}

/// Reads a stream piece by piece, no faster than they are sent.
fn read(mut reader: impl Read, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if pieces.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}

/// Hashes a stream and has the hashes judged, until it ends or is to be blocked.
pub(super) fn run(live: &Live<'_>, client: &Client, output: &Output) -> Ended {
    let reader = live.reader()?;
    let decoder = Decoder::new(std::env::current_exe()?, std::env::temp_dir());
    let (segments, mut due) = mpsc::channel::<Vec<Frame>>(1);
    let window = Window::new(live.segment, live.every);
    let decoding = std::thread::spawn(move || decode(reader, &decoder, window, &segments));
    let judged = runtime::block_on(async {
        let mut last = None;
        while let Some(frames) = due.recv().await {
            let verdict = live.judge(client, vec![signal(frames)], output).await?;
            last = Some(verdict);
            if verdict == VerdictKind::Block {
                break;
            }
        }
        Ok::<_, Failure>(last)
    })?;
    // Without a receiver the decoder ends at its next segment.
    drop(due);
    let last = judged?;
    let ended = decoding.join().map_err(|_| environment("the decoder gave up"))?;
    if last == Some(VerdictKind::Block) {
        return Ok(Answer::of(false));
    }
    let whole = ended.map_err(environment)?.signals();
    if whole.is_empty() {
        return Err(environment("no frame came"));
    }
    // The recording: from now on an alert about any part of it finds the item.
    let verdict = runtime::block_on(live.judge(client, whole, output))??;
    Ok(Answer::of(verdict != VerdictKind::Block))
}

impl Live<'_> {
    fn reader(&self) -> Result<Box<dyn Read + Send>, Failure> {
        if self.path == Path::new("-") {
            return Ok(Box::new(io::stdin()));
        }
        let file = File::open(self.path).or_environment(self.path.display())?;
        // A pipe ends by itself; a file ends when nobody has written to it for a while.
        if !file.metadata()?.is_file() {
            return Ok(Box::new(file));
        }
        Ok(Box::new(Growing { file, idle: self.idle }))
    }

    async fn judge(
        &self,
        client: &Client,
        signals: Vec<Signal>,
        output: &Output,
    ) -> Result<VerdictKind, Failure> {
        let segment_ms = video::frames_span(&signals);
        let request = ScanRequest {
            facts: self.facts.clone(),
            signals: signals.iter().map(SignalJson::from).collect(),
            ..ScanRequest::of(self.item.clone())
        };
        let verdict = answered(client.scan_signals(&request).await)?;
        let told = LiveVerdict { segment_ms, verdict };
        tell(&self.item, &told, output)?;
        Ok(told.verdict.verdict)
    }
}

fn tell(item: &ItemId, told: &LiveVerdict, output: &Output) -> Result<(), Failure> {
    let LiveVerdict { segment_ms: Span { start_ms, end_ms }, verdict } = told;
    output.answer(told, || {
        let reasons = verdict.reasons.iter().filter_map(|reason| {
            let at = reason.query_span_ms?;
            let label = reason.label.as_ref()?;
            Some(format!(", {label} at {}–{} ms", at.start_ms, at.end_ms))
        });
        let reasons: String = reasons.collect();
        format!("{item} {start_ms}–{end_ms} ms {}{reasons}", word(&verdict.verdict))
    })
}

/// Hashes frames and sends each segment that is due, and what is left at the end. Gives all frames.
fn decode(
    reader: Box<dyn Read + Send>,
    decoder: &Decoder,
    mut window: Window,
    segments: &mpsc::Sender<Vec<Frame>>,
) -> Result<Recording, VideoError> {
    let (mut recording, mut began) = (Recording::default(), false);
    let streaming = Streaming { pace: Pace::PerSecond(FRAMES_A_SECOND), stall: MAX_STALL };
    let streamed = video::stream(Input::Reader(reader), streaming, decoder, |seen| {
        recording.push(seen.frame);
        began = true;
        let due = window.push(seen.frame).map(<[Frame]>::to_vec);
        let sent = due.is_none_or(|frames| segments.blocking_send(frames).is_ok());
        if sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match streamed {
        // A stream that breaks off in the middle has ended: what came of it is what there is.
        Err(VideoError::Truncated(_)) if began => Ok(recording),
        streamed => streamed.map(|_| recording),
    }
}

fn signal(frames: Vec<Frame>) -> Signal {
    Signal::new(Value::Vpdq(Vpdq { frames }))
}

/// A file that somebody writes to: its end is where nothing has come for a while.
struct Growing {
    file: File,
    idle: Duration,
}

#[expect(clippy::disallowed_methods, reason = "another program writes, and nothing tells when")]
impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            let read = self.file.read(buffer)?;
            if read > 0 || since.elapsed() >= self.idle {
                return Ok(read);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}
