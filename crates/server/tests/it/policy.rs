//! The member's policy over real sockets: applied, shown, tried, explained, and by whom.

use watchfire_api::client::ClientError;
use watchfire_api::wire::{BacktestRequest, ScanRequest};
use watchfire_node::access::Scope;

use crate::house::{HOTLINE, alert_of, alone, coalition, pdq, scan};

const FILE: &str =
    "version = 2\n[[rule]]\nid = 'viral'\nwhen = 'item.views > 10'\nthen = ['hide']\n";

fn status<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> (u16, String) {
    match answer {
        Err(ClientError::Problem(problem)) => {
            (problem.status, problem.detail.clone().unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_applied_shown_tried_and_explains_a_verdict() {
    let house = alone().await;
    let admin = house.client(&[Scope::Admin, Scope::Scan, Scope::Curate]).await;
    assert_eq!(admin.policy().await.unwrap().text, None);
    let (code, detail) = status(admin.apply_policy("version = 2\nx = 1".to_owned()).await);
    assert_eq!(code, 422);
    assert!(detail.contains("(line 2, column 1)"), "{detail}");
    assert!(admin.apply_policy(FILE.to_owned()).await.unwrap().changed);
    assert!(!admin.apply_policy(FILE.to_owned()).await.unwrap().changed);
    let old = FILE.replace("10", "20");
    assert_eq!(status(admin.apply_policy(old).await).0, 409);
    let shown = admin.policy().await.unwrap();
    assert_eq!((shown.version, shown.text.as_deref()), (2, Some(FILE)));
    assert!(shown.actor.is_some_and(|actor| actor.starts_with("key:test")));

    admin.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let scan = |views: i64| ScanRequest {
        facts: [("views".to_owned(), views.into())].into(),
        signals: vec![pdq(1)],
        ..ScanRequest::of(format!("post:{views}").parse().unwrap())
    };
    assert_eq!(admin.scan_signals(&scan(11)).await.unwrap().actions, ["hide"]);
    assert_eq!(admin.scan_signals(&scan(9)).await.unwrap().actions, ["review"]);
    let mut odd = scan(1);
    odd.facts.insert("no name".to_owned(), 1.into());
    assert_eq!(status(admin.scan_signals(&odd).await).0, 422);
    house.node.kept_facts().flush().await;

    let explained = admin.explain("post:11".parse().unwrap()).await.unwrap();
    assert_eq!(explained.matches[0]["rules"][0]["fired"], true, "{explained:?}");
    let tried = FILE.replace("10", "8").replace("version = 2", "version = 3");
    let step = BacktestRequest { text: Some(tried), since_ms: 0, after: None };
    let step = admin.backtest(&step).await.unwrap();
    assert_eq!(step.report["rules"]["viral"]["newly"], 1, "{step:?}");
    let end = BacktestRequest { text: None, since_ms: 0, after: step.next };
    assert_eq!(admin.backtest(&end).await.unwrap().next, None);
    assert_eq!(status(admin.promote("viral".to_owned()).await).0, 409);
    assert_eq!(status(admin.promote("none".to_owned()).await).0, 404);
    assert_eq!(admin.holds().await.unwrap().holds, []);
    assert_eq!(status(admin.release(&alert_id()).await).0, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotline_is_told_what_matches_and_refuses_nothing() {
    let house = coalition(&[(HOTLINE, true)]).await.remove(0);
    let admin = house.client(&[Scope::Admin, Scope::Scan, Scope::Curate]).await;
    let text = "version = 2\n[[rule]]\nid = 'all'\nthen = ['remove', 'block_upload']\n";
    admin.apply_policy(text.to_owned()).await.unwrap();
    admin.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let verdict = scan(&admin, "post:1", pdq(1)).await;
    assert_eq!(verdict.actions, ["review"]);
    house.node.kept_facts().flush().await;
    let explained = admin.explain("post:1".parse().unwrap()).await.unwrap();
    assert_eq!(explained.matches[0]["cap"], "review");
    assert_eq!(explained.matches[0]["lowered"], "this member's role does not enforce");
    house.stop().await;
}

fn alert_id() -> watchfire_signal::commitment::Commitment {
    watchfire_signal::commitment::Commitment([1; 32])
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_changes_the_policy() {
    let house = alone().await;
    for scope in [Scope::Scan, Scope::Curate, Scope::Review, Scope::Audit] {
        let caller = house.client(&[scope]).await;
        assert_eq!(status(caller.apply_policy(FILE.to_owned()).await).0, 403);
        assert_eq!(status(caller.promote("viral".to_owned()).await).0, 403);
        let sees = matches!(scope, Scope::Review | Scope::Audit);
        assert_eq!(caller.policy().await.is_ok(), sees, "{scope:?}");
        assert_eq!(caller.holds().await.is_ok(), sees, "{scope:?}");
    }
    assert_eq!(house.node.policy().version, 1);
    house.stop().await;
}
