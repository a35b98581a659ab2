//! Charters: who belongs to whom, how many decide, and what a charter may not say.

use proptest::prelude::*;
use watchfire_signal::{
    charter::{Approval, Charter, CharterError, Group, SignedCharter, approval_message},
    name::{GroupName, LogName, MemberName},
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
    fn no_quorum_needs_every_organisation(charter in any::charter()) {
        let away = charter.organisations().saturating_sub(1).max(1);
        for quorum in [charter.quorum_confirm(), charter.quorum_dispute(), charter.quorum_halt()] {
            prop_assert!((1..=away).contains(&quorum));
        }
    }
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
    assert!(charter.is_approved_by([&name("tiktok"), &name("twitch")]));
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
