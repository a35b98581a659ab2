//! Charters: who belongs to whom, how many decide, and what a charter may not say.

use proptest::prelude::*;
use watchfire_signal::{
    charter::{
        Approval, Charter, CharterChain, CharterError, ClosedLog, Group, Member, Role,
        SignedCharter, SuccessionError, approval_message,
    },
    digest::Sha256Digest,
    name::{GroupName, LogName, MemberName},
    statement::Head,
    value::{Kind, Signal, ValueOrBlob},
};

use crate::{any, golden};

fn name(text: &str) -> MemberName {
    text.parse().unwrap()
}

fn refused(change: impl FnOnce(&mut Charter)) -> CharterError {
    let mut charter = golden::charter();
    change(&mut charter);
    assert!(Charter::decode(&charter.encode()).is_err());
    charter.validate().unwrap_err()
}

proptest! {
    #[test]
    fn a_charter_is_read_as_it_was_written(charter in any::charter()) {
        prop_assert_eq!(Charter::decode(&charter.encode()).unwrap(), charter.clone());
        let json = serde_json::to_string(&charter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Charter>(&json).unwrap(), charter);
    }

    #[test]
    fn two_sets_of_members_that_share_nobody_never_both_suffice_and_all_always_do(
        charter in any::charter(),
        owners in proptest::collection::vec(0_u8..3, 8),
        more in 0_usize..3,
        side in proptest::collection::vec(any::<bool>(), 8),
    ) {
        // Few owners of many members each, and every m that a charter may ask for.
        let mut charter = charter;
        let pattern = charter.members[0].clone();
        charter.members = (0_u8..8).zip(owners).map(|(at, owner)| Member {
            name: format!("member{at}").parse().unwrap(),
            organisation: format!("owner{owner}").parse().unwrap(),
            key: [at; 32],
            ..pattern.clone()
        }).collect();
        let organisations = charter.organisations();
        let m = (organisations / 2 + 1 + more).min(organisations);
        charter.quorums.charter = u32::try_from(m).unwrap();
        (charter.groups, charter.closed) = (Vec::new(), Vec::new());
        prop_assert_eq!(charter.validate(), Ok(()));
        let names = || charter.members.iter().map(|member| &member.name).zip(&side);
        let one = names().filter(|(_, side)| **side).map(|(name, _)| name);
        let other = names().filter(|(_, side)| !**side).map(|(name, _)| name);
        prop_assert!(!(charter.is_approved_by(one) && charter.is_approved_by(other)));
        prop_assert!(charter.is_approved_by(names().map(|(name, _)| name)));
    }

    #[test]
    fn no_quorum_needs_every_organisation(charter in any::charter()) {
        let away = charter.organisations().saturating_sub(1).max(1);
        for quorum in [charter.quorum_confirm(), charter.quorum_dispute(), charter.quorum_halt()] {
            prop_assert!((1..=away).contains(&quorum));
        }
    }
}

#[test]
fn that_no_features_travel_is_one_key_that_is_true_or_absent() {
    let charter = golden::charter();
    let without = Charter { without_features: true, ..charter.clone() };
    let mut bytes = charter.encode();
    // One entry more: 13 → true.
    bytes[0] += 1;
    bytes.extend([0x0d, 0xf5]);
    assert_eq!(without.encode(), bytes);
    assert_eq!(Charter::decode(&bytes).unwrap(), without);
    let at = bytes.len() - 1;
    bytes[at] = 0xf4;
    assert!(Charter::decode(&bytes).is_err(), "absent is the one way to say no");
}

#[test]
fn what_is_left_out_under_a_charter_is_features_alone() {
    let of = |kind: &Kind| Signal {
        value: ValueOrBlob::Blob { kind: *kind, sha256: Sha256Digest([7; 32]), size: 1 },
        quality: None,
        span: None,
        rule: None,
    };
    let charter = golden::charter();
    let mut signals: Vec<_> = Kind::ALL.iter().map(of).collect();
    assert_eq!((charter.leave_out(&mut signals), signals.len()), (0, Kind::ALL.len()));
    let without = Charter { without_features: true, ..charter };
    assert_eq!(without.leave_out(&mut signals), 1);
    assert!(
        signals.len() + 1 == Kind::ALL.len()
            && signals.iter().all(|one| one.kind() != Kind::Features)
    );
}

