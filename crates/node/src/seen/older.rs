//! The older items of the seen table: flat files of their signals that only propose rows, and propose what is
//! near turned, mirrored or inverted too; the store's row decides. A view: a file that is damaged or gone is made again from the store.
//!
//! **Invariant:** a file holds every signal of every row in its range that was in the store when it was
//! made; what was deleted or replaced since is told by the row that is not there any more.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use watchfire_index::{
    MIN_ALIGNED_FRAMES,
    flat::{ABOUT_BYTES, Flat, FlatSignals, Section, ask_all},
};
use watchfire_signal::{
    pdq::{MAX_DISTANCE, MIN_QUALITY, Pdq},
    text_print::{Grams, MAX_TEXT_DISTANCE, TextPrint, needed},
    value::{Signal, Value},
};
use watchfire_store::{Batch, Row, SeenItem, Store, StoreError, Table};

use super::Item;
use crate::near::{harmful_frames, matchable};

/// Rows read at once while a file is made.
const PAGE: usize = 4_096;
/// How many items each file still stands for, by its first row: without it the count when it was made
/// is taken, and a little too much is dropped when limits are near.
const COUNTS: Table = Table::View("seen_files");
/// Files whose counts are read at once.
const COUNTS_PAGE: usize = 1_024;
/// What the key of a k-gram begins with; its hash has the lower half.
const GRAM_KEYS: u64 = 0x7465_7874 << 32;
/// What the names of files end in.
const EXTENSION: &str = "flat";

/// Rows of the store, those above `after` up to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rows {
    pub(super) after: u64,
    pub(super) last: u64,
}

/// How much goes into one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) items: usize,
    pub(super) bytes: u64,
}

/// All files, in order of their rows.
pub(super) struct Older {
    directory: Option<PathBuf>,
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
}

/// One file.
pub(super) struct Segment {
    flat: Flat,
    pub(super) rows: Rows,
    /// Items when it was made.
    made_of: u64,
    items: AtomicU64,
    item_bytes: AtomicU64,
    /// Whether these two were not saved since they changed.
    changed: AtomicBool,
}

impl Older {
    /// Opens the files of a directory, which is made; those that are damaged or overlap are deleted.
    /// Without a directory there are none, and none is ever made. Blocks on the disk.
    pub(super) fn open(directory: Option<PathBuf>) -> io::Result<Self> {
        let mut segments = Vec::<Arc<Segment>>::new();
        if let Some(directory) = &directory {
            std::fs::create_dir_all(directory)?;
            let mut paths = std::fs::read_dir(directory)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()?;
            paths.sort();
            for path in paths {
                match Segment::open(&path) {
                    Ok(segment)
                        if segments
                            .last()
                            .is_none_or(|last| last.rows.last <= segment.rows.after) =>
                    {
                        segments.push(Arc::new(segment));
                    }
                    found => {
                        let why =
                            found.err().map_or("it overlaps".to_owned(), |error| error.to_string());
                        tracing::warn!(path = %path.display(), why, "a file of seen signals is made again");
                        std::fs::remove_file(&path)?;
                    }
                }
            }
        }
        Ok(Self { directory, segments: RwLock::new(Arc::new(segments)) })
    }

    /// Whether items may move into files.
    pub(super) fn is_on(&self) -> bool {
        self.directory.is_some()
    }

    pub(super) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last row that is in a file.
    pub(super) fn covered(&self) -> u64 {
        self.segments().last().map_or(0, |segment| segment.rows.last)
    }

    /// Rows before the last file that are in none.
    pub(super) fn gaps(&self) -> Vec<Rows> {
        let mut gaps = Vec::new();
        let mut after = 0;
        for segment in self.segments().iter() {
            if after < segment.rows.after {
                gaps.push(Rows { after, last: segment.rows.after });
            }
            after = segment.rows.last;
        }
        gaps
    }

    /// Items and bytes: of their rows, and of their part of the files. What is gone has no part,
    /// although a file keeps it for a while: or else more and more would have to go.
    pub(super) fn size(&self) -> (u64, u64) {
        self.segments().iter().fold((0, 0), |(items, bytes), segment| {
            let live = segment.items.load(Ordering::Relaxed);
            let item_bytes = segment.item_bytes.load(Ordering::Relaxed);
            let of_file = u128::from(segment.flat.bytes()) * u128::from(live)
                / u128::from(segment.made_of.max(1));
            let of_file = u64::try_from(of_file).unwrap_or(u64::MAX);
            (items + live, bytes + item_bytes + of_file)
        })
    }

