//! Checks a proof with nothing but the coalition's charter.
//!
//! **Invariant:** no clock, no disk, no network: the same file under the same charter has the same
//! answer, wherever it is checked.
//! **Invariant:** what [`Proven`] says follows from signatures by keys of the charter, but for lines
//! that are not anchored, which it says of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;
use watchfire_signal::{
    charter::CharterChain,
    commitment::Commitment,
    desk::{DeskError, DeskKind, DeskLeaf},
    header::Header,
    name::{CoalitionName, LogName, MemberName, OrganisationName},
    record::{DecodeError, Leaf, OpenError, open},
    statement::{Head, Statement},
    verb::Verb,
};
use watchfire_tlog::{
    Checkpoint, CheckpointError, Hash, Origin, PeerKey, SignedCheckpoint, leaf_hash,
    proof::{verify_consistency, verify_inclusion},
};

use super::{
    about,
    bundle::{Bundle, DeskPart, EntryPart, LinePart, LogPart, RowPart, hashes},
};
use crate::{
    charter::{TrustError, check_chain},
    facts::{Group, shown::Shown},
};

/// Minutes within which a line has to be fixed by the clock of its author's log: members anchor four times an hour.
/// What was fixed later may have been rewritten until then.
pub const FIXED_WITHIN_MINUTES: u64 = 60;

/// What a proof proves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proven {
    /// The coalition.
    pub coalition: CoalitionName,
    /// The number of the charter.
    pub charter_seq: u64,
    /// The member whose decisions these are.
    pub member: MemberName,
    /// The case.
    pub case: Commitment,
    /// What stands in the logs about it, each in its author's, as signed.
    pub entries: Vec<ProvenEntry>,
    /// What the member decided, oldest first.
    pub lines: Vec<ProvenLine>,
    /// Lines that no anchor covers yet: the member says them and could still take them back.
    pub not_anchored: usize,
    /// Lines that were fixed so long after the time that they give that nobody can tell what stood there before: the
    /// node stood still, or they were rewritten and anchored anew.
    pub fixed_late: usize,
    /// Decisions about the case that are not in the proof: older ones, or about other items.
    pub left_out: u64,
}

/// An entry that is in its author's log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProvenEntry {
    /// The log.
    pub log: LogName,
    /// Its place.
    pub index: u64,
    /// Who controls its author.
    pub organisation: OrganisationName,
    /// What the leaf says in clear.
    pub header: Header,
    /// What the record says; nothing where it is not in the proof.
    pub statement: Option<Statement>,
}

/// A line of the member's desk log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProvenLine {
    /// The epoch of the desk log.
    pub epoch: u32,
    /// Its place there.
    pub index: u64,
    /// When it was written, by the member's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of thing was done.
    pub kind: &'static str,
    /// Who: `key:NAME`, `person:PSEUDONYM` or `node`.
    pub actor: String,
    /// What.
    pub body: serde_json::Value,
    /// The anchor that fixes it; nothing while it is only said.
    pub anchor: Option<ProvenAnchor>,
    /// Of a line about a group of decisions those about the case: what was to be done with an upload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Shown>,
}

/// Where a line was fixed: it was written before that entry of the member's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProvenAnchor {
    /// The place of the entry in the member's log.
    pub index: u64,
    /// Lines of the desk log that it covers.
    pub size: u64,
    /// The minute since 1970 in which it was signed, by its author's word.
    pub minute: Option<u32>,
    /// Whether that is more than [`FIXED_WITHIN_MINUTES`] after the time that the line gives, or not said.
    pub late: bool,
}

impl Proven {
    /// Whether every line that is anchored was so in time.
    #[must_use]
    pub fn is_fixed_in_time(&self) -> bool {
        self.fixed_late == 0
    }
}

