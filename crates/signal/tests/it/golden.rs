//! The examples of `docs/format.md`, section 13: bytes that every implementation must produce.

use watchfire_signal::{
    alert::{Alert, ContentKind, Exception, Suggestion},
    charter::{Charter, Member, Quorums, Quotas, Role, approval_message},
    commitment::Commitment,
    effect::effect_name,
    header::{CharterRef, Header, Provenance, Review, Target},
    hex,
    label::Class,
    link::{LinkPrint, LinkScope},
    name::GroupName,
    reason::Reason,
    record::{Leaf, open, seal},
    statement::{Basis, Statement},
    text_print::TextPrint,
    value::{Kind, MatchRule, Signal, Span, Value, ValueOrBlob},
    verb::Verb,
    vpdq::Vpdq,
};

const FORMAT: &str = include_str!("../../../../docs/format.md");

/// 00 01 … 0f.
fn salt() -> [u8; 16] {
    std::array::from_fn(|place| u8::try_from(place).unwrap())
}

fn header(verb: Verb, author: &str) -> Header {
    Header {
        v: 1,
        coalition: "demo".parse().unwrap(),
        author_log: format!("watchfire/demo/{author}/1").parse().unwrap(),
        charter: CharterRef { seq: 1, hash: charter().hash() },
        verb,
        class: Class::SelfHarm,
        group: GroupName::all(),
        provenance: Provenance::None,
        reason: None,
        severity: None,
        target: None,
        lease_day: None,
        test: false,
        review: None,
        minute: None,
        size: 1,
    }
}

fn target() -> Option<Target> {
    Some(Target { log: "watchfire/demo/tiktok/1".parse().unwrap(), index: 0 })
}

pub(crate) fn charter() -> Charter {
    let member = |name: &str, organisation: &str, key: u8, address: Option<&str>| Member {
        name: name.parse().unwrap(),
        organisation: organisation.parse().unwrap(),
        role: Role::Platform,
        key: [key; 32],
        epoch: 1,
        address: address.map(str::to_owned),
    };
    Charter {
        coalition: "demo".parse().unwrap(),
        seq: 1,
        previous: [0; 32],
        taxonomy: 1,
        record_version: 1,
        least_min_matched_ms: 1_000,
        severity4_labels: vec!["self_harm.suicide_depiction".parse().unwrap()],
        quorums: Quorums { confirm: 2, dispute: 2, charter: 2, halt: 2 },
        quotas: Quotas {
            records_a_day: 100_000,
            severity4_acts_a_day: 20,
            retractions_an_hour: 20,
            disputes_a_day: 1_000,
            bytes_a_day: 2_147_483_648,
            live_alerts: 1_000_000,
        },
        members: vec![
            member("reddit", "reddit", 0x11, None),
            member("tiktok", "bytedance", 0x22, Some("https://tiktok.example")),
            member("twitch", "amazon", 0x33, Some("https://twitch.example")),
        ],
        groups: vec![],
        without_features: false,
        closed: Vec::new(),
    }
}

/// A video of which two seconds are harmful.
pub(crate) fn assert() -> (Header, Statement) {
    let frames = "30,100,e271017837246aaccddea259648fb7d62f435c89d9e99b2497763e216c8d055c,1.000\n\
                  60,98,c0f11178372c6aaccddea259648fbfd62f434c89c9e99b249772be216c8d055c,2.000\n";
    let alert = Alert {
        kind: ContentKind::Video,
        signals: vec![
            Signal {
                value: ValueOrBlob::Value(Value::Vpdq(Vpdq::from_lines(frames).unwrap())),
                quality: None,
                span: Some(Span { start_ms: 1_000, end_ms: 3_000 }),
                rule: Some(MatchRule { max_distance: 31, min_matched_ms: 1_500, max_gap_ms: 600 }),
            },
            Signal::new(Value::Md5("d41d8cd98f00b204e9800998ecf8427e".parse().unwrap())),
        ],
        labels: vec!["self_harm.suicide_depiction".parse().unwrap()],
        taxonomy: 1,
        confidence: 90,
        suggestion: Suggestion::Remove,
        exceptions: vec![Exception::News],
        valid_until: 1_790_000_000_000,
        family: None,
        incident: None,
        evidence_hold: true,
        authority: None,
        tlp: None,
    };
    let header = Header {
        provenance: Provenance::OwnDetection,
        severity: Some(4),
        review: Some(Review::OneHuman),
        lease_day: Some(20_717),
        ..header(Verb::Assert, "tiktok")
    };
    (header, Statement::Assert(alert))
}

fn subject() -> Commitment {
    let (header, statement) = assert();
    seal(&header, &statement, salt()).unwrap().commitment
}

pub(crate) fn confirm() -> (Header, Statement) {
    let header = Header { target: target(), ..header(Verb::Confirm, "twitch") };
    (header, Statement::Confirm { commitment: subject(), basis: Basis::OwnCopySeenByHuman })
}

pub(crate) fn retract() -> (Header, Statement) {
    let header = Header {
        target: target(),
        reason: Some(Reason::WrongMatch),
        ..header(Verb::Retract, "tiktok")
    };
    (header, Statement::Retract { restore: true, note: Some("Une erreur, désolé.".into()) })
}

