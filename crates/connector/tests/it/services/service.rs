//! Runs a platform for one test (`scripts/services.sh run`).

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// A platform that runs until this is dropped.
pub(crate) struct Service {
    running: Child,
    /// The line that it printed when it was ready.
    pub(crate) said: Value,
}

impl Service {
    /// Starts a platform and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services.sh");
        let mut command = Command::new(script);
        command.arg("run").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line);
        let why = "it did not start; once per machine: scripts/services.sh install";
        Self { running, said: said.unwrap_or_else(|_| panic!("{arguments:?}: {why}")) }
    }

    /// Something that it said when it was ready.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.said[name].as_str().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.running.stdin.take());
        let _ended = self.running.wait();
    }
}