/// The first thing that is wrong.
#[derive(Debug, Error)]
pub enum Wrong {
    /// The charter is not in force.
    #[error("charter: {0}")]
    Charter(#[from] TrustError),
    /// The proof is of another coalition, or under another charter.
    #[error("the proof is of coalition {0} under charter {1}, not under the charter given")]
    OtherCharter(CoalitionName, u64),
    /// The charter names no such log, or the proof has it twice.
    #[error("log {0} is not a log of the charter, or not in order")]
    Log(LogName),
    /// The checkpoint is not by the key of the charter.
    #[error("the checkpoint of log {0}: {1}")]
    Checkpoint(LogName, CheckpointError),
    /// The log has ended, and more is said to stand in it than is accepted of it.
    #[error("entry {1} of log {0} is beyond the {2} entries that the charter accepts of it")]
    BeyondEnd(LogName, u64, u64),
    /// The log has ended, and its end is another one than is accepted.
    #[error("log {0} does not end as the charter says")]
    OtherEnd(LogName),
    /// The leaf is not in the log.
    #[error("entry {1} of log {0} is not under its signed checkpoint")]
    Entry(LogName, u64),
    /// The leaf cannot be read.
    #[error("the leaf of entry {1} of log {0}: {2}")]
    Leaf(LogName, u64, DecodeError),
    /// The leaf names another log than it stands in.
    #[error("entry {1} of log {0} was written for another log")]
    Foreign(LogName, u64),
    /// The record does not open under its leaf.
    #[error("the record of entry {1} of log {0}: {2}")]
    Record(LogName, u64, OpenError),
    /// An entry does not speak of the case.
    #[error("entry {1} of log {0} does not speak of this case")]
    Unrelated(LogName, u64),
    /// The founding alert is missing.
    #[error("the alert that founded the case is not in the proof")]
    NoAlert,
    /// What is said to be an anchor is none, or they are not in order.
    #[error(
        "entry {0} of the member's log is no anchor of its desk log that can be read, or not in order"
    )]
    Anchor(u64),
    /// The desk log at one anchor does not continue that at the anchor before.
    #[error(
        "the desk log was rewritten: at entry {1} of the member's log it does not begin as at entry {0}"
    )]
    Rewritten(u64, u64),
    /// The line is not what was anchored.
    #[error("line {0} of the desk log is not what was anchored")]
    Line(u64),
    /// The line's record does not open under its leaf, or cannot be read.
    #[error("line {0} of the desk log: {1}")]
    LineRecord(u64, DeskError),
    /// The line does not speak of the case, stands twice, or is of a kind that decides nothing.
    #[error("line {0} of the desk log is no decision about this case, or not in order")]
    LineUnrelated(u64),
    /// What is shown of a group is not what its line has the root of, or not in order.
    #[error("row {1} of line {0} of the desk log is not what was written down, or not in order")]
    Row(u64, u64),
    /// The line says to be anchored and names no anchor, or the other way round.
    #[error("line {0} of the desk log does not say by which anchor it is proven")]
    Unanchored(u64),
}

/// Checks everything that a proof says.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(bundle: &Bundle, chain: &CharterChain) -> Result<Proven, Wrong> {
    check_chain(chain)?;
    let named = chain.at(bundle.charter.seq, &bundle.charter.hash.0.0);
    let named = named.filter(|charter| charter.coalition == bundle.coalition);
    let other = || Wrong::OtherCharter(bundle.coalition.clone(), bundle.charter.seq);
    let charter = named.ok_or_else(other)?;
    let own = charter.log_of(&bundle.member).ok_or_else(other)?;
    if !bundle.logs.is_sorted_by(|a, b| a.log < b.log) {
        let log = bundle.logs.first().map_or(own, |part| part.log.clone());
        return Err(Wrong::Log(log));
    }
    let mut entries = Vec::new();
    for part in &bundle.logs {
        entries.extend(check_log(part, chain)?);
    }
    let desks = bundle.desks(&own).collect::<Vec<_>>();
    if !desks.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(Wrong::Log(own));
    }
    let mut anchors = BTreeMap::new();
    for (log, desk) in &desks {
        chain.author_of(log).ok_or_else(|| Wrong::Log(log.clone()))?;
        anchors.insert(log, check_anchors(desk, log, &entries)?);
    }
    check_related(bundle, &anchors, &mut entries)?;
    let (mut lines, mut left_out) = (Vec::new(), 0_u64);
    for (log, desk) in &desks {
        lines.extend(check_lines(desk, bundle, log, &anchors[log])?);
        left_out = left_out.saturating_add(desk.left_out);
    }
    Ok(Proven {
        coalition: bundle.coalition.clone(),
        charter_seq: charter.seq,
        member: bundle.member.clone(),
        case: bundle.case,
        entries: entries.into_iter().map(|entry| entry.proven).collect(),
        not_anchored: lines.iter().filter(|line| line.anchor.is_none()).count(),
        fixed_late: lines.iter().filter(|line| line.anchor.is_some_and(|at| at.late)).count(),
        lines,
        left_out,
    })
}

/// An entry with the name of its record.
struct Checked {
    proven: ProvenEntry,
    commitment: Commitment,
}

