//! Many rows at once, from CSV or JSON lines: all of them or none.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{Call, Reply, ToolError};

use super::export::Format;
use crate::{
    Databases,
    access::Need,
    sql::{Act, Dialect, Isolation, Name, Write, gate, quoted},
};

/// Rows of one statement.
const BATCH: usize = 500;
/// Values of one statement: PostgreSQL takes 65535, and the text must stay short.
const VALUES: usize = 5_000;

/// What to add where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    connection: String,
    /// `table` or `schema.table`.
    table: String,
    #[serde(default)]
    format: Format,
    /// The rows. CSV has the names of the columns in its first line; an empty field is NULL unless empty_as_text.
    data: String,
    /// Empty CSV fields are empty texts, not NULL.
    #[serde(default)]
    empty_as_text: bool,
    /// Rows that collide with rows that are there are left out instead of failing all.
    #[serde(default)]
    skip_conflicts: bool,
    /// Only try: nothing is kept.
    #[serde(default)]
    dry_run: bool,
}

/// What was added.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Imported {
    /// Rows in the data.
    given: usize,
    /// Rows that were added, or would be.
    added: u64,
    columns: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// Rows with the same columns.
struct Given {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

pub(crate) async fn import(databases: Arc<Databases>, call: Call, args: Import) -> Result<Reply<Imported>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Write)?;
    let given = match args.format {
        Format::Csv => from_csv(&args.data, args.empty_as_text)?,
        Format::Jsonl => from_lines(&args.data)?,
    };
    if given.rows.is_empty() || given.columns.is_empty() {
        return Err(ToolError::invalid("data holds no rows"));
    }
    let acts = acts(sql.dialect(), &args, &given)?;
    let write = Write { acts: &acts, isolation: Isolation::default(), take: 0, expected: None, commit: !args.dry_run };
    let done = databases.observe(&args.connection, &call, sql.write(&call, write)).await?;
    let added = done.iter().filter_map(|one| one.affected.map(|affected| affected - one.cascaded)).sum();
    let imported = Imported { given: given.rows.len(), added, columns: given.columns, dry_run: args.dry_run };
    let text = format!("{added} of {} rows {}", imported.given, if args.dry_run { "would be added" } else { "added" });
    Ok(Reply::new(imported).text(text).source(args.connection))
}

fn acts(dialect: Dialect, args: &Import, given: &Given) -> Result<Vec<Act>, ToolError> {
    let width = given.columns.len();
    let batch = BATCH.min(VALUES / width).max(1);
    let into = Name::of(None, &args.table).sql();
    let names = given.columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let conflict = if args.skip_conflicts { " ON CONFLICT DO NOTHING" } else { "" };
    given
        .rows
        .chunks(batch)
        .map(|rows| {
            let row = |place: usize| {
                let marks = (0..width).map(|column| match dialect {
                    Dialect::Postgres => format!("${}", place * width + column + 1),
                    Dialect::Sqlite => "?".to_owned(),
                });
                format!("({})", marks.collect::<Vec<_>>().join(","))
            };
            let values = (0..rows.len()).map(row).collect::<Vec<_>>().join(",");
            let checked = gate::check(dialect, &format!("INSERT INTO {into} ({names}) VALUES {values}{conflict}"))?;
            Ok(Act { checked, params: rows.iter().flatten().cloned().collect() })
        })
        .collect()
}

fn from_csv(data: &str, empty_as_text: bool) -> Result<Given, ToolError> {
    let mut reader = csv::ReaderBuilder::new().from_reader(data.as_bytes());
    let wrong = |error: csv::Error| ToolError::invalid(format!("the CSV cannot be read: {error}"));
    let columns: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let value = |field: &str| if field.is_empty() && !empty_as_text { Value::Null } else { field.into() };
        rows.push(record.iter().map(value).collect());
    }
    Ok(Given { columns, rows })
}

fn from_lines(data: &str) -> Result<Given, ToolError> {
    let mut columns: Vec<String> = Vec::new();
    let mut objects: Vec<Map<String, Value>> = Vec::new();
    for (number, line) in data.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let object: Map<String, Value> = serde_json::from_str(line)
            .map_err(|error| ToolError::invalid(format!("line {} is no JSON object: {error}", number + 1)))?;
        for name in object.keys().filter(|name| !columns.contains(name)).cloned().collect::<Vec<_>>() {
            columns.push(name);
        }
        objects.push(object);
    }
    let row = |mut object: Map<String, Value>| {
        columns.iter().map(|name| object.remove(name).unwrap_or(Value::Null)).collect()
    };
    let rows = objects.into_iter().map(row).collect();
    Ok(Given { columns, rows })
}
