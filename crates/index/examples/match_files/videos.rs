//! Looks videos up among videos of alerts, by hashes of frames and by features of frames.

use std::{cell::Cell, fs, io, num::NonZeroU32, ops::ControlFlow, time::Instant};

use watchfire_index::{
    Aligned, EditedVideo, FrameIndex, KnownVideo, MatchRule, MomentIndex, VariantDecision,
    VariantLimits, VideoMatch,
};
use watchfire_media::{
    animation,
    hash::{Options, hash},
    picture,
    video::{Decoder, FrameRate, Input, looks},
};
use watchfire_signal::{
    alert::ContentKind,
    features::{Area, Moment},
    value::{MAX_FRAMES, Signal, Value, ValueOrBlob},
    vpdq::Frame,
};

use crate::{
    alerts::through_alert,
    list::{Answer, Line, look_up_all, ms, with_role},
};

/// As many frames of a reference as fit into an alert, at most.
const REFERENCE_FRAMES: NonZeroU32 = NonZeroU32::new(MAX_FRAMES as u32).unwrap();

/// What references are known by.
struct Known {
    frames: FrameIndex,
    moments: MomentIndex,
}

pub(crate) fn run(lines: &[Line], out: &str) -> io::Result<()> {
    let decoder = Decoder::new(std::env::current_exe()?, std::env::temp_dir());
    let limits = VariantLimits { references: 10_000, ..VariantLimits::default() };
    let known =
        Known { frames: FrameIndex::new([5; 32]), moments: MomentIndex::new([5; 32], limits) };
    let (mut references, mut moments) = (0, 0);
    for (number, line) in with_role(lines, "reference") {
        references += 1;
        let signals = through_alert(ContentKind::Video, signals(line, &decoder)?)?;
        moments += known.insert(number as u64, &signals)?;
    }
    let look_up = |_, line: &Line| known.look_up(line, &decoder).map(Some);
    let (queries, [looking, searching]) = look_up_all(lines, out, look_up)?;
    println!(
        "{{\"references\":{references},\"moments\":{moments},\"index_bytes\":{},\
         \"queries\":{queries},\"look_ms\":{looking:.1},\"search_ms\":{searching:.1}}}",
        known.frames.memory_bytes() + known.moments.memory_bytes(),
    );
    Ok(())
}

fn signals(line: &Line, decoder: &Decoder) -> io::Result<Vec<Signal>> {
    let options = Options {
        picture: picture::Limits::default(),
        animation: animation::Limits::default(),
        video: decoder.clone(),
        rate: FrameRate::Reference { part: None, at_most: REFERENCE_FRAMES },
        sound_rates: &[],
        edits: true,
    };
    Ok(hash(&fs::read(&line.path)?, &options).map_err(io::Error::other)?.signals(None))
}

impl Known {
    /// Adds what is known of a video; how many moments that are.
    fn insert(&self, id: u64, signals: &[Signal]) -> io::Result<usize> {
        let moments: Vec<Moment> = signals.iter().filter_map(Signal::moment).collect();
        let vpdq = signals.iter().find_map(|signal| match &signal.value {
            ValueOrBlob::Value(Value::Vpdq(vpdq)) => Some(vpdq),
            _ => None,
        });
        let frames = &vpdq.ok_or_else(|| io::Error::other("a video without a hash"))?.frames;
        let rule = MatchRule::default();
        self.frames.insert(id, frames, rule);
        let ends = frames.first().zip(frames.last());
        let length_ms = ends.map_or(0, |(first, last)| last.at_ms - first.at_ms);
        let video = KnownVideo { moments: &moments, frames, length_ms, rule };
        let full = |_| io::Error::other("the index is full");
        if !moments.is_empty() {
            self.moments.insert(id, video).map_err(full)?;
        }
        Ok(moments.len())
    }

    fn look_up(&self, line: &Line, decoder: &Decoder) -> io::Result<Answer<2>> {
        let start = Instant::now();
        let searched = Cell::new(0.0);
        let (mut frames, mut parts, mut search) = (Vec::new(), Vec::new(), self.moments.search());
        let looked = looks(Input::File(line.path.as_ref()), decoder, |look| {
            let start = Instant::now();
            frames.push(look.frame);
            parts.extend(look.parts);
            search.see(&look.frame, &look.pictures);
            searched.set(searched.get() + ms(start));
            ControlFlow::Continue(())
        });
        looked.map_err(io::Error::other)?;
        let looking = ms(start) - searched.get();
        let start = Instant::now();
        let turned: Vec<Frame> = frames.iter().map(mirrored).collect();
        let hashed = [(&frames, "aligned"), (&turned, "turned")];
        let by_hashes = hashed.into_iter().flat_map(|(frames, method)| {
            let found = self.frames.search(frames).videos;
            found.into_iter().map(move |VideoMatch { video, aligned, sure }| {
                (video, told(method, decision(&aligned, sure), &aligned))
            })
        });
        let turned: Vec<(Frame, Area)> =
            parts.iter().map(|(frame, area)| (mirrored(frame), *area)).collect();
        let by_parts = [&parts, &turned].into_iter().flat_map(|parts| {
            let found = self.frames.search_parts(parts, |_| None);
            found.into_iter().map(|(VideoMatch { video, aligned, sure }, _)| {
                (video, told("part", decision(&aligned, sure), &aligned))
            })
        });
        let mut commons = self.frames.commons(|_| None);
        let edited = search.found(|hash| commons.has(hash));
        let by_features = edited.iter().map(|EditedVideo { video, decision, aligned, .. }| {
            (*video, told("features", *decision, aligned))
        });
        let found = by_hashes.chain(by_parts).chain(by_features).collect();
        Ok(Answer { found, times: [looking, searched.get() + ms(start)] })
    }
}

fn mirrored(frame: &Frame) -> Frame {
    Frame { pdq: frame.pdq.mirrored(), ..*frame }
}

/// What hashes of frames say: at another speed than usual, or by what many videos show, a person has to look.
fn decision(aligned: &Aligned, sure: bool) -> VariantDecision {
    if sure && aligned.is_at_usual_speed() {
        VariantDecision::Match
    } else {
        VariantDecision::Review
    }
}

fn told(method: &str, decision: VariantDecision, aligned: &Aligned) -> String {
    let decision = match decision {
        VariantDecision::Match => "match",
        VariantDecision::Review => "review",
    };
    let Aligned { query_span_ms: query, reference_span_ms: of, speed, frames, .. } = aligned;
    let spans = format!("{}\t{}\t{}\t{}", query.0, query.1, of.0, of.1);
    format!("{method}\t{decision}\t{frames}\t{speed:.3}\t{spans}")
}
