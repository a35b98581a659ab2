//! `watchfire audit`: shows what was done at this member, and checks its desk log.

use clap::{Args, Subcommand};
use watchfire_api::wire::{AuditLine, AuditQuery, DeskQuery, DeskReport};
use watchfire_node::{
    audit::{Filter, page, verify},
    desk::DeskKind,
};
use watchfire_server::views;

use crate::{
    exit::{Answer, Ended, environment},
    node_api::answered,
    output::{Output, count, time},
    reach::{Reach, Reached},
    runtime,
};

/// Lines asked for at once.
const PAGE: usize = 1_000;

/// Look into the desk log: what was done at this member, by whom, when.
///
/// At the running node with a key of the scope audit, or with --dir while the node is stopped.
///
/// Example:
///   watchfire audit list --kind key
///   watchfire audit list --actor person:p0123456789abcdef --limit 20
///   watchfire audit verify --dir ./tiktok
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(crate) enum Audit {
    /// List lines, newest first.
    List(List),
    /// Check the whole desk log against its signed head, and every record against its line. Exit code
    /// 1 on the first thing that is wrong.
    Verify(Verify),
}

/// Which lines.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Reach,
    /// Only lines of this kind: policy, bank, bank_signals, decision, look, key, account, digest,
    /// outcome, outbox or seen.
    #[arg(long)]
    kind: Option<String>,
    /// Only lines of this actor: key:NAME, person:PSEUDONYM or node.
    #[arg(long)]
    actor: Option<String>,
    /// Only lines written at this time or later, in milliseconds since 1970.
    #[arg(long)]
    from_ms: Option<u64>,
    /// Only lines written before this time.
    #[arg(long)]
    to_ms: Option<u64>,
    /// How many lines at most.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// The whole log.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    at: Reach,
    /// That of an epoch before this member got another key, at the running node; the one that is written now
    /// without it.
    #[arg(long)]
    epoch: Option<u32>,
}

/// Runs the command.
pub(crate) fn run(audit: &Audit, output: &Output) -> Ended {
    runtime::block_on(async {
        match audit {
            Audit::List(list) => run_list(list, output).await,
            Audit::Verify(check) => run_verify(check, output).await,
        }
    })?
}

async fn run_list(list: &List, output: &Output) -> Ended {
    let kind = match &list.kind {
        None => None,
        Some(name) => {
            let unknown = || environment(format!("`{name}` is no kind of desk line"));
            Some(DeskKind::of_name(name).ok_or_else(unknown)?)
        }
    };
    let member = list.at.member().await?;
    let (mut before, mut rest) = (None, list.limit);
    while rest > 0 {
        let limit = rest.min(PAGE);
        let (lines, next): (Vec<AuditLine>, Option<u64>) = match &member {
            Reached::Running(client) => {
                let query = AuditQuery {
                    before,
                    limit: Some(limit),
                    kind: list.kind.clone(),
                    actor: list.actor.clone(),
                    from_ms: list.from_ms,
                    to_ms: list.to_ms,
                };
                let page = answered(client.audit(&query).await)?;
                (page.lines, page.next)
            }
            Reached::Stopped(member) => {
                let (from_ms, to_ms) = (list.from_ms, list.to_ms);
                let filter = Filter { kind, actor: list.actor.clone(), from_ms, to_ms };
                let before = before.unwrap_or(u64::MAX);
                let page = page(&member.desk, &filter, before, limit).await?;
                (page.lines.iter().map(views::line).collect(), page.next)
            }
        };
        rest = rest.saturating_sub(lines.len());
        for line in &lines {
            output.answer(line, || text(line))?;
        }
        let Some(next) = next else { break };
        before = Some(next);
    }
    Ok(Answer::Yes)
}

async fn run_verify(check: &Verify, output: &Output) -> Ended {
    let report = match check.at.member().await? {
        Reached::Running(client) => {
            let step = output.step("the node walks its desk log");
            let report = answered(client.verify_desk(&DeskQuery { epoch: check.epoch }).await);
            step.finish_and_clear();
            report?
        }
        Reached::Stopped(_) if check.epoch.is_some() => {
            return Err(environment("an epoch before is asked for at the running node"));
        }
        Reached::Stopped(member) => {
            let bar = output.progress(2, "walking the desk log");
            let mut progress = |done, of| {
                bar.set_length(of);
                bar.set_position(done);
            };
            let report = verify(&member.desk, &mut progress).await;
            bar.finish_and_clear();
            views::report(report)
        }
    };
    output.answer(&report, || found(&report))?;
    Ok(Answer::of(report.sound))
}

fn text(line: &AuditLine) -> String {
    let AuditLine { index, kind, .. } = line;
    let at = time(line.at_ms);
    let actor = line.actor.as_deref().unwrap_or("erased");
    let body = line.body.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{index} {at} {kind} {actor} {body}")
}

fn found(report: &DeskReport) -> String {
    let DeskReport { log, size, root, erased, .. } = report;
    let lines = count(*size, "line");
    let first = match &report.problem {
        None => format!("{log}: {lines}, complete and as signed"),
        Some(problem) => format!("{log}: NOT SOUND after {lines}: {problem}"),
    };
    format!("{first}\nroot {root}\nerased {erased}")
}
