//! Moves pages of the write-ahead log into the database file, beside the writer instead of within
//! its commits.
//!
//! **Invariant:** nothing here changes what readers see.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// Pages of the write-ahead log after which they are moved: 4 MiB.
const MOVE_PAGES: u64 = 1024;

/// Pages after which the writer itself moves what is left, because the file begins again only when
/// no commit came in between: 12 MiB. Most of them have been moved by then.
const MAX_PAGES: u64 = 3 * MOVE_PAGES;

/// How much more is moved at a time when that is near, so that little is left for the writer: 512 KiB.
const LAST_PAGES: u64 = MOVE_PAGES / 8;

/// What to do with the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    Move,
    /// Move all and cut the file, so that erased bytes are gone from it too.
    Cut,
}

/// Where errands go. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Mover {
    errands: SyncSender<Errand>,
    moved_at: u64,
    cut_wanted: bool,
}

impl Mover {
    pub(super) fn start(connection: Connection) -> std::io::Result<(Self, JoinHandle<()>)> {
        // One errand under way and one that waits are as good as many.
        let (errands, queue) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-mover".to_owned());
        let thread = thread.spawn(move || run(&connection, &queue))?;
        Ok((Mover { errands, moved_at: 0, cut_wanted: false }, thread))
    }

    /// Asks for the file to be cut, at the next [`Mover::after_commit`].
    pub(super) fn want_cut(&mut self) {
        self.cut_wanted = true;
    }

    /// Decides what is to be done when the write-ahead log has this many pages.
    pub(super) fn after_commit(&mut self, connection: &Connection, pages: u64) {
        if self.cut_wanted {
            self.cut_wanted = self.errands.try_send(Errand::Cut).is_err();
            return;
        }
        if pages < self.moved_at {
            self.moved_at = 0;
        }
        let step = if pages < 2 * MOVE_PAGES { MOVE_PAGES } else { LAST_PAGES };
        if pages >= MAX_PAGES {
            carry_out(connection, Errand::Move);
        } else if pages >= self.moved_at + step && self.errands.try_send(Errand::Move).is_ok() {
            self.moved_at = pages;
        }
    }
}

fn run(connection: &Connection, queue: &Receiver<Errand>) {
    while let Ok(errand) = queue.recv() {
        carry_out(connection, errand);
    }
}

fn carry_out(connection: &Connection, errand: Errand) {
    let sql = match errand {
        Errand::Move => "PRAGMA wal_checkpoint(PASSIVE)",
        Errand::Cut => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    // A failure loses nothing, because the pages stay in the write-ahead log; a broken disk shows
    // at the next commit.
    if let Err(error) = connection.query_row(sql, [], |_| Ok(())) {
        tracing::warn!(%error, ?errand, "pages of the write-ahead log were not moved");
    }
}
