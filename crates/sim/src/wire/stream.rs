//! A stream of frames over the wire.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream, stream::BoxStream};
use tokio::time::Instant;
use watchfire_tlog::{Extension, SourceError};

use super::{Direction, Line, Passage, SILENCE, far::Far};
use crate::{fault::Fault, process::Life};

/// How long a frame that is overtaken waits for the next one.
const OVERTAKEN: Duration = Duration::from_secs(2);

/// How long a stream goes on that has lost a frame: what carries it does not lose things and stay.
const LIMPS: Duration = Duration::from_secs(45);

type Frames = BoxStream<'static, Result<Extension, SourceError>>;

/// Frames under way.
struct Flow {
    line: Line,
    inner: Frames,
    /// Of the process that sends.
    life: Option<Life>,
    direction: Option<Arc<Direction>>,
    breaks: u64,
    arrived: VecDeque<Extension>,
    /// When it ends because something of it was lost.
    ends: Option<Instant>,
    over: bool,
}

/// What comes next.
enum Next {
    Frame(Option<Result<Extension, SourceError>>),
    Broken(Passage),
    Reset,
}

/// A stream as it arrives at the other end of a line.
pub(super) fn over(line: &Line, inner: Frames) -> Frames {
    let direction = line.wire.direction(line.from, line.to).cloned();
    let breaks = direction.as_ref().map_or(0, |direction| direction.state().0);
    let life = line.wire.host(line.to).and_then(|host| host.life());
    let (arrived, line) = (VecDeque::new(), line.clone());
    let flow = Flow { line, inner, life, direction, breaks, arrived, ends: None, over: false };
    stream::unfold(flow, |mut flow| async move {
        let frame = flow.next().await?;
        Some((frame, flow))
    })
    .boxed()
}

impl Flow {
    async fn next(&mut self) -> Option<Result<Extension, SourceError>> {
        while !self.over {
            self.line.life.goes_on().await;
            if let Some(frame) = self.arrived.pop_front() {
                self.line.wire.travel().await;
                return Some(Ok(frame));
            }
            match self.arrival().await {
                Next::Frame(None) => return None,
                Next::Frame(Some(Ok(frame))) => self.receive(frame).await,
                Next::Frame(Some(Err(error))) => return self.fail(error.to_string()),
                Next::Reset => return self.fail("reset".to_owned()),
                Next::Broken(Passage::HalfOpen) => {
                    self.line.wire.faults.fired(Fault::HalfOpen);
                    tokio::time::sleep(SILENCE).await;
                    return self.fail("silent".to_owned());
                }
                Next::Broken(_) => return self.fail("cut".to_owned()),
            }
        }
        None
    }

    fn fail(&mut self, why: String) -> Option<Result<Extension, SourceError>> {
        self.over = true;
        Some(Err(SourceError::Unreachable(why)))
    }

    async fn arrival(&mut self) -> Next {
        let (life, breaks) = (self.life.clone(), self.breaks);
        let direction = self.direction.clone();
        let reset = async {
            if let Some(life) = &life {
                life.ends().await;
            }
        };
        let broken = async {
            match &direction {
                Some(direction) => direction.broken(breaks).await,
                None => Passage::Cut,
            }
        };
        let limps = async {
            match self.ends {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            passage = broken => Next::Broken(passage),
            () = reset => Next::Reset,
            frame = self.inner.next() => Next::Frame(frame),
            () = limps => Next::Frame(None),
        }
    }

    /// A frame comes once, twice, late or never.
    async fn receive(&mut self, mut frame: Extension) {
        let entries = std::mem::take(&mut frame.entries).into_iter();
        frame.entries = entries.map(|entry| Far::arrives(&self.line, entry)).collect();
        let wire = self.line.wire.clone();
        if !wire.chance.permille(wire.weather().frames) {
            self.arrived.push_back(frame);
            return;
        }
        match wire.chance.below(3) {
            0 => {
                wire.faults.fired(Fault::FrameLost);
                self.ends = Some(Instant::now() + LIMPS);
            }
            1 => {
                wire.faults.fired(Fault::FrameDoubled);
                self.arrived.extend([frame.clone(), frame]);
            }
            _ => {
                let next = tokio::time::timeout(OVERTAKEN, self.inner.next()).await;
                if let Ok(Some(Ok(next))) = next {
                    wire.faults.fired(Fault::FrameReordered);
                    self.arrived.push_back(next);
                }
                self.arrived.push_back(frame);
            }
        }
    }
}
