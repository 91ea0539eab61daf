//! A read: prepared to learn its types, wrapped so that the server writes the values out and ends after the page, rolled back.

use futures_util::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Column as _, Executor as _, Row as _, SqlSafeStr as _, Statement as _, postgres::PgTypeInfo,
};
use weft_kit::{Call, ToolError};

use super::{Mode, Session, Shared, cells::Cell, operators, params, surface};
use crate::sql::{Ask, Checked, Table};

/// Runs a read and gives one page of it.
pub(super) async fn select(shared: &Shared, call: &Call, ask: Ask<'_>) -> Result<Table, ToolError> {
    let mut session = shared.begin(call, Mode::Read).await?;
    let table = page(&mut session, ask).await;
    session.rollback().await;
    table
}

async fn page(session: &mut Session<'_>, ask: Ask<'_>) -> Result<Table, ToolError> {
    surface::check(session, ask.checked).await?;
    let ready = prepare(session, ask.checked, ask.params).await?;
    let most = session.shared.limits.cell_bytes;
    let sql = format!(
        "SELECT {} FROM ({}) AS q({}) LIMIT {} OFFSET {}",
        expressions(&ready.cells, most),
        ready.text,
        names(ready.cells.len()),
        ask.take + 1,
        ask.skip
    );
    session.affordable(&sql, &ready.values).await?;
    session.rows(sql, &ready, ask.take, ask.bytes).await
}

/// A statement whose types are known.
pub(super) struct Ready {
    pub(super) text: String,
    pub(super) cells: Vec<Cell>,
    pub(super) values: Vec<Option<String>>,
}

/// Asks the server what a statement takes and gives.
pub(super) async fn prepare(
    session: &mut Session<'_>,
    checked: &Checked,
    given: &[serde_json::Value],
) -> Result<Ready, ToolError> {
    let sql = AssertSqlSafe(checked.text.clone()).into_sql_str();
    let prepared = (&mut *session.connection).prepare_with(sql, &[]).await.map_err(|error| session.wrong(&error))?;
    let cells = prepared.columns().iter().map(|column| Cell::of(column.name(), column.type_info())).collect();
    let wanted: Vec<PgTypeInfo> = match prepared.parameters() {
        Some(sqlx::Either::Left(types)) => types.to_vec(),
        _ => Vec::new(),
    };
    let types = type_names(session, &wanted).await?;
    operators::casts(session, &types).await?;
    let values = params::texts(given, &types)?;
    let text = if types.is_empty() { checked.text.clone() } else { params::cast(&checked.statement, &types) };
    Ok(Ready { text, cells, values })
}

/// How the server writes these types, without a length: `character` alone would mean one letter, `bpchar` means any.
async fn type_names(session: &mut Session<'_>, types: &[PgTypeInfo]) -> Result<Vec<String>, ToolError> {
    if types.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<String> = types.iter().map(|info| info.oid().map_or(25, |oid| oid.0).to_string()).collect();
    let sql = "SELECT pg_catalog.format_type(t::oid, -1) FROM unnest(string_to_array($1, ',')) WITH ORDINALITY AS u(t, n) ORDER BY n";
    let named = sqlx::query_scalar(sql).bind(oids.join(",")).fetch_all(&mut *session.connection).await;
    named.map_err(|error| session.wrong(&error))
}

/// The columns of the inner query, by names of ours.
pub(super) fn names(count: usize) -> String {
    (0..count).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",")
}

/// What the outer query gives for them.
pub(super) fn expressions(cells: &[Cell], most: usize) -> String {
    let each = cells.iter().enumerate().map(|(number, cell)| cell.sql(&format!("q.c{number}"), most));
    each.collect::<Vec<_>>().join(", ")
}

impl Session<'_> {
    /// Fails if the planner thinks that it would cost too much.
    pub(super) async fn affordable(&mut self, sql: &str, values: &[Option<String>]) -> Result<(), ToolError> {
        let Some(most) = self.shared.max_cost else { return Ok(()) };
        let mut query = sqlx::query_scalar::<_, String>(AssertSqlSafe(format!("EXPLAIN {sql}"))).persistent(false);
        for value in values {
            query = query.bind(value.clone());
        }
        let lines = query.fetch_all(&mut *self.connection).await.map_err(|error| self.wrong(&error))?;
        let total = lines.first().and_then(|line| line.split("..").nth(1)?.split(' ').next()?.parse::<f64>().ok());
        match total {
            Some(cost) if cost > most => Err(ToolError::refused(format!(
                "the query would cost {cost:.0} by the planner's estimate; the limit is {most:.0}"
            ))
            .hint("narrow it with conditions that an index serves; explain shows where the cost is")),
            _ => Ok(()),
        }
    }

    /// Runs `sql`, whose columns are the text of `ready`'s, and reads up to `take` rows and `bytes` bytes.
    pub(super) async fn rows(
        &mut self,
        sql: String,
        ready: &Ready,
        take: usize,
        bytes: usize,
    ) -> Result<Table, ToolError> {
        let most = self.shared.limits.cell_bytes;
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for value in &ready.values {
            query = query.bind(value.clone());
        }
        let mut table =
            Table { columns: ready.cells.iter().map(|cell| cell.column.clone()).collect(), ..Table::default() };
        let mut left = bytes;
        let mut stream = query.fetch(&mut *self.connection);
        let mut failed = None;
        loop {
            let row = match stream.try_next().await {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            let mut size = 2;
            let mut values = Vec::with_capacity(ready.cells.len());
            for (place, cell) in ready.cells.iter().enumerate() {
                let text: Option<&str> = row.try_get(place).map_err(|error| ToolError::internal(&error))?;
                let (value, cut) = cell.value(text, most);
                size += text.map_or(4, str::len) + 3;
                table.cut += usize::from(cut);
                values.push(value);
            }
            let fits = table.rows.is_empty() || size <= left;
            if table.rows.len() == take || !fits {
                table.more = true;
                table.full = !fits;
                break;
            }
            left = left.saturating_sub(size);
            table.rows.push(values);
        }
        drop(stream);
        match failed {
            Some(error) => Err(self.wrong(&error)),
            None => Ok(table),
        }
    }
}
