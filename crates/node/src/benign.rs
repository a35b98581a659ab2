//! The benign set: what is everybody's, so that an alert about it would hit everybody. Blank frames, test
//! cards and empty templates by their hashes, as `crates/media/tests/it/benign.rs` draws them; words
//! that everybody writes; hosts that half the world is under; files in which nothing stands.
//!
//! **Invariant:** whether something is near it depends on the signals and this version of the set alone.

use std::{collections::HashMap, sync::LazyLock};

use watchfire_index::HashIndex;
use watchfire_signal::{
    digest::{Md5Digest, Sha256Digest},
    link::{LinkPrint, LinkScope},
    pdq::{MAX_DISTANCE, MIN_QUALITY, Pdq},
    text_print::{Grams, MAX_TEXT_DISTANCE, TextPrint},
    value::{Signal, Value, ValueOrBlob},
    vpdq::Vpdq,
};

use crate::near::harmful_frames;

/// Pictures and files, drawn and hashed by a test of `media`: `KIND VALUE NAME` a line.
const DRAWN: &str = include_str!("benign/set.txt");
/// Words and hosts: `text WORDS` or `host NAME` a line.
const WORDS: &str = include_str!("benign/words.txt");

/// Distinct frames near the set that make a video near it: so many that line up are a match, so that such
/// an alert would find every other video with these cards in it.
pub const MOST_FRAMES: usize = 2;

/// The set of this version.
static STANDARD: LazyLock<BenignSet> = LazyLock::new(|| BenignSet::read(DRAWN, WORDS).0);

/// What is everybody's.
pub struct BenignSet {
    /// As drawn, and turned, mirrored and inverted: an alert about these finds it too.
    pictures: HashIndex,
    names: Vec<String>,
    sha256: HashMap<Sha256Digest, usize>,
    md5: HashMap<Md5Digest, usize>,
    short_texts: HashMap<Sha256Digest, usize>,
    texts: Vec<(Grams, usize)>,
    links: HashMap<Sha256Digest, usize>,
}

/// What an alert is near, if it is near anything of this version's set: its name.
#[must_use]
pub fn benign(signals: &[Signal]) -> Option<&'static str> {
    STANDARD.near(signals)
}

