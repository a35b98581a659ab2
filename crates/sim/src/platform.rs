//! The platform of a member: what it holds, what of that can be seen, and how it takes orders.
//!
//! **Invariant:** an order is heard by the oracle at the moment at which the node gives it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use watchfire_node::connector::{Answer, Connector, ConnectorError, Order, Visibility};

use crate::{
    chance::Chance,
    fault::{Fault, Faults},
    oracle::Oracle,
    pictures::Posted,
    process::Life,
    trace::Trace,
};

/// How long an order takes, in milliseconds.
const ORDER_MS: std::ops::Range<u64> = 1..60;

/// How a platform takes orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// As it should.
    #[default]
    Fine,
    /// It asks to wait, does not hear, or does it and its answer is lost.
    Moody,
}

/// What a platform says it does and does not: for mutants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pretends {
    /// To hide things.
    pub hides: bool,
    /// To show them again.
    pub shows: bool,
}

/// A platform. It outlives the processes of its member's node.
pub struct Platform {
    /// Whose it is.
    pub name: String,
    items: Mutex<BTreeMap<String, Posted>>,
    mood: Mutex<Mood>,
    pretends: Pretends,
    /// Whether items are hidden, by what it said, where it pretends.
    said: Mutex<BTreeMap<String, bool>>,
    oracle: Arc<Oracle>,
    chance: Chance,
    faults: Faults,
    trace: Trace,
}

impl Platform {
    /// An empty one.
    #[must_use]
    pub fn new(
        (name, pretends): (&str, Pretends),
        seed: u64,
        oracle: &Arc<Oracle>,
        (faults, trace): (&Faults, &Trace),
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            items: Mutex::default(),
            mood: Mutex::default(),
            pretends,
            said: Mutex::default(),
            oracle: oracle.clone(),
            chance: Chance::new(seed, &format!("platform of {name}")),
            faults: faults.clone(),
            trace: trace.clone(),
        })
    }

    /// Somebody posts a picture.
    pub fn post(&self, item: &str, picture: u64) {
        self.items().insert(item.to_owned(), Posted { picture, hidden: false });
    }

    /// An upload was refused: it never was there.
    pub fn refuse(&self, item: &str) {
        self.items().remove(item);
    }

    /// All that it holds.
    #[must_use]
    pub fn posted(&self) -> BTreeMap<String, Posted> {
        self.items().clone()
    }

    /// Changes how it takes orders.
    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// How it takes orders now.
    #[must_use]
    pub fn mood(&self) -> Mood {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what it said it shows.
    pub fn does_what_it_said(&self) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for (item, posted) in self.items().iter_mut() {
            if said.get(item) == Some(&false) {
                posted.hidden = false;
            }
        }
    }

    /// Whether an item is hidden, as it says.
    fn says(&self, item: &str, posted: Posted) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(item).copied().unwrap_or(posted.hidden)
    }

    /// The connector of one process.
    #[must_use]
    pub fn connector(self: &Arc<Self>, life: Life) -> Desk {
        Desk { platform: self.clone(), life }
    }

    fn items(&self) -> MutexGuard<'_, BTreeMap<String, Posted>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, order: &Order, hide: bool) -> Result<Answer, ConnectorError> {
        let picture = self.items().get(&order.item).map(|posted| posted.picture);
        if let Some(picture) = picture.filter(|_| hide) {
            self.oracle.hears_take_down(&self.name, &order.item, picture).await;
        }
        let verb = if hide { "hide" } else { "show" };
        self.trace
            .note(&self.name, format_args!("is told to {verb} {} ({})", order.item, order.action));
        let moody = self.mood() == Mood::Moody;
        let mishap = if moody { self.chance.below(6) } else { 6 };
        match mishap {
            0 => {
                self.faults.fired(Fault::PlatformBusy);
                return Ok(Answer::RetryAfter(self.chance.within(500..20_000)));
            }
            1 => {
                self.faults.fired(Fault::PlatformDeaf);
                return Err(ConnectorError("not heard".to_owned()));
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(self.chance.within(ORDER_MS))).await;
        let changed = {
            let mut items = self.items();
            let Some(posted) = items.get_mut(&order.item) else { return Ok(Answer::Gone) };
            let changed = self.says(&order.item, *posted) != hide;
            if self.pretends != Pretends::default() {
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                said.insert(order.item.clone(), hide);
            }
            if !(if hide { self.pretends.hides } else { self.pretends.shows }) {
                posted.hidden = hide;
            }
            changed
        };
        if mishap == 2 {
            self.faults.fired(Fault::PlatformAnswerLost);
            return Err(ConnectorError("the answer was lost".to_owned()));
        }
        Ok(if changed { Answer::Done } else { Answer::AlreadyDone })
    }
}

/// What a process orders things from.
pub struct Desk {
    platform: Arc<Platform>,
    life: Life,
}

#[async_trait]
impl Connector for Desk {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.life.goes_on().await;
        let answer = self.platform.take(order, true).await;
        self.life.goes_on().await;
        answer
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        self.life.goes_on().await;
        let posted = self.platform.items().get(item).copied();
        Ok(match posted {
            None => Visibility::Gone,
            Some(posted) if self.platform.says(item, posted) => Visibility::Hidden,
            Some(_) => Visibility::Visible,
        })
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.life.goes_on().await;
        let answer = self.platform.take(order, false).await;
        self.life.goes_on().await;
        answer
    }
}