#[test]
fn quorums_count_organisations() {
    let mut charter = golden::charter();
    assert_eq!((charter.organisations(), charter.quorum_confirm()), (3, 2));
    charter.members[0].organisation = "bytedance".parse().unwrap();
    assert_eq!((charter.organisations(), charter.quorum_confirm()), (2, 1));
    assert_eq!(charter.organisation_of(&name("reddit")).unwrap().as_str(), "bytedance");
    let same = [name("reddit"), name("tiktok")];
    assert!(!charter.is_approved_by(&same));
    assert!(!charter.is_approved_by([&name("tiktok"), &name("stranger"), &name("tiktok")]));
    assert!(charter.is_approved_by([&name("reddit"), &name("twitch")]));
}

#[test]
fn an_organisation_approves_by_more_than_half_of_its_members_or_by_half_with_the_first_of_them() {
    let of = |owners: [&str; 6]| {
        let mut charter = golden::charter();
        let pattern = charter.members[0].clone();
        let member = |(name, owner): (&str, &str)| Member {
            name: name.parse().unwrap(),
            organisation: owner.parse().unwrap(),
            ..pattern.clone()
        };
        charter.members = ["ant", "bee", "cat", "dog", "elk", "fox"]
            .into_iter()
            .zip(owners)
            .map(member)
            .collect();
        charter
    };
    let count = |charter: &Charter, members: &[&str]| {
        let members: Vec<_> = members.iter().map(|member| name(member)).collect();
        charter.count_approving(&members)
    };
    let charter = of(["a", "b", "a", "b", "c", "d"]);
    // The first of two speaks for both, also where the other one is away; the second alone does not.
    assert_eq!(count(&charter, &["ant"]), 1);
    assert_eq!(count(&charter, &["cat"]), 0);
    assert_eq!(count(&charter, &["ant", "cat", "dog"]), 1);
    assert_eq!(count(&charter, &["ant", "bee", "elk", "fox", "nobody"]), 4);
    let charter = of(["a", "a", "a", "b", "b", "b"]);
    assert_eq!(count(&charter, &["ant", "dog"]), 0);
    assert_eq!(count(&charter, &["bee", "cat", "dog", "fox"]), 2);
    let charter = of(["a", "a", "a", "a", "b", "b"]);
    assert_eq!(count(&charter, &["bee", "cat"]), 0);
    assert_eq!(count(&charter, &["ant", "dog"]), 1);
    assert_eq!(count(&charter, &["bee", "cat", "dog"]), 1);
}

#[test]
fn a_member_is_found_by_its_name_and_by_its_log_of_this_epoch() {
    let charter = golden::charter();
    assert_eq!(charter.member(&name("tiktok")).unwrap().key, [0x22; 32]);
    assert!(charter.member(&name("stranger")).is_none());
    let log: LogName = "watchfire/demo/tiktok/1".parse().unwrap();
    assert_eq!(charter.member_of_log(&log).unwrap().name, name("tiktok"));
    assert_eq!(charter.log_of(&name("tiktok")), Some(log));
    for other in ["watchfire/demo/tiktok/2", "watchfire/other/tiktok/1", "watchfire/demo/x/1"] {
        assert!(charter.member_of_log(&other.parse().unwrap()).is_none());
    }
}

#[test]
fn a_group_holds_its_members_and_all_holds_everyone() {
    let mut charter = golden::charter();
    let europe: GroupName = "europe".parse().unwrap();
    charter.groups.push(Group { name: europe.clone(), members: vec![name("tiktok")] });
    charter.validate().unwrap();
    assert!(charter.is_in_group(&name("tiktok"), &europe));
    assert!(!charter.is_in_group(&name("twitch"), &europe));
    assert!(charter.is_in_group(&name("twitch"), &GroupName::all()));
    assert!(!charter.is_in_group(&name("stranger"), &GroupName::all()));
}

