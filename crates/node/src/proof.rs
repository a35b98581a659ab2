//! Puts together what a stranger needs to see that a case was raised as this member says, and what
//! this member decided about it: a file that proves itself.
//!
//! **Invariant:** a proof says of each decision whether it is anchored, and by what it is proven.
//! **Invariant:** a record is in it only if this member wrote it or its mark allows the audience that the
//! proof is for, and no record about the case is in a redacted one.

pub mod bundle;
pub mod check;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use thiserror::Error;
use watchfire_signal::{
    charter::{Charter, CharterChain},
    commitment::Commitment,
    desk::{DeskKind, DeskLeaf},
    name::{ItemId, LogName, MemberName},
    record::Leaf,
    statement::Head,
    tlp::{Audience, Tlp},
    verb::Verb,
};
use watchfire_store::{Held, Store, StoreError};
use watchfire_tlog::{Origin, ProofError as PathError, Source, SourceError, proof};

use self::{
    bundle::{
        AnchorPart, Bundle, CharterName, DeskPart, EntryPart, FormerPart, LinePart, Link, LogPart,
        MAX_ENTRIES, MAX_LINES, Octets, RowPart, VERSION, links,
    },
    rows::Rows,
};
use crate::{
    anchor::{anchor_in, fits},
    desk::Desk,
    place::Place,
};

/// Entries read at once.
const PAGE: usize = 512;

/// What a proof is made from.
pub struct Prover {
    /// Who proves.
    pub me: MemberName,
    /// The charter in force.
    pub charter: Arc<Charter>,
    /// The charters up to that.
    pub chain: CharterChain,
    /// Where the logs are.
    pub store: Arc<dyn Store>,
    /// What this member decided, by the name of the log that anchors it, ascending by epoch: the last one is
    /// written now.
    pub desks: Vec<(LogName, Desk)>,
}

/// A case as the node knows it.
#[derive(Debug, Clone)]
pub struct Known {
    /// The commitment of its founding assert.
    pub case: Commitment,
    /// Where its signal sets stand, with their marks.
    pub sets: BTreeMap<Place, Tlp>,
    /// When this node verified the first of them: nothing was decided before.
    pub since_ms: u64,
}

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The node knows no such case.
    #[error("no case {0} is known here")]
    Unknown(Commitment),
    /// More was said about the case than a proof holds.
    #[error("more than {MAX_ENTRIES} entries speak of this case; a proof holds no more")]
    TooMuch,
    /// The desk log is not what this member has said of it: an operator's alarm before it is anything else.
    #[error(
        "entry {1} of log {0} says something else of the desk log than what it holds now: lines were lost or rewritten, \
         and of a case from before that nothing is proven"
    )]
    Rewritten(LogName, u64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What is stored of a log is not whole.
    #[error("a log of this store is not whole: {0}")]
    Path(#[from] PathError),
}

/// What the logs say about a case, and the anchors of our own desk log.
#[derive(Default)]
struct Said {
    about: BTreeMap<Place, Held>,
    anchors: BTreeMap<LogName, Vec<(u64, Head, Held)>>,
    /// What may speak of an entry that comes later in the walk.
    unsure: Vec<(Place, Place, Held)>,
}

impl Prover {
    /// The proof of a case for an audience; for nobody in particular no record about it is in it. Of what was decided
    /// all is in it, or what was decided about one item.
    ///
    /// # Errors
    /// [`ProofError`]
    pub async fn prove(
        &self,
        known: &Known,
        audience: Option<Audience>,
        item: Option<&ItemId>,
    ) -> Result<Bundle, ProofError> {
        let rows = Rows::of(&*self.store, known, item).await?;
        let wanted = Wanted { known, item, rows };
        let mut said = self.walk(known).await?;
        let mut by_log = BTreeMap::<LogName, BTreeMap<u64, (Held, bool)>>::new();
        for (place, held) in said.about {
            let shown = audience.is_some_and(|audience| self.may_show(known, &place, audience));
            by_log.entry(place.log).or_default().insert(place.index, (held, shown));
        }
        let mut desks = Vec::new();
        for (log, desk) in &self.desks {
            let anchors = said.anchors.remove(log).unwrap_or_default();
            all_fit(log, desk, &anchors).await?;
            let (part, used) = desk_part(&*self.store, desk, &wanted, &anchors).await?;
            for (index, _, held) in anchors.into_iter().filter(|(index, ..)| used.contains(index)) {
                by_log.entry(log.clone()).or_default().insert(index, (held, true));
            }
            desks.push(FormerPart { epoch: log.epoch, desk: part });
        }
        let now = desks.pop().ok_or(ProofError::Unknown(known.case))?;
        desks.retain(|former| !former.desk.lines.is_empty());
        let mut logs = Vec::new();
        for (log, entries) in by_log {
            logs.push(self.log_part(log, entries).await?);
        }
        let hash = Link(self.charter.hash().into());
        Ok(Bundle {
            watchfire_proof: VERSION,
            coalition: self.charter.coalition.clone(),
            charter: CharterName { seq: self.charter.seq, hash },
            member: self.me.clone(),
            case: known.case,
            logs,
            desk: now.desk,
            former: desks,
        })
    }

    /// Reads all logs once for what speaks of the case.
    async fn walk(&self, known: &Known) -> Result<Said, ProofError> {
        let mut said = Said::default();
        for head in self.store.logs().await? {
            let Ok(log) = head.log.as_str().parse::<LogName>() else { continue };
            if self.chain.author_of(&log).is_none() {
                continue;
            }
            let own = self.desks.iter().any(|(own, _)| *own == log);
            let mut next = 0;
            while next < head.size {
                let page = self.store.held(&head.log, next, PAGE).await?;
                let Some(last) = page.last() else { break };
                next = last.index + 1;
                for held in page.into_iter().filter(|held| held.index < head.size) {
                    said.take(held, &log, known, own);
                }
                if said.about.len() > MAX_ENTRIES {
                    return Err(ProofError::TooMuch);
                }
            }
        }
        said.settle();
        Ok(said)
    }

    /// The entries of one log under its newest checkpoint. A flag says which records are shown.
    async fn log_part(
        &self,
        log: LogName,
        entries: BTreeMap<u64, (Held, bool)>,
    ) -> Result<LogPart, ProofError> {
        let origin = origin(&log)?;
        let source = self.store.read(&origin);
        let head = self.store.logs().await?.into_iter().find(|head| head.log == origin);
        let missing = || StoreError::Corrupt(format!("log {log} has no head"));
        let head = head.ok_or_else(missing)?;
        let mut parts = Vec::new();
        for (index, (held, shown)) in entries {
            let inclusion = links(proof::inclusion(&*source, index, head.size).await?);
            let record = held.entry.record.filter(|_| shown);
            let record = record.map(|record| Octets(record.to_vec()));
            parts.push(EntryPart {
                index,
                leaf: Octets(held.entry.leaf.to_vec()),
                record,
                inclusion,
            });
        }
        Ok(LogPart { log, checkpoint: head.checkpoint.text, entries: parts })
    }

    /// Whether a record may be shown to an audience: it is ours, or its mark allows it. What is said of the
    /// case beside its alerts is marked like the narrowest of them.
    fn may_show(&self, known: &Known, place: &Place, audience: Audience) -> bool {
        let narrowest = || known.sets.values().max().copied();
        let mark = known.sets.get(place).copied().or_else(narrowest);
        place.log.member == self.me || mark.is_some_and(|mark| mark.allows(audience))
    }
}

/// Which decisions go into a proof.
struct Wanted<'a> {
    known: &'a Known,
    /// Those about one item only.
    item: Option<&'a ItemId>,
    /// What is shown of groups.
    rows: Rows,
}

