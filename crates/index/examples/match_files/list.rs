//! The list of files, and the lookup of its queries by all processors.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    time::Instant,
};

/// One file of the list.
pub(crate) struct Line {
    pub(crate) role: String,
    pub(crate) path: String,
}

/// What one query found, a text for each reference, and milliseconds of each step.
pub(crate) struct Answer<const STEPS: usize> {
    pub(crate) found: Vec<(u64, String)>,
    pub(crate) times: [f64; STEPS],
}

/// Reads the list.
pub(crate) fn lines(path: &str) -> io::Result<Vec<Line>> {
    let parse = |line: io::Result<String>| {
        let line = line?;
        let mut fields = line.split('\t');
        let role = fields.next().unwrap_or_default().to_owned();
        Ok(Line { role, path: fields.next_back().unwrap_or_default().to_owned() })
    };
    BufReader::new(File::open(path)?).lines().map(parse).collect()
}

/// The lines whose role ends so, with their numbers.
pub(crate) fn with_role<'a>(
    lines: &'a [Line],
    role: &'a str,
) -> impl Iterator<Item = (usize, &'a Line)> + Clone {
    lines.iter().enumerate().filter(move |(_, line)| line.role.ends_with(role))
}

/// Looks up all queries and writes what is found; the count of queries and the mean time of each step.
/// A query that cannot be looked up (`None`) finds nothing.
pub(crate) fn look_up_all<const STEPS: usize>(
    lines: &[Line],
    out: &str,
    look_up: impl Fn(usize, &Line) -> io::Result<Option<Answer<STEPS>>> + Sync,
) -> io::Result<(usize, [f64; STEPS])> {
    let queries: Vec<_> = with_role(lines, "query").collect();
    let threads = std::thread::available_parallelism()?.get();
    let some = |share: &[(usize, &Line)]| -> io::Result<(String, [f64; STEPS])> {
        let (mut text, mut times) = (String::new(), [0.0; STEPS]);
        for (number, line) in share {
            let Some(answer) = look_up(*number, line)? else { continue };
            for (id, how) in answer.found {
                text += &format!("{number}\t{id}\t{how}\n");
            }
            times.iter_mut().zip(answer.times).for_each(|(all, its)| *all += its);
        }
        Ok((text, times))
    };
    let answers = std::thread::scope(|scope| {
        let share = queries.len().div_ceil(threads).max(1);
        let running = queries.chunks(share).map(|queries| scope.spawn(move || some(queries)));
        let running: Vec<_> = running.collect();
        let failed = |_| io::Error::other("a thread gave up");
        running
            .into_iter()
            .map(|thread| thread.join().map_err(failed)?)
            .collect::<io::Result<Vec<_>>>()
    })?;
    let mut out = BufWriter::new(File::create(out)?);
    let mut times = [0.0; STEPS];
    for (text, its_times) in answers {
        out.write_all(text.as_bytes())?;
        times.iter_mut().zip(its_times).for_each(|(all, its)| *all += its);
    }
    out.flush()?;
    Ok((queries.len(), times.map(|time| time / (queries.len() as f64).max(1.0))))
}

/// Milliseconds since a moment.
pub(crate) fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
