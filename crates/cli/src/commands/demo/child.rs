//! A process that the demo starts, and ends when the demo ends.
//!
//! **Invariant:** a child that is not to be kept ends with the demo, however the demo ends: its
//! standard input is a pipe from the demo, and it stops when that closes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child as Process, Command};

use crate::exit::{Failure, failed};

/// How long a child may take to stop before it is killed.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// A running child.
pub(super) struct Child {
    name: String,
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts this program with arguments; what it says goes into a file.
    pub(super) fn start(
        name: &str,
        arguments: &[&str],
        log: &Path,
        keep: bool,
    ) -> Result<Self, Failure> {
        let file = File::create(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdout(file.try_clone()?).stderr(file);
        // A process group of its own: Ctrl-C reaches the demo, which then stops its children.
        command.process_group(0).kill_on_drop(true);
        if keep {
            command.stdin(Stdio::null());
        } else {
            command.arg("--stop-with-input").stdin(Stdio::piped());
        }
        let process = command.spawn()?;
        Ok(Self { name: name.to_owned(), process, log: log.to_path_buf() })
    }

    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// An error with its last words if it has ended.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("nothing");
                Err(failed(format!("{} ended ({status}); it said: {last}", self.name)))
            }
        }
    }

    /// Lets it run on after the demo; it was started to be kept.
    pub(super) fn detach(self) {
        std::mem::forget(self.process);
    }

    /// Asks it to stop, and kills it if it does not.
    pub(super) async fn stop(mut self) {
        drop(self.process.stdin.take());
        if tokio::time::timeout(STOP_WAIT, self.process.wait()).await.is_err() {
            // It may have ended in this moment, which is what we want.
            let _ended = self.process.kill().await;
        }
    }
}
