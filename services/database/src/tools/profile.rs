//! What is in the columns of a table: how much is missing, how much differs, what is frequent.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_kit::{Call, Reply, ToolError};

use crate::{
    Databases,
    access::Need,
    sql::{Ask, Dialect, Field, Name, Sql, Table, gate, quoted},
};

/// Bars of a histogram.
const BARS: usize = 10;

/// Which table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    connection: String,
    /// `table` or `schema.table`.
    table: String,
    /// Only these columns; the first 30 if not said.
    #[serde(default)]
    columns: Vec<String>,
    /// Rows to look at, from the start of the table; 10000 if not said, at most 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    rows: Option<u64>,
    /// Most frequent values of each column; 5 if not said.
    #[schemars(range(max = 20))]
    top: Option<usize>,
}

/// What was found in a table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Profile {
    /// Rows that were looked at.
    rows: u64,
    columns: Vec<Of1>,
}

/// What was found in a column.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Of1 {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    nulls: u64,
    /// From 0 to 1.
    null_rate: f64,
    distinct: u64,
    min: Value,
    max: Value,
    /// The most frequent values.
    top: Vec<Frequent>,
    /// For numbers: how many are in each of ten equal parts of the range.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    histogram: Vec<Bar>,
}

/// A value and how often it is there.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Frequent {
    value: Value,
    count: u64,
}

/// A part of the range.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Bar {
    from: f64,
    to: f64,
    count: u64,
}

pub(crate) async fn profile(databases: Arc<Databases>, call: Call, args: Of) -> Result<Reply<Profile>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let described = sql.describe(&call, &Name::of(None, &args.table)).await?;
    let full = Name { schema: described.schema.clone(), name: described.name.clone() }.sql();
    let unknown = args.columns.iter().find(|name| !described.columns.iter().any(|column| column.name == **name));
    if let Some(unknown) = unknown {
        return Err(ToolError::not_found(format!("{} has no column {unknown:?}", args.table)));
    }
    let chosen = |column: &&Field| args.columns.is_empty() || args.columns.contains(&column.name);
    let fields: Vec<&Field> = described.columns.iter().filter(chosen).take(30).collect();
    let most = args.rows.unwrap_or(10_000).clamp(1, 1_000_000);
    let names: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
    let source = format!("(SELECT {} FROM {full} LIMIT {most}) AS s", names.join(", "));
    let look = Look { sql: sql.as_ref(), call: &call, source: &source, top: args.top.unwrap_or(5).min(20) };
    let mut profile = Profile { rows: 0, columns: Vec::with_capacity(fields.len()) };
    let total = fields.len();
    for (place, field) in fields.into_iter().enumerate() {
        call.check()?;
        let (rows, column) = databases.observe(&args.connection, &call, look.column(field)).await?;
        profile.rows = rows;
        profile.columns.push(column);
        #[expect(clippy::cast_precision_loss, reason = "at most 30 columns")]
        call.progress((place + 1) as f64, Some(total as f64), None);
    }
    Ok(Reply::new(profile).source(args.connection))
}

struct Look<'a> {
    sql: &'a dyn Sql,
    call: &'a Call,
    source: &'a str,
    top: usize,
}

impl Look<'_> {
    async fn run(&self, text: &str, take: usize) -> Result<Table, ToolError> {
        let checked = gate::check_read(self.sql.dialect(), text)?;
        self.sql.select(self.call, Ask { checked: &checked, params: &[], skip: 0, take, bytes: 64 << 10 }).await
    }

    /// The rows that were looked at, and what is in one column of them.
    async fn column(&self, field: &Field) -> Result<(u64, Of1), ToolError> {
        let (name, source) = (quoted(&field.name), self.source);
        let numeric = is_number(&field.kind);
        // What has no order of its own is compared as text.
        let value = if numeric { name.clone() } else { format!("CAST({name} AS TEXT)") };
        let text = format!(
            "SELECT count(*), count({name}), count(DISTINCT {value}), min({value}), max({value}) FROM {source}"
        );
        let counts = self.run(&text, 1).await?;
        let row = counts.rows.into_iter().next().unwrap_or_default();
        let at = |place: usize| row.get(place).cloned().unwrap_or(Value::Null);
        let (rows, present, distinct) = (count(&at(0)), count(&at(1)), count(&at(2)));
        let text = format!(
            "SELECT {value} AS v, count(*) AS n FROM {source} WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        );
        let frequent = if self.top == 0 { Table::default() } else { self.run(&text, self.top).await? };
        let top = frequent.rows.into_iter().map(|mut row| {
            let count = row.pop().map_or(0, |value| count(&value));
            Frequent { value: row.pop().unwrap_or(Value::Null), count }
        });
        let histogram = if numeric { self.histogram(&name, number(&at(3)), number(&at(4))).await? } else { Vec::new() };
        let nulls = rows - present;
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let null_rate = if rows == 0 { 0.0 } else { nulls as f64 / rows as f64 };
        let (name, kind) = (field.name.clone(), field.kind.clone());
        let column =
            Of1 { name, kind, nulls, null_rate, distinct, min: at(3), max: at(4), top: top.collect(), histogram };
        Ok((rows, column))
    }

    async fn histogram(&self, name: &str, low: Option<f64>, high: Option<f64>) -> Result<Vec<Bar>, ToolError> {
        let (Some(low), Some(high)) = (low, high) else { return Ok(Vec::new()) };
        if low >= high || !(high - low).is_finite() {
            return Ok(Vec::new());
        }
        #[expect(clippy::cast_precision_loss, reason = "ten")]
        let width = (high - low) / BARS as f64;
        let share = format!("(CAST({name} AS DOUBLE PRECISION) - ({low:?})) / {width:?}");
        // SQLite cuts where PostgreSQL rounds.
        let place = match self.sql.dialect() {
            Dialect::Postgres => format!("CAST(floor({share}) AS INTEGER)"),
            Dialect::Sqlite => format!("CAST({share} AS INTEGER)"),
        };
        let text = format!(
            "SELECT {place} AS b, count(*) AS n FROM {} WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 1",
            self.source
        );
        let mut bars: Vec<Bar> = (0..BARS)
            .map(|place| {
                #[expect(clippy::cast_precision_loss, reason = "ten")]
                let from = low + width * place as f64;
                Bar { from, to: from + width, count: 0 }
            })
            .collect();
        for row in self.run(&text, BARS + 2).await?.rows {
            let place = row.first().and_then(Value::as_u64).unwrap_or(0);
            // The largest value itself is on the upper edge.
            let place = usize::try_from(place).unwrap_or(0).min(BARS - 1);
            if let Some(bar) = bars.get_mut(place) {
                bar.count += row.get(1).map_or(0, count);
            }
        }
        Ok(bars)
    }
}

fn is_number(kind: &str) -> bool {
    let kind = kind.split('(').next().unwrap_or_default().trim();
    [
        "smallint",
        "integer",
        "int",
        "bigint",
        "real",
        "double precision",
        "numeric",
        "decimal",
        "float",
        "double",
        "int2",
        "int4",
        "int8",
    ]
    .contains(&kind)
}

fn count(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}
