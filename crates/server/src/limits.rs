//! The limits on what callers may ask, each with its name, so that an answer can say which one was reached.

use std::time::Duration;

use watchfire_api::problem::{Problem, ProblemKind};

use crate::answer::Failure;

/// A bound with the name that answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The name.
    pub name: &'static str,
    /// The value, in the unit that the name says.
    pub value: usize,
}

/// JSON bodies: 64 vPDQ signals of some seconds each; one of two minutes has 300 kB.
pub const JSON_BYTES: Limit = Limit { name: "json_bytes", value: 8 << 20 };

/// Lists by the line: some hundred thousand hashes; who brings more sends several lists.
pub const LIST_BYTES: Limit = Limit { name: "list_bytes", value: 16 << 20 };

/// A line of a list: a vPDQ signal of two minutes has 300 kB.
pub const LINE_BYTES: Limit = Limit { name: "line_bytes", value: 512 << 10 };

/// Receipts: a size for each log of the largest coalition.
pub const RECEIPT_BYTES: Limit = Limit { name: "receipt_bytes", value: 256 << 10 };

/// Heads of all logs of the largest coalition, with proofs of forks.
pub const HEADS_BYTES: Limit =
    Limit { name: "heads_bytes", value: watchfire_api::peer::MAX_HEADS_BYTES };

/// Charters and proposals that a member brings: some dozen of the largest coalition.
pub const CHARTERS_BYTES: Limit =
    Limit { name: "charters_bytes", value: watchfire_api::peer::MAX_CHARTERS_BYTES };

/// Frames that a member brings in one request.
pub const FRAME_BYTES: Limit =
    Limit { name: "frame_bytes", value: watchfire_api::frame::MAX_FRAME_BYTES };

/// Records asked for at once.
pub const RECORD_INDICES: Limit =
    Limit { name: "record_indices", value: watchfire_api::frame::MAX_RECORD_INDICES };

/// Signals of one scan: a file has three, and a caller who adds more wants a batch.
pub const SCAN_SIGNALS: Limit = Limit { name: "scan_signals", value: 64 };

/// Links of one scan beside those in its text.
pub const SCAN_URLS: Limit = Limit { name: "scan_urls", value: 64 };

/// A text that is fingerprinted.
pub const TEXT_BYTES: Limit =
    Limit { name: "text_bytes", value: watchfire_signal::text_print::MAX_TEXT_BYTES };

/// What a platform says of one item: policy asks for a few numbers, and they are kept for weeks.
pub const SCAN_FACTS: Limit = Limit { name: "scan_facts", value: 32 };

/// Items brought in one request: a second's work.
pub const SEEN_LINES: Limit = Limit { name: "seen_lines", value: 10_000 };

/// Parts of a picture that is held.
pub const SEEN_PARTS: Limit =
    Limit { name: "seen_parts", value: watchfire_signal::features::MAX_PARTS };

/// Alerts in a page.
pub const PAGE: Limit = Limit { name: "page", value: 1_000 };

/// Alerts in a page when the caller does not say how many.
pub const DEFAULT_PAGE: usize = 100;

/// The length of a person's note about an item.
pub const NOTE_BYTES: Limit = Limit { name: "note_bytes", value: 4_096 };

/// The length of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES: Limit = Limit { name: "idempotency_key_bytes", value: 255 };

/// Requests to logs at a time by callers who are no members: a mirror needs a few, a flood gets no more.
pub const ANONYMOUS_REQUESTS: Limit = Limit { name: "anonymous_requests", value: 64 };

/// Of these by callers of one address.
pub const REQUESTS_OF_AN_ADDRESS: Limit = Limit { name: "requests_of_an_address", value: 32 };

/// How long such a caller may take until it has all of an answer of some MB.
pub const ANSWER_TIME: Duration = Duration::from_secs(120);

/// People that log in, and members that join, at a time.
pub const LOGIN_REQUESTS: Limit = Limit { name: "login_requests", value: 256 };

/// Of these from one address: an office in the morning.
pub const LOGINS_OF_AN_ADDRESS: Limit = Limit { name: "logins_of_an_address", value: 32 };

/// A checkpoint with a proof, for a witness to cosign.
pub const CHECKPOINT_BYTES: Limit = Limit {
    name: "checkpoint_bytes",
    value: watchfire_tlog::add_checkpoint::MAX_ADD_CHECKPOINT_BYTES,
};

/// What somebody says who logs in, or the card of a member that joins.
pub const LOGIN_BYTES: Limit = Limit { name: "login_bytes", value: 16 << 10 };

