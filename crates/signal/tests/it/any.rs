//! Draws every kind of statement with a header that goes with it, and charters.

use proptest::{collection::vec, option, prelude::*, sample::select};
use watchfire_signal::{
    alert::{Alert, ContentKind, Exception, Family, Suggestion},
    charter::{Charter, Group, Member, Quorums, Quotas, Role},
    commitment::Commitment,
    digest::{Md5Digest, Sha256Digest},
    features::{
        Cells, Descriptor, Feature, FeaturesPrint, LEVELS, MAX_SIDE, MIN_SIDE, Sign, UNITS,
    },
    header::{CharterRef, Header, Provenance, Review, Target},
    incident::{Incident, IncidentStep},
    label::{Class, Label, definitions},
    link::{LinkPrint, LinkScope},
    name::{CoalitionName, GroupName, LogName, MemberName},
    pdq::Pdq,
    reason::Reason,
    sound_print::{MIN_ITEMS, SoundPrint},
    statement::{
        AppealResult, AppealStage, Basis, Done, Head, KeyStep, MemberStep, Resolution, Statement,
    },
    text_print::TextPrint,
    tlp::Tlp,
    value::{Kind, MatchRule, Signal, Span, Value, ValueOrBlob},
    verb::{Need, Verb},
    vpdq::{Frame, Vpdq},
};

pub(crate) fn commitment() -> impl Strategy<Value = Commitment> {
    any::<[u8; 32]>().prop_map(Commitment)
}

fn member_name() -> impl Strategy<Value = MemberName> {
    "[a-z][a-z0-9-]{0,31}".prop_map(|text| text.parse().unwrap())
}

fn log() -> impl Strategy<Value = LogName> {
    (member_name(), 1_u32..).prop_map(|(member, epoch)| LogName::new(coalition(), member, epoch))
}

fn coalition() -> CoalitionName {
    "demo".parse().unwrap()
}

/// A text as people write it, with letters that have a decomposed form too.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zé ñ字.\n]{1,60}"
}

fn head() -> impl Strategy<Value = Head> {
    (any::<u64>(), any::<[u8; 32]>()).prop_map(|(size, root)| Head { size, root })
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    select(all)
}

pub(crate) fn vpdq() -> impl Strategy<Value = Vpdq> {
    vec((1_u32..90, 0_u32..5_000, 0_u8..=100, any::<[u8; 32]>()), 1..12).prop_map(|steps| {
        let (mut number, mut at_ms) = (0, 0);
        let frames = steps.into_iter().map(|(frames, ms, quality, pdq)| {
            number += frames;
            at_ms += ms;
            Frame { number, quality, pdq: Pdq(pdq), at_ms }
        });
        Vpdq { frames: frames.collect() }
    })
}

pub(crate) fn text_print() -> impl Strategy<Value = TextPrint> {
    prop_oneof![
        1 => "[a-z]{8,40}",
        4 => "[a-zäбあ]{80,400}",
    ]
    .prop_filter_map("too short", |text| TextPrint::of(&text).ok()?.pop())
}

pub(crate) fn link_print() -> impl Strategy<Value = LinkPrint> {
    let link = "https?://([a-z]{1,9}[.]){1,4}[a-z]{2,6}(/[a-z%0-9]{1,9}){0,30}";
    (link, one_of(LinkScope::ALL), any::<bool>()).prop_filter_map(
        "refused",
        |(link, scope, met)| {
            if met { LinkPrint::met(&link) } else { LinkPrint::named(&link, scope) }.ok()
        },
    )
}

pub(crate) fn sound_print() -> impl Strategy<Value = SoundPrint> {
    (50_u8..=200, vec(any::<u32>(), MIN_ITEMS..MIN_ITEMS + 40))
        .prop_map(|(rate, items)| SoundPrint::new(rate, items).unwrap())
}

