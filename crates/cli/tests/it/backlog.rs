//! Writes a long log into the data directory of a member whose node does not run: what that member would
//! have said in days, by the writer that its node has, signed a batch at a time.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::try_join_all;
use watchfire_node::{
    clock::{Clock, SystemClock, SystemRandom},
    publish::{Draft, Letterhead, Minutes, Publisher},
    raise::{NewAlert, alert_draft},
    replicate::load_verified,
    sequence::{MAX_BATCH, Sequencer},
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    charter::CharterChain,
    commitment::Commitment,
    header::{CharterRef, Header, Provenance, Review, Target},
    hex,
    label::TAXONOMY_VERSION,
    name::{GroupName, LogName, MemberName},
    pdq::Pdq,
    reason::Reason,
    statement::Statement,
    value::Signal,
    verb::Verb,
};
use watchfire_store::{SqliteOptions, SqliteStore};
use watchfire_tlog::{Origin, OwnKey};

/// Alerts that are dated on one day, below the quota of a charter that says nothing else.
const A_DAY: u64 = 50_000;
const DAY_MS: u64 = 86_400_000;

/// The time at which a batch is dated.
#[derive(Debug)]
struct Dated(AtomicU64);

impl Clock for Dated {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A picture of its own for each number, far from all others.
pub(crate) fn picture(number: u64) -> Pdq {
    // SplitMix64, a step for each eight bytes.
    let mix = |step: u64| {
        let mut z = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let byte = |place: usize| mix(number * 4 + place as u64 / 8 + 1).to_le_bytes()[place % 8];
    Pdq(std::array::from_fn(byte))
}

/// How much of a history is over; nothing is where nobody says so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct History {
    /// Of a thousand alerts, spread evenly: their terms are over, or they were taken back.
    pub(crate) over_of_1000: u64,
    /// Of a thousand of these: they were taken back; the others have lapsed.
    pub(crate) retracted_of_1000: u64,
}

impl History {
    pub(crate) fn is_over(self, number: u64) -> bool {
        // A step that has no divisor in common with a thousand, so that the two kinds lie among each other.
        number * 617 % 1_000 < self.over_of_1000
    }

    fn is_retracted(self, number: u64) -> bool {
        self.is_over(number) && number * 331 % 997 < self.retracted_of_1000
    }

    /// The numbers among these of alerts that are in force.
    pub(crate) fn in_force(self, numbers: Range<u64>) -> impl DoubleEndedIterator<Item = u64> {
        numbers.filter(move |number| !self.is_over(*number))
    }
}

fn alert(number: u64, (now_ms, lapsed): (u64, bool)) -> NewAlert {
    let valid_until = if lapsed { now_ms - DAY_MS } else { now_ms + 30 * DAY_MS };
    NewAlert {
        alert: Alert {
            tlp: None,
            kind: ContentKind::Image,
            signals: vec![Signal { quality: Some(100), ..Signal::new(picture(number)) }],
            labels: vec!["violence.graphic_death".parse().unwrap()],
            taxonomy: TAXONOMY_VERSION,
            confidence: 90,
            suggestion: Suggestion::Remove,
            exceptions: vec![],
            valid_until,
            family: None,
            incident: None,
            evidence_hold: false,
            authority: None,
        },
        severity: 3,
        review: Review::OneHuman,
        provenance: Provenance::OwnDetection,
        group: GroupName::all(),
        test: false,
    }
}

/// The header of the retraction of an alert of ours.
fn retraction(of: &Header, log: &LogName, index: u64) -> Header {
    Header {
        verb: Verb::Retract,
        reason: Some(Reason::WrongMatch),
        target: Some(Target { log: log.clone(), index }),
        provenance: Provenance::None,
        severity: None,
        review: None,
        ..of.clone()
    }
}

/// Raises an alert for the picture of each number, with what has become of some of them since; answers the name of the
/// last one that is in force.
pub(crate) async fn write(
    dir: &Path,
    member: &str,
    numbers: Range<u64>,
    history: History,
) -> Commitment {
    let clock = Arc::new(SystemClock::default());
    let chain = CharterChain::decode(&std::fs::read(dir.join("charter.cbor")).unwrap()).unwrap();
    let charter = &chain.in_force().charter;
    let log = charter.log_of(&member.parse::<MemberName>().unwrap()).unwrap();
    let seed = std::fs::read_to_string(dir.join("key.seed")).unwrap();
    let key = Arc::new(OwnKey::from_seed(&hex::decode(seed.trim()).unwrap()));
    let store = Arc::new(SqliteStore::open(dir, SqliteOptions::default()).unwrap());
    let origin = Origin::new(log.to_string()).unwrap();
    let frontier = load_verified(&*store, &origin, &key.public()).await.unwrap().frontier().clone();
    let (now, count) = (clock.now_ms(), numbers.end - numbers.start);
    let dated = Arc::new(Dated(AtomicU64::new(0)));
    let (random, minutes) = (Arc::new(SystemRandom), Minutes::after(0, dated.clone()));
    let reference = CharterRef { seq: charter.seq, hash: charter.hash() };
    let sealer = Letterhead { log: log.clone(), charter: reference, random, minutes, quotas: None };
    let sequencer = Sequencer { origin, key, sealer, frontier, store, clock };
    let (publisher, drafts) = Publisher::new();
    let written = tokio::spawn(sequencer.run(drafts));
    let mut last = None;
    for first in numbers.clone().step_by(MAX_BATCH) {
        let days = (count - (first - numbers.start)).div_ceil(A_DAY) - 1;
        dated.0.store(now - days * DAY_MS, Ordering::SeqCst);
        let batch = first..(first + MAX_BATCH as u64).min(numbers.end);
        let said = batch.clone().map(|number| {
            let lapsed = history.is_over(number) && !history.is_retracted(number);
            let draft = alert_draft(charter, &log, alert(number, (now, lapsed)), None).unwrap();
            publisher.write(draft)
        });
        let said = try_join_all(said).await.unwrap();
        let in_force = batch.clone().zip(&said).filter(|(number, _)| !history.is_over(*number));
        last = in_force.last().map(|(_, said)| said.commitment).or(last);
        let back = batch.zip(said).filter(|(number, _)| history.is_retracted(*number));
        let back = back.map(|(number, said)| {
            let draft = alert_draft(charter, &log, alert(number, (now, false)), None).unwrap();
            let statement = Statement::Retract { restore: true, note: None };
            let header = retraction(&draft.header, &log, said.index);
            publisher.write(Draft { header, statement, asked: None, within_quota: false })
        });
        try_join_all(back).await.unwrap();
    }
    drop(publisher);
    written.await.unwrap();
    last.unwrap()
}
