//! How often somebody may ask: each asker has a bucket that fills steadily.
//!
//! **Invariant:** memory is bounded, however many askers come: those beyond the limit share a bucket.
//! Source: the generic cell rate algorithm, ITU-T I.371 annex A.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

/// Askers that are remembered one by one; at about 100 bytes each, a flood of them takes some MB.
const MAX_ASKERS: usize = 65_536;
/// How often the askers whose bucket is full again are looked for while the table is full: looking
/// at all of them is slow.
const PRUNE_EVERY_US: u64 = 1_000_000;

/// How often one asker may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds until one more is allowed.
    every_us: u64,
    /// How many may come at once.
    burst: u32,
}

impl Rate {
    /// So many a second, and so many at once; at least one of each.
    #[must_use]
    pub fn a_second(number: u32, burst: u32) -> Self {
        Self { every_us: (1_000_000 / u64::from(number.max(1))).max(1), burst: burst.max(1) }
    }

    /// So many an hour, and so many at once; at least one of each.
    #[must_use]
    pub fn an_hour(number: u32, burst: u32) -> Self {
        Self { every_us: (3_600_000_000 / u64::from(number.max(1))).max(1), burst: burst.max(1) }
    }
}

/// Too many: how long to wait, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u64);

/// Whose addresses count as one: an IPv4 address, or the /64 that one IPv6 host has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// Of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self(four.into()),
            IpAddr::V6(six) => Self(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into()),
        }
    }
}

/// The buckets of many askers.
#[derive(Debug)]
pub struct Buckets<K>(Mutex<Table<K>>);

#[derive(Debug)]
struct Table<K> {
    /// When each bucket is full again, in microseconds since 1970.
    full_at: HashMap<K, u64>,
    /// The bucket of all for whom there is no room.
    rest: u64,
    pruned_us: u64,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::new(Table { full_at: HashMap::new(), rest: 0, pruned_us: 0 }))
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Takes one from an asker's bucket.
    ///
    /// # Errors
    /// [`Wait`] when it is empty; nothing was taken then.
    pub fn take(&self, asker: K, rate: Rate, now_ms: u64) -> Result<(), Wait> {
        let now = now_ms.saturating_mul(1000);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.full_at.contains_key(&asker) && table.full_at.len() >= MAX_ASKERS {
            table.prune(now);
            if table.full_at.len() >= MAX_ASKERS {
                return take(&mut table.rest, rate, now);
            }
        }
        take(table.full_at.entry(asker).or_insert(now), rate, now)
    }

    /// Puts one back into an asker's bucket, which had only to show that there was one.
    pub fn give_back(&self, asker: &K, rate: Rate) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = table.full_at.get_mut(asker) {
            *full_at = full_at.saturating_sub(rate.every_us);
        }
    }

    /// Fills an asker's bucket again.
    pub fn forgive(&self, asker: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).full_at.remove(asker);
    }
}

impl<K: Eq + Hash> Table<K> {
    fn prune(&mut self, now: u64) {
        if now >= self.pruned_us.saturating_add(PRUNE_EVERY_US) {
            self.pruned_us = now;
            self.full_at.retain(|_, full| *full > now);
        }
    }
}

fn take(full_at: &mut u64, rate: Rate, now: u64) -> Result<(), Wait> {
    let from = (*full_at).max(now);
    let allowed = rate.every_us.saturating_mul(u64::from(rate.burst - 1));
    let missing = (from - now).saturating_sub(allowed);
    if missing > 0 {
        return Err(Wait(missing.div_ceil(1000)));
    }
    *full_at = from.saturating_add(rate.every_us);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_wait_is_told() {
        let buckets = Buckets::default();
        let rate = Rate::a_second(10, 3);
        for _ in 0..3 {
            buckets.take("a", rate, 1_000).unwrap();
        }
        assert_eq!(buckets.take("a", rate, 1_000), Err(Wait(100)));
        assert_eq!(buckets.take("a", rate, 1_099), Err(Wait(1)));
        assert_eq!(buckets.take("a", rate, 1_100), Ok(()));
        assert_eq!(buckets.take("b", rate, 1_100), Ok(()));
        buckets.forgive(&"a");
        assert_eq!(buckets.take("a", rate, 1_100), Ok(()));
    }

    #[test]
    fn what_is_given_back_is_as_if_it_had_never_been_taken() {
        let buckets = Buckets::default();
        let rate = Rate::a_second(10, 3);
        for _ in 0..100 {
            buckets.take("a", rate, 1_000).unwrap();
            buckets.give_back(&"a", rate);
        }
        for _ in 0..3 {
            buckets.take("a", rate, 1_000).unwrap();
        }
        assert_eq!(buckets.take("a", rate, 1_000), Err(Wait(100)));
        buckets.give_back(&"b", rate);
    }

    #[test]
    fn a_flood_of_askers_takes_bounded_memory_and_locks_nobody_known_out() {
        let buckets = Buckets::default();
        let rate = Rate::an_hour(1, 2);
        for asker in 0..MAX_ASKERS {
            buckets.take(asker, rate, 1_000).unwrap();
        }
        let strangers =
            (MAX_ASKERS..MAX_ASKERS + 100).filter(|a| buckets.take(*a, rate, 1_000).is_ok());
        assert_eq!(strangers.count(), 2);
        assert_eq!(buckets.take(7, rate, 1_000), Ok(()));
        assert_eq!(buckets.0.lock().unwrap().full_at.len(), MAX_ASKERS);
        // Hours later their buckets are full, and there is room.
        buckets.take(MAX_ASKERS, rate, 20_000_000).unwrap();
        assert_eq!(buckets.0.lock().unwrap().full_at.len(), 1);
    }

    #[test]
    fn an_ipv6_host_is_one_asker_with_all_its_addresses() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_refill(
            steps in prop::collection::vec(0_u64..500, 1..200), number in 1_u32..50, burst in 1_u32..20,
        ) {
            let buckets = Buckets::default();
            let rate = Rate::a_second(number, burst);
            let (mut now, mut passed) = (1_000, 0_u64);
            for step in steps {
                now += step;
                passed += u64::from(buckets.take((), rate, now).is_ok());
                let refilled = (now - 1_000) * 1000 / rate.every_us;
                prop_assert!(passed <= u64::from(burst) + refilled);
            }
        }
    }
}
