//! `watchfire demo`: ten members on this machine, a real video, words, and the whole story of an alert.
//!
//! **Invariant:** every number that is printed was measured in this run.

mod alerts;
mod cast;
mod child;
mod desk;
mod expectations;
mod feed;
mod fleet;
mod measure;
mod platform;
mod reel;
mod report;
mod story;
mod words;

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::Instant;
use watchfire_api::wire::VerdictKind;
use watchfire_signal::name::MemberName;

use crate::{
    exit::{Answer, Ended, Failure, environment, failed},
    network::way_out,
    output::Output,
    runtime,
};

use self::{
    cast::{CAST, Part},
    expectations::Expectations,
    feed::Feed,
    fleet::{Fleet, Plan},
    measure::{Times, measure},
    reel::Wanted,
    report::{Percentiles, Report, Stages},
    story::{Clips, Stage, ms},
};

/// How long an alert may take to arrive at a member.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);
/// How often the disk is asked to make something durable.
const SYNCS: usize = 100;
/// What the demo may reach: itself.
const LOOPBACK: [&str; 1] = ["127.0.0.0/8"];

/// Start ten members on this machine and play the story of an alert.
///
/// Ten nodes (tiktok, facebook, instagram, google, youtube, twitter, twitch, snapchat, pinterest,
/// reddit) run as ten processes with keys, stores and ports of their own. A clip stands on some of
/// their platforms; tiktok reports it; two members trust tiktok and act at once; two that hold a copy
/// confirm, and all others act. Copies are removed, an edited re-upload is refused everywhere, an
/// unrelated clip is not; then everything is taken back. The same with words: a hate text is refused
/// with typos, by one member looked at first, and in a news report by all; a link to something false is
/// labelled and nowhere removed; one member does not do what a government asks for. Exit code 1 if
/// anything is not as it must be.
///
/// Example:
///   watchfire demo
///   watchfire demo --media clip.mp4 --keep
///   watchfire demo --json --alerts 20
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Demo {
    /// A video of your own to report, its first minute if it is longer; otherwise a published or
    /// packaged clip is looked for.
    #[arg(long)]
    media: Option<PathBuf>,
    /// The folder of the published conformance set, which has `vpdq/videos`.
    #[arg(long, env = "WATCHFIRE_CONFORMANCE", hide_env_values = true)]
    conformance: Option<PathBuf>,
    /// Alerts that the percentiles come from.
    #[arg(long, default_value_t = 200)]
    alerts: usize,
    /// Leave the ten members running, and their data where it is.
    #[arg(long)]
    keep: bool,
    /// The member that nobody can reach: it opens all streams itself, as one behind NAT does.
    #[arg(long)]
    nat: Option<MemberName>,
    /// A member that trusts tiktok although the story has it wait for the confirmation: the demo fails.
    #[arg(long, hide = true)]
    also_trusts: Option<MemberName>,
}

/// Runs the command.
pub(crate) fn run(demo: &Demo, output: &Output) -> Ended {
    for named in [&demo.nat, &demo.also_trusts].into_iter().flatten() {
        if !CAST.iter().any(|player| player.name == named.as_str()) {
            return Err(environment(format!("{named} is not one of the ten")));
        }
    }
    let place = tempfile::Builder::new().prefix("watchfire-demo-").tempdir()?;
    let (report, kept) = runtime::start()?.block_on(async {
        // When the play is dropped, its processes end.
        tokio::select! {
            ended = play(demo, place.path(), output) => ended,
            signal = runtime::stopped() => {
                signal?;
                Err(failed("interrupted"))
            }
        }
    })?;
    let kept = kept.map(|kept| kept.leaving(place.keep()));
    output.answer(&Shown { report: &report, kept: kept.as_ref() }, || {
        let kept = kept.as_ref().map(Kept::text).unwrap_or_default();
        format!("{}{kept}", report.text())
    })?;
    Ok(Answer::of(report.failed.is_empty()))
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'a Kept>,
}