#[test]
fn a_charter_that_contradicts_itself_is_refused() {
    assert_eq!(refused(|c| c.members.swap(0, 1)), CharterError::Members);
    assert_eq!(refused(|c| c.members[1] = c.members[0].clone()), CharterError::Members);
    assert_eq!(refused(|c| c.members[1].key = c.members[0].key), CharterError::Key(name("tiktok")));
    assert_eq!(refused(|c| c.members[0].epoch = 0), CharterError::Member(name("reddit")));
    let spaced = |c: &mut Charter| c.members[0].address = Some("a b".into());
    assert_eq!(refused(spaced), CharterError::Member(name("reddit")));
    assert_eq!(refused(|c| c.quorums.confirm = 0), CharterError::Quorums(3));
    assert_eq!(refused(|c| c.quorums.charter = 1), CharterError::Quorums(3));
    assert_eq!(refused(|c| c.quorums.charter = 4), CharterError::Quorums(3));
    assert_eq!(refused(|c| c.seq = 0), CharterError::Chain);
    assert_eq!(refused(|c| c.seq = 2), CharterError::Chain);
    assert_eq!(refused(|c| c.previous = [1; 32]), CharterError::Chain);
    assert_eq!(
        refused(|c| c.severity4_labels.push(c.severity4_labels[0].clone())),
        CharterError::Labels
    );
    for (group, members) in [("all", vec![]), ("europe", vec![name("stranger")])] {
        let group = Group { name: group.parse().unwrap(), members };
        let error = refused(|c| c.groups.push(group.clone()));
        assert_eq!(error, CharterError::Group(group.name));
    }
}

#[test]
fn a_draft_is_put_in_order_and_refuses_what_it_does_not_know() {
    let mut draft = golden::charter();
    draft.members.reverse();
    assert_eq!(draft.validate(), Err(CharterError::Members));
    draft.sort();
    assert_eq!(draft, golden::charter());
    let mut json = serde_json::to_value(&draft).unwrap();
    json["quorum"] = 3.into();
    assert!(serde_json::from_value::<Charter>(json).is_err());
}

#[test]
fn a_member_approves_once() {
    let charter = golden::charter();
    let approval = |member| Approval { member: name(member), signature: [1; 64] };
    let signed = vec![approval("twitch"), approval("reddit")];
    let signed = SignedCharter::new(charter.clone(), signed).unwrap();
    assert_eq!(signed.approvals[0].member, name("reddit"));
    assert_eq!(signed.hash(), charter.hash());
    assert_eq!(SignedCharter::decode(&signed.encode()).unwrap(), signed);
    let twice = vec![approval("twitch"), approval("twitch")];
    assert_eq!(SignedCharter::new(charter.clone(), twice), Err(CharterError::Approvals));
    let mut forged = signed;
    forged.approvals.reverse();
    assert_eq!(SignedCharter::decode(&forged.encode()), Err(CharterError::Approvals));
    assert!(approval_message(&charter.hash()).ends_with(&charter.hash()));
}

#[test]
fn a_charter_of_another_version_is_named_so() {
    let mut bytes = golden::charter().encode();
    assert_eq!(bytes[1..3], [0, 1]);
    bytes[2] = 2;
    assert_eq!(Charter::decode(&bytes), Err(CharterError::Version(2)));
}

/// The charter after another one, with something changed.
fn after(before: &SignedCharter, change: impl FnOnce(&mut Charter)) -> Charter {
    let mut next = before.charter.clone();
    next.seq += 1;
    next.previous = before.hash();
    change(&mut next);
    next.sort();
    next
}

fn ended(charter: &Charter, member: &str, last: Option<Head>) -> ClosedLog {
    let Member { name, epoch, key, .. } = charter.member(&name(member)).unwrap().clone();
    ClosedLog { member: name, epoch, key, last }
}

