//! How SQLite would run a statement (`EXPLAIN QUERY PLAN`), as a tree.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter, types::Value as Native};
use weft_kit::ToolError;

use super::{
    Shared,
    authorizer::{self, Allowed},
    errors,
    run::{self, Page},
};
use crate::sql::{Dialect, Kind, Planned, Step, gate};

/// The plan; with `analyze` the statement is run and timed as a whole.
pub(super) fn explain(
    shared: &Shared,
    connection: &mut Connection,
    page: &Page,
    analyze: bool,
) -> Result<Planned, ToolError> {
    let mut planned = tree(shared, connection, page)?;
    if analyze {
        if page.checked.kind != Kind::Read {
            return Err(ToolError::refused("analyze runs the statement, so it is for reads only"));
        }
        let start = std::time::Instant::now();
        let table = run::select(shared, connection, page)?;
        planned.execution_ms = Some(start.elapsed().as_secs_f64() * 1_000.0);
        #[expect(clippy::cast_precision_loss, reason = "rows of one page")]
        let rows = table.rows.len() as f64;
        planned.root.actual_rows = Some(rows);
    }
    Ok(planned)
}

/// The plan as if these indexes were there: they are made in a transaction that is taken back.
pub(super) fn with_indexes(
    shared: &Shared,
    connection: &mut Connection,
    page: &Page,
    indexes: &[String],
) -> Result<Planned, ToolError> {
    let wrong = |error: rusqlite::Error| errors::tool(&shared.name, &error);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(wrong)?;
    for index in indexes {
        let create = gate::check(Dialect::Sqlite, index)?;
        if !matches!(create.statement, sqlparser::ast::Statement::CreateIndex(_)) {
            return Err(ToolError::invalid("an index is given as CREATE INDEX name ON table (columns)"));
        }
        authorizer::install(connection, Allowed::Tables, &shared.tables, &create).map_err(wrong)?;
        connection.prepare(&create.text).and_then(|mut made| made.execute([])).map_err(wrong)?;
    }
    let planned = tree(shared, connection, page);
    authorizer::lift(connection).map_err(wrong)?;
    connection.execute_batch("ROLLBACK").map_err(wrong)?;
    planned
}

fn tree(shared: &Shared, connection: &mut Connection, page: &Page) -> Result<Planned, ToolError> {
    let wrong = |error: rusqlite::Error| errors::tool(&shared.name, &error);
    let allowed = if page.checked.kind == Kind::Read { Allowed::Read } else { Allowed::Rows };
    authorizer::install(connection, allowed, &shared.tables, &page.checked).map_err(wrong)?;
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", page.checked.text)).map_err(wrong)?;
    // The plan does not depend on the values.
    let nothing = vec![Native::Null; statement.parameter_count()];
    let mut rows = statement.query(params_from_iter(nothing)).map_err(wrong)?;
    let mut found: Vec<(i64, i64, String)> = Vec::new();
    while let Some(row) = rows.next().map_err(wrong)? {
        found.push((row.get(0).map_err(wrong)?, row.get(1).map_err(wrong)?, row.get(3).map_err(wrong)?));
    }
    let mut below: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
    for (id, parent, text) in found {
        below.entry(parent).or_default().push((id, text));
    }
    let root = Step { operation: page.checked.verb().to_owned(), steps: steps(&mut below, 0), ..Step::default() };
    Ok(Planned { root, ..Planned::default() })
}

fn steps(below: &mut BTreeMap<i64, Vec<(i64, String)>>, parent: i64) -> Vec<Step> {
    let own = below.remove(&parent).unwrap_or_default();
    own.into_iter().map(|(id, text)| Step { steps: steps(below, id), ..step(&text) }).collect()
}

/// `SEARCH orders USING INDEX by_day (day=?)` → its parts.
fn step(text: &str) -> Step {
    let mut words = text.split_whitespace();
    let operation = words.next().unwrap_or_default().to_owned();
    let on_table = matches!(operation.as_str(), "SEARCH" | "SCAN");
    let table = if on_table { words.next().map(str::to_owned) } else { None };
    let index =
        text.split_once(" INDEX ").map(|(_, rest)| rest.split([' ', '(']).next().unwrap_or_default().to_owned());
    let condition = text.rsplit_once('(').map(|(_, rest)| rest.trim_end_matches(')').to_owned());
    let operation = if on_table { operation } else { text.to_owned() };
    Step {
        operation,
        table,
        index: index.filter(|name| !name.is_empty()),
        condition: condition.filter(|_| on_table),
        ..Step::default()
    }
}
