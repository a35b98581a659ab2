//! Turns uploads into signals on threads of their own, a few at a time; the bytes end here.
//!
//! **Invariant:** all uploads together never take more memory than [`Hashing`] was given.
//! **Invariant:** no more files are decoded at a time than it was given places for, whatever callers do: a place is
//! taken until the decoder has ended, and the decoder ends when nobody waits for it any more.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{MediaInfo, SignalJson};
use watchfire_media::animation::{self, AnimationError};
use watchfire_media::hash::{Content, HashError, Hashed, Options, digests, hash};
use watchfire_media::picture;
use watchfire_media::video::{
    Decoder, FrameRate, Limits, PLAIN_RATES, Part, QUERY_RATES, Stop, VideoError,
};
use watchfire_signal::alert::ContentKind;
use watchfire_signal::sound_print::PLAIN_RATE;
use watchfire_signal::value::{MAX_FRAMES, Signal, Span, Value, ValueOrBlob};

use crate::answer::Failure;
use crate::input::{read_body, refuse};
use crate::limits::{Limit, REQUEST_TIMEOUT};

/// Frames of a query that are hashed each second. The reference has every frame, so two a second line up with it
/// wherever they fall.
pub const QUERY_FRAMES_A_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// Frames of a reference: as many as an alert may list.
const REFERENCE_FRAMES: NonZeroU32 = NonZeroU32::new(MAX_FRAMES as u32).unwrap();

/// How long one video may be decoded: less than a request may take, so that the answer names this limit.
const DECODE_TIME: Duration = REQUEST_TIMEOUT.saturating_sub(Duration::from_secs(30));

/// The unit in which memory for uploads is handed out.
const KIB: usize = 1024;

/// What the hashing of uploads may use.
#[derive(Debug, Clone)]
pub struct HashingSetup {
    /// The program that enters the sandbox; usually the running one.
    pub executable: PathBuf,
    /// The folder for copies of videos while they are decoded.
    pub scratch: PathBuf,
    /// The largest upload, in bytes.
    pub max_bytes: usize,
    /// Files that are hashed at the same time; others wait.
    pub at_once: usize,
    /// Memory for all uploads together, in bytes; at least one of the largest fits.
    pub memory_bytes: usize,
}

/// Hashes uploads.
#[derive(Debug)]
pub struct Hashing {
    decoder: Decoder,
    upload: Limit,
    memory: Limit,
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
    given_up: CancellationToken,
}

/// An upload in memory, with its share of the room.
#[derive(Debug)]
pub(crate) struct Upload {
    bytes: Bytes,
    room: OwnedSemaphorePermit,
}

/// Which part of a video becomes signals, and how many frames.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// To be compared with what is known: a few frames a second.
    Query {
        /// Sound at many speeds too: worth its time where sounds are known.
        speeds: bool,
    },
    /// To be known: every frame, of the harmful part if there is one; evenly thinned if an alert cannot list them all.
    /// Of a picture what its edited copies are found by, too; of the frames of one that moves the first alone as a
    /// picture.
    Reference(Option<Span>),
    /// To be told: as a reference, but for edited copies.
    Told,
}

impl Upload {
    /// The exact hashes, as signals.
    pub(crate) fn digests(&self) -> Vec<Signal> {
        let (sha256, md5) = digests(&self.bytes);
        vec![Signal::new(sha256), Signal::new(md5)]
    }
}

impl Purpose {
    /// The harmful part.
    fn span(self) -> Option<Span> {
        match self {
            Self::Reference(span) => span,
            Self::Query { .. } | Self::Told => None,
        }
    }
}

impl Hashing {
    /// Prepares to hash; nothing runs before the first upload.
    #[must_use]
    pub fn new(setup: HashingSetup) -> Self {
        let memory = setup.memory_bytes.max(setup.max_bytes);
        let limits = Limits { wall_time: DECODE_TIME, ..Limits::default() };
        Hashing {
            decoder: Decoder { limits, ..Decoder::new(setup.executable, setup.scratch) },
            upload: Limit { name: "upload_bytes", value: setup.max_bytes },
            memory: Limit { name: "upload_memory_bytes", value: memory },
            slots: Arc::new(Semaphore::new(setup.at_once.max(1))),
            room: Arc::new(Semaphore::new(memory.div_ceil(KIB))),
            given_up: CancellationToken::new(),
        }
    }

