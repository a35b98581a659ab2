//! Looks pictures up among pictures of alerts: by their hashes and by their features.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use watchfire_index::{Bare, HashIndex, VariantIndex, VariantLimits};
use watchfire_media::{
    features, pdq,
    picture::{self, Picture},
    regions::{self, Subject},
};
use watchfire_signal::{
    alert::ContentKind,
    features::SeenPicture,
    pdq::{MAX_DISTANCE, MIN_QUALITY, Pdq},
    value::{Signal, Value, ValueOrBlob},
};

use crate::{
    alerts::through_alert,
    list::{Answer, Line, look_up_all, ms, with_role},
};

/// Parts of a picture whose features are looked up too.
const LOOKED_INTO: usize = 4;

/// What a member keeps of references.
struct Known {
    hashes: HashIndex,
    variants: VariantIndex,
    bytes: usize,
}

/// What a picture is looked up by, and how long it took to see that.
struct Query {
    hashes: Vec<(&'static str, Pdq)>,
    seen: Vec<SeenPicture>,
    hashing_ms: f64,
    looking_ms: f64,
}

pub(crate) fn run(lines: &[Line], out: &str) -> io::Result<()> {
    let known = Known::of(lines)?;
    let hashes = Mutex::new(BufWriter::new(File::create(format!("{out}.pdq"))?));
    for (number, line) in with_role(lines, "reference") {
        if let Some(picture) = read(&line.path)? {
            write_hash(&hashes, number, &picture)?;
        }
    }
    let look_up = |number: usize, line: &Line| {
        let Some(picture) = read(&line.path)? else { return Ok(None) };
        write_hash(&hashes, number, &picture)?;
        let query = Query::of(&picture);
        let searching = Instant::now();
        let found = known.search(&query);
        let times = [query.hashing_ms, query.looking_ms, ms(searching)];
        Ok(Some(Answer { found, times }))
    };
    let (queries, [hashing, looking, searching]) = look_up_all(lines, out, look_up)?;
    let references = known.variants.len();
    println!(
        "{{\"references\":{references},\"bytes_a_print\":{},\"index_bytes_a_reference\":{},\
         \"queries\":{queries},\"hash_ms\":{hashing:.2},\"features_ms\":{looking:.2},\
         \"search_ms\":{searching:.2}}}",
        known.bytes / references.max(1),
        known.variants.memory_bytes() / references.max(1),
    );
    Ok(())
}

/// Writes the hash of a whole picture and its seven turns, to compare all with all.
fn write_hash(out: &Mutex<impl Write>, number: usize, picture: &Picture) -> io::Result<()> {
    let Some(print) = pdq::hash(picture.pixels()) else { return Ok(()) };
    if print.quality < MIN_QUALITY {
        return Ok(());
    }
    let turns = print.dihedral().map(|hash| hash.to_string()).join("\t");
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(out, "{number}\t{turns}")
}

fn read(path: &str) -> io::Result<Option<Picture>> {
    Ok(picture::decode(&fs::read(path)?, &picture::Limits::default()).ok())
}

impl Known {
    fn of(lines: &[Line]) -> io::Result<Self> {
        let limits = VariantLimits::default();
        let mut known = Self {
            hashes: HashIndex::new([3; 32]),
            variants: VariantIndex::new([7; 32], limits),
            bytes: 0,
        };
        for (number, line) in with_role(lines, "reference") {
            let Some(picture) = read(&line.path)? else { continue };
            let signals = through_alert(ContentKind::Image, signals(&picture))?;
            drop(picture);
            known.insert(number as u64, &signals)?;
        }
        Ok(known)
    }

