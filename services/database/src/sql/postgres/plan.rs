//! How PostgreSQL would run a statement (`EXPLAIN (FORMAT JSON)`), as a tree.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};
use weft_kit::{Call, ToolError};

use super::{Mode, Session, Shared, read, surface};
use crate::sql::{Ask, Kind, Planned, Step};

/// The plan of one statement; with `analyze` it is run, read-only and rolled back.
pub(super) async fn explain(
    shared: &Shared,
    call: &Call,
    ask: Ask<'_>,
    analyze: bool,
    indexes: &[String],
) -> Result<Planned, ToolError> {
    if analyze && ask.checked.kind != Kind::Read {
        return Err(ToolError::refused("analyze runs the statement, so it is for reads only"));
    }
    // The planner wants to know that the transaction may write where the statement does.
    let mode =
        if ask.checked.kind == Kind::Read { Mode::Read } else { Mode::Write(crate::sql::Isolation::ReadCommitted) };
    let mut session = shared.begin(call, mode).await?;
    let planned = tree(&mut session, ask, analyze, indexes).await;
    if !indexes.is_empty() {
        // No rollback takes them back, and the next user of the connection would plan with them.
        session.connection.close_on_drop();
    }
    session.rollback().await;
    planned
}

async fn tree(
    session: &mut Session<'_>,
    ask: Ask<'_>,
    analyze: bool,
    indexes: &[String],
) -> Result<Planned, ToolError> {
    surface::check(session, ask.checked).await?;
    let ready = read::prepare(session, ask.checked, ask.params).await?;
    if analyze {
        // Before any index is believed in that is not there: what is run does without.
        session.affordable(&ready.text, &ready.values).await?;
    }
    hypothetical(session, indexes).await?;
    let options = if analyze { "FORMAT JSON, ANALYZE, BUFFERS" } else { "FORMAT JSON" };
    let sql = format!("EXPLAIN ({options}) {}", ready.text);
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for value in ready.values {
        query = query.bind(value);
    }
    let found = query.fetch_one(&mut *session.connection).await.map_err(|error| session.wrong(&error))?;
    // The binary form of `json` is its text.
    let text: &str = found.try_get_unchecked(0).map_err(|error| session.wrong(&error))?;
    let tree: Value = serde_json::from_str(text).map_err(|error| ToolError::internal(&error))?;
    let top = &tree[0];
    Ok(Planned {
        root: step(&top["Plan"]),
        planning_ms: top["Planning Time"].as_f64(),
        execution_ms: top["Execution Time"].as_f64(),
    })
}

/// Indexes that only this connection's planner believes in, by the extension `hypopg`.
async fn hypothetical(session: &mut Session<'_>, indexes: &[String]) -> Result<(), ToolError> {
    if indexes.is_empty() {
        return Ok(());
    }
    let sql = "SELECT n.nspname::text FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
               WHERE e.extname = 'hypopg'";
    let schema: Option<String> = sqlx::query_scalar(sql)
        .fetch_optional(&mut *session.connection)
        .await
        .map_err(|error| session.wrong(&error))?;
    let Some(schema) = schema else {
        return Err(ToolError::new(
            "unsupported",
            "hypothetical indexes need the extension hypopg, which this database has not",
        )
        .hint("explain without indexes"));
    };
    for index in indexes {
        let create = crate::sql::gate::check(crate::sql::Dialect::Postgres, index)?;
        if !matches!(create.statement, sqlparser::ast::Statement::CreateIndex(_)) {
            return Err(ToolError::invalid("an index is given as CREATE INDEX ON table (columns)"));
        }
        surface::check(session, &create).await?;
        let sql = format!("SELECT {}.hypopg_create_index($1)::text", crate::sql::quoted(&schema));
        let made = sqlx::query(AssertSqlSafe(sql)).bind(create.text).execute(&mut *session.connection).await;
        made.map_err(|error| session.wrong(&error))?;
    }
    Ok(())
}

fn step(node: &Value) -> Step {
    let text = |key: &str| node[key].as_str().map(str::to_owned);
    let conditions = ["Index Cond", "Hash Cond", "Merge Cond", "Join Filter", "Recheck Cond", "Filter"];
    let condition = conditions.iter().filter_map(|key| text(key)).collect::<Vec<_>>().join(" AND ");
    Step {
        operation: text("Node Type").unwrap_or_default(),
        table: text("Relation Name"),
        index: text("Index Name"),
        condition: Some(condition).filter(|condition| !condition.is_empty()),
        rows: node["Plan Rows"].as_f64(),
        cost: node["Total Cost"].as_f64(),
        actual_rows: node["Actual Rows"].as_f64(),
        actual_ms: node["Actual Total Time"].as_f64(),
        loops: node["Actual Loops"].as_f64(),
        steps: node["Plans"].as_array().map(|steps| steps.iter().map(step).collect()).unwrap_or_default(),
    }
}
