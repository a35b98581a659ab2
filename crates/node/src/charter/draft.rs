//! Makes the next charter of what somebody wants to stand in it: numbers it, and closes the logs that
//! end with it.

use std::collections::BTreeMap;

use watchfire_signal::{
    charter::{Charter, ClosedLog, Member, SignedCharter},
    name::{LogName, MemberName},
    statement::Head,
};
use watchfire_tlog::Frontier;

/// How much of each log is held here: what is accepted of one that ends. Not of one that its author has ended itself.
pub type Ends = BTreeMap<LogName, Head>;

/// The charter after `before` that says what `wanted` says. Number and hash of the one before are filled
/// in. A member that is left out leaves, and its log ends where `ends` says, at nothing if it does not
/// say. A member with another key than before begins a new log, in a new epoch; its former one ends with
/// its own word if it is `me`, and where `ends` says if others take its key away, or if its new role may say less. One that its
/// author was to end and has not, by a charter before this one, ends where `ends` says: with a former key somebody could
/// go on in it for ever. Groups lose members that
/// there are not any more, and m of the charter's quorum stays more than half and within reach.
#[must_use]
pub fn next(before: &SignedCharter, wanted: Charter, me: &MemberName, ends: &Ends) -> Charter {
    let old = &before.charter;
    let mut next = Charter { seq: old.seq + 1, previous: before.hash(), ..wanted };
    let mut closed: BTreeMap<(MemberName, u32), ClosedLog> =
        next.closed.into_iter().chain(old.closed.iter().cloned()).map(named).collect();
    for log in closed.values_mut().filter(|log| log.last.is_none()) {
        log.last = ends.get(&log_of(old, &log.member, log.epoch)).copied();
    }
    for before in &old.members {
        let after = next.members.iter_mut().find(|member| member.name == before.name);
        let less = after.as_ref().is_some_and(|after| !after.role.may_all_that(before.role));
        let rotates = *me == before.name && after.is_some() && !less;
        if less {
            // It could go on in a log that it has to end itself, under a charter in which it might say more.
            let its = closed.values_mut().filter(|log| log.member == before.name);
            for log in its.filter(|log| log.last.is_none()) {
                log.last = Some(end(&log.member, log.epoch, old, ends));
            }
        }
        if let Some(after) = after {
            if after.epoch == before.epoch && after.key == before.key {
                continue;
            }
            after.epoch = after.epoch.max(before.epoch + 1);
        }
        let last = Some(end(&before.name, before.epoch, old, ends)).filter(|_| !rotates);
        let Member { name, epoch, key, .. } = before.clone();
        let ended = ClosedLog { member: name.clone(), epoch, key, last };
        closed.entry((name, epoch)).or_insert(ended);
    }
    // Who comes back goes on after its last epoch.
    for member in next.members.iter_mut().filter(|member| old.member(&member.name).is_none()) {
        let used = closed.keys().filter(|(name, _)| *name == member.name);
        let last = used.map(|(_, epoch)| *epoch).max().unwrap_or(0);
        member.epoch = member.epoch.max(last + 1);
    }
    next.closed = closed.into_values().collect();
    let there = |name: &MemberName| next.members.iter().any(|member| member.name == *name);
    for group in &mut next.groups {
        group.members.retain(there);
    }
    next.sort();
    let organisations = u32::try_from(next.organisations()).unwrap_or(u32::MAX);
    next.quorums.charter = next.quorums.charter.clamp(organisations / 2 + 1, organisations.max(1));
    next
}

fn named(log: ClosedLog) -> ((MemberName, u32), ClosedLog) {
    ((log.member.clone(), log.epoch), log)
}

fn log_of(charter: &Charter, member: &MemberName, epoch: u32) -> LogName {
    LogName::new(charter.coalition.clone(), member.clone(), epoch)
}

/// Where the log of a member ends.
fn end(member: &MemberName, epoch: u32, charter: &Charter, ends: &Ends) -> Head {
    let log = log_of(charter, member, epoch);
    let nothing = Frontier::new();
    let nothing = Head { size: nothing.size(), root: nothing.root().0 };
    ends.get(&log).copied().unwrap_or(nothing)
}