pub(crate) fn features_print() -> impl Strategy<Value = FeaturesPrint> {
    let sides = (MIN_SIDE..=MAX_SIDE, MIN_SIDE..=MAX_SIDE);
    sides
        .prop_flat_map(|(width, height)| {
            let place = (0..width * UNITS, 0..height * UNITS);
            let feature = (place, 0..LEVELS, any::<u8>(), any::<[u8; 32]>());
            let sign = one_of(&[Sign::Flat, Sign::Brighter, Sign::Darker]);
            let signs = vec(sign, Cells::of(width, height).signs());
            (Just((width, height)), vec(feature, 20..60), signs)
        })
        .prop_filter_map("a feature twice", |(size, features, signs)| {
            let feature = |((x, y), level, angle, bits)| {
                let descriptor = Descriptor(bits);
                Feature { descriptor, x, y, level, angle }
            };
            FeaturesPrint::new(size, features.into_iter().map(feature).collect(), signs).ok()
        })
}

fn value() -> impl Strategy<Value = ValueOrBlob> {
    let value = prop_oneof![
        any::<[u8; 32]>().prop_map(|bytes| Value::Sha256(Sha256Digest(bytes))),
        any::<[u8; 16]>().prop_map(|bytes| Value::Md5(Md5Digest(bytes))),
        any::<[u8; 32]>().prop_map(|bytes| Value::Pdq(Pdq(bytes))),
        vpdq().prop_map(Value::Vpdq),
        features_print().prop_map(Value::Features),
        text_print().prop_map(Value::Text),
        link_print().prop_map(Value::Url),
        sound_print().prop_map(Value::Audio),
    ];
    let blob = (one_of(Kind::ALL), any::<[u8; 32]>(), 1_u64..);
    prop_oneof![
        4 => value.prop_map(ValueOrBlob::Value),
        1 => blob.prop_map(|(kind, sha256, size)| ValueOrBlob::Blob {
            kind,
            sha256: Sha256Digest(sha256),
            size,
        }),
    ]
}

fn signal() -> impl Strategy<Value = Signal> {
    let span = (0_u32..1_000_000, 1_u32..1_000_000)
        .prop_map(|(start_ms, length)| Span { start_ms, end_ms: start_ms + length });
    let rule = (any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
        |(max_distance, min_matched_ms, max_gap_ms)| MatchRule {
            max_distance,
            min_matched_ms,
            max_gap_ms,
        },
    );
    (value(), option::of(0_u8..=100), option::of(span), option::of(rule))
        .prop_map(|(value, quality, span, rule)| Signal { value, quality, span, rule })
}

/// An alert without authority, with the family of a variant if asked.
fn alert(variant: bool) -> impl Strategy<Value = Alert> {
    let family = (commitment(), text()).prop_map(|(root, transform)| Family { root, transform });
    let family = if variant { family.prop_map(Some).boxed() } else { option::of(family).boxed() };
    let labels = select(definitions()).prop_map(|definition| {
        let label: Label = definition.code.parse().unwrap();
        let same = definitions().iter().map(|known| known.code.parse::<Label>().unwrap());
        same.filter(|other| other.class() == label.class()).collect::<Vec<_>>()
    });
    let exceptions = vec(one_of(Exception::ALL), 0..5).prop_map(|mut exceptions| {
        exceptions.sort_by_key(|exception| exception.code());
        exceptions.dedup();
        exceptions
    });
    let first = (one_of(ContentKind::ALL), vec(signal(), 1..5), labels, any::<u32>(), 0_u8..=100);
    let second = (one_of(Suggestion::ALL), exceptions, any::<u64>(), family);
    let tlp = option::of(one_of(Tlp::ALL));
    (first, second, option::of(commitment()), any::<bool>(), tlp).prop_map(
        |(first, second, incident, evidence_hold, tlp)| {
            let (kind, signals, labels, taxonomy, confidence) = first;
            let (suggestion, exceptions, valid_until, family) = second;
            Alert {
                kind,
                signals,
                labels,
                taxonomy,
                confidence,
                suggestion,
                exceptions,
                valid_until,
                family,
                incident,
                evidence_hold,
                authority: None,
                tlp,
            }
        },
    )
}

