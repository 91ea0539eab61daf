//! Changes of tables by name: each applied once, whole or not at all, and written down in the database itself.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use crate::{
    Databases,
    access::Need,
    sql::{Act, Ask, Isolation, Sql, Write, gate},
};

/// Makes the table where applied migrations are written down.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS weft_migrations (name text PRIMARY KEY, checksum text NOT NULL, up text NOT NULL, \
                      down text, applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, number integer NOT NULL)";
/// What the list of applied migrations is called in a plan.
const APPLIED: &str = "the list of migrations";

/// A migration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Up {
    connection: String,
    /// Unique; say what it does, e.g. `2026_11_add_orders`.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// Statements that make the change, with ; between.
    up: String,
    /// Statements that undo it.
    down: Option<String>,
}

/// Which one to undo.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Down {
    connection: String,
    /// The one that was applied last.
    name: String,
}

/// Which database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    connection: String,
}

/// An applied migration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Applied {
    name: String,
    checksum: String,
    applied_at: String,
    /// It has a down script.
    reversible: bool,
    #[serde(skip)]
    down: Option<String>,
    #[serde(skip)]
    number: i64,
}

/// What would be run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Effects {
    name: String,
    statements: Vec<String>,
    reversible: bool,
}

/// What was run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Migrated {
    name: String,
    statements: usize,
    /// It had been applied before: nothing was done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    already: bool,
}

pub(crate) async fn list(databases: Arc<Databases>, call: Call, args: Of) -> Result<Reply<Vec<Applied>>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let applied = applied(sql.as_ref(), &call).await?;
    let text = applied.iter().map(|one| format!("{} {}", one.applied_at, one.name)).collect::<Vec<_>>().join("\n");
    Ok(Reply::new(applied).text(text).source(args.connection))
}

/// What was applied so far, oldest first. Without its table nothing was.
async fn applied(sql: &dyn Sql, call: &Call) -> Result<Vec<Applied>, ToolError> {
    let text = "SELECT name, checksum, CAST(applied_at AS TEXT), down, number FROM weft_migrations ORDER BY number";
    let checked = gate::ours(sql.dialect(), text)?;
    let ask = Ask { checked: &checked, params: &[], skip: 0, take: 5_000, bytes: 1 << 20 };
    let table = match sql.select(call, ask).await {
        Ok(table) => table,
        Err(error) if error.code() == "not_found" => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(table
        .rows
        .iter()
        .map(|row| Applied {
            name: row.first().and_then(text).unwrap_or_default(),
            checksum: row.get(1).and_then(text).unwrap_or_default(),
            applied_at: row.get(2).and_then(text).unwrap_or_default(),
            reversible: row.get(3).is_some_and(|down| !down.is_null()),
            down: row.get(3).and_then(text),
            number: row.get(4).and_then(Value::as_i64).unwrap_or(0),
        })
        .collect())
}

fn checksum(up: &str) -> String {
    Sha256::digest(up.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The state that a plan was made in.
fn version(applied: &[Applied]) -> String {
    applied.last().map_or_else(|| "empty".to_owned(), |last| format!("{} {}", last.number, last.name))
}

/// The statements of a migration, and the one that writes it down.
fn forth(sql: &dyn Sql, args: &Up, applied: &[Applied]) -> Result<Vec<Act>, ToolError> {
    let dialect = sql.dialect();
    let plain = |checked| Act { checked, params: Vec::new() };
    let mut acts = vec![plain(gate::ours(dialect, RECORD)?)];
    acts.extend(gate::check_script(dialect, &args.up)?.into_iter().map(plain));
    if let Some(down) = &args.down {
        // A script that could not be run later is refused now.
        gate::check_script(dialect, down)?;
    }
    let marks = if dialect == gate::Dialect::Postgres { "$1, $2, $3, $4, $5" } else { "?, ?, ?, ?, ?" };
    let insert = format!("INSERT INTO weft_migrations (name, checksum, up, down, number) VALUES ({marks})");
    let number = applied.last().map_or(1, |last| last.number + 1);
    let params = vec![json!(args.name), json!(checksum(&args.up)), json!(args.up), json!(args.down), json!(number)];
    acts.push(Act { checked: gate::ours(dialect, &insert)?, params });
    Ok(acts)
}

/// Whether it is there already; fails if another one has its name.
fn is_applied(args: &Up, applied: &[Applied]) -> Result<bool, ToolError> {
    match applied.iter().find(|one| one.name == args.name) {
        None => Ok(false),
        Some(one) if one.checksum == checksum(&args.up) => Ok(true),
        Some(_) => Err(ToolError::conflict(format!("another migration called {:?} was applied", args.name))
            .hint("give this one another name; list_migrations tells the names")),
    }
}

pub(crate) async fn plan_up(databases: Arc<Databases>, call: Call, args: Up) -> Result<Plan<Effects>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Migrate)?;
    let applied = applied(sql.as_ref(), &call).await?;
    let reversible = args.down.is_some();
    if is_applied(&args, &applied)? {
        let effects = Effects { name: args.name.clone(), statements: Vec::new(), reversible };
        return Ok(Plan::new("It was applied before: nothing to do", effects)
            .observed(APPLIED, version(&applied))
            .low_risk());
    }
    let acts = forth(sql.as_ref(), &args, &applied)?;
    run((&databases, &call, &args.connection), sql, &acts, false).await?;
    // Between the table of migrations and the entry in it.
    let own = &acts[1..acts.len() - 1];
    let statements: Vec<String> = own.iter().map(|act| act.checked.text.clone()).collect();
    let summary =
        format!("Apply the migration {:?} to {:?}: {} statements", args.name, args.connection, statements.len());
    let destroys = own.iter().any(|act| act.checked.destroys());
    let plan =
        Plan::new(summary, Effects { name: args.name, statements, reversible }).observed(APPLIED, version(&applied));
    Ok(if destroys { plan } else { plan.low_risk() })
}

pub(crate) async fn up(
    databases: Arc<Databases>,
    call: Call,
    args: Up,
    approval: Approval,
) -> Result<Reply<Migrated>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Migrate)?;
    let applied = applied(sql.as_ref(), &call).await?;
    unmoved(&approval, &applied)?;
    if is_applied(&args, &applied)? {
        return Ok(Reply::new(Migrated { name: args.name, statements: 0, already: true }).source(args.connection));
    }
    let acts = forth(sql.as_ref(), &args, &applied)?;
    run((&databases, &call, &args.connection), sql, &acts, true).await?;
    Ok(Reply::new(Migrated { name: args.name, statements: acts.len() - 2, already: false }).source(args.connection))
}