/// The examples as they stand in the format, a name and bytes in hexadecimal each.
fn examples() -> Vec<(String, String)> {
    let charter = charter();
    let hash = charter.hash();
    let mut examples = vec![
        ("charter".to_owned(), hex::encode(&charter.encode())),
        ("charter hash".to_owned(), hex::encode(&hash)),
        ("charter approval message".to_owned(), hex::encode(&approval_message(&hash))),
    ];
    for (header, statement) in [assert(), confirm(), retract()] {
        let sealed = seal(&header, &statement, salt()).unwrap();
        let leaf = Leaf::decode(&sealed.leaf).unwrap();
        assert_eq!(open(&leaf, &sealed.record).unwrap(), statement);
        let verb = header.verb;
        examples.push((format!("{verb} leaf"), hex::encode(&sealed.leaf)));
        examples.push((format!("{verb} record"), hex::encode(&sealed.record)));
        examples.push((format!("{verb} commitment"), sealed.commitment.to_string()));
    }
    let effect = effect_name(&"tiktok:123".parse().unwrap(), "remove", &subject(), 0);
    examples.push(("effect".to_owned(), effect.to_string()));
    examples.extend(fingerprints());
    examples
}

fn fingerprints() -> [(String, String); 4] {
    let text = |text: &str| TextPrint::of(text).unwrap().remove(0).to_bytes();
    let long = "We will hunt down every last one of these people and burn their houses at night.";
    let link = "https://www.example.com/a/b?utm_source=x&id=7#c";
    [
        ("short text", text("Kill them all, n\u{3bf}w!")),
        ("long text", text(long)),
        ("host", LinkPrint::named(link, LinkScope::Host).unwrap().to_bytes()),
        ("link", LinkPrint::met(link).unwrap().to_bytes()),
    ]
    .map(|(name, bytes)| (name.to_owned(), hex::encode(&bytes)))
}

/// The examples as text: the name, then the hexadecimal, 100 digits a line.
fn written(examples: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, digits) in examples {
        text.push_str(name);
        for line in digits.as_bytes().chunks(100) {
            text.push_str("\n  ");
            text.push_str(std::str::from_utf8(line).unwrap());
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_examples_of_the_format_are_what_this_crate_writes() {
    let section = FORMAT.split("\n## 13. Examples\n").nth(1).expect("section 13 exists");
    let block = section.split("```").nth(1).expect("a block of examples").trim_start();
    let examples = written(&examples());
    assert!(block == examples, "the block should read:\n{examples}");
}

#[test]
fn what_was_committed_to_once_keeps_its_commitment() {
    // A change here breaks every log there is: it needs a new record version.
    assert_eq!(
        hex::encode(&charter().hash()),
        "4cf43d3b50f2799c9333e7a9ee514b49c12077111779a57ea0f7618eabb71d2b"
    );
    for ((header, statement), commitment) in [
        (assert(), "96935b140d6d576ea29c82ecd52889461a1a0bac8102cf5308c834be37f545ec"),
        (confirm(), "999d63dbbd30f3066df2914ac9d5e248b00ddebae423afeb5732d89f29f51530"),
        (retract(), "4aa45c288aa960d4d5de603cb23c291141fd5aea4629541edfbdfc21603c7181"),
    ] {
        assert_eq!(seal(&header, &statement, salt()).unwrap().commitment.to_string(), commitment);
    }
}

#[test]
fn an_effect_of_a_later_round_has_another_name() {
    let effect = effect_name(&"tiktok:123".parse().unwrap(), "remove", &subject(), 258);
    let computed_by_python = "f27b2c585e4f64c89520cee03929b89827d7edcbe5abcb505966c545547ca7df";
    assert_eq!(effect.to_string(), computed_by_python);
}

#[test]
fn the_examples_of_the_format_are_accepted() {
    let block = FORMAT.split("\n## 13. Examples\n").nth(1).unwrap().split("```").nth(1).unwrap();
    let mut found: Vec<(String, String)> = Vec::new();
    for line in block.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("  "), found.last_mut()) {
            (Some(digits), Some((_, all))) => all.push_str(digits),
            _ => found.push((line.to_owned(), String::new())),
        }
    }
    let bytes = |name: &str| -> Vec<u8> {
        let (_, digits) = found.iter().find(|(known, _)| known == name).unwrap();
        let pairs = digits.as_bytes().chunks(2);
        pairs.map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
    };
    assert_eq!(Charter::decode(&bytes("charter")).unwrap(), charter());
    for (kind, name) in [
        (Kind::Text, "short text"),
        (Kind::Text, "long text"),
        (Kind::Url, "host"),
        (Kind::Url, "link"),
    ] {
        assert_eq!(Value::from_bytes(kind, &bytes(name)).unwrap().to_bytes(), bytes(name));
    }
    for verb in ["assert", "confirm", "retract"] {
        let leaf = Leaf::decode(&bytes(&format!("{verb} leaf"))).unwrap();
        assert_eq!(leaf.commitment.0.as_slice(), bytes(&format!("{verb} commitment")));
        assert!(open(&leaf, &bytes(&format!("{verb} record"))).is_ok());
    }
}
