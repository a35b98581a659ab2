//! Says how sure a match is: two pictures are the same, or share what is written over them.

use watchfire_signal::pdq::MAX_DISTANCE;

use super::{
    Agreement, MIN_INLIERS, SecondLook, VariantDecision, VariantMatch,
    recheck::{SURE_DEVIATIONS, is_beyond_half},
};

/// The least features and blocks together that agree in a sure match: each is evidence of its own, and
/// the least of either is eight.
const SURE_EVIDENCE: usize = 24;

/// More blocks than a sticker lies in that is half as wide as the picture and half as high as itself: seven by
/// four. A picture with fewer blocks of contrast is not known from one sticker on something plain.
const BEYOND_A_STICKER: u32 = 29;

/// Blocks outside of a sticker in which features and luminance agree: one would be by chance in a case of a hundred.
const BESIDE_A_STICKER: u32 = 4;

/// Of so many blocks in which features agree, luminance may disagree in one: where only what is written over two
/// pictures agrees, the pictures between the letters do not.
const TORN_OF: u32 = 10;

/// Features that fit, beyond those that a line or two of writing has. With so many, blocks that agree beyond chance
/// are enough, if the second look finds nothing against them.
const MANY_INLIERS: usize = 40;

/// Bits in which the PDQ hash of a query that is laid over the reference may differ from the reference's own. Two
/// pictures with a share r of their coarse contrast in common differ in about arccos(r) / π of the bits; others in half,
/// give or take sixteen. At 48 of 256 that is five sixths, and with it two thirds of all that varies.
const LAID_ALIKE_BITS: u32 = 48;

/// Bits from which on it says that the pictures are not the same, whatever agrees in places: beyond a quarter, half of
/// what varies is not in common.
const LAID_UNLIKE_BITS: u32 = 64;

/// Bits in which the hash may differ that is taken without what is not the reference's. Up to a third of the picture is
/// filled, and what is smooth there is not what the reference has: more bits than of a whole picture are by chance.
const FILLED_ALIKE_BITS: u32 = 56;

/// Bits by which taking thin strokes out has to bring the hash nearer: then they were what was in the way. What is
/// thicker stays, and with it as many bits of a picture that has no more than that in common.
const STROKES_BITS: u32 = 8;

/// How much stronger a match has to be to explain a place of the query alone.
const STRONGER: f32 = 1.5;

/// Standard deviations of agreeing blocks at which a match needs no other word: a picture that lies in
/// another one stands at a place that is explained already.
const BEYOND_DOUBT: u32 = 5;

/// Whether the first look is sure that a reference is shown: nearly all blocks agree, and enough of the features
/// that fit look like no other place of it.
pub(super) fn is_sure(own: usize, agreement: &Agreement) -> bool {
    agreement.all >= BEYOND_A_STICKER && agrees(own, agreement) && agreement.is_nearly_all()
}

/// Whether so many blocks agree that it is no chance, and enough features.
fn agrees(own: usize, agreement: &Agreement) -> bool {
    let enough = own + agreement.agreed as usize >= SURE_EVIDENCE;
    agreement.is_sure() && own >= MIN_INLIERS && enough
}

/// Whether the second look is sure: of what the first look saw and was not sure of, or by itself.
pub(super) fn is_sure_again(own: usize, agreement: &Agreement, second: &SecondLook) -> bool {
    let is_no_sticker = agreement.all >= BEYOND_A_STICKER || second.beyond >= BESIDE_A_STICKER;
    let many = own >= MANY_INLIERS && second.agrees();
    let is_confirmed = is_no_sticker && (many || agreement.is_nearly_all());
    let seen = is_confirmed && agrees(own, agreement);
    seen || shows_the_picture(agreement, second)
        || shows_a_part(own, agreement, second)
        || lies_like_the_picture(own, agreement, second)
        || is_the_picture_but_for_gaps(own, agreement, second)
        || is_the_picture_below_strokes(own, agreement, second)
}

impl SecondLook {
    /// Whether luminance agrees where features do.
    fn is_whole(&self) -> bool {
        self.torn * TORN_OF <= self.both + self.torn
    }

    /// Whether nothing is against, but for one block of ten.
    fn is_unopposed(&self) -> bool {
        self.against * 10 <= self.held + self.against
    }

