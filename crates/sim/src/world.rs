//! All of a run: members, wire, disks, platforms, the liar, and the oracle beside them.

mod charters;
mod deeds;
mod ending;
mod incidents;
mod mishaps;
mod quiet;
mod restores;
mod stops;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use watchfire_signal::commitment::Commitment;

use crate::{
    Broken, Mutant, Options,
    cast::Cast,
    chance::Chance,
    disk::{Disk, Lies},
    fault::{Fault, Faults},
    liar::Liar,
    member::{Around, Member},
    oracle::{Oracle, Rule, View},
    platform::{Platform, Pretends},
    time::{MemberClock, Time},
    trace::Trace,
    wire::Wire,
};

/// Pictures that turn up in a run: few, so that cases meet.
pub(crate) const PICTURES: u64 = 14;
/// How wrong a clock may be, in milliseconds.
const SKEW_MS: i64 = 300_000;

/// A run's world.
pub struct World {
    pub(crate) options: Options,
    pub(crate) time: Arc<Time>,
    pub(crate) trace: Trace,
    pub(crate) faults: Faults,
    pub(crate) oracle: Arc<Oracle>,
    pub(crate) wire: Arc<Wire>,
    pub(crate) members: Vec<Arc<Member>>,
    pub(crate) liar: Option<Arc<Liar>>,
    pub(crate) chance: Chance,
    around: Arc<Around>,
    /// When a member that is down is started again, in waking milliseconds.
    returns: Mutex<BTreeMap<usize, u64>>,
    quiet: Mutex<BTreeMap<usize, quiet::Quiet>>,
    numbers: AtomicU64,
    /// The invitation of the member that joins, with who has invited it.
    invitation: Mutex<Option<(usize, String)>>,
    /// What was seen of incidents.
    watched: Mutex<BTreeSet<(Commitment, Fault)>>,
}

impl World {
    /// The world of a seed; nothing runs yet.
    ///
    /// # Errors
    /// [`Broken`]
    pub fn new(options: &Options) -> Result<Self, Broken> {
        let seed = options.seed;
        let time = Time::begun();
        let trace = Trace::new(&time, options.aloud);
        let faults = Faults::default();
        let watchers = (&faults, &trace);
        let cast = Arc::new(Cast::of(seed)?);
        let oracle = Oracle::new(&cast, &time, &faults);
        let count = cast.all().count();
        let wire = Wire::new(count, seed, options.mutant, &faults);
        let chance = Chance::new(seed, "world");
        let mut members = Vec::new();
        for (place, name) in cast.nodes() {
            let lies = if place == 0 { lies_of(options.mutant) } else { Lies::default() };
            let disk = Disk::new(name.as_str(), seed, lies, watchers);
            let clock = MemberClock::new(&time, skew(&chance, &faults));
            let pretends = if place == 0 { pretends(options.mutant) } else { Pretends::default() };
            let platform = Platform::new((name.as_str(), pretends), seed, &oracle, watchers);
            let member = Member::new((name, place), disk, clock, platform);
            if cast.honest.contains(name) {
                member.papers().install(cast.charter.clone().into());
            }
            members.push(member);
        }
        oracle.watch(members.iter().map(|member| view(member, &cast, seed)).collect());
        let liar = liar_of(&cast, &time, options, watchers)?;
        let hosts = members.iter().map(|member| member.clone() as Arc<dyn crate::host::Host>);
        let mut hosts: Vec<_> = hosts.collect();
        if let Some(liar) = &liar {
            hosts.insert(cast.honest.len(), liar.clone());
        }
        wire.connect(hosts);
        let around = Arc::new(Around {
            cast,
            wire: wire.clone(),
            oracle: oracle.clone(),
            seed,
            faults: faults.clone(),
            trace: trace.clone(),
        });
        let (options, returns, quiet) = (options.clone(), Mutex::default(), Mutex::default());
        let (numbers, invitation) = (AtomicU64::new(0), Mutex::default());
        let watched = Mutex::default();
        Ok(Self {
            options,
            time,
            trace,
            faults,
            oracle,
            wire,
            members,
            liar,
            chance,
            around,
            returns,
            quiet,
            numbers,
            invitation,
            watched,
        })
    }

