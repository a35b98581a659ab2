//! How two signals match that are both at hand.

use std::collections::BTreeSet;

use watchfire_index::align;
use watchfire_signal::{
    features::Area,
    pdq::{AnyWay, Sorted, Turn},
    text_print::TextPrint,
    value::{Kind, Signal, Span, Value},
    vpdq::Frame,
};

use super::{
    Aligned, Edit, Hit, Method, farthest, harmful_frames, matchable, mirrored, video_rule,
};

/// How a signal that `owner` holds matches a query by the query's rule, as an index of the held one
/// would find it; `None`: not at all.
#[must_use]
pub fn compare<K: Copy>(
    owner: K,
    query: &Signal,
    held: &Signal,
    least_matched_ms: u32,
) -> Option<Hit<K>> {
    let kind = query.kind();
    let also = BTreeSet::new;
    let still = |method, distance| Hit {
        owner,
        kind,
        method,
        distance,
        aligned: None,
        edit: None,
        sure: true,
        thin: false,
        also: also(),
    };
    match (matchable(query)?, matchable(held)?) {
        (Value::Sha256(query), Value::Sha256(held)) if query == held => {
            Some(still(Method::Exact, None))
        }
        (Value::Md5(query), Value::Md5(held)) if query == held => Some(still(Method::Exact, None)),
        (Value::Pdq(of), Value::Pdq(held)) => {
            let most = farthest(kind, query.rule);
            let distance = of.distance(held);
            if distance <= most {
                return Some(still(Method::Near, Some(distance)));
            }
            // Most are in no way near: all ways at once first.
            let distance = AnyWay::of(of).within(&Sorted::of(held), most)?;
            let mut ways = of.turned().into_iter().zip(&Turn::ALL);
            let (_, turn) = ways.find(|(turned, _)| turned.distance(held) == distance)?;
            let edit = Some(Edit::whole(&Area::WHOLE, Some(turn)));
            Some(Hit { edit, ..still(Method::Turned, Some(distance)) })
        }
        (Value::Text(TextPrint::Short(of)), Value::Text(TextPrint::Short(held))) if of == held => {
            Some(still(Method::Exact, None))
        }
        (Value::Text(TextPrint::Long(of)), Value::Text(TextPrint::Long(held))) => {
            let distance = of.distance_in(held)?;
            let sure = of.is_sure_in(held, distance);
            let hit = || Hit { sure, ..still(Method::Near, Some(distance)) };
            (distance <= farthest(kind, query.rule)).then(hit)
        }
        (Value::Url(of), Value::Url(held)) if of.covers(held) => Some(still(Method::Exact, None)),
        (Value::Vpdq(of), Value::Vpdq(held)) => {
            let frames = harmful_frames(of, query.span);
            let rule = video_rule(query.rule, least_matched_ms);
            let like = |frames: &[Frame]| align(frames, &held.frames, &rule);
            let turned = || Some(aligned(owner, &like(&mirrored(&frames))?).mirrored());
            like(&frames).map(|found| aligned(owner, &found)).or_else(turned)
        }
        _ => None,
    }
}

/// Two videos that line up as they are.
pub(super) fn aligned<K>(owner: K, found: &watchfire_index::Aligned) -> Hit<K> {
    let span = |(start_ms, end_ms): (u32, u32)| Span { start_ms, end_ms };
    Hit {
        owner,
        kind: Kind::Vpdq,
        method: Method::Aligned,
        distance: Some(found.mean_distance.round() as u32),
        aligned: Some(Aligned {
            query: span(found.query_span_ms),
            reference: span(found.reference_span_ms),
            speed: found.speed,
            frames: found.frames,
        }),
        edit: None,
        sure: found.is_at_usual_speed(),
        thin: false,
        also: BTreeSet::new(),
    }
}
