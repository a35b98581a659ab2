//! How the charter changes while nodes run: what is proposed, who approves, and what is in force.
//!
//! **Invariant:** this member approves at most one charter of a number, across crashes and restarts: the
//! vote is durable before its signature leaves.
//! **Invariant:** a charter is in force here only if it follows from the one before it and enough
//! organisations of that one have approved it; it is durable before anybody acts on it.
//! **Invariant:** who leaves with a charter, or gets another key, works under it only once another member has
//! all its approvals.
//! **Invariant:** of proposals at most two are kept that one member alone approves.
//! **Invariant:** who has approved two charters of one number that are shown here is known from then on, whatever comes
//! in force.
//! **Invariant:** a node works under one charter from its start to its stop. A newer one is kept here
//! until it starts again.

mod doubles;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{
    Mutex,
    broadcast::{self, error::RecvError},
    watch,
};
use watchfire_signal::{
    charter::{Approval, Charter, CharterChain, CharterError, SignedCharter},
    hex,
    name::MemberName,
};
use watchfire_store::{Batch, Row, Store, StoreError, Table};
use watchfire_tlog::OwnKey;

pub use self::doubles::Double;
use self::doubles::Doubles;
use super::{TrustError, approve, check_chain, check_next, check_spoken, verified};
use crate::{
    clock::Random,
    desk::{Desk, Line, WriteError},
    peer::{Peer, PeerError, Theirs},
    replicate::jittered,
};

/// The charters after the first: number → signed charter.
pub const CHARTERS: Table = Table::Ledger("charters");
/// What is proposed as the next charter: hash → charter with the approvals so far.
const PROPOSALS: Table = Table::Ledger("charter_proposals");
/// Which charter this member has approved: number → hash.
const VOTES: Table = Table::Ledger("charter_votes");

/// How often each member is asked for newer charters and proposals; who has any tells them at once.
pub const ASK_EVERY: Duration = Duration::from_secs(15);
/// How often what is in force is compared as well, of the times that a member is asked: every ten minutes, for two charters
/// of one number come in force only where members approved twice; and whenever it is reached again.
const COMPARE_EVERY: u32 = 40;
/// The first wait after a member did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// Rows read at a time.
const PAGE: usize = 256;

/// Why the charter could not be changed so.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// It breaks the format.
    #[error(transparent)]
    Invalid(#[from] CharterError),
    /// It cannot follow from the charter in force.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// Nothing of this hash is proposed.
    #[error("nothing is proposed under {0}")]
    Unknown(String),
    /// This member has approved another charter of the same number.
    #[error(
        "this member has approved another charter {seq}, {hash}: one approval a member and charter"
    )]
    Voted {
        /// The number.
        seq: u64,
        /// The hash of the other one.
        hash: String,
    },
    /// It says the same as the charter in force.
    #[error("nothing would change")]
    Same,
    /// It could not be written down at home.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is proposed.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The charter with its approvals.
    pub signed: SignedCharter,
    /// The members that have approved it.
    pub approved: BTreeSet<MemberName>,
}

/// The line that says at home who did this, written in one transaction with it: what it says is so, and a node that
/// stops because of it has written it.
pub type Told<'a> = Option<(&'a Desk, Line)>;

struct State {
    chain: CharterChain,
    proposals: BTreeMap<[u8; 32], SignedCharter>,
    doubles: Doubles,
}

impl State {
    /// The charter before that of a number.
    fn before(&self, seq: u64) -> Option<&SignedCharter> {
        self.chain.iter().find(|signed| signed.charter.seq.checked_add(1) == Some(seq))
    }

    /// Who has approved a charter, with verified approvals, and another one of its number, and was not known for it.
    fn found_out(&self, signed: &SignedCharter) -> Result<Doubles, CharterError> {
        let (seq, hash) = (signed.charter.seq, signed.hash());
        let mut found = Doubles::new();
        for other in self.chain.iter().chain(self.proposals.values()) {
            if other.charter.seq == seq && other.hash() != hash {
                found.extend(Double::between(other, signed)?);
            }
        }
        found.retain(|known, _| !self.doubles.contains_key(known));
        Ok(found)
    }

    /// Members that have approved two charters of a number.
    fn doubled(&self, seq: u64) -> BTreeSet<MemberName> {
        let all = self.doubles.keys().filter(|(of, _)| *of == seq);
        all.map(|(_, member)| member.clone()).collect()
    }
}

/// The charters of a running node. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    me: MemberName,
    key: Arc<OwnKey>,
    store: Arc<dyn Store>,
    state: Arc<RwLock<State>>,
    /// One change at a time.
    turn: Arc<Mutex<()>>,
    /// Wakes whoever tells other members what is new, in the order in which they wait.
    told: broadcast::Sender<()>,
    in_force: watch::Sender<u64>,
}

