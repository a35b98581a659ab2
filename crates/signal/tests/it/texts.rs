//! Texts are found with typos, tricks of spelling and inside longer ones; others are not.

use proptest::prelude::*;
use watchfire_signal::{
    text_print::{
        BLOCK_GRAMS, Grams, MAX_BLOCKS, MAX_PIECES, MAX_SURE_TEXT_DISTANCE, MAX_TEXT_BYTES,
        MAX_TEXT_DISTANCE, MIN_CHARS, MIN_NEAR_CHARS, TextError, TextPrint, distance, needed,
        normalised,
    },
    value::{Kind, Value},
};

use crate::corpus::{Typist, harmless, sentences};

fn grams(text: &str) -> Grams {
    match TextPrint::of(text).unwrap().remove(0) {
        TextPrint::Long(grams) => grams,
        TextPrint::Short(_) => panic!("{text:?} is short"),
    }
}

#[test]
fn every_sentence_is_found_with_eight_percent_of_typos() {
    let mut farthest = 0;
    let mut tries = 0;
    for (number, sentence) in sentences().iter().enumerate() {
        let known = grams(sentence);
        let mut typist = Typist::new(number as u64);
        for _ in 0..60 {
            let typed = typist.type_badly(sentence, 8);
            let distance = known.distance_in(&grams(&typed));
            assert!(distance.is_some(), "{sentence:?} is not found as {typed:?}");
            farthest = farthest.max(distance.unwrap());
            tries += 1;
        }
    }
    println!("{tries} of {tries} found, at a distance of at most {farthest}");
}

#[test]
fn every_sentence_is_found_inside_a_longer_text_with_typos() {
    let sentences = sentences();
    for (number, sentence) in sentences.iter().enumerate() {
        let mut typist = Typist::new(1_000 + number as u64);
        let typed = typist.type_badly(sentence, 8);
        let others: Vec<&str> =
            (1..9).map(|step| sentences[(number + step * 7) % sentences.len()]).collect();
        let long = format!("{} {typed} {}", others[..4].join(" "), others[4..].join(" "));
        assert!(grams(sentence).distance_in(&grams(&long)).is_some(), "{sentence:?} in {long:?}");
    }
}

#[test]
fn no_sentence_is_found_in_another_or_in_a_long_text_about_something_else() {
    let sentences = sentences();
    let mut nearest = 0.0_f64;
    let mut pairs = 0;
    let all: Vec<Grams> = sentences.iter().map(|sentence| grams(sentence)).collect();
    let texts: Vec<Grams> =
        harmless().iter().flat_map(|text| TextPrint::of(text).unwrap()).map(long).collect();
    for (place, known) in all.iter().enumerate() {
        let others = all.iter().enumerate().filter(|(other, _)| *other != place);
        for other in others.map(|(_, other)| other).chain(&texts) {
            assert_eq!(known.distance_in(other), None, "{:?}", sentences[place]);
            nearest = nearest.max(share(known, other));
            pairs += 1;
        }
    }
    println!("0 of {pairs} pairs match; the most that two share is {:.0} %", nearest * 100.0);
}

fn long(print: TextPrint) -> Grams {
    match print {
        TextPrint::Long(grams) => grams,
        TextPrint::Short(_) => panic!("a long text"),
    }
}

/// Which part of all k-grams is found at all: more than what is found near together.
fn share(known: &Grams, other: &Grams) -> f64 {
    let other = other.distinct();
    let known = known.distinct();
    let found = known.iter().filter(|gram| other.binary_search(gram).is_ok()).count();
    if other.len() > 4 * known.len() { 0.0 } else { found as f64 / known.len() as f64 }
}

