//! Statements on one connection: pages of reads, and writes that happen as a whole.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusqlite::{
    Connection, Statement, params_from_iter,
    types::{Value as Native, ValueRef},
};
use serde_json::Value;
use weft_kit::{Call, ToolError};

use super::{
    Shared,
    authorizer::{self, Allowed},
    errors,
};
use crate::sql::{Act, Ask, Checked, Column, Done, Kind, Table, Write, as_expected, numbered, too_many};

/// The largest whole number that all JSON readers keep exact.
const EXACT: i64 = 1 << 53;

/// A read, taken along to another thread.
pub(super) struct Page {
    pub(super) checked: Checked,
    pub(super) params: Vec<Value>,
    skip: u64,
    take: usize,
    bytes: usize,
}

impl Page {
    pub(super) fn new(ask: Ask<'_>) -> Self {
        Self {
            checked: ask.checked.clone(),
            params: ask.params.to_vec(),
            skip: ask.skip,
            take: ask.take,
            bytes: ask.bytes,
        }
    }
}

/// One page of a read.
pub(super) fn select(shared: &Shared, connection: &mut Connection, page: &Page) -> Result<Table, ToolError> {
    let wrong = |error: rusqlite::Error| errors::tool(&shared.name, &error);
    authorizer::install(connection, Allowed::Read, &shared.tables, &page.checked).map_err(wrong)?;
    let sql = format!("SELECT * FROM ({}) LIMIT {} OFFSET {}", page.checked.text, page.take + 1, page.skip);
    // Columns are named by the statement itself: the outer one would rename those that are there twice.
    let inner = connection.prepare(&page.checked.text).map_err(wrong)?;
    let columns = columns(&inner);
    drop(inner);
    let mut statement = connection.prepare(&sql).map_err(wrong)?;
    if !statement.readonly() {
        return Err(ToolError::refused("this only reads"));
    }
    let mut table = rows(shared, &mut statement, &page.params, page.take, page.bytes)?;
    table.columns = columns;
    Ok(table)
}

fn columns(statement: &Statement<'_>) -> Vec<Column> {
    let kind = |declared: Option<&str>| declared.unwrap_or_default().to_lowercase();
    statement
        .columns()
        .map(|column| Column { name: column.name().to_owned(), kind: kind(column.decl_type()) })
        .collect()
}

/// Runs a statement to its end, or to the end of the page.
fn rows(
    shared: &Shared,
    statement: &mut Statement<'_>,
    params: &[Value],
    take: usize,
    bytes: usize,
) -> Result<Table, ToolError> {
    let wrong = |error: rusqlite::Error| errors::tool(&shared.name, &error);
    let mut table = Table { columns: columns(statement), ..Table::default() };
    let width = statement.column_count();
    if statement.parameter_count() != params.len() {
        return Err(wrong(rusqlite::Error::InvalidParameterCount(params.len(), statement.parameter_count())));
    }
    let mut left = bytes;
    let mut found = statement.query(params_from_iter(params.iter().map(native))).map_err(wrong)?;
    while let Some(row) = found.next().map_err(wrong)? {
        if table.more {
            // A write goes on to its end, whatever the page holds.
            continue;
        }
        let mut size = 2;
        let mut values = Vec::with_capacity(width);
        for place in 0..width {
            let (value, length, cut) = json(row.get_ref(place).map_err(wrong)?, shared.limits.cell_bytes);
            size += length + 3;
            table.cut += usize::from(cut);
            values.push(value);
        }
        let fits = table.rows.is_empty() || size <= left;
        if table.rows.len() == take || !fits {
            table.more = true;
            table.full = !fits;
            continue;
        }
        left = left.saturating_sub(size);
        table.rows.push(values);
    }
    Ok(table)
}

/// A JSON value as SQLite keeps it; lists and objects are kept as their text.
fn native(value: &Value) -> Native {
    match value {
        Value::Null => Native::Null,
        Value::Bool(truth) => Native::Integer(i64::from(*truth)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Native::Integer(whole),
            None => Native::Real(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Native::Text(text.clone()),
        other => Native::Text(other.to_string()),
    }
}

/// A value, its size, and whether it was cut. Blobs are base64.
fn json(value: ValueRef<'_>, most: usize) -> (Value, usize, bool) {
    match value {
        ValueRef::Null => (Value::Null, 4, false),
        ValueRef::Integer(number) if number.unsigned_abs() <= EXACT.unsigned_abs() => (number.into(), 8, false),
        ValueRef::Integer(number) => (number.to_string().into(), 20, false),
        ValueRef::Real(number) => {
            (serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number), 8, false)
        }
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            match text.char_indices().nth(most) {
                Some((cut, _)) => (format!("{}…", &text[..cut]).into(), cut, true),
                None => (text.as_ref().into(), text.len(), false),
            }
        }
        ValueRef::Blob(bytes) => {
            let kept = &bytes[..bytes.len().min(most)];
            (BASE64_STANDARD.encode(kept).into(), kept.len() * 4 / 3, kept.len() < bytes.len())
        }
    }
}

/// All statements, or nothing.
pub(super) fn write(
    shared: &Shared,
    call: &Call,
    connection: &mut Connection,
    write: Write<'_>,
) -> Result<Vec<Done>, ToolError> {
    let wrong = |error: rusqlite::Error| errors::tool(&shared.name, &error);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(wrong)?;
    let mut done = Vec::with_capacity(write.acts.len());
    let mut changed = 0;
    for (place, act) in write.acts.iter().enumerate() {
        call.check()?;
        let one = one(shared, connection, act, write.take).map_err(|error| numbered(error, place, write.acts.len()))?;
        changed += one.affected.unwrap_or(0);
        if changed > shared.limits.changed_rows {
            return Err(too_many(changed, shared.limits.changed_rows));
        }
        done.push(one);
        #[expect(clippy::cast_precision_loss, reason = "a few statements")]
        call.progress((place + 1) as f64, Some(write.acts.len() as f64), None);
    }
    as_expected(changed, write.expected)?;
    authorizer::lift(connection).map_err(wrong)?;
    if write.commit {
        // What was counted is kept or not, but never half: nothing interrupts the commit.
        connection.progress_handler(0, None::<fn() -> bool>).map_err(wrong)?;
        connection.execute_batch("COMMIT").map_err(wrong)?;
    }
    Ok(done)
}

fn one(shared: &Shared, connection: &mut Connection, act: &Act, take: usize) -> Result<Done, ToolError> {
    let wrong = |error: rusqlite::Error| errors::tool(&shared.name, &error);
    let allowed = match act.checked.kind {
        Kind::Read => Allowed::Read,
        Kind::Schema => Allowed::Tables,
        _ => Allowed::Rows,
    };
    authorizer::install(connection, allowed, &shared.tables, &act.checked).map_err(wrong)?;
    let before = connection.total_changes();
    let mut statement = connection.prepare(&act.checked.text).map_err(wrong)?;
    let returned = rows(shared, &mut statement, &act.params, take, shared.limits.bytes)?;
    let changed = connection.total_changes() - before;
    let (affected, cascaded) = match act.checked.kind {
        Kind::Schema => (None, 0),
        Kind::Read => (Some(0), 0),
        // Rows changed by triggers and cascades are changed as well.
        _ => (Some(changed), changed.saturating_sub(connection.changes())),
    };
    Ok(Done { affected, cascaded, returned })
}
