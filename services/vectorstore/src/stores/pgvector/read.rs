//! Rows into points: by id, in order, counted, and by the values of a field.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row};
use weft_kit::ToolError;

use super::catalogue::Table;
use super::filter;
use super::session::{Session, failed};
use crate::model::{Filter, Point, With};

/// The columns that [`point`] reads.
pub(super) fn columns(with: With) -> String {
    let column =
        |wanted: bool, expression: &str, none: &str| if wanted { expression.to_owned() } else { none.to_owned() };
    format!(
        "id, {}, {}, {}",
        column(with.text, "body", "NULL::text AS body"),
        column(with.metadata, "metadata::text AS metadata", "NULL::text AS metadata"),
        column(with.vector, "embedding::real[] AS embedding", "NULL::real[] AS embedding"),
    )
}

/// A row with these columns.
pub(super) fn point(row: &PgRow) -> Result<Point, ToolError> {
    let metadata: Option<String> = row.try_get("metadata").map_err(failed)?;
    let metadata = metadata.as_deref().map_or(Ok(Map::new()), serde_json::from_str);
    Ok(Point {
        id: row.try_get("id").map_err(failed)?,
        vector: row.try_get::<Option<Vec<f32>>, _>("embedding").map_err(failed)?.unwrap_or_default(),
        text: row.try_get("body").map_err(failed)?,
        metadata: metadata.map_err(|error| ToolError::internal(&error))?,
    })
}

pub(super) async fn get(
    session: &mut Session,
    table: &Table,
    ids: &[String],
    with: With,
) -> Result<Vec<Point>, ToolError> {
    let sql = format!("SELECT {} FROM {} WHERE id = ANY($1)", columns(with), table.name);
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(session.connection()).await.map_err(failed)?;
    let points: Vec<Point> = rows.iter().map(point).collect::<Result<_, _>>()?;
    let points: HashMap<&str, &Point> = points.iter().map(|point| (point.id.as_str(), point)).collect();
    Ok(ids.iter().filter_map(|id| points.get(id.as_str()).map(|point| (*point).clone())).collect())
}

/// A page of points.
pub(super) struct Page<'a> {
    pub(super) filter: Option<&'a Filter>,
    pub(super) after: Option<&'a str>,
    pub(super) limit: usize,
}

pub(super) async fn scroll(
    session: &mut Session,
    table: &Table,
    page: &Page<'_>,
    with: With,
) -> Result<Vec<Point>, ToolError> {
    let mut sql = QueryBuilder::<Postgres>::new(format!("SELECT {} FROM {} WHERE id > ", columns(with), table.name));
    // Every id has a character.
    sql.push_bind(page.after.unwrap_or_default().to_owned());
    if let Some(filter) = page.filter {
        sql.push(" AND ");
        filter::push(&mut sql, filter);
    }
    sql.push(" ORDER BY id LIMIT ").push_bind(bounded(page.limit));
    let rows = sql.build().fetch_all(session.connection()).await.map_err(failed)?;
    rows.iter().map(point).collect()
}

pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) async fn count(session: &mut Session, table: &Table, filter: Option<&Filter>) -> Result<u64, ToolError> {
    let mut sql = QueryBuilder::<Postgres>::new(format!("SELECT count(*) FROM {}", table.name));
    filter::push_where(&mut sql, filter);
    let count: i64 = sql.build_query_scalar().fetch_one(session.connection()).await.map_err(failed)?;
    Ok(count.unsigned_abs())
}

/// A point counts once for each of its distinct values; null is none.
pub(super) async fn facet(
    session: &mut Session,
    table: &Table,
    field: &str,
    page: &Page<'_>,
) -> Result<Vec<(Value, u64)>, ToolError> {
    let mut sql = QueryBuilder::<Postgres>::new("SELECT value::text, count(DISTINCT id) FROM (SELECT id, metadata -> ");
    sql.push_bind(field.to_owned()).push(" AS field FROM ").push(&table.name);
    filter::push_where(&mut sql, page.filter);
    sql.push(
        ") AS points CROSS JOIN LATERAL jsonb_array_elements(
             CASE jsonb_typeof(field) WHEN 'array' THEN field ELSE jsonb_build_array(field) END) AS value
         WHERE jsonb_typeof(value) <> 'null' GROUP BY value
         ORDER BY count(DISTINCT id) DESC,
             CASE jsonb_typeof(value) WHEN 'number' THEN (value #>> '{}')::numeric END NULLS LAST,
             (value #>> '{}') COLLATE \"C\" LIMIT ",
    );
    sql.push_bind(bounded(page.limit));
    let rows = sql.build().fetch_all(session.connection()).await.map_err(failed)?;
    let value = |row: &PgRow| {
        let (text, count): (String, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        let value = serde_json::from_str(&text).map_err(|error| ToolError::internal(&error))?;
        Ok((value, count.unsigned_abs()))
    };
    rows.iter().map(value).collect()
}
