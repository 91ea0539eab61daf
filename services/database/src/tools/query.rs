//! Reading: a page of a SELECT, its plan, some rows.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{At, Call, Reply, ToolError};

use super::{Rows, reply};
use crate::{
    Databases,
    access::Need,
    sql::{Ask, Checked, Name, Sql, Step, Table, gate},
};

/// What to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    connection: String,
    /// One SELECT.
    sql: String,
    /// Values of $1, $2, … (PostgreSQL) or ? (SQLite).
    #[serde(default)]
    params: Vec<Value>,
    /// Rows, up to 5000; 200 if not said.
    #[schemars(range(min = 1, max = 5000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) async fn query(databases: Arc<Databases>, call: Call, args: Query) -> Result<Reply<Rows>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let checked = gate::check_read(sql.dialect(), &args.sql)?;
    let wants = Wants { params: &args.params, limit: args.limit, cursor: args.cursor.as_deref() };
    page(&databases, &call, &args.connection, (sql.as_ref(), &checked), wants).await
}

/// Which page, and of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants<'a> {
    pub(super) params: &'a [Value],
    pub(super) limit: Option<usize>,
    pub(super) cursor: Option<&'a str>,
}

/// One page of a read.
pub(super) async fn page(
    databases: &Databases,
    call: &Call,
    connection: &str,
    (sql, checked): (&dyn Sql, &Checked),
    wants: Wants<'_>,
) -> Result<Reply<Rows>, ToolError> {
    let skip = call.resume::<u64>(wants.cursor)?.map_or(0, At::position);
    let take = wants.limit.unwrap_or(200).clamp(1, sql.limits().rows);
    let ask = Ask { checked, params: wants.params, skip, take, bytes: room(call, sql) };
    let table = databases.observe(connection, call, sql.select(call, ask)).await?;
    let cursor = next(call, &table, skip)?;
    let unordered = !checked.ordered && (skip > 0 || cursor.is_some());
    let reply = reply(table, cursor, connection);
    Ok(if unordered { reply.warn("the rows have no ORDER BY: pages may overlap or miss rows") } else { reply })
}

/// Bytes of rows in one answer, with room for what is around them.
fn room(call: &Call, sql: &dyn Sql) -> usize {
    (call.budget().left() * 9 / 10).min(sql.limits().bytes)
}

/// The cursor behind a page.
pub(super) fn next(call: &Call, table: &Table, skip: u64) -> Result<Option<String>, ToolError> {
    let at = skip + table.rows.len() as u64;
    table.more.then(|| call.cursor("", &at)).transpose()
}

/// Which rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    connection: String,
    /// `table` or `schema.table`.
    table: String,
    /// Up to 100; 10 if not said.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<usize>,
    /// Random rows instead of the first; reads the whole table.
    #[serde(default)]
    random: bool,
}

pub(crate) async fn sample(databases: Arc<Databases>, call: Call, args: Sample) -> Result<Reply<Rows>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let name = Name::of(None, &args.table).sql();
    let order = if args.random { " ORDER BY random()" } else { "" };
    let checked = gate::check_read(sql.dialect(), &format!("SELECT * FROM {name}{order}"))?;
    let take = args.limit.unwrap_or(10).clamp(1, 100);
    let ask = Ask { checked: &checked, params: &[], skip: 0, take, bytes: room(&call, sql.as_ref()) };
    let table = databases.observe(&args.connection, &call, sql.select(&call, ask)).await?;
    Ok(reply(table, None, &args.connection))
}

/// What to explain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    connection: String,
    /// One SELECT, INSERT, UPDATE or DELETE.
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
    /// Run it and measure; for a SELECT only.
    #[serde(default)]
    analyze: bool,
    /// CREATE INDEX statements to try: the plan is made as if they were there.
    #[serde(default)]
    #[schemars(length(max = 10))]
    indexes: Vec<String>,
}

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Explained {
    plan: Step,
    #[serde(skip_serializing_if = "Option::is_none")]
    planning_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_ms: Option<f64>,
    /// The cost without and with the indexes that were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Costs>,
    /// What could be better.
    hints: Vec<String>,
}