impl BenignSet {
    /// Reads a set; with the lines that are none.
    fn read<'a>(drawn: &'a str, words: &'a str) -> (Self, Vec<&'a str>) {
        let mut set = Self {
            // Its contents are known to all: there is nothing to hide from anybody.
            pictures: HashIndex::new([0; 32]),
            names: Vec::new(),
            sha256: HashMap::new(),
            md5: HashMap::new(),
            short_texts: HashMap::new(),
            texts: Vec::new(),
            links: HashMap::new(),
        };
        let lines = drawn.lines().chain(words.lines()).filter(|line| !line.starts_with('#'));
        let wrong = lines.filter(|line| set.take(line).is_none()).collect();
        (set, wrong)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        let place = self.names.len();
        let (value, name) = match kind {
            "text" | "host" => (rest, format!("{kind} {rest:?}")),
            _ => rest.split_once(' ').map(|(value, name)| (value, name.to_owned()))?,
        };
        match kind {
            "pdq" => {
                let pdq = value.parse::<Pdq>().ok()?;
                for hash in std::iter::once(pdq).chain(pdq.turned()) {
                    self.pictures.insert(place as u64, &hash);
                }
            }
            "sha256" => drop(self.sha256.insert(value.parse().ok()?, place)),
            "md5" => drop(self.md5.insert(value.parse().ok()?, place)),
            "text" => self.take_text(value, place)?,
            "host" => self.take_host(value, place)?,
            _ => return None,
        }
        self.names.push(name);
        Some(())
    }

    fn take_text(&mut self, text: &str, place: usize) -> Option<()> {
        for print in TextPrint::of(text).ok()? {
            match print {
                TextPrint::Short(digest) => drop(self.short_texts.insert(digest, place)),
                TextPrint::Long(grams) => self.texts.push((grams, place)),
            }
        }
        Some(())
    }

    /// The host with all below it, all that lies under its root, and its first page.
    fn take_host(&mut self, host: &str, place: usize) -> Option<()> {
        for host in [host.to_owned(), format!("www.{host}")] {
            for scheme in ["https", "http"] {
                let link = format!("{scheme}://{host}/");
                for scope in [LinkScope::Exact, LinkScope::Prefix, LinkScope::Host] {
                    // A name that stands for a part of the world is refused in alerts as it is here.
                    let Ok(print) = LinkPrint::named(&link, scope) else { continue };
                    self.links.insert(print.digest(), place);
                }
            }
        }
        Some(())
    }

    /// The name of what any of the signals is near.
    #[must_use]
    pub fn near(&self, signals: &[Signal]) -> Option<&str> {
        let place = signals.iter().find_map(|signal| self.place_near(signal))?;
        self.names.get(place).map(String::as_str)
    }

    fn place_near(&self, signal: &Signal) -> Option<usize> {
        let ValueOrBlob::Value(value) = &signal.value else { return None };
        match value {
            Value::Pdq(pdq) => self.picture(pdq),
            Value::Vpdq(vpdq) => self.video(vpdq, signal),
            Value::Sha256(digest) => self.sha256.get(digest).copied(),
            Value::Md5(digest) => self.md5.get(digest).copied(),
            Value::Text(TextPrint::Short(digest)) => self.short_texts.get(digest).copied(),
            Value::Text(TextPrint::Long(text)) => {
                // An alert about a part of it finds all of it; one that has it in the middle of its own
                // words is found by these.
                let near = |(known, _): &&(Grams, usize)| {
                    text.distance_in(known).is_some_and(|distance| distance <= MAX_TEXT_DISTANCE)
                };
                self.texts.iter().find(near).map(|(_, place)| *place)
            }
            Value::Url(link) => self.links.get(&link.digest()).copied(),
            Value::Features(_) | Value::Audio(_) => None,
        }
    }

    fn picture(&self, pdq: &Pdq) -> Option<usize> {
        let found = self.pictures.search(pdq, MAX_DISTANCE, 1);
        found.hits.first().and_then(|(place, _)| usize::try_from(*place).ok())
    }

    fn video(&self, vpdq: &Vpdq, signal: &Signal) -> Option<usize> {
        let mut distinct = HashMap::<Pdq, usize>::new();
        for frame in harmful_frames(vpdq, signal.span) {
            if frame.quality < MIN_QUALITY || distinct.contains_key(&frame.pdq) {
                continue;
            }
            if let Some(place) = self.picture(&frame.pdq) {
                distinct.insert(frame.pdq, place);
                if distinct.len() > MOST_FRAMES {
                    return Some(place);
                }
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use watchfire_signal::{value::Span, vpdq::Frame};

    use super::*;

    fn drawn(name: &str) -> Pdq {
        let line = DRAWN.lines().find(|line| line.starts_with("pdq") && line.ends_with(name));
        line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn every_line_of_the_set_is_read() {
        let (set, wrong) = BenignSet::read(DRAWN, WORDS);
        assert!(wrong.is_empty(), "{wrong:?}");
        let sizes = (set.pictures.len(), set.md5.len(), set.links.len(), set.texts.len());
        assert!(sizes.0 > 4_000 && sizes.1 > 250 && sizes.2 > 200 && sizes.3 > 1, "{sizes:?}");
    }

    #[test]
    fn a_test_card_is_near_it_however_it_is_turned_and_a_picture_is_not() {
        let card = drawn(" test-card-wide");
        let mut edited = card;
        edited.0[3] ^= 0xff;
        edited.0[9] ^= 0xff;
        for pdq in [card, edited, card.complement(), card.mirrored()] {
            assert!(benign(&[Signal::new(pdq)]).is_some());
        }
        assert_eq!(benign(&[Signal::new(card)]), Some("test-card-wide"));
        let picture: [u8; 32] = std::array::from_fn(|place| (place * 37 % 256) as u8);
        assert_eq!(benign(&[Signal::new(Pdq(picture))]), None);
        assert!(benign(&[Signal::new(Pdq(picture)), Signal::new(card)]).is_some());
    }

    #[test]
    fn a_video_of_cards_is_near_it_and_one_that_begins_with_a_card_is_not() {
        let names = [" bars-100-wide", " play-dark-wide", " crosshatch-wide"];
        let frame =
            |(number, pdq): (u32, Pdq)| Frame { number, quality: 100, pdq, at_ms: number * 500 };
        let video = |hashes: Vec<Pdq>| Vpdq { frames: (0..).zip(hashes).map(frame).collect() };
        let cards: Vec<_> = names.iter().map(|name| drawn(name)).collect();
        assert!(benign(&[Signal::new(video(cards.clone()))]).is_some());
        let own =
            (0..9).map(|number| Pdq(std::array::from_fn(|place| (place * 31 + number * 83) as u8)));
        let film = video(cards[..2].iter().copied().chain(own.clone()).collect());
        assert_eq!(benign(&[Signal::new(film)]), None);
        // Only what is listed counts.
        let late = video(cards.into_iter().chain(own).collect());
        let span = Some(Span { start_ms: 1_500, end_ms: 9_000 });
        assert_eq!(benign(&[Signal { span, ..Signal::new(late) }]), None);
    }

    #[test]
    fn words_that_everybody_writes_are_near_it_and_those_around_them_are_not() {
        let text = |words: &str| {
            let prints = TextPrint::of(words).unwrap();
            prints.into_iter().map(Signal::new).collect::<Vec<_>>()
        };
        assert!(benign(&text("Happy   Birthday!")).is_some());
        assert!(benign(&text("H4ppy birthd4y, you are next, and I know where you live")).is_none());
        let filler = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod \
                      tempor incididunt ut labore";
        assert!(benign(&text(filler)).is_some());
        let own = format!(
            "{filler}. Nobody else has ever written the words with which this one goes on, about a \
             lighthouse, three brothers, and what they owed to a man in Trieste since the winter."
        );
        assert!(benign(&text(&own)).is_none());
    }

    #[test]
    fn a_host_that_half_the_world_is_under_is_near_it_and_a_page_there_is_not() {
        let link = |text: &str, scope| vec![Signal::new(LinkPrint::named(text, scope).unwrap())];
        assert!(benign(&link("https://www.google.com/", LinkScope::Exact)).is_some());
        assert!(benign(&link("google.com", LinkScope::Host)).is_some());
        assert!(benign(&link("http://www.youtube.com", LinkScope::Prefix)).is_some());
        assert!(benign(&link("https://www.youtube.com/watch?v=1", LinkScope::Exact)).is_none());
        assert!(benign(&link("https://harm.example/", LinkScope::Host)).is_none());
    }

    #[test]
    fn files_in_which_nothing_stands_are_near_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let empty: Sha256Digest = empty.parse().unwrap();
        assert_eq!(benign(&[Signal::new(empty)]), Some("empty-file"));
        let empty: Md5Digest = "d41d8cd98f00b204e9800998ecf8427e".parse().unwrap();
        assert_eq!(benign(&[Signal::new(empty)]), Some("empty-file"));
        assert_eq!(benign(&[Signal::new(Md5Digest([7; 16]))]), None);
    }
}