    /// Whether more blocks are held than half by three standard deviations, and luminance agrees where features do.
    fn agrees(&self) -> bool {
        self.is_whole() && is_beyond_half(self.held, self.held + self.against, SURE_DEVIATIONS)
    }
}

/// Four things are asked for, because what two pictures share may lie over much of both: more blocks agree than half
/// by three standard deviations, as in the first look, but without those whose features say no; where features agree,
/// luminance agrees too; in enough blocks both agree; and these are more than a sticker has. Where the reference has a
/// hash, the whole must not speak against it.
fn shows_the_picture(agreement: &Agreement, second: &SecondLook) -> bool {
    let SecondLook { both, beyond, laid, .. } = *second;
    agreement.is_telling()
        && second.agrees()
        && laid.is_none_or(|bits| bits <= LAID_UNLIKE_BITS)
        && both >= SURE_EVIDENCE as u32
        && is_more_than_a_sticker(agreement, both, beyond)
}

/// Whether the query shows half of the reference or more, cut to a rectangle, and ends there: within it nearly all blocks
/// are held, a third of them by features too; beyond it, no more are held than are not. What is put over two pictures is
/// smaller, or lies around what differs, or goes on over all of both.
fn shows_a_part(own: usize, agreement: &Agreement, second: &SecondLook) -> bool {
    let Some(part) = second.part else { return false };
    let (held, against) = (second.held - part.held, second.against - part.against);
    agreement.is_telling()
        && own >= MIN_INLIERS
        && second.is_whole()
        && part.held >= SURE_EVIDENCE as u32
        && part.both * 3 >= part.held
        && held <= against
}

/// Whether the whole of the query, laid over the reference, is nearly what the reference's PDQ hash was taken of. The
/// screen of an app and a sticker can be most of what there is to see, so most blocks have to be held too, features and
/// luminance to agree beside any one sticker, and no large rectangle to show something else.
fn lies_like_the_picture(own: usize, agreement: &Agreement, second: &SecondLook) -> bool {
    let SecondLook { beyond, held, against, laid, hole, .. } = *second;
    !hole
        && laid.is_some_and(|bits| bits <= LAID_ALIKE_BITS)
        && agreement.is_telling()
        && own >= MIN_INLIERS
        && beyond >= BESIDE_A_STICKER
        && held > against
}

/// Whether the query is what the reference's hash was taken of, without what is put over it and what is cut away.
/// Features and luminance have to agree beside any one sticker. A reference that is too plain for that is known where
/// nothing is against it, by the distance at which a copy that was not moved is known by its hash alone.
fn is_the_picture_but_for_gaps(own: usize, agreement: &Agreement, second: &SecondLook) -> bool {
    let Some(bits) = second.filled else { return false };
    let beside = second.beyond >= BESIDE_A_STICKER && bits <= FILLED_ALIKE_BITS;
    let plain = second.is_unopposed() && bits <= MAX_DISTANCE;
    agreement.is_seen() && own >= MIN_INLIERS && (beside || plain)
}

/// Whether the whole of the query is nearly what the reference's hash was taken of once thin strokes are taken out of it,
/// and was further from it with them. Most blocks have to be held then, some beside any one sticker, and as before no
/// large rectangle shows something else.
fn is_the_picture_below_strokes(own: usize, agreement: &Agreement, second: &SecondLook) -> bool {
    let (Some(laid), Some(bare)) = (second.laid, second.bare) else { return false };
    !second.hole
        && bare.bits <= LAID_ALIKE_BITS
        && bare.bits + STROKES_BITS <= laid
        && agreement.is_telling()
        && own >= MIN_INLIERS
        && bare.beyond >= BESIDE_A_STICKER
        && bare.held > bare.against
}

