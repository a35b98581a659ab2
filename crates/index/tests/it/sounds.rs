//! Sounds that share five seconds are found whatever is around them; silence and tones are not.

use proptest::prelude::*;
use watchfire_index::SoundIndex;
use watchfire_signal::sound_print::{PLAIN_RATE, SoundPrint};

use crate::data::Random;

/// Items as music has them: some bits change from one to the next.
fn sound(items: usize, random: &mut Random) -> Vec<u32> {
    let mut item = random.next() as u32;
    let mut next = || {
        for _ in 0..7 {
            item ^= 1 << random.below(32);
        }
        item
    };
    (0..items).map(|_| next()).collect()
}

/// The same with this share of all bits changed, in percent.
fn noisy(items: &[u32], percent: u64, random: &mut Random) -> Vec<u32> {
    let bit = |bit: u32, random: &mut Random| u32::from(random.below(100) < percent) << bit;
    let flips = |random: &mut Random| (0..32).map(|at| bit(at, random)).sum::<u32>();
    items.iter().map(|item| item ^ flips(random)).collect()
}

fn print(items: Vec<u32>) -> SoundPrint {
    SoundPrint::new(PLAIN_RATE, items).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_part_is_found_inside_other_sound(
        seed: u64, at in 0_usize..300, length in 60_usize..200, noise in 0_u64..9, before in 0_usize..90,
    ) {
        let mut random = Random(seed);
        let known = sound(500, &mut random);
        let index = SoundIndex::new([1; 32]);
        for other in 0..20 {
            index.insert(other, &print(sound(300, &mut random)));
        }
        index.insert(99, &print(known.clone()));
        let mut query = sound(before, &mut random);
        query.extend(noisy(&known[at..at + length], noise, &mut random));
        query.extend(sound(50, &mut random));
        let query = print(query);
        let found = index.search(&query);
        prop_assert_eq!(found.len(), 1);
        let found = found[0];
        prop_assert_eq!(found.sound, 99);
        prop_assert!(found.distance <= 25);
        let shift = query.at_ms(before).abs_diff(found.query_span_ms.0);
        prop_assert!(shift <= 2_500, "{} {:?}", query.at_ms(before), found);
        prop_assert!(index.remove(99));
        prop_assert!(index.search(&query).is_empty());
        prop_assert!(!index.remove(99));
    }
}

#[test]
fn silence_and_steady_tones_match_nothing_not_even_themselves() {
    let index = SoundIndex::new([2; 32]);
    let tone = [vec![7_u32; 300], [7, 7 ^ 1].repeat(150)];
    for (id, items) in tone.iter().enumerate() {
        index.insert(id as u64, &print(items.clone()));
    }
    for items in tone {
        assert_eq!(index.search(&print(items)), []);
    }
}

#[test]
fn a_copy_whose_tempo_alone_was_changed_is_found_with_its_speed() {
    let mut random = Random(5);
    let known = sound(600, &mut random);
    let index = SoundIndex::new([3; 32]);
    index.insert(1, &print(known.clone()));
    let faster = (0..400).map(|item| known[(f64::from(item) * 1.1 + 50.0).round() as usize]);
    let found = index.search(&print(faster.collect()));
    assert_eq!(found.len(), 1);
    assert!((found[0].speed - 1.1).abs() <= 0.05, "{found:?}");
}