    /// Makes a file of the first rows of a range and puts it in the place of one that began there.
    /// Answers the rows that it covers with their items; `None` where the range has no rows.
    pub(super) async fn make(
        &self,
        store: &dyn Store,
        rows: Rows,
        cut: Cut,
    ) -> Result<Option<(Rows, Vec<SeenItem>)>, StoreError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let mut of = Contents::new(rows.after);
        let mut after = rows.after;
        'pages: loop {
            let page = store.seen(after, PAGE.min(cut.items - of.items.len())).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (row, item) in page {
                let full = of.items.len() >= cut.items || of.bytes >= cut.bytes;
                if row > rows.last || full || !of.take(row, item)? {
                    break 'pages;
                }
            }
            if of.items.len() >= cut.items {
                break;
            }
        }
        if of.items.is_empty() {
            return Ok(None);
        }
        let directory = directory.clone();
        let written = tokio::task::spawn_blocking(move || of.write(&directory)).await;
        let written = written.map_err(|error| StoreError::Failed(error.to_string()))?;
        let (segment, items) = written.map_err(|error| StoreError::Failed(error.to_string()))?;
        let rows = segment.rows;
        self.change(|segments| {
            segments.retain(|held| held.rows.after != rows.after);
            let place = segments.partition_point(|held| held.rows.after < rows.after);
            segments.insert(place, Arc::new(segment));
        });
        Ok(Some((rows, items)))
    }

    /// Notes that a row is gone from the store.
    pub(super) fn forget(&self, row: u64, item: &SeenItem) {
        let segments = self.segments();
        let place = segments.partition_point(|segment| segment.rows.last < row);
        if let Some(segment) = segments.get(place).filter(|segment| row > segment.rows.after) {
            let less = |from: &AtomicU64, by: u64| {
                let sub = |held: u64| Some(held.saturating_sub(by));
                // The closure always answers.
                let _before = from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sub);
            };
            less(&segment.items, 1);
            less(&segment.item_bytes, item.bytes());
            segment.changed.store(true, Ordering::Relaxed);
        }
    }

    /// Deletes files of which no row is left, and makes one again that is mostly gone.
    pub(super) async fn reclaim(&self, store: &dyn Store) -> Result<(), StoreError> {
        let live = |segment: &Segment| segment.items.load(Ordering::Relaxed);
        let segments = self.segments();
        for segment in segments.iter().filter(|segment| live(segment) == 0) {
            self.drop_segment(store, segment).await?;
        }
        let half_gone = |segment: &&Arc<Segment>| {
            let live = live(segment);
            live > 0 && live * 2 < segment.made_of
        };
        if let Some(segment) = segments.iter().find(half_gone) {
            let whole = Cut { items: usize::MAX, bytes: u64::MAX };
            if self.make(store, segment.rows, whole).await?.is_none() {
                self.drop_segment(store, segment).await?;
            }
        }
        Ok(())
    }

    async fn drop_segment(&self, store: &dyn Store, segment: &Segment) -> Result<(), StoreError> {
        self.change(|segments| segments.retain(|held| held.rows != segment.rows));
        let Some(directory) = &self.directory else { return Ok(()) };
        if let Err(error) = std::fs::remove_file(path(directory, segment.rows)) {
            tracing::warn!(%error, "a file of seen signals could not be deleted");
        }
        write_counts(store, vec![segment.counts(false)]).await
    }

    /// Reads what was counted before this start.
    pub(super) async fn load_counts(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut after = Vec::new();
        loop {
            let page = store.rows(COUNTS, &after, COUNTS_PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (key, value) in page {
                for segment in self.segments().iter().filter(|segment| segment.key() == key[..]) {
                    segment.take_counts(&value);
                }
            }
        }
    }

    /// Writes down what has changed in the counts.
    pub(super) async fn save_counts(&self, store: &dyn Store) -> Result<(), StoreError> {
        let segments = self.segments();
        let changed = segments.iter().filter(|held| held.changed.swap(false, Ordering::Relaxed));
        let rows: Vec<Row> = changed.map(|held| held.counts(true)).collect();
        write_counts(store, rows).await
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>)) {
        let mut held = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let mut segments = held.to_vec();
        change(&mut segments);
        *held = Arc::new(segments);
    }
}