/// What a charter changes, a line a change, for people.
#[must_use]
pub fn differences(before: &Charter, after: &Charter) -> Vec<String> {
    let mut lines = Vec::new();
    for member in &after.members {
        let Member { name, organisation, role, address, .. } = member;
        match before.member(name) {
            None => lines.push(format!("{name} joins, of {organisation}, as {role}")),
            Some(old) if old == member => {}
            Some(old) => {
                if old.key != member.key {
                    let epoch = member.epoch;
                    lines.push(format!("{name} has a new key, and a new log in epoch {epoch}"));
                }
                if old.organisation != *organisation {
                    let was = &old.organisation;
                    lines.push(format!("{name} belongs to {organisation}, no longer to {was}"));
                }
                if old.role != *role {
                    lines.push(format!("{name} is {role}, was {}", old.role));
                }
                if old.address != *address {
                    let told = |address: &Option<String>| {
                        address.clone().unwrap_or_else(|| "no address".to_owned())
                    };
                    let (now, was) = (told(address), told(&old.address));
                    lines.push(format!("{name} is reached at {now}, was at {was}"));
                }
            }
        }
    }
    let gone = before.members.iter().filter(|member| after.member(&member.name).is_none());
    lines.extend(gone.map(|member| format!("{} leaves", member.name)));
    lines.extend(ended(before, after));
    lines.extend(terms(before, after));
    lines
}

/// The logs that their authors were to end, and that end where this charter says.
fn ended(before: &Charter, after: &Charter) -> impl Iterator<Item = String> {
    let open = before.closed.iter().filter(|log| log.last.is_none());
    open.filter_map(|log| {
        let now = after.closed.iter().find(|now| now.name() == log.name())?;
        let (member, epoch, size) = (&log.member, log.epoch, now.last?.size);
        Some(format!("the log of {member} of epoch {epoch}, still open, ends after {size} entries"))
    })
}

/// What changes besides members.
fn terms(before: &Charter, after: &Charter) -> Vec<String> {
    let mut lines = Vec::new();
    let mut compare = |what: &str, was: String, now: String| {
        if was != now {
            lines.push(format!("{what}: {now}, was {was}"));
        }
    };
    let (was, now) = (before.quorums, after.quorums);
    let number = |number: u32| number.to_string();
    compare("organisations that confirm", number(was.confirm), number(now.confirm));
    compare("organisations that dispute", number(was.dispute), number(now.dispute));
    compare("organisations that change the charter", number(was.charter), number(now.charter));
    compare("organisations that halt", number(was.halt), number(now.halt));
    let (was, now) = (before.quotas, after.quotas);
    let number = |number: u64| number.to_string();
    compare("records a day", number(was.records_a_day), number(now.records_a_day));
    let (acts, acts_now) = (was.severity4_acts_a_day, now.severity4_acts_a_day);
    compare("acts at severity 4 a day", number(acts), number(acts_now));
    let (undone, undone_now) = (was.retractions_an_hour, now.retractions_an_hour);
    compare("retractions an hour", number(undone), number(undone_now));
    compare("disputes a day", number(was.disputes_a_day), number(now.disputes_a_day));
    compare("bytes a day", number(was.bytes_a_day), number(now.bytes_a_day));
    compare("live alerts", number(was.live_alerts), number(now.live_alerts));
    let number = |number: u32| number.to_string();
    compare("taxonomy", number(before.taxonomy), number(after.taxonomy));
    compare("record version", number(before.record_version), number(after.record_version));
    let (least, least_now) = (before.least_min_matched_ms, after.least_min_matched_ms);
    compare("least matched time in ms", number(least), number(least_now));
    let travel = |charter: &Charter| {
        if charter.without_features { "do not travel" } else { "travel" }.to_owned()
    };
    compare("local features of pictures", travel(before), travel(after));
    let labels = |charter: &Charter| {
        let labels = charter.severity4_labels.iter().map(ToString::to_string);
        format!("[{}]", labels.collect::<Vec<_>>().join(", "))
    };
    compare("labels that act at severity 4", labels(before), labels(after));
    let groups = |charter: &Charter| {
        let group = |group: &watchfire_signal::charter::Group| {
            let members = group.members.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("{} ({})", group.name, members.join(", "))
        };
        format!("[{}]", charter.groups.iter().map(group).collect::<Vec<_>>().join(", "))
    };
    compare("sharing groups", groups(before), groups(after));
    lines
}
