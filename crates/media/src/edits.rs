//! Finds what edited copies of a picture are recognised by: what of a reference is its own, and what an upload holds
//! inside of borders and screens.
//!
//! **Invariant:** the screen of an app is never taken for a reference: every screenshot looks like it.

use watchfire_signal::{
    features::{Area, Depth, Views},
    pdq::MIN_QUALITY,
    value::{Signal, Value},
};

use crate::{
    features,
    pdq::{self, Pixels},
    regions::{self, Rectangle, Subject},
};

/// What a reference is known by beside the hash of the whole picture: the hash of what a border or a screen
/// holds, and local features of what is its own.
#[must_use]
pub fn reference(pixels: Pixels<'_>) -> Vec<Signal> {
    let part = match regions::subject(pixels) {
        Subject::Whole => None,
        Subject::Part(inside) => Some(regions::cut(pixels, inside)),
        Subject::Unclear => return Vec::new(),
    };
    let hash = part.as_ref().and_then(|part| pdq::hash(part.pixels()));
    let print = features::print(part.as_ref().map_or(pixels, regions::Part::pixels));
    let hash = hash.map(|hash| Signal { quality: Some(hash.quality), ..Signal::new(hash.pdq) });
    hash.into_iter().chain(print.map(|print| Signal::new(Value::Features(print)))).collect()
}

/// What an upload is looked up by beside the hash of the whole picture.
#[must_use]
pub fn views(pixels: Pixels<'_>, depth: Depth) -> Views {
    let mut views = Views::default();
    if depth == Depth::Signals {
        return views;
    }
    if depth == Depth::Features
        && let Some(picture) = features::seen(pixels)
    {
        views.pictures.push(picture);
        views.areas.push(Area::WHOLE);
    }
    for inside in regions::content(pixels) {
        let (part, area) = (regions::cut(pixels, inside), area(pixels, inside));
        // Without the look at the whole the places in parts would have nothing to be compared with.
        if !views.pictures.is_empty()
            && let Some(picture) = features::seen(part.pixels())
        {
            views.pictures.push(picture);
            views.areas.push(area);
        }
        let hash = pdq::hash(part.pixels()).filter(|hash| hash.quality >= MIN_QUALITY);
        views.parts.extend(hash.map(|hash| (hash.pdq, area)));
    }
    views
}

pub(crate) fn area(pixels: Pixels<'_>, inside: Rectangle) -> Area {
    let share = |part: u32, of: u32| part as f32 / of as f32;
    Area {
        left: share(inside.left, pixels.width()),
        top: share(inside.top, pixels.height()),
        width: share(inside.width, pixels.width()),
        height: share(inside.height, pixels.height()),
    }
}
