//! Runs a program that nobody trusts: our own binary is started again, takes its rights away, and
//! becomes that program.
//!
//! What is left to the program: reading one file and the system's libraries, threads, memory and
//! processor time up to a limit, and the pipes it was given. The binary's `main` has to call
//! [`run_if_child`] before anything else.
//!
//! **Invariant:** a right that cannot be taken away stops the start; only a kernel without landlock
//! is accepted, and said aloud.

mod files;
mod syscalls;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

/// The first argument with which a binary is told that it is the child.
pub const ENTRY: &str = "media-sandbox";

/// The exit status of a child that could not restrict itself; the reason is on its standard error.
pub const SETUP_FAILED: i32 = 125;

/// What the child writes to its standard error when the kernel does not know landlock.
pub const NO_LANDLOCK: &str = "media-sandbox: the kernel has no landlock";

/// Processor time of the child, in seconds: an hour of video at full size fits in.
pub const MAX_CPU_SECONDS: u64 = 1_800;

/// Processor time in which a child that was told that its time is over may end by itself, in seconds; then the kernel
/// ends it, and nobody can tell why.
const CPU_GRACE_SECONDS: u64 = 3;

/// Address space of the child: 4K video with two threads needs less than half of it.
pub const MAX_ADDRESS_BYTES: u64 = 2 * 1024 * 1024 * 1024;

// The number of processes has no limit here: the kernel counts all of a user's, so a limit would
// depend on what else runs. Starting a process is refused instead, and threads end at the memory.

/// Files that the child may have open; ffmpeg needs one and its libraries a few while starting.
const MAX_OPEN_FILES: u64 = 64;

/// The whole environment of the program. One memory arena keeps its address space small.
const ENVIRONMENT: [(&str, &str); 2] = [("LC_ALL", "C"), ("MALLOC_ARENA_MAX", "1")];

/// What stands in the place of the input where there is none; no path, because paths are absolute.
const NO_FILE: &str = "-";

/// How to start programs without rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The binary that calls [`run_if_child`] first in its `main`; usually the running one.
    pub executable: PathBuf,
    /// Processor time that a program may use, in seconds.
    pub cpu_seconds: u64,
    /// Address space that a program may use, in bytes.
    pub address_bytes: u64,
}

impl Sandbox {
    /// A sandbox with the usual limits that starts this binary again.
    #[must_use]
    pub fn new(executable: PathBuf) -> Self {
        Self { executable, cpu_seconds: MAX_CPU_SECONDS, address_bytes: MAX_ADDRESS_BYTES }
    }

    /// A command that runs `program` with only `input` to read, in a process group of its own.
    ///
    /// Standard input is empty; output goes to pipes. Arguments for the program may be added.
    #[must_use]
    pub fn command(&self, program: &Path, input: &Path) -> Command {
        self.started(program, input.as_os_str())
    }

    /// A command that runs `program` with no file to read at all, only its standard input, which is a
    /// pipe. For the rest as [`Sandbox::command`].
    #[must_use]
    pub fn command_on_pipe(&self, program: &Path) -> Command {
        let mut command = self.started(program, OsStr::new(NO_FILE));
        command.stdin(Stdio::piped());
        command
    }

    fn started(&self, program: &Path, input: &OsStr) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .arg(ENTRY)
            .arg(self.cpu_seconds.to_string())
            .arg(self.address_bytes.to_string())
            .args([input, program.as_os_str()])
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Why the child could not become the program.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error("the arguments are not those of a sandbox")]
    Arguments,
    #[error("cannot set a limit: {0}")]
    Limit(#[from] rustix::io::Errno),
    #[error("cannot restrict files: {0}")]
    Files(#[from] files::FilesError),
    #[error("cannot restrict system calls: {0}")]
    Syscalls(#[from] syscalls::SyscallsError),
    #[error("cannot start the program: {0}")]
    Exec(std::io::Error),
}

/// Becomes the sandboxed program if this process was started to be one, and does not return then.
///
/// Has to be called first in `main`: before threads, because restrictions hold for one thread only,
/// and before anything is opened that a child should not have.
pub fn run_if_child() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(ENTRY)) {
        return;
    }
    let Err(error) = become_program(arguments);
    eprintln!("{ENTRY}: {error}");
    std::process::exit(SETUP_FAILED);
}

/// Takes the rights away in an order in which each step still can be taken, and executes.
fn become_program(
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<std::convert::Infallible, SetupError> {
    let mut number = || -> Option<u64> { arguments.next()?.to_str()?.parse().ok() };
    let cpu_seconds = number().ok_or(SetupError::Arguments)?;
    let address_bytes = number().ok_or(SetupError::Arguments)?;
    let input = arguments.next().ok_or(SetupError::Arguments)?;
    let program = arguments.next().ok_or(SetupError::Arguments)?;

    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    let file = (input != NO_FILE).then(|| Path::new(&input));
    if !files::restrict(file, Path::new(&program))? {
        eprintln!("{NO_LANDLOCK}");
    }
    let limit = |resource, value| {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
    };
    let cpu_at_most = Some(cpu_seconds.saturating_add(CPU_GRACE_SECONDS));
    setrlimit(Resource::Cpu, Rlimit { current: Some(cpu_seconds), maximum: cpu_at_most })?;
    limit(Resource::As, address_bytes)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, MAX_OPEN_FILES)?;
    syscalls::restrict()?;
    let error = Command::new(program).args(arguments).env_clear().envs(ENVIRONMENT).exec();
    Err(SetupError::Exec(error))
}
