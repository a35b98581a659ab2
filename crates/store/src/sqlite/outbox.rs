//! The outbox as a table.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::place::{int, uint};
use crate::{CaseCounts, Effect, EffectState, LateOrders, OutboxCounts, Settlement};

/// The columns of [`effect`], in its order.
macro_rules! columns {
    () => {
        "name, connector, item, action, subject, round, priority, detail, created_ms, due_ms, \
         attempts, state, note, record, reversible"
    };
}

/// Adds an effect unless its name is there.
pub(super) fn insert(connection: &Connection, effect: &Effect) -> rusqlite::Result<()> {
    let sql = concat!(
        "INSERT INTO outbox (",
        columns!(),
        ") VALUES (:name, :connector, :item, :action, :subject, :round, :priority, :detail, \
         :created_ms, :due_ms, :attempts, :state, :note, :record, :reversible) ON CONFLICT (name) DO NOTHING"
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
        ":record": effect.record,
        ":reversible": effect.reversible,
    })?;
    Ok(())
}

/// Writes down what became of an attempt.
pub(super) fn settle(connection: &Connection, settled: &Settlement) -> rusqlite::Result<()> {
    // Dropped (4) is a person's word, who did not know what was begun meanwhile: attempts that were made stay counted,
    // what is done stays done (1), and what comes of an attempt does not bring back what was dropped.
    let sql = "UPDATE outbox SET state = :state, \
               attempts = iif(:state = 4, max(attempts, :attempts), :attempts), due_ms = :due_ms, \
               note = :note, connector = ifnull(:connector, connector) WHERE name = :name \
               AND NOT (state = 4 AND :state = 0) AND NOT (state = 1 AND :state = 4)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":name": settled.name,
        ":state": code(settled.state),
        ":attempts": settled.attempts,
        ":due_ms": int(settled.due_ms),
        ":note": settled.note,
        ":connector": settled.connector,
    })?;
    Ok(())
}

/// Pending effects of a connector that are due.
pub(super) fn due(
    connection: &Connection,
    connector: &str,
    now_ms: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Effect>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM outbox WHERE state = 0 AND connector = ?1 AND due_ms <= ?2 \
         ORDER BY priority, created_ms, seq LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((connector, int(now_ms), int(limit as u64)), effect)?.collect()
}

/// When the next pending effect of a connector is due.
pub(super) fn next_due(connection: &Connection, connector: &str) -> rusqlite::Result<Option<u64>> {
    let sql =
        "SELECT due_ms FROM outbox WHERE state = 0 AND connector = ?1 ORDER BY due_ms LIMIT 1";
    let due: Option<i64> =
        connection.prepare_cached(sql)?.query_row([connector], |row| row.get(0)).optional()?;
    Ok(due.map(uint))
}

