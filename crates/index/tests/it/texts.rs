//! The index of texts finds what comparing every pair would find, while texts come and go.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::{collection::vec, prelude::*};
use watchfire_index::{TextIndex, TextMatch};
use watchfire_signal::text_print::{Grams, TextPrint};

fn grams(text: &str) -> Option<Grams> {
    match TextPrint::of(text).ok()?.pop()? {
        TextPrint::Long(grams) => Some(grams),
        TextPrint::Short(_) => None,
    }
}

/// A text of words from a small vocabulary, so that many k-grams are common.
fn sentence() -> impl Strategy<Value = String> {
    vec((0_usize..60, 0_usize..9), 14..50).prop_map(|words| {
        let word = |(number, variant): &(usize, usize)| {
            let stem =
                ["ton", "marel", "shi", "kovan", "brid", "ulep", "gast", "frem", "nuk", "adoz"];
            let end = ["ing", "er", "est", "a", "ovic", "um"];
            let middle = if *variant == 0 { "qe" } else { "" };
            format!("{}{middle}{}", stem[number % 10], end[number / 10])
        };
        words.iter().map(word).collect::<Vec<_>>().join(" ")
    })
}

/// What is done to an index and a model of it.
#[derive(Debug, Clone)]
enum Step {
    Insert(u64, usize),
    Remove(u64),
    SearchIn(usize),
    SearchAround(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..25, 0_usize..12).prop_map(|(id, text)| Step::Insert(id, text)),
        1 => (0_u64..25).prop_map(Step::Remove),
        2 => (0_usize..24).prop_map(Step::SearchIn),
        2 => (0_usize..24).prop_map(Step::SearchAround),
    ];
    vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_search_finds_what_comparing_every_text_finds(
        texts in vec(sentence(), 12), steps in steps(), cut in 0_usize..40,
    ) {
        // Beside the texts: each with something missing, and put between two others.
        let queries: Vec<String> = texts.iter().cloned().chain(texts.iter().enumerate().map(|(place, text)| {
            let part = &text[cut.min(text.len() / 2)..];
            format!("{} {} {}", texts[(place + 1) % 12], part, texts[(place + 5) % 12])
        })).collect();
        let queries: Vec<Option<Grams>> = queries.iter().map(|text| grams(text)).collect();
        let index = TextIndex::new();
        let mut model = BTreeMap::<u64, Grams>::new();
        for step in steps {
            match step {
                Step::Insert(id, text) => {
                    let Some(grams) = &queries[text] else { continue };
                    index.insert(id, grams);
                    model.insert(id, grams.clone());
                }
                Step::Remove(id) => prop_assert_eq!(index.remove(id), model.remove(&id).is_some()),
                Step::SearchIn(query) => {
                    let Some(query) = &queries[query] else { continue };
                    let expected = sorted(model.iter().filter_map(|(id, held)| found(*id, held, query)));
                    prop_assert_eq!(index.search_in(query), expected);
                }
                Step::SearchAround(query) => {
                    let Some(query) = &queries[query] else { continue };
                    let expected = sorted(model.iter().filter_map(|(id, held)| found(*id, query, held)));
                    prop_assert_eq!(index.search_around(query), expected);
                }
            }
        }
        for id in model.keys() {
            index.remove(*id);
        }
        prop_assert!(index.is_empty());
    }
}

fn found(text: u64, known: &Grams, upload: &Grams) -> Option<TextMatch> {
    let distance = known.distance_in(upload)?;
    Some(TextMatch { text, distance, sure: known.is_sure_in(upload, distance) })
}

fn sorted(hits: impl Iterator<Item = TextMatch>) -> Vec<TextMatch> {
    let mut hits: Vec<_> = hits.collect();
    hits.sort_by_key(|hit| (hit.distance, hit.text));
    hits
}

/// Found as it is.
fn whole(text: u64) -> TextMatch {
    TextMatch { text, distance: 0, sure: true }
}

#[test]
fn one_text_stored_many_times_is_one_text_that_all_are_found_by() {
    let text =
        "The same appeal is posted by a thousand accounts within the same minute of the same day.";
    let grams = grams(text).unwrap();
    let index = TextIndex::new();
    (0..1_000).for_each(|id| index.insert(id, &grams));
    assert_eq!(index.len(), 1);
    assert_eq!(index.search_in(&grams).len(), 1_000);
    (0..999).for_each(|id| assert!(index.remove(id)));
    assert_eq!(index.search_around(&grams), [whole(999)]);
    assert!(index.remove(999) && !index.remove(999));
    assert!(index.is_empty() && index.search_in(&grams).is_empty());
}

#[test]
fn what_stays_is_found_while_others_come_and_go() {
    let of = |number: usize| {
        let words = (0..14).map(|place| format!("{:x}word", (number + 1) * 7_919 * (place + 3)));
        grams(&words.collect::<Vec<_>>().join(" ")).unwrap()
    };
    let index = TextIndex::new();
    let stays: Vec<Grams> = (0..50).map(of).collect();
    stays.iter().zip(1_000..).for_each(|(grams, id)| index.insert(id, grams));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..40 {
                (100..160).for_each(|number| index.insert(number, &of(number as usize + round)));
                (100..160).for_each(|number| assert!(index.remove(number)));
            }
            stop.store(true, Ordering::SeqCst);
        });
        while !stop.load(Ordering::SeqCst) {
            for (grams, id) in stays.iter().zip(1_000..) {
                assert!(index.search_in(grams).contains(&whole(id)));
                assert!(index.search_around(grams).contains(&whole(id)));
            }
        }
    });
}
