//! Looks texts up among texts of alerts.

use std::{fs, io, time::Instant};

use watchfire_index::{ExactIndex, TextIndex, TextMatch};
use watchfire_signal::{
    alert::ContentKind,
    digest::Sha256Digest,
    text_print::TextPrint,
    value::{Signal, Value, ValueOrBlob},
};

use crate::{
    alerts::through_alert,
    list::{Answer, Line, look_up_all, ms, with_role},
};

/// What a member keeps of references. Ids are the line and the piece of its text.
#[derive(Default)]
struct Known {
    short: ExactIndex<Sha256Digest>,
    long: TextIndex,
    bytes: usize,
}

/// Pieces of a text, at most.
const PIECES: u64 = 64;

pub(crate) fn run(lines: &[Line], out: &str) -> io::Result<()> {
    let mut known = Known::default();
    let mut references = 0;
    for (number, line) in with_role(lines, "reference") {
        references += 1;
        let prints = TextPrint::of(&fs::read_to_string(&line.path)?).map_err(io::Error::other)?;
        let signals = prints.into_iter().map(Signal::new).collect();
        let signals = through_alert(ContentKind::Text, signals)?;
        for (piece, signal) in (0..PIECES).zip(&signals) {
            known.insert(number as u64 * PIECES + piece, signal);
        }
    }
    let look_up = |_, line: &Line| {
        let text = fs::read_to_string(&line.path)?;
        let start = Instant::now();
        let Ok(prints) = TextPrint::of(&text) else { return Ok(None) };
        let hashing_ms = ms(start);
        let start = Instant::now();
        let found = prints.iter().flat_map(|print| known.search(print)).collect();
        Ok(Some(Answer { found, times: [hashing_ms, ms(start)] }))
    };
    let (queries, [hashing, searching]) = look_up_all(lines, out, look_up)?;
    println!(
        "{{\"references\":{references},\"bytes_a_print\":{},\"queries\":{queries},\
         \"hash_ms\":{hashing:.3},\"search_ms\":{searching:.3}}}",
        known.bytes / references.max(1),
    );
    Ok(())
}

impl Known {
    fn insert(&mut self, id: u64, signal: &Signal) {
        let ValueOrBlob::Value(Value::Text(print)) = &signal.value else { return };
        self.bytes += print.to_bytes().len();
        match print {
            TextPrint::Short(digest) => {
                self.short.insert(id, *digest);
            }
            TextPrint::Long(grams) => self.long.insert(id, grams),
        }
    }

    fn search(&self, print: &TextPrint) -> Vec<(u64, String)> {
        match print {
            TextPrint::Short(digest) => {
                let same = self.short.search(digest, usize::MAX).hits;
                let shown = |(id, _)| (id / PIECES, "exact\tmatch\t0".to_owned());
                same.into_iter().map(shown).collect()
            }
            TextPrint::Long(grams) => {
                let decision = |sure| if sure { "match" } else { "review" };
                let shown = |found: TextMatch| {
                    let how = format!("near\t{}\t{}", decision(found.sure), found.distance);
                    (found.text / PIECES, how)
                };
                self.long.search_in(grams).into_iter().map(shown).collect()
            }
        }
    }
}