fn unmoved(approval: &Approval, applied: &[Applied]) -> Result<(), ToolError> {
    if approval.version(APPLIED) == Some(version(applied).as_str()) {
        return Ok(());
    }
    Err(ToolError::new("stale_plan", "another migration was applied since the plan was made")
        .hint("call again without plan_id"))
}

/// Who asks, of which connection.
type Place<'a> = (&'a Databases, &'a Call, &'a str);

async fn run(
    (databases, call, name): Place<'_>,
    sql: Arc<dyn Sql>,
    acts: &[Act],
    commit: bool,
) -> Result<(), ToolError> {
    let write = Write { acts, isolation: Isolation::default(), take: 0, expected: None, commit };
    databases.observe(name, call, sql.write(call, write)).await?;
    Ok(())
}

/// The statements that undo the last migration, and the one that strikes it out.
fn back(sql: &dyn Sql, args: &Down, applied: &[Applied]) -> Result<Vec<Act>, ToolError> {
    let Some(last) = applied.last() else {
        return Err(ToolError::not_found("no migration was applied here"));
    };
    if last.name != args.name {
        let known = applied.iter().any(|one| one.name == args.name);
        let why =
            if known { format!("{:?} was applied after it", last.name) } else { "it was not applied here".to_owned() };
        return Err(ToolError::conflict(format!("{:?} cannot be undone: {why}", args.name)));
    }
    let Some(down) = &last.down else {
        return Err(ToolError::refused(format!("{:?} has no down script", args.name))
            .hint("write a new migration that undoes it"));
    };
    let dialect = sql.dialect();
    let scripts = gate::check_script(dialect, down)?;
    let mut acts: Vec<Act> = scripts.into_iter().map(|checked| Act { checked, params: Vec::new() }).collect();
    let mark = if dialect == gate::Dialect::Postgres { "$1" } else { "?" };
    let checked = gate::ours(dialect, &format!("DELETE FROM weft_migrations WHERE name = {mark}"))?;
    acts.push(Act { checked, params: vec![json!(args.name)] });
    Ok(acts)
}

pub(crate) async fn plan_down(databases: Arc<Databases>, call: Call, args: Down) -> Result<Plan<Effects>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Migrate)?;
    let applied = applied(sql.as_ref(), &call).await?;
    let acts = back(sql.as_ref(), &args, &applied)?;
    let statements = acts.iter().take(acts.len() - 1).map(|act| act.checked.text.clone()).collect();
    run((&databases, &call, &args.connection), sql, &acts, false).await?;
    let summary = format!("Undo the migration {:?} on {:?}", args.name, args.connection);
    let effects = Effects { name: args.name, statements, reversible: true };
    Ok(Plan::new(summary, effects).observed(APPLIED, version(&applied)))
}

pub(crate) async fn down(
    databases: Arc<Databases>,
    call: Call,
    args: Down,
    approval: Approval,
) -> Result<Reply<Migrated>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Migrate)?;
    let applied = applied(sql.as_ref(), &call).await?;
    unmoved(&approval, &applied)?;
    let acts = back(sql.as_ref(), &args, &applied)?;
    run((&databases, &call, &args.connection), sql, &acts, true).await?;
    Ok(Reply::new(Migrated { name: args.name, statements: acts.len() - 1, already: false }).source(args.connection))
}