/// What runs on after the demo.
#[derive(Debug, Serialize)]
struct Kept {
    directory: PathBuf,
    nodes: Vec<Node>,
    pids: Vec<u32>,
    /// The command that ends them and removes what they have written.
    stop: String,
}

#[derive(Debug, Serialize)]
struct Node {
    name: &'static str,
    address: String,
    platform: String,
    api_key: String,
}

impl Kept {
    fn of(fleet: &Fleet) -> Self {
        let nodes = fleet.members.iter().map(|member| Node {
            name: member.player.name,
            address: format!("http://{}", member.listen),
            platform: format!("http://{}", member.platform),
            api_key: member.api_key.clone(),
        });
        let (directory, stop) = (PathBuf::new(), String::new());
        Self { directory, nodes: nodes.collect(), pids: fleet.pids(), stop }
    }

    /// With what they have written, which stays in a directory.
    fn leaving(self, directory: PathBuf) -> Self {
        let pids: Vec<_> = self.pids.iter().map(u32::to_string).collect();
        // They take a moment to end, and remove files of their own meanwhile.
        let stop = format!("kill {} && sleep 3 && rm -rf {}", pids.join(" "), directory.display());
        Self { directory, stop, ..self }
    }

    fn text(&self) -> String {
        let mut lines = vec![String::new(), String::new(), "The ten run on:".to_owned()];
        for Node { name, address, platform, api_key } in &self.nodes {
            lines.push(format!("  {name:<10} {address}  platform {platform}  key {api_key}"));
        }
        lines.push(format!("Stop them with: {}", self.stop));
        lines.join("\n")
    }
}

async fn play(
    demo: &Demo,
    place: &Path,
    output: &Output,
) -> Result<(Report, Option<Kept>), Failure> {
    let step = Step::begin(output, "choosing the clips");
    let wanted = Wanted { media: demo.media.clone(), conformance: demo.conformance.clone() };
    let reel = reel::choose(&wanted, &place.join("clips")).await?;
    let clips = Clips::read(&reel)?;
    step.end(&reel.source);
    let step = Step::begin(output, "founding the coalition and starting ten members");
    let out = way_out(&LOOPBACK, &[])?;
    let (nat, also_trusts) = (demo.nat.as_ref(), demo.also_trusts.as_ref());
    let plan = Plan { place, nat, also_trusts, keep: demo.keep, out: &out };
    let fleet = Fleet::start(&plan).await?;
    step.end(&addresses(&fleet));
    let feeds = fleet.members.iter();
    let feeds = feeds.map(|one| (one.player.name, Feed::open(one.desk.client.clone()))).collect();
    let stage = Stage { fleet: &fleet, feeds: &feeds, clips: &clips, out: &out, place };
    let report = perform(demo, &stage, output, reel.source).await?;
    drop(feeds);
    if demo.keep {
        let kept = Kept::of(&fleet);
        fleet.detach();
        return Ok((report, Some(kept)));
    }
    fleet.stop().await;
    Ok((report, None))
}

/// Plays all acts and puts together what they found.
async fn perform(
    demo: &Demo,
    stage: &Stage<'_>,
    output: &Output,
    media: String,
) -> Result<Report, Failure> {
    let mut must = Expectations::default();
    let must = &mut must;
    let mut told = stage.open();
    let step = Step::begin(output, "uploads: copies on three members, unrelated clips on all");
    stage.uploads(&mut told, must).await?;
    step.end("all allowed");
    let step = Step::begin(output, "tiktok reports the clip; twitch and reddit trust it");
    stage.reports(&mut told, must).await?;
    step.end("");
    let step = Step::begin(output, "youtube and pinterest looked at their copies and confirm");
    stage.confirmations(&mut told, must).await?;
    step.end("");
    let step = Step::begin(output, "the copies are removed; an edited copy is uploaded again");
    stage.removals(&mut told, must).await?;
    stage.reuploads(&mut told, must).await?;
    step.end("");
    let step = Step::begin(output, "all three retract; what was removed comes back");
    stage.retractions(&mut told, must).await?;
    stage.restores(&mut told, must).await?;
    step.end("");
    let step = Step::begin(
        output,
        "words, a link and a government's request, each by the member's own policy",
    );
    for (name, words) in stage.words(must).await? {
        told.rows.entry(name).and_modify(|row| row.words = words);
    }
    step.end("");
    let bar = output.progress(demo.alerts as u64, "alerts of random pictures, one by one");
    let times = measure(stage, demo.alerts, &bar, must).await?;
    bar.finish_and_clear();
    let with_bytes = with_bytes(stage, must).await?;
    let sync = sync_times(stage.place)?;
    let rows = CAST.iter().filter_map(|player| told.rows.remove(player.name)).collect();
    Ok(Report {
        media,
        members: rows,
        hash_ms: told.hash_ms,
        report_with_bytes_ms: with_bytes,
        failed: must.failed().to_vec(),
        sync,
        ..measured(times)
    })
}

