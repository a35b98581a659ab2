//! One member's node, as its platform and its moderators use it: over the API with a key.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use watchfire_api::{
    client::{Client, ClientError},
    outbound::Outbound,
    wire::{EventView, Readiness, ScanQuery, ScanRequest, SignalJson, Verdict, VerdictKind},
};
use watchfire_signal::name::ItemId;

use crate::exit::Failure;

use super::feed::Feed;

/// How long the answer to a scan may take to change; events normally say when.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// How often a node is asked where no event says that it is time.
const POLL: Duration = Duration::from_millis(500);
/// The type of uploads: the node looks into the file, not at its name.
const MEDIA_TYPE: &str = "application/octet-stream";

/// A member's node.
pub(super) struct Desk {
    /// Its API.
    pub client: Client,
    name: &'static str,
    probes: AtomicU64,
}

/// A question that is asked until it is answered as wanted.
pub(super) struct Probe<'a> {
    /// What is scanned.
    pub signals: &'a [SignalJson],
    /// The verdict that is waited for.
    pub wanted: VerdictKind,
    /// The place in the feed from which on events count.
    pub from: usize,
}

impl Desk {
    /// A node that listens at an address.
    pub(super) fn new(
        name: &'static str,
        outbound: &Outbound,
        listen: SocketAddr,
        key: &str,
    ) -> Result<Self, Failure> {
        let client = Client::new(outbound.clone(), &format!("http://{listen}"), Some(key))?;
        Ok(Self { client, name, probes: AtomicU64::new(0) })
    }

    /// Whether the node may sign and has a stream from every member that can be reached.
    pub(super) async fn is_connected(&self) -> bool {
        let ready = self.client.ready().await;
        if !ready.is_ok_and(|ready| ready.readiness == Readiness::Ready) {
            return false;
        }
        let Ok(members) = self.client.members().await else { return false };
        let mut others = members.members.iter().filter(|member| member.name != members.me);
        others.all(|member| member.address.is_none() || member.link_up == Some(true))
    }

    /// Scans a file as an item.
    pub(super) async fn scan_file(
        &self,
        item: &ItemId,
        bytes: Bytes,
    ) -> Result<Verdict, ClientError> {
        let query = ScanQuery { item: Some(item.clone()), signals: true, ..ScanQuery::default() };
        self.client.scan_bytes(&query, MEDIA_TYPE, bytes).await
    }

    /// The signals of a file.
    pub(super) async fn hash(&self, bytes: Bytes) -> Result<Vec<SignalJson>, ClientError> {
        Ok(self.client.hash(MEDIA_TYPE, bytes).await?.signals)
    }

    /// Scans words as an item that is not kept unless it is allowed or refused for good.
    pub(super) async fn scan_words(&self, scan: &ScanRequest) -> Result<Verdict, ClientError> {
        let verdict = self.client.scan_signals(scan).await?;
        if verdict.verdict != VerdictKind::Block {
            self.client.forget(&scan.item).await?;
        }
        Ok(verdict)
    }

    /// Scans signals as an upload that is not kept.
    pub(super) async fn probe(&self, signals: &[SignalJson]) -> Result<Verdict, Failure> {
        let number = self.probes.fetch_add(1, Ordering::Relaxed);
        let item: ItemId = format!("{}-probe-{number}", self.name).parse()?;
        let scan = ScanRequest { signals: signals.to_vec(), ..ScanRequest::of(item.clone()) };
        let verdict = self.client.scan_signals(&scan).await?;
        if verdict.verdict != VerdictKind::Block {
            // What was not refused counts as held from now on; this one was only a question.
            let client = self.client.clone();
            tokio::spawn(async move { client.forget(&item).await });
        }
        Ok(verdict)
    }

    /// When the node first answers a probe as wanted: asked whenever an event of a case hints that
    /// it may, and now and then without. `None` if it does not in time.
    pub(super) async fn answers(
        &self,
        feed: &Feed,
        probe: &Probe<'_>,
    ) -> Result<Option<Instant>, Failure> {
        let end = Instant::now() + ANSWER_WAIT;
        let mut from = probe.from;
        while Instant::now() < end {
            let hint = |event: &EventView| is_hint(event, probe.wanted);
            if let Some(moment) = feed.first(from, Instant::now() + POLL, hint).await {
                from = moment.place + 1;
            }
            if self.probe(probe.signals).await?.verdict == probe.wanted {
                return Ok(Some(Instant::now()));
            }
        }
        Ok(None)
    }
}

/// Whether an event says that a case now leads, or no longer leads, to a refusal.
fn is_hint(event: &EventView, wanted: VerdictKind) -> bool {
    let field = |name: &str| event.more.get(name);
    let blocks = field("blocks").and_then(serde_json::Value::as_bool);
    let state = field("state").and_then(serde_json::Value::as_str);
    event.event == "case"
        && match wanted {
            VerdictKind::Block => blocks == Some(true),
            _ => state == Some("RETRACTED"),
        }
}
