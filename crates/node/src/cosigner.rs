//! Cosigns heads of logs as a witness: those of the verified copies, as they are handed out to members, and those that
//! anybody submits.
//!
//! Source: C2SP `tlog-witness` (`add-checkpoint`) and `tlog-cosignature`.
//!
//! **Invariant:** of each log one row says which head this node has cosigned last, whichever way it was asked; it is
//! read and written in one turn, and durable before the signature leaves. No head is cosigned but one that this head is
//! the beginning of. So no two histories of a log are ever cosigned, and never a smaller head after a larger one,
//! restarts included.
//! **Invariant:** no head is cosigned that the verified copy of its log contradicts. One that the copy reaches is
//! compared with it. One beyond it is proven from the head cosigned last, which is then no smaller than the copy; and
//! as soon as the copy reaches a head that was cosigned ahead of it, the two are compared before anything else is
//! cosigned.
//! **Invariant:** never a log of this member's own, and none that has shown two histories.

use std::{collections::BTreeMap, sync::Arc};

use thiserror::Error;
use tokio::sync::Mutex;
use watchfire_signal::{
    charter::{Charter, Role},
    name::{LogName, MemberName},
};
use watchfire_store::{Batch, Head, Row, Store, StoreError, Table};
use watchfire_tlog::{
    AddCheckpoint, Checkpoint, CheckpointError, Evidence, EvidenceKind, OwnKey, SignedCheckpoint,
    SourceError,
    add_checkpoint::NotContinued,
    cosign::{cosign, cosignature_line, of_author},
    note::NoteError,
    origin::MAX_ORIGIN_BYTES,
};

use crate::{
    clock::Clock,
    replicate::{Compared, LogCopy, TakeError},
};

/// Origin of a log → its head that was cosigned last, as its author signed it.
const COSIGNED: Table = Table::Ledger("cosigned");

/// Cosigns. Cheap to clone; all clones take turns.
#[derive(Clone)]
pub struct Cosigner {
    me: MemberName,
    name: String,
    key: Arc<OwnKey>,
    copies: Arc<BTreeMap<LogName, Arc<LogCopy>>>,
    written: Arc<BTreeMap<String, LogName>>,
    store: Arc<dyn Store>,
    wall_clock: Arc<dyn Clock>,
    turn: Arc<Mutex<()>>,
}

/// Why a head was not cosigned, each with the status that the specification gives it.
#[derive(Debug, Error)]
pub enum CosignError {
    /// 404: not a log that a member of the charter writes, other than this one; or this node is no witness.
    #[error("this node cosigns no log {0}")]
    Unknown(String),
    /// 403: not signed by the key of the log.
    #[error("the checkpoint is not signed by the key of its log")]
    Unsigned,
    /// 403: the log has shown two histories; its key is not believed any more.
    #[error("the log has shown two histories; nothing more of it is cosigned")]
    Frozen,
    /// 400: signed, and says something that no request may say.
    #[error("the request contradicts itself: {0}")]
    Malformed(String),
    /// 409: the old size is not that which was cosigned last, or the checkpoint is of another history.
    #[error("the size cosigned last is {last}")]
    Conflict {
        /// The size cosigned last; 0 where nothing was.
        last: u64,
    },
    /// 422: the proof does not lead from the head cosigned last to this one.
    #[error("the consistency proof does not lead to the checkpoint")]
    Unproven,
    /// The store failed; nothing was cosigned.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A head that its log's key has signed.
struct Told {
    signed: SignedCheckpoint,
    says: Checkpoint,
}

impl Cosigner {
    /// What cosigns as the member `me`, whose key this is; `None` where the charter does not make it a witness.
    #[must_use]
    pub fn of(
        (me, key): (&MemberName, &Arc<OwnKey>),
        charter: &Charter,
        copies: &BTreeMap<LogName, Arc<LogCopy>>,
        store: &Arc<dyn Store>,
        wall_clock: &Arc<dyn Clock>,
    ) -> Option<Self> {
        charter.member(me).filter(|member| member.role == Role::Witness)?;
        let others = charter.members.iter().filter(|member| member.name != *me);
        let logs = others.filter_map(|member| charter.log_of(&member.name));
        Some(Self {
            me: me.clone(),
            name: charter.log_of(me)?.to_string(),
            key: key.clone(),
            copies: Arc::new(copies.clone()),
            written: Arc::new(logs.map(|log| (log.to_string(), log)).collect()),
            store: store.clone(),
            wall_clock: wall_clock.clone(),
            turn: Arc::default(),
        })
    }

