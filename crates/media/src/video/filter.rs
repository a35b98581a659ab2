//! What ffmpeg does with decoded frames before they are written: a clock that only grows, the choice of frames, and
//! rows that tell the size of each.
//!
//! Filters live as long as the video: ffmpeg would set them up anew for each change of size, and forget what came
//! before ([`BEFORE_INPUT`]).

use crate::pdq::Layout;

/// The longest time from one frame to the next that is believed, in seconds. A clock that was set forward by years
/// would end at the last millisecond that fits.
const MAX_GAP_SECONDS: u32 = 3_600;

/// How long a frame is taken to last where the time of the next is missing or stepped back, in seconds.
const ASSUMED_SECONDS: f64 = 0.04;

/// Of so many decoded frames one is taken whatever their times say: two seconds of video at 120 frames a second.
const ONE_OF: u32 = 240;

/// Options before the input: filters are kept when frames change.
pub(super) const BEFORE_INPUT: [&str; 2] = ["-reinit_filter", "0"];

/// Options behind the input: frames are not scaled to the size of the first, and times are milliseconds.
pub(super) const BEHIND_INPUT: [&str; 6] =
    ["-autoscale", "0", "-fps_mode", "passthrough", "-enc_time_base", "1:1000"];

/// Gives frames times that never step back: what an encoder sends after it was started anew comes behind what it sent
/// before.
pub(super) fn clock() -> String {
    let first = format!("if(isnan(PTS),0,clip(PTS,0,{MAX_GAP_SECONDS}/TB))");
    let ahead = format!("min(PTS-PREV_INPTS,{MAX_GAP_SECONDS}/TB)");
    let step = format!("if(gte(PTS,PREV_INPTS),{ahead},{ASSUMED_SECONDS}/TB)");
    format!("setpts='if(isnan(PREV_OUTPTS),{first},PREV_OUTPTS+{step})'")
}

/// Takes the first frame of each of `frames` equal parts of `ms` milliseconds.
pub(super) fn first_of_each(frames: u64, ms: u64) -> String {
    let a_second = frames.saturating_mul(1000);
    let part = |time: &str| format!("floor({time}*{a_second}/{ms}+0.001)");
    let (now, before) = (part("t"), part("prev_selected_t"));
    let overdue = format!("gte(n-prev_selected_n,{ONE_OF})");
    format!("select='isnan(prev_selected_t)+gt({now},{before})+{overdue}'")
}

/// Makes pixels of a layout, behind two rows that tell how wide the frame is: of one colour, then of another.
pub(super) fn pixels(layout: Layout) -> String {
    // Without the range, dark grey would be 16 and every gradient smaller.
    let (scale, format) = match layout {
        Layout::Grey => ("scale=eval=frame:out_range=full", "gray"),
        Layout::Rgb => ("scale=eval=frame", "rgb24"),
    };
    let row = |colour| format!("pad=eval=frame:w=iw:h=ih+1:y=1:color={colour}");
    format!("{scale},format={format},{},{},format={format}", row("white"), row("black"))
}