#[test]
fn tricks_of_spelling_change_nothing() {
    let plain = "We will hunt down every last one of these people and burn their houses at night.";
    let print = TextPrint::of(plain).unwrap();
    for trick in [
        "WE WILL HUNT DOWN EVERY LAST ONE OF THESE PEOPLE AND BURN THEIR HOUSES AT NIGHT",
        "We w1ll hun7 d0wn ev3ry l4st 0ne of th3se p3ople & burn the!r hou5es at n!ght..."
            .replace('&', "and")
            .as_str(),
        "Wе wіll hunt dοwn еvеry lаst οne оf thеsе реоple аnd burn thеir hоuses аt night",
        "W.e w-i-l-l h_u_n_t down\u{200b}every\u{200d}last one of these\u{ad}people and b u r n their houses at night",
        "We wiiiill hunnnt down everyyy last one of these people and burn their houses at niiiight!!!",
        "Ｗｅ ｗｉｌｌ ｈｕｎｔ ｄｏｗｎ ｅｖｅｒｙ ｌａｓｔ ｏｎｅ ｏｆ these people and burn their houses at night",
        "𝐖𝐞 𝐰𝐢𝐥𝐥 𝐡𝐮𝐧𝐭 𝐝𝐨𝐰𝐧 𝐞𝐯𝐞𝐫𝐲 𝐥𝐚𝐬𝐭 𝐨𝐧𝐞 𝐨𝐟 these people and burn their houses at night",
        "W̶e̷ w̸i̵l̴l̶ h̷u̸n̵t̴ d̶o̷w̸n̵ every last one of these people and burn their houses at night",
        "<p>We will <b class=\"x\">hunt</b> down<br/> every last <!-- no --> one of th<i></i>ese people &amp; burn their houses &#97;t n&#x69;ght</p>"
            .replace("&amp;", "and")
            .as_str(),
        "We&nbsp;will hunt &lt;down&gt; every last one of these p&eacute;ople and burn their houses at night",
        "🅆🄴 will hunt down every last one of these people and 🅑🅤🅡🅝 their houses at night",
    ] {
        assert_eq!(TextPrint::of(trick).unwrap(), print, "{trick}: {}", normalised(trick));
    }
}

/// Signs that nobody sees, by themselves or on the letter before.
const UNSEEN: [char; 20] = [
    '\u{640}',
    '\u{7fa}',
    '\u{115f}',
    '\u{1160}',
    '\u{3164}',
    '\u{ffa0}',
    '\u{ad}',
    '\u{34f}',
    '\u{200b}',
    '\u{200d}',
    '\u{200e}',
    '\u{202e}',
    '\u{2060}',
    '\u{feff}',
    '\u{fe0f}',
    '\u{e0061}',
    '\u{1d173}',
    '\u{7}',
    '\u{301}',
    '\u{20dd}',
];

#[test]
fn no_sign_that_nobody_sees_hides_a_text() {
    let plain = "We will hunt down every last one of these people and burn their houses at night.";
    let tricked =
        "We w!ll hunt d@wn every l@st one of these people and burn their hou$es at n!ght."
            .replace("d@wn", "d0wn");
    for sign in UNSEEN {
        for text in [plain, &tricked] {
            let hidden: String = text.chars().flat_map(|letter| [letter, sign]).collect();
            assert_eq!(normalised(&hidden), normalised(plain), "{sign:?} {text}");
        }
    }
    assert_eq!(normalised("h@\u{200b}te"), "hate");
    assert_eq!(normalised("كـتـاب"), normalised("كتاب"));
    // A vowel of Thai is a letter, and words of Hangul stay.
    assert_eq!(normalised("น้ำ"), "น\u{e4d}า");
    assert_eq!(normalised("한국").chars().count(), 6);
}

#[test]
fn a_short_text_is_found_as_a_whole_only_and_a_shorter_one_not_at_all() {
    let of = |text: &str| TextPrint::of(text).unwrap();
    assert_eq!(of("Kill them all, now!"), of("k1ll  thém àll... nοw"));
    assert_ne!(of("Kill them all, now!"), of("Kill them all now, please"));
    assert!(matches!(of("Kill them all, now!")[..], [TextPrint::Short(_)]));
    assert_eq!(TextPrint::of("Hello!!!!!!!!!!"), Err(TextError::TooShort(4)));
    assert_eq!(TextPrint::of(""), Err(TextError::TooShort(0)));
    // It says one word only, however long it is.
    let again = "burn it ".repeat(50);
    assert!(matches!(of(&again)[..], [TextPrint::Short(_)]), "{again}");
    let most = "a ".repeat(MAX_TEXT_BYTES);
    assert_eq!(TextPrint::of(&most), Err(TextError::TooLong(2 * MAX_TEXT_BYTES)));
}