fn incident() -> impl Strategy<Value = Incident> {
    let texts = (text(), text(), option::of(text()));
    let lists = (vec(text(), 0..4), vec(commitment(), 0..4));
    (one_of(IncidentStep::ALL), 1_u8..=3, texts, lists).prop_map(
        |(step, level, (title, criteria, note), (regions, cases))| Incident {
            step,
            level,
            title,
            criteria,
            regions,
            cases,
            note,
        },
    )
}

fn opinion() -> impl Strategy<Value = Statement> {
    let note = || option::of(text());
    prop_oneof![
        any::<u64>().prop_map(|valid_until| Statement::Renew { valid_until }),
        (commitment(), one_of(Basis::ALL))
            .prop_map(|(commitment, basis)| Statement::Confirm { commitment, basis }),
        (commitment(), note())
            .prop_map(|(commitment, note)| Statement::Dispute { commitment, note }),
        (one_of(Resolution::ALL), note())
            .prop_map(|(outcome, note)| Statement::Resolve { outcome, note }),
        (any::<bool>(), note()).prop_map(|(restore, note)| Statement::Retract { restore, note }),
        commitment().prop_map(|other| Statement::Join { other }),
        (0_u8..=64, any::<u64>())
            .prop_map(|(bucket, window_ms)| Statement::Sighting { bucket, window_ms }),
        (one_of(Done::ALL), 0_u8..=64)
            .prop_map(|(what, bucket)| Statement::Outcome { what, bucket }),
        option::of(one_of(AppealResult::ALL)).prop_map(|result| Statement::Appeal {
            stage: if result.is_some() { AppealStage::Result } else { AppealStage::Opened },
            result,
        }),
    ]
}

fn membership() -> impl Strategy<Value = Statement> {
    prop_oneof![
        (one_of(&[MemberStep::Propose, MemberStep::Approve]), member_name())
            .prop_map(|(step, member)| Statement::Member { step, member, last: None }),
        (member_name(), head()).prop_map(|(member, last)| Statement::Member {
            step: MemberStep::Suspend,
            member,
            last: Some(last),
        }),
        (one_of(KeyStep::ALL), any::<[u8; 32]>(), head())
            .prop_map(|(step, key, last)| Statement::Key { step, key, last }),
        option::of(member_name()).prop_map(|member| Statement::Halt { member }),
        Just(Statement::Erase),
        any::<[u8; 32]>().prop_map(|hash| Statement::Charter { hash }),
        head().prop_map(Statement::Desk),
    ]
}

/// A statement of any verb.
pub(crate) fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        3 => alert(false).prop_map(Statement::Assert),
        1 => alert(false).prop_map(Statement::Amend),
        1 => alert(true).prop_map(Statement::Variant),
        9 => opinion(),
        1 => incident().prop_map(Statement::Incident),
        6 => membership(),
    ]
}

fn needs_target(statement: &Statement) -> bool {
    match statement {
        Statement::Incident(incident) => !incident.step.is_first(),
        Statement::Halt { member } => member.is_none(),
        _ => statement.verb().target() == Need::Required,
    }
}

fn class_of(statement: &Statement) -> Class {
    statement.alert().map_or(Class::None, Alert::class)
}

fn keep<T>(need: Need, optional: Option<T>, required: T) -> Option<T> {
    match need {
        Need::Required => Some(required),
        Need::Optional => optional,
        Need::Absent => None,
    }
}

/// A lease of a day or more that covers a statement.
fn covering(statement: &Statement, day: u32) -> Option<u32> {
    let valid_until = match statement {
        Statement::Renew { valid_until } => *valid_until,
        _ => statement.alert().map_or(0, |alert| alert.valid_until),
    };
    Some(day.max(u32::try_from(valid_until / 86_400_000).ok()?))
}