/// Checks that all entries of one log are under its signed checkpoint.
fn check_log(part: &LogPart, chain: &CharterChain) -> Result<Vec<Checked>, Wrong> {
    let log = &part.log;
    let unknown = || Wrong::Log(log.clone());
    let member = chain.author_of(log).ok_or_else(unknown)?;
    let key = PeerKey::from_bytes(&member.key).map_err(|_| TrustError::Key(member.name.clone()))?;
    let origin = Origin::new(log.to_string()).map_err(|_| unknown())?;
    let head = SignedCheckpoint::new(part.checkpoint.as_str()).verify(&origin, &key);
    let head = head.map_err(|error| Wrong::Checkpoint(log.clone(), error))?;
    if !part.entries.is_sorted_by(|a, b| a.index < b.index) {
        return Err(unknown());
    }
    if let Some(last) = chain.last_of(log) {
        if head.size == last.size && head.root != Hash(last.root) {
            return Err(Wrong::OtherEnd(log.clone()));
        }
        if let Some(beyond) = part.entries.iter().find(|entry| entry.index >= last.size) {
            return Err(Wrong::BeyondEnd(log.clone(), beyond.index, last.size));
        }
    }
    let organisation = &member.organisation;
    part.entries.iter().map(|entry| check_entry(entry, log, &head, organisation)).collect()
}

fn check_entry(
    entry: &EntryPart,
    log: &LogName,
    head: &Checkpoint,
    organisation: &OrganisationName,
) -> Result<Checked, Wrong> {
    let (hash, index) = (leaf_hash(&entry.leaf.0), entry.index);
    verify_inclusion(&hash, index, head.size, &head.root, &hashes(&entry.inclusion))
        .map_err(|_| Wrong::Entry(log.clone(), index))?;
    let leaf = Leaf::decode(&entry.leaf.0);
    let leaf = leaf.map_err(|error| Wrong::Leaf(log.clone(), index, error))?;
    if leaf.header.author_log != *log {
        return Err(Wrong::Foreign(log.clone(), index));
    }
    let statement = entry.record.as_ref().map(|record| open(&leaf, &record.0)).transpose();
    let statement = statement.map_err(|error| Wrong::Record(log.clone(), index, error))?;
    let commitment = leaf.commitment;
    let (log, organisation, header) = (log.clone(), organisation.clone(), leaf.header);
    Ok(Checked { proven: ProvenEntry { log, index, organisation, header, statement }, commitment })
}

/// An anchor as its entry says it.
#[derive(Clone, Copy)]
struct Anchor {
    head: Head,
    minute: Option<u32>,
}

impl Anchor {
    /// Whether it came too late to say anything of a line of that time.
    fn is_late(&self, line_ms: u64) -> bool {
        let minutes = line_ms / 60_000;
        self.minute.is_none_or(|minute| u64::from(minute) > minutes + FIXED_WITHIN_MINUTES)
    }
}

/// Checks that each anchor is one of the member's, and that each continues the one before.
fn check_anchors(
    desk: &DeskPart,
    own: &LogName,
    entries: &[Checked],
) -> Result<BTreeMap<u64, Anchor>, Wrong> {
    let mut anchors = BTreeMap::new();
    let mut before: Option<(u64, Head)> = None;
    for anchor in &desk.anchors {
        let index = anchor.index;
        let mut entry = entries.iter().map(|entry| &entry.proven);
        let entry = entry.find(|entry| entry.log == *own && entry.index == index);
        let entry = entry.ok_or(Wrong::Anchor(index))?;
        let Some(Statement::Desk(head)) = entry.statement else {
            return Err(Wrong::Anchor(index));
        };
        if let Some((last, from)) = before {
            if last >= index || from.size > head.size {
                return Err(Wrong::Anchor(index));
            }
            let path = hashes(&anchor.consistency);
            let (old, new) = (Hash(from.root), Hash(head.root));
            verify_consistency(from.size, &old, head.size, &new, &path)
                .map_err(|_| Wrong::Rewritten(last, index))?;
        } else if !anchor.consistency.is_empty() {
            return Err(Wrong::Anchor(index));
        }
        before = Some((index, head));
        anchors.insert(index, Anchor { head, minute: entry.header.minute });
    }
    Ok(anchors)
}