/// Connectors with pending effects.
pub(super) fn connectors(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT connector FROM outbox WHERE state = 0 ORDER BY connector";
    connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// An effect by its name.
pub(super) fn named(connection: &Connection, name: [u8; 32]) -> rusqlite::Result<Option<Effect>> {
    let sql = concat!("SELECT ", columns!(), " FROM outbox WHERE name = ?1");
    connection.prepare_cached(sql)?.query_row([name], effect).optional()
}

/// Effects in a state, with their row numbers. The state stands in the statement, so that the index
/// of those that are listed often is used.
pub(super) fn in_state(
    connection: &Connection,
    wanted: EffectState,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, Effect)>> {
    let sql = format!(
        concat!(
            "SELECT ",
            columns!(),
            ", seq FROM outbox WHERE state = {} AND seq > ?1 ORDER BY seq LIMIT ?2"
        ),
        code(wanted)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let numbered = |row: &Row<'_>| Ok((uint(row.get("seq")?), effect(row)?));
    statement.query_map((int(after), int(limit as u64)), numbered)?.collect()
}

/// The condition on late effects: decided too long ago, or at a place behind those that are met.
macro_rules! is_late {
    () => {
        "state = 0 AND attempts = 0 AND connector = :connector AND (created_ms <= :decided_ms \
         OR (priority, created_ms, seq) >= (:priority, :created_ms, :seq))"
    };
}

/// Effects that get their turn too late, with their row numbers.
pub(super) fn late(
    connection: &Connection,
    late: &LateOrders,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, Effect)>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", seq FROM outbox WHERE ",
        is_late!(),
        " AND seq > :after ORDER BY seq LIMIT :limit"
    );
    let (priority, created_ms, seq) = first_unmet(connection, late)?;
    let parameters = named_params! {
        ":connector": late.connector,
        ":decided_ms": int(late.decided_ms),
        ":priority": priority,
        ":created_ms": created_ms,
        ":seq": seq,
        ":after": int(after),
        ":limit": int(limit as u64),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let numbered = |row: &Row<'_>| Ok((uint(row.get("seq")?), effect(row)?));
    statement.query_map(parameters, numbered)?.collect()
}

/// How many effects get their turn too late.
pub(super) fn count_late(connection: &Connection, late: &LateOrders) -> rusqlite::Result<u64> {
    let sql = concat!("SELECT count(*) FROM outbox WHERE ", is_late!());
    let (priority, created_ms, seq) = first_unmet(connection, late)?;
    let parameters = named_params! {
        ":connector": late.connector,
        ":decided_ms": int(late.decided_ms),
        ":priority": priority,
        ":created_ms": created_ms,
        ":seq": seq,
    };
    let count: i64 = connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(uint(count))
}

/// The place in the queue from which on effects cannot be met; one behind all where they can.
fn first_unmet(connection: &Connection, late: &LateOrders) -> rusqlite::Result<(i64, i64, i64)> {
    let behind_all = (i64::MAX, i64::MAX, i64::MAX);
    let Some(met) = late.met else { return Ok(behind_all) };
    let sql = "SELECT priority, created_ms, seq FROM outbox WHERE state = 0 AND connector = ?1 \
               ORDER BY priority, created_ms, seq LIMIT 1 OFFSET ?2";
    let place = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let first = connection.prepare_cached(sql)?.query_row((&late.connector, int(met)), place);
    Ok(first.optional()?.unwrap_or(behind_all))
}

/// What waits, for one connector or for all.
pub(super) fn counts(
    connection: &Connection,
    connector: Option<&str>,
) -> rusqlite::Result<OutboxCounts> {
    let sql = "SELECT created_ms FROM outbox WHERE state = 0 AND (?1 IS NULL OR connector = ?1) \
               ORDER BY seq LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let oldest: Option<i64> = statement.query_row([connector], |row| row.get(0)).optional()?;
    Ok(OutboxCounts {
        pending: count(connection, EffectState::Pending, connector)?,
        dead: count(connection, EffectState::Dead, connector)?,
        oldest_pending_ms: oldest.map(uint),
    })
}

/// On how many items effects of a case were carried out.
pub(super) fn case_counts(
    connection: &Connection,
    subject: [u8; 32],
    undo: &str,
) -> rusqlite::Result<CaseCounts> {
    let sql = "SELECT count(DISTINCT iif(action <> ?2, item, NULL)), \
               count(DISTINCT iif(action = ?2, item, NULL)) \
               FROM outbox WHERE subject = ?1 AND state = 1";
    connection.prepare_cached(sql)?.query_row((subject, undo), |row| {
        Ok(CaseCounts { removed: uint(row.get(0)?), restored: uint(row.get(1)?) })
    })
}

/// Items that a case has effects on.
pub(super) fn items_of_case(
    connection: &Connection,
    subject: [u8; 32],
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT item FROM outbox WHERE subject = ?1 AND item > ?2 \
               ORDER BY item LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((subject, after, int(limit as u64)), |row| row.get(0))?.collect()
}

/// Effects of a case.
pub(super) fn of_case(connection: &Connection, subject: [u8; 32]) -> rusqlite::Result<Vec<Effect>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM outbox WHERE subject = ?1 ORDER BY created_ms, seq");
    connection.prepare_cached(sql)?.query_map([subject], effect)?.collect()
}

/// Effects on an item.
pub(super) fn of_item(connection: &Connection, item: &str) -> rusqlite::Result<Vec<Effect>> {
    let sql = concat!("SELECT ", columns!(), " FROM outbox WHERE item = ?1 ORDER BY seq");
    connection.prepare_cached(sql)?.query_map([item], effect)?.collect()
}

/// Effects on some items.
pub(super) fn of_items(connection: &Connection, items: &[String]) -> rusqlite::Result<Vec<Effect>> {
    let mut effects = Vec::new();
    for item in items {
        effects.extend(of_item(connection, item)?);
    }
    Ok(effects)
}

/// Subjects that have effects.
pub(super) fn cases(connection: &Connection) -> rusqlite::Result<Vec<[u8; 32]>> {
    let sql = "SELECT DISTINCT subject FROM outbox ORDER BY subject";
    connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn count(
    connection: &Connection,
    state: EffectState,
    connector: Option<&str>,
) -> rusqlite::Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM outbox WHERE state = {} AND (?1 IS NULL OR connector = ?1)",
        code(state)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let count: i64 = statement.query_row([connector], |row| row.get(0))?;
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
        record: row.get(13)?,
        reversible: row.get(14)?,
    })
}

fn code(state: EffectState) -> i64 {
    match state {
        EffectState::Pending => 0,
        EffectState::Done => 1,
        EffectState::Dead => 2,
        EffectState::Cancelled => 3,
        EffectState::Dropped => 4,
    }
}

fn state(code: i64) -> rusqlite::Result<EffectState> {
    match code {
        0 => Ok(EffectState::Pending),
        1 => Ok(EffectState::Done),
        2 => Ok(EffectState::Dead),
        3 => Ok(EffectState::Cancelled),
        4 => Ok(EffectState::Dropped),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(11, code)),
    }
}
