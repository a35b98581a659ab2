//! The story in words: a hate text with typos, the same words in a news report, a link to something
//! false, and what a government asks for; each member acts by its own policy.

use std::{collections::BTreeMap, fs};

use serde::Serialize;
use watchfire_api::wire::{
    AlertRequest, HashRequest, ScanRequest, SignalJson, Verdict, VerdictKind,
};
use watchfire_signal::commitment::Commitment;

use crate::exit::{Failure, failed};

use super::{
    alerts,
    cast::{Part, Stance},
    expectations::Expectations,
    fleet::Member,
    measure::random_picture,
    platform::{Sight, look_until, sha256},
    story::{Stage, item_id},
};

/// The words that are reported.
const WORDS: &str = "These people are vermin, come to the square tonight and help us to drive every last \
                     one of them out of our town.";
/// The words as others post them: with typos, look-alike letters, signs in between.
const TYPED: [&str; 3] = [
    "Pass it on!! Theese poeple are vermin, come to the sqare tonigt and help us to drivve every last one \
     of them out of our twon",
    "Th3s3 p30ple are v3rmin, c0me to the squ@re t0night and help us to dr1ve every last 0ne of them out \
     of our t0wn >:(",
    "Тhеsе реорlе аrе vеrmin - соmе tо thе squаre t.o.n.i.g.h.t and hlep us to drive evry last one of \
     them out of our town",
];
/// Words about something else.
const OTHER: &str = "These people are wonderful, come to the square on Sunday and help us to carry the last \
                     of the chairs back into the church.";
/// A link to something false.
const LINK: &str = "https://cures.example/bleach";
/// The link as others post it.
const SHARED: &str = "http://www.cures.example/bleach/?utm_source=share&fbclid=x#top";

/// One member's facts about words.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Words {
    /// Verdict on the words with typos before the report.
    pub before: Option<VerdictKind>,
    /// Verdict on them once the case was CONFIRMED.
    pub typed: Option<VerdictKind>,
    /// The estimated percentage of characters that differ.
    pub distance: Option<u32>,
    /// Whether the post with them that was there before is out of sight.
    pub removed: Option<bool>,
    /// Verdict on the same words where the platform says that it is news.
    pub in_news: Option<VerdictKind>,
    /// Verdict on other words at that time.
    pub unrelated: Option<VerdictKind>,
    /// Verdict on the link to something false.
    pub link: Option<VerdictKind>,
    /// What is to be done about it.
    pub link_actions: Vec<String>,
    /// Verdict on what a government asked for.
    pub government: Option<VerdictKind>,
    /// Whether the post was back at the end.
    pub restored: Option<bool>,
}

/// Facts by member.
pub(super) type Facts = BTreeMap<&'static str, Words>;