    /// Cosigns a head that somebody submits; answers the line of its cosignature. It is the last one cosigned then, and
    /// durable as that. A submission that proves two histories of its log freezes it.
    ///
    /// # Errors
    /// [`CosignError`]
    pub async fn add(&self, request: &AddCheckpoint) -> Result<String, CosignError> {
        let unknown = || CosignError::unknown(request);
        let log = self.written.get(request.origin()).ok_or_else(unknown)?;
        let copy = self.copies.get(log).ok_or_else(unknown)?;
        let signed = of_author(&request.checkpoint, (request.origin(), copy.key()));
        let signed = signed.ok_or(CosignError::Unsigned)?;
        let new = Told { says: read(copy, &signed)?, signed };
        if request.old > new.says.size {
            return Err(NotContinued::OldIsLarger.into());
        }
        let _turn = self.turn.lock().await;
        let last = self.last(copy, &new).await?;
        request.continues(&last, &new.says)?;
        if new.says.size > last.size {
            self.write(vec![row(copy, &new.signed)]).await?;
        }
        let line = cosignature_line(&new.signed, &self.name, &self.key, self.now_s());
        line.map_err(|error| CosignError::Malformed(error.to_string()))
    }

    /// The head cosigned last, the empty one where there is none, found to go together with the copy, as the new one is as
    /// far as the copy reaches. Where the new one is beyond the copy, and the copy beyond the last one, the copy's own
    /// head is the last one.
    async fn last(&self, copy: &LogCopy, new: &Told) -> Result<Checkpoint, CosignError> {
        let kept = self.kept(copy).await?;
        let last = kept.as_ref().map(|kept| read(copy, kept)).transpose()?;
        let last = last.unwrap_or_else(|| Checkpoint::empty(copy.origin().clone()));
        let conflict = || CosignError::Conflict { last: last.size };
        if let Some(kept) = &kept {
            if last.size == new.says.size && last.root != new.says.root {
                let (ours, theirs) = (kept.clone(), new.signed.clone());
                let proof = Evidence { ours, theirs, kind: EvidenceKind::SameSize };
                copy.convict(&proof).await.map_err(failed)?;
                return Err(conflict());
            }
            together(copy.compare_head(kept, false).await, conflict)?;
        }
        match together(copy.compare_head(&new.signed, false).await, conflict)? {
            Compared::Ahead { held } if held > last.size => self.own_head(copy).await,
            _ => Ok(last),
        }
    }

    /// The copy's own head, from now on the one cosigned last.
    async fn own_head(&self, copy: &LogCopy) -> Result<Checkpoint, CosignError> {
        let unread = |error: SourceError| StoreError::Failed(error.to_string());
        let head = self.store.read(copy.origin()).checkpoint().await.map_err(unread)?;
        let gone = || StoreError::Corrupt(format!("log {}: no head over its entries", copy.log));
        let head = head.ok_or_else(gone)?;
        let says = read(copy, &head)?;
        self.write(vec![row(copy, &head)]).await?;
        Ok(says)
    }

