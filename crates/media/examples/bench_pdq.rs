//! Times PDQ from pixels, and from JPEG bytes if files are given: the best and the median of many runs.
//!
//! `cargo run --release -p watchfire-media --example bench_pdq [WIDTHxHEIGHT …] [FILE.jpg …]`
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use watchfire_media::pdq::{Hasher, Layout, Pixels};
use watchfire_media::picture::{self, Limits};
use watchfire_media::regions;

/// Sizes of the comparison in docs: 512², 1.6 and 12 megapixels.
const SIZES: [(u32, u32); 3] = [(512, 512), (1600, 1004), (4000, 3000)];

/// How long one measurement goes on, whatever the size.
const AT_LEAST: Duration = Duration::from_secs(1);

fn main() {
    let (mut files, mut sizes) = (Vec::new(), Vec::new());
    for argument in std::env::args().skip(1) {
        match size(&argument) {
            Some(size) => sizes.push(size),
            None => files.push(argument),
        }
    }
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    for (width, height) in sizes {
        let bytes = picture_of(width, height);
        let Some(pixels) = Pixels::new(width, height, Layout::Rgb, &bytes) else { continue };
        for (level, mut hasher) in Hasher::of_every_level() {
            report(&format!("pixels {width}x{height} {level}"), || {
                black_box(hasher.hash(black_box(pixels)));
            });
        }
    }
    for path in files {
        of_file(&path);
    }
}

/// Reads `1600x1004`.
fn size(argument: &str) -> Option<(u32, u32)> {
    let (width, height) = argument.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// Times decoding with fresh and with used memory, decoding and hashing, and what is kept of parts.
fn of_file(path: &str) {
    let Ok(bytes) = std::fs::read(path) else {
        println!("{path}: cannot be read");
        return;
    };
    let limits = Limits::default();
    let (mut hasher, mut memory) = (Hasher::default(), Vec::new());
    report(&format!("decode to fresh memory {path}"), || {
        let _ = black_box(picture::decode(black_box(&bytes), &limits));
    });
    report(&format!("decode {path}"), || {
        if let Ok(picture) = picture::decode_into(black_box(&bytes), &limits, &mut memory) {
            memory = black_box(picture).into_memory();
        }
    });
    report(&format!("decode and hash {path}"), || {
        if let Ok(picture) = picture::decode_into(black_box(&bytes), &limits, &mut memory) {
            black_box(hasher.hash(picture.pixels()));
            memory = picture.into_memory();
        }
    });
    let Ok(picture) = picture::decode(&bytes, &limits) else { return };
    let pixels = picture.pixels();
    let parts = regions::content(pixels).len();
    report(&format!("look for parts and hash the {parts} of {path}"), || {
        for part in regions::content(black_box(pixels)) {
            black_box(hasher.hash(regions::cut(pixels, part).pixels()));
        }
    });
}

/// Smooth colours with some noise; the time does not depend on what is in a picture.
fn picture_of(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let noise = x.wrapping_mul(2_654_435_761).wrapping_add(y.wrapping_mul(40_503)) >> 28;
            bytes.extend([(x * 255 / width) as u8, (y * 255 / height) as u8, (noise * 16) as u8]);
        }
    }
    bytes
}

/// Processor time of this thread: other programs do not count, only what they do to the caches.
fn report(what: &str, mut run: impl FnMut()) {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < AT_LEAST || times.len() < 5 {
        let begin = processor_time();
        run();
        times.push(processor_time() - begin);
    }
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{what}: best {:.3} ms, median {:.3} ms", ms(times[0]), ms(times[times.len() / 2]));
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
