//! Draws the consequences of a changed case, or a changed bank, for the copies that the platform
//! already holds: take-downs when it becomes enforceable, restores when it is undone, tickets for what
//! a person has to see.
//!
//! **Invariant:** what is decided depends on the cases, the banks, the seen table, what people said and
//! the outbox alone, so looking twice decides nothing twice.
//! **Invariant:** it is decided item by item, over all cases and all that was done to the item.
//! **Invariant:** copies are decided about page by page; no transaction grows with their number.

mod effect;
mod item;
mod sweep;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::Notify;
use watchfire_signal::{commitment::Commitment, name::ItemId, value::Signal};
use watchfire_store::{Batch, CommitError, Effect, Store, StoreError};

use crate::{
    cases::SignalSet,
    content::ContentPlace,
    facts::KeptFacts,
    hold::History,
    holds::Asks,
    looks::{Enforcer, Look, Todo},
    reasons::Reasons,
    review::Review,
    routes::Routes,
    seen::Seen,
    standing::State,
};

pub use crate::hold::RESTORE;

/// Restores go before every take-down.
pub const PRIORITY_RESTORE: u8 = 0;
/// Items decided about in one transaction: few enough that an alert's commit never waits long
/// behind it.
pub const PAGE: usize = 256;
/// Items that are looked at first for what a set did: that of a set that acted is nearly always among them.
const FEW: usize = 16;
/// How long a set whose consequences could not be drawn waits.
const AGAIN: Duration = Duration::from_millis(200);

/// A copy that the platform holds.
struct Copy {
    item: ItemId,
    seen_ms: u64,
}

/// What deciding about held copies needs.
#[derive(Clone)]
pub struct Consequences {
    /// What items match, and what policy says of it.
    pub reasons: Reasons,
    /// What is held.
    pub seen: Arc<Seen>,
    /// Where what a person should see waits.
    pub review: Review,
    /// Where decisions are kept.
    pub facts: KeptFacts,
    /// Where effects begin.
    pub store: Arc<dyn Store>,
    /// The connectors that carry them out; without one nothing is queued.
    pub routes: Arc<Routes>,
    /// Woken when there are new effects.
    pub outbox: Arc<Notify>,
}

impl Consequences {
    /// Looks at everything that the enforcer names, for as long as the node runs. Undoing has a task of
    /// its own, so that it never waits behind a case with very many copies.
    pub async fn run(self, enforcer: Enforcer) {
        let looks =
            async { tokio::join!(self.work(&enforcer.undo), self.work(&enforcer.take_down)) };
        let all = async {
            tokio::join!(self.sweep_when_told(&enforcer), self.judge_all_when_told(&enforcer))
        };
        tokio::join!(looks, all);
    }

