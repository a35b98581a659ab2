//! The part of a node that decides and carries out, with time in the hands of a test: known sets,
//! held items, outbox, desk log, and a platform that can fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinSet},
    time::Instant,
};
use watchfire_node::{
    banks::{BankParts, Banks},
    budget::Budget,
    cases::{Place, SignalSet, Turn},
    clock::{Clock, Random},
    connector::{Answer, Connector, ConnectorError, Order, Visibility},
    deliver::Deliverer,
    desk::{Actor, Desk, Line, Stamp, desk_origin},
    enforce::Consequences,
    events::Events,
    facts::{self, KeptFacts},
    halts::Voice,
    hold::{RESTORE, Ruling},
    holds::Holds,
    judge::Judge,
    known::Known,
    looks::{Enforcer, Look},
    outcomes::Outcomes,
    people::{About, People, Word},
    policy::{ItemFacts, Policy},
    raise::alert_draft,
    reasons::Reasons,
    replicate::load_verified,
    review::{Finding, Finds, Review, Scope, Surroundings, Ticket, TicketId, UNDO_MS},
    routes::Routes,
    seen::{Item, Seen, SeenLimits, SeenParts, SeenSetup, Unwritten},
    sequence::Sequencer,
    standing::{Opinion, Opinions, Renewals, Rules, Stance, Standing},
};
use watchfire_signal::{
    alert::Exception,
    charter::{Role, SignedCharter},
    commitment::Commitment,
    name::{ItemId, MemberName, OrganisationName},
    pdq::Pdq,
    tlp::Tlp,
    value::Signal,
};
use watchfire_store::{Effect, MemoryStore, Store};

use crate::coalition::{START_MS, TestRandom, alert, charter, key, name};

/// Who speaks; the workshop belongs to `twitch`, which trusts `tiktok`; two organisations confirm.
pub(crate) const SPEAKERS: [&str; 3] = ["tiktok", "reddit", "google"];
const MEMBERS: [(&str, &str); 4] =
    [("twitch", "amazon"), ("tiktok", "bytedance"), ("reddit", "advance"), ("google", "alphabet")];

/// Follows the time of the test's runtime, which jumps ahead whenever everything waits.
#[derive(Debug)]
pub(crate) struct Virtual(Instant);

impl Virtual {
    /// From now on.
    pub(crate) fn begun() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for Virtual {
    fn now_ms(&self) -> u64 {
        START_MS + u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

/// How the platform takes orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    /// Every third order is done and its answer lost, every fifth is not even heard.
    Flaky,
    /// It asks to wait so many milliseconds.
    Busy(u64),
    Refusing,
    /// It never answers.
    Hanging,
}

/// A platform that keeps its own journal.
pub(crate) struct Platform {
    hidden: Mutex<BTreeSet<String>>,
    /// Orders that changed what is visible.
    pub(crate) journal: Mutex<Vec<Order>>,
    pub(crate) mood: Mutex<Mood>,
    asked: AtomicU32,
}

impl Platform {
    pub(crate) fn is_hidden(&self, item: &str) -> bool {
        self.hidden.lock().unwrap().contains(item)
    }

    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    async fn take(&self, order: &Order, hide: bool) -> Result<Answer, ConnectorError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Hanging {
            return std::future::pending().await;
        }
        match mood {
            Mood::Busy(ms) => return Ok(Answer::RetryAfter(ms)),
            Mood::Refusing => return Ok(Answer::Refused("no".to_owned())),
            Mood::Flaky if number % 5 == 4 => return Err(ConnectorError("not heard".to_owned())),
            Mood::Flaky | Mood::Fine | Mood::Hanging => {}
        }
        let mut hidden = self.hidden.lock().unwrap();
        let changed =
            if hide { hidden.insert(order.item.clone()) } else { hidden.remove(&order.item) };
        if changed {
            self.journal.lock().unwrap().push(order.clone());
        }
        if mood == Mood::Flaky && number % 3 == 2 {
            return Err(ConnectorError("the answer was lost".to_owned()));
        }
        Ok(if changed { Answer::Done } else { Answer::AlreadyDone })
    }
}

#[async_trait]
impl Connector for Platform {
    async fn enforce(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.take(order, true).await
    }

    async fn verify(&self, item: &str) -> Result<Visibility, ConnectorError> {
        Ok(if self.is_hidden(item) { Visibility::Hidden } else { Visibility::Visible })
    }

