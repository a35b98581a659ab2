//! Looks sounds up among sounds of alerts.

use std::{fs, io, time::Instant};

use watchfire_index::SoundIndex;
use watchfire_media::video::{Copy, Decoder, PLAIN_RATES, QUERY_RATES, Sound};
use watchfire_signal::{
    alert::ContentKind,
    sound_print::MAX_SOUND_DISTANCE,
    value::{Signal, Span, Value, ValueOrBlob},
};

use crate::{
    alerts::through_alert,
    list::{Answer, Line, look_up_all, ms, with_role},
};

/// Pieces of ten minutes of a sound, at most.
const PIECES: u64 = 64;

pub(crate) fn run(lines: &[Line], out: &str) -> io::Result<()> {
    let decoder = Decoder::new(std::env::current_exe()?, std::env::temp_dir());
    let index = SoundIndex::new([5; 32]);
    let (mut references, mut bytes) = (0, 0);
    for (number, line) in with_role(lines, "reference") {
        references += 1;
        let sounds = heard(line, &PLAIN_RATES, &decoder)?;
        let signals = sounds.into_iter().map(|sound| {
            let span = Span { start_ms: sound.start_ms, end_ms: sound.end_ms };
            Signal { span: Some(span), ..Signal::new(sound.print) }
        });
        let signals = through_alert(ContentKind::Audio, signals.collect())?;
        for (piece, signal) in (0..PIECES).zip(&signals) {
            let ValueOrBlob::Value(Value::Audio(print)) = &signal.value else { continue };
            bytes += print.to_bytes().len();
            index.insert(number as u64 * PIECES + piece, print);
        }
    }
    let look_up = |_, line: &Line| {
        let start = Instant::now();
        let sounds = heard(line, &QUERY_RATES, &decoder)?;
        let hashing_ms = ms(start);
        let start = Instant::now();
        let found = sounds.iter().flat_map(|sound| index.search(&sound.print));
        let near = found.filter(|found| found.distance <= MAX_SOUND_DISTANCE);
        let shown = near.map(|found| {
            let (from, to) = found.query_span_ms;
            let (distance, speed) = (found.distance, found.speed);
            (found.sound / PIECES, format!("sound\treview\t{distance}\t{from}\t{to}\t{speed:.3}"))
        });
        let found = shown.collect();
        Ok(Some(Answer { found, times: [hashing_ms, ms(start)] }))
    };
    let (queries, [hashing, searching]) = look_up_all(lines, out, look_up)?;
    println!(
        "{{\"references\":{references},\"bytes_a_print\":{},\"index_bytes_a_reference\":{},\
         \"queries\":{queries},\"hash_ms\":{hashing:.1},\"search_ms\":{searching:.2}}}",
        bytes / references.max(1),
        index.memory_bytes() / references.max(1),
    );
    Ok(())
}

fn heard(line: &Line, rates: &[u8], decoder: &Decoder) -> io::Result<Vec<Sound>> {
    let copy = Copy::of(&fs::read(&line.path)?, decoder).map_err(io::Error::other)?;
    copy.sound(rates, decoder).map_err(io::Error::other)
}
