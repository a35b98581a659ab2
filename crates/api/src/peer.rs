//! Reads logs from another member over HTTP, tells it what is effective here, and brings it our own log.
//!
//! **Invariant:** nothing that a peer answers is verified here; it is bounded here, and verified by who asked.

mod source;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use reqwest::{RequestBuilder, Response};
use url::Url;
use watchfire_signal::name::{LogName, MemberName};
use watchfire_tlog::{Extension, SourceError};

use crate::frame::{self, split};
use crate::outbound::{self, Outbound, OutboundError, read_body};
use crate::problem::Problem;
use crate::signature::{Identity, Outgoing, sign};
use crate::wire::{
    CharterList, HeadsExchange, LackingAnswer, LogPath, Receipt, SizeAnswer, TakenAnswer,
};

pub use source::{PeerSource, STREAM_SILENCE};

/// How long a request to a member may take from begin to end, streams apart: an answer of 4 MiB over a slow line.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is not frames: a checkpoint, a problem, a size.
const MAX_SMALL_ANSWER_BYTES: usize = 64 * 1024;

/// The longest list of receipts: a size for each log of the largest coalition.
const MAX_RECEIPTS_BYTES: usize = 256 * 1024;
/// The longest answer about what is lacking: 256 places of each of some hundred logs.
const MAX_LACKING_BYTES: usize = 512 * 1024;

/// The longest list of heads: a signed checkpoint for each log of the largest coalition, and proofs.
pub const MAX_HEADS_BYTES: usize = 2 << 20;

/// The longest list of charters: some dozen of the largest coalition.
pub const MAX_CHARTERS_BYTES: usize = 8 << 20;

/// Another member's node at its address, spoken to as one of us. Cheap to clone.
#[derive(Clone)]
pub struct PeerClient {
    outbound: Outbound,
    address: Url,
    identity: Identity,
}

impl PeerClient {
    /// A member at its address of the charter, `https://host[:port]`.
    ///
    /// # Errors
    /// [`OutboundError::Address`] when it is no such address.
    pub fn new(
        outbound: Outbound,
        address: &str,
        identity: Identity,
    ) -> Result<Self, OutboundError> {
        Ok(PeerClient { outbound, address: outbound::node_address(address)?, identity })
    }

    /// The log that a member writes, as this peer holds it: its own, or its copy of somebody's.
    pub fn source(&self, member: &MemberName) -> PeerSource {
        PeerSource::new(self.clone(), &LogPath { member: member.clone(), epoch: None })
    }

    /// A log of a certain epoch, ended or not, as this peer holds it.
    pub fn source_of(&self, log: &LogName) -> PeerSource {
        PeerSource::new(self.clone(), &LogPath::from(log))
    }

    /// Asks the peer for charters after a number, and for what is proposed there.
    ///
    /// A peer that knows us under another key than ours, as one that has a newer charter than we, answers as it
    /// answers anybody.
    ///
    /// # Errors
    /// [`SourceError`]; the caller asks again later.
    pub async fn charters(&self, after: u64) -> Result<CharterList, SourceError> {
        let path = format!("/log/charters?after={after}");
        let signed = self.request(Method::GET, &path, None)?;
        let answer = match self.answer(signed, MAX_CHARTERS_BYTES).await {
            Err(SourceError::Refused(_)) => {
                let url = Url::parse(&outbound::address_at(&self.address, &path));
                let url = url.map_err(|error| broken(&error))?;
                let request = self.outbound.member_request(Method::GET, &url);
                let request = request.map_err(|error| SourceError::Refused(error.to_string()))?;
                self.answer(request, MAX_CHARTERS_BYTES).await?
            }
            answer => answer?,
        };
        serde_json::from_slice(&answer).map_err(|error| broken(&error))
    }

    /// Tells the peer of charters in force, and of proposals with their approvals.
    ///
    /// # Errors
    /// [`SourceError`]; the caller tells it again later.
    pub async fn tell_charters(&self, ours: &CharterList) -> Result<(), SourceError> {
        let path = format!("/log/{}/charters", self.identity.member);
        let body = Bytes::from(serde_json::to_vec(ours).map_err(|error| broken(&error))?);
        let request = self.request(Method::POST, &path, Some(&body))?;
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        self.small_answer(request).await.map(drop)
    }

    /// Brings the peer more of our own log; answers the size that it holds now.
    ///
    /// # Errors
    /// [`SourceError`]; what was taken before the error stays taken.
    pub async fn push(&self, more: &Extension) -> Result<u64, SourceError> {
        let path = format!("/log/{}/frames", self.identity.member);
        let mut size = None;
        for body in split(more).map_err(|error| SourceError::Broken(error.to_string()))? {
            let request = self.request(Method::POST, &path, Some(&body))?;
            let request = request.header(header::CONTENT_TYPE, frame::MEDIA_TYPE).body(body);
            let answer = self.small_answer(request).await?;
            let answer: SizeAnswer =
                serde_json::from_slice(&answer).map_err(|error| broken(&error))?;
            size = Some(answer.size);
        }
        size.ok_or_else(|| SourceError::Broken("nothing was sent".to_owned()))
    }