    async fn undo(&self, order: &Order) -> Result<Answer, ConnectorError> {
        self.take(order, false).await
    }
}

/// The workshop; its tasks end with it.
pub(crate) struct Workshop {
    pub(crate) consequences: Consequences,
    pub(crate) desk: Desk,
    pub(crate) platform: Arc<Platform>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) events: Events,
    sets: BTreeMap<usize, SignalSet>,
    charter: SignedCharter,
    enforcer: Enforcer,
    next_index: u64,
    looking: AbortHandle,
    _tasks: JoinSet<()>,
}

/// A picture that is far from those of other bytes among 0x00, 0x0f, 0x33, 0x55, 0xff.
/// A picture of its own for each byte, whichever way it is turned or inverted.
pub(crate) fn picture(byte: u8) -> Signal {
    let mut hash = [0; 32];
    TestRandom::new(u64::from(byte)).fill(&mut hash);
    Signal { quality: Some(100), ..Signal::new(Pdq(hash)) }
}

impl Platform {
    pub(crate) fn fine() -> Self {
        Self {
            hidden: Mutex::default(),
            journal: Mutex::default(),
            mood: Mutex::new(Mood::Fine),
            asked: AtomicU32::new(0),
        }
    }
}

/// A seen table that holds nothing yet.
async fn empty(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> (Seen, Unwritten) {
    // Tests let months pass; what is held must not grow too old by that.
    let limits = SeenLimits { days: 10_000, ..SeenLimits::default() };
    let setup = SeenSetup { directory: None, limits };
    let parts = SeenParts {
        store: store.clone(),
        clock: clock.clone(),
        setup,
        seed: [1; 32],
        least_matched_ms: 1_000,
    };
    Seen::load(parts).await.unwrap()
}

/// What the parts of a workshop work with.
struct Tools {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    desk: Desk,
    judge: Judge,
    events: Events,
    enforcer: Enforcer,
}

impl Tools {
    async fn banks(&self) -> Banks {
        let parts = BankParts {
            store: self.store.clone(),
            desk: self.desk.clone(),
            enforcer: self.enforcer.clone(),
            clock: self.clock.clone(),
            seed: [1; 32],
            least_matched_ms: 1_000,
        };
        Banks::load(parts).await.unwrap()
    }

    /// What decides, with the tasks that it needs.
    async fn consequences(&self, seen: Seen, tasks: &mut JoinSet<()>) -> Consequences {
        let Self { store, clock, desk, judge, events, enforcer } = self;
        let holds = Holds::load(judge.clone(), store.clone(), desk.clone(), events.clone());
        let reasons = Reasons {
            known: Arc::new(Known::new([1; 32], 1_000)),
            banks: Some(Arc::new(self.banks().await)),
            judge: judge.clone(),
            holds: holds.await.unwrap(),
            clock: clock.clone(),
        };
        let around = Surroundings {
            judge: judge.clone(),
            desk: desk.clone(),
            store: store.clone(),
            enforcer: enforcer.clone(),
            clock: clock.clone(),
        };
        let (review, proposals) = Review::load(around).await.unwrap();
        let (facts, unkept) = KeptFacts::new(store.clone());
        let (desk, store, clock) = (desk.clone(), store.clone(), clock.clone());
        let (judge, random) = (judge.clone(), TestRandom::new(8));
        let writer = facts::Writer { desk, store: store.clone(), judge, clock, random };
        tasks.spawn(writer.run(unkept));
        tasks.spawn(review.clone().run(proposals));
        let (seen, outbox) = (Arc::new(seen), Arc::new(Notify::new()));
        let routes = Arc::new(Routes::all_to("platform"));
        Consequences { reasons, seen, review, facts, store, routes, outbox }
    }
}

impl Workshop {
    pub(crate) async fn open(budget: Budget) -> Self {
        let policy = Policy { trust: [name("tiktok")].into(), ..Policy::default() };
        Self::open_on(Arc::new(MemoryStore::new()), policy, budget).await
    }

    /// Goes on from what a store holds; what was known of sets is to be said again.
    pub(crate) async fn open_on(store: Arc<dyn Store>, policy: Policy, budget: Budget) -> Self {
        Self::open_as(Role::Platform, store, policy, budget).await
    }

    /// The same for a member that has another role.
    pub(crate) async fn open_as(
        role: Role,
        store: Arc<dyn Store>,
        policy: Policy,
        budget: Budget,
    ) -> Self {
        let clock: Arc<dyn Clock> = Virtual::begun();
        let (seen, unwritten) = empty(&store, &clock).await;
        let charter = charter(&MEMBERS, 2);
        let log = charter.charter.log_of(&name("twitch")).unwrap();
        let random = TestRandom::new(7);
        let own_key = Arc::new(key("twitch"));
        let origin = desk_origin(&log).unwrap();
        let (desk, lines) = Desk::new(origin.clone(), own_key.public(), store.clone());
        let people = Arc::new(People::load(&*store).await.unwrap());
        let judge = Judge::new(name("twitch"), role, policy).heeding(people);
        let events = Events::new(clock.clone());
        let enforcer = Enforcer::default();
        let mut tasks = JoinSet::new();
        let tools = Tools { store, clock, desk, judge, events, enforcer };
        let consequences = tools.consequences(seen, &mut tasks).await;
        let Tools { store, clock, desk, events, enforcer, .. } = tools;
        let written = load_verified(&*store, &origin, &own_key.public()).await.unwrap();
        let sequencer = Sequencer::<Line> {
            origin,
            key: own_key,
            sealer: Stamp { clock: clock.clone(), random: random.clone() },
            frontier: written.frontier().clone(),
            store: store.clone(),
            clock: clock.clone(),
        };
        let platform = Arc::new(Platform::fine());
        let connector = platform.clone() as Arc<dyn Connector>;
        let deliverer = Deliverer {
            store: store.clone(),
            desk: desk.clone(),
            consequences: consequences.clone(),
            connectors: [("platform".to_owned(), connector)].into(),
            budgets: [("platform".to_owned(), budget)].into(),
            clock,
            random,
            events: events.clone(),
            outcomes: Outcomes::default(),
            outbox: consequences.outbox.clone(),
        };
        tasks.spawn(unwritten.run());
        tasks.spawn(sequencer.run(lines));
        tasks.spawn(deliverer.run());
        let looking = tasks.spawn(consequences.clone().run(enforcer.clone()));
        Self {
            consequences,
            desk,
            platform,
            store,
            events,
            sets: BTreeMap::new(),
            charter,
            enforcer,
            next_index: 0,
            looking,
            _tasks: tasks,
        }
    }

    /// Holds an item of these pictures.
    pub(crate) fn hold(&self, item: &str, pictures: &[u8]) {
        self.hold_with(item, pictures, ItemFacts::default());
    }

    /// Holds an item of which the platform has said something.
    pub(crate) fn hold_with(&self, item: &str, pictures: &[u8], facts: ItemFacts) {
        let signals = pictures.iter().map(|byte| picture(*byte)).collect();
        let id: ItemId = item.parse().unwrap();
        self.consequences.seen.insert(Item {
            id,
            seen_ms: START_MS,
            signals,
            parts: Vec::new(),
            facts,
        });
    }

    /// Holds an item of a picture since a moment.
    pub(crate) fn hold_since(&self, item: &str, picture: &Signal, seen_ms: u64) {
        let (signals, facts) = (vec![picture.clone()], ItemFacts::default());
        let id = item.parse().unwrap();
        self.consequences.seen.insert(Item { id, seen_ms, signals, parts: Vec::new(), facts });
    }

    /// Makes a set over these pictures known, of the case of another set or of its own; nobody has
    /// an opinion yet.
    pub(crate) fn set(&mut self, number: usize, pictures: &[u8], case: Option<usize>) {
        self.set_of(number, pictures.iter().map(|byte| picture(*byte)).collect(), case);
    }

    /// The same with signals.
    pub(crate) fn set_of(&mut self, number: usize, signals: Vec<Signal>, case: Option<usize>) {
        let new = alert(signals);
        let body = new.alert.clone();
        let log = self.charter.charter.log_of(&name("tiktok")).unwrap();
        let header = alert_draft(&self.charter.charter, &log, new, None).unwrap().header;
        let commitment = Commitment([u8::try_from(number).unwrap() + 1; 32]);
        let subject = case.map_or(commitment, |case| self.sets[&case].subject);
        let place = Place { log, index: number as u64 };
        let mut set = SignalSet::new(commitment, &place, &header, self.now_ms());
        (set.subject, set.alert) = (subject, Some(body));
        set.standing = Standing::of(&Opinions::new(), &Renewals::new(), u64::MAX, &RULES);
        self.sets.insert(number, set);
    }

    /// Its author says in which context it should stay.
    pub(crate) fn except(&mut self, number: usize, exception: Exception) {
        let set = self.sets.get_mut(&number).unwrap();
        set.alert.as_mut().unwrap().exceptions.push(exception);
    }

    /// Its author marks it.
    pub(crate) fn mark(&mut self, number: usize, mark: Tlp) {
        let set = self.sets.get_mut(&number).unwrap();
        set.alert.as_mut().unwrap().tlp = Some(mark);
    }

    /// A member says something about a set; what follows from it begins to happen.
    pub(crate) fn say(&mut self, member: &str, number: usize, stance: Stance) {
        self.next_index += 1;
        let verified_ms = self.now_ms();
        let set = self.sets.get_mut(&number).unwrap();
        let human = stance == Stance::Positive { human: true };
        let before = set.opinions.get(&name(member)).and_then(|before| before.stood_since_ms);
        let stood_since_ms = before.or(human.then_some(verified_ms));
        let opinion = Opinion {
            turn: Turn { epoch: 1, index: self.next_index },
            verified_ms,
            stance,
            stood_since_ms,
        };
        set.opinions.insert(name(member), opinion);
        set.standing = Standing::of(&set.opinions, set.renewals(), u64::MAX, &RULES);
        self.look(number);
    }

    /// A member stands by a set, a person having looked.
    pub(crate) fn stand(&mut self, member: &str, number: usize) {
        self.say(member, number, Stance::Positive { human: true });
    }

    /// A member takes its opinion back.
    pub(crate) fn retract(&mut self, member: &str, number: usize) {
        self.say(member, number, Stance::Withdrawn { restore: true });
    }

    pub(crate) fn look(&self, number: usize) {
        let set = Arc::new(self.sets[&number].clone());
        self.consequences.reasons.known.publish(set.clone());
        let undo = !self.is_live(number);
        self.enforcer.look_at(Look::Set(set.name), Some(set.author()), undo);
    }

    /// Whether a set takes copies down here now.
    pub(crate) fn is_live(&self, number: usize) -> bool {
        let now = self.now_ms();
        self.consequences.reasons.judge.about(&self.sets[&number], now).take_down().is_some()
    }

    pub(crate) fn sets(&self) -> &BTreeMap<usize, SignalSet> {
        &self.sets
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.consequences.reasons.clock.now_ms()
    }

    /// Lets time pass; the ends of terms are looked at, as the follower does.
    pub(crate) async fn pass(&self, ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
        self.sets.keys().for_each(|number| self.look(*number));
    }

    /// Waits until nothing is decided or carried out any more.
    pub(crate) async fn settle(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if self.store.outbox_counts(None).await.unwrap().pending == 0 {
                return;
            }
        }
    }

    /// A person rules about an item, as the node's verb does but for the desk line.
    pub(crate) async fn rule(&self, item: &str, ruling: Ruling) {
        let item: ItemId = item.parse().unwrap();
        let word = Word::of(ruling, self.now_ms());
        self.consequences.reasons.judge.people().hold(About::Item(item.clone()), word);
        self.consequences.decide(&[item], None).await.unwrap();
    }

    /// From here on nobody looks at what changed, as when the process dies.
    pub(crate) fn stop_looking(&self) {
        self.looking.abort();
    }

    pub(crate) fn banks(&self) -> &Arc<Banks> {
        self.consequences.reasons.banks.as_ref().unwrap()
    }

    /// Everything that waits for a person.
    pub(crate) async fn tickets(&self) -> Vec<Ticket> {
        // What was proposed is written first.
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.consequences.review.list(None, None, 1_000).await
    }

    /// A person decides a ticket; it is in effect when this returns.
    pub(crate) async fn decide(&self, ticket: &TicketId, finding: Finding, scope: Scope) {
        let (review, who) = (&self.consequences.review, Actor::Person("p1".to_owned()));
        let taken = review.take(ticket, &who).await.unwrap();
        let reason = "looked".to_owned();
        let finds = Finds { finding, scope, label: None, irreversible: false, reason };
        review.decide(ticket, &who, taken.version, finds).await.unwrap();
        tokio::time::sleep(Duration::from_millis(UNDO_MS + 1_000)).await;
        self.settle().await;
    }

    pub(crate) async fn effects(&self, item: &str) -> Vec<Effect> {
        self.store.effects_of_item(item).await.unwrap()
    }

    /// Restores that changed what is visible.
    pub(crate) fn restores(&self) -> usize {
        let journal = self.platform.journal.lock().unwrap();
        journal.iter().filter(|order| order.action == RESTORE).count()
    }
}

const RULES: Rules<'static> = Rules {
    organisation: &organisation,
    confirm_quorum: 2,
    dispute_quorum: 2,
    voice: &|_| Voice::Counts,
    taken_back: None,
    halted: false,
    erased: false,
    lifts: Vec::new(),
};

fn organisation(member: &MemberName) -> Option<OrganisationName> {
    MEMBERS
        .iter()
        .find(|(known, _)| *known == member.as_str())
        .map(|(_, organisation)| organisation.parse().unwrap())
}
