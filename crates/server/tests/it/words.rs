//! Texts and links come in as words, and only their fingerprints are compared.

use watchfire_api::client::{Client, ClientError};
use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_api::wire::{
    AlertRequest, HashRequest, LookupQuery, Method, ScanQuery, ScanRequest, SeenLine, Verdict,
    VerdictKind,
};
use watchfire_node::access::Scope;
use watchfire_signal::alert::ContentKind;
use watchfire_signal::link::LinkScope;
use watchfire_signal::value::Kind;

use crate::house::{alert_of, alone};

const THREAT: &str =
    "We will hunt down every last one of these people and burn their houses at night.";
const TYPED: &str = "so it begins: We wil hnut d0wn evry last oneof thesse people and burn thier \
                     houses at n1ght, who is with us? https://evil.example/call?utm_source=x";
/// Half of the words are others.
const LIKE_IT: &str =
    "we will hunt down every last one of these bargains and burn your savings tonight";
const OTHER: &str = "We will hang up the laundry and then walk down to the houses at the lake, if \
                     the weather stays as it is.";

fn words(alert: AlertRequest) -> AlertRequest {
    AlertRequest { kind: None, ..alert }
}

fn text(text: &str) -> AlertRequest {
    AlertRequest { text: Some(text.to_owned()), ..words(alert_of(vec![])) }
}

fn link(url: &str, scope: LinkScope) -> AlertRequest {
    let (url, url_scope) = (Some(url.to_owned()), Some(scope));
    AlertRequest { url, url_scope, ..words(alert_of(vec![])) }
}

async fn scan(client: &Client, item: &str, text: &str, urls: &[&str]) -> Verdict {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    let request =
        ScanRequest { text: Some(text.to_owned()), urls, ..ScanRequest::of(item.parse().unwrap()) };
    client.scan_signals(&request).await.unwrap()
}