    fn insert(&mut self, id: u64, signals: &[Signal]) -> io::Result<()> {
        let hash = |signal: &Signal| match signal.value {
            ValueOrBlob::Value(Value::Pdq(hash)) if signal.quality >= Some(MIN_QUALITY) => {
                Some(hash)
            }
            _ => None,
        };
        let hashes: Vec<Pdq> = signals.iter().filter_map(hash).collect();
        hashes.iter().for_each(|hash| self.hashes.insert(id, hash));
        for signal in signals {
            let ValueOrBlob::Value(Value::Features(print)) = &signal.value else { continue };
            self.bytes += print.to_bytes().len();
            let full = |_| io::Error::other("the index is full");
            self.variants.insert_hashed(id, print, &hashes).map_err(full)?;
        }
        Ok(())
    }

    fn search(&self, query: &Query) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        for (method, hash) in &query.hashes {
            for (id, distance) in self.hashes.search(hash, MAX_DISTANCE, 100).hits {
                found.push((id, format!("{method}\tmatch\t{distance}")));
            }
        }
        for one in self.variants.search(&query.seen, 40).matches {
            let a = one.agreement;
            let b = one.second.unwrap_or_default();
            let counts = [a.agreed, a.compared, a.all, a.signs, a.covered, a.flat, a.bent];
            // 256: no hash to compare with, or too little is shown.
            let again = [b.both, b.beyond, b.torn, b.held, b.against, b.laid.unwrap_or(256)];
            let part = b.part.unwrap_or_default();
            let part = [part.held, part.both, part.against, u32::from(b.hole)];
            let bare = b.bare.unwrap_or(Bare { bits: 256, ..Bare::default() });
            let bare = [bare.bits, bare.held, bare.against, bare.beyond];
            let part = part.into_iter().chain([b.filled.unwrap_or(256)]).chain(bare);
            let counts = counts.into_iter().chain([one.look as u32]).chain(again).chain(part);
            let counts = counts.map(|count| count.to_string()).collect::<Vec<_>>().join("\t");
            let decision = format!("{:?}", one.decision).to_lowercase();
            found.push((
                one.id,
                format!("features\t{decision}\t{}\t{}\t{counts}", one.inliers, one.own),
            ));
        }
        found
    }
}

impl Query {
    fn of(picture: &Picture) -> Self {
        let start = Instant::now();
        let mut hashes = Vec::new();
        let mut add = |pixels: pdq::Pixels<'_>, names: [&'static str; 3]| {
            let Some(print) = pdq::hash(pixels).filter(|print| print.quality >= MIN_QUALITY) else {
                return;
            };
            for (turn, hash) in print.dihedral().into_iter().enumerate() {
                hashes.push((names[usize::from(turn > 0)], hash));
                hashes.push((names[2], hash.complement()));
            }
        };
        add(picture.pixels(), ["pdq", "pdq turned", "pdq inverted"]);
        let inside = regions::content(picture.pixels());
        let parts: Vec<_> =
            inside.iter().map(|inside| regions::cut(picture.pixels(), *inside)).collect();
        for part in &parts {
            add(part.pixels(), ["pdq of a part"; 3]);
        }
        let hashing_ms = ms(start);
        let start = Instant::now();
        let parts = parts.iter().take(LOOKED_INTO).map(regions::Part::pixels);
        let seen = std::iter::once(picture.pixels()).chain(parts).filter_map(features::seen);
        let seen = seen.collect();
        Self { hashes, seen, hashing_ms, looking_ms: ms(start) }
    }
}

/// What a member says of a picture: its hash, and the features of what it shows.
fn signals(picture: &Picture) -> Vec<Signal> {
    let subject = regions::subject(picture.pixels());
    let part = match subject {
        Subject::Part(inside) => Some(regions::cut(picture.pixels(), inside)),
        Subject::Whole | Subject::Unclear => None,
    };
    let own = part.as_ref().map_or(picture.pixels(), regions::Part::pixels);
    let mut signals = Vec::new();
    let pictures = [Some(picture.pixels()), part.as_ref().map(regions::Part::pixels)];
    for print in pictures.into_iter().flatten().filter_map(pdq::hash) {
        signals.push(Signal { quality: Some(print.quality), ..Signal::new(print.pdq) });
    }
    if subject != Subject::Unclear {
        signals.extend(features::print(own).map(Signal::new));
    }
    signals
}
