-- Logs, views and ledgers, blobs, the outbox, the seen table.

CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- place = log << 40 | index, so that a log's entries lie side by side and grow at one end.
CREATE TABLE entries (
    place INTEGER PRIMARY KEY,
    leaf BLOB NOT NULL,
    record BLOB,
    verified_ms INTEGER NOT NULL
) STRICT;

-- Tile hashes: level 0 are leaf hashes, a hash of level l covers 256^l leaves.
CREATE TABLE hashes (
    log INTEGER NOT NULL,
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (log, level, idx)
) STRICT, WITHOUT ROWID;

-- Every checkpoint that an append came with; the one of the largest size is the log's head.
CREATE TABLE checkpoints (
    log INTEGER NOT NULL,
    size INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;

-- Can be made again from the logs.
CREATE TABLE views (
    name TEXT NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

-- Cannot be made again.
CREATE TABLE ledgers (
    name TEXT NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    sha256 BLOB NOT NULL UNIQUE,
    bytes BLOB NOT NULL
) STRICT;

-- A ledger. state: 0 pending, 1 done, 2 dead, 3 cancelled.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name BLOB NOT NULL UNIQUE,
    connector TEXT NOT NULL,
    item TEXT NOT NULL,
    action TEXT NOT NULL,
    subject BLOB NOT NULL,
    round INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    detail BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_order ON outbox (priority, created_ms, seq) WHERE state = 0;
CREATE INDEX outbox_due ON outbox (due_ms) WHERE state = 0;
CREATE INDEX outbox_subject ON outbox (subject, created_ms, seq);
CREATE INDEX outbox_item ON outbox (item, created_ms, seq);

-- A ledger. An item that is replaced gets a new row number.
CREATE TABLE seen (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    item TEXT NOT NULL UNIQUE,
    seen_ms INTEGER NOT NULL,
    signals BLOB NOT NULL
) STRICT;