/// A line about the case, with what is shown of its group.
struct Line {
    index: u64,
    leaf: Octets,
    record: Octets,
    rows: Vec<RowPart>,
}

/// The lines of the desk log about the case, each under the first anchor that covers it; and the
/// places of the anchors that are used.
async fn desk_part(
    store: &dyn Store,
    desk: &Desk,
    wanted: &Wanted<'_>,
    anchors: &[(u64, Head, Held)],
) -> Result<(DeskPart, BTreeSet<u64>), ProofError> {
    let (lines, left_out) = lines_about(store, desk, wanted).await?;
    let source = desk.source();
    let mut used = BTreeMap::new();
    let mut parts = Vec::new();
    for Line { index, leaf, record, rows } in lines {
        let covering = anchors.iter().find(|(_, head, _)| head.size > index);
        let anchor = covering.map(|(place, head, _)| (*place, *head));
        let inclusion = match anchor {
            Some((place, head)) => {
                used.insert(place, head);
                links(proof::inclusion(&*source, index, head.size).await?)
            }
            None => Vec::new(),
        };
        let anchor = anchor.map(|(place, _)| place);
        let anchored = anchor.is_some();
        parts.push(LinePart { index, leaf, record, anchored, anchor, inclusion, rows });
    }
    // The newest one too: what was fixed then still stands now.
    used.extend(
        anchors.last().filter(|_| !used.is_empty()).map(|(place, head, _)| (*place, *head)),
    );
    let anchors = consistent(&*source, &used).await?;
    let places = used.into_keys().collect();
    Ok((DeskPart { anchors, lines: parts, left_out }, places))
}

/// The newest lines about the case, oldest first, and how many more there are; each decision of a group counts as a
/// line.
async fn lines_about(
    store: &dyn Store,
    desk: &Desk,
    wanted: &Wanted<'_>,
) -> Result<(Vec<Line>, u64), ProofError> {
    let (mut found, mut taken, mut left_out) = (Vec::new(), 0, 0_u64);
    let mut full = false;
    let mut end = desk.size().await?;
    'all: while end > 0 {
        let from = end.saturating_sub(PAGE as u64);
        let (mut next, mut page) = (from, Vec::new());
        while next < end {
            let limit = usize::try_from(end - next).unwrap_or(PAGE);
            let more = store.held(desk.origin(), next, limit).await?;
            let Some(last) = more.last() else { break };
            next = last.index + 1;
            page.extend(more);
        }
        for held in page.into_iter().rev() {
            let Ok(leaf) = DeskLeaf::decode(&held.entry.leaf) else { continue };
            if leaf.at_ms < wanted.known.since_ms {
                break 'all;
            }
            let Some((line, other)) = wanted.line(&leaf, &held) else { continue };
            let count = line.rows.len().max(1);
            full |= taken + count > MAX_LINES;
            if full || other {
                left_out += count as u64;
            } else {
                taken += count;
                found.push(line);
            }
        }
        end = from;
    }
    found.reverse();
    Ok((found, left_out))
}

