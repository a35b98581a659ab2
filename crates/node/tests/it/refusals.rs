//! What was decided about uploads is proven too, by the line of the desk log that stands for their group: each by
//! itself, without the others.

use futures_util::future::join_all;
use watchfire_node::{
    clock::Random,
    desk::{Actor, Deed, DeskKind, Line},
    policy::Verdict,
    proof::{
        bundle::{Bundle, MAX_LINES, Octets},
        check::{Proven, Wrong, check},
    },
    raise::Answer,
};
use watchfire_signal::{commitment::Commitment, pdq::Pdq, statement::Basis, value::Signal};

use crate::{
    coalition::{TestRandom, alert},
    proof::{Story, anchored, every_ms, flip, look, story},
};

/// Pictures that are far from each other, turned or inverted too.
fn picture(number: u8) -> Signal {
    let mut bytes = [0; 32];
    TestRandom::new(u64::from(number)).fill(&mut bytes);
    Signal { quality: Some(100), ..Signal::new(Pdq(bytes)) }
}

/// A case that google acts on.
async fn confirmed(story: &Story, picture: Signal) -> Commitment {
    let [tiktok, twitch] = &story.others;
    let case = tiktok.node.raise(alert(vec![picture]), None).await.unwrap().commitment;
    while twitch.node.alert(&case).is_none() {
        tokio::task::yield_now().await;
    }
    let seen = Answer::Confirm { basis: Basis::OwnCopySeenByHuman };
    twitch.node.answer(&case, seen, None).await.unwrap();
    case
}

async fn refused(story: &Story, post: &str, picture: &Signal) {
    let post = || post.parse().unwrap();
    let signals = || vec![picture.clone()];
    while story.google.node.scan(post(), signals()).await.verdict != Verdict::Block {
        tokio::task::yield_now().await;
    }
}

/// Anchors all that was written so far.
async fn fixed(story: &Story) {
    let google = &story.google;
    google.node.kept_facts().flush().await;
    google.clock.advance_ms(every_ms());
    look(google).await;
    anchored(google, google.node.desk().size().await.unwrap()).await;
}

/// Two cases of which one upload each was refused in one group, and a second one of the first.
async fn refusals() -> (Story, [Commitment; 2]) {
    let story = story().await;
    let (one, other) = (picture(1), picture(200));
    let cases = [confirmed(&story, one.clone()).await, confirmed(&story, other.clone()).await];
    refused(&story, "warm:1", &one).await;
    refused(&story, "warm:2", &other).await;
    story.google.node.kept_facts().flush().await;
    for (post, picture) in [("post:8", &one), ("post:9", &other), ("post:10", &one)] {
        let scanned = story.google.node.scan(post.parse().unwrap(), vec![picture.clone()]).await;
        assert_eq!(scanned.verdict, Verdict::Block);
    }
    fixed(&story).await;
    (story, cases)
}

fn proven(story: &Story, bundle: &Bundle) -> Result<Proven, Wrong> {
    let bundle = Bundle::decode(&bundle.encode().unwrap()).unwrap();
    check(&bundle, &story.charter.clone().into())
}

/// The uploads that a proof shows, with what was to be done.
fn shown(proven: &Proven) -> Vec<(String, String)> {
    let rows = proven.lines.iter().flat_map(|line| &line.rows);
    rows.map(|row| (row.item.as_ref().unwrap().to_string(), row.then.join(" "))).collect()
}

#[tokio::test]
async fn a_refused_upload_is_proven_without_a_word_about_any_other() {
    let (story, [case, _]) = refusals().await;
    let bundle = story.google.node.prove(&case, None).await.unwrap();
    let found = proven(&story, &bundle).unwrap();
    let uploads = shown(&found);
    let last = &uploads[uploads.len() - 2..];
    assert_eq!([&last[0].0, &last[1].0], ["post:8", "post:10"]);
    assert!(uploads.iter().all(|(item, then)| item != "post:9" && then.contains("block_upload")));
    let group = found.lines.iter().rfind(|line| line.kind == "digest").unwrap();
    assert_eq!((&group.body["decisions"], group.rows.len()), (&3.into(), 2));
    assert!(group.anchor.is_some_and(|anchor| !anchor.late));
    // Nothing of the alerts, which are others', is in what is shown.
    let row = bundle.desk.lines.iter().find_map(|line| line.rows.first()).unwrap();
    let row: serde_json::Value = serde_json::from_slice(&row.row.0).unwrap();
    let fields: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["at_ms", "case", "item", "policy_version", "salt", "then"]);
}

