//! Matches files against alerts: `match_files pictures|sounds|texts|videos LIST OUT`, a line of OUT for each match.
//!
//! A line of LIST has a role and, last, a path. References (roles that end in `reference`) are written into
//! alert bodies and read back; nothing else of them is used for queries (roles that end in `query`).
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and reads its settings")]

mod alerts;
mod list;
mod pictures;
mod sounds;
mod texts;
mod videos;

use std::io;

fn main() -> io::Result<()> {
    watchfire_media::sandbox::run_if_child();
    let arguments: Vec<String> = std::env::args().collect();
    let [_, kind, list, out] = arguments.as_slice() else {
        return Err(io::Error::other("match_files pictures|sounds|texts|videos LIST OUT"));
    };
    let lines = list::lines(list)?;
    match kind.as_str() {
        "pictures" => pictures::run(&lines, out),
        "sounds" => sounds::run(&lines, out),
        "texts" => texts::run(&lines, out),
        "videos" => videos::run(&lines, out),
        _ => Err(io::Error::other("there are pictures, sounds, texts and videos")),
    }
}
