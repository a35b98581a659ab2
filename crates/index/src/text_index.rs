//! Finds the stored texts that stand in a given one, and those that a given one stands in.
//!
//! **Invariant:** a search finds every stored text within its distance: lists of texts by k-gram only
//! propose, [`Grams::distance_in`] decides.
//! **Invariant:** readers take no lock; what `insert` returned from is found by the next search.
//! **Invariant:** a text that is stored a million times costs the lists once.

mod needs;
mod postings;

use std::{
    cmp::Reverse,
    collections::HashMap as StdHashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use papaya::HashMap;
use watchfire_signal::text_print::{Grams, MAX_TEXT_DISTANCE, MIN_NEAR_GRAMS, Places, needed};

use self::{needs::Needs, postings::Postings};
use crate::{
    memory,
    owners::{Left, Owners},
};

/// K-grams that a proposed text has to share with an upload beside the commonest: one alone is chance.
const LEAST_SHARED: usize = 2;

/// A stored text that stands in another, or that another stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextMatch {
    /// Its id.
    pub text: u64,
    /// An estimated percentage of characters that differ.
    pub distance: u32,
    /// Whether it is sure; if not, the two may share no more than a phrase.
    pub sure: bool,
}

/// A concurrent index of texts by their k-grams.
#[derive(Default)]
pub struct TextIndex {
    /// Stored texts by their number.
    texts: HashMap<u32, Arc<Text>>,
    postings: Postings,
    /// How many k-grams of each another text has to have for a match.
    needs: Needs,
    /// One more than the greatest number that was given.
    numbers: AtomicU32,
    writer: Mutex<Writer>,
}

/// A stored text with everybody who has it.
struct Text {
    grams: Grams,
    distinct: Arc<[u32]>,
    ids: Owners,
}

/// Which number each text has; numbers are used again.
#[derive(Default)]
struct Writer {
    numbers: StdHashMap<Grams, u32>,
    of: StdHashMap<u64, u32>,
    free: Vec<u32>,
    /// Bytes of the texts.
    texts_bytes: usize,
}

