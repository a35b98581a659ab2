//! What a member has at home: its rules, its people, its lists, its desk log.

use std::sync::Arc;

use tokio::sync::Notify;
use watchfire_signal::name::LogName;
use watchfire_store::StoreError;

use super::start::{Setup, StartError};
use crate::{
    access::Access,
    banks::{BankParts, Banks},
    cases::{Sets, Wanted},
    clock::{Clock, Random},
    desk::{Desk, Lines, desk_origin},
    enforce::Consequences,
    events::Events,
    facts::{self, KeptFacts},
    holds::Holds,
    judge::Judge,
    known::Known,
    looks::Enforcer,
    people::People,
    policies::{self, Policies},
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
    /// By the newest policy that was applied, or that of the configuration.
    pub(super) async fn open(
        setup: &Setup,
        log: &LogName,
        events: &Events,
    ) -> Result<Self, StartError> {
        let store = || setup.store.clone();
        setup.policy.check().map_err(StartError::Policy)?;
        let policy = policies::newest(&*setup.store).await?;
        let policy = policy.unwrap_or_else(|| setup.policy.clone());
        let people = Arc::new(People::load(&*setup.store).await?);
        let judge = Judge::new(setup.me.clone(), policy).heeding(people);
        let origin = desk_origin(log).map_err(StartError::Name)?;
        let (desk, lines) = Desk::new(origin, setup.key.public(), setup.store.clone());
        let enforcer = Enforcer::default();
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

    /// Sets of signals, none yet.
    fn sets(&self, setup: &Setup) -> Result<Arc<Sets>, StoreError> {
        let judge = self.judge.clone();
        let wanted: Wanted =
            Box::new(move |case| judge.human(None, case).is_some_and(|human| human.harmful));
        let sets = match &setup.over {
            Some(directory) => Sets::in_directory(directory, wanted)
                .map_err(|error| StoreError::Failed(format!("{}: {error}", directory.display())))?,
            None => Sets::in_memory(wanted),
        };
        Ok(Arc::new(sets))
    }

    /// What the coalition spoke of, still to be folded, and this member's own lists.
    pub(super) async fn lists(
        &self,
        setup: &Setup,
        least_ms: u32,
    ) -> Result<(Arc<Known>, Arc<Banks>), StoreError> {
        let known = Arc::new(Known::of(self.sets(setup)?, seed(&*setup.random), least_ms));
        let banks = Banks::load(BankParts {
            store: setup.store.clone(),
            desk: self.desk.clone(),
            enforcer: self.enforcer.clone(),
            clock: setup.clock.clone(),
            seed: seed(&*setup.random),
            least_matched_ms: least_ms,
        })
        .await?;
        Ok((known, Arc::new(banks)))
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

fn seed(random: &dyn Random) -> [u8; 32] {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    seed
}
