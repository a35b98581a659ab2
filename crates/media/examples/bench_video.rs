//! Times the ways to look at a video: processor time of this process and its children, and wall time.
//!
//! `cargo run --release -p watchfire-media --example bench_video FILE [ROUNDS]`
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use watchfire_media::sandbox;
use watchfire_media::video::{self, Decoder, FrameRate, Input, MAX_STALL, Pace, Streaming};

/// What Linux counts processor time of ended children in, a second.
const TICKS: f64 = 100.0;

fn main() {
    sandbox::run_if_child();
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Ok(executable)) = (arguments.next(), std::env::current_exe()) else {
        println!("bench_video FILE [ROUNDS]");
        return;
    };
    let rounds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let decoder = Decoder::new(executable, std::env::temp_dir());
    let Ok(bytes) = std::fs::read(&file) else {
        println!("{file}: cannot be read");
        return;
    };
    let (one, two) = (NonZeroU32::MIN, NonZeroU32::MIN.saturating_add(1));
    let grey = |pace| look(Path::new(&file), pace, &decoder);
    report("keyframes, grey", rounds, || grey(Pace::Keyframes));
    report("1 a second of references, grey", rounds, || grey(Pace::References(one)));
    report("2 a second of references, grey", rounds, || grey(Pace::References(two)));
    report("1 a second, grey", rounds, || grey(Pace::PerSecond(one)));
    report("2 a second, grey", rounds, || grey(Pace::PerSecond(two)));
    let full = |rate| match video::hash(&bytes, rate, &decoder) {
        Ok(hash) => hash.vpdq.frames.len(),
        Err(error) => failed(&error),
    };
    report("1 a second, full colour", rounds, || full(FrameRate::PerSecond(one)));
    report("every frame, full colour", rounds, || full(FrameRate::Every));
}

fn look(file: &Path, pace: Pace, decoder: &Decoder) -> usize {
    let streaming = Streaming { pace, stall: MAX_STALL };
    let seen = video::stream(Input::File(file), streaming, decoder, |_| ControlFlow::Continue(()));
    seen.map_or_else(|error| failed(&error), |streamed| streamed.frames as usize)
}

fn failed(error: &dyn std::error::Error) -> usize {
    println!("{error}");
    0
}

fn report(what: &str, rounds: u32, mut run: impl FnMut() -> usize) {
    let (mut frames, mut walls) = (0, Vec::new());
    let before = processor_seconds();
    for _ in 0..rounds {
        let begin = Instant::now();
        frames = run();
        walls.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let each = (processor_seconds() - before) * 1e3 / f64::from(rounds.max(1));
    let best = walls.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{what}: {frames} frames, {each:.0} ms of processor time, best wall time {best:.0} ms"
    );
}

/// Of this process and of its children that have ended.
fn processor_seconds() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets and may have spaces.
    let fields = status.rsplit_once(')').map_or("", |(_, fields)| fields);
    // utime, stime, cutime and cstime are the 14th to 17th, the first behind the name is the third.
    let ticks = fields.split_whitespace().skip(11).take(4);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
