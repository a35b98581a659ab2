//! What a member has at home: its rules, its people, its lists, its desk log.

use std::sync::Arc;

use tokio::sync::Notify;
use watchfire_signal::{
    charter::{Charter, Role},
    name::{LogName, MemberName},
};
use watchfire_store::{Store, StoreError};

use super::start::{Setup, StartError};
use crate::{
    access::Access,
    banks::{BankParts, Banks},
    clock::{Clock, Random},
    desk::{Desk, Lines, desk_origin},
    enforce::Consequences,
    facts::{self, KeptFacts},
    follow::Follower,
    holds::Holds,
    judge::Judge,
    known::Known,
    looks::Enforcer,
    people::People,
    policies::{self, Policies},
    policy::Policy,
    reasons::Reasons,
    review::{Proposals, Review, Surroundings},
    scan::Scanner,
    seen::{Seen, SeenParts, Unwritten},
    sightings::Sightings,
};

/// What this member does at home: its rules, its people, its desk log.
pub(super) struct Home {
    pub(super) judge: Judge,
    pub(super) enforcer: Enforcer,
    pub(super) desk: Desk,
    pub(super) lines: Lines,
    pub(super) access: Arc<Access>,
    pub(super) review: Review,
    pub(super) proposals: Proposals,
    pub(super) facts: KeptFacts,
    pub(super) undecided: facts::Unwritten,
    pub(super) holds: Holds,
}

impl Home {
    /// What decides, for what the logs come to.
    pub(super) async fn open(
        setup: &Setup,
        log: &LogName,
        judge: Judge,
        Follower { events, enforcer, .. }: &Follower,
    ) -> Result<Self, StartError> {
        let store = || setup.store.clone();
        let origin = desk_origin(log).map_err(StartError::Name)?;
        let (desk, lines) = Desk::new(origin, setup.key.public(), setup.store.clone());
        let enforcer = enforcer.clone();
        let (review, proposals) = Review::load(Surroundings {
            judge: judge.clone(),
            desk: desk.clone(),
            store: setup.store.clone(),
            enforcer: enforcer.clone(),
            clock: setup.clock.clone(),
        })
        .await?;
        let (clock, random) = (setup.clock.clone(), setup.random.clone());
        let access = Access::load(setup.store.clone(), desk.clone(), clock, random).await?;
        let (facts, undecided) = KeptFacts::new(store());
        let holds = Holds::load(judge.clone(), store(), desk.clone(), events.clone()).await?;
        Ok(Self {
            judge,
            enforcer,
            desk,
            lines,
            access,
            review,
            proposals,
            facts,
            undecided,
            holds,
        })
    }

    /// This member's own lists.
    pub(super) async fn banks(
        &self,
        setup: &Setup,
        least_ms: u32,
    ) -> Result<Arc<Banks>, StoreError> {
        let banks = Banks::load(BankParts {
            store: setup.store.clone(),
            desk: self.desk.clone(),
            enforcer: self.enforcer.clone(),
            clock: setup.clock.clone(),
            seed: seed(&*setup.random),
            least_matched_ms: least_ms,
        })
        .await?;
        Ok(Arc::new(banks))
    }

    /// The versions of these rules.
    pub(super) fn policies(&self, setup: &Setup) -> Policies {
        Policies::new(&self.judge, &self.desk, &setup.store, &setup.clock, &self.enforcer)
    }

    /// What judges matches by these rules.
    pub(super) fn reasons(
        &self,
        known: &Arc<Known>,
        banks: &Arc<Banks>,
        clock: &Arc<dyn Clock>,
    ) -> Reasons {
        Reasons {
            known: known.clone(),
            banks: Some(banks.clone()),
            judge: self.judge.clone(),
            holds: self.holds.clone(),
            clock: clock.clone(),
        }
    }

    /// What acts on copies by these rules.
    pub(super) fn consequences(
        &self,
        setup: &Setup,
        reasons: &Reasons,
        seen: &Arc<Seen>,
    ) -> Consequences {
        Consequences {
            reasons: reasons.clone(),
            seen: seen.clone(),
            review: self.review.clone(),
            facts: self.facts.clone(),
            store: setup.store.clone(),
            routes: Arc::new(setup.routes.clone()),
            outbox: Arc::new(Notify::new()),
        }
    }

    /// What scans items by these rules.
    pub(super) fn scanner(&self, reasons: &Reasons, seen: &Arc<Seen>) -> Scanner {
        Scanner {
            reasons: reasons.clone(),
            seen: seen.clone(),
            review: Some(self.review.clone()),
            facts: self.facts.clone(),
            sightings: Sightings::default(),
        }
    }
}

/// What decides by the newest policy that was applied, or that of the configuration, and heeds what people have said.
pub(super) async fn judge(
    (me, charter): (&MemberName, &Charter),
    configured: &Policy,
    store: &dyn Store,
) -> Result<Judge, StartError> {
    configured.check().map_err(StartError::Policy)?;
    let policy = policies::newest(store).await?.unwrap_or_else(|| configured.clone());
    let people = Arc::new(People::load(store).await?);
    // Who is no member does not start; it would not act either.
    let role = charter.member(me).map_or(Role::Auditor, |own| own.role);
    Ok(Judge::new(me.clone(), role, policy).heeding(people))
}

/// The seen table with what writes it.
pub(super) async fn seen(
    setup: &Setup,
    least_matched_ms: u32,
) -> Result<(Arc<Seen>, Unwritten), StoreError> {
    let parts = SeenParts {
        store: setup.store.clone(),
        clock: setup.clock.clone(),
        setup: setup.seen.clone(),
        seed: seed(&*setup.random),
        least_matched_ms,
    };
    let (seen, unwritten) = Seen::load(parts).await?;
    Ok((Arc::new(seen), unwritten))
}

pub(super) fn seed(random: &dyn Random) -> [u8; 32] {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    seed
}
