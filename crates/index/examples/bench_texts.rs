//! Measures text search: `bench_texts --texts N`, each of twenty words; one JSON object.
//!
//! Words are of a vocabulary of 4,000 in which the n-th is said in proportion to 1/n, as in speech, so that
//! k-grams are as common as they are there. Queries are of a text nobody has and of a stored one in which
//! up to eight of a hundred letters are others, between two others.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::time::Instant;

use watchfire_index::{TextIndex, TextMatch};
use watchfire_signal::text_print::{Grams, TextPrint};

#[path = "../tests/it/data.rs"]
#[allow(dead_code)]
mod data;
use data::Random;

/// Searches measured for each figure.
const SEARCHES: u64 = 500;
/// Words of the vocabulary.
const WORDS: u64 = 4_000;
/// Words of a text.
const LENGTH: usize = 20;

fn word(number: u64) -> String {
    let mut random = Random(number * 31 + 7);
    let syllables = 1 + random.below(3) + u64::from(number > 60);
    let syllable = |random: &mut Random| {
        let pick = |from: &[u8], random: &mut Random| {
            char::from(from[random.below(from.len() as u64) as usize])
        };
        let (first, second) = (pick(b"tnsrdhmcpbgfwkv", random), pick(b"eaioueaie", random));
        format!("{first}{second}")
    };
    (0..syllables).map(|_| syllable(&mut random)).collect()
}

/// A text of the words of a vocabulary, few of them often.
fn text(number: u64, vocabulary: &[String]) -> String {
    let mut random = Random(number * 7_919 + 1);
    let words = (0..LENGTH).map(|_| {
        let share = random.below(1 << 20) as f64 / f64::from(1 << 20);
        let rank = (WORDS as f64).powf(share) as usize - 1;
        vocabulary[rank.min(vocabulary.len() - 1)].as_str()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn typed(text: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..letters.len() * 8 / 100 {
        let place = random.below(letters.len() as u64) as usize;
        if letters[place] != ' ' {
            letters[place] = char::from(b'a' + random.below(26) as u8);
        }
    }
    letters.into_iter().collect()
}

fn grams(text: &str) -> Option<Grams> {
    match TextPrint::of(text).ok()?.pop()? {
        TextPrint::Long(grams) => Some(grams),
        TextPrint::Short(_) => None,
    }
}

/// The median and the slowest of a hundred, in microseconds.
fn of(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--texts").skip(1);
    let count: u64 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let vocabulary: Vec<String> = (0..WORDS).map(word).collect();
    let index = TextIndex::new();
    let began = Instant::now();
    for number in 0..count {
        if let Some(grams) = grams(&text(number, &vocabulary)) {
            index.insert(number, &grams);
        }
    }
    let insert_us = began.elapsed().as_secs_f64() * 1e6 / count as f64;
    let mut random = Random(5);
    let (mut found, mut wrong) = (0, 0);
    let (mut misses, mut hits, mut around) = (Vec::new(), Vec::new(), Vec::new());
    for query in 0..SEARCHES {
        let other = grams(&text(1 << 40 | query, &vocabulary));
        let which = random.below(count);
        let stored = text(which, &vocabulary);
        let between = format!(
            "{} {} {}",
            text(1 << 41 | query, &vocabulary),
            typed(&stored, &mut random),
            text(1 << 42 | query, &vocabulary)
        );
        let (Some(other), Some(between), Some(stored)) = (other, grams(&between), grams(&stored))
        else {
            continue;
        };
        let time = |into: &mut Vec<f64>, search: &dyn Fn() -> Vec<TextMatch>| {
            let began = Instant::now();
            let hits = search();
            into.push(began.elapsed().as_secs_f64() * 1e6);
            hits
        };
        wrong += usize::from(!time(&mut misses, &|| index.search_in(&other)).is_empty());
        let in_between = time(&mut hits, &|| index.search_in(&between));
        found += usize::from(in_between.iter().any(|hit| hit.text == which));
        time(&mut around, &|| index.search_around(&stored));
    }
    let ((miss, miss_p99), (hit, hit_p99), (around, around_p99)) =
        (of(misses), of(hits), of(around));
    println!(
        "{{\"texts\": {count}, \"distinct\": {}, \"insert_us\": {insert_us:.1}, \"miss_us\": {miss:.0}, \
         \"miss_p99_us\": {miss_p99:.0}, \"hit_us\": {hit:.0}, \"hit_p99_us\": {hit_p99:.0}, \
         \"around_us\": {around:.0}, \"around_p99_us\": {around_p99:.0}, \"found\": {found}, \
         \"of\": {SEARCHES}, \"others_matched\": {wrong}}}",
        index.len()
    );
}