impl TextIndex {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a text under an id, in place of what was stored under it; the next search finds it.
    pub fn insert(&self, id: u64, grams: &Grams) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, id);
        let number = match writer.numbers.get(grams) {
            Some(number) => {
                let number = *number;
                self.change(&mut writer, number, |ids| ids.with(id));
                number
            }
            None => self.store(&mut writer, grams, id),
        };
        writer.of.insert(id, number);
    }

    /// Gives a text to others.
    fn change(
        &self,
        writer: &mut Writer,
        number: u32,
        owners: impl FnOnce(&Owners) -> Option<Owners>,
    ) {
        let texts = self.texts.pin();
        let Some(text) = texts.get(&number) else { return };
        let before = text.bytes();
        let after = match owners(&text.ids) {
            None => text.bytes(),
            Some(ids) => {
                let (grams, distinct) = (text.grams.clone(), Arc::clone(&text.distinct));
                let changed = Arc::new(Text { grams, distinct, ids });
                let bytes = changed.bytes();
                texts.insert(number, changed);
                bytes
            }
        };
        writer.texts_bytes = writer.texts_bytes + after - before;
    }

    /// Takes a text from an id. False if there was none.
    pub fn remove(&self, id: u64) -> bool {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&mut writer, id)
    }

    fn store(&self, writer: &mut Writer, grams: &Grams, id: u64) -> u32 {
        let number = writer.free.pop().unwrap_or(writer.numbers.len() as u32);
        let distinct = grams.distinct();
        self.needs.set(number, needed(distinct.len(), MAX_TEXT_DISTANCE));
        let (grams_held, distinct) = (grams.clone(), Arc::from(distinct));
        let text = Text { grams: grams_held, distinct, ids: Owners::one(id) };
        let text = Arc::new(text);
        writer.texts_bytes += text.bytes();
        writer.numbers.insert(grams.clone(), number);
        // Readers size their counts by this, and meet the number in the lists only afterwards.
        self.numbers.fetch_max(number + 1, Ordering::SeqCst);
        self.texts.pin().insert(number, text.clone());
        text.distinct.iter().for_each(|gram| self.postings.add(*gram, number));
        number
    }

    fn take(&self, writer: &mut Writer, id: u64) -> bool {
        let Some(number) = writer.of.remove(&id) else { return false };
        let texts = self.texts.pin();
        let Some(text) = texts.get(&number) else { return false };
        let before = text.bytes();
        let left = text.ids.without(id);
        if let Left::Nobody = left {
            text.distinct.iter().for_each(|gram| self.postings.take(*gram, number));
            writer.numbers.remove(&text.grams);
            writer.texts_bytes -= before;
            writer.free.push(number);
            texts.remove(&number);
        } else if let Left::These(ids) = left {
            self.change(writer, number, |_| Some(ids));
        } else {
            writer.texts_bytes = writer.texts_bytes + text.bytes() - before;
        }
        true
    }

    /// The stored texts that stand in this one, with their distances, the nearest first: what is known,
    /// in an upload.
    #[must_use]
    pub fn search_in(&self, upload: &Grams) -> Vec<TextMatch> {
        // A text that matches shares at least `needed` k-grams with the upload; of the upload's lists
        // the longest, fewer than the least that any text needs, can be left out.
        let least = needed(MIN_NEAR_GRAMS, MAX_TEXT_DISTANCE);
        let skipped = least.saturating_sub(LEAST_SHARED);
        let mut shared = self.share(&upload.distinct(), skipped, least - skipped);
        shared.retain(|(number, count)| count + skipped >= self.needs.of(*number));
        let places = Places::of(upload);
        self.found(&shared, |text| {
            let distance = places.distance(&text.grams, &text.distinct)?;
            Some((distance, text.grams.is_sure_in(upload, distance)))
        })
    }

    /// The stored texts that this one stands in, with its distances, the nearest first: what is held,
    /// around an alert's text.
    #[must_use]
    pub fn search_around(&self, known: &Grams) -> Vec<TextMatch> {
        let distinct = known.distinct();
        let needed = needed(distinct.len(), MAX_TEXT_DISTANCE);
        let skipped = needed * 3 / 4;
        let shared = self.share(&distinct, skipped, needed - skipped);
        self.found(&shared, |text| {
            let distance = Places::of(&text.grams).distance(known, &distinct)?;
            Some((distance, known.is_sure_in(&text.grams, distance)))
        })
    }

    /// The numbers of texts that stand in at least so many of the lists of these k-grams, and in how
    /// many; the longest lists are left out.
    fn share(&self, distinct: &[u32], skipped: usize, least: usize) -> Vec<(u32, usize)> {
        let mut lists = self.postings.lists(distinct);
        // Their lengths change under a writer.
        lists.sort_by_cached_key(|list| Reverse(list.len()));
        let mut counts = vec![0_u16; self.numbers.load(Ordering::SeqCst) as usize];
        let mut shared = Vec::new();
        for list in lists.iter().skip(skipped) {
            for number in list.numbers() {
                // A number beyond is of a text that was stored after this search began.
                let Some(count) = counts.get_mut(number as usize) else { continue };
                *count = count.saturating_add(1);
                if usize::from(*count) == least {
                    shared.push(number);
                }
            }
        }
        shared.into_iter().map(|number| (number, usize::from(counts[number as usize]))).collect()
    }

    fn found(
        &self,
        shared: &[(u32, usize)],
        compare: impl Fn(&Text) -> Option<(u32, bool)>,
    ) -> Vec<TextMatch> {
        let texts = self.texts.pin();
        let mut hits = Vec::new();
        for text in shared.iter().filter_map(|(number, _)| texts.get(number)) {
            if let Some((distance, sure)) = compare(text) {
                let ids = text.ids.some(usize::MAX).into_iter();
                hits.extend(ids.map(|text| TextMatch { text, distance, sure }));
            }
        }
        hits.sort_unstable_by_key(|hit| (hit.distance, hit.text));
        hits
    }

    /// The number of distinct texts stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Bytes of memory the index uses.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        memory::of_map(&self.texts)
            + writer.texts_bytes
            + self.postings.bytes()
            + self.needs.bytes()
            + memory::of_table(&writer.numbers)
            + memory::of_table(&writer.of)
            + writer.free.capacity() * size_of::<u32>()
    }
}

impl Text {
    /// Bytes of memory.
    fn bytes(&self) -> usize {
        let blocks = self.grams.blocks();
        let grams: usize = blocks.iter().map(|block| size_of_val(&**block)).sum();
        let held = size_of_val(blocks) + grams + size_of_val(&*self.distinct);
        3 * memory::COUNTS + size_of::<Self>() + held + self.ids.bytes()
    }
}