/// What the indexes would bring, by the planner's estimate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Costs {
    without: Option<f64>,
    with: Option<f64>,
}

pub(crate) async fn explain(
    databases: Arc<Databases>,
    call: Call,
    args: Explain,
) -> Result<Reply<Explained>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let checked = gate::check(sql.dialect(), &args.sql)?;
    if checked.kind == crate::sql::Kind::Schema {
        return Err(ToolError::invalid("changes of tables have no plan"));
    }
    if args.analyze {
        gate::check_read(sql.dialect(), &args.sql)?;
    }
    let tries = !args.indexes.is_empty();
    if tries && sql.dialect() == crate::sql::Dialect::Sqlite {
        // The index is really made, for as long as the plan takes.
        databases.sql(&call, &args.connection, Need::Migrate)?;
    }
    let ask = Ask { checked: &checked, params: &args.params, skip: 0, take: 1_000, bytes: 1 << 20 };
    let work = sql.explain(&call, ask, args.analyze && !tries, &args.indexes);
    let planned = databases.observe(&args.connection, &call, work).await?;
    let mut cost = None;
    if tries {
        let bare = sql.explain(&call, ask, false, &[]).await?;
        cost = Some(Costs { without: bare.root.cost, with: planned.root.cost });
    }
    let mut hints = Vec::new();
    advise(&planned.root, &mut hints);
    let mut text = String::new();
    draw(&planned.root, 0, &mut text);
    hints.iter().for_each(|hint| text.push_str(&format!("\nhint: {hint}")));
    let explained = Explained {
        plan: planned.root,
        planning_ms: planned.planning_ms,
        execution_ms: planned.execution_ms,
        cost,
        hints,
    };
    Ok(Reply::new(explained).text(text).source(args.connection))
}

/// One line per step.
fn draw(step: &Step, depth: usize, text: &mut String) {
    let named =
        |name: &str, value: &Option<String>| value.as_ref().map(|value| format!(" {name} {value}")).unwrap_or_default();
    let number = |name: &str, value: Option<f64>| value.map(|value| format!(" {name} {value}")).unwrap_or_default();
    text.push_str(&"  ".repeat(depth));
    text.push_str(&step.operation);
    text.push_str(&named("on", &step.table));
    text.push_str(&named("using", &step.index));
    text.push_str(&named("where", &step.condition));
    text.push_str(&number("rows", step.rows));
    text.push_str(&number("cost", step.cost));
    text.push_str(&number("actual rows", step.actual_rows));
    text.push_str(&number("ms", step.actual_ms));
    text.push('\n');
    step.steps.iter().for_each(|inner| draw(inner, depth + 1, text));
}

/// What a person would remark on a plan.
fn advise(step: &Step, hints: &mut Vec<String>) {
    let table = step.table.as_deref().unwrap_or("the table");
    let whole = step.operation == "Seq Scan" && step.rows.unwrap_or(0.0) >= 0.0 && step.condition.is_some();
    if whole && step.cost.unwrap_or(0.0) > 1_000.0 {
        let condition = step.condition.as_deref().unwrap_or_default();
        hints
            .push(format!("{table} is read whole to find rows by {condition}: try an index with the argument indexes"));
    }
    if step.operation == "SCAN" && step.index.is_none() {
        hints
            .push(format!("{table} is read whole: an index on the columns of its condition would help if it is large"));
    }
    if step.operation.contains("TEMP B-TREE") {
        hints.push("rows are sorted apart: an index in that order would spare it".to_owned());
    }
    if let (Some(planned), Some(actual)) = (step.rows, step.actual_rows)
        && (planned.max(1.0) / actual.max(1.0) > 100.0 || actual.max(1.0) / planned.max(1.0) > 100.0)
    {
        hints.push(format!(
            "{}: {planned} rows were expected and {actual} came: ANALYZE {table} may be due",
            step.operation
        ));
    }
    if step.operation == "Nested Loop" && step.loops.unwrap_or(1.0) > 10_000.0 {
        hints.push("a loop runs very often: a join condition may lack an index".to_owned());
    }
    step.steps.iter().for_each(|inner| advise(inner, hints));
}
