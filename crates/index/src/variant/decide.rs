//! Says how sure a match is: two pictures are the same, or share what is written over them.

use super::{Agreement, MIN_INLIERS, VariantDecision, VariantMatch};

/// The least features and blocks together that agree in a sure match: each is evidence of its own, and
/// the least of either is eight.
const SURE_EVIDENCE: usize = 24;

/// Features that fit, beyond those that a line or two of writing has; where there are fewer, nine of ten
/// blocks have to agree.
const MANY_INLIERS: usize = 40;

/// How much stronger a match has to be to explain a place of the query alone.
const STRONGER: f32 = 1.5;

/// Standard deviations of agreeing blocks at which a match needs no other word: a picture that lies in
/// another one stands at a place that is explained already.
const BEYOND_DOUBT: u32 = 5;

/// How sure it is that a reference is shown, from the features that fit, which look like no other place
/// of it, and the blocks that agree. Features that repeat do not count: a watermark that is written all
/// over two pictures agrees everywhere, in its own letters.
pub(super) fn decide(own: usize, agreement: &Agreement) -> VariantDecision {
    let many = own >= MANY_INLIERS || (own >= MIN_INLIERS && agreement.is_nearly_all());
    let enough = own + agreement.agreed as usize >= SURE_EVIDENCE;
    if agreement.is_sure() && many && enough {
        VariantDecision::Match
    } else {
        VariantDecision::Review
    }
}

/// Leaves to review what fits worse where a place of the query is explained by a sure match: there is
/// one picture at a place, and what else fits shares a caption or a sticker with it. Copies of one
/// picture fit about as well as each other and stay.
pub(super) fn explain_away(found: &mut [VariantMatch]) {
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    for place in 1..found.len() {
        let (stronger, rest) = found.split_at_mut(place);
        let one = &mut rest[0];
        let explained = stronger.iter().any(|other| {
            !one.agreement.is_beyond(BEYOND_DOUBT)
                && other.decision == VariantDecision::Match
                && other.score >= STRONGER * one.score
                && overlap(&other.query_region, &one.query_region)
        });
        if explained {
            one.decision = VariantDecision::Review;
        }
    }
}

/// Whether the boxes around two regions share at least half of the smaller one.
fn overlap(a: &[(f32, f32); 4], b: &[(f32, f32); 4]) -> bool {
    let bounds = |region: &[(f32, f32); 4]| {
        let start = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        region.iter().fold(start, |[left, top, right, bottom], (x, y)| {
            [left.min(*x), top.min(*y), right.max(*x), bottom.max(*y)]
        })
    };
    let area =
        |[left, top, right, bottom]: [f32; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let (a, b) = (bounds(a), bounds(b));
    let both = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    area(both) * 2.0 >= area(a).min(area(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(left: f32, top: f32, side: f32) -> [(f32, f32); 4] {
        let (right, bottom) = (left + side, top + side);
        [(left, top), (right, top), (right, bottom), (left, bottom)]
    }

    #[test]
    fn boxes_overlap_from_half_of_the_smaller_on() {
        assert!(overlap(&square(0.0, 0.0, 10.0), &square(2.0, 2.0, 3.0)));
        assert!(overlap(&square(0.0, 0.0, 10.0), &square(4.0, 0.0, 10.0)));
        assert!(!overlap(&square(0.0, 0.0, 10.0), &square(6.0, 0.0, 10.0)));
        assert!(!overlap(&square(0.0, 0.0, 10.0), &square(20.0, 0.0, 10.0)));
    }

    #[test]
    fn of_a_small_part_every_block_has_to_agree() {
        let seen = Agreement { compared: 24, covered: 300, signs: 300, ..Agreement::default() };
        let of = |agreed, all| Agreement { agreed, all, ..seen };
        assert_eq!(decide(40, &of(20, 36)), VariantDecision::Match);
        assert_eq!(decide(40, &of(20, 37)), VariantDecision::Review);
        assert_eq!(decide(40, &of(23, 60)), VariantDecision::Review);
        assert_eq!(decide(40, &of(24, 60)), VariantDecision::Match);
    }

    #[test]
    fn of_a_small_part_what_is_plain_in_one_picture_is_plain_in_the_other() {
        let part =
            Agreement { compared: 18, agreed: 18, all: 44, flat: 140, ..Agreement::default() };
        let of = |bent| decide(38, &Agreement { bent, covered: 200, signs: 200, ..part });
        assert_eq!(of(23), VariantDecision::Match);
        assert_eq!(of(24), VariantDecision::Review);
    }

    #[test]
    fn places_that_repeat_are_no_evidence() {
        let all = Agreement { compared: 52, agreed: 52, all: 52, ..Agreement::default() };
        let all = Agreement { covered: 500, signs: 500, ..all };
        assert_eq!(decide(MIN_INLIERS, &all), VariantDecision::Match);
        assert_eq!(decide(MIN_INLIERS - 1, &all), VariantDecision::Review);
    }

    #[test]
    fn few_blocks_are_never_sure() {
        let seen = Agreement { all: 60, covered: 500, signs: 500, ..Agreement::default() };
        let of = |agreed, compared| Agreement { compared, agreed, ..seen };
        assert_eq!(decide(60, &of(8, 8)), VariantDecision::Review);
        assert_eq!(decide(20, &of(9, 9)), VariantDecision::Match);
        assert_eq!(decide(9, &of(9, 9)), VariantDecision::Review);
        assert_eq!(decide(12, &of(42, 52)), VariantDecision::Review);
        assert_eq!(decide(12, &of(48, 52)), VariantDecision::Match);
        assert_eq!(decide(60, &of(30, 60)), VariantDecision::Review);
        assert_eq!(decide(60, &of(42, 60)), VariantDecision::Match);
        assert_eq!(decide(60, &Agreement { signs: 200, ..of(60, 60) }), VariantDecision::Review);
        assert_eq!(decide(60, &Agreement { all: 23, ..of(23, 23) }), VariantDecision::Review);
        assert_eq!(decide(39, &of(49, 60)), VariantDecision::Review);
        assert_eq!(decide(40, &of(49, 60)), VariantDecision::Match);
    }
}
