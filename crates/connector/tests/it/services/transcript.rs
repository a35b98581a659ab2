//! What happened on a real platform, step by step.

use tokio::time::Instant;

/// Says what happened on a platform, and how long each step took; shown with `--no-capture`.
pub(crate) struct Transcript {
    platform: &'static str,
    last: Instant,
}

impl Transcript {
    pub(crate) fn begin(platform: &'static str) -> Self {
        Self { platform, last: Instant::now() }
    }

    pub(crate) fn step(&mut self, what: &str) {
        println!("{}: {what} ({} ms)", self.platform, self.last.elapsed().as_millis());
        self.last = Instant::now();
    }
}