#[test]
fn a_chain_is_one_file_and_a_single_charter_is_a_chain_of_one() {
    let first = SignedCharter::new(golden::charter(), vec![]).unwrap();
    let mut chain = CharterChain::from(first.clone());
    assert_eq!(CharterChain::decode(&first.encode()).unwrap(), chain);
    let second = SignedCharter::new(after(&first, |next| next.quorums.halt = 1), vec![]).unwrap();
    chain.push(second.clone()).unwrap();
    let bytes = chain.encode();
    assert_eq!(bytes, [first.encode(), second.encode()].concat());
    assert_eq!(CharterChain::decode(&bytes).unwrap(), chain);
    assert_eq!(chain.in_force(), &second);
    assert_eq!(chain.at(1, &first.hash()), Some(&first.charter));
    assert_eq!(chain.at(2, &first.hash()), None);
    // Cut short, in another order, or begun later, it is none.
    assert!(CharterChain::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(CharterChain::decode(&[second.encode(), first.encode()].concat()).is_err());
    assert!(CharterChain::decode(&second.encode()).is_err());
    assert!(CharterChain::decode(&[]).is_err());
}

#[test]
fn a_log_keeps_its_key_and_ends_in_sight_of_all() {
    let first = SignedCharter::new(golden::charter(), vec![]).unwrap();
    let check = |change: &dyn Fn(&mut Charter)| after(&first, change).check_follows(&first);
    let of = |member: &str| name(member);
    let leave = |next: &mut Charter| next.members.retain(|member| member.name != name("tiktok"));
    let last = Head { size: 7, root: [7; 32] };
    assert_eq!(check(&|_| {}), Ok(()));
    assert_eq!(check(&leave), Err(SuccessionError::Lost(of("tiktok"))));
    let close = |next: &mut Charter, last| next.closed.push(ended(&first.charter, "tiktok", last));
    assert_eq!(
        check(&|next| {
            close(next, Some(last));
            leave(next);
        }),
        Ok(())
    );
    // Another key in the same log, and a new log that does not close the old one.
    assert_eq!(
        check(&|next| next.members[1].key = [9; 32]),
        Err(SuccessionError::Key(of("tiktok")))
    );
    let renew = |next: &mut Charter| {
        next.members[1].key = [9; 32];
        next.members[1].epoch += 1;
    };
    assert_eq!(check(&renew), Err(SuccessionError::Lost(of("tiktok"))));
    assert_eq!(
        check(&|next| {
            renew(next);
            close(next, None);
        }),
        Ok(())
    );
    // Who may say less from now on does not go on in a log in which it could name the charter before.
    let demote = |next: &mut Charter| next.members[1].role = Role::Auditor;
    let role = Err(SuccessionError::Role(of("tiktok")));
    assert_eq!(check(&demote), role);
    let demote_and_end = |last| {
        check(&|next| {
            demote(next);
            renew(next);
            close(next, last);
        })
    };
    assert_eq!(demote_and_end(None), role, "it ends that log itself, or does not");
    assert_eq!(demote_and_end(Some(last)), Ok(()));
    assert_eq!(check(&|next| next.members[1].role = Role::Contributor), Ok(()));
    assert_eq!(check(&|next| next.taxonomy = 0), Err(SuccessionError::Version));
    assert_eq!(check(&|next| next.previous = [1; 32]), Err(SuccessionError::Previous(2)));
    assert!(matches!(check(&|next| next.seq = 3), Err(SuccessionError::Number { .. })));

    // Where a log has ended stays so, and its epoch is not used again.
    let gone = after(&first, |next| {
        leave(next);
        next.closed.push(ended(&first.charter, "tiktok", Some(last)));
    });
    let gone = SignedCharter::new(gone, vec![]).unwrap();
    let reopened = after(&gone, |next| next.closed[0].last = Some(Head { size: 9, ..last }));
    assert_eq!(reopened.check_follows(&gone), Err(SuccessionError::Reopened(of("tiktok"))));
    let back = |epoch| {
        let mut member = first.charter.member(&name("tiktok")).unwrap().clone();
        (member.key, member.epoch) = ([9; 32], epoch);
        after(&gone, |next| next.members.push(member.clone()))
    };
    assert_eq!(back(1).validate(), Err(CharterError::Closed));
    assert_eq!(back(2).check_follows(&gone), Ok(()));
}

#[test]
fn closed_logs_have_one_order_and_keys_of_their_own() {
    let closed =
        |epoch, key: u8| ClosedLog { member: name("tiktok"), epoch, key: [key; 32], last: None };
    let refused_with = |logs: Vec<ClosedLog>| {
        refused(|charter| {
            charter.members[1].epoch = 3;
            charter.closed = logs;
        })
    };
    assert_eq!(refused_with(vec![closed(2, 1), closed(1, 2)]), CharterError::Closed);
    assert_eq!(refused_with(vec![closed(1, 1), closed(1, 2)]), CharterError::Closed);
    assert_eq!(refused_with(vec![closed(1, 1), closed(2, 1)]), CharterError::Closed);
    assert_eq!(refused_with(vec![closed(1, 0x22)]), CharterError::Closed);
    assert_eq!(refused_with(vec![closed(3, 1)]), CharterError::Closed);
    assert_eq!(refused_with(vec![closed(0, 1)]), CharterError::Closed);
}
