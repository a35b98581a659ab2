//! At no moment is more allowed than the table of `docs/states.md` allows for the records delivered by
//! then: judged by that table, written down here once more, from the records alone.

mod lifts;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watchfire_node::{
    cases::Cases,
    policy::{Action, Facts, Human, Policy, Verdict},
    standing::State,
};
use watchfire_signal::{
    commitment::Commitment,
    header::{Header, Provenance, Review, Target},
    incident::IncidentStep,
    name::{LogName, MemberName},
    reason::Reason,
    record::{DecodeError, Leaf, open},
    statement::{Basis, Resolution, Statement},
    verb::Verb,
};
use watchfire_store::Held;

use crate::{
    coalition::{START_MS, name},
    logs::{GRAVE, Logs, MEMBERS, incident},
    moves::{moves, play},
};

const HOUR_MS: u64 = 3_600_000;
/// Organisations, of four, that dispute, and that stand by an incident beside its declarer's; and those that halt,
/// suspend, erase and end an incident. Those that confirm are [`CONFIRM`], by the charter in force.
const TWO: usize = 2;
/// Organisations that confirm, under the first charter and the second.
const CONFIRM: [usize; 2] = [2, 3];
const MANY: usize = 3;
/// Whose policy decides, and whom it trusts.
const ME: &str = "reddit";
const TRUSTED: &str = "google";
const RULES: &str = r#"
version = 1
default = "ignore"
trust = ["google"]

[[rule]]
id = "all-that-is-allowed"
mode = "live"
irreversible = true
then = ["remove"]
"#;

/// The columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Most {
    Nothing,
    Review,
    Reversible,
    Everything,
}

fn owner(member: &MemberName) -> &'static str {
    MEMBERS.iter().find(|(known, _)| *known == member.as_str()).unwrap().1
}

fn owners<'a>(members: impl IntoIterator<Item = &'a MemberName>) -> usize {
    members.into_iter().map(owner).collect::<BTreeSet<_>>().len()
}

/// A record that was delivered.
struct Heard {
    at: Target,
    verified_ms: u64,
    header: Header,
    name: Commitment,
    says: Statement,
}

impl Heard {
    fn by(&self) -> &MemberName {
        &self.at.log.member
    }

    fn speaks_of(&self, place: &Target) -> bool {
        self.header.target.as_ref() == Some(place)
    }
}

/// All that was delivered, in the order of each log.
struct Delivered {
    /// The number of the charter in force.
    charter: u64,
    heard: Vec<Heard>,
    /// What is spoken of in a version that is not known, and by whom.
    unknown: Vec<(MemberName, Target)>,
}

/// What a member holds of a set by its latest word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Stands {
        person: bool,
    },
    Disputes,
    TookBack,
    /// It had stood by it, by the leaf of what was erased.
    Erased {
        person: bool,
    },
}

/// The words about a set, by member and in the order of its log.
type Words<'a> = BTreeMap<MemberName, Vec<(&'a Heard, Word)>>;

/// The last one that was not erased.
fn last<'a>(words: &[(&'a Heard, Word)]) -> Option<(&'a Heard, Word)> {
    words.iter().rev().find(|(_, word)| !matches!(word, Word::Erased { .. })).copied()
}

/// How a member is heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Full,
    Halted,
    /// Up to this size of its log.
    Suspended(u64),
}

impl Delivered {
    fn under(charter: u64) -> Self {
        Self { charter, heard: Vec::new(), unknown: Vec::new() }
    }

    /// Organisations that make CONFIRMED.
    fn confirm(&self) -> usize {
        CONFIRM[(self.charter - 1) as usize]
    }