/// A statement with a header that goes with it.
pub(crate) fn pair() -> impl Strategy<Value = (Header, Statement)> {
    let names = (log(), log(), 1_u64.., any::<[u8; 32]>(), any::<u64>());
    let codes = (one_of(Provenance::ALL), one_of(Reason::ALL), option::of(one_of(Reason::ALL)));
    let rest = (
        option::of(0_u8..=4),
        option::of(any::<u32>()),
        any::<bool>(),
        option::of(one_of(Review::ALL)),
        text(),
    );
    (statement(), names, codes, rest).prop_map(|(mut statement, names, codes, rest)| {
        let (author_log, target_log, seq, hash, index) = names;
        let (provenance, reason, optional_reason) = codes;
        let (severity, lease_day, test, review, authority) = rest;
        let class = class_of(&statement);
        let target = needs_target(&statement).then_some(Target { log: target_log, index });
        if provenance == Provenance::GovernmentRequest
            && let Statement::Assert(alert) | Statement::Amend(alert) | Statement::Variant(alert) =
                &mut statement
        {
            alert.authority = Some(authority);
        }
        let verb: Verb = statement.verb();
        let header = Header {
            v: 1,
            coalition: coalition(),
            author_log,
            charter: CharterRef { seq, hash },
            verb,
            class,
            group: GroupName::all(),
            provenance,
            reason: keep(verb.reason(), optional_reason, reason),
            severity,
            target,
            lease_day: lease_day.and_then(|day| covering(&statement, day)),
            test,
            review,
            minute: lease_day,
            size: 1,
        };
        (header, statement)
    })
}

/// A valid charter.
pub(crate) fn charter() -> impl Strategy<Value = Charter> {
    let address = option::of("https://[a-z]{1,12}\\.example");
    let member = (0_u8..6, one_of(Role::ALL), 1_u32.., address);
    let members = vec(member, 1..12);
    let numbers = (1_u64.., any::<[u8; 32]>(), 1_u32..9, 1_u32..9, any::<u64>(), any::<u32>());
    (members, numbers, vec(any::<bool>(), 12), 0_usize..4).prop_map(
        |(members, (seq, previous, confirm, halt, quota, least), picked, labels)| {
            let members: Vec<Member> = (0_u8..)
                .zip(members)
                .map(|(place, (organisation, role, epoch, address))| Member {
                    name: format!("member-{place:02}").parse().unwrap(),
                    organisation: format!("organisation-{organisation}").parse().unwrap(),
                    role,
                    key: [place; 32],
                    epoch,
                    address,
                })
                .collect();
            let in_group = members.iter().zip(&picked).filter(|(_, picked)| **picked);
            let groups = vec![Group {
                name: "europe".parse().unwrap(),
                members: in_group.map(|(member, _)| member.name.clone()).collect(),
            }];
            let mut charter = Charter {
                coalition: coalition(),
                seq,
                previous: if seq == 1 { [0; 32] } else { previous },
                taxonomy: 1,
                record_version: 1,
                least_min_matched_ms: least,
                severity4_labels: definitions()[..labels]
                    .iter()
                    .map(|definition| definition.code.parse().unwrap())
                    .collect(),
                quorums: Quorums { confirm, dispute: confirm, charter: 0, halt },
                quotas: Quotas {
                    records_a_day: quota,
                    severity4_acts_a_day: 20,
                    retractions_an_hour: 20,
                    disputes_a_day: quota / 2,
                    bytes_a_day: quota,
                    live_alerts: quota / 3,
                },
                members,
                groups,
                without_features: seq % 2 == 0,
                closed: Vec::new(),
            };
            charter.sort();
            charter.quorums.charter = u32::try_from(charter.organisations()).unwrap() / 2 + 1;
            charter
        },
    )
}
