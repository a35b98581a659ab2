//! Runs the program and looks at what it says and ends with.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfire");

/// How much a test plays: as much as the variable says, where it is set.
#[expect(clippy::disallowed_methods, reason = "how long a test may take is a setting of tests")]
pub(crate) fn how_many(variable: &str, usually: usize) -> usize {
    let Some(said) = std::env::var_os(variable) else { return usually };
    let said = said.to_str().and_then(|said| said.parse().ok());
    said.unwrap_or_else(|| panic!("{variable} is a number"))
}

/// Runs the program to its end.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// Runs the program, which must end well, and reads its one line of JSON.
pub(crate) fn json<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Value {
    let output = Command::new(PROGRAM).arg("--json").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of what an object says, in order.
pub(crate) fn keys(one: &Value) -> Vec<&str> {
    one.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Everything that it said.
pub(crate) fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// The exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Makes a member's data directory under a folder.
pub(crate) fn init(place: &Path, member: &str, listen: &str, address: Option<&str>) -> Value {
    init_as(place, member, "platform", (listen, address))
}

/// The same of a member with a role.
pub(crate) fn init_as(
    place: &Path,
    member: &str,
    role: &str,
    (listen, address): (&str, Option<&str>),
) -> Value {
    let dir = place.join(member);
    let dir = dir.to_str().unwrap();
    let mut arguments = vec![
        "init",
        "--member",
        member,
        "--organisation",
        member,
        "--role",
        role,
        "--listen",
        listen,
        "--dir",
        dir,
    ];
    if let Some(address) = address {
        arguments.extend(["--address", address]);
    }
    json(arguments)
}