fn path(directory: &Path, rows: Rows) -> PathBuf {
    directory.join(format!("{:016x}.{EXTENSION}", rows.after))
}

/// What goes into one file.
struct Contents {
    rows: Rows,
    signals: FlatSignals,
    items: Vec<SeenItem>,
    bytes: u64,
}

impl Contents {
    fn new(after: u64) -> Self {
        let rows = Rows { after, last: after };
        Self { rows, signals: FlatSignals::default(), items: Vec::new(), bytes: 0 }
    }

    /// Takes a row; `false` where it is too far from the first to be numbered in this file.
    fn take(&mut self, row: u64, stored: SeenItem) -> Result<bool, StoreError> {
        let Ok(owner) = u32::try_from(row - self.rows.after) else { return Ok(false) };
        let item = Item::from_row(row, &stored)?;
        self.signals.pictures.extend(item.parts.iter().map(|part| (*part, owner)));
        for signal in item.signals {
            match matchable(&signal) {
                Some(Value::Pdq(pdq)) => self.signals.pictures.push((*pdq, owner)),
                Some(Value::Vpdq(vpdq)) => {
                    let frames = vpdq.frames.iter().filter(|frame| frame.quality >= MIN_QUALITY);
                    let distinct: HashSet<Pdq> = frames.map(|frame| frame.pdq).collect();
                    self.signals.frames.extend(distinct.into_iter().map(|pdq| (pdq, owner)));
                }
                Some(Value::Text(TextPrint::Long(text))) => {
                    self.signals.digests.extend(gram_keys(text).map(|key| (key, owner)));
                }
                Some(Value::Url(link)) => {
                    self.signals.digests.extend(link.all().map(|place| (first(&place.0), owner)));
                }
                Some(value) => self.signals.digests.extend(key(value).map(|key| (key, owner))),
                None => {}
            }
        }
        self.rows.last = row;
        self.bytes += stored.bytes();
        self.items.push(stored);
        Ok(true)
    }

    fn write(self, directory: &Path) -> io::Result<(Segment, Vec<SeenItem>)> {
        let made_of = self.items.len() as u64;
        let mut about = [0; ABOUT_BYTES];
        let numbers = [self.rows.after, self.rows.last, made_of, self.bytes];
        for (bytes, number) in about.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *bytes = number.to_le_bytes();
        }
        let flat = Flat::write(&path(directory, self.rows), about, self.signals)?;
        Ok((Segment::of(flat), self.items))
    }
}

impl Segment {
    fn open(file: &Path) -> io::Result<Self> {
        let segment = Self::of(Flat::open(file)?);
        let directory = file.parent().unwrap_or(file);
        if path(directory, segment.rows) != file {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has another name"));
        }
        Ok(segment)
    }

    fn of(flat: Flat) -> Self {
        let numbers = flat.about().as_chunks::<8>().0;
        let number = |at: usize| u64::from_le_bytes(numbers[at]);
        let (rows, made_of, bytes) =
            (Rows { after: number(0), last: number(1) }, number(2), number(3));
        let (items, item_bytes) = (AtomicU64::new(made_of), AtomicU64::new(bytes));
        Self { flat, rows, made_of, items, item_bytes, changed: AtomicBool::new(false) }
    }

    fn key(&self) -> [u8; 8] {
        self.rows.after.to_be_bytes()
    }

    /// The row of the counts, to write or to delete.
    fn counts(&self, keep: bool) -> Row {
        let items = self.items.load(Ordering::Relaxed);
        let bytes = self.item_bytes.load(Ordering::Relaxed);
        let numbers = [self.rows.last, self.made_of, items, bytes];
        let value = keep.then(|| numbers.map(u64::to_be_bytes).concat());
        Row { table: COUNTS, key: self.key().to_vec(), value }
    }

    /// Takes counts that were saved of this very file.
    fn take_counts(&self, value: &[u8]) {
        let (numbers, _) = value.as_chunks::<8>();
        let [last, made_of, items, bytes] = numbers else { return };
        let number = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
        if (number(last), number(made_of)) == (self.rows.last, self.made_of) {
            self.items.store(number(items), Ordering::Relaxed);
            self.item_bytes.store(number(bytes), Ordering::Relaxed);
        }
    }