/// Checks that the desk log begins with what each anchor since the case began covers.
async fn all_fit(
    log: &LogName,
    desk: &Desk,
    anchors: &[(u64, Head, Held)],
) -> Result<(), ProofError> {
    for (index, head, _) in anchors {
        if !fits(desk, head).await? {
            return Err(ProofError::Rewritten(log.clone(), *index));
        }
    }
    Ok(())
}

/// The anchors that are used, each with the proof that the desk log then goes on from the one before.
async fn consistent(
    desk: &dyn Source,
    used: &BTreeMap<u64, Head>,
) -> Result<Vec<AnchorPart>, ProofError> {
    let (mut anchors, mut before) = (Vec::new(), None);
    for (&index, head) in used {
        let consistency = match before {
            Some(size) if size < head.size => proof::consistency(desk, size, head.size).await?,
            _ => Vec::new(),
        };
        before = Some(head.size);
        anchors.push(AnchorPart { index, consistency: links(consistency) });
    }
    Ok(anchors)
}

impl Said {
    /// Takes an entry in if it speaks of the case, or anchors our desk log.
    fn take(&mut self, held: Held, log: &LogName, known: &Known, own: bool) {
        if own && let Some(head) = anchor_in(&held.entry) {
            // An older one covers nothing about the case.
            if held.verified_ms < known.since_ms {
                return;
            }
            self.anchors.entry(log.clone()).or_default().push((held.index, head, held));
            return;
        }
        let Ok(leaf) = Leaf::decode(&held.entry.leaf) else { return };
        let place = Place { log: log.clone(), index: held.index };
        let target = leaf.header.target.map(|to| Place { log: to.log, index: to.index });
        if known.sets.contains_key(&place)
            || target.as_ref().is_some_and(|to| self.is_about(to, known))
        {
            self.about.insert(place, held);
        } else if let Some(target) = target
            && matches!(leaf.header.verb, Verb::Resolve | Verb::Erase)
            && self.unsure.len() < MAX_ENTRIES
        {
            self.unsure.push((place, target, held));
        }
    }

    fn is_about(&self, place: &Place, known: &Known) -> bool {
        known.sets.contains_key(place) || self.about.contains_key(place)
    }

    /// Takes in what spoke of an entry that came later in the walk.
    fn settle(&mut self) {
        loop {
            let unsure = std::mem::take(&mut self.unsure);
            let before = unsure.len();
            for (place, target, held) in unsure {
                if self.about.contains_key(&target) {
                    self.about.insert(place, held);
                } else {
                    self.unsure.push((place, target, held));
                }
            }
            if self.unsure.len() == before {
                return;
            }
        }
    }
}

impl Wanted<'_> {
    /// A line that is a decision about the case, or about a group that has some, and whether it is about another item
    /// than that which is wanted.
    fn line(&self, leaf: &DeskLeaf, held: &Held) -> Option<(Line, bool)> {
        let record = held.entry.record.as_ref()?;
        let body = leaf.open(record).ok()?.body;
        let case = &self.known.case;
        let (rows, other) = match leaf.kind {
            DeskKind::Outcome | DeskKind::Decision if about(&body, case, None) => {
                (Vec::new(), self.item.is_some_and(|item| !about(&body, case, Some(item))))
            }
            DeskKind::Digest => (self.rows.of_line(&body), false),
            _ => return None,
        };
        if leaf.kind == DeskKind::Digest && rows.is_empty() {
            return None;
        }
        let (index, record) = (held.index, Octets(record.to_vec()));
        Some((Line { index, leaf: Octets(held.entry.leaf.to_vec()), record, rows }, other))
    }
}

/// Whether the body of a line names a case: as `case`, or as `released` where a person released it; and an item, where
/// one is asked for: as `item`, or among `items`.
fn about(body: &[u8], case: &Commitment, item: Option<&ItemId>) -> bool {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    let (case, item) = (case.to_string(), item.map(ToString::to_string));
    let of_case = ["case", "released"].iter().any(|name| body[*name] == case.as_str());
    let of_item = item.is_none_or(|item| {
        let items = body["items"].as_array();
        body["item"] == item.as_str()
            || items.is_some_and(|items| items.iter().any(|one| *one == item.as_str()))
    });
    of_case && of_item
}

fn origin(log: &LogName) -> Result<Origin, StoreError> {
    Origin::new(log.to_string()).map_err(|error| StoreError::Failed(error.to_string()))
}
