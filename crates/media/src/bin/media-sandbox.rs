//! Tries the sandbox by hand and in tests: attempts what it must stop, or hashes one file.

use std::io::Write;
use std::process::ExitCode;

use watchfire_media::sandbox;

/// How much memory the attempt asks for, in steps; more than any limit under test.
const MEMORY_STEP: usize = 64 * 1024 * 1024;
const MEMORY_STEPS: usize = 1024;

fn main() -> ExitCode {
    sandbox::run_if_child();
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let path = arguments.next().unwrap_or_default();
    let outcome = attempt(&what, &path);
    let text = outcome.as_ref().map_or_else(|error| format!("stopped: {error}"), Clone::clone);
    // The answer goes out even when standard output is all that is left.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

/// Tries one thing and says how it went; an error is what stopped it.
fn attempt(what: &str, path: &str) -> std::io::Result<String> {
    match what {
        "read" => std::fs::read(path).map(|bytes| format!("read {} bytes", bytes.len())),
        "list" => std::fs::read_dir(path).map(done),
        "write" => std::fs::write(path, "x").map(done),
        "append" => std::fs::OpenOptions::new().append(true).open(path).map(done),
        "remove" => std::fs::remove_file(path).map(done),
        "tcp" => std::net::TcpStream::connect(path).map(done),
        "udp" => std::net::UdpSocket::bind("127.0.0.1:0").map(done),
        "unix" => std::os::unix::net::UnixStream::pair().map(done),
        "fork" => std::process::Command::new(path).spawn().map(done),
        "exec" => {
            use std::os::unix::process::CommandExt;
            Err(std::process::Command::new(path).exec())
        }
        // Whether a signal could be sent to the process that started this one.
        "signal" => {
            let parent = rustix::process::getppid();
            let parent = parent.ok_or_else(|| std::io::Error::other("there is no parent"))?;
            Ok(rustix::process::test_kill_process(parent).map(done)?)
        }
        "thread" => std::thread::Builder::new().spawn(|| ()).map(done),
        "memory" => memory(),
        "time" => loop {
            std::hint::spin_loop();
        },
        // The first argument that ffmpeg and ffprobe get: in their place, this one hangs.
        "-v" => loop {
            std::thread::park();
        },
        _ => Err(std::io::Error::other("nothing is known by that name")),
    }
}

fn done<T>(_: T) -> String {
    "succeeded".to_owned()
}

/// Asks for memory until it is refused.
fn memory() -> std::io::Result<String> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for _ in 0..MEMORY_STEPS {
        let mut step = Vec::new();
        step.try_reserve_exact(MEMORY_STEP).map_err(std::io::Error::other)?;
        kept.push(step);
    }
    Ok(format!("got {} steps", kept.len()))
}
