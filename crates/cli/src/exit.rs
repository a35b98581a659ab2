//! What a command ends with, and which exit code says so.
//!
//! **Invariant:** 0 is yes, 1 is no or a failure, 2 is a wrong call or a missing piece around us, 3 is that this member
//! is in the charter no more: to start again helps nobody.

use std::{
    fmt::{self, Display},
    io,
    process::ExitCode,
};

use watchfire_signal::name::MemberName;

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
    /// The charter in force does not have this member. Exit code 3.
    NoMember(MemberName),
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) | Self::Environment(error) => write!(f, "{error:#}"),
            Self::NoMember(me) => write!(f, "the charter in force has no member {me}"),
        }
    }
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
        Err(failure @ Failure::Failed(_)) => told(&failure, 1),
        Err(failure @ Failure::Environment(_)) => told(&failure, 2),
        Err(failure @ Failure::NoMember(_)) => told(&failure, 3),
    }
}

fn told(failure: &Failure, code: u8) -> ExitCode {
    use std::io::Write;
    // If even standard error is gone, the exit code remains.
    let _told = writeln!(io::stderr(), "watchfire: {failure}");
    ExitCode::from(code)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<io::Error>();
    source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
}