    /// Heads of our verified copies as we hand them out: cosigned where no larger one was, and where they go on from it.
    /// What cannot be written down is not cosigned.
    ///
    /// # Errors
    /// The store's, when it cannot be read.
    pub async fn offered(
        &self,
        mut heads: Vec<(LogName, Head)>,
    ) -> Result<Vec<(LogName, Head)>, StoreError> {
        let _turn = self.turn.lock().await;
        let (mut cosigned, mut rows) = (Vec::new(), Vec::new());
        for (place, (log, head)) in heads.iter().enumerate() {
            let Some(copy) = self.copies.get(log).filter(|_| log.member != self.me) else {
                continue;
            };
            let kept = self.kept(copy).await?;
            if kept.as_ref() != Some(&head.checkpoint) {
                let Some(before) = goes_on(copy, kept.as_ref(), head).await? else { continue };
                if before < head.size {
                    rows.push(row(copy, &head.checkpoint));
                }
            }
            cosigned.push(place);
        }
        if let Err(error) = self.write(rows).await {
            tracing::warn!(%error, "heads are handed out without being cosigned");
            return Ok(heads);
        }
        for place in cosigned {
            let (log, head) = &mut heads[place];
            match cosign(&head.checkpoint, &self.name, &self.key, self.now_s()) {
                Ok(with) => head.checkpoint = with,
                Err(error) => tracing::warn!(%error, %log, "a head could not be cosigned"),
            }
        }
        Ok(heads)
    }

    async fn kept(&self, copy: &LogCopy) -> Result<Option<SignedCheckpoint>, StoreError> {
        let Some(row) = self.store.row(COSIGNED, copy.origin().as_str().as_bytes()).await? else {
            return Ok(None);
        };
        let text = String::from_utf8(row);
        let text = text.map_err(|_| StoreError::Corrupt("a cosigned head is no text".to_owned()));
        text.map(|text| Some(SignedCheckpoint::new(text)))
    }

    async fn write(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        Ok(self.store.commit(Batch { rows, ..Batch::default() }).await?)
    }

    fn now_s(&self) -> u64 {
        self.wall_clock.now_ms() / 1_000
    }
}

/// The size cosigned last, where the copy, and with it its head, goes on from there.
async fn goes_on(
    copy: &LogCopy,
    kept: Option<&SignedCheckpoint>,
    head: &Head,
) -> Result<Option<u64>, StoreError> {
    let Some(kept) = kept else { return Ok(Some(0)) };
    match copy.compare_head(kept, false).await.map_err(failed)? {
        Compared::Held { size } => Ok(Some(size).filter(|size| *size <= head.size)),
        Compared::Ahead { .. } | Compared::Unsaid | Compared::Forked => Ok(None),
    }
}

/// What a head says that the log's key has signed.
fn read(copy: &LogCopy, signed: &SignedCheckpoint) -> Result<Checkpoint, CosignError> {
    signed.verify(copy.origin(), copy.key()).map_err(|error| match error {
        CheckpointError::Note(NoteError::Unsigned | NoteError::Signature) => CosignError::Unsigned,
        error => CosignError::Malformed(error.to_string()),
    })
}

/// Nothing more is said where the copy knows of two histories, or has just found them.
fn together(
    compared: Result<Compared, TakeError>,
    conflict: impl Fn() -> CosignError,
) -> Result<Compared, CosignError> {
    match compared.map_err(failed)? {
        Compared::Forked => Err(conflict()),
        Compared::Unsaid => Err(CosignError::Frozen),
        compared => Ok(compared),
    }
}

/// A comparison of what the log's key has signed fails only with the store, or a row that is damaged.
fn failed(error: TakeError) -> StoreError {
    match error {
        TakeError::Store(error) => error,
        error => StoreError::Corrupt(format!("a cosigned head: {error}")),
    }
}

fn row(copy: &LogCopy, head: &SignedCheckpoint) -> Row {
    let key = copy.origin().as_str().as_bytes().to_vec();
    Row { table: COSIGNED, key, value: Some(head.text.clone().into_bytes()) }
}

impl CosignError {
    /// Of a request for a log that is not cosigned here.
    pub(crate) fn unknown(request: &AddCheckpoint) -> Self {
        CosignError::Unknown(request.origin().chars().take(MAX_ORIGIN_BYTES).collect())
    }
}

impl From<NotContinued> for CosignError {
    fn from(error: NotContinued) -> Self {
        match error {
            NotContinued::OldIsLarger => CosignError::Malformed(error.to_string()),
            NotContinued::Elsewhere { last } | NotContinued::OtherRoot { last } => {
                CosignError::Conflict { last }
            }
            NotContinued::Unproven(_) => CosignError::Unproven,
        }
    }
}
