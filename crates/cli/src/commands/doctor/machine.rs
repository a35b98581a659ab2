//! What any node needs of its machine.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::{exit::Failure, files::Hasher};

use super::{Check, Health};

/// Programs that decode videos.
const PROGRAMS: [&str; 2] = ["ffmpeg", "ffprobe"];
/// How many writes the disk is measured by.
const WRITES: usize = 20;
/// What is written each time: a page of the database.
const PAGE: [u8; 4096] = [0x57; 4096];
/// Above this, alerts are felt to be slow.
const SLOW_DISK: Duration = Duration::from_millis(20);
/// What the kernel lists its security modules in.
const MODULES: &str = "/sys/kernel/security/lsm";
/// What the kernel lists the actions of system call filters in.
const FILTERS: &str = "/proc/sys/kernel/seccomp/actions_avail";

/// All checks, with the disk at a place.
pub(super) fn checks(place: &Path) -> Vec<Check> {
    let mut checks: Vec<_> = PROGRAMS.iter().map(|program| runs(program)).collect();
    checks.push(decodes());
    checks.push(landlock());
    let filters = fs::metadata(FILTERS).map_err(|_| "the kernel filters no system calls");
    checks.push(Check::of("seccomp", filters, |_| "the kernel filters system calls".to_owned()));
    checks.push(disk(place));
    checks
}

fn runs(program: &'static str) -> Check {
    let mut command = Command::new(program);
    let found = command.arg("-version").stdin(Stdio::null()).output();
    let found = found.map_err(|error| format!("{error}: apt-get install ffmpeg"));
    Check::of(program, found, |output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .next()
            .unwrap_or_default()
            .split(" Copyright")
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

/// Hashes a clip of a second in the sandbox, as an upload is.
fn decodes() -> Check {
    Check::of("video in the sandbox", sandboxed(), |frames| format!("hashed {frames} frames"))
}

fn sandboxed() -> Result<usize, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let place = tempfile::tempdir().map_err(|error| words(&error))?;
    let clip = place.path().join("clip.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10"]);
    let made = command.args(["-t", "1"]).arg(&clip).stdin(Stdio::null()).output();
    if !made.map_err(|error| words(&error))?.status.success() {
        return Err("ffmpeg made no clip to try with".to_owned());
    }
    let told = |failure: Failure| failure.to_string();
    let hashed = Hasher::new(None).and_then(|hasher| hasher.signals(&clip)).map_err(told)?;
    if let Some(error) = hashed.unseen {
        return Err(error.to_string());
    }
    let frames = hashed.signals.iter().find_map(|signal| match &signal.value {
        watchfire_signal::value::ValueOrBlob::Value(watchfire_signal::value::Value::Vpdq(vpdq)) => {
            Some(vpdq.frames.len())
        }
        _ => None,
    });
    frames.filter(|frames| *frames > 0).ok_or_else(|| "no frame was hashed".to_owned())
}

fn landlock() -> Check {
    let modules = fs::read_to_string(MODULES).unwrap_or_default();
    if modules.split(',').any(|module| module.trim() == "landlock") {
        return Check::new("landlock", Health::Ok, "the kernel restricts what decoders may read");
    }
    let detail = "the kernel does not list it: decoders keep the right to read files (seccomp and \
                  limits still hold): use Linux 5.13 or later and boot with landlock in lsm= (a \
                  container sees it where /sys/kernel/security is mounted)";
    Check::new("landlock", Health::Warn, detail)
}

fn disk(place: &Path) -> Check {
    let times = match synced_writes(place) {
        Ok(times) => times,
        Err(error) => {
            return Check::new("disk", Health::Fail, format!("{}: {error}", place.display()));
        }
    };
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let health = if median > SLOW_DISK { Health::Warn } else { Health::Ok };
    let detail = format!(
        "a durable write of 4 KiB takes {:.2} ms (worst of {WRITES}: {:.2} ms); an alert waits for two",
        ms(median),
        ms(worst)
    );
    Check::new("disk", health, detail)
}

/// How long durable writes take, shortest first; never none.
fn synced_writes(place: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = tempfile::tempfile_in(place)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let began = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}
