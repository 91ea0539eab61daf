//! What every SQL database can do, whatever it is: the contract between the tools and the engines, and its values.
//!
//! A statement reaches an engine only as [`Checked`]: parsed, classified, and written back from what was understood. Engines
//! enforce the same once more: a read runs in a read-only transaction that is always rolled back.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, ToolError};

use crate::settings::Limits;

pub(crate) mod gate;
mod names;
mod objects;
mod postgres;
mod shown;
mod sqlite;

pub(crate) use gate::{Checked, Dialect, Kind};
pub(crate) use names::{Name, literal, quoted};
pub(crate) use objects::{Described, Field, Index, Object, ObjectKind, Relation, Wanted};
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;

/// Where applied migrations are written down, in the database itself.
pub(crate) const MIGRATIONS: &str = "weft_migrations";
/// What stands in the place of a definition that would tell of tables that may not be used.
const HIDDEN: &str = "-- not shown: it reads tables that may not be used here";

/// What an engine answers with.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, ToolError>>;

/// A read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) checked: &'a Checked,
    pub(crate) params: &'a [Value],
    /// Rows to leave out in front.
    pub(crate) skip: u64,
    pub(crate) take: usize,
    pub(crate) bytes: usize,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The database's own name of the type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// Rows and what they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// There is at least one row more.
    pub(crate) more: bool,
    /// The rows ended because of their size, not their number.
    pub(crate) full: bool,
    /// Values that were cut.
    pub(crate) cut: usize,
}

/// One statement of a write.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) checked: Checked,
    pub(crate) params: Vec<Value>,
}

/// What one statement did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    /// Rows that were changed; `None` for changes of tables.
    pub(crate) affected: Option<u64>,
    /// How many of them references (`ON DELETE CASCADE`) and triggers changed.
    pub(crate) cascaded: u64,
    /// What `RETURNING` gave.
    pub(crate) returned: Table,
}

/// How separated a transaction is from others (SQL:2023). SQLite is always serializable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Isolation {
    #[default]
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// A write: all of it or nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) acts: &'a [Act],
    pub(crate) isolation: Isolation,
    /// Rows that `RETURNING` may give.
    pub(crate) take: usize,
    /// How many rows must be changed, by all statements together; otherwise nothing is.
    pub(crate) expected: Option<u64>,
    /// False: find out what would happen, and take it back.
    pub(crate) commit: bool,
}

/// A step of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Step {
    /// What is done: `Seq Scan`, `SEARCH`, `Hash Join`.
    pub(crate) operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<String>,
    /// Estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<f64>,
    /// Measured, per loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actual_rows: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actual_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loops: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps: Vec<Step>,
}

/// How a statement would be run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planned {
    pub(crate) root: Step,
    pub(crate) planning_ms: Option<f64>,
    pub(crate) execution_ms: Option<f64>,
}

/// One look at the health of a database.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: String,
    /// `ok`, `warning` or `critical`; `unknown` where it could not be looked at.
    pub(crate) status: String,
    pub(crate) summary: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Value>,
}

/// How the slowest statements are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TopBy {
    #[default]
    TotalTime,
    MeanTime,
    Calls,
    Rows,
}

/// A database that speaks SQL.
pub(crate) trait Sql: Send + Sync + Debug {
    /// Its dialect.
    fn dialect(&self) -> Dialect;

    /// How much one call may ask.
    fn limits(&self) -> &Limits;

    /// Runs a read.
    fn select<'a>(&'a self, call: &'a Call, ask: Ask<'a>) -> Answer<'a, Table>;

    /// Runs a write, or tries it.
    fn write<'a>(&'a self, call: &'a Call, write: Write<'a>) -> Answer<'a, Vec<Done>>;

    /// The plan of a statement; `analyze` runs it, which only a read may be. `indexes` are looked at as if they were there.
    fn explain<'a>(&'a self, call: &'a Call, ask: Ask<'a>, analyze: bool, indexes: &'a [String])
    -> Answer<'a, Planned>;

    /// Objects by name.
    fn objects<'a>(&'a self, call: &'a Call, wanted: &'a Wanted) -> Answer<'a, Vec<Object>>;

    /// One table or view.
    fn describe<'a>(&'a self, call: &'a Call, name: &'a Name) -> Answer<'a, Described>;

    /// All references between tables.
    fn relations<'a>(&'a self, call: &'a Call, schema: Option<&'a str>) -> Answer<'a, Vec<Relation>>;

    /// Looks at everything that could be wrong.
    fn health<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Finding>>;

    /// The statements that cost most.
    fn top<'a>(&'a self, call: &'a Call, by: TopBy, take: usize) -> Answer<'a, Vec<Value>>;

    /// Whether the database understands a statement, as things are now; nothing runs. What cannot be found out is no fault.
    fn prepares<'a>(&'a self, checked: &'a Checked) -> BoxFuture<'a, Result<(), String>>;

    /// Whether the database answers; otherwise why not, without any host, user or path.
    fn probe(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Closes what is open.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What the limit on changed rows says.
fn too_many(changed: u64, most: u64) -> ToolError {
    ToolError::too_large(format!("{changed} rows would be changed; the limit of the connection is {most}"))
        .hint("nothing was changed; do it in parts")
}

/// Fails if something else happened than what was approved.
fn as_expected(changed: u64, expected: Option<u64>) -> Result<(), ToolError> {
    match expected {
        Some(expected) if expected != changed => {
            let moved = format!("{changed} rows would be changed now, {expected} when the plan was made");
            Err(ToolError::new("stale_plan", moved)
                .hint("nothing was changed; call again without plan_id to get a new plan"))
        }
        _ => Ok(()),
    }
}

/// Says which of several statements failed.
fn numbered(error: ToolError, place: usize, count: usize) -> ToolError {
    if count < 2 {
        error
    } else {
        error.hint(format!("statement {} of {count} failed; nothing was changed", place + 1))
    }
}
