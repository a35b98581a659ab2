//! The story of the demo: uploads, a report, confirmations, removals, a refused re-upload, and the
//! way back.

use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use futures_util::future::{try_join, try_join_all};
use tokio::{sync::Semaphore, time::Instant};
use watchfire_api::{
    client::ClientError,
    outbound::Outbound,
    wire::{EventView, SignalJson, State, Verdict, VerdictKind},
};
use watchfire_signal::{alert::ContentKind, commitment::Commitment, name::ItemId};

use crate::exit::{Failure, failed};

use super::{
    alerts,
    cast::{CAST, Part},
    desk::Probe,
    expectations::Expectations,
    feed::Feed,
    fleet::{Fleet, Member},
    platform::{Sight, look, look_until, sha256},
    reel::Reel,
    report::Row,
};

/// Videos that are sent at the same time; decoding more would only make all of them slow.
const VIDEOS_AT_ONCE: usize = 2;

/// The clips as bytes.
pub(super) struct Clips {
    /// The clip that is reported.
    pub original: Bytes,
    reupload: Bytes,
    copies: Vec<Bytes>,
    splice: Bytes,
    unrelated: Vec<Bytes>,
}

/// Everything on stage.
pub(super) struct Stage<'a> {
    /// The ten.
    pub fleet: &'a Fleet,
    /// What each node tells, by member.
    pub feeds: &'a BTreeMap<&'static str, Feed>,
    /// The clips.
    pub clips: &'a Clips,
    /// The way to the platforms.
    pub out: &'a Outbound,
    /// The folder of everything.
    pub place: &'a Path,
}

/// An item that stands on a platform.
struct Posted<'a> {
    member: &'a Member,
    item: String,
    sha256: [u8; 32],
    of_the_clip: bool,
}

/// What came of something that was said.
pub(super) struct Said<T> {
    /// Where each feed stood before.
    pub from: BTreeMap<&'static str, usize>,
    /// When the request was about to be sent.
    pub clock: Instant,
    /// What the node answered.
    pub answer: T,
    /// When it did.
    pub acknowledged: Instant,
    /// When each member answered a scan as wanted, in the order asked.
    pub answered: Vec<Option<Instant>>,
}

/// What the acts have found so far.
pub(super) struct Told<'a> {
    /// A row for each of the ten.
    pub rows: BTreeMap<&'static str, Row>,
    /// How long hashing the reported clip took on the reporter's node.
    pub hash_ms: f64,
    posted: Vec<Posted<'a>>,
    reupload_signals: Vec<SignalJson>,
    alert: Option<Commitment>,
}