/// How long that, or a checkpoint, may be on its way.
pub const LOGIN_BODY_TIME: Duration = Duration::from_secs(10);

/// What one member says at a time: each may have some MB, and waits for the one before it of the same log.
pub const MEMBER_BODIES: Limit = Limit { name: "member_bodies", value: 8 };

/// Requests by one member within the minute that its signatures are valid.
pub const MEMBER_REQUESTS: Limit = Limit {
    name: "member_requests_a_minute",
    value: watchfire_api::signature::MAX_NONCES_A_MEMBER,
};

/// Streams at a time by callers who are no members.
pub const ANONYMOUS_STREAMS: Limit = Limit { name: "anonymous_streams", value: 64 };

/// Of these by callers of one address: an auditor follows every log of a small coalition.
pub const STREAMS_OF_AN_ADDRESS: Limit = Limit { name: "streams_of_an_address", value: 16 };

/// Streams at a time by one member: one a log in a large coalition, twice while it reconnects.
pub const MEMBER_STREAMS: Limit = Limit { name: "member_streams", value: 256 };

/// Walks through the whole desk log at a time: each reads all of it.
pub const DESK_WALKS: Limit = Limit { name: "desk_walks", value: 1 };

/// Watchers of events at a time.
pub const EVENT_STREAMS: Limit = Limit { name: "event_streams", value: 256 };

/// Streams of video that are judged while they come in, at a time: each takes a decoder and a fifth of a processor.
pub const LIVE_STREAMS: Limit = Limit { name: "live_streams", value: 16 };

/// The longest segment of a stream, and the longest time between two.
pub const SEGMENT_SECONDS: Limit = Limit { name: "segment_seconds", value: 600 };

/// Connections at a time; fewer where the system lets the node open fewer than twice as many files.
pub const CONNECTIONS: Limit = Limit { name: "connections", value: 8_192 };

/// Of these from one address, but for this machine itself, where a proxy may stand.
pub const CONNECTIONS_OF_AN_ADDRESS: Limit =
    Limit { name: "connections_of_an_address", value: 1_024 };

/// How long a connection may stand without a request, from its beginning on: longer than clients keep one ready.
pub const IDLE: Duration = Duration::from_secs(120);

/// How long the other end of a connection may take none of what is written to it.
pub const WRITE_STALL: Duration = Duration::from_secs(60);

/// How long a request may take until its answer begins: hashing a long video is the slowest.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(150);

/// How long a video is looked at for edited copies of what is known, frame by frame; the rest of it is only hashed.
pub(crate) const LOOK_TIME: Duration = Duration::from_secs(20);

/// How long a stream lives, so that every member comes back to be checked against the charter in force.
pub const STREAM_LIFETIME: Duration = Duration::from_secs(3_600);

/// How long the reader of a stream may take nothing: one on a slow link takes a frame of 4 MiB within it at 70 kB/s.
pub const STREAM_STALL: Duration = Duration::from_secs(60);

/// How long connections may take to finish what they are at when the node stops.
pub const DRAIN: Duration = Duration::from_secs(5);

/// How long a node waits for its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until the answer to a request begins: [`REQUEST_TIMEOUT`].
    pub request: Duration,
    /// Until a stream ends: [`STREAM_LIFETIME`].
    pub stream: Duration,
    /// Until a reader that takes nothing loses its stream: [`STREAM_STALL`].
    pub stall: Duration,
    /// Until connections are closed when the node stops: [`DRAIN`].
    pub drain: Duration,
    /// Until a connection without a request is closed: [`IDLE`].
    pub idle: Duration,
    /// Until who is no member has taken an answer: [`ANSWER_TIME`].
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            request: REQUEST_TIMEOUT,
            stream: STREAM_LIFETIME,
            stall: STREAM_STALL,
            drain: DRAIN,
            idle: IDLE,
            answer: ANSWER_TIME,
        }
    }
}

/// How often a stream without news says that it stands.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);

impl Limit {
    /// The problem of something too large.
    #[must_use]
    pub fn too_large(self) -> Failure {
        Failure(Problem::limit(ProblemKind::TooLarge, self.name, self.value as u64))
    }

    /// The problem of too many at a time.
    #[must_use]
    pub fn too_many(self) -> Failure {
        Failure(Problem::limit(ProblemKind::TooMany, self.name, self.value as u64))
    }

    /// The problem of a request that says too much.
    #[must_use]
    pub fn exceeded(self) -> Failure {
        Failure(Problem::limit(ProblemKind::Invalid, self.name, self.value as u64))
    }
}