/// The line of the last group.
fn group(bundle: &mut Bundle) -> &mut watchfire_node::proof::bundle::LinePart {
    bundle.desk.lines.iter_mut().rfind(|line| !line.rows.is_empty()).unwrap()
}

#[tokio::test]
async fn whatever_is_changed_in_what_is_shown_of_a_group_is_found() {
    let (story, [case, other]) = refusals().await;
    let bundle = story.google.node.prove(&case, None).await.unwrap();
    let wrong = |change: &dyn Fn(&mut Bundle)| {
        let mut changed = bundle.clone();
        change(&mut changed);
        proven(&story, &changed).unwrap_err()
    };
    let row = |wrong: Wrong| matches!(wrong, Wrong::Row(..));
    assert!(row(wrong(&|b| flip(&mut group(b).rows[0].row.0))));
    assert!(row(wrong(&|b| flip(&mut group(b).rows[0].inclusion[0].0.0))));
    assert!(row(wrong(&|b| group(b).rows[0].index += 1)));
    assert!(row(wrong(&|b| group(b).rows.swap(0, 1))));
    assert!(row(wrong(&|b| {
        let text = String::from_utf8(group(b).rows[0].row.0.clone()).unwrap();
        group(b).rows[0].row = Octets(text.replace("post:8", "post:7").into_bytes());
    })));
    let unrelated = |wrong: Wrong| matches!(wrong, Wrong::LineUnrelated(_));
    assert!(unrelated(wrong(&|b| group(b).rows.clear())));
    let mut of_other = story.google.node.prove(&other, None).await.unwrap();
    let theirs = group(&mut of_other).clone();
    assert!(unrelated(wrong(&|b| *group(b) = theirs.clone())));
}

#[tokio::test]
async fn a_proof_of_one_item_shows_that_one_and_counts_the_others() {
    let (story, [case, _]) = refusals().await;
    let all = story.google.node.prove(&case, None).await.unwrap();
    assert_eq!(all.desk.left_out, 0);
    let item = "post:10".parse().unwrap();
    let bundle = story.google.node.prove_item(&case, None, Some(&item)).await.unwrap();
    let found = proven(&story, &bundle).unwrap();
    assert_eq!(shown(&found).into_iter().map(|(item, _)| item).collect::<Vec<_>>(), ["post:10"]);
    assert_eq!(found.lines.len(), 1);
    // Of copies that were held, by their orders.
    let item = "post:1".parse().unwrap();
    let bundle = story.google.node.prove_item(&story.case, None, Some(&item)).await.unwrap();
    let found = proven(&story, &bundle).unwrap();
    let outcomes = found.lines.iter().filter(|line| line.kind == "outcome");
    assert!(outcomes.clone().all(|line| line.body["item"] == "post:1"));
    assert_eq!((outcomes.count(), found.left_out), (2, 2), "removed and restored");
}

#[derive(serde::Serialize)]
struct Ruled {
    case: String,
    items: Vec<String>,
}

impl Deed for Ruled {
    const KIND: DeskKind = DeskKind::Decision;
}

#[tokio::test]
async fn what_does_not_fit_is_counted_and_any_item_of_it_can_be_asked_for() {
    let story = story().await;
    let (desk, case) = (story.google.node.desk(), story.case.to_string());
    let ruled = async |number: usize| {
        let deed = Ruled { case: case.clone(), items: vec![format!("many:{number}")] };
        desk.write(Line::new(&Actor::Node, &deed).unwrap()).await.unwrap();
    };
    // The first ones stand before all others.
    for number in 0..3 {
        ruled(number).await;
    }
    join_all((3..MAX_LINES + 2).map(ruled)).await;
    let bundle = story.google.node.prove(&story.case, None).await.unwrap();
    // Two too many, and the four orders of the story, which came first.
    assert_eq!((bundle.desk.lines.len(), bundle.desk.left_out), (MAX_LINES, 6));
    let text = |record: &[u8]| String::from_utf8_lossy(record).into_owned();
    let shows = |bundle: &Bundle, item: &str| {
        bundle.desk.lines.iter().any(|line| text(&line.record.0).contains(&format!("\"{item}\"")))
    };
    assert!(!shows(&bundle, "many:0") && !shows(&bundle, "many:1") && shows(&bundle, "many:2"));
    let item = "many:0".parse().unwrap();
    let bundle = story.google.node.prove_item(&story.case, None, Some(&item)).await.unwrap();
    let found = check(&bundle, &story.charter.clone().into()).unwrap();
    assert_eq!((found.lines.len(), found.left_out), (1, MAX_LINES as u64 + 5));
    assert!(shows(&bundle, "many:0"));
}