    fn take(&mut self, log: &LogName, held: &Held) {
        match Leaf::decode(&held.entry.leaf) {
            Ok(leaf) => self.heard.push(Heard {
                at: Target { log: log.clone(), index: held.index },
                verified_ms: held.verified_ms,
                says: open(&leaf, held.entry.record.as_ref().unwrap()).unwrap(),
                name: leaf.commitment,
                header: leaf.header,
            }),
            Err(DecodeError::UnknownVersion { target, .. }) => {
                self.unknown.extend(target.map(|target| (log.member.clone(), target)));
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn at(&self, place: &Target) -> Option<&Heard> {
        self.heard.iter().find(|heard| heard.at == *place)
    }

    /// By its author, before what is accepted of it ends, or by many organisations whose word counts there.
    fn is_erased(&self, place: &Target) -> bool {
        let counts = |heard: &&Heard| match self.voice(heard.by()) {
            Voice::Full => true,
            Voice::Halted => *heard.by() == place.log.member,
            Voice::Suspended(size) => heard.at.index < size,
        };
        let erases = |heard: &&Heard| heard.says == Statement::Erase && heard.speaks_of(place);
        let by: Vec<_> = self.heard.iter().filter(erases).filter(counts).collect();
        let own = by.iter().any(|heard| *heard.by() == place.log.member);
        let full = by.iter().filter(|heard| self.voice(heard.by()) != Voice::Halted);
        own || owners(full.map(|heard| heard.by())) >= MANY
    }

    /// Votes that stand, each member's latest: what `about` picks, unless it was taken back since.
    fn votes<T>(&self, about: impl Fn(&Heard) -> Option<T>) -> BTreeMap<&MemberName, T> {
        let mut votes = BTreeMap::new();
        for heard in &self.heard {
            let undone = || self.at(heard.header.target.as_ref()?).and_then(&about);
            if let Some(vote) = about(heard) {
                votes.insert(heard.by(), vote);
            } else if heard.header.verb == Verb::Retract && undone().is_some() {
                votes.remove(heard.by());
            }
        }
        votes
    }

    fn voice(&self, member: &MemberName) -> Voice {
        let accepted = self.votes(|heard| match &heard.says {
            Statement::Member { member: of, last: Some(last), .. } => {
                (of == member).then_some((last.size, last.root))
            }
            _ => None,
        });
        // The longest history of which many accept that, or one that is longer.
        let many = |end: &&(u64, [u8; 32])| {
            let accept = accepted.iter().filter(|(_, its)| its.0 > end.0 || *its == *end);
            owners(accept.map(|(by, _)| *by)) >= MANY
        };
        if let Some((size, _)) = accepted.values().filter(many).max() {
            return Voice::Suspended(*size);
        }
        let halts = |heard: &Heard| match &heard.says {
            Statement::Halt { member: Some(of) } => (of == member).then_some(()),
            _ => None,
        };
        if owners(self.votes(halts).into_keys()) >= MANY { Voice::Halted } else { Voice::Full }
    }

    /// The alert that founded the case of a set.
    fn founding<'a>(&'a self, set: &'a Heard) -> &'a Heard {
        match set.header.target.as_ref().and_then(|target| self.at(target)) {
            Some(of) => self.founding(of),
            None => set,
        }
    }

    /// All words about a set that count, by member and in the order of its log.
    fn words(&self, set: &Heard) -> Words<'_> {
        let mut words = Words::new();
        for heard in self.heard.iter().filter(|heard| heard.header.test == set.header.test) {
            let own = words.entry(heard.by().clone()).or_default();
            let names = |commitment| heard.speaks_of(&set.at) && commitment == set.name;
            // By the leaf alone: whether a confirmation counted does not stand in it.
            let is_of_set = |said: &Heard| match said.header.verb {
                Verb::Dispute => true,
                Verb::Confirm => said.by() != &set.at.log.member,
                _ => false,
            };
            let about_own = || {
                let target = heard.header.target.as_ref();
                let said = target.and_then(|target| self.at(target));
                said.is_some_and(|said| {
                    let speaks = said.speaks_of(&set.at) && is_of_set(said);
                    let same = said.header.test == set.header.test;
                    said.by() == heard.by() && (said.at == set.at || speaks && same)
                })
            };
            let word = match &heard.says {
                _ if heard.at == set.at => Word::Stands {
                    person: heard.header.review.is_some_and(|review| review.is_human()),
                },
                Statement::Confirm { commitment, basis: Basis::OwnCopySeenByHuman }
                    if names(*commitment) && *heard.by() != set.at.log.member =>
                {
                    Word::Stands { person: true }
                }
                Statement::Confirm { .. }
                    if heard.speaks_of(&set.at)
                        && *heard.by() != set.at.log.member
                        && self.is_erased(&heard.at) =>
                {
                    Word::Erased { person: true }
                }
                Statement::Dispute { commitment, .. } if names(*commitment) => Word::Disputes,
                Statement::Retract { .. } if about_own() => Word::TookBack,
                _ => continue,
            };
            own.push((heard, word));
        }
        // What was erased says nothing, but that a person once stood by it; a retraction stands by its leaf.
        for words in words.values_mut() {
            words.retain(|(heard, word)| *word != Word::Disputes || !self.is_erased(&heard.at));
            for (heard, word) in words {
                if let Word::Stands { person } = *word
                    && self.is_erased(&heard.at)
                {
                    *word = Word::Erased { person };
                }
            }
        }
        words.retain(|_, words| !words.is_empty());
        words
    }

    /// Organisations that want a dispute ended so.
    fn ends(&self, dispute: &Heard, how: Resolution) -> (bool, usize) {
        let votes = self.votes(|heard| match heard.says {
            Statement::Resolve { outcome, .. } if heard.speaks_of(&dispute.at) => {
                Some((outcome, heard.at.clone()))
            }
            _ => None,
        });
        // Whose last word was erased says nothing, whatever it had said before.
        let wants = |(vote, at): &(Resolution, Target)| *vote == how && !self.is_erased(at);
        let by: Vec<_> = votes.into_iter().filter(|(_, vote)| wants(vote)).collect();
        let own = by.iter().any(|(member, _)| *member == dispute.by());
        let heard = by.into_iter().map(|(member, _)| member);
        (own, owners(heard.filter(|member| self.voice(member) == Voice::Full)))
    }

    /// The latest words of those who are heard, and whether somebody who stood by it is suspended.
    fn latest(&self, words: &Words<'_>) -> (BTreeMap<MemberName, Word>, bool) {
        let (mut latest, mut suspended) = (BTreeMap::new(), false);
        for (member, words) in words {
            let Some((heard, word)) = last(words) else { continue };
            let (own, others) = self.ends(heard, Resolution::Stands);
            if word == Word::Disputes && (own || others >= TWO) {
                continue;
            }
            let stands = matches!(word, Word::Stands { .. });
            let counts = match self.voice(member) {
                Voice::Full => Some(word),
                Voice::Halted if stands => Some(Word::TookBack),
                Voice::Halted => Some(word),
                Voice::Suspended(size) => (!stands && heard.at.index < size).then_some(word),
            };
            suspended |= counts.is_none();
            latest.extend(counts.map(|word| (member.clone(), word)));
        }
        (latest, suspended)
    }

    /// Whether many organisations have ended it.
    fn is_ended(&self, set: &Heard, words: &Words<'_>) -> bool {
        let subject = self.founding(set);
        let halting = |heard: &Heard| {
            let halts = matches!(heard.says, Statement::Halt { member: None });
            // What a suspended member says after its end was never its word.
            let its = match self.voice(heard.by()) {
                Voice::Suspended(size) => heard.at.index < size,
                Voice::Full | Voice::Halted => true,
            };
            (halts && its && heard.speaks_of(&subject.at)).then_some(())
        };
        let mut disputes = words.values().flatten();
        disputes.any(|(dispute, _)| self.ends(dispute, Resolution::Withdrawn).1 >= MANY)
            || owners(self.votes(halting).into_keys()) >= MANY
            || self.is_taken_back(set)
            || self.is_taken_back(subject)
    }

    /// Whether its author takes an alert back for the victim from whom it was.
    fn is_taken_back(&self, alert: &Heard) -> bool {
        let end = match self.voice(alert.by()) {
            Voice::Suspended(size) => size,
            Voice::Full | Voice::Halted => u64::MAX,
        };
        let takes_back = |heard: &Heard| {
            let withdrew = heard.header.reason == Some(Reason::VictimWithdrew);
            let its = heard.at.log == alert.at.log && heard.at.index < end;
            let retracts = heard.header.verb == Verb::Retract && heard.speaks_of(&alert.at);
            withdrew && its && retracts && heard.header.test == alert.header.test
        };
        alert.header.provenance == Provenance::Victim && self.heard.iter().any(takes_back)
    }

    /// When its term ends: the state's longest one since the organisations that make it stood by it, for the
    /// first time, or since it was renewed.
    fn end_ms(
        &self,
        set: &Heard,
        (words, latest): (&Words<'_>, &BTreeMap<MemberName, Word>),
        lifted: bool,
    ) -> u64 {
        let (mut persons, mut any) = (BTreeMap::new(), BTreeMap::new());
        for (member, word) in latest {
            let Word::Stands { person } = word else { continue };
            // What a halted or suspended one stood by is not what another of its owner has stood by since.
            let heard = |other: &&MemberName| self.voice(other) == Voice::Full;
            let of_owner = latest.keys().filter(|other| owner(other) == owner(member));
            let of_owner = of_owner.filter(heard);
            let firsts = of_owner.flat_map(|other| &words[other]).filter(|(_, word)| looked(word));
            let first = firsts.map(|(heard, _)| heard.verified_ms).min();
            let since = first.unwrap_or(last(&words[member]).unwrap().0.verified_ms);
            let times = if *person { vec![&mut persons, &mut any] } else { vec![&mut any] };
            for time in times.into_iter().map(|times| times.entry(owner(member)).or_insert(since)) {
                *time = since.min(*time);
            }
        }
        let sorted = |times: BTreeMap<&str, u64>| {
            let mut times = times.into_values().collect::<Vec<_>>();
            times.sort_unstable();
            times
        };
        let (persons, any) = (sorted(persons), sorted(any));
        let confirmed = persons.get(self.confirm() - 1);
        let (mut since, hours) = match (confirmed, persons.first()) {
            (Some(last), _) => (*last, 90 * 24),
            (None, first) if lifted => (*first.unwrap_or(&any[0]), 72),
            (None, Some(first)) => (*first, 6),
            (None, None) => (any[0], 24),
        };
        let mut asked = set.says.alert().unwrap().valid_until;
        let renewals = self.votes(|heard| match heard.says {
            Statement::Renew { valid_until } if heard.speaks_of(&set.at) => {
                Some((heard.verified_ms, valid_until))
            }
            _ => None,
        });
        for (by, (at_ms, until)) in renewals {
            if confirmed.is_some() && matches!(latest.get(by), Some(Word::Stands { .. })) {
                (since, asked) = (since.max(at_ms), asked.max(until));
            }
        }
        asked.min(since + hours * HOUR_MS)
    }

    /// The most that the table allows about a set.
    fn most(&self, set: &Heard, now_ms: u64) -> Most {
        let words = self.words(set);
        if set.header.test || self.is_ended(set, &words) {
            return Most::Nothing;
        }
        let (latest, suspended) = self.latest(&words);
        let by = |fits: &dyn Fn(&Word) -> bool| {
            let fitting = latest.iter().filter(|(_, word)| fits(word));
            fitting.map(|(member, _)| member).collect::<Vec<_>>()
        };
        let stands = by(&|word| matches!(word, Word::Stands { .. }));
        let (persons, disputes) = (by(&looked), by(&|word| *word == Word::Disputes));
        let to_a_person = |yes: bool| if yes { Most::Review } else { Most::Nothing };
        let erased = self.is_erased(&set.at);
        if stands.is_empty() || erased {
            return to_a_person(suspended || erased);
        }
        let lifted = self.is_lifted(set, now_ms);
        if now_ms >= self.end_ms(set, (&words, &latest), lifted) {
            let once = |word: &Word| looked(word) || *word == Word::Erased { person: true };
            let ever = words.iter().filter(|(_, words)| words.iter().any(|(_, word)| once(word)));
            let ever = owners(ever.map(|(member, _)| member));
            return to_a_person(suspended || ever >= self.confirm());
        }
        let confirmed = owners(persons.iter().copied()) >= self.confirm();
        let provisional = lifted || !persons.is_empty();
        let disputed = owners(disputes) >= if confirmed { TWO } else { 1 };
        let mine = persons.contains(&&name(ME));
        let most = match (disputed, confirmed) {
            (true, _) if mine => Most::Reversible,
            (true, _) => Most::Review,
            (false, true) => Most::Everything,
            (false, false) if mine || persons.contains(&&name(TRUSTED)) => Most::Reversible,
            (false, false) if lifted || provisional && self.is_grave(set) => Most::Reversible,
            (false, false) => Most::Review,
        };
        let mut unread = self.unknown.iter().filter(|(_, target)| *target == set.at);
        let unread = unread.any(|(by, _)| self.voice(by) == Voice::Full);
        if unread { most.min(Most::Review) } else { most }
    }
}

fn looked(word: &Word) -> bool {
    *word == Word::Stands { person: true }
}

/// What a policy does that would do everything.
fn done(policy: &Policy, cases: &Cases, set: &Commitment, now_ms: u64) -> Most {
    let Some(set) = cases.set(set) else { return Most::Nothing };
    let decision = policy.decide(&set.facts(&name(ME), now_ms));
    match (decision.take_down(), decision.reversible) {
        (Some(_), true) => Most::Reversible,
        (Some(_), false) => Most::Everything,
        (None, _) if decision.has(Action::Review) => Most::Review,
        (None, _) => Most::Nothing,
    }
}

proptest! {
    #[test]
    fn no_prefix_in_no_batches_allows_more_than_the_table(
        moves in moves(),
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        batch in 1_usize..6,
        hours in 0_u64..2_500,
        late in proptest::collection::vec(prop_oneof![Just(0), 0_u64..100], 5),
    ) {
        let mut logs = Logs::of_stories();
        play(&mut logs, moves);
        logs.verify_later(&late.iter().map(|hours| hours * HOUR_MS).collect::<Vec<_>>());
        let policy = Policy::read(RULES).unwrap();
        let mut cases = logs.cases();
        let mut delivered = Delivered::under(logs.charter.charter.seq);
        let all = logs.interleaved(&choices);
        for batch in all.chunks(batch) {
            for (log, held) in batch {
                cases.fold(log, (*held).clone());
                logs.fold_what_is_due(&mut cases);
                delivered.take(log, held);
            }
            let newest = delivered.heard.iter().map(|heard| heard.verified_ms).max();
            for now_ms in [0, 1, 7, 25, hours].map(|hours| newest.unwrap_or(START_MS) + hours * HOUR_MS) {
                for set in delivered.heard.iter().filter(|heard| heard.says.alert().is_some()) {
                    let (does, may) = (done(&policy, &cases, &set.name, now_ms), delivered.most(set, now_ms));
                    prop_assert!(does <= may, "{does:?} of {}, and the table says {may:?}", set.name);
                }
            }
        }
    }
}

/// The same judge is not so strict that nothing ever happened.
#[test]
fn a_confirmed_case_is_acted_on_by_the_fold_and_by_the_table() {
    let mut logs = Logs::new();
    let case = logs.assert("tiktok", Review::OneHuman);
    logs.confirm("facebook", &case, Basis::OwnCopySeenByHuman);
    let mut delivered = Delivered::under(1);
    for (log, held) in logs.interleaved(&[]) {
        delivered.take(log, held);
    }
    let policy = Policy::read(RULES).unwrap();
    let now_ms = START_MS + HOUR_MS;
    let set = delivered.at(&case.1).unwrap();
    assert_eq!(delivered.most(set, now_ms), Most::Everything);
    assert_eq!(done(&policy, &logs.fold(&[]), &case.0, now_ms), Most::Everything);
}

#[test]
fn nothing_is_enforced_by_a_role_that_does_not_whatever_is_known() {
    let policy = Policy::read(RULES).unwrap();
    let person = Human { harmful: true, label: None, irreversible: true, at_ms: 0 };
    let bank = Facts { bank: Some("GORE".parse().unwrap()), ..Facts::default() };
    let mut all = vec![bank];
    all.extend([State::Proposed, State::Provisional, State::Confirmed, State::Disputed].map(
        |state| {
            let labels = vec!["self_harm.challenge".parse().unwrap()];
            Facts { state: Some(state), own: true, labels, severity: 4, ..Facts::default() }
        },
    ));
    for facts in all {
        for human in [None, Some(person.clone())] {
            let facts = Facts { human, ..facts.clone() };
            assert!(policy.decide(&facts).take_down().is_some(), "{facts:?}");
            assert_eq!(policy.explain(&facts).lowered, None);
            let facts = Facts { advisory: true, ..facts };
            let (decision, explained) = (policy.decide(&facts), policy.explain(&facts));
            assert!(decision.verdict() <= Verdict::Review, "{facts:?}");
            assert!(!policy.could_act(&facts), "{facts:?}");
            assert_eq!(explained.cap, "review");
            assert_eq!(explained.lowered, Some("this member's role does not enforce"));
        }
    }
}

/// What the fold does and what the table allows of the first alert of a story, some time after its last word.
fn of_the_first(logs: &Logs, hours: u64) -> (Most, Most) {
    let mut delivered = Delivered::under(logs.charter.charter.seq);
    for (log, held) in logs.interleaved(&[]) {
        delivered.take(log, held);
    }
    let newest = delivered.heard.iter().map(|heard| heard.verified_ms).max().unwrap();
    let now_ms = newest + hours * HOUR_MS;
    let place = Target { log: logs.log("tiktok"), index: 0 };
    let set = delivered.at(&place).unwrap();
    let policy = Policy::read(RULES).unwrap();
    (done(&policy, &logs.fold(&[]), &set.name, now_ms), delivered.most(set, now_ms))
}

#[test]
fn what_the_victim_takes_back_is_left_alone_by_the_fold_and_by_the_table() {
    let mut logs = Logs::of_stories();
    let case = logs.assert_of_victim("tiktok", Review::OneHuman, (3, GRAVE[2]));
    logs.confirm("facebook", &case, Basis::OwnCopySeenByHuman);
    logs.confirm("reddit", &case, Basis::OwnCopySeenByHuman);
    assert_eq!(of_the_first(&logs, 1), (Most::Everything, Most::Everything));
    logs.retract_for_victim("tiktok", &case.1, true);
    assert_eq!(of_the_first(&logs, 1), (Most::Nothing, Most::Nothing));
}

#[test]
fn what_an_incident_lifts_is_acted_on_by_the_fold_and_by_the_table_while_it_lasts() {
    let mut logs = Logs::of_stories();
    let case = logs.assert("tiktok", Review::Automatic);
    let event = logs.incident("tiktok", None, incident(IncidentStep::Declare, 3, &[case.0]));
    logs.incident("facebook", Some(&event.1), incident(IncidentStep::Cosign, 3, &[]));
    assert_eq!(of_the_first(&logs, 1), (Most::Review, Most::Review));
    logs.incident("instagram", Some(&event.1), incident(IncidentStep::Cosign, 3, &[]));
    assert_eq!(of_the_first(&logs, 1), (Most::Review, Most::Review), "one owner twice is one");
    logs.incident("reddit", Some(&event.1), incident(IncidentStep::Cosign, 3, &[]));
    assert_eq!(of_the_first(&logs, 11), (Most::Reversible, Most::Reversible));
    assert_eq!(of_the_first(&logs, 13), (Most::Review, Most::Review), "nothing new came");
    for member in ["tiktok", "facebook", "google"] {
        logs.incident(member, Some(&event.1), incident(IncidentStep::Conclude, 3, &[]));
    }
    assert_eq!(of_the_first(&logs, 1), (Most::Review, Most::Review));
}

#[test]
fn the_gravest_are_acted_on_by_the_fold_and_by_the_table_as_both_charters_say() {
    for (label, review, before, after) in [
        (GRAVE[0], Review::OneHuman, Most::Reversible, Most::Review),
        (GRAVE[1], Review::OneHuman, Most::Reversible, Most::Reversible),
        (GRAVE[2], Review::OneHuman, Most::Review, Most::Review),
        (GRAVE[1], Review::Automatic, Most::Review, Most::Review),
    ] {
        let mut logs = Logs::of_stories();
        logs.assert_grave("tiktok", review, (4, label));
        assert_eq!(of_the_first(&logs, 1), (before, before), "{label} {review:?}");
        logs.go_on_under_the_second_charter();
        assert_eq!(of_the_first(&logs, 1), (after, after), "{label} {review:?}");
    }
}
