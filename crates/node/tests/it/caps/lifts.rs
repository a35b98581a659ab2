//! The part of the table that is about incidents and severity 4: what allows more than the state of a case alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use watchfire_signal::{
    commitment::Commitment, incident::IncidentStep, name::MemberName, statement::Statement,
    verb::Verb,
};

use super::{Delivered, HOUR_MS, Heard, MANY, TWO, Voice, owner};
use crate::logs::{GRAVE, GRAVE_A_DAY};

const MINUTE_MS: u64 = 60_000;

impl Delivered {
    /// Whether it is of severity 4 and acts before it is CONFIRMED: a person has looked, both charters name its label,
    /// and it is among the first of its author's day, by their own word.
    pub(super) fn is_grave(&self, set: &Heard) -> bool {
        let gravest = |heard: &&Heard| {
            let seen = heard.header.review.is_some_and(|review| review.is_human());
            let four = heard.header.severity == Some(4) && !heard.header.test;
            let by_it = heard.at.log == set.at.log && day(heard) == day(set);
            four && seen && heard.header.verb == Verb::Assert && by_it
        };
        let earlier = self.heard.iter().filter(gravest).filter(|one| one.at.index < set.at.index);
        let within = (earlier.count() as u64) < GRAVE_A_DAY;
        let named = |charter: u64, label: &str| {
            GRAVE.iter().position(|known| *known == label).is_some_and(|place| match charter {
                1 => place < 2,
                _ => place > 0,
            })
        };
        let mut labels = set.says.alert().into_iter().flat_map(|alert| &alert.labels);
        let by_both = labels.any(|label| {
            named(set.header.charter.seq, label.as_str()) && named(self.charter, label.as_str())
        });
        within && by_both && gravest(&set)
    }

    /// Who has said something of an event that was not erased: of each member the first time, in its own word's minute,
    /// and when that was.
    fn said_of(&self, event: &Heard, what: IncidentStep) -> BTreeMap<&MemberName, (u64, u64)> {
        let mut said = BTreeMap::new();
        for heard in &self.heard {
            let Statement::Incident(body) = &heard.says else { continue };
            let same = heard.header.test == event.header.test && heard.speaks_of(&event.at);
            if body.step == what && same && !self.is_erased(&heard.at) {
                let when = (minute(heard), began(heard));
                let first = said.entry(heard.by()).or_insert(when);
                *first = when.min(*first);
            }
        }
        said
    }

    /// When each organisation had first said so, but for one and for those that are not heard; ascending.
    fn times(&self, said: &BTreeMap<&MemberName, (u64, u64)>, beside: Option<&str>) -> Vec<u64> {
        let mut first = BTreeMap::new();
        let heard = said.iter().filter(|(member, _)| self.voice(member) == Voice::Full);
        for (member, (_, at_ms)) in heard {
            if Some(owner(member)) != beside {
                let time = first.entry(owner(member)).or_insert(*at_ms);
                *time = (*at_ms).min(*time);
            }
        }
        let mut times: Vec<_> = first.into_values().collect();
        times.sort_unstable();
        times
    }

    /// The cases that an event ties: those that it was declared with, and those that two organisations which stand by it
    /// have added, by updates of it or by alerts that name it and were not erased.
    fn tied(&self, event: &Heard) -> BTreeSet<Commitment> {
        let agree = self.said_of(event, IncidentStep::Cosign);
        let mut added = BTreeMap::<Commitment, BTreeSet<&str>>::new();
        let alike = self.heard.iter().filter(|heard| heard.header.test == event.header.test);
        for heard in alike.filter(|heard| !self.is_erased(&heard.at)) {
            let cases = match (&heard.says, heard.says.alert()) {
                (Statement::Incident(body), _) if heard.speaks_of(&event.at) => match body.step {
                    IncidentStep::Update => body.cases.clone(),
                    _ => continue,
                },
                (_, Some(alert)) if alert.incident == Some(event.name) => {
                    vec![self.founding(heard).name]
                }
                _ => continue,
            };
            let stands = heard.by() == event.by() || agree.contains_key(heard.by());
            if stands && self.voice(heard.by()) == Voice::Full {
                for case in cases {
                    added.entry(case).or_default().insert(owner(heard.by()));
                }
            }
        }
        let Statement::Incident(declared) = &event.says else { return BTreeSet::new() };
        let added = added.into_iter().filter(|(_, by)| by.len() >= TWO).map(|(case, _)| case);
        added.chain(declared.cases.iter().copied()).collect()
    }

    /// When an event of level 3 is in force, if it ever is: since two organisations beside the declarer's agreed in the
    /// fifteen minutes from that of its declaration on, until many say that it is over, or nothing new has come for twelve
    /// hours: what comes after that brings nothing back. All by the minutes that the records say.
    fn in_force(&self, event: &Heard) -> Option<Range<u64>> {
        let Statement::Incident(body) = &event.says else { return None };
        let critical = body.step == IncidentStep::Declare && body.level == 3;
        let heard = self.voice(event.by()) == Voice::Full && !self.is_erased(&event.at);
        if !critical || event.header.test || !heard {
            return None;
        }
        let mut agree = self.said_of(event, IncidentStep::Cosign);
        agree.retain(|_, (minute, _)| *minute < self::minute(event) + 15);
        let agree = self.times(&agree, Some(owner(event.by())));
        let since = (*agree.get(TWO - 1)?).max(began(event));
        let tied = self.tied(event);
        let of_these = |heard: &&Heard| {
            heard.says.alert().is_some() && tied.contains(&self.founding(heard).name)
        };
        let news: Vec<_> = self.heard.iter().filter(of_these).map(began).collect();
        let mut quiet = since + 12 * HOUR_MS;
        while let Some(later) = news.iter().find(|at| **at < quiet && **at + 12 * HOUR_MS > quiet) {
            quiet = later + 12 * HOUR_MS;
        }
        let over = self.said_of(event, IncidentStep::Conclude);
        let by_many = self.times(&over, None).get(MANY - 1).copied();
        let by_its_own = over.get(event.by()).map(|when| when.1).filter(|at_ms| *at_ms < since);
        let ends = by_many.into_iter().chain(by_its_own).chain([quiet]).min()?;
        Some(since..ends)
    }

    /// Whether an event of level 3 lifts a set now. What was added to a case unseen it lifts only where it comes from who
    /// stands by the event.
    pub(super) fn is_lifted(&self, set: &Heard, now_ms: u64) -> bool {
        let founding = self.founding(set);
        let seen = set.header.review.is_some_and(|review| review.is_human());
        self.heard.iter().any(|event| {
            let stands = set.by() == event.by()
                || self.said_of(event, IncidentStep::Cosign).contains_key(set.by());
            let admitted = founding.at == set.at || seen || stands;
            let holds = self.in_force(event).is_some_and(|term| term.contains(&now_ms));
            admitted && holds && self.tied(event).contains(&founding.name)
        })
    }
}

/// The minute of a record, by its own word.
fn minute(heard: &Heard) -> u64 {
    heard.header.minute.unwrap().into()
}

fn day(heard: &Heard) -> u64 {
    minute(heard) / (24 * 60)
}

/// When that minute began, which is never after the record came.
fn began(heard: &Heard) -> u64 {
    (minute(heard) * MINUTE_MS).min(heard.verified_ms)
}