    /// Rows that may match.
    fn candidates(&self, wanted: &Wanted) -> Vec<u64> {
        let mut owners = HashSet::new();
        let near = self.flat.near(Section::Pictures, &wanted.pictures, MAX_DISTANCE);
        owners.extend(near.into_iter().map(|hit| hit.owner));
        let mut frames = HashMap::<(u32, u32), HashSet<u32>>::new();
        for hit in self.flat.near(Section::Frames, &wanted.frames, MAX_DISTANCE) {
            let video = wanted.video_of[hit.query as usize];
            frames.entry((hit.owner, video)).or_default().insert(hit.query);
        }
        let enough = |frames: &HashSet<u32>| frames.len() >= MIN_ALIGNED_FRAMES as usize;
        let videos = frames.into_iter().filter(|(_, frames)| enough(frames));
        owners.extend(videos.map(|((owner, _), _)| owner));
        for key in &wanted.keys {
            owners.extend(self.flat.with_key(*key));
        }
        for text in &wanted.texts {
            let mut shared = HashMap::<u32, usize>::new();
            for owner in text.keys.iter().flat_map(|key| owners_with(&self.flat, *key)) {
                *shared.entry(owner).or_default() += 1;
            }
            let enough = shared.into_iter().filter(|(_, count)| *count >= text.needed);
            owners.extend(enough.map(|(owner, _)| owner));
        }
        let mut rows: Vec<u64> =
            owners.into_iter().map(|owner| self.rows.after + u64::from(owner)).collect();
        rows.sort_unstable();
        rows
    }
}

async fn write_counts(store: &dyn Store, rows: Vec<Row>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    store.commit(Batch { rows, ..Batch::default() }).await.map_err(StoreError::from)
}

/// What is looked for.
#[derive(Default)]
struct Wanted {
    pictures: Vec<Pdq>,
    /// Distinct frames of each video.
    frames: Vec<Pdq>,
    /// Which of the signals each frame is of.
    video_of: Vec<u32>,
    keys: Vec<u64>,
    texts: Vec<WantedText>,
}

/// A text that has to stand in another.
struct WantedText {
    /// One for each k-gram.
    keys: Vec<u64>,
    /// How many of them an item has at least if the text stands in it.
    needed: usize,
}

impl Wanted {
    fn of(signals: &[Signal]) -> Self {
        let mut wanted = Self::default();
        for (signal, place) in signals.iter().zip(0u32..) {
            match matchable(signal) {
                Some(Value::Pdq(pdq)) => wanted.pictures.push(*pdq),
                Some(Value::Vpdq(vpdq)) => {
                    let frames = harmful_frames(vpdq, signal.span);
                    let counts = frames.iter().filter(|frame| frame.quality >= MIN_QUALITY);
                    let distinct: HashSet<Pdq> = counts.map(|frame| frame.pdq).collect();
                    wanted.video_of.extend(distinct.iter().map(|_| place));
                    wanted.frames.extend(distinct);
                }
                Some(Value::Text(TextPrint::Long(text))) => {
                    let keys: Vec<u64> = gram_keys(text).collect();
                    let needed = needed(keys.len(), MAX_TEXT_DISTANCE);
                    wanted.texts.push(WantedText { keys, needed });
                }
                Some(value) => wanted.keys.extend(key(value)),
                None => {}
            }
        }
        wanted
    }
}

/// The key of a digest, or of what a link stands for.
fn key(value: &Value) -> Option<u64> {
    match value {
        Value::Sha256(digest) | Value::Text(TextPrint::Short(digest)) => Some(first(&digest.0)),
        Value::Md5(digest) => Some(first(&digest.0)),
        Value::Url(link) => Some(first(&link.digest().0)),
        _ => None,
    }
}

/// The first bytes of a digest; of fewer than eight none is ever asked for.
fn first(digest: &[u8]) -> u64 {
    digest.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The keys of a text's k-grams, each once.
fn gram_keys(text: &Grams) -> impl Iterator<Item = u64> {
    text.distinct().into_iter().map(|gram| GRAM_KEYS | u64::from(gram))
}

/// The rows that have a key, each once.
fn owners_with(flat: &Flat, key: u64) -> Vec<u32> {
    // Of one key they ascend; pieces of one text can have the same k-gram.
    let mut owners = flat.with_key(key);
    owners.dedup();
    owners
}

/// Rows of the files that may match any of the signals, each once, in order. Blocks on the disk.
pub(super) fn candidates(segments: &[Arc<Segment>], signals: &[Signal]) -> io::Result<Vec<u64>> {
    let wanted = Wanted::of(signals);
    Ok(ask_all(segments, |segment| segment.candidates(&wanted))?.concat())
}
