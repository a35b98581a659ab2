//! A stream, looked at while it runs: its frames are hashed here, and a node judges one rolling segment after another.
//!
//! **Invariant:** memory is bounded by [`MAX_CHUNKS`], however long the stream.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    num::NonZeroU32,
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::sync::mpsc;
use watchfire_api::{
    client::Client,
    wire::{ScanRequest, SignalJson, Verdict, VerdictKind},
};
use watchfire_media::video::{
    Decoder, Input, MAX_STALL, Pace, Streaming, VideoError, Window, stream,
};
use watchfire_signal::{
    name::ItemId,
    value::{MAX_FRAMES, Signal, Span, Value},
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

/// The most signals of a stream that are kept until its end, of 3,600 frames each: 32 hours.
const MAX_CHUNKS: usize = 64;

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

/// The verdict on a segment.
#[derive(Serialize)]
struct Segment<'a> {
    /// From its first frame to its last, in the time of the stream.
    segment_ms: Span,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

/// Judges a stream until it ends or is to be blocked.
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
    let chunks = ended.map_err(environment)?;
    if chunks.is_empty() {
        return Err(environment("no frame came"));
    }
    // The recording: from now on an alert about any part of it finds the item.
    let whole = chunks.into_iter().map(signal).collect();
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
        let segment_ms = span(&signals);
        let request = ScanRequest {
            facts: self.facts.clone(),
            signals: signals.iter().map(SignalJson::from).collect(),
            ..ScanRequest::of(self.item.clone())
        };
        let verdict = answered(client.scan_signals(&request).await)?;
        let told = Segment { segment_ms, verdict: &verdict };
        output.answer(&told, || {
            let Span { start_ms, end_ms } = segment_ms;
            let reasons = verdict.reasons.iter().filter_map(|reason| {
                let at = reason.query_span_ms?;
                let label = reason.label.as_ref()?;
                Some(format!(", {label} at {}–{} ms", at.start_ms, at.end_ms))
            });
            let reasons: String = reasons.collect();
            format!("{} {start_ms}–{end_ms} ms {}{reasons}", self.item, word(&verdict.verdict))
        })?;
        Ok(verdict.verdict)
    }
}

/// Hashes frames and sends each segment that is due, and what is left at the end. Gives all frames.
fn decode(
    reader: Box<dyn Read + Send>,
    decoder: &Decoder,
    mut window: Window,
    segments: &mpsc::Sender<Vec<Frame>>,
) -> Result<Vec<Vec<Frame>>, VideoError> {
    let mut chunks = Vec::<Vec<Frame>>::new();
    let streaming = Streaming { pace: Pace::PerSecond(FRAMES_A_SECOND), stall: MAX_STALL };
    stream(Input::Reader(reader), streaming, decoder, |seen| {
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < MAX_FRAMES => chunk.push(seen.frame),
            _ => chunks.push(vec![seen.frame]),
        }
        if chunks.len() > MAX_CHUNKS {
            chunks.remove(0);
        }
        let due = window.push(seen.frame).map(<[Frame]>::to_vec);
        let sent = due.is_none_or(|frames| segments.blocking_send(frames).is_ok());
        if sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(chunks)
}

fn signal(frames: Vec<Frame>) -> Signal {
    Signal::new(Value::Vpdq(Vpdq { frames }))
}

fn span(signals: &[Signal]) -> Span {
    let times = signals.iter().flat_map(|signal| match &signal.value {
        watchfire_signal::value::ValueOrBlob::Value(Value::Vpdq(vpdq)) => vpdq.frames.as_slice(),
        _ => &[],
    });
    let times = times.map(|frame| frame.at_ms);
    Span { start_ms: times.clone().min().unwrap_or(0), end_ms: times.max().unwrap_or(0) }
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