/// The chain of charters that a node has: what it was installed with, and what came since.
///
/// # Errors
/// The store's; [`TrustError`] for a chain that is not approved.
pub async fn load(store: &dyn Store, installed: CharterChain) -> Result<CharterChain, ChangeError> {
    check_chain(&installed)?;
    let mut chain = installed;
    for (_, value) in all(store, CHARTERS).await? {
        let signed = SignedCharter::decode(&value)?;
        if signed.charter.seq > chain.in_force().charter.seq {
            check_next(chain.in_force(), &signed)?;
            chain.push(signed).map_err(TrustError::from)?;
        }
    }
    Ok(chain)
}

impl Changes {
    /// The charters of a node with this chain.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        me: MemberName,
        key: Arc<OwnKey>,
        store: Arc<dyn Store>,
        chain: CharterChain,
    ) -> Result<Self, ChangeError> {
        let seq = chain.in_force().charter.seq;
        let mut proposals = BTreeMap::new();
        for (_, value) in all(&*store, PROPOSALS).await? {
            let signed = SignedCharter::decode(&value)?;
            if signed.charter.check_follows(chain.in_force()).is_ok() {
                proposals.insert(signed.hash(), signed);
            }
        }
        let doubles = doubles::load(&*store).await?;
        alarm(&doubles);
        Ok(Self {
            me,
            key,
            store,
            state: Arc::new(RwLock::new(State { chain, proposals, doubles })),
            turn: Arc::default(),
            told: broadcast::Sender::new(1),
            in_force: watch::Sender::new(seq),
        })
    }

    /// The chain up to the charter that is in force by now, which may be newer than the one that this node
    /// works under.
    #[must_use]
    pub fn chain(&self) -> CharterChain {
        self.read(|state| state.chain.clone())
    }

    /// Waits until a charter with a number above `seq` is in force.
    pub async fn newer_than(&self, seq: u64) {
        let mut in_force = self.in_force.subscribe();
        // The sender lives as long as we do, so this cannot fail.
        let _closed = in_force.wait_for(|now| *now > seq).await;
    }

    /// What is proposed as the next charter.
    #[must_use]
    pub fn proposals(&self) -> Vec<Proposal> {
        // What is kept was verified when it came.
        let of = |signed: &SignedCharter| Proposal {
            approved: signed.approvals.iter().map(|by| by.member.clone()).collect(),
            signed: signed.clone(),
        };
        self.read(|state| state.proposals.values().map(of).collect())
    }

    /// Members that have approved two charters of one number, of whatever number.
    #[must_use]
    pub fn doubled(&self) -> BTreeSet<MemberName> {
        self.read(|state| state.doubles.keys().map(|(_, member)| member.clone()).collect())
    }

    /// The evidence against these, by number and member.
    #[must_use]
    pub fn doubles(&self) -> Vec<Double> {
        self.read(|state| state.doubles.values().cloned().collect())
    }

    /// What another member lacks that has charters up to `seq`: later ones, and what is proposed.
    #[must_use]
    pub fn lacking(&self, seq: u64, proposals: bool) -> Vec<SignedCharter> {
        self.read(|state| {
            let proposed = state.proposals.values().filter(|_| proposals);
            state.chain.after(seq).chain(proposed).cloned().collect()
        })
    }

    /// Proposes a charter, which is approved by this member with that; answers its hash.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is proposed then.
    pub async fn propose(&self, charter: Charter, told: Told<'_>) -> Result<[u8; 32], ChangeError> {
        let signed = SignedCharter::new(charter, Vec::new())?;
        let _turn = self.turn.lock().await;
        self.read(|state| signed.charter.check_follows(state.chain.in_force()))
            .map_err(TrustError::from)?;
        self.vote(signed, told).await
    }

    /// Approves what is proposed; answers whether it is in force with that.
    ///
    /// # Errors
    /// [`ChangeError`]; it is not approved then.
    pub async fn approve(&self, hash: &[u8; 32], told: Told<'_>) -> Result<bool, ChangeError> {
        let _turn = self.turn.lock().await;
        let proposed = self.read(|state| state.proposals.get(hash).cloned());
        let unknown = || ChangeError::Unknown(hex::encode(hash));
        let hash = self.vote(proposed.ok_or_else(unknown)?, told).await?;
        Ok(self.read(|state| state.chain.in_force().hash() == hash))
    }

    /// Adds our approval: durable first, then seen by anybody.
    async fn vote(&self, signed: SignedCharter, told: Told<'_>) -> Result<[u8; 32], ChangeError> {
        check_spoken(&signed.charter)?;
        let (seq, hash) = (signed.charter.seq, signed.hash());
        let voted = self.store.row(VOTES, &seq.to_be_bytes()).await?;
        if let Some(other) = voted.filter(|other| *other != hash) {
            return Err(ChangeError::Voted { seq, hash: hex::encode(&other) });
        }
        let approval = Approval { member: self.me.clone(), signature: approve(&hash, &self.key) };
        let vote = Row { table: VOTES, key: seq.to_be_bytes().to_vec(), value: Some(hash.into()) };
        let mut approvals = signed.approvals;
        approvals.retain(|by| by.member != self.me);
        approvals.push(approval);
        let signed = SignedCharter::new(signed.charter, approvals)?;
        self.keep(signed, (vec![vote], told), false).await?;
        Ok(hash)
    }

    /// Takes in what another member has: charters in force, and proposals; what proves nothing is passed
    /// over. True if anything was new.
    ///
    /// # Errors
    /// The store's; what was taken before stays.
    pub async fn take(&self, theirs: Vec<SignedCharter>) -> Result<bool, ChangeError> {
        let _turn = self.turn.lock().await;
        let mut news = false;
        for signed in theirs {
            let seq = signed.charter.seq;
            let (before, decided) = self.read(|state| {
                (state.before(seq).cloned(), seq <= state.chain.in_force().charter.seq)
            });
            let follows = |before: &SignedCharter| signed.charter.check_follows(before).is_ok();
            let Some(electorate) = before.filter(follows) else { continue };
            let mut approvals = verified(&signed, &electorate.charter);
            if decided {
                let other = SignedCharter::new(signed.charter, approvals)?;
                news |= self.convict(&other).await?;
                continue;
            }
            let elsewhere =
                electorate.charter.is_approved_by(approvals.iter().map(|by| &by.member));
            let known = self.read(|state| state.proposals.get(&signed.hash()).cloned());
            let known = known.map(|known| known.approvals).unwrap_or_default();
            let had = known.len();
            // Two of one member are evidence enough; more would fill the disk.
            let doubled = self.read(|state| state.doubled(seq));
            if had == 0 && approvals.iter().all(|by| doubled.contains(&by.member)) {
                continue;
            }
            approvals.retain(|by| known.iter().all(|known| known.member != by.member));
            approvals.extend(known);
            if approvals.len() > had || elsewhere {
                let signed = SignedCharter::new(signed.charter, approvals)?;
                self.keep(signed, (Vec::new(), None), elsewhere).await?;
                news = true;
            }
        }
        Ok(news)
    }

    /// Holds a charter of a number that is decided here against the one in force, with verified approvals; true if that
    /// convicts somebody.
    async fn convict(&self, other: &SignedCharter) -> Result<bool, ChangeError> {
        let found = self.read(|state| state.found_out(other))?;
        if found.is_empty() {
            return Ok(false);
        }
        let rows = found.values().map(Double::row).collect();
        let batch = Batch { rows, ..Batch::default() };
        self.store.commit(batch).await.map_err(StoreError::from)?;
        self.note(found);
        Ok(true)
    }

    /// Takes in who was found out, once that is durable.
    fn note(&self, found: Doubles) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.doubles.extend(found.clone());
        alarm(&state.doubles);
        drop(state);
        for (seq, member) in found.into_keys() {
            tracing::error!(%member, seq, "a member has approved two charters of one number");
        }
    }

    /// Whether we can still tell the others of a charter once we work under it. One that leaves, or has another
    /// key that nobody knows yet and perhaps no address, would take the approval that was missing along: it
    /// waits until another member has them all, and tells it until then.
    fn can_tell(&self, before: &Charter, after: &Charter) -> bool {
        let key = self.key.public().to_bytes();
        let stays = after.member(&self.me).is_some_and(|own| own.key == key);
        stays || before.members.len() == 1
    }

    /// Keeps a proposal, or puts it in force where enough have approved it; `elsewhere`: another member has all
    /// their approvals. Durable when it returns.
    async fn keep(
        &self,
        signed: SignedCharter,
        (mut rows, told): (Vec<Row>, Told<'_>),
        elsewhere: bool,
    ) -> Result<(), ChangeError> {
        let (seq, hash) = (signed.charter.seq, signed.hash());
        let complete = self.read(|state| {
            let electorate = state.chain.in_force();
            let stays = elsewhere || self.can_tell(&electorate.charter, &signed.charter);
            stays && check_next(electorate, &signed).is_ok()
        });
        let found = self.read(|state| state.found_out(&signed))?;
        rows.extend(found.values().map(Double::row));
        if complete {
            let key = seq.to_be_bytes().to_vec();
            rows.push(Row { table: CHARTERS, key, value: Some(signed.encode()) });
            let done = self.read(|state| state.proposals.keys().copied().collect::<Vec<_>>());
            let done = done.into_iter().map(|hash| (hash.to_vec(), None));
            rows.extend(done.map(|(key, value)| Row { table: PROPOSALS, key, value }));
        } else {
            let value = Some(signed.encode());
            rows.push(Row { table: PROPOSALS, key: hash.to_vec(), value });
        }
        match told {
            Some((desk, line)) => drop(desk.write(line.rows(rows)).await?),
            None => {
                let batch = Batch { rows, ..Batch::default() };
                self.store.commit(batch).await.map_err(StoreError::from)?;
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if complete {
            state.chain.push(signed).map_err(TrustError::from)?;
            state.proposals.clear();
        } else {
            state.proposals.insert(hash, signed);
        }
        drop(state);
        self.note(found);
        if complete {
            tracing::info!(seq, hash = hex::encode(&hash), "a new charter is in force");
            self.in_force.send_replace(seq);
        }
        // Nobody waits: nobody is told.
        let _nobody = self.told.send(());
        Ok(())
    }

    /// Asks one member for what it has, and tells it at once what is new here, for as long as the node
    /// runs.
    pub async fn run(self, peer: Arc<dyn Peer>, random: Arc<dyn Random>) {
        let mut told = self.told.subscribe();
        // At once, then when there is news.
        let mut wait = Duration::ZERO;
        // Times since what is in force was compared, and what that was.
        let mut compared = (0, *self.in_force.borrow());
        loop {
            tokio::select! {
                biased;
                news = told.recv() => if news == Err(RecvError::Closed) { return },
                () = tokio::time::sleep(jittered(wait, &*random)) => {}
            }
            let now = *self.in_force.borrow();
            if now != compared.1 {
                compared = (0, now);
            }
            wait = match self.exchange(&*peer, compared.0 % COMPARE_EVERY == 0).await {
                Ok(()) => {
                    compared.0 = (compared.0 + 1) % COMPARE_EVERY;
                    ASK_EVERY
                }
                Err(error) => {
                    compared.0 = 0;
                    tracing::debug!(%error, "charters were not compared");
                    (wait * 2).clamp(RETRY, ASK_EVERY)
                }
            };
        }
    }

    /// Takes what a member has, then tells it what it lacks. In this order: who goes on under a key that a
    /// charter has replaced meanwhile is answered, as anybody is, and not heard. `whole`: compares also what is in force.
    async fn exchange(&self, peer: &dyn Peer, whole: bool) -> Result<(), PeerError> {
        let (seq, hash) = self.read(|state| {
            let in_force = state.chain.in_force();
            (in_force.charter.seq, in_force.hash())
        });
        let after = if whole { seq.saturating_sub(1) } else { seq };
        let Theirs { in_force, charters: mut theirs } = peer.charters(after).await?;
        let mut rivals = Vec::new();
        let other = |signed: &SignedCharter| signed.charter.seq == seq && signed.hash() != hash;
        if whole && in_force >= seq && theirs.iter().any(other) {
            // Both have to know of all in which they differ.
            theirs = peer.charters(1).await?.charters;
            let there: BTreeSet<_> = theirs.iter().map(SignedCharter::hash).collect();
            let lacks = |signed: &SignedCharter| !there.contains(&signed.hash());
            rivals = self.lacking(1, false);
            rivals.retain(|signed| signed.charter.seq <= in_force && lacks(signed));
        }
        let known: BTreeMap<_, BTreeSet<_>> = theirs
            .iter()
            .map(|signed| (signed.hash(), approvers(signed).cloned().collect()))
            .collect();
        self.take(theirs).await.map_err(|error| PeerError(error.to_string()))?;
        let mut ours = self.lacking(in_force, true);
        ours.retain(|signed| {
            // A number that is decided there needs no proposals any more.
            let open = signed.charter.seq > in_force;
            let lacks = |had: &BTreeSet<_>| approvers(signed).any(|member| !had.contains(member));
            // As many others may have approved it there: who has is compared, not how many.
            open && known.get(&signed.hash()).is_none_or(lacks)
        });
        ours.extend(rivals);
        if ours.is_empty() { Ok(()) } else { peer.tell_charters(&ours).await }
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says by member how often it has approved twice, also after a restart.
fn alarm(doubles: &Doubles) {
    let mut times = BTreeMap::<&MemberName, u64>::new();
    for (_, member) in doubles.keys() {
        *times.entry(member).or_default() += 1;
    }
    for (member, count) in times {
        let name = member.to_string();
        metrics::counter!("watchfire_charter_double_approvals_total", "member" => name)
            .absolute(count);
    }
}

fn approvers(signed: &SignedCharter) -> impl Iterator<Item = &MemberName> {
    signed.approvals.iter().map(|by| &by.member)
}

/// All rows of a table in order of their keys.
async fn all(store: &dyn Store, table: Table) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let (mut found, mut after) = (Vec::new(), Vec::new());
    loop {
        let rows = store.rows(table, &after, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(found) };
        after.clone_from(last);
        found.extend(rows);
    }
}
