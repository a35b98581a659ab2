//! The outbox as a table.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::place::{int, uint};
use crate::{Effect, EffectState, Settlement};

/// The columns of [`effect`], in its order.
macro_rules! columns {
    () => {
        "name, connector, item, action, subject, round, priority, detail, created_ms, due_ms, \
         attempts, state, note"
    };
}

/// Adds an effect unless its name is there.
pub(super) fn insert(connection: &Connection, effect: &Effect) -> rusqlite::Result<()> {
    let sql = concat!(
        "INSERT INTO outbox (",
        columns!(),
        ") VALUES (:name, :connector, :item, :action, :subject, :round, :priority, :detail, \
         :created_ms, :due_ms, :attempts, :state, :note) ON CONFLICT (name) DO NOTHING"
    );
    connection.prepare_cached(sql)?.execute(named_params! {
        ":name": effect.name,
        ":connector": effect.connector,
        ":item": effect.item,
        ":action": effect.action,
        ":subject": effect.subject,
        ":round": effect.round,
        ":priority": effect.priority,
        ":detail": effect.detail,
        ":created_ms": int(effect.created_ms),
        ":due_ms": int(effect.due_ms),
        ":attempts": effect.attempts,
        ":state": code(effect.state),
        ":note": effect.note,
    })?;
    Ok(())
}

/// Writes down what became of an attempt.
pub(super) fn settle(connection: &Connection, settled: &Settlement) -> rusqlite::Result<()> {
    let sql = "UPDATE outbox SET state = :state, attempts = :attempts, due_ms = :due_ms, \
               note = :note WHERE name = :name";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":name": settled.name,
        ":state": code(settled.state),
        ":attempts": settled.attempts,
        ":due_ms": int(settled.due_ms),
        ":note": settled.note,
    })?;
    Ok(())
}

/// Pending effects that are due.
pub(super) fn due(
    connection: &Connection,
    now_ms: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Effect>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM outbox WHERE state = 0 AND due_ms <= ?1 ORDER BY priority, created_ms, seq LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((int(now_ms), int(limit as u64)), effect)?.collect()
}

/// When the next pending effect is due.
pub(super) fn next_due(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT due_ms FROM outbox WHERE state = 0 ORDER BY due_ms LIMIT 1";
    let due: Option<i64> =
        connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(due.map(uint))
}

/// Effects of a case.
pub(super) fn of_case(connection: &Connection, subject: [u8; 32]) -> rusqlite::Result<Vec<Effect>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM outbox WHERE subject = ?1 ORDER BY created_ms, seq");
    connection.prepare_cached(sql)?.query_map([subject], effect)?.collect()
}

/// Effects on an item.
pub(super) fn of_item(connection: &Connection, item: &str) -> rusqlite::Result<Vec<Effect>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM outbox WHERE item = ?1 ORDER BY created_ms, seq");
    connection.prepare_cached(sql)?.query_map([item], effect)?.collect()
}

/// Subjects that have effects.
pub(super) fn cases(connection: &Connection) -> rusqlite::Result<Vec<[u8; 32]>> {
    let sql = "SELECT DISTINCT subject FROM outbox ORDER BY subject";
    connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Pending and given-up effects.
pub(super) fn count(connection: &Connection, state: EffectState) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM outbox WHERE state = ?1";
    let count: i64 = connection.prepare_cached(sql)?.query_row([code(state)], |row| row.get(0))?;
    Ok(uint(count))
}

fn effect(row: &Row<'_>) -> rusqlite::Result<Effect> {
    Ok(Effect {
        name: row.get(0)?,
        connector: row.get(1)?,
        item: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        round: row.get(5)?,
        priority: row.get(6)?,
        detail: row.get(7)?,
        created_ms: uint(row.get(8)?),
        due_ms: uint(row.get(9)?),
        attempts: row.get(10)?,
        state: state(row.get(11)?)?,
        note: row.get(12)?,
    })
}

fn code(state: EffectState) -> i64 {
    match state {
        EffectState::Pending => 0,
        EffectState::Done => 1,
        EffectState::Dead => 2,
        EffectState::Cancelled => 3,
    }
}

fn state(code: i64) -> rusqlite::Result<EffectState> {
    match code {
        0 => Ok(EffectState::Pending),
        1 => Ok(EffectState::Done),
        2 => Ok(EffectState::Dead),
        3 => Ok(EffectState::Cancelled),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(11, code)),
    }
}