    /// The largest upload.
    pub(crate) fn limit(&self) -> Limit {
        self.upload
    }

    /// Reads an upload into its share of the memory. A body that does not say how long it is takes the share of the
    /// largest, so that none can grow beyond what was handed out.
    pub(crate) async fn receive(&self, body: Body) -> Result<Upload, Failure> {
        use hyper::body::Body as _;
        let most = body.size_hint().upper().unwrap_or(self.upload.value as u64);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if most > self.upload.value {
            return Err(refuse(body, self.upload).await);
        }
        let room = self.share(most)?;
        let bytes = read_body(body, Limit { value: most, ..self.upload }).await?;
        Ok(Upload { bytes, room })
    }

    /// A share of the memory for uploads.
    pub(crate) fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let share = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        self.room.clone().try_acquire_many_owned(share).map_err(|_| self.memory.too_many())
    }

    /// Takes bytes that were read already.
    pub(crate) fn received(bytes: Bytes, room: OwnedSemaphorePermit) -> Upload {
        Upload { bytes, room }
    }

    /// Hashes an upload and lets its bytes go. When this is dropped, its decoder ends.
    pub(crate) async fn signals(
        &self,
        upload: Upload,
        purpose: Purpose,
    ) -> Result<(MediaInfo, Vec<Signal>), Failure> {
        let hashed = self.work(upload, purpose, hash).await?;
        let span = purpose.span();
        if span.is_some() && matches!(hashed.content, Content::Picture(_)) {
            return Err(Failure::new(ProblemKind::Invalid, "a picture has no span"));
        }
        Ok((info(&hashed), hashed.signals(span)))
    }

    /// Does `work` on the bytes of an upload, on a thread and with decoders of its own, and lets them go.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        upload: Upload,
        purpose: Purpose,
        work: impl FnOnce(&[u8], &Options) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, Failure> {
        let waiting = Waiting(Stop::default());
        let options = self.options(purpose, &waiting.0);
        let unavailable = || Failure(Problem::plain(ProblemKind::Unavailable));
        let worked = async {
            let slot = self.slots.clone().acquire_owned().await.map_err(|_| unavailable())?;
            let working = tokio::task::spawn_blocking(move || {
                let Upload { bytes, room } = upload;
                let worked = work(&bytes, &options);
                // Here and not in the request, which may be gone long before.
                drop((bytes, room, slot));
                worked
            });
            working.await.map_err(|error| Failure::internal(&error))?.map_err(failure)
        };
        tokio::select! {
            worked = worked => worked,
            () = self.given_up.cancelled() => Err(unavailable()),
        }
    }

    /// A decoder for a stream; it ends when the second is dropped.
    pub(crate) fn live(&self) -> (Decoder, Waiting) {
        let waiting = Waiting(Stop::default());
        (Decoder { stop: waiting.0.clone(), ..self.decoder.clone() }, waiting)
    }

    /// Cancelled to end all decoders; whoever waits for one is told that the node is not available.
    pub(crate) fn given_up(&self) -> CancellationToken {
        self.given_up.clone()
    }

    fn options(&self, purpose: Purpose, stop: &Stop) -> Options {
        let rate = match purpose {
            Purpose::Query { .. } => FrameRate::PerSecond(QUERY_FRAMES_A_SECOND),
            Purpose::Reference(_) | Purpose::Told => {
                let span = purpose.span();
                let part = |span: Span| Part { start_ms: span.start_ms, end_ms: span.end_ms };
                FrameRate::Reference { part: span.map(part), at_most: REFERENCE_FRAMES }
            }
        };
        let video = Decoder { stop: stop.clone(), ..self.decoder.clone() };
        let sound_rates = match purpose {
            Purpose::Query { speeds } => sound_rates(speeds),
            Purpose::Reference(_) | Purpose::Told => sound_rates(false),
        };
        let edits = matches!(purpose, Purpose::Reference(_));
        let picture = picture::Limits::default();
        let animation = animation::Limits::default();
        Options { picture, animation, video, rate, sound_rates, edits }
    }
}