impl Clips {
    /// Reads them.
    pub(super) fn read(reel: &Reel) -> Result<Self, Failure> {
        let read = |path: &Path| fs::read(path).map(Bytes::from);
        Ok(Self {
            original: read(&reel.original)?,
            reupload: read(&reel.reupload)?,
            copies: reel.copies.iter().map(|path| read(path)).collect::<Result<_, _>>()?,
            splice: read(&reel.splice)?,
            unrelated: reel.unrelated.iter().map(|path| read(path)).collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> Stage<'a> {
    /// The curtain is still down.
    pub(super) fn open(&self) -> Told<'a> {
        let rows = CAST.iter().map(|player| (player.name, Row::new(player.name)));
        Told {
            rows: rows.collect(),
            hash_ms: 0.0,
            posted: Vec::new(),
            reupload_signals: Vec::new(),
            alert: None,
        }
    }

    /// What a member's node tells.
    pub(super) fn feed(&self, member: &Member) -> Result<&Feed, Failure> {
        let feed = self.feeds.get(member.player.name);
        feed.ok_or_else(|| failed(format!("nobody listens to {}", member.player)))
    }

    /// Act 1: everything is uploaded, and allowed. The edited copy is uploaded too, and its
    /// uploader deletes it again.
    pub(super) async fn uploads(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let turn = Semaphore::new(VIDEOS_AT_ONCE);
        let mut copies = self.clips.copies.iter();
        let mut uploads = Vec::new();
        for (number, member) in self.fleet.members.iter().enumerate() {
            let other = &self.clips.unrelated[number % self.clips.unrelated.len()];
            uploads.push(self.upload(member, "unrelated.mp4", other, &turn));
            if member.player.part == Part::Reports {
                uploads.push(self.upload(member, "original.mp4", &self.clips.original, &turn));
            }
            if member.player.holds_copy
                && let Some(copy) = copies.next()
            {
                uploads.push(self.upload(member, "copy.mp4", copy, &turn));
            }
        }
        for (posted, verdict) in try_join_all(uploads).await? {
            let (member, item) = (posted.member.player, &posted.item);
            must.expect(verdict == VerdictKind::Allow, format!("{member}: {item} is {verdict:?}"));
            told.posted.push(posted);
        }
        let before = self.fleet.members.iter().map(|member| self.reupload(member, "before", &turn));
        for (member, verdict) in try_join_all(before).await? {
            let allowed = verdict.verdict == VerdictKind::Allow;
            must.expect(allowed, format!("{}: the edited copy is allowed before", member.player));
            self.row(told, member)?.reupload_before = Some(verdict.verdict);
            told.reupload_signals = verdict.signals.unwrap_or_default();
            member.desk.client.forget(&item_id(member, "before")?).await?;
        }
        let seen = !told.reupload_signals.is_empty();
        must.expect(seen, "the scan of the edited copy lists its signals");
        Ok(())
    }

    /// An item comes in by its bytes; what is allowed is shown on the platform.
    async fn upload(
        &self,
        member: &'a Member,
        name: &str,
        bytes: &Bytes,
        turn: &Semaphore,
    ) -> Result<(Posted<'a>, VerdictKind), Failure> {
        let _turn = turn.acquire().await?;
        let item = item_id(member, name)?;
        let verdict = member.desk.scan_file(&item, bytes.clone()).await?;
        let item = item.to_string();
        fs::write(member.folder.join(&item), bytes)?;
        let of_the_clip = name != "unrelated.mp4";
        let posted = Posted { member, item, sha256: sha256(bytes), of_the_clip };
        Ok((posted, verdict.verdict))
    }

    async fn reupload(
        &self,
        member: &'a Member,
        when: &str,
        turn: &Semaphore,
    ) -> Result<(&'a Member, Verdict), Failure> {
        let _turn = turn.acquire().await?;
        let bytes = self.clips.reupload.clone();
        Ok((member, member.desk.scan_file(&item_id(member, when)?, bytes).await?))
    }

    /// A minute of an unrelated clip with a part of the reported one in it is uploaded.
    async fn splice(
        &self,
        member: &'a Member,
        turn: &Semaphore,
    ) -> Result<(&'a Member, Verdict), Failure> {
        let _turn = turn.acquire().await?;
        let bytes = self.clips.splice.clone();
        Ok((member, member.desk.scan_file(&item_id(member, "splice.mp4")?, bytes).await?))
    }

    /// Act 2: a moderator of the reporter looks and reports; those who trust it act at once.
    pub(super) async fn reports(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let reporter = self.fleet.reporter()?;
        let hashing = Instant::now();
        let signals = reporter.desk.hash(self.clips.original.clone()).await?;
        told.hash_ms = ms(hashing, Instant::now());
        let report = alerts::report(Some(ContentKind::Video), signals)?;
        let first = self.fleet.members.iter();
        let first = first.filter(|one| matches!(one.player.part, Part::Reports | Part::Trusts));
        let first: Vec<_> = first.collect();
        let say = reporter.desk.client.alert(&report, None);
        let said = self.say(say, &first, &told.reupload_signals, VerdictKind::Block).await?;
        self.effective(told, must, &first, &said)?;
        told.alert = Some(said.answer.id);
        self.received(told, must, &said.answer.id, (&said.from, said.clock)).await?;
        let confirmers: Vec<_> = self.fleet.with(Part::Confirms).collect();
        self.known(&confirmers, &said.answer.id, &said.from).await?;
        for other in self.fleet.with(Part::Follows) {
            let verdict = other.desk.probe(&told.reupload_signals).await?.verdict;
            let calm = verdict != VerdictKind::Block;
            must.expect(calm, format!("{} does not block before it is CONFIRMED", other.player));
        }
        Ok(())
    }

    /// Act 3: the moderators of two members look at their own copies and confirm; all others act.
    pub(super) async fn confirmations(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let alert = told.alert.ok_or_else(|| failed("nothing was reported"))?;
        let confirmers: Vec<_> = self.fleet.with(Part::Confirms).collect();
        for (number, confirmer) in confirmers.iter().enumerate() {
            let mut act = vec![*confirmer];
            if number + 1 == confirmers.len() {
                act.extend(self.fleet.with(Part::Follows));
            }
            let say = alerts::confirm(confirmer, &alert);
            let said = self.say(say, &act, &told.reupload_signals, VerdictKind::Block).await?;
            self.effective(told, must, &act, &said)?;
        }
        Ok(())
    }

    /// Waits until members know an alert: nobody can answer what has not arrived.
    pub(super) async fn known(
        &self,
        members: &[&Member],
        alert: &Commitment,
        from: &BTreeMap<&'static str, usize>,
    ) -> Result<(), Failure> {
        let name = alert.to_string();
        let fits = |event: &EventView| {
            let set = event.more.get("set").and_then(serde_json::Value::as_str);
            event.event == "case" && set == Some(&name)
        };
        for member in members {
            let from = from.get(member.player.name).copied().unwrap_or(0);
            let until = Instant::now() + super::RECEIVE_WAIT;
            if self.feed(member)?.first(from, until, fits).await.is_none() {
                return Err(failed(format!("{} does not come to know {alert}", member.player)));
            }
        }
        Ok(())
    }

    /// Notes how long after something was said each member refused the edited copy.
    fn effective<T>(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
        members: &[&Member],
        said: &Said<T>,
    ) -> Result<(), Failure> {
        for (member, at) in members.iter().zip(&said.answered) {
            must.expect(at.is_some(), format!("{} refuses the edited copy", member.player));
            self.row(told, member)?.effective_ms = at.map(|at| ms(said.clock, at));
        }
        Ok(())
    }

    /// Says something at one node, and waits until members answer a scan as wanted. The clock starts
    /// before the request is sent.
    pub(super) async fn say<T>(
        &self,
        say: impl Future<Output = Result<T, ClientError>>,
        members: &[&Member],
        signals: &[SignalJson],
        wanted: VerdictKind,
    ) -> Result<Said<T>, Failure> {
        let from = self.places();
        let clock = Instant::now();
        let answers = try_join_all(members.iter().map(async |member| {
            let from = from.get(member.player.name).copied().unwrap_or(0);
            let probe = Probe { signals, wanted, from };
            member.desk.answers(self.feed(member)?, &probe).await
        }));
        let say = async { Ok::<_, Failure>((say.await?, Instant::now())) };
        let ((answer, acknowledged), answered) = try_join(say, answers).await?;
        Ok(Said { from, clock, answer, acknowledged, answered })
    }

    /// Notes when each member had the alert durably.
    async fn received(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
        alert: &Commitment,
        (from, clock): (&BTreeMap<&'static str, usize>, Instant),
    ) -> Result<(), Failure> {
        let name = alert.to_string();
        let fits = |event: &EventView| {
            let commitment = event.more.get("commitment").and_then(serde_json::Value::as_str);
            event.event == "received" && commitment == Some(&name)
        };
        for member in &self.fleet.members {
            let from = from.get(member.player.name).copied().unwrap_or(0);
            let until = Instant::now() + super::RECEIVE_WAIT;
            let moment = self.feed(member)?.first(from, until, fits).await;
            must.expect(moment.is_some(), format!("{} receives the alert", member.player));
            self.row(told, member)?.received_ms = moment.map(|moment| ms(clock, moment.at));
        }
        Ok(())
    }

    /// Act 4: every copy is gone from sight, and nothing else is.
    pub(super) async fn removals(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let posted = std::mem::take(&mut told.posted);
        for post in &posted {
            let what = format!("{}: {}", post.member.player, post.item);
            if post.of_the_clip {
                let sight = look_until(self.out, post.member, &post.item, &Sight::Missing).await?;
                must.expect(sight == Sight::Missing, format!("{what} is removed, not {sight:?}"));
                let row = self.row(told, post.member)?;
                row.copies_removed += u64::from(sight == Sight::Missing);
            } else {
                let sight = look(self.out, post.member, &post.item).await?;
                let there = sight == Sight::Shown(post.sha256);
                must.expect(there, format!("{what} is still there, not {sight:?}"));
            }
        }
        told.posted = posted;
        Ok(())
    }

    /// Act 5: the edited copy is uploaded again and refused, and so is what has a part of the clip in it;
    /// an unrelated clip is not.
    pub(super) async fn reuploads(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let turn = Semaphore::new(VIDEOS_AT_ONCE);
        let again = self.fleet.members.iter().map(|member| self.reupload(member, "again", &turn));
        let alert = told.alert;
        for (member, verdict) in try_join_all(again).await? {
            let name = member.player;
            let refused = verdict.verdict == VerdictKind::Block;
            must.expect(refused, format!("{name}: the edited copy is {:?}", verdict.verdict));
            let reason = verdict.reasons.iter().find(|reason| Some(reason.record) == alert);
            let state = reason.map(|reason| reason.state);
            must.expect(state == Some(State::Confirmed), format!("{name}: the case is {state:?}"));
            let span = reason.and_then(|reason| reason.query_span_ms);
            let row = self.row(told, member)?;
            row.reupload = Some(verdict.verdict);
            row.state = state;
            row.matched_ms = span.map(|span| u64::from(span.end_ms - span.start_ms));
        }
        let splices = self.fleet.members.iter().map(|member| self.splice(member, &turn));
        for (member, verdict) in try_join_all(splices).await? {
            let refused = verdict.verdict == VerdictKind::Block;
            let player = member.player;
            must.expect(refused, format!("{player}: the spliced clip is {:?}", verdict.verdict));
            let span = verdict.reasons.iter().find_map(|reason| reason.query_span_ms);
            // It begins half a minute in, wherever in the clip its first aligned frame is.
            let place = span.is_some_and(|span| (28_000..36_000).contains(&span.start_ms));
            must.expect(place, format!("{player}: the splice is found at {span:?}"));
            let row = self.row(told, member)?;
            row.splice = Some(verdict.verdict);
            row.splice_ms = span.map(|span| u64::from(span.end_ms - span.start_ms));
        }
        let clip = &self.clips.unrelated[0];
        let unrelated = self
            .fleet
            .members
            .iter()
            .map(|one| self.upload(one, "unrelated-again.mp4", clip, &turn));
        for (posted, verdict) in try_join_all(unrelated).await? {
            let name = posted.member.player;
            must.expect(verdict == VerdictKind::Allow, format!("{name}: unrelated is {verdict:?}"));
            self.row(told, posted.member)?.unrelated = Some(verdict);
        }
        Ok(())
    }

    /// Act 6: the reporter, then those who confirmed, retract; the edited copy is allowed again.
    pub(super) async fn retractions(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let alert = told.alert.ok_or_else(|| failed("nothing was reported"))?;
        alerts::retract(self.fleet.reporter()?, &alert).await?;
        let mut confirmers: Vec<_> = self.fleet.with(Part::Confirms).collect();
        let last = confirmers.pop().ok_or_else(|| failed("nobody confirmed"))?;
        for confirmer in confirmers {
            alerts::retract(confirmer, &alert).await?;
        }
        let members: Vec<&Member> = self.fleet.members.iter().collect();
        let say = alerts::retract(last, &alert);
        let said = self.say(say, &members, &told.reupload_signals, VerdictKind::Allow).await?;
        for (member, at) in members.into_iter().zip(&said.answered) {
            must.expect(at.is_some(), format!("{} allows the edited copy again", member.player));
            self.row(told, member)?.retracted_ms = at.map(|at| ms(said.clock, at));
        }
        Ok(())
    }

    /// Act 7: what was removed is back, byte for byte, and the edited copy can be uploaded.
    pub(super) async fn restores(
        &self,
        told: &mut Told<'a>,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let posted = std::mem::take(&mut told.posted);
        for post in posted.iter().filter(|post| post.of_the_clip) {
            let wanted = Sight::Shown(post.sha256);
            let sight = look_until(self.out, post.member, &post.item, &wanted).await?;
            let what = format!("{}: {}", post.member.player, post.item);
            must.expect(sight == wanted, format!("{what} is back with the same bytes"));
            self.row(told, post.member)?.restored += u64::from(sight == wanted);
        }
        told.posted = posted;
        let turn = Semaphore::new(VIDEOS_AT_ONCE);
        let after = self.fleet.members.iter().map(|member| self.reupload(member, "after", &turn));
        for (member, verdict) in try_join_all(after).await? {
            let allowed = verdict.verdict == VerdictKind::Allow;
            must.expect(allowed, format!("{}: the same upload is allowed again", member.player));
        }
        Ok(())
    }

    /// Where each feed stands now.
    fn places(&self) -> BTreeMap<&'static str, usize> {
        self.feeds.iter().map(|(name, feed)| (*name, feed.here())).collect()
    }

    fn row<'t>(&self, told: &'t mut Told<'a>, member: &Member) -> Result<&'t mut Row, Failure> {
        let name = member.player.name;
        told.rows.get_mut(name).ok_or_else(|| failed(format!("{name} has no row")))
    }
}

/// The platform's id of an item: also its file name.
pub(super) fn item_id(member: &Member, name: &str) -> Result<ItemId, Failure> {
    Ok(format!("{}-{name}", member.player).parse()?)
}

/// Milliseconds between two moments.
pub(super) fn ms(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}
