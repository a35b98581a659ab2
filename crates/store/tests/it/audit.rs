//! Judges a store after a crash: what was acknowledged is there, and nothing is there by halves.

use std::collections::BTreeMap;
use std::path::Path;

use watchfire_store::conformance::Author;
use watchfire_store::{SqliteOptions, SqliteStore, Store};
use watchfire_tlog::audit;

use crate::writing;

/// The largest acknowledged size of each log.
pub(crate) type Acknowledged = BTreeMap<String, u64>;

/// Takes note of a line of the writer; `false` if it is none.
pub(crate) fn note(acknowledged: &mut Acknowledged, line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let ["ack", name, size] = words.as_slice() else { return false };
    acknowledged.insert((*name).to_owned(), size.parse().unwrap());
    true
}

/// Opens the store and says what is wrong with it; returns the number of entries.
pub(crate) async fn judge(directory: &Path, acknowledged: &Acknowledged) -> Result<u64, String> {
    let options = SqliteOptions::default();
    let store =
        crate::reopen(directory, options).map_err(|error| format!("it does not open: {error}"))?;
    let heads = store.logs().await.unwrap();
    for (name, size) in acknowledged {
        let log = Author::new(name).log().clone();
        let held = heads.iter().find(|head| head.log == log).map_or(0, |head| head.size);
        if held < *size {
            return Err(format!("{name}: {size} acknowledged, {held} there"));
        }
    }
    for head in &heads {
        let name = head.log.as_str().split('/').nth(2).unwrap();
        judge_log(&store, &Author::new(name), head.size).await?;
    }
    let commits = store.rows(writing::COMMITS, b"", usize::MAX).await.unwrap();
    let effects = store.effects_due("webhook", u64::MAX, usize::MAX).await.unwrap();
    let entries = heads.iter().map(|head| head.size).sum();
    if commits.len() != effects.len() {
        return Err(format!("{} rows, {} effects", commits.len(), effects.len()));
    }
    Ok(entries)
}

async fn judge_log(store: &SqliteStore, author: &Author, size: u64) -> Result<(), String> {
    let log = author.log();
    let report = audit(&*store.read(log), log, &author.key(), &mut |_, _| ()).await;
    if !report.is_sound() || report.size != size || report.records != size {
        return Err(format!("{log}: {report:?}"));
    }
    let mut next = 0;
    while next < size {
        let held = store.held(log, next, 1000).await.unwrap();
        for held in &held {
            let bytes = writing::record_bytes(held.index);
            if held.index != next || held.entry != author.entry(next, bytes) {
                return Err(format!("{log}: entry {next} is another"));
            }
            next += 1;
        }
    }
    // The row that was committed with the last append is there, and none of a later one.
    let row = store.row(writing::COMMITS, &writing::key(author, size)).await.unwrap();
    let later = store.rows(writing::COMMITS, &writing::key(author, size), 1).await.unwrap();
    let later = later.iter().any(|(key, _)| key.starts_with(log.as_str().as_bytes()));
    if row.is_none() || later { Err(format!("{log}: rows and entries differ")) } else { Ok(()) }
}
