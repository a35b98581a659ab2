//! Keeps a sandboxed program within its wall time and makes sure that it ends.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::stop::{Stop, Woken};
use super::{Decoder, VideoError};
use crate::sandbox::{NO_LANDLOCK, SETUP_FAILED};

/// How much of what a program complains about is kept; the rest is read and dropped.
const MAX_COMPLAINT_BYTES: u64 = 4096;

/// The exit status of ffmpeg where a signal had it end itself. The only one that is sent to it is the kernel's, at the
/// end of its processor time.
const ENDED_BY_SIGNAL: i32 = 255;

/// What ffmpeg complains about when the file ends too early.
const SIGNS_OF_TRUNCATION: [&str; 4] =
    ["partial file", "moov atom not found", "End of file", "File ended prematurely"];

/// How long a program may run.
#[derive(Debug, Clone)]
pub(super) enum Patience {
    /// From its start to its end.
    Total(Duration),
    /// From one step to the next, of which this counts the steps.
    Step(Duration, Arc<Steps>),
}

/// What a program and those around it get on with.
#[derive(Debug, Default)]
pub(super) struct Steps {
    count: AtomicU64,
    /// Whether it waits for our caller, which is not its fault.
    outside: AtomicBool,
}

impl Steps {
    /// Notes a step.
    pub(super) fn take(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Does work for which the program waits, however long it takes.
    pub(super) fn outside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.outside.store(true, Ordering::SeqCst);
        let done = work();
        // Before the other, so that a watchdog sees one of the two.
        self.take();
        self.outside.store(false, Ordering::SeqCst);
        done
    }
}

impl Patience {
    /// Waits until the program has ended, was stopped, or took too long.
    fn watch(&self, stop: &Stop, ended: impl Fn() -> bool) -> Woken {
        let (time, steps) = match self {
            Self::Total(time) => return stop.watch(*time, ended),
            Self::Step(time, steps) => (*time, steps),
        };
        loop {
            let before = steps.count.load(Ordering::SeqCst);
            let woken = stop.watch(time, &ended);
            let waits = steps.outside.load(Ordering::SeqCst);
            if woken != Woken::Late || !waits && steps.count.load(Ordering::SeqCst) == before {
                return woken;
            }
        }
    }

    fn error(&self) -> VideoError {
        match self {
            Self::Total(time) => VideoError::TooSlow(*time),
            Self::Step(time, _) => VideoError::Stalled(*time),
        }
    }
}

/// A running program; dropping it ends it.
#[derive(Debug)]
pub(super) struct Child {
    child: process::Child,
    pid: Pid,
    patience: Patience,
    stop: Stop,
    /// Set to call the watchdog off.
    ended: Arc<AtomicBool>,
    /// Says why it ended the program, if it did.
    watchdog: Option<JoinHandle<Woken>>,
    complaints: Option<JoinHandle<String>>,
}

impl Child {
    /// Starts a command of the sandbox within the decoder's limits. `program` is what it will become.
    pub(super) fn start(
        command: Command,
        program: &Path,
        decoder: &Decoder,
    ) -> Result<Self, VideoError> {
        Self::start_patiently(command, program, decoder, Patience::Total(decoder.limits.wall_time))
    }

    /// As [`Child::start`], with a time limit of its own.
    pub(super) fn start_patiently(
        mut command: Command,
        program: &Path,
        decoder: &Decoder,
        patience: Patience,
    ) -> Result<Self, VideoError> {
        if !program.exists() {
            return Err(VideoError::NoFfmpeg(program.to_owned()));
        }
        let stop = decoder.stop.clone();
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let complaints = child.stderr.take().map(|pipe| std::thread::spawn(|| complaints(pipe)));
        let ended = Arc::new(AtomicBool::new(false));
        let watchdog = std::thread::spawn({
            let (stop, ended, patience) = (stop.clone(), Arc::clone(&ended), patience.clone());
            move || {
                let woken = patience.watch(&stop, || ended.load(Ordering::SeqCst));
                if woken != Woken::Ended {
                    end(pid);
                }
                woken
            }
        });
        let watchdog = Some(watchdog);
        Ok(Self { child, pid, patience, stop, ended, watchdog, complaints })
    }

    /// The program's standard output; can be had once.
    pub(super) fn output(&mut self) -> std::io::Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| std::io::Error::other("the output is taken"))
    }

    /// The program's standard input, where it is a pipe; can be had once.
    pub(super) fn input(&mut self) -> std::io::Result<ChildStdin> {
        self.child.stdin.take().ok_or_else(|| std::io::Error::other("the input is no pipe"))
    }

    /// Waits for the program to end, and says why if it did not end well.
    pub(super) fn finish(mut self) -> Result<(), VideoError> {
        let (woken, status, complaint) = self.reap()?;
        if complaint.contains(NO_LANDLOCK) {
            warn_once();
        }
        match woken {
            Woken::Ended => {}
            Woken::Stopped => return Err(VideoError::Stopped),
            Woken::Late => return Err(self.patience.error()),
        }
        let complaint = complaint.replace(NO_LANDLOCK, "").trim().to_owned();
        if SIGNS_OF_TRUNCATION.iter().any(|sign| complaint.contains(sign)) {
            return Err(VideoError::Truncated(complaint));
        }
        let too_much = || VideoError::TooLarge("it needs too much processor time".into());
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(SETUP_FAILED), _) => Err(VideoError::Sandbox(complaint)),
            (Some(ENDED_BY_SIGNAL), _) => Err(too_much()),
            (None, Some(signal)) if signal == Signal::XCPU.as_raw() => Err(too_much()),
            (None, Some(signal)) => {
                Err(VideoError::Malformed(format!("the decoder ended by signal {signal}")))
            }
            _ => Err(VideoError::Malformed(complaint)),
        }
    }

    /// Waits, then calls the watchdog off, then releases the process number: in this order the
    /// watchdog never ends a stranger.
    fn reap(&mut self) -> std::io::Result<(Woken, ExitStatus, String)> {
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let wait = || rustix::process::waitid(WaitId::Pid(self.pid), exited);
        while wait().is_err_and(|error| error == rustix::io::Errno::INTR) {}
        self.stop.wake(|| self.ended.store(true, Ordering::SeqCst));
        let woken = self.watchdog.take().and_then(|watchdog| watchdog.join().ok());
        let status = self.child.wait()?;
        let complaint = self.complaints.take().and_then(|thread| thread.join().ok());
        Ok((woken.unwrap_or(Woken::Ended), status, complaint.unwrap_or_default()))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Only where `finish` did not come to its end.
        if self.watchdog.is_some() {
            end(self.pid);
            let _ = self.reap();
        }
    }
}

/// Ends the child and whatever it might have started.
fn end(pid: Pid) {
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
}

/// What the program complains about, up to a limit.
fn complaints(mut pipe: ChildStderr) -> String {
    let mut kept = Vec::new();
    let _ = pipe.by_ref().take(MAX_COMPLAINT_BYTES).read_to_end(&mut kept);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}

fn warn_once() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "the kernel has no landlock: decoders of video are kept from writing, the network and \
             new processes, but could read other files"
        );
    });
}
