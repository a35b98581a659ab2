//! Keeps a sandboxed program within its wall time and makes sure that it ends.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::VideoError;
use crate::sandbox::{NO_LANDLOCK, SETUP_FAILED};

/// How much of what a program complains about is kept; the rest is read and dropped.
const MAX_COMPLAINT_BYTES: u64 = 4096;

/// What ffmpeg complains about when the file ends too early.
const SIGNS_OF_TRUNCATION: [&str; 4] =
    ["partial file", "moov atom not found", "End of file", "File ended prematurely"];

/// A running program; dropping it ends it.
#[derive(Debug)]
pub(super) struct Child {
    child: process::Child,
    pid: Pid,
    wall_time: Duration,
    late: Arc<AtomicBool>,
    /// Dropped to call the watchdog off.
    done: Option<mpsc::Sender<()>>,
    watchdog: Option<JoinHandle<()>>,
    complaints: Option<JoinHandle<String>>,
}

impl Child {
    /// Starts a command of the sandbox. `program` is what it will become.
    pub(super) fn start(
        mut command: Command,
        program: &Path,
        wall_time: Duration,
    ) -> Result<Self, VideoError> {
        if !program.exists() {
            return Err(VideoError::NoFfmpeg(program.to_owned()));
        }
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let complaints = child.stderr.take().map(|pipe| std::thread::spawn(|| complaints(pipe)));
        let late = Arc::new(AtomicBool::new(false));
        let (done, called_off) = mpsc::channel();
        let watchdog = std::thread::spawn({
            let late = Arc::clone(&late);
            move || {
                if called_off.recv_timeout(wall_time) == Err(mpsc::RecvTimeoutError::Timeout) {
                    late.store(true, Ordering::SeqCst);
                    end(pid);
                }
            }
        });
        let (done, watchdog) = (Some(done), Some(watchdog));
        Ok(Self { child, pid, wall_time, late, done, watchdog, complaints })
    }

    /// The program's standard output; can be had once.
    pub(super) fn output(&mut self) -> std::io::Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| std::io::Error::other("the output is taken"))
    }

    /// Waits for the program to end, and says why if it did not end well.
    pub(super) fn finish(mut self) -> Result<(), VideoError> {
        let (status, complaint) = self.reap()?;
        if complaint.contains(NO_LANDLOCK) {
            warn_once();
        }
        if self.late.load(Ordering::SeqCst) {
            return Err(VideoError::TooSlow(self.wall_time));
        }
        let complaint = complaint.replace(NO_LANDLOCK, "").trim().to_owned();
        if SIGNS_OF_TRUNCATION.iter().any(|sign| complaint.contains(sign)) {
            return Err(VideoError::Truncated(complaint));
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(SETUP_FAILED), _) => Err(VideoError::Sandbox(complaint)),
            (None, Some(signal)) if signal == Signal::XCPU.as_raw() => {
                Err(VideoError::TooLarge("it needs too much processor time".into()))
            }
            (None, Some(signal)) => {
                Err(VideoError::Malformed(format!("the decoder ended by signal {signal}")))
            }
            _ => Err(VideoError::Malformed(complaint)),
        }
    }

    /// Waits, then calls the watchdog off, then releases the process number: in this order the
    /// watchdog never ends a stranger.
    fn reap(&mut self) -> std::io::Result<(ExitStatus, String)> {
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let wait = || rustix::process::waitid(WaitId::Pid(self.pid), exited);
        while wait().is_err_and(|error| error == rustix::io::Errno::INTR) {}
        self.done = None;
        if let Some(watchdog) = self.watchdog.take() {
            let _ = watchdog.join();
        }
        let status = self.child.wait()?;
        let complaint = self.complaints.take().and_then(|thread| thread.join().ok());
        Ok((status, complaint.unwrap_or_default()))
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