/// A text of words that do not repeat.
fn novel(words: usize) -> String {
    let letters = |mut number: usize| {
        let mut word = String::new();
        for place in 0..7 {
            word.push(char::from(b"aeiounrstmdgkpbv"[(number + place * 5) % 16]));
            number = number / 3 + number * 7 % 11;
        }
        word
    };
    (0..words).map(|number| letters(number * 2_654_435_761 % 1_000_003) + " ").collect()
}

#[test]
fn a_very_long_text_is_several_pieces_that_overlap() {
    let text = novel(6_000);
    let pieces = TextPrint::of(&text).unwrap();
    assert!((2..=MAX_PIECES).contains(&pieces.len()), "{}", pieces.len());
    let pieces: Vec<Grams> = pieces.into_iter().map(long).collect();
    assert!(pieces.iter().all(|piece| piece.blocks().len() <= MAX_BLOCKS));
    let half = MAX_BLOCKS / 2;
    for pair in pieces.windows(2) {
        let common = half.min(pair[1].blocks().len());
        assert_eq!(pair[0].blocks()[half..half + common], pair[1].blocks()[..common]);
    }
    // A sentence of it is found in one of them, wherever it stands.
    for from in (0..text.len() - 200).step_by(997) {
        let part = grams(&text[from..from + 200]);
        assert!(pieces.iter().any(|piece| part.distance_in(piece).is_some()), "{from}");
    }
    let too_long = novel(20_000);
    assert!(matches!(TextPrint::of(&too_long), Err(TextError::TooManyChars(_))));
}

#[test]
fn what_is_spread_over_a_long_text_is_not_found_in_it() {
    let sentence = sentences()[0];
    let known = grams(sentence);
    let words: Vec<&str> = sentence.split(' ').collect();
    let filler = novel(2_000);
    let fillers: Vec<&str> =
        filler.as_bytes().chunks(1_000).map(|part| std::str::from_utf8(part).unwrap()).collect();
    let spread: String =
        words.iter().zip(fillers).map(|(word, filler)| format!("{word} {filler} ")).collect();
    assert_eq!(known.distance_in(&grams(&spread)), None);
}

#[test]
fn a_shared_phrase_is_not_sure_and_half_of_a_text_is() {
    let (opening, closing) = (
        "Nobody will tell you this, so read to the end and pass it on: ",
        " Share this before it is deleted!",
    );
    let known =
        grams(&format!("{opening}the council meets on Monday to speak of the budget.{closing}"));
    let other =
        grams(&format!("{opening}my grandmother's soup is made of leeks, no onions.{closing}"));
    let distance = known.distance_in(&other).unwrap();
    assert!(distance > MAX_SURE_TEXT_DISTANCE && !known.is_sure_in(&other, distance), "{distance}");

    let whole = "The quick brown fox jumps over the lazy dog while seventeen wizards brew potions; \
                 nobody at the harbour noticed how the lighthouse blinked twice before midnight came.";
    let known = grams(whole);
    let half = grams(&whole[..whole.len() * 53 / 100]);
    let distance = known.distance_in(&half).unwrap();
    assert!(distance > MAX_SURE_TEXT_DISTANCE && known.is_sure_in(&half, distance), "{distance}");
}

#[test]
fn what_is_no_markup_stays() {
    assert_eq!(normalised("1 < 2 > 0"), normalised("1 2 0"));
    let long = format!("<{} end>", "word ".repeat(1_000));
    assert!(normalised(&long).contains("wordword"));
}

#[test]
fn a_distance_is_the_share_of_characters_that_would_explain_what_is_missing() {
    assert_eq!(distance(100, 100), Some(0));
    assert_eq!(distance(96, 100), Some(1));
    assert_eq!(distance(66, 100), Some(8));
    assert_eq!(needed(100, MAX_TEXT_DISTANCE), 42);
    assert_eq!(distance(42, 100), Some(MAX_TEXT_DISTANCE));
    assert_eq!(distance(41, 100), None);
    let most = MAX_BLOCKS * BLOCK_GRAMS;
    assert_eq!(needed(most, 0), most);
}

