//! The network between members: what one asks another arrives late, twice, in another order, or not at all.
//!
//! **Invariant:** what was sent before a cut and not yet heard is lost; nothing passes a cut.
//! **Invariant:** a connection that is half open says nothing until somebody's patience ends.

mod far;
mod line;
mod stream;

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    Mutant,
    chance::Chance,
    fault::{Fault, Faults},
    host::Host,
};

pub use line::Line;

/// How long an answer is waited for, as in `api`.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a silent stream is waited for, as in `api`.
const SILENCE: Duration = Duration::from_secs(40);

/// What the network does to what passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// Requests and answers lost, of a thousand.
    pub lost: u64,
    /// Frames of streams that are lost, doubled, or overtaken by the next, of a thousand each.
    pub frames: u64,
    /// Requests that come a second time, later, of a thousand.
    pub replayed: u64,
    /// Records that go missing on the way, of a thousand.
    pub withheld: u64,
    /// How long one way takes, in milliseconds.
    pub delay_ms: Range<u64>,
}

impl Weather {
    /// Nothing goes wrong.
    #[must_use]
    pub fn fine() -> Self {
        Self { lost: 0, frames: 0, replayed: 0, withheld: 0, delay_ms: 1..20 }
    }

    /// Everything goes wrong now and then.
    #[must_use]
    pub fn foul() -> Self {
        Self { lost: 60, frames: 150, replayed: 80, withheld: 150, delay_ms: 5..2_000 }
    }
}

/// Whether something gets from one member to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passage {
    /// It does.
    #[default]
    Open,
    /// It is refused.
    Cut,
    /// It vanishes.
    HalfOpen,
}

/// A direction: how often it was interrupted, and what it is now.
#[derive(Default)]
struct Direction {
    state: Mutex<(u64, Passage)>,
    changed: Notify,
}

impl Direction {
    fn state(&self) -> MutexGuard<'_, (u64, Passage)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it was interrupted more often than so; says how.
    async fn broken(&self, breaks: u64) -> Passage {
        loop {
            let changed = self.changed.notified();
            let (now, passage) = *self.state();
            if now > breaks {
                return passage;
            }
            changed.await;
        }
    }
}

/// The network.
pub struct Wire {
    hosts: OnceLock<Vec<Arc<dyn Host>>>,
    directions: Vec<Vec<Arc<Direction>>>,
    weather: Mutex<Weather>,
    /// What it does wrong on purpose.
    mutant: Option<Mutant>,
    chance: Chance,
    faults: Faults,
}

impl Wire {
    /// Between so many members, all of them connected.
    #[must_use]
    pub fn new(members: usize, seed: u64, mutant: Option<Mutant>, faults: &Faults) -> Arc<Self> {
        let row = || (0..members).map(|_| Arc::default()).collect();
        Arc::new(Self {
            hosts: OnceLock::new(),
            directions: (0..members).map(|_| row()).collect(),
            weather: Mutex::new(Weather::fine()),
            mutant,
            chance: Chance::new(seed, "wire"),
            faults: faults.clone(),
        })
    }

    /// Who stands at its ends, by place.
    pub fn connect(&self, hosts: Vec<Arc<dyn Host>>) {
        // A run connects once.
        let _first = self.hosts.set(hosts);
    }

    /// Changes the weather.
    pub fn set_weather(&self, weather: Weather) {
        *self.locked() = weather;
    }

    /// Changes one direction.
    pub fn set(&self, from: usize, to: usize, passage: Passage) {
        let Some(direction) = self.direction(from, to) else { return };
        {
            let mut state = direction.state();
            if state.1 != passage && passage != Passage::Open {
                state.0 += 1;
            }
            state.1 = passage;
        }
        direction.changed.notify_waiters();
    }

    /// Opens everything.
    pub fn heal(&self) {
        for from in 0..self.directions.len() {
            for to in 0..self.directions.len() {
                self.set(from, to, Passage::Open);
            }
        }
        self.set_weather(Weather::fine());
    }

    /// Cuts one member off.
    pub fn cut_off(&self, place: usize) {
        for other in (0..self.directions.len()).filter(|other| *other != place) {
            self.set(place, other, Passage::Cut);
            self.set(other, place, Passage::Cut);
        }
    }

    /// Whether something gets from one to another now.
    #[must_use]
    pub fn passage(&self, from: usize, to: usize) -> Passage {
        self.direction(from, to).map_or(Passage::Cut, |direction| direction.state().1)
    }

    fn direction(&self, from: usize, to: usize) -> Option<&Arc<Direction>> {
        self.directions.get(from)?.get(to)
    }

    fn host(&self, place: usize) -> Option<Arc<dyn Host>> {
        self.hosts.get()?.get(place).cloned()
    }

    fn weather(&self) -> Weather {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One way.
    async fn travel(&self) {
        let delay = self.weather().delay_ms;
        let ms = self.chance.within(delay);
        if ms > 100 {
            self.faults.fired(Fault::Delayed);
        }
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
