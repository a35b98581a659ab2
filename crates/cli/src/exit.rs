//! What a command ends with, and which exit code says so.
//!
//! **Invariant:** 0 is yes, 1 is no or a failure, 2 is a wrong call or a missing piece around us.

use std::{fmt::Display, io, process::ExitCode};

/// How a command ended that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, or the answer is yes.
    Yes,
    /// The answer is no: a log is not sound, an expectation failed, nothing matched that had to.
    No,
}

impl Answer {
    /// Yes if it holds.
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Why a command did not run to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong on the way: exit code 1.
    Failed(anyhow::Error),
    /// The call is wrong or something around us is missing: a file, a program, a key. Exit code 2.
    Environment(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What every command returns.
pub(crate) type Ended = Result<Answer, Failure>;

/// A failure because of the call or of what is around us.
pub(crate) fn environment(text: impl Display) -> Failure {
    Failure::Environment(anyhow::anyhow!("{text}"))
}

/// A failure of what the command does.
pub(crate) fn failed(text: impl Display) -> Failure {
    Failure::Failed(anyhow::anyhow!("{text}"))
}

/// Says of an error that the call or the environment is to blame, and what for.
pub(crate) trait OrEnvironment<T> {
    /// Adds what was being done.
    fn or_environment(self, doing: impl Display) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrEnvironment<T> for Result<T, E> {
    fn or_environment(self, doing: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::Environment(error.into().context(doing.to_string())))
    }
}

/// The exit code, with the failure written to standard error.
pub(crate) fn code(ended: Ended) -> ExitCode {
    match ended {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // Who reads us has had enough, as `head` does: nothing is wrong.
        Err(Failure::Failed(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => told(&error, 1),
        Err(Failure::Environment(error)) => told(&error, 2),
    }
}

fn told(error: &anyhow::Error, code: u8) -> ExitCode {
    use std::io::Write;
    // If even standard error is gone, the exit code remains.
    let _told = writeln!(io::stderr(), "watchfire: {error:#}");
    ExitCode::from(code)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<io::Error>();
    source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
}