/// Checks that every entry is the founding alert, speaks of it or of what speaks of it, or is an
/// anchor that is used; drops the anchors.
fn check_related(
    bundle: &Bundle,
    anchors: &BTreeMap<&LogName, BTreeMap<u64, Anchor>>,
    entries: &mut Vec<Checked>,
) -> Result<(), Wrong> {
    entries.retain(|Checked { proven, .. }| {
        let used = anchors.get(&proven.log).is_some_and(|used| used.contains_key(&proven.index));
        !(used && proven.header.verb == Verb::Desk)
    });
    let place = |entry: &Checked| (entry.proven.log.clone(), entry.proven.index);
    let founding = entries
        .iter()
        .find(|entry| entry.proven.header.verb == Verb::Assert && entry.commitment == bundle.case);
    let mut related = BTreeSet::from([place(founding.ok_or(Wrong::NoAlert)?)]);
    loop {
        let speaks = |entry: &&Checked| {
            let target = entry.proven.header.target.as_ref();
            target.is_some_and(|target| related.contains(&(target.log.clone(), target.index)))
        };
        let more = entries.iter().filter(speaks).map(place).collect::<Vec<_>>();
        let before = related.len();
        related.extend(more);
        if related.len() == before {
            break;
        }
    }
    let mut places = entries.iter().map(place);
    match places.find(|place| !related.contains(place)) {
        Some((log, index)) => Err(Wrong::Unrelated(log, index)),
        None => Ok(()),
    }
}

/// Checks the lines of one desk log.
fn check_lines(
    desk: &DeskPart,
    bundle: &Bundle,
    log: &LogName,
    anchors: &BTreeMap<u64, Anchor>,
) -> Result<Vec<ProvenLine>, Wrong> {
    let lines = desk.lines.iter().map(|line| check_line(line, bundle, log.epoch, anchors));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    match lines.windows(2).find(|pair| pair[0].index >= pair[1].index) {
        Some(pair) => Err(Wrong::LineUnrelated(pair[1].index)),
        None => Ok(lines),
    }
}

fn check_line(
    line: &LinePart,
    bundle: &Bundle,
    epoch: u32,
    anchors: &BTreeMap<u64, Anchor>,
) -> Result<ProvenLine, Wrong> {
    let index = line.index;
    if line.anchored != line.anchor.is_some() {
        return Err(Wrong::Unanchored(index));
    }
    let anchor = match line.anchor {
        None => None,
        Some(at) => {
            let anchor = anchors.get(&at).ok_or(Wrong::Unanchored(index))?;
            let (hash, path) = (leaf_hash(&line.leaf.0), hashes(&line.inclusion));
            let Head { size, root } = anchor.head;
            verify_inclusion(&hash, index, size, &Hash(root), &path)
                .map_err(|_| Wrong::Line(index))?;
            Some((at, anchor))
        }
    };
    let unreadable = |error| Wrong::LineRecord(index, error);
    let leaf = DeskLeaf::decode(&line.leaf.0).map_err(unreadable)?;
    let record = leaf.open(&line.record.0).map_err(unreadable)?;
    let rows = check_rows(line, &record.body)?;
    let decides = match leaf.kind {
        DeskKind::Outcome | DeskKind::Decision => {
            rows.is_empty() && about(&record.body, &bundle.case, None)
        }
        DeskKind::Digest => {
            !rows.is_empty() && rows.iter().all(|row| row.case == Some(bundle.case))
        }
        _ => false,
    };
    if !decides {
        return Err(Wrong::LineUnrelated(index));
    }
    let body = serde_json::from_slice(&record.body).unwrap_or_default();
    let (at_ms, kind, actor) = (leaf.at_ms, leaf.kind.name(), record.actor);
    let anchor = anchor.map(|(at, anchor)| {
        let (size, minute, late) = (anchor.head.size, anchor.minute, anchor.is_late(at_ms));
        ProvenAnchor { index: at, size, minute, late }
    });
    Ok(ProvenLine { epoch, index, at_ms, kind, actor, body, anchor, rows })
}

/// Checks that what is shown of a group stands under the root that its line names.
fn check_rows(line: &LinePart, body: &[u8]) -> Result<Vec<Shown>, Wrong> {
    let Some(first) = line.rows.first() else { return Ok(Vec::new()) };
    let wrong = |row: &RowPart| Wrong::Row(line.index, row.index);
    let group = serde_json::from_slice::<Group>(body).map_err(|_| wrong(first))?;
    let root = group.root().ok_or_else(|| wrong(first))?;
    if let Some(pair) = line.rows.windows(2).find(|pair| pair[0].index >= pair[1].index) {
        return Err(wrong(&pair[1]));
    }
    let check = |row: &RowPart| {
        let (hash, path) = (leaf_hash(&row.row.0), hashes(&row.inclusion));
        verify_inclusion(&hash, row.index, group.decisions, &root, &path)
            .map_err(|_| wrong(row))?;
        serde_json::from_slice(&row.row.0).map_err(|_| wrong(row))
    };
    line.rows.iter().map(check).collect()
}
