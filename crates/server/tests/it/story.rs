//! An alert goes from one member to the others and back, over real sockets.

use watchfire_api::client::{Client, ClientError};
use watchfire_api::problem::ProblemKind;
use watchfire_api::wire::{
    ActionQuery, AlertRequest, AppealRequest, ConfirmRequest, DisputeRequest, EraseRecordRequest,
    EraseRequest, JoinRequest, RenewRequest, ResolveRequest, RetractRequest, Stance, State,
    StopRequest, VerdictKind,
};
use watchfire_node::access::Scope;
use watchfire_signal::name::LogName;
use watchfire_signal::reason::Reason;
use watchfire_signal::statement::{AppealResult, AppealStage, Basis, Resolution};
use watchfire_signal::tlp::Tlp;
use watchfire_tlog::{Origin, audit};

use crate::house::{alert_of, coalition, pdq, scan, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_pushed_and_its_retraction_too() {
    let houses = coalition(&[("a", true), ("b", true), ("c", true), ("d", true)]).await;
    let (a, b) = (houses[0].client(&[Scope::Admin]).await, houses[1].client(&[Scope::Admin]).await);
    let mut at_b = b.events(None).await.unwrap();
    assert_eq!(scan(&b, "b:1", pdq(1)).await.verdict, VerdictKind::Allow);

    let raised = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    assert_eq!((raised.state, raised.index), (State::Provisional, 0));
    wait_for(&mut at_b, |event| event.event == "case" && event.more["blocks"] == true).await;

    let verdict = scan(&b, "b:2", pdq(1)).await;
    assert_eq!(verdict.verdict, VerdictKind::Block);
    assert_eq!(verdict.reasons[0].case, raised.id);
    assert_eq!(verdict.reasons[0].members, [houses[0].name.clone()]);
    assert_eq!(scan(&b, "b:3", pdq(2)).await.verdict, VerdictKind::Allow);

    let confirm = ConfirmRequest { basis: Basis::OwnCopySeenByHuman };
    b.confirm(&raised.id, &confirm, None).await.unwrap();
    let view = b.alert_view(&raised.id).await.unwrap();
    let stances: Vec<_> =
        view.opinions.iter().map(|opinion| (opinion.stance, opinion.human)).collect();
    assert_eq!(stances, [(Stance::Positive, true), (Stance::Positive, true)]);

    let retract = RetractRequest { reason: Reason::WrongMatch, restore: true, note: None };
    b.retract(&raised.id, &retract, None).await.unwrap();
    a.retract(&raised.id, &retract, None).await.unwrap();
    wait_for(&mut at_b, |event| event.event == "case" && event.more["state"] == "RETRACTED").await;
    assert_eq!(scan(&b, "b:4", pdq(1)).await.verdict, VerdictKind::Allow);
    for house in houses {
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_and_a_member_are_halted_by_enough_others_and_the_members_show_who_voted() {
    let houses = coalition(&[("a", true), ("b", true)]).await;
    let (a, b) = (houses[0].client(&[Scope::Admin]).await, houses[1].client(&[Scope::Admin]).await);
    let mut at_b = b.events(None).await.unwrap();
    let raised = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    wait_for(&mut at_b, |event| event.event == "case" && event.more["blocks"] == true).await;

    // Of two organisations one is enough: a coalition can act while one is away.
    let halt = StopRequest { reason: Reason::BenignContext, withdraw: false };
    let answer = b.halt(&raised.id, &halt, None).await.unwrap();
    assert_eq!(answer.state, State::Retracted);
    assert_eq!(b.alert_view(&raised.id).await.unwrap().halted_by, [houses[1].name.clone()]);
    let back = StopRequest { withdraw: true, ..halt.clone() };
    assert_eq!(b.halt(&raised.id, &back, None).await.unwrap().state, State::Confirmed);
    let again = b.halt(&raised.id, &back, None).await.unwrap_err();
    assert!(again.to_string().contains("has not asked"), "{again}");

    let (a_name, b_name) = (&houses[0].name, &houses[1].name);
    assert!(b.halt_member(a_name, &halt).await.unwrap().halted);
    assert_eq!(scan(&b, "b:1", pdq(1)).await.verdict, VerdictKind::Allow);
    assert!(!b.halt_member(a_name, &back).await.unwrap().halted);
    assert!(b.suspend_member(a_name, &halt).await.unwrap().suspended);
    assert_eq!(scan(&b, "b:2", pdq(1)).await.verdict, VerdictKind::Review);
    let members = b.members().await.unwrap();
    let view = &members.members[0];
    assert_eq!((&view.suspended_by, view.suspended_at), (&vec![b_name.clone()], Some(1)));
    assert!(view.halted_by.is_empty() && !view.halted);
    for (who, kind) in [("b", "stop itself"), ("nobody", "no member nobody")] {
        let refused = b.halt_member(&who.parse().unwrap(), &halt).await.unwrap_err();
        assert!(refused.to_string().contains(kind), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_learns_when_a_member_is_protected() {
    let houses = coalition(&[("a", true), ("b", true)]).await;
    let a = houses[0].client(&[Scope::Admin]).await;
    let mut at_a = a.events(None).await.unwrap();
    let raised = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let receipt = wait_for(&mut at_a, |event| event.event == "receipt").await;
    assert_eq!((&receipt.more["member"], &receipt.more["size"]), (&"b".into(), &1.into()));
    let view = a.alert_view(&raised.id).await.unwrap();
    let protected: Vec<_> =
        view.members.iter().map(|member| (member.member.as_str(), member.effective)).collect();
    assert_eq!(protected, [("a", true), ("b", true)]);
    let members = a.members().await.unwrap();
    assert_eq!(members.members[1].effective_there, Some(1));
    assert_eq!(members.members[0].held, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_has_used_of_its_quotas_is_shown_at_all_members() {
    let houses = coalition(&[("a", true), ("b", true)]).await;
    let a = houses[0].client(&[Scope::Admin]).await;
    let b = houses[1].client(&[Scope::Admin]).await;
    let allowed = houses[0].node.charter().quotas;
    let used = async |client: &Client, entries: u64| loop {
        let of_a = client.members().await.unwrap().members.remove(0);
        if of_a.effective_here >= entries {
            let quotas = of_a.quotas.unwrap();
            assert_eq!(quotas.records_a_day.allowed, allowed.records_a_day);
            assert_eq!(quotas.disputes_a_day.allowed, allowed.disputes_a_day);
            assert_eq!(quotas.bytes_a_day.allowed, allowed.bytes_a_day);
            assert_eq!(quotas.live_alerts.allowed, allowed.live_alerts);
            let kib = quotas.bytes_a_day.used / 1_024;
            break (quotas.records_a_day.used, kib, quotas.live_alerts.used);
        }
    };
    let first = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    a.alert(&alert_of(vec![pdq(2)]), None).await.unwrap();
    for client in [&a, &b] {
        assert_eq!(used(client, 2).await, (2, 2, 2));
    }
    let back = RetractRequest { reason: Reason::WrongMatch, restore: true, note: None };
    a.retract(&first.id, &back, None).await.unwrap();
    for client in [&a, &b] {
        assert_eq!(used(client, 3).await, (2, 2, 1), "to take back costs nothing, and makes room");
    }
    // Nobody says anything any more: another day, and the end of all leases.
    let day_ms = 86_400_000;
    for (days, live) in [(1, 1), (200, 0)] {
        houses.iter().for_each(|house| house.clock.forward(days * day_ms));
        for client in [&a, &b] {
            assert_eq!(used(client, 3).await, (0, 0, live), "{days} days later");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_an_address_takes_part() {
    let houses = coalition(&[("hidden", false), ("b", true)]).await;
    let hidden = houses[0].client(&[Scope::Admin]).await;
    let b = houses[1].client(&[Scope::Admin]).await;
    let mut at_b = b.events(None).await.unwrap();
    let mut at_hidden = hidden.events(None).await.unwrap();
    hidden.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    wait_for(&mut at_b, |event| event.event == "case" && event.more["blocks"] == true).await;
    assert_eq!(scan(&b, "b:1", pdq(1)).await.verdict, VerdictKind::Block);
    let raised = b.alert(&alert_of(vec![pdq(2)]), None).await.unwrap();
    let id = raised.id.to_string();
    wait_for(&mut at_hidden, |event| event.event == "case" && event.more["set"] == id.as_str())
        .await;
    assert_eq!(scan(&hidden, "h:1", pdq(2)).await.reasons[0].case, raised.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_seen_before_are_told_again_on_request() {
    let houses = coalition(&[("a", true)]).await;
    let a = houses[0].client(&[Scope::Admin]).await;
    a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let mut all = a.events(Some(0)).await.unwrap();
    let first = wait_for(&mut all, |_| true).await;
    let second = wait_for(&mut all, |_| true).await;
    assert_eq!(second.id, first.id + 1);
    let mut later = a.events(Some(first.id)).await.unwrap();
    assert_eq!(wait_for(&mut later, |_| true).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_under_the_same_key_says_nothing_twice() {
    let houses = coalition(&[("a", true)]).await;
    let a = houses[0].client(&[Scope::Curate]).await;
    let alert = alert_of(vec![pdq(1)]);
    let first = a.alert(&alert, Some("report 7")).await.unwrap();
    assert_eq!(a.alert(&alert, Some("report 7")).await.unwrap(), first);
    assert_eq!(a.alert(&alert, Some("report 8")).await.unwrap().index, 1);
    assert_eq!(houses[0].client(&[Scope::Audit]).await.members().await.unwrap().members[0].held, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_said_is_a_problem_that_says_why() {
    let houses = coalition(&[("a", true)]).await;
    let a = houses[0].client(&[Scope::Admin]).await;
    let is = |error: ClientError, kind| match error {
        ClientError::Problem(problem) => assert!(problem.is(kind), "{problem}"),
        error => panic!("{error}"),
    };
    let raised = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let confirm = ConfirmRequest { basis: Basis::OwnCopySeenByHuman };
    is(a.confirm(&raised.id, &confirm, None).await.unwrap_err(), ProblemKind::Conflict);
    let unknown = "00".repeat(32).parse().unwrap();
    is(a.confirm(&unknown, &confirm, None).await.unwrap_err(), ProblemKind::NotFound);
    is(a.alert_view(&unknown).await.unwrap_err(), ProblemKind::NotFound);
    is(a.alert(&alert_of(vec![]), None).await.unwrap_err(), ProblemKind::Invalid);
    let mut bad = alert_of(vec![pdq(1)]);
    bad.severity = 5;
    is(a.alert(&bad, None).await.unwrap_err(), ProblemKind::Invalid);
    bad = alert_of(vec![pdq(1), pdq(2)]);
    bad.signals[1].value.pop();
    is(a.alert(&bad, None).await.unwrap_err(), ProblemKind::Invalid);
    is(a.forget(&"nothing".parse().unwrap()).await.unwrap_err(), ProblemKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_remembered_until_the_platform_deletes_them() {
    let houses = coalition(&[("a", true)]).await;
    let a = houses[0].client(&[Scope::Admin]).await;
    scan(&a, "a/b:1", pdq(1)).await;
    a.forget(&"a/b:1".parse().unwrap()).await.unwrap();
    assert!(a.forget(&"a/b:1".parse().unwrap()).await.is_err());
    let of_item = ActionQuery { item: Some("a/b:1".parse().unwrap()), ..ActionQuery::default() };
    assert_eq!(a.actions(&of_item).await.unwrap().actions, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_after_a_restart_hears_of_what_happened_since() {
    let houses = coalition(&[("a", true)]).await;
    let a = houses[0].client(&[Scope::Admin]).await;
    a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let first = wait_for(&mut a.events(Some(0)).await.unwrap(), |_| true).await;
    // No number is ever given twice: numbers begin at the time of the start.
    assert!(first.id > crate::house::START_MS * 1_000, "{}", first.id);
    let of_last_year = crate::house::START_MS * 1_000 - 1_000_000;
    let of_a_clock_that_ran_ahead = first.id + 1_000_000_000;
    for last in [of_last_year, of_a_clock_that_ran_ahead] {
        let mut back = a.events(Some(last)).await.unwrap();
        assert_eq!(wait_for(&mut back, |_| true).await, first, "after {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_to_a_group_that_the_charter_lacks_is_refused() {
    let houses = coalition(&[("a", true)]).await;
    let a = houses[0].client(&[Scope::Admin]).await;
    let misspelt = watchfire_api::wire::AlertRequest {
        group: "polise".parse().unwrap(),
        ..alert_of(vec![pdq(1)])
    };
    match a.alert(&misspelt, None).await {
        Err(ClientError::Problem(problem)) => {
            assert!(problem.is(ProblemKind::Invalid), "{problem}");
            assert!(problem.to_string().contains("polise"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(houses[0].node.alerts(None, 10).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_record_is_gone_everywhere_and_the_log_stays_whole() {
    let houses = coalition(&[("a", true), ("b", true)]).await;
    let (a, b) = (houses[0].client(&[Scope::Admin]).await, houses[1].client(&[Scope::Admin]).await);
    let mut at_b = b.events(None).await.unwrap();
    let raised = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    wait_for(&mut at_b, |event| event.event == "case" && event.more["blocks"] == true).await;
    assert_eq!(scan(&b, "b:1", pdq(1)).await.verdict, VerdictKind::Block);

    // Another member's word alone erases nothing where two organisations have to agree.
    let erase = EraseRequest { reason: Some(Reason::VictimWithdrew) };
    let answer = a.erase(&raised.id, &erase, None).await.unwrap();
    assert_eq!(answer.state, State::Lapsed);
    wait_for(&mut at_b, |event| event.event == "case" && event.more["state"] == "LAPSED").await;
    assert_eq!(scan(&b, "b:2", pdq(1)).await.verdict, VerdictKind::Allow);
    let log = houses[0].node.log().clone();
    for house in &houses {
        while house.node.statement(&log, raised.index).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        let copy = house.node.source(&log).unwrap();
        assert_eq!(copy.records(&[raised.index]).await.unwrap(), [None]);
        let key = house.node.key_of(&log.member).unwrap();
        let origin = Origin::new(log.to_string()).unwrap();
        let report = audit(&*copy, &origin, &key, &mut |_, _| {}).await;
        assert!(report.is_sound() && report.size == 2, "{report:?}");
    }
    let view = b.alert_view(&raised.id).await.unwrap();
    assert!(view.erased && view.alert.is_none());
    assert!(view.summary.labels.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn any_record_with_words_in_it_is_erased_by_its_place() {
    let houses = coalition(&[("a", true), ("b", true)]).await;
    let (a, b) = (houses[0].client(&[Scope::Admin]).await, houses[1].client(&[Scope::Admin]).await);
    let mut at_b = b.events(None).await.unwrap();
    let raised = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    wait_for(&mut at_b, |event| event.event == "case" && event.more["blocks"] == true).await;
    let note = Some("words about somebody".to_owned());
    let dispute = DisputeRequest { reason: Reason::BenignContext, note };
    let said = b.dispute(&raised.id, &dispute, None).await.unwrap();
    assert_eq!(said.state, State::Disputed);
    let erase = |log: &LogName, index| EraseRecordRequest { log: log.clone(), index, reason: None };
    let done = b.erase_record(&erase(&said.log, said.index), None).await.unwrap();
    assert!(done.own && done.log == said.log);
    for house in &houses {
        while house.node.statement(&said.log, said.index).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    }
    assert_ne!(b.alert_view(&raised.id).await.unwrap().summary.state, State::Disputed);
    // Of others it is a vote; what has no words, or is not there, is not erased.
    assert!(!b.erase_record(&erase(&raised.log, raised.index), None).await.unwrap().own);
    let refused = |answer: Result<_, ClientError>, kind| match answer.map(drop) {
        Err(ClientError::Problem(problem)) => assert!(problem.is(kind), "{problem}"),
        other => panic!("{other:?}"),
    };
    let wordless = b.erase_record(&erase(&done.log, done.index), None).await;
    refused(wordless, ProblemKind::Invalid);
    refused(b.erase_record(&erase(&said.log, 999), None).await, ProblemKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_said_of_cases_is_shown() {
    let houses = coalition(&[("a", true), ("b", true), ("c", true)]).await;
    let (a, b) = (houses[0].client(&[Scope::Admin]).await, houses[1].client(&[Scope::Admin]).await);
    let mut at_b = b.events(None).await.unwrap();
    let first = a.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let second = a.alert(&alert_of(vec![pdq(2)]), None).await.unwrap();
    for id in [first.id, second.id] {
        let set = id.to_string();
        wait_for(&mut at_b, |event| event.event == "case" && event.more["set"] == set).await;
    }
    let copy = AlertRequest {
        of: Some(first.id),
        transform: Some("mirrored".to_owned()),
        ..alert_of(vec![pdq(3)])
    };
    let variant = b.alert(&copy, None).await.unwrap();
    assert_eq!(b.alert_view(&variant.id).await.unwrap().summary.case, first.id);
    let more = AlertRequest { transform: None, ..copy.clone() };
    let refused = b.alert(&more, None).await.unwrap_err();
    assert!(refused.to_string().contains("only a adds signals"), "{refused}");
    assert!(a.alert(&more, None).await.is_ok());
    let lost = AlertRequest { of: None, ..copy };
    assert!(b.alert(&lost, None).await.unwrap_err().to_string().contains("`of` names"));

    let dispute = DisputeRequest { reason: Reason::BenignContext, note: None };
    assert_eq!(b.dispute(&first.id, &dispute, None).await.unwrap().state, State::Disputed);
    let resolve =
        ResolveRequest { member: houses[1].name.clone(), outcome: Resolution::Stands, note: None };
    assert_eq!(b.resolve(&first.id, &resolve, None).await.unwrap().state, State::Provisional);
    let again = b.resolve(&first.id, &resolve, None).await;
    assert_eq!(again.unwrap().state, State::Provisional, "it may be said twice");
    let nobody = ResolveRequest { member: houses[2].name.clone(), ..resolve };
    let refused = b.resolve(&first.id, &nobody, None).await.unwrap_err();
    assert!(refused.to_string().contains("does not dispute"), "{refused}");

    a.join(&first.id, &JoinRequest { other: second.id }, None).await.unwrap();
    let opened = AppealRequest { stage: AppealStage::Opened, result: None };
    a.appeal(&first.id, &opened, None).await.unwrap();
    let result = Some(AppealResult::Overturned);
    let decided = AppealRequest { stage: AppealStage::Result, result };
    a.appeal(&first.id, &decided, None).await.unwrap();
    let half = AppealRequest { stage: AppealStage::Result, result: None };
    assert!(a.appeal(&first.id, &half, None).await.is_err());
    a.renew(&first.id, &RenewRequest { valid_for_s: 86_400 }, None).await.unwrap();
    let view = a.alert_view(&first.id).await.unwrap();
    assert_eq!(view.joined, [second.id]);
    let counts = &view.counts;
    assert_eq!((counts.appeals_opened, counts.appeals_overturned), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_kept_on_the_way_to_the_others() {
    let houses = coalition(&[("a", true), ("b", true)]).await;
    let (a, b) = (houses[0].client(&[Scope::Admin]).await, houses[1].client(&[Scope::Admin]).await);
    let mut at_b = b.events(None).await.unwrap();
    let strict = AlertRequest { tlp: Some(Tlp::AmberStrict), ..alert_of(vec![pdq(1)]) };
    let marked = a.alert(&strict, None).await.unwrap().id.to_string();
    let bare = a.alert(&alert_of(vec![pdq(2)]), None).await.unwrap().id.to_string();
    for (set, mark) in [(marked, Tlp::AmberStrict), (bare, Tlp::Green)] {
        wait_for(&mut at_b, |event| event.event == "case" && event.more["set"] == set).await;
        let view = b.alert_view(&set.parse().unwrap()).await.unwrap();
        assert_eq!(view.summary.tlp, mark);
    }
    let unknown = serde_json::json!({ "tlp": "RED" });
    assert!(serde_json::from_value::<Tlp>(unknown["tlp"].clone()).is_err());
}
