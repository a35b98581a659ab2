//! Proofs of cases, and the heads that members compare, over HTTP.

use watchfire_api::client::ClientError;
use watchfire_api::wire::{Evidence, ForkProof, HeadsExchange, ProofQuery};
use watchfire_node::access::Scope;
use watchfire_node::proof::bundle::Bundle;
use watchfire_signal::header::{CharterRef, Header, Provenance, RECORD_VERSION};
use watchfire_signal::label::Class;
use watchfire_signal::name::GroupName;
use watchfire_signal::record::seal;
use watchfire_signal::statement::{Head, Statement};
use watchfire_signal::verb::Verb;
use watchfire_tlog::{
    Checkpoint, Entry, Extension, Frontier, Hash, Origin, SignedCheckpoint, SourceError,
};

use watchfire_server::{Running, Server, Tls, serve};

use crate::access::http;
use crate::house::{
    House, alert_of, alone, coalition, hashing, name, own_key, pdq, peer_client, unheard,
};
use crate::logs::Stranger;

#[tokio::test(flavor = "multi_thread")]
async fn who_may_audit_gets_the_proof_of_a_case_and_redacted_if_asked() {
    let house = alone().await;
    let raised = house.client(&[Scope::Curate]).await;
    let id = raised.alert(&alert_of(vec![pdq(1)]), None).await.unwrap().id;
    let refused = raised.proof(&id, &ProofQuery::default()).await.unwrap_err();
    assert!(matches!(refused, ClientError::Problem(problem) if problem.status == 403));

    let auditor = house.client(&[Scope::Audit]).await;
    let whole = auditor.proof(&id, &ProofQuery::default()).await.unwrap();
    let whole = Bundle::decode(&whole).unwrap();
    assert_eq!((whole.case, whole.logs.len()), (id, 1));
    assert!(whole.logs[0].entries[0].record.is_some());
    let query = ProofQuery { redact: Some(true), ..ProofQuery::default() };
    let redacted = Bundle::decode(&auditor.proof(&id, &query).await.unwrap()).unwrap();
    assert!(redacted.logs[0].entries[0].record.is_none());
    let unknown = "11".repeat(32).parse().unwrap();
    let unknown = auditor.proof(&unknown, &ProofQuery::default()).await.unwrap_err();
    assert!(matches!(unknown, ClientError::Problem(problem) if problem.status == 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_compare_heads_and_nobody_else_does() {
    let house = alone().await;
    let client = house.client(&[Scope::Curate]).await;
    client.alert(&alert_of(vec![pdq(1)]), None).await.unwrap();
    let member = peer_client("a", 9, house.address);
    let answer = member.heads(&HeadsExchange::default()).await.unwrap();
    let (log, head) = answer.heads.first_key_value().unwrap();
    assert_eq!((log.to_string().as_str(), answer.heads.len()), ("watchfire/test/a/1", 1));
    assert!(head.starts_with("watchfire/test/a/1\n1\n") && answer.proofs.is_empty());
    // The head of the desk log stays at home, although there is one by now.
    assert!(house.node.desk().size().await.unwrap() > 0);

    let long = "x".repeat(watchfire_api::peer::MAX_HEADS_BYTES);
    let mut much = HeadsExchange::default();
    much.heads.insert(log.clone(), long);
    let refused = member.heads(&much).await;
    assert!(matches!(refused, Err(SourceError::Refused(why)) if why.contains("heads_bytes")));
    let stranger = Stranger::of(&house);
    assert_eq!(stranger.get("/log/a/heads").await.status(), 405);
}

/// What a node measures, as long as this process runs one test.
struct Measured {
    url: String,
    _running: Running,
}

impl Measured {
    async fn of(house: &House) -> Self {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).unwrap();
        let server = Server::new(house.node.clone(), &[], hashing(), Some(handle)).unwrap();
        let running = serve(server, "127.0.0.1:0".parse().unwrap(), Tls::LoopbackPlain).await;
        let running = running.unwrap();
        Self { url: format!("http://{}/metrics", running.address()), _running: running }
    }

    async fn number(&self, name: &str) -> String {
        let told = http().get(&self.url).send().await.unwrap().text().await.unwrap();
        let mut lines = told.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        lines.next().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_brings_the_proof_of_a_fork_has_that_log_frozen_and_no_other() {
    let houses = coalition(&[("a", true), ("b", true), ("c", true)]).await;
    let node = &houses[0].node;
    let log = node.charter().log_of(&name("c")).unwrap();
    let head = |key: &str, root: u8| {
        let origin = Origin::new(log.to_string()).unwrap();
        let checkpoint = Checkpoint { origin, size: 7, root: Hash([root; 32]) };
        SignedCheckpoint::sign(&checkpoint, &own_key(key)).text
    };
    let told = |key: &str| {
        let proof = ForkProof { ours: head(key, 1), theirs: head(key, 2), consistency: None };
        let proofs =
            vec![Evidence { log: log.clone(), proofs: vec![proof], contradictions: vec![] }];
        HeadsExchange { proofs, ..HeadsExchange::default() }
    };
    let measured = Measured::of(&houses[0]).await;
    assert_eq!(measured.number("watchfire_logs_forked").await, "0");
    let member = peer_client("b", 9, houses[0].address);
    let answer = member.heads(&told("b")).await.unwrap();
    assert!(answer.proofs.is_empty(), "signed by somebody else");
    assert_eq!(measured.number("watchfire_logs_forked").await, "0");
    member.heads(&told("c")).await.unwrap();
    let client = houses[0].client(&[Scope::Audit]).await;
    let members = client.members().await.unwrap().members;
    let forked: Vec<_> = members.iter().filter(|member| member.forked).collect();
    assert_eq!((forked.len(), &forked[0].name), (1, &name("c")));
    assert_eq!(measured.number("watchfire_logs_forked").await, "1");
    let shown = Stranger::of(&houses[0]).get("/log/c/evidence").await;
    let shown: Evidence = serde_json::from_slice(&shown.bytes().await.unwrap()).unwrap();
    assert_eq!(shown.proofs.len(), 1);
}

/// The log of member `b`, which says these heads of its desk log.
fn anchored(house: &House, heads: &[(u64, u8)]) -> Extension {
    let charter = house.node.charter();
    let log = charter.log_of(&name("b")).unwrap();
    let header = Header {
        v: RECORD_VERSION,
        coalition: log.coalition.clone(),
        author_log: log.clone(),
        charter: CharterRef { seq: charter.seq, hash: charter.hash() },
        verb: Verb::Desk,
        class: Class::None,
        group: GroupName::all(),
        provenance: Provenance::None,
        reason: None,
        severity: None,
        target: None,
        lease_day: None,
        test: false,
        review: None,
        minute: Some(30_000_000),
        size: 1,
    };
    let mut frontier = Frontier::new();
    let entries = heads.iter().map(|(size, root)| {
        let head = Statement::Desk(Head { size: *size, root: [*root; 32] });
        let sealed = seal(&header, &head, [*root; 16]).unwrap();
        let entry = Entry::new(sealed.leaf, Some(sealed.record.into()));
        frontier.append(entry.leaf_hash());
        entry
    });
    let entries = entries.collect();
    let (origin, size) = (Origin::new(log.to_string()).unwrap(), frontier.size());
    let checkpoint = Checkpoint { origin, size, root: frontier.root() };
    Extension { from: 0, entries, checkpoint: SignedCheckpoint::sign(&checkpoint, &own_key("b")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_member_whose_desk_log_was_rewritten_everybody_who_asks_learns() {
    let house = unheard().await;
    let measured = Measured::of(&house).await;
    let client = house.client(&[Scope::Audit]).await;
    let told = async || {
        let members = client.members().await.unwrap().members;
        let rewritten = members.into_iter().filter(|member| member.desk_rewritten);
        rewritten.map(|member| member.name).collect::<Vec<_>>()
    };
    let b = peer_client("b", 9, house.address);
    let grown = anchored(&house, &[(5, 1), (7, 2)]);
    b.push(&grown).await.unwrap();
    assert_eq!(told().await, []);
    assert_eq!(measured.number("watchfire_desks_rewritten").await, "0");
    let mut shrunk = anchored(&house, &[(5, 1), (7, 2), (6, 3)]);
    shrunk.from = 2;
    shrunk.entries.drain(..2);
    b.push(&shrunk).await.unwrap();
    while told().await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(told().await, [name("b")]);
    assert_eq!(measured.number("watchfire_desks_rewritten").await, "1");
}
