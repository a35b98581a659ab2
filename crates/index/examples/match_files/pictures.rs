//! Matches pictures against alerts: `match_pictures LIST OUT`, a line of OUT for each match.
//!
//! A line of LIST has a role and, last, a path. References (roles that end in `reference`) are written into
//! alert bodies and read back; nothing else of them is used for queries (roles that end in `query`).
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and reads its settings")]

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    time::Instant,
};

use watchfire_index::{HashIndex, VariantIndex, VariantLimits};
use watchfire_media::{
    features, pdq,
    picture::{self, Picture},
    regions::{self, Subject},
};
use watchfire_signal::{
    alert::{Alert, ContentKind, Suggestion},
    features::SeenPicture,
    pdq::{MAX_DISTANCE, MIN_QUALITY, Pdq},
    statement::Statement,
    value::{Signal, Value, ValueOrBlob},
    verb::Verb,
};

/// Parts of a picture whose features are looked up too.
const LOOKED_INTO: usize = 4;

struct Line {
    role: String,
    path: String,
}

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

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, list, out] = arguments.as_slice() else {
        return Err(io::Error::other("match_pictures LIST OUT"));
    };
    let lines = lines(list)?;
    let known = Known::of(&lines)?;
    let queries: Vec<_> = with_role(&lines, "query").collect();
    let threads = std::thread::available_parallelism()?.get();
    let looked_up = |queries| known.look_up(queries);
    let answers = std::thread::scope(|scope| {
        let share = queries.len().div_ceil(threads).max(1);
        let running = queries.chunks(share).map(|queries| scope.spawn(move || looked_up(queries)));
        let running: Vec<_> = running.collect();
        let failed = |_| io::Error::other("a thread gave up");
        running
            .into_iter()
            .map(|thread| thread.join().map_err(failed)?)
            .collect::<io::Result<Vec<_>>>()
    })?;
    let mut out = BufWriter::new(File::create(out)?);
    let mut times = [0.0; 3];
    for (answer, its_times) in answers {
        out.write_all(answer.as_bytes())?;
        times.iter_mut().zip(its_times).for_each(|(all, its)| *all += its);
    }
    let [hashing, looking, searching] = times.map(|time| time / (queries.len() as f64).max(1.0));
    let references = known.variants.len();
    println!(
        "{{\"references\":{references},\"bytes_a_print\":{},\"index_bytes_a_reference\":{},\
         \"queries\":{},\"hash_ms\":{hashing:.2},\"features_ms\":{looking:.2},\
         \"search_ms\":{searching:.2}}}",
        known.bytes / references.max(1),
        known.variants.memory_bytes() / references.max(1),
        queries.len(),
    );
    out.flush()
}

fn lines(path: &str) -> io::Result<Vec<Line>> {
    let parse = |line: io::Result<String>| {
        let line = line?;
        let mut fields = line.split('\t');
        let role = fields.next().unwrap_or_default().to_owned();
        Ok(Line { role, path: fields.next_back().unwrap_or_default().to_owned() })
    };
    BufReader::new(File::open(path)?).lines().map(parse).collect()
}

fn with_role<'a>(lines: &'a [Line], role: &'a str) -> impl Iterator<Item = (usize, &'a Line)> {
    lines.iter().enumerate().filter(move |(_, line)| line.role.ends_with(role))
}

fn read(path: &str) -> io::Result<Option<Picture>> {
    Ok(picture::decode(&fs::read(path)?, &picture::Limits::default()).ok())
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

impl Known {
    fn of(lines: &[Line]) -> io::Result<Self> {
        let descriptors = std::env::var("DESCRIPTORS").ok().and_then(|text| text.parse().ok());
        let limits = VariantLimits { references: 1_000, descriptors: descriptors.unwrap_or(400) };
        let mut known = Self {
            hashes: HashIndex::new([3; 32]),
            variants: VariantIndex::new([7; 32], limits),
            bytes: 0,
        };
        for (number, line) in with_role(lines, "reference") {
            let Some(picture) = read(&line.path)? else { continue };
            let body = alert_body(&picture)?;
            drop(picture);
            known.insert(number as u64, &body)?;
        }
        Ok(known)
    }

    fn insert(&mut self, id: u64, body: &[u8]) -> io::Result<()> {
        let read = Statement::decode(Verb::Assert, body).map_err(io::Error::other)?;
        for signal in read.alert().into_iter().flat_map(|alert| &alert.signals) {
            match &signal.value {
                ValueOrBlob::Value(Value::Pdq(hash)) if signal.quality >= Some(MIN_QUALITY) => {
                    self.hashes.insert(id, hash);
                }
                ValueOrBlob::Value(Value::Features(print)) => {
                    self.bytes += print.to_bytes().len();
                    let full = |_| io::Error::other("the index is full");
                    self.variants.insert(id, print).map_err(full)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A line for each match, and milliseconds of hashing, looking and searching.
    fn look_up(&self, queries: &[(usize, &Line)]) -> io::Result<(String, [f64; 3])> {
        let (mut lines, mut times) = (String::new(), [0.0; 3]);
        for (number, line) in queries {
            let Some(picture) = read(&line.path)? else { continue };
            let query = Query::of(&picture);
            let searching = Instant::now();
            for (id, how) in self.search(&query) {
                lines += &format!("{number}\t{id}\t{how}\n");
            }
            times[0] += query.hashing_ms;
            times[1] += query.looking_ms;
            times[2] += ms(searching);
        }
        Ok((lines, times))
    }

    fn search(&self, query: &Query) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        for (method, hash) in &query.hashes {
            for (id, distance) in self.hashes.search(hash, MAX_DISTANCE, 100).hits {
                found.push((id, format!("{method}\tmatch\t{distance}")));
            }
        }
        for one in self.variants.search(&query.seen, 40) {
            let a = one.agreement;
            let counts = [a.agreed, a.compared, a.all, a.signs, a.covered];
            let counts = counts.map(|count| count.to_string()).join("\t");
            let decision = format!("{:?}", one.decision).to_lowercase();
            found.push((
                one.id,
                format!("features\t{decision}\t{}\t{counts}\t{}", one.inliers, one.look),
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
fn alert_body(picture: &Picture) -> io::Result<Vec<u8>> {
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
    let alert = Alert {
        kind: ContentKind::Image,
        signals,
        labels: vec!["violence.graphic_death".parse().map_err(io::Error::other)?],
        taxonomy: 1,
        confidence: 90,
        suggestion: Suggestion::Review,
        exceptions: Vec::new(),
        valid_until: 0,
        family: None,
        incident: None,
        evidence_hold: false,
        authority: None,
    };
    Ok(Statement::Assert(alert).encode())
}