    /// Lets it happen: everybody starts, things go on and wrong, and in the end nothing is wrong any more.
    ///
    /// # Errors
    /// [`Broken`]: the simulation is, not what is simulated.
    pub async fn run(&self) -> Result<(), Broken> {
        let cast = &self.around.cast;
        let (nat, liar) = (&cast.behind_nat, &cast.liar);
        self.trace.note(
            "world",
            format_args!("{:?}, without address {nat:?}, liar {liar:?}", cast.honest),
        );
        if self.options.mutant == Some(Mutant::TwoCharters) {
            self.part_even_from_odd();
        }
        for member in &self.members {
            tokio::spawn(member.disk.clone().spin());
            if member.papers().installed().is_some() {
                self.start(member);
            }
        }
        tokio::time::sleep(Duration::from_secs(8)).await;
        if self.options.mutant == Some(Mutant::Panics) {
            tokio::spawn(panics());
        }
        for _ in 0..self.options.steps {
            self.mishap().await?;
            self.deed().await?;
            self.pause().await;
            self.supervise().await;
            self.oracle.look().await?;
            self.look_at_the_quiet().await?;
            self.watch_incidents();
            if !self.oracle.findings().is_empty() {
                return Ok(());
            }
        }
        self.end().await
    }

    async fn pause(&self) {
        let ms = if self.chance.one_in(4) {
            self.chance.within(2_000..40_000)
        } else {
            self.chance.within(20..2_000)
        };
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn start(&self, member: &Arc<Member>) {
        self.returns().remove(&member.place);
        tokio::spawn(member.clone().start(self.around.clone()));
    }

    /// What an operator's supervisor does: starts again what has ended, or what says that it cannot go on.
    pub(crate) async fn supervise(&self) {
        let now_ms = self.time.waking_ms();
        for member in &self.members {
            let failed = member.node().and_then(|node| match node.readiness() {
                watchfire_node::Readiness::Failed(why) => Some(why),
                _ => None,
            });
            if let Some(why) = failed {
                self.trace.note(member.name.as_str(), format_args!("is started again: {why}"));
                member.crash().await;
            }
            let stays_down = member.place == 0 && self.options.mutant == Some(Mutant::StaysDown);
            if member.is_up() || stays_down || !self.may_start(member).await {
                continue;
            }
            let later_ms = now_ms + self.chance.within(1..20_000);
            let at_ms = *self.returns().entry(member.place).or_insert(later_ms);
            if at_ms <= now_ms {
                if self.chance.one_in(3) {
                    self.faults.fired(Fault::ClockSetBack);
                    let back_ms = i64::try_from(self.chance.below(7_200_000)).unwrap_or(0);
                    member.clock.set(-back_ms);
                }
                self.start(member);
            }
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn object(&self, rule: Rule, member: &str, what: impl std::fmt::Display) {
        self.oracle.object(rule, member, what);
    }

    fn quiet(&self) -> MutexGuard<'_, BTreeMap<usize, quiet::Quiet>> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn returns(&self) -> MutexGuard<'_, BTreeMap<usize, u64>> {
        self.returns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn liar_of(
    cast: &Cast,
    time: &Arc<Time>,
    options: &Options,
    watchers: (&Faults, &Trace),
) -> Result<Option<Arc<Liar>>, Broken> {
    let Some(name) = &cast.liar else { return Ok(None) };
    let (charter, clock) = (Arc::new(cast.charter.charter.clone()), MemberClock::new(time, 0));
    let liar = Liar::new((name, cast.incidents), &charter, (options.seed, clock), watchers)?;
    if options.mutant == Some(Mutant::TwoCharters) {
        liar.approve_two(cast)?;
    }
    Ok(Some(liar))
}

fn lies_of(mutant: Option<Mutant>) -> Lies {
    Lies {
        forgets: mutant == Some(Mutant::ForgetsStatements),
        keeps_erased: mutant == Some(Mutant::KeepsErased),
        hides_retractions: mutant == Some(Mutant::IgnoresRetractions),
        forgets_votes: mutant == Some(Mutant::ForgetsVotes),
        loses_approvals: mutant == Some(Mutant::LosesApprovals),
        hides_agreement: mutant == Some(Mutant::IgnoresAgreement),
        shows_agreement: mutant == Some(Mutant::SeesAgreement),
    }
}

#[expect(clippy::panic, reason = "it is what a mutant is for")]
async fn panics() {
    panic!("a mutant");
}

fn pretends(mutant: Option<Mutant>) -> Pretends {
    Pretends {
        hides: mutant == Some(Mutant::HidesNothing),
        shows: mutant == Some(Mutant::KeepsDown),
    }
}

fn skew(chance: &Chance, faults: &Faults) -> i64 {
    if chance.one_in(2) {
        return 0;
    }
    faults.fired(Fault::ClockSkewed);
    let range = SKEW_MS.unsigned_abs() * 2;
    i64::try_from(chance.below(range)).unwrap_or(0) - SKEW_MS
}

fn view(member: &Member, cast: &Cast, seed: u64) -> View {
    View {
        name: member.name.clone(),
        disk: member.disk.clone(),
        clock: member.clock.clone(),
        trust: cast.trust(seed, &member.name),
        papers: member.papers().clone(),
        began: std::sync::Mutex::default(),
        behind_ms: AtomicU64::new(0),
    }
}