    /// Tells the peer how much of each log is effective here.
    ///
    /// # Errors
    /// [`SourceError`]; the caller tells it again later.
    pub async fn receipt(&self, receipt: &Receipt) -> Result<(), SourceError> {
        let path = format!("/log/{}/receipts", self.identity.member);
        let body = serde_json::to_vec(receipt).map_err(|error| broken(&error))?;
        let body = Bytes::from(body);
        let request = self.request(Method::POST, &path, Some(&body))?;
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        self.small_answer(request).await.map(drop)
    }

    /// Asks the peer how much of each log is effective there.
    ///
    /// # Errors
    /// [`SourceError`]; the caller asks again later.
    pub async fn receipts(&self) -> Result<Receipt, SourceError> {
        let path = format!("/log/{}/receipts", self.identity.member);
        let request = self.request(Method::GET, &path, None)?;
        let answer = self.answer(request, MAX_RECEIPTS_BYTES).await?;
        serde_json::from_slice(&answer).map_err(|error| broken(&error))
    }

    /// Tells the peer what we hold of all logs; answers what it holds.
    ///
    /// # Errors
    /// [`SourceError`]; the caller compares again later.
    pub async fn heads(&self, ours: &HeadsExchange) -> Result<HeadsExchange, SourceError> {
        let path = format!("/log/{}/heads", self.identity.member);
        let body = Bytes::from(serde_json::to_vec(ours).map_err(|error| broken(&error))?);
        let request = self.request(Method::POST, &path, Some(&body))?;
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let answer = self.answer(request, MAX_HEADS_BYTES).await?;
        serde_json::from_slice(&answer).map_err(|error| broken(&error))
    }

    /// Asks which records the peer lacks, some of each log. A peer that has no such question lacks none.
    ///
    /// # Errors
    /// [`SourceError`]; the caller asks again later.
    pub async fn lacking(&self) -> Result<LackingAnswer, SourceError> {
        let request = self.request(Method::GET, "/log/lacking", None)?;
        let answer = self.answer_if_found(request, MAX_LACKING_BYTES).await?;
        let answer = answer.map(|answer| serde_json::from_slice(&answer)).transpose();
        Ok(answer.map_err(|error| broken(&error))?.unwrap_or_default())
    }

    /// Brings the peer a record that it lacks; false where it did not take it.
    ///
    /// # Errors
    /// [`SourceError`]
    pub async fn bring(
        &self,
        log: &LogName,
        index: u64,
        record: &Bytes,
    ) -> Result<bool, SourceError> {
        let path = format!("/log/{}/records?index={index}", LogPath::from(log));
        let request = self.request(Method::POST, &path, Some(record))?;
        let request = request.header(header::CONTENT_TYPE, "application/cbor").body(record.clone());
        let answer = self.small_answer(request).await?;
        let answer: TakenAnswer = serde_json::from_slice(&answer).map_err(|e| broken(&e))?;
        Ok(answer.taken)
    }

    async fn small_answer(&self, request: RequestBuilder) -> Result<Bytes, SourceError> {
        self.answer(request, MAX_SMALL_ANSWER_BYTES).await
    }

    /// Sends a request and reads an answer of at most `limit` bytes.
    async fn answer(&self, request: RequestBuilder, limit: usize) -> Result<Bytes, SourceError> {
        let answer = self.answer_if_found(request, limit).await?;
        answer.ok_or_else(|| SourceError::Refused("there is no such thing there".to_owned()))
    }

    /// As [`PeerClient::answer`]; `None` where the peer has no such thing.
    async fn answer_if_found(
        &self,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<Option<Bytes>, SourceError> {
        let response = send_any(request.timeout(REQUEST_TIMEOUT)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = read_body(succeeded(response).await?, limit).await;
        body.map(Some).map_err(|error| SourceError::Unreachable(error.to_string()))
    }

    /// Begins a request for `path`, signed.
    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<RequestBuilder, SourceError> {
        let address = outbound::address_at(&self.address, path);
        let url = Url::parse(&address).map_err(|error| broken(&error))?;
        // What is signed is the address as it goes out, after `Url` has written it in its one form.
        let target_uri = url.as_str();
        let signed = sign(&Outgoing { method: method.as_str(), target_uri, body }, &self.identity);
        let request = self.outbound.member_request(method, &url);
        let request = request
            .map_err(|error| SourceError::Refused(error.to_string()))?
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature);
        Ok(match signed.content_digest {
            Some(digest) => request.header("content-digest", digest),
            None => request,
        })
    }
}

/// Sends a request; anything but success is an error.
async fn send(request: RequestBuilder) -> Result<Response, SourceError> {
    succeeded(send_any(request).await?).await
}

/// Sends a request, whatever status the answer has.
async fn send_any(request: RequestBuilder) -> Result<Response, SourceError> {
    let response = request.send().await;
    response.map_err(|error| SourceError::Unreachable(outbound::reason(&error)))
}

/// Makes an error of an answer that says no.
async fn succeeded(response: Response) -> Result<Response, SourceError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = read_body(response, MAX_SMALL_ANSWER_BYTES).await.unwrap_or_default();
    let why = match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => problem.to_string(),
        Err(_) => status.to_string(),
    };
    Err(if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        SourceError::Unreachable(why)
    } else {
        SourceError::Refused(why)
    })
}

fn broken(error: &dyn std::error::Error) -> SourceError {
    SourceError::Broken(error.to_string())
}