/// The speeds at which sound is fingerprinted: all of them where any sound is known that an upload could be a copy of.
pub(crate) fn sound_rates(speeds: bool) -> &'static [u8] {
    if speeds { &QUERY_RATES } else { &PLAIN_RATES }
}

/// A request that waits for its file to be hashed: when it is gone, nobody needs the hashes.
pub(crate) struct Waiting(Stop);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn info(hashed: &Hashed) -> MediaInfo {
    match &hashed.content {
        Content::Picture(picture) => MediaInfo {
            width: Some(picture.width),
            height: Some(picture.height),
            duration_ms: picture.moving.as_ref().map(|moving| moving.duration_ms.into()),
            frames: picture.moving.as_ref().map(|moving| moving.frames),
            ..MediaInfo::plain(ContentKind::Image)
        },
        Content::Video(video) => MediaInfo {
            kind: ContentKind::Video,
            width: Some(video.width),
            height: Some(video.height),
            duration_ms: Some(video.duration_ms),
            frames: Some(u32::try_from(video.vpdq.frames.len()).unwrap_or(u32::MAX)),
        },
        Content::Sound => MediaInfo {
            duration_ms: hashed.sound.iter().map(|sound| u64::from(sound.end_ms)).max(),
            ..MediaInfo::plain(ContentKind::Audio)
        },
    }
}

/// Signals as JSON; of sound that as it is alone, for what is played at other speeds is for one look only.
pub(crate) fn to_json(signals: &[Signal]) -> Vec<SignalJson> {
    let plain = |signal: &&Signal| match &signal.value {
        ValueOrBlob::Value(Value::Audio(print)) => print.rate() == PLAIN_RATE,
        _ => true,
    };
    signals.iter().filter(plain).map(SignalJson::from).collect()
}

pub(crate) fn failure(error: HashError) -> Failure {
    let detail = error.to_string();
    match error {
        HashError::Video(VideoError::NoFfmpeg(_)) => Failure::new(ProblemKind::Unavailable, detail),
        HashError::Video(VideoError::Stopped) | HashError::Animation(AnimationError::Stopped) => {
            Failure(Problem::plain(ProblemKind::Unavailable))
        }
        HashError::Video(VideoError::Sandbox(_) | VideoError::Io(_)) => Failure::internal(&error),
        HashError::Video(VideoError::EmptyPart) => Failure::new(ProblemKind::Invalid, detail),
        HashError::Video(VideoError::TooLong) => {
            let limit = Some("reference_minutes".to_owned());
            Failure(Problem { limit, ..Problem::new(ProblemKind::Invalid, detail) })
        }
        HashError::Video(VideoError::TooSlow(time)) => {
            Limit { name: "video_seconds_of_work", value: time.as_secs() as usize }.exceeded()
        }
        HashError::Video(VideoError::TooLarge(_)) => {
            let limit = Some("video_size".to_owned());
            Failure(Problem { limit, ..Problem::new(ProblemKind::UndecodableMedia, detail) })
        }
        HashError::Animation(AnimationError::TooSlow(time)) => {
            Limit { name: "animation_seconds_of_work", value: time.as_secs() as usize }.exceeded()
        }
        HashError::Animation(AnimationError::TooLarge(_)) => {
            let limit = Some("animation_size".to_owned());
            Failure(Problem { limit, ..Problem::new(ProblemKind::UndecodableMedia, detail) })
        }
        _ => Failure::new(ProblemKind::UndecodableMedia, detail),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_video_may_not_is_a_problem_with_the_name_of_the_limit() {
        for (error, status, limit) in [
            (VideoError::TooSlow(DECODE_TIME), 422, Some("video_seconds_of_work")),
            (VideoError::TooLarge("9 × 9".to_owned()), 422, Some("video_size")),
            (VideoError::TooLong, 422, Some("reference_minutes")),
            (VideoError::EmptyPart, 422, None),
            (VideoError::Stopped, 503, None),
            (VideoError::NoFfmpeg("ffmpeg".into()), 503, None),
            (VideoError::Sandbox("broken".to_owned()), 500, None),
        ] {
            let said = error.to_string();
            let Failure(problem) = failure(HashError::Video(error));
            assert_eq!((problem.status, problem.limit.as_deref()), (status, limit), "{said}");
        }
    }
}