/// Where two thirds of a reference are compared that has more blocks with contrast than a sticker, the others have
/// had their say. Else there have to be more in which both agree, or half of the evidence lies outside of any one
/// sticker.
fn is_more_than_a_sticker(agreement: &Agreement, both: u32, beyond: u32) -> bool {
    let is_picture = agreement.all >= BEYOND_A_STICKER;
    (is_picture && (agreement.is_most() || both >= BEYOND_A_STICKER))
        || beyond * 2 >= SURE_EVIDENCE as u32
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
    use super::{
        super::{Bare, Part},
        *,
    };

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

    /// All places that are seen have contrast.
    fn blocks(agreed: u32, compared: u32, all: u32) -> Agreement {
        Agreement { agreed, compared, all, covered: 500, signs: 500, ..Agreement::default() }
    }

    #[test]
    fn of_a_small_part_every_block_has_to_agree() {
        assert!(is_sure(40, &blocks(20, 20, 30)));
        assert!(is_sure(40, &blocks(19, 20, 30)));
        assert!(is_sure(40, &blocks(20, 20, 31)));
        assert!(!is_sure(40, &blocks(19, 20, 31)));
    }

    #[test]
    fn of_a_small_part_what_is_plain_in_one_picture_is_plain_in_the_other() {
        let of = |bent| is_sure(38, &Agreement { bent, flat: 140, ..blocks(18, 18, 44) });
        assert!(of(23) && !of(24));
    }

    #[test]
    fn places_that_repeat_are_no_evidence() {
        assert!(is_sure(MIN_INLIERS, &blocks(52, 52, 52)));
        assert!(!is_sure(MIN_INLIERS - 1, &blocks(52, 52, 52)));
    }

    #[test]
    fn few_blocks_are_never_sure() {
        assert!(!is_sure(60, &blocks(8, 8, 60)));
        assert!(is_sure(20, &blocks(9, 9, 60)) && !is_sure(9, &blocks(9, 9, 60)));
        assert!(is_sure(12, &blocks(48, 52, 60)) && !is_sure(12, &blocks(46, 52, 60)));
        assert!(!is_sure(60, &Agreement { signs: 200, ..blocks(60, 60, 60) }));
        assert!(is_sure(60, &blocks(29, 29, 29)) && !is_sure(60, &blocks(28, 28, 28)));
    }

    #[test]
    fn many_features_are_sure_with_fewer_blocks_once_the_second_look_finds_nothing_torn() {
        assert!(!is_sure(400, &blocks(42, 60, 60)));
        let of = |own, agreed, torn| {
            let second =
                SecondLook { both: 18, torn, held: 36, against: 14, ..SecondLook::default() };
            is_sure_again(own, &blocks(agreed, 60, 60), &second)
        };
        assert!(of(40, 42, 2) && !of(39, 42, 2) && !of(40, 41, 2) && !of(40, 42, 3));
    }

    /// Thirty blocks in which both agree, and ten that luminance alone holds.
    const SEEN: SecondLook = SecondLook {
        both: 30,
        beyond: 0,
        torn: 0,
        held: 40,
        against: 15,
        laid: None,
        filled: None,
        bare: None,
        part: None,
        hole: false,
    };

    #[test]
    fn the_second_look_asks_for_three_deviations_more_than_half() {
        let of = |against| shows_the_picture(&blocks(40, 55, 60), &SecondLook { against, ..SEEN });
        assert!(of(15) && !of(18));
    }

    #[test]
    fn where_features_agree_the_second_look_wants_luminance_to_agree_too() {
        let of = |torn| shows_the_picture(&blocks(40, 55, 60), &SecondLook { torn, ..SEEN });
        assert!(of(3) && !of(4));
    }

    #[test]
    fn the_second_look_is_not_sure_of_a_few_blocks() {
        let of = |both, compared| {
            let second = SecondLook { both, held: 35, against: 2, ..SecondLook::default() };
            shows_the_picture(&blocks(35, compared, 60), &second)
        };
        assert!(of(24, 40) && !of(23, 40));
        // A part of the reference may be a sticker and what is next to it.
        assert!(of(29, 39) && !of(28, 39));
    }

    #[test]
    fn what_lies_like_the_picture_is_sure_where_most_is_held_and_some_beside_a_sticker() {
        let of = |own, laid, beyond, held| {
            let second = SecondLook {
                both: 12,
                beyond,
                torn: 9,
                held,
                against: 20,
                laid,
                ..SecondLook::default()
            };
            is_sure_again(own, &blocks(26, 50, 60), &second)
        };
        assert!(of(MIN_INLIERS, Some(48), 4, 21) && !of(MIN_INLIERS - 1, Some(48), 4, 21));
        assert!(!of(20, Some(49), 4, 21) && !of(20, None, 4, 21));
        assert!(!of(20, Some(48), 3, 21) && !of(20, Some(48), 4, 20));
        let holed = |hole| {
            let second =
                SecondLook { beyond: 4, held: 21, against: 20, laid: Some(40), hole, ..SEEN };
            lies_like_the_picture(20, &blocks(26, 50, 60), &second)
        };
        assert!(holed(false) && !holed(true));
    }

    #[test]
    fn what_does_not_lie_like_the_picture_is_not_sure_by_what_agrees_in_places() {
        let of = |laid| shows_the_picture(&blocks(40, 55, 60), &SecondLook { laid, ..SEEN });
        assert!(of(None) && of(Some(64)) && !of(Some(65)));
    }

    #[test]
    fn what_is_left_of_a_copy_is_sure_by_its_hash_where_some_lies_beside_a_sticker() {
        let of = |own, filled, beyond| {
            let second = SecondLook {
                both: 12,
                beyond,
                torn: 9,
                held: 20,
                against: 20,
                filled,
                ..SecondLook::default()
            };
            is_sure_again(own, &blocks(26, 50, 60), &second)
        };
        assert!(of(MIN_INLIERS, Some(56), 4) && !of(MIN_INLIERS - 1, Some(56), 4));
        assert!(!of(20, Some(57), 4) && !of(20, None, 4) && !of(20, Some(56), 3));
    }

    #[test]
    fn a_plain_picture_is_sure_by_its_hash_where_nothing_is_against_it() {
        let of = |filled, held, against| {
            let second = SecondLook { both: 9, held, against, filled, ..SecondLook::default() };
            is_sure_again(20, &blocks(held, held + against, 14), &second)
        };
        assert!(of(Some(31), 14, 0) && !of(Some(32), 14, 0) && !of(None, 14, 0));
        assert!(of(Some(31), 18, 2) && !of(Some(31), 17, 2));
    }

    #[test]
    fn what_lies_below_writing_is_sure_by_its_hash_once_that_is_taken_out() {
        let of = |own, laid, bare: Bare, hole| {
            let second = SecondLook {
                both: 12,
                torn: 9,
                held: 10,
                against: 30,
                laid: Some(laid),
                bare: Some(bare),
                hole,
                ..SecondLook::default()
            };
            is_sure_again(own, &blocks(26, 50, 60), &second)
        };
        let bare = Bare { bits: 48, held: 20, against: 19, beyond: 4 };
        assert!(of(MIN_INLIERS, 56, bare, false) && !of(MIN_INLIERS - 1, 56, bare, false));
        assert!(!of(20, 55, bare, false) && !of(20, 56, bare, true));
        assert!(!of(20, 60, Bare { bits: 49, ..bare }, false));
        assert!(!of(20, 56, Bare { held: 19, ..bare }, false));
        assert!(!of(20, 56, Bare { beyond: 3, ..bare }, false));
    }

    #[test]
    fn a_part_is_sure_where_it_ends() {
        let of = |own, part, torn, outside: (u32, u32)| {
            let Part { held, against, .. } = part;
            let (held, against) = (held + outside.0, against + outside.1);
            let second = SecondLook {
                both: 20,
                torn,
                held,
                against,
                laid: Some(80),
                part: Some(part),
                ..SecondLook::default()
            };
            is_sure_again(own, &blocks(35, 50, 54), &second)
        };
        let part = Part { held: 24, both: 8, against: 2 };
        assert!(of(MIN_INLIERS, part, 2, (3, 3)) && !of(MIN_INLIERS - 1, part, 2, (3, 3)));
        assert!(!of(20, part, 3, (3, 3)) && !of(20, part, 2, (4, 3)));
        assert!(!of(20, Part { held: 23, ..part }, 2, (3, 3)));
        assert!(!of(20, Part { both: 7, ..part }, 2, (3, 3)));
    }

    #[test]
    fn a_plain_reference_is_sure_at_the_second_look_where_much_lies_beyond_one_sticker() {
        let of = |all, beyond| {
            let second = SecondLook { both: 25, beyond, held: 26, ..SecondLook::default() };
            shows_the_picture(&blocks(26, 26, all), &second)
        };
        assert!(of(29, 0) && !of(28, 11) && of(28, 12));
    }

    #[test]
    fn what_may_be_a_sticker_on_something_plain_is_sure_where_some_lies_beside_it() {
        let of = |all, beyond| {
            let second = SecondLook { both: 15, beyond, held: all, ..SecondLook::default() };
            is_sure_again(20, &blocks(all, all, all), &second)
        };
        assert!(of(28, 4) && of(24, 4) && !of(28, 3) && !of(23, 4));
        assert!(!is_sure(20, &blocks(28, 28, 28)));
    }
}