impl Stage<'_> {
    /// Plays all of it.
    pub(super) async fn words(&self, must: &mut Expectations) -> Result<Facts, Failure> {
        let mut facts = Facts::new();
        for (place, member) in self.fleet.members.iter().enumerate() {
            let verdict = self.post(member, TYPED[place % TYPED.len()]).await?;
            let name = member.player;
            let allowed = verdict.verdict == VerdictKind::Allow;
            must.expect(allowed, format!("{name}: the words are allowed before the report"));
            facts.entry(name.name).or_default().before = Some(verdict.verdict);
        }
        let text = HashRequest { text: Some(WORDS.to_owned()), ..HashRequest::default() };
        let signals = self.fleet.reporter()?.desk.client.hash_words(&text).await?.signals;
        let acts = |member: &&Member| member.player.stance != Stance::ReviewsHate;
        let alert = self.agreed(&alerts::text(WORDS)?, &signals, acts, must).await?;
        for (place, member) in self.fleet.members.iter().enumerate() {
            let words = facts.entry(member.player.name).or_default();
            self.judged(member, TYPED[place % TYPED.len()], words, must).await?;
        }
        self.links(&mut facts, must).await?;
        self.requests(&mut facts, must).await?;
        self.taken_back(&alert, &signals, must).await?;
        for (place, member) in self.fleet.members.iter().enumerate() {
            let wanted = Sight::Shown(sha256(TYPED[place % TYPED.len()].as_bytes()));
            let item = item_id(member, POST)?.to_string();
            let back = look_until(self.out, member, &item, &wanted).await? == wanted;
            must.expect(back, format!("{}: the post is back with the same words", member.player));
            facts.entry(member.player.name).or_default().restored = Some(back);
        }
        Ok(facts)
    }

    /// Somebody posts words; they are shown on the platform.
    async fn post(&self, member: &Member, words: &str) -> Result<Verdict, Failure> {
        let item = item_id(member, POST)?;
        fs::write(member.folder.join(item.to_string()), words)?;
        let scan = ScanRequest { text: Some(words.to_owned()), ..ScanRequest::of(item) };
        Ok(member.desk.client.scan_signals(&scan).await?)
    }

    /// The reporter says something, and those who confirm do; waits until those who act refuse it.
    async fn agreed(
        &self,
        report: &AlertRequest,
        signals: &[SignalJson],
        acts: impl Fn(&&Member) -> bool,
        must: &mut Expectations,
    ) -> Result<Commitment, Failure> {
        let reporter = self.fleet.reporter()?;
        let said =
            self.say(reporter.desk.client.alert(report, None), &[], signals, VerdictKind::Block);
        let said = said.await?;
        let alert = said.answer.id;
        let mut confirmers: Vec<&Member> = self.fleet.with(Part::Confirms).collect();
        self.known(&confirmers, &alert, &said.from).await?;
        let last = confirmers.pop().ok_or_else(|| failed("nobody confirms"))?;
        for confirmer in confirmers {
            alerts::confirm(confirmer, &alert).await?;
        }
        let members: Vec<&Member> = self.fleet.members.iter().filter(acts).collect();
        let say = alerts::confirm(last, &alert);
        let said = self.say(say, &members, signals, VerdictKind::Block).await?;
        for (member, at) in members.iter().zip(&said.answered) {
            must.expect(at.is_some(), format!("{} refuses what was agreed on", member.player));
        }
        Ok(alert)
    }

    /// What a member makes of the words, in and out of the news, and of others.
    async fn judged(
        &self,
        member: &Member,
        typed: &str,
        facts: &mut Words,
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        let name = member.player;
        let looks_first = name.stance == Stance::ReviewsHate;
        let scan = |what: &str, text: &str, context: Option<&str>| {
            let context = context.map(|word| ("context".to_owned(), word.into()));
            let facts = context.into_iter().collect();
            let item = item_id(member, what);
            item.map(|item| ScanRequest {
                text: Some(text.to_owned()),
                facts,
                ..ScanRequest::of(item)
            })
        };
        let again = member.desk.scan_words(&scan("again.txt", typed, None)?).await?;
        let wanted = if looks_first { VerdictKind::Review } else { VerdictKind::Block };
        let verdict = again.verdict;
        must.expect(verdict == wanted, format!("{name}: the words with typos are {verdict:?}"));
        (facts.typed, facts.distance) =
            (Some(verdict), again.reasons.first().map(|reason| reason.distance));
        let news = member.desk.scan_words(&scan("news.txt", typed, Some("news"))?).await?.verdict;
        must.expect(
            news == VerdictKind::Review,
            format!("{name}: the words in the news are {news:?}"),
        );
        facts.in_news = Some(news);
        let other = member.desk.scan_words(&scan("other.txt", OTHER, None)?).await?.verdict;
        must.expect(other == VerdictKind::Allow, format!("{name}: other words are {other:?}"));
        facts.unrelated = Some(other);
        let shown = Sight::Shown(sha256(typed.as_bytes()));
        let wanted = if looks_first { shown } else { Sight::Missing };
        let sight = look_until(self.out, member, item_id(member, POST)?.as_str(), &wanted).await?;
        must.expect(sight == wanted, format!("{name}: the post with the words is {sight:?}"));
        facts.removed = Some(sight == Sight::Missing);
        Ok(())
    }

    /// A link to something false is labelled, and nowhere refused.
    async fn links(&self, facts: &mut Facts, must: &mut Expectations) -> Result<(), Failure> {
        let reporter = self.fleet.reporter()?;
        let link = HashRequest { url: Some(LINK.to_owned()), ..HashRequest::default() };
        let signals = reporter.desk.client.hash_words(&link).await?.signals;
        let report = alerts::link(LINK)?;
        let members: Vec<&Member> = self.fleet.members.iter().collect();
        let say = reporter.desk.client.alert(&report, None);
        let alert = self.say(say, &members, &signals, VerdictKind::Flag).await?.answer.id;
        for member in members {
            let urls = vec![SHARED.to_owned()];
            let scan = ScanRequest { urls, ..ScanRequest::of(item_id(member, "link")?) };
            let Verdict { verdict, actions, .. } = member.desk.scan_words(&scan).await?;
            // Keeping what a person may want to see is no removal.
            let mild =
                actions.iter().all(|action| ["label", "preserve"].contains(&action.as_str()));
            let labelled = actions.iter().any(|action| action == "label");
            let labelled = labelled && mild && verdict == VerdictKind::Flag;
            must.expect(labelled, format!("{}: the link is {actions:?}", member.player));
            let words = facts.entry(member.player.name).or_default();
            (words.link, words.link_actions) = (Some(verdict), actions);
        }
        alerts::retract(reporter, &alert).await?;
        Ok(())
    }

    /// What a government asks for is done but for one that refuses.
    async fn requests(&self, facts: &mut Facts, must: &mut Expectations) -> Result<(), Failure> {
        let signals = random_picture();
        let acts = |member: &&Member| member.player.stance != Stance::RefusesGovernments;
        let request = alerts::request(signals.clone())?;
        let alert = self.agreed(&request, &signals, acts, must).await?;
        for member in &self.fleet.members {
            let refuses = member.player.stance == Stance::RefusesGovernments;
            let wanted = if refuses { VerdictKind::Allow } else { VerdictKind::Block };
            let verdict = member.desk.probe(&signals).await?.verdict;
            let what = format!("{}: what a government asks for is {verdict:?}", member.player);
            must.expect(verdict == wanted, what);
            facts.entry(member.player.name).or_default().government = Some(verdict);
        }
        self.taken_back(&alert, &signals, must).await
    }

    /// All who stood by something take it back; waits until it is allowed everywhere.
    async fn taken_back(
        &self,
        alert: &Commitment,
        signals: &[SignalJson],
        must: &mut Expectations,
    ) -> Result<(), Failure> {
        for confirmer in self.fleet.with(Part::Confirms) {
            alerts::retract(confirmer, alert).await?;
        }
        let members: Vec<&Member> = self.fleet.members.iter().collect();
        let say = alerts::retract(self.fleet.reporter()?, alert);
        let said = self.say(say, &members, signals, VerdictKind::Allow).await?;
        for (member, at) in members.iter().zip(&said.answered) {
            must.expect(at.is_some(), format!("{} allows what was taken back", member.player));
        }
        Ok(())
    }
}

/// The post with the words.
const POST: &str = "post.txt";