/// The part of the report that comes from the measurement.
fn measured(times: Times) -> Report {
    let Times { alerts, trusting, confirmed, own, retracted, stages } = times;
    let all = Percentiles::of(trusting.iter().chain(&confirmed).copied().collect());
    Report {
        media: String::new(),
        members: Vec::new(),
        alerts,
        p50_ms: all.map(|all| all.p50_ms),
        p99_ms: all.map(|all| all.p99_ms),
        trusting: Percentiles::of(trusting),
        confirmed: Percentiles::of(confirmed),
        own: Percentiles::of(own),
        retraction: Percentiles::of(retracted),
        stages: Stages {
            acknowledged: Percentiles::of(stages.acknowledged),
            received: Percentiles::of(stages.received),
            folded: Percentiles::of(stages.folded),
            probed: Percentiles::of(stages.probed),
        },
        sync: None,
        hash_ms: 0.0,
        report_with_bytes_ms: None,
        failed: Vec::new(),
    }
}

/// How long this disk takes to make 4 KiB durable: what each of the two commits on the way of an alert costs at least.
fn sync_times(place: &Path) -> std::io::Result<Option<Percentiles>> {
    let path = place.join("sync");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(ms(began, Instant::now()));
    }
    std::fs::remove_file(path)?;
    Ok(Percentiles::of(times))
}

/// Reports the clip once more, by its file: how long until those who trust the reporter refuse it.
async fn with_bytes(stage: &Stage<'_>, must: &mut Expectations) -> Result<Option<f64>, Failure> {
    let reporter = stage.fleet.reporter()?;
    let signals = reporter.desk.hash(stage.clips.original.clone()).await?;
    let report = alerts::report(None, Vec::new())?;
    let trusting: Vec<_> = stage.fleet.with(Part::Trusts).collect();
    let say = reporter.desk.client.alert_media(&report, stage.clips.original.clone(), None);
    let said = stage.say(say, &trusting, &signals, VerdictKind::Block).await?;
    let all = said.answered.iter().all(Option::is_some);
    must.expect(all, "those who trust refuse what was reported by its file");
    alerts::retract(reporter, &said.answer.id).await?;
    let last = said.answered.iter().flatten().max();
    Ok(last.map(|last| ms(said.clock, *last)))
}

fn addresses(fleet: &Fleet) -> String {
    let each = fleet.members.iter().map(|one| format!("{} {}", one.player, one.listen));
    each.collect::<Vec<_>>().join(", ")
}

/// One step of the demo, for who watches.
struct Step {
    spinner: ProgressBar,
    what: &'static str,
    began: Instant,
}

impl Step {
    fn begin(output: &Output, what: &'static str) -> Self {
        Self { spinner: output.step(what), what, began: Instant::now() }
    }

    fn end(self, found: &str) {
        let Self { spinner, what, began } = self;
        let seconds = began.elapsed().as_secs_f64();
        let colon = if found.is_empty() { "" } else { ": " };
        spinner.finish_with_message(format!("{what} ({seconds:.1} s){colon}{found}"));
    }
}

/// A webhook secret in its text form.
fn webhook_secret(bytes: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(bytes))
}
