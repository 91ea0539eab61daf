//! Changing rows: one statement, or several as one. What would happen is found out first, in a transaction that is taken back.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use super::Rows;
use crate::{
    Databases,
    access::Need,
    sql::{Act, Dialect, Done, Isolation, Kind, Sql, Write, gate},
};

/// Rows of RETURNING that an answer holds.
const RETURNED: usize = 200;
/// What the count of a plan is called.
pub(super) const ROWS: &str = "the number of rows";

/// One statement.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct One {
    connection: String,
    /// One INSERT, UPDATE, DELETE or MERGE.
    sql: String,
    /// Values of $1, $2, … (PostgreSQL) or ? (SQLite).
    #[serde(default)]
    params: Vec<Value>,
}

/// A statement of several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
}

/// Several statements.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct All {
    connection: String,
    #[schemars(length(min = 1, max = 50))]
    statements: Vec<Statement>,
    /// PostgreSQL only: SQLite is always serializable.
    #[serde(default)]
    isolation: Isolation,
}

/// What would happen.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Effects {
    /// Rows that would be changed, also by references and triggers.
    affected: u64,
    statements: Vec<Effect>,
}

/// What one statement would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Effect {
    verb: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affected: Option<u64>,
    /// How many of them references (ON DELETE CASCADE) and triggers would change.
    #[serde(skip_serializing_if = "is_none")]
    cascaded: u64,
    /// It has no WHERE, or one that looks at no row: every row of the table.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    every_row: bool,
}

/// What happened.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Changed {
    /// Rows that were changed, by all statements together, also by references and triggers.
    affected: u64,
    /// By each.
    statements: Vec<Outcome>,
}

/// What one statement did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    affected: Option<u64>,
    /// How many of them references (ON DELETE CASCADE) and triggers changed.
    #[serde(skip_serializing_if = "is_none")]
    cascaded: u64,
    /// What RETURNING, or a SELECT among them, gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<Rows>,
    /// There are more rows than were returned.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

pub(crate) async fn plan_one(databases: Arc<Databases>, call: Call, args: One) -> Result<Plan<Effects>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Write)?;
    let acts = vec![act(sql.dialect(), &args.sql, &args.params, false)?];
    plan(&databases, &call, &args.connection, (sql, &acts, Isolation::default())).await
}

pub(crate) async fn one(
    databases: Arc<Databases>,
    call: Call,
    args: One,
    approval: Approval,
) -> Result<Reply<Changed>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Write)?;
    let acts = vec![act(sql.dialect(), &args.sql, &args.params, false)?];
    apply(&databases, &call, &args.connection, (sql, &acts, Isolation::default()), &approval).await
}

pub(crate) async fn plan_all(databases: Arc<Databases>, call: Call, args: All) -> Result<Plan<Effects>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Write)?;
    let acts = acts(sql.dialect(), &args.statements)?;
    plan(&databases, &call, &args.connection, (sql, &acts, args.isolation)).await
}

pub(crate) async fn all(
    databases: Arc<Databases>,
    call: Call,
    args: All,
    approval: Approval,
) -> Result<Reply<Changed>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Write)?;
    let acts = acts(sql.dialect(), &args.statements)?;
    apply(&databases, &call, &args.connection, (sql, &acts, args.isolation), &approval).await
}

fn acts(dialect: Dialect, statements: &[Statement]) -> Result<Vec<Act>, ToolError> {
    if statements.is_empty() || statements.len() > 50 {
        return Err(ToolError::invalid("a transaction has 1 to 50 statements"));
    }
    statements.iter().map(|statement| act(dialect, &statement.sql, &statement.params, true)).collect()
}

fn act(dialect: Dialect, sql: &str, params: &[Value], reads: bool) -> Result<Act, ToolError> {
    let checked = gate::check(dialect, sql)?;
    match checked.kind {
        Kind::Schema => {
            Err(ToolError::refused("this changes rows, but the statement changes tables").hint("use migrate"))
        }
        Kind::Read if !reads => Err(ToolError::invalid("the statement only reads").hint("use query")),
        _ => Ok(Act { checked, params: params.to_vec() }),
    }
}

/// What is to be done, where, and how separated from others.
pub(super) type Work<'a> = (Arc<dyn Sql>, &'a [Act], Isolation);

/// Tries it, and says what it found.
pub(super) async fn plan(
    databases: &Databases,
    call: &Call,
    name: &str,
    (sql, acts, isolation): Work<'_>,
) -> Result<Plan<Effects>, ToolError> {
    let write = Write { acts, isolation, take: 0, expected: None, commit: false };
    let done = databases.observe(name, call, sql.write(call, write)).await?;
    let affected: u64 = done.iter().filter_map(|one| one.affected).sum();
    let effect = |(act, done): (&Act, &Done)| Effect {
        verb: act.checked.verb(),
        table: gate::target(&act.checked.statement),
        affected: done.affected,
        cascaded: done.cascaded,
        every_row: act.checked.whole,
    };
    let statements: Vec<Effect> = acts.iter().zip(&done).map(effect).collect();
    let whole = statements.iter().any(|one| one.every_row);
    let confirm = sql.limits().confirm_rows;
    let cascaded: u64 = done.iter().map(|one| one.cascaded).sum();
    // What a trigger does for an addition need not be one.
    let adds = acts.iter().all(|act| act.checked.only_adds()) && cascaded <= confirm;
    let what: Vec<String> =
        statements.iter().map(|one| format!("{} {}", one.verb, one.table.as_deref().unwrap_or("…"))).collect();
    let all = if whole { ", without a condition" } else { "" };
    let more = if cascaded > 0 { format!(" ({cascaded} of them by references and triggers)") } else { String::new() };
    let summary = format!("Change {affected} rows{more} on {name:?}{all}: {}", what.join("; "));
    let plan = Plan::new(summary, Effects { affected, statements }).observed(ROWS, affected.to_string());
    let small = !whole && affected <= confirm;
    Ok(if adds || small { plan.low_risk() } else { plan })
}

/// Does it, if it is still what was approved.
pub(super) async fn apply(
    databases: &Databases,
    call: &Call,
    name: &str,
    (sql, acts, isolation): Work<'_>,
    approval: &Approval,
) -> Result<Reply<Changed>, ToolError> {
    let expected = approval.version(ROWS).and_then(|rows| rows.parse().ok());
    let write = Write { acts, isolation, take: RETURNED, expected, commit: true };
    let done = databases.observe(name, call, sql.write(call, write)).await?;
    let affected = done.iter().filter_map(|one| one.affected).sum();
    let statements = done
        .into_iter()
        .map(|one| {
            let rows = Rows { columns: one.returned.columns, rows: one.returned.rows };
            let returned = Some(rows).filter(|rows| !rows.columns.is_empty());
            Outcome { affected: one.affected, cascaded: one.cascaded, returned, more: one.returned.more }
        })
        .collect();
    Ok(Reply::new(Changed { affected, statements }).source(name))
}