fn problem<T>(answer: Result<T, ClientError>) -> Problem {
    match answer {
        Err(ClientError::Problem(problem)) => *problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("no problem"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_text_is_refused_with_typos_and_inside_another() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    assert_eq!(scan(&client, "0", TYPED, &[]).await.verdict, VerdictKind::Allow);
    let raised = client.alert(&text(THREAT), None).await.unwrap();
    let kinds: Vec<_> = raised.signals_summary.iter().map(|signal| signal.kind).collect();
    assert_eq!(kinds, [Kind::Text]);
    let shown = client.alert_view(&raised.id).await.unwrap().alert.unwrap();
    assert_eq!(shown["kind"], "text");
    assert!(!shown.to_string().contains("hunt"), "the words have ended here");

    let verdict = scan(&client, "1", TYPED, &[]).await;
    assert_eq!(verdict.verdict, VerdictKind::Block);
    let reason = &verdict.reasons[0];
    assert_eq!((reason.signal, reason.method), (Kind::Text, Method::Near));
    assert!((1..=16).contains(&reason.distance), "{}", reason.distance);
    for allowed in [OTHER, "lol", "", "🙂"] {
        assert_eq!(scan(&client, "2", allowed, &[]).await.verdict, VerdictKind::Allow, "{allowed}");
    }
    // What shares no more than its beginning is for a person.
    let verdict = scan(&client, "4", LIKE_IT, &[]).await;
    assert_eq!(verdict.verdict, VerdictKind::Review, "{:?}", verdict.reasons);
    assert!(!verdict.reasons[0].sure && verdict.reasons[0].distance > 8);
    // The whole body is the text as well.
    let query =
        ScanQuery { item: Some("3".parse().unwrap()), signals: true, ..ScanQuery::default() };
    let verdict = client.scan_bytes(&query, "text/plain; charset=utf-8", TYPED).await.unwrap();
    assert_eq!(verdict.verdict, VerdictKind::Block);
    let kinds: Vec<_> = verdict.signals.unwrap().iter().map(|signal| signal.kind).collect();
    assert_eq!(kinds, [Kind::Sha256, Kind::Md5, Kind::Text, Kind::Url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_host_is_refused_wherever_a_link_leads_below_it() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    client.alert(&link("http://evil.example/x", LinkScope::Host), None).await.unwrap();
    client.alert(&link("https://good.example/bad", LinkScope::Prefix), None).await.unwrap();
    assert_eq!(scan(&client, "1", TYPED, &[]).await.verdict, VerdictKind::Block);
    for (urls, verdict) in [
        (&["https://a.evil.example"][..], VerdictKind::Block),
        (&["https://fine.example", "good.example/bad/page?x=1"], VerdictKind::Block),
        (&["https://good.example/badly", "https://notevil.example"], VerdictKind::Allow),
    ] {
        let found = scan(&client, "2", "look at this", urls).await;
        assert_eq!(found.verdict, verdict, "{urls:?}");
        let how = found.reasons.iter().map(|reason| (reason.signal, reason.method));
        assert!(how.into_iter().all(|how| how == (Kind::Url, Method::Exact)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_brought_as_held_and_hashed_as_an_alert_has_them() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let line = SeenLine {
        item: "old".parse().unwrap(),
        seen_ms: 1_800_000_000_000,
        signals: Vec::new(),
        parts: Vec::new(),
        text: Some(TYPED.to_owned()),
        urls: vec!["https://evil.example/other".to_owned()],
        facts: Default::default(),
    };
    let body = serde_json::to_string(&line).unwrap();
    assert_eq!(client.import_seen(body.clone()).await.unwrap().taken, 1);
    let wrong = body.replace("https://evil.example/other", "not a link");
    let refused = client.import_seen(format!("\n{wrong}")).await;
    assert!(problem(refused).detail.unwrap().starts_with("line 2: url 0: not a link"));

    let hash = |request: HashRequest| {
        let client = &client;
        async move { client.hash_words(&request).await.unwrap() }
    };
    let of_text = hash(HashRequest { text: Some(THREAT.to_owned()), ..Default::default() }).await;
    assert_eq!(of_text.content.kind, ContentKind::Text);
    let url = Some("https://evil.example/call".to_owned());
    let of_link = hash(HashRequest { url, ..Default::default() }).await;
    assert_eq!((of_link.content.kind, of_link.signals.len()), (ContentKind::Url, 1));
    for signal in [of_text.signals[0].clone(), of_link.signals[0].clone()] {
        let (kind, value) = (signal.kind, signal.value.clone());
        let raised = client.alert(&alert_of(vec![signal]), None).await.unwrap();
        let found = client.lookup(&LookupQuery { kind, value }).await.unwrap();
        assert_eq!(found.matches[0].record, raised.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fingerprinted_is_refused_by_name() {
    let house = alone().await;
    let client = house.client(&[Scope::Admin]).await;
    let refused = problem(client.alert(&text("hello"), None).await);
    assert!(refused.is(ProblemKind::Invalid));
    assert_eq!(refused.limit.as_deref(), Some("text_least_characters"));
    let long = "many words ".repeat(30_000);
    let refused = problem(client.alert(&text(&long), None).await);
    assert_eq!(refused.limit.as_deref(), Some("text_bytes"));
    let refused = problem(client.hash("text/plain", long).await);
    assert_eq!((refused.status, refused.limit.as_deref()), (413, Some("text_bytes")));
    let refused = problem(client.hash("text/plain", vec![0xff; 20]).await);
    assert!(refused.is(ProblemKind::Malformed));
    for wrong in
        [link("ftp://evil.example", LinkScope::Exact), link("https://com", LinkScope::Host)]
    {
        assert!(problem(client.alert(&wrong, None).await).is(ProblemKind::Invalid));
    }
    let both =
        AlertRequest { text: Some(THREAT.to_owned()), ..link("evil.example", LinkScope::Exact) };
    assert!(problem(client.alert(&both, None).await).is(ProblemKind::Invalid));
    assert!(problem(client.hash_words(&HashRequest::default()).await).is(ProblemKind::Invalid));
}
