//! Reads the desk log for whoever audits this member: page by page, or all of it against its head.
//!
//! **Invariant:** one page costs a bounded number of lines, however few of them are asked for.
//! **Invariant:** a person who reads the desk log stands in it, once a session and hour.

use std::sync::Arc;

use thiserror::Error;
use watchfire_store::StoreError;
use watchfire_tlog::audit;

use crate::{
    access::{Access, Caller},
    desk::{Desk, DeskKind, WriteError, Written},
};

/// Lines read for one page.
const MAX_READ: u64 = 20_000;
/// Lines read at once.
const STEP: u64 = 512;

/// Which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<DeskKind>,
    /// Of this actor, as it stands in the line.
    pub actor: Option<String>,
    /// Written at this time or later, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Written before this time.
    pub to_ms: Option<u64>,
}

impl Filter {
    fn fits(&self, line: &Written) -> bool {
        let actor = line.record.as_ref().map(|record| record.actor.as_str());
        self.kind.is_none_or(|kind| line.kind == kind)
            && self.actor.as_deref().is_none_or(|wanted| actor == Some(wanted))
            && self.from_ms.is_none_or(|from| line.at_ms >= from)
            && self.to_ms.is_none_or(|to| line.at_ms < to)
    }
}

/// Lines, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The lines; few, even none, where few of many fit.
    pub lines: Vec<Written>,
    /// Before which index the next page begins; nothing at the beginning of the log.
    pub next: Option<u64>,
}

/// Why a page is not shown.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The look could not be written down.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows a caller up to `limit` lines before index `before`, newest first; a person's look is durable
/// before it answers.
///
/// # Errors
/// [`AuditError`]; nothing is shown then.
pub async fn look(
    access: &Arc<Access>,
    desk: &Desk,
    caller: &Caller,
    (filter, before, limit): (&Filter, u64, usize),
) -> Result<Page, AuditError> {
    if let Some(session) = caller.session {
        access.note_look(session, "audit").await?;
    }
    Ok(page(desk, filter, before, limit).await?)
}

/// Up to `limit` lines before index `before`, newest first.
///
/// # Errors
/// The store's.
pub async fn page(
    desk: &Desk,
    filter: &Filter,
    before: u64,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut end = before.min(desk.size().await?);
    let least = end.saturating_sub(MAX_READ);
    let mut lines = Vec::new();
    while end > least && lines.len() < limit {
        let from = end.saturating_sub(STEP).max(least);
        let mut step = desk.read_all(from, end).await?;
        step.retain(|line| filter.fits(line));
        lines.extend(step.into_iter().rev());
        end = from;
    }
    if lines.len() > limit {
        lines.truncate(limit);
        end = lines.last().map_or(end, |line| line.index);
    }
    Ok(Page { lines, next: (end > 0).then_some(end) })
}

/// What a walk through the whole desk log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The log.
    pub log: String,
    /// Lines.
    pub size: u64,
    /// Its root, as text.
    pub root: String,
    /// Lines whose record was erased.
    pub erased: u64,
    /// The first thing that is wrong; nothing: every line is there, as signed, and every record is
    /// that of its line.
    pub problem: Option<String>,
}

/// Walks the whole desk log: every line against the signed head, every record against its line.
/// `progress` is told how many lines are done and how many there are.
pub async fn verify(desk: &Desk, progress: &mut (dyn FnMut(u64, u64) + Send)) -> Report {
    let found = audit(&*desk.source(), desk.origin(), desk.key(), progress).await;
    let mut report = Report {
        log: desk.origin().to_string(),
        size: found.size,
        root: found.root.to_string(),
        erased: 0,
        problem: found.problem.as_ref().map(ToString::to_string),
    };
    let mut next = 0;
    while report.problem.is_none() && next < report.size {
        // Reading opens every record by the commitment in its line.
        match desk.read_all(next, report.size.min(next + STEP)).await {
            Ok(lines) if !lines.is_empty() => {
                report.erased += lines.iter().filter(|line| line.record.is_none()).count() as u64;
                next = lines.last().map_or(report.size, |line| line.index + 1);
            }
            Ok(_) => report.problem = Some(format!("line {next} is not there")),
            Err(error) => report.problem = Some(error.to_string()),
        }
    }
    report
}