#[test]
fn bytes_that_are_no_fingerprint_are_refused() {
    let good = TextPrint::of(sentences()[0]).unwrap()[0].to_bytes();
    assert!(TextPrint::from_bytes(&good).is_ok());
    let mut unsorted = good.clone();
    unsorted.swap(2, 6);
    let short = TextPrint::of("Kill them all, now!").unwrap()[0].to_bytes();
    let few = [vec![1, 2], vec![0, 0, 0, 1, 0, 0, 0, 2]].concat();
    let many = (0..=MAX_BLOCKS as u32).fold(vec![1], |mut bytes, block| {
        bytes.push(1);
        bytes.extend(block.to_be_bytes());
        bytes
    });
    for wrong in [
        vec![],
        vec![0],
        vec![1],
        vec![2; 33],
        good[..good.len() - 1].to_vec(),
        unsorted,
        short[..32].to_vec(),
        [&short[..], &[0]].concat(),
        few,
        many,
        vec![1, 0],
        vec![1, 33],
    ] {
        assert!(TextPrint::from_bytes(&wrong).is_err(), "{wrong:?}");
        assert!(Value::from_bytes(Kind::Text, &wrong).is_err());
    }
}

proptest! {
    #[test]
    fn any_text_has_a_fingerprint_or_a_reason_and_normalising_twice_is_normalising_once(
        text in any::<String>(), repeated in 1_usize..40,
    ) {
        let text = text.repeat(repeated);
        let normal = normalised(&text);
        prop_assert_eq!(normalised(&normal), normal.clone());
        match TextPrint::of(&text) {
            Ok(prints) => {
                prop_assert!(normal.chars().count() >= MIN_CHARS);
                prop_assert_eq!(TextPrint::of(&normal).unwrap(), prints.clone());
                for print in prints {
                    let bytes = print.to_bytes();
                    prop_assert_eq!(TextPrint::from_bytes(&bytes).unwrap(), print.clone());
                    let value = Value::Text(print);
                    prop_assert_eq!(Value::parse(Kind::Text, &value.to_text()).unwrap(), value);
                }
            }
            Err(TextError::TooShort(chars)) => prop_assert_eq!(chars, normal.chars().count()),
            Err(error) => prop_assert!(text.len() > 60_000, "{error}"),
        }
    }

    #[test]
    fn what_nobody_sees_changes_nothing_in_any_spelling(
        text in "[a-zA-Z0-9@!$|+ .,ıοе한ก\u{301}\n]{1,60}",
        hidden in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&UNSEEN[..])), 0..80),
    ) {
        let mut letters: Vec<char> = text.chars().collect();
        for (place, sign) in hidden {
            letters.insert(place.index(letters.len() + 1), sign);
        }
        let hidden: String = letters.into_iter().collect();
        prop_assert_eq!(normalised(&hidden), normalised(&text), "{:?}", hidden);
    }

    #[test]
    fn any_bytes_are_a_fingerprint_that_is_written_alike_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(print) = TextPrint::from_bytes(&bytes) {
            prop_assert_eq!(print.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_text_is_at_distance_zero_in_itself_and_in_what_contains_it(
        before in "[a-z ]{0,400}", text in "[a-z]{90,400}", after in "[a-z ]{0,400}",
    ) {
        let of = |text: &str| match TextPrint::of(text).unwrap().remove(0) {
            TextPrint::Long(grams) => Some(grams),
            TextPrint::Short(_) => None,
        };
        if let Some(known) = of(&text) {
            prop_assert!(normalised(&text).len() >= MIN_NEAR_CHARS);
            prop_assert_eq!(known.distance_in(&known), Some(0));
            let around = of(&format!("{before}.{text}.{after}")).unwrap();
            // Where the texts meet, equal letters in a row become one.
            prop_assert!(known.distance_in(&around).is_some_and(|distance| distance <= 1));
        }
    }
}
