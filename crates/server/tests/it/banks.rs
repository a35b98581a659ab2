//! Banks over real sockets: made, filled one by one and by lists, read, changed, emptied; hostile lists add nothing.

use watchfire_api::client::{Client, ClientError};
use watchfire_api::problem::ProblemKind;
use watchfire_api::wire::{
    BankChangeRequest, BankContentChangeRequest, BankContentQuery, BankContentRequest, BankRequest,
    LookupQuery, Method, SignalJson, VerdictKind,
};
use watchfire_node::access::Scope;
use watchfire_node::desk::DeskKind;
use watchfire_signal::name::BankName;
use watchfire_signal::value::Signal;

use crate::house::{House, alone, pdq};

fn bank(text: &str) -> BankName {
    text.parse().unwrap()
}

fn matches(house: &House, signal: &SignalJson) -> usize {
    let signal = Signal::try_from(signal).unwrap();
    house.node.banks().lookup(&[signal], &[]).len()
}

fn lines(signals: impl IntoIterator<Item = SignalJson>) -> String {
    let lines = signals.into_iter().map(|signal| serde_json::to_string(&signal).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

async fn curator(house: &House) -> Client {
    let client = house.client(&[Scope::Curate]).await;
    client.create_bank(&BankRequest::named(bank("A"))).await.unwrap();
    client
}

fn problem<T: std::fmt::Debug>(
    result: Result<T, ClientError>,
    kind: ProblemKind,
) -> watchfire_api::problem::Problem {
    match result {
        Err(ClientError::Problem(problem)) if problem.is(kind) => *problem,
        other => panic!("{other:?} instead of {kind:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_lives_its_life_over_the_api() {
    let house = alone().await;
    let client = curator(&house).await;
    let mut request = BankRequest::named(bank("GORE"));
    request.labels = vec!["violence.graphic_death".parse().unwrap()];
    request.severity = 3;
    let made = client.create_bank(&request).await.unwrap();
    assert_eq!((made.contents, made.enabled, made.ratio), (0, true, 1.0));
    assert_eq!(client.create_bank(&request).await.unwrap(), made, "again is the same");
    request.severity = 2;
    problem(client.create_bank(&request).await, ProblemKind::Conflict);

    let content = BankContentRequest {
        signals: vec![pdq(1)],
        note: "seen before".to_owned(),
        metadata: serde_json::from_str(r#"{"content_id":"x1"}"#).unwrap(),
    };
    let added = client.add_to_bank(&bank("GORE"), &content).await.unwrap();
    assert_eq!((added.given, added.added, added.id), (1, 1, Some(1)));
    let again = client.add_to_bank(&bank("GORE"), &content).await.unwrap();
    assert_eq!((again.given, again.added, again.id), (1, 0, Some(1)));
    assert_eq!(matches(&house, &pdq(1)), 1);
    let shown = client.bank_content(&bank("GORE"), 1).await.unwrap();
    assert_eq!((&shown.signals, &shown.note), (&content.signals, &content.note));
    assert_eq!(shown.metadata, content.metadata);
    problem(client.bank_content(&bank("A"), 1).await, ProblemKind::NotFound);

    let change = BankContentChangeRequest { disabled_until_ms: Some(u64::MAX), note: None };
    client.change_bank_content(&bank("GORE"), 1, &change).await.unwrap();
    assert_eq!(matches(&house, &pdq(1)), 0);
    let change = BankContentChangeRequest { disabled_until_ms: Some(0), note: None };
    client.change_bank_content(&bank("GORE"), 1, &change).await.unwrap();
    let off = BankChangeRequest { enabled: Some(false), ..BankChangeRequest::default() };
    assert!(!client.change_bank(&bank("GORE"), &off).await.unwrap().enabled);
    assert_eq!(matches(&house, &pdq(1)), 0);
    let on = BankChangeRequest { enabled: Some(true), ..BankChangeRequest::default() };
    let bank_now = client.change_bank(&bank("GORE"), &on).await.unwrap();
    assert_eq!((bank_now.contents, bank_now.signals["pdq"]), (1, 1));
    assert_eq!(matches(&house, &pdq(1)), 1);

    client.remove_from_bank(&bank("GORE"), 1).await.unwrap();
    problem(client.remove_from_bank(&bank("GORE"), 1).await, ProblemKind::NotFound);
    client.delete_bank(&bank("GORE")).await.unwrap();
    let left: Vec<_> = client.banks().await.unwrap().banks;
    assert_eq!(left.iter().map(|bank| bank.name.as_str()).collect::<Vec<_>>(), ["A"]);
    let lines = house.node.desk().newest(Some(DeskKind::Bank), u64::MAX, 10).await.unwrap();
    assert!(lines.iter().all(|line| line.record.as_ref().unwrap().actor.starts_with("key:")));
    assert_eq!(lines.len(), 5, "two made, two changes, one deleted");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_added_once_and_read_back_page_by_page() {
    let house = alone().await;
    let client = curator(&house).await;
    let list = lines((0..250).map(pdq));
    let added = client.add_list_to_bank(&bank("A"), list.clone()).await.unwrap();
    assert_eq!((added.given, added.added, added.id), (250, 250, Some(1)));
    let again = client.add_list_to_bank(&bank("A"), list).await.unwrap();
    assert_eq!((again.given, again.added, again.id), (250, 0, None));
    assert_eq!(matches(&house, &pdq(249)), 1);
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let query = BankContentQuery { after, limit: Some(100) };
        let page = client.bank_contents(&bank("A"), &query).await.unwrap();
        ids.extend(page.contents.iter().map(|content| content.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, (1..=250).collect::<Vec<_>>());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_hostile_list_is_added_and_its_line_is_named() {
    let house = alone().await;
    let client = curator(&house).await;
    let good = lines([pdq(1)]);
    let cases = [
        (format!("{good}\nnonsense"), "line 2: "),
        (format!("{good}\n\n{}", good.replace("pdq", "md5")), "line 3: md5: expected 32"),
        (format!("{good}\n{}", good.replace("\"value\":\"", "\"value\":\"G")), "line 2: pdq: "),
        (format!("{good}\n{{\"signals\":[]}}"), "line 2: a content has 1 to 64 signals"),
        (format!("{good}\n{}", good.replace("\"kind\"", "\"knd\"")), "line 2: unknown field `knd`"),
        (format!("{good}\n{}", "[".repeat(400_000)), "line 2: "),
        (format!("{good}\n{}", "1,".repeat(1_000_000)), "line 2 is longer than 524288 bytes"),
    ];
    for (list, expected) in cases {
        let refused =
            problem(client.add_list_to_bank(&bank("A"), list).await, ProblemKind::Invalid);
        let detail = refused.detail.unwrap();
        assert!(detail.starts_with(expected), "{detail} instead of {expected}");
    }
    let long = format!("{good}\n").repeat((16 << 20) / good.len() + 1);
    let refused = problem(client.add_list_to_bank(&bank("A"), long).await, ProblemKind::TooLarge);
    assert_eq!(refused.limit.as_deref(), Some("list_bytes"));
    assert_eq!(matches(&house, &pdq(1)), 0);
    assert_eq!(client.bank(&bank("A")).await.unwrap().contents, 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_scan_may_not_keep_banks() {
    let house = alone().await;
    let scanner = house.client(&[Scope::Scan]).await;
    problem(scanner.banks().await, ProblemKind::Forbidden);
    let created = scanner.create_bank(&BankRequest::named(bank("A"))).await;
    problem(created, ProblemKind::Forbidden);
    let auditor = house.client(&[Scope::Audit]).await;
    assert_eq!(auditor.banks().await.unwrap().banks, []);
    let created = auditor.create_bank(&BankRequest::named(bank("A"))).await;
    problem(created, ProblemKind::Forbidden);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_names_the_bank_until_it_is_off() {
    let house = alone().await;
    let client = house.client(&[Scope::Curate, Scope::Scan]).await;
    let mut request = BankRequest::named(bank("HARMLESS"));
    request.negative = true;
    client.create_bank(&request).await.unwrap();
    let mut other = pdq(1);
    client.add_to_bank(&bank("HARMLESS"), &other.clone().into()).await.unwrap();
    // One bit is turned.
    let last = if other.value.ends_with('0') { '1' } else { '0' };
    let before = other.value.pop().unwrap().to_digit(16).unwrap();
    other.value.push(last);
    let distance = (before ^ last.to_digit(16).unwrap()).count_ones();
    let query = LookupQuery { kind: other.kind, value: other.value };
    let found = client.lookup(&query).await.unwrap();
    assert_eq!((found.matches.len(), found.banks.len()), (0, 1));
    let found = &found.banks[0];
    assert_eq!((found.bank.as_str(), found.content, found.negative), ("HARMLESS", 1, true));
    assert_eq!((found.method, found.distance), (Method::Near, distance));
    let off = BankChangeRequest { enabled: Some(false), ..BankChangeRequest::default() };
    client.change_bank(&bank("HARMLESS"), &off).await.unwrap();
    assert_eq!(client.lookup(&query).await.unwrap().banks, []);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_names_the_bank_and_the_content_that_it_matches() {
    let house = alone().await;
    let client = house.client(&[Scope::Curate, Scope::Scan]).await;
    let mut request = BankRequest::named(bank("GORE"));
    request.labels = vec!["violence.graphic_death".parse().unwrap()];
    client.create_bank(&request).await.unwrap();
    client.add_to_bank(&bank("GORE"), &pdq(1).into()).await.unwrap();
    // No rule speaks of the bank: a person has to look.
    let verdict = crate::house::scan(&client, "p:1", pdq(1)).await;
    assert_eq!((verdict.verdict, verdict.reasons.len()), (VerdictKind::Review, 0));
    let found = &verdict.banks[0];
    assert_eq!((found.bank.as_str(), found.content), ("GORE", 1));
    assert_eq!((found.labels.clone(), found.rule.as_deref()), (request.labels, Some("default")));
    client.remove_from_bank(&bank("GORE"), 1).await.unwrap();
    let verdict = crate::house::scan(&client, "p:1", pdq(1)).await;
    assert_eq!((verdict.verdict, verdict.banks.len()), (VerdictKind::Allow, 0));
    house.stop().await;
}
