//! A program in the sandbox can read its file, and nothing else that is tried.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use watchfire_media::sandbox::{NO_LANDLOCK, Sandbox};

const PROBE: &str = env!("CARGO_BIN_EXE_media-sandbox");

struct Outcome {
    status: ExitStatus,
    said: String,
    complained: String,
}

fn run(mut command: Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        status: output.status,
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
        complained: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The probe's attempt inside a sandbox in which it may read its own source file.
fn attempt(sandbox: &Sandbox, what: &str, path: &str) -> Outcome {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut command = sandbox.command(Path::new(PROBE), &input);
    command.args([what, path]);
    run(command)
}

fn sandbox() -> Sandbox {
    Sandbox::new(PROBE.into())
}

fn has_landlock() -> bool {
    !attempt(&sandbox(), "thread", "").complained.contains(NO_LANDLOCK)
}

/// The attempt works outside, so that what stops it inside is the sandbox.
fn works_outside(what: &str, path: &str) {
    let mut command = Command::new(PROBE);
    command.args([what, path]);
    let outcome = run(command);
    assert!(!outcome.said.contains("stopped"), "{what} {path} outside: {}", outcome.said);
}

fn is_stopped(what: &str, path: &str) {
    let outcome = attempt(&sandbox(), what, path);
    println!("{what} {path}: {}", outcome.said.trim());
    assert!(
        outcome.said.starts_with("stopped: "),
        "{what}: {}{}",
        outcome.said,
        outcome.complained
    );
}

#[test]
fn the_input_can_be_read_and_threads_can_be_started() {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let read = attempt(&sandbox(), "read", input.to_str().unwrap());
    assert!(read.said.starts_with("read "), "{}{}", read.said, read.complained);
    assert!(attempt(&sandbox(), "thread", "").said.starts_with("succeeded"));
}

#[test]
fn other_files_cannot_be_read_or_listed() {
    if !has_landlock() {
        println!("skipped: the kernel has no landlock");
        return;
    }
    for (what, path) in [("read", "/etc/passwd"), ("read", "/proc/self/environ"), ("list", "/")] {
        works_outside(what, path);
        is_stopped(what, path);
    }
}

#[test]
fn nothing_can_be_written_or_removed() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    std::fs::write(&old, "old").unwrap();
    let new = folder.path().join("new");
    for (what, path) in [("write", &new), ("write", &old), ("append", &old), ("remove", &old)] {
        is_stopped(what, path.to_str().unwrap());
    }
    assert!(!new.exists());
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "old");
    works_outside("write", new.to_str().unwrap());
    assert!(new.exists());
}

#[test]
fn the_network_cannot_be_reached() {
    let mut listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    works_outside("tcp", &address);
    assert!(listener.accept().is_ok());
    is_stopped("tcp", &address);
    is_stopped("udp", "");
    is_stopped("unix", "");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a connection came through");
    let _ = &mut listener;
}

#[test]
fn a_program_that_reads_from_a_pipe_can_read_no_file() {
    if !has_landlock() {
        println!("skipped: the kernel has no landlock");
        return;
    }
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut command = sandbox().command_on_pipe(Path::new(PROBE));
    command.args(["read", input.to_str().unwrap()]);
    let outcome = run(command);
    assert!(outcome.said.starts_with("stopped: "), "{}{}", outcome.said, outcome.complained);
    let mut command = sandbox().command_on_pipe(Path::new(PROBE));
    command.args(["thread", ""]);
    assert!(run(command).said.starts_with("succeeded"));
}

#[test]
fn no_process_can_be_started() {
    works_outside("fork", "/bin/true");
    is_stopped("fork", "/bin/true");
    // The program itself could be executed again, but not as a new process.
    is_stopped("fork", PROBE);
    if has_landlock() {
        is_stopped("exec", "/bin/true");
    }
}

#[test]
fn no_other_process_can_be_sent_a_signal() {
    works_outside("signal", "");
    is_stopped("signal", "");
}

#[test]
fn memory_ends_at_the_limit() {
    let sandbox = Sandbox { address_bytes: 256 * 1024 * 1024, ..sandbox() };
    works_outside("memory", "");
    let outcome = attempt(&sandbox, "memory", "");
    assert!(outcome.said.starts_with("stopped: "), "{}{}", outcome.said, outcome.complained);
}

#[test]
fn processor_time_ends_at_the_limit() {
    let sandbox = Sandbox { cpu_seconds: 1, ..sandbox() };
    let outcome = attempt(&sandbox, "time", "");
    // The kernel says why before it ends a child for good.
    let status = outcome.status;
    assert_eq!(status.signal(), Some(rustix::process::Signal::XCPU.as_raw()), "{status:?}");
    assert_eq!(outcome.said, "");
}

#[test]
fn a_program_that_is_not_there_is_a_failure_with_a_reason() {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut child = sandbox().command(Path::new("/nowhere/ffmpeg"), &input).spawn().unwrap();
    let mut reason = String::new();
    child.stderr.take().unwrap().read_to_string(&mut reason).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(watchfire_media::sandbox::SETUP_FAILED));
    assert!(reason.contains("/nowhere/ffmpeg"), "{reason}");
}
