//! A SELECT → all its rows as text, in parts that can be joined. It stands apart from `query`: nothing here is for eyes.

use std::{collections::HashSet, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{At, Call, Page, Reply, ToolError};

use super::query::next;
use crate::{
    Databases,
    access::Need,
    sql::{Ask, Table, gate},
};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// RFC 4180, with a header.
    #[default]
    Csv,
    /// One JSON object per line.
    Jsonl,
}

/// What to export.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    connection: String,
    /// One SELECT.
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(default)]
    format: Format,
    cursor: Option<String>,
}

/// A part of the rows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exported {
    format: Format,
    rows: usize,
    /// Parts can be joined as they are: only the first has a header.
    content: String,
}

pub(crate) async fn export(databases: Arc<Databases>, call: Call, args: Export) -> Result<Reply<Exported>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let checked = gate::check_read(sql.dialect(), &args.sql)?;
    let skip = call.resume::<u64>(args.cursor.as_deref())?.map_or(0, At::position);
    // The content stands in the answer twice, as data and as text.
    let bytes = super::PART * 2 / 3;
    let ask = Ask { checked: &checked, params: &args.params, skip, take: sql.limits().rows, bytes };
    let table = databases.observe(&args.connection, &call, sql.select(&call, ask)).await?;
    let cursor = next(&call, &table, skip)?;
    let content = match args.format {
        Format::Csv => csv(&table, skip == 0)?,
        Format::Jsonl => lines(&table)?,
    };
    let (rows, cut) = (table.rows.len(), table.cut);
    let page = Page::new(rows, cursor);
    let text = content.clone();
    let mut reply =
        Reply::new(Exported { format: args.format, rows, content }).text(text).page(page).source(args.connection);
    if cut > 0 {
        reply = reply.warn(format!("{cut} long values were cut (they end with …)"));
    }
    Ok(if checked.ordered { reply } else { reply.warn("the rows have no ORDER BY: parts may overlap or miss rows") })
}

fn csv(table: &Table, header: bool) -> Result<String, ToolError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |error: csv::Error| ToolError::internal(&error);
    if header {
        writer.write_record(table.columns.iter().map(|column| &column.name)).map_err(wrong)?;
    }
    for row in &table.rows {
        let fields = row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writer.write_record(fields).map_err(wrong)?;
    }
    let bytes = writer.into_inner().map_err(|error| ToolError::internal(&error))?;
    String::from_utf8(bytes).map_err(|error| ToolError::internal(&error))
}

fn lines(table: &Table) -> Result<String, ToolError> {
    let mut names = HashSet::new();
    if let Some(twice) = table.columns.iter().find(|column| !names.insert(&column.name)) {
        return Err(ToolError::invalid(format!(
            "two columns are called {:?}, and an object has room for one",
            twice.name
        ))
        .hint("give each a name of its own with AS, or export as csv"));
    }
    let mut text = String::new();
    for row in &table.rows {
        let object: Map<String, Value> =
            table.columns.iter().map(|column| column.name.clone()).zip(row.iter().cloned()).collect();
        text.push_str(&Value::Object(object).to_string());
        text.push('\n');
    }
    Ok(text)
}