    async fn work(&self, todo: &Todo) {
        loop {
            let look = todo.next().await;
            while let Err(error) = self.draw(look).await {
                tracing::error!(%error, ?look, "consequences could not be drawn; tried again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Decides about all copies that one set or content concerns: those that match it while it is
    /// alive, and those that its case had an effect on before.
    ///
    /// # Errors
    /// The store's; what was decided before that is durable, and looking again goes on.
    pub async fn draw(&self, look: Look) -> Result<(), StoreError> {
        match look {
            Look::Content(_) if self.routes.is_empty() => Ok(()),
            Look::Set(name) => self.draw_set(&name).await,
            Look::Content(place) => self.draw_content(place).await,
        }
    }

    async fn draw_set(&self, name: &Commitment) -> Result<(), StoreError> {
        let known = &self.reasons.known;
        let Some(set) = known.arrange(name, self.reasons.clock.now_ms()) else { return Ok(()) };
        if self.reasons.judge.human(None, &set.subject).is_some() {
            // What a person here has said of a case goes for all of it.
            for other in known.sets().names_of_case(&set.subject) {
                known.arrange(&other, self.reasons.clock.now_ms());
            }
        }
        // A rule may ask how a copy matches, so every case that is alive is compared with the copies.
        let now = self.reasons.clock.now_ms();
        let state = set.state(now);
        let over = matches!(state, State::Retracted | State::Lapsed);
        let signals = set.alert.as_ref().map_or(&[][..], |alert| &alert.signals);
        let copies = if over { Vec::new() } else { self.copies(signals).await? };
        // Uploads are refused by a set without copies too, and where no connector is there.
        let facts = self.reasons.judge.facts(&set, now);
        if !over && self.reasons.judge.policy().could_act(&facts) {
            let asks = Asks {
                case: set.subject,
                record: set.name,
                source: Some(set.author()),
                content: None,
                first_ms: set.verified_ms,
                confirmed: state == State::Confirmed || set.standing.is_lifted(now),
                benign: self.reasons.known.benign(name),
            };
            self.admit(asks, &copies).await?;
        }
        if self.routes.is_empty() {
            return Ok(());
        }
        self.decide_copies(&copies, Some(&set)).await?;
        self.decide_acted_on(set.subject).await
    }

    async fn draw_content(&self, place: ContentPlace) -> Result<(), StoreError> {
        let Some(banks) = &self.reasons.banks else { return Ok(()) };
        let case = Commitment(place.subject());
        let held = banks.held(place).await?;
        if let Some((bank, content)) = held.as_ref().filter(|_| banks.matches(place)) {
            let copies = self.copies(&content.new.signals).await?;
            if !bank.settings.negative {
                let asks = Asks {
                    case,
                    record: case,
                    source: None,
                    content: Some(place),
                    first_ms: content.added_ms,
                    confirmed: false,
                    benign: None,
                };
                self.admit(asks, &copies).await?;
            }
            self.decide_copies(&copies, None).await?;
        }
        self.decide_acted_on(case).await?;
        if held.is_none() {
            let rows = vec![banks.is_undone(place)];
            self.commit(Batch { rows, ..Batch::default() }).await?;
        }
        Ok(())
    }

    /// Has what would pass a limit held from here on: `look` asks for it item by item.
    async fn admit(&self, asks: Asks<'_>, copies: &[Copy]) -> Result<(), StoreError> {
        let before = self.acted_on(asks.case, asks.record).await?;
        let now = self.reasons.clock.now_ms();
        let seen_ms = copies.iter().map(|copy| copy.seen_ms);
        self.reasons.holds.admit(asks, before, seen_ms, now).await.map(drop)
    }

    /// Whether this very set had an effect on anything before: others of its case say nothing of it.
    async fn acted_on(&self, case: Commitment, record: Commitment) -> Result<bool, StoreError> {
        let (mut after, mut page) = (String::new(), FEW);
        loop {
            let items = self.store.items_of_case(case.0, &after, page).await?;
            page = PAGE;
            let Some(last) = items.last() else { return Ok(false) };
            after.clone_from(last);
            let effects = self.store.effects_of_items(items).await?;
            if effects.iter().any(|effect| effect.record == record.0) {
                return Ok(true);
            }
        }
    }

    /// The copies near these signals.
    async fn copies(&self, signals: &[Signal]) -> Result<Vec<Copy>, StoreError> {
        let mut search = self.seen.search(signals).await?;
        let mut copies = Vec::new();
        loop {
            let found = search.next().await?;
            if found.is_empty() {
                return Ok(copies);
            }
            let found = found.iter().map(|(item, _)| (item.id.clone(), item.seen_ms));
            copies.extend(found.map(|(item, seen_ms)| Copy { item, seen_ms }));
        }
    }

    /// Decides about copies; `matches` is a set that is known to match them all.
    async fn decide_copies(
        &self,
        copies: &[Copy],
        matches: Option<&Arc<SignalSet>>,
    ) -> Result<(), StoreError> {
        for page in copies.chunks(PAGE) {
            let items = page.iter().map(|copy| copy.item.clone()).collect::<Vec<_>>();
            self.decide(&items, matches).await?;
            // Others have their turn between two pages, whatever the store.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Decides about the items that a case ever had an effect on.
    async fn decide_acted_on(&self, case: Commitment) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let page = self.store.items_of_case(case.0, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let items = page.iter().filter_map(|item| item.parse().ok()).collect::<Vec<_>>();
            self.decide(&items, None).await?;
        }
    }

    /// Decides about items, in one transaction; `matches` is a set that is known to match them all.
    ///
    /// # Errors
    /// The store's; nothing was decided then.
    pub async fn decide(
        &self,
        items: &[ItemId],
        matches: Option<&Arc<SignalSet>>,
    ) -> Result<(), StoreError> {
        let names = items.iter().map(ToString::to_string).collect();
        let mut histories = BTreeMap::<String, Vec<Effect>>::new();
        for effect in self.store.effects_of_items(names).await? {
            histories.entry(effect.item.clone()).or_default().push(effect);
        }
        let (mut effects, mut proposals, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let history = histories.get(item.as_str()).map_or(&[][..], Vec::as_slice);
            let looked = self.look(item, History(history), matches).await?;
            let owed = self.owed(item, History(history), &looked.want);
            if owed.iter().any(|effect| effect.action != RESTORE) {
                kept.extend(looked.decided());
            }
            effects.extend(owed);
            proposals.extend(looked.asks(item, History(history)));
        }
        if !effects.is_empty() {
            self.commit(Batch { effects, ..Batch::default() }).await?;
        }
        kept.into_iter().for_each(|decided| self.facts.keep(decided));
        for proposal in proposals {
            self.review.propose(proposal).await;
        }
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        match self.store.commit(batch).await {
            Ok(()) => {
                self.outbox.notify_waiters();
                Ok(())
            }
            Err(CommitError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }
}
