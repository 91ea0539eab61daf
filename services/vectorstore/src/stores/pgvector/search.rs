//! A query into SQL: by the graph and ranked again, by every vector, or by words.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row};
use weft_kit::ToolError;

use super::catalogue::{Graph, Table};
use super::session::{Session, failed};
use super::{filter, read};
use crate::model::{Hit, Metric, Near, Query};
use crate::stores::terms;

/// The largest `hnsw.ef_search`.
const MOST_CANDIDATES: usize = 1000;

pub(super) async fn search(session: &mut Session, table: &Table, query: &Query) -> Result<Vec<Hit>, ToolError> {
    match &query.near {
        Near::Words(words) => by_words(session, table, query, words).await,
        Near::Vector(vector) => by_vector(session, table, query, vector).await,
    }
}

async fn by_vector(session: &mut Session, table: &Table, query: &Query, vector: &[f32]) -> Result<Vec<Hit>, ToolError> {
    let operator = match table.spec.metric {
        Metric::Cosine => "<=>",
        Metric::Dot => "<#>",
        Metric::Euclidean => "<->",
    };
    let literal = literal(vector);
    let mut sql = QueryBuilder::<Postgres>::new("");
    sql.push(format!("SELECT {}, embedding {operator} ", read::columns(query.with)));
    sql.push_bind(literal.clone()).push("::text::vector AS distance FROM ");
    if query.exact {
        settle(session, "SELECT set_config('enable_indexscan', 'off', true)".to_owned()).await?;
        sql.push(&table.name);
        filter::push_where(&mut sql, query.filter.as_ref());
    } else {
        let candidates = prepare(session, table, query).await?;
        sql.push(format!("(SELECT id, embedding, body, metadata FROM {}", table.name));
        filter::push_where(&mut sql, query.filter.as_ref());
        push_nearest(&mut sql, table, operator, &literal);
        sql.push(" LIMIT ").push_bind(read::bounded(candidates)).push(") AS candidates");
    }
    sql.push(" ORDER BY distance, id LIMIT ").push_bind(read::bounded(query.limit));
    let rows = sql.build().fetch_all(session.connection()).await.map_err(failed)?;
    rows.iter().map(|row| hit(row, table.spec.metric)).collect()
}

/// ` ORDER BY` the very expression that the graph indexes.
fn push_nearest(sql: &mut QueryBuilder<Postgres>, table: &Table, operator: &str, literal: &str) {
    let (graph, dimensions) = (Graph::of(&table.spec), table.spec.dimensions);
    let operator = if graph == Graph::Bit { "<~>" } else { operator };
    sql.push(format!(" ORDER BY {} {operator} ", graph.form("embedding", dimensions)));
    sql.push(match graph {
        Graph::Full => "",
        Graph::Half => "(",
        Graph::Bit => "binary_quantize(",
    });
    sql.push_bind(literal.to_owned()).push("::text::vector");
    sql.push(match graph {
        Graph::Full => String::new(),
        Graph::Half => format!("::halfvec({dimensions}))"),
        Graph::Bit => format!(")::bit({dimensions})"),
    });
}

/// Sets the breadth of the search; gives how many candidates to take from the graph.
async fn prepare(session: &mut Session, table: &Table, query: &Query) -> Result<usize, ToolError> {
    let breadth = usize::from(query.ef.unwrap_or(table.spec.index.ef_search));
    let candidates = match Graph::of(&table.spec) {
        Graph::Full => query.limit,
        Graph::Half => query.limit * 2,
        Graph::Bit => (query.limit * 10).max(breadth),
    };
    let breadth = breadth.max(candidates).clamp(1, MOST_CANDIDATES);
    let mut sql = format!("SELECT set_config('hnsw.ef_search', '{breadth}', true)");
    if session.version >= (0, 8) {
        // Looks on beyond the breadth until the filter has let enough through; the order is made good by the ranking above.
        sql.push_str(", set_config('hnsw.iterative_scan', 'relaxed_order', true)");
    }
    settle(session, sql).await?;
    Ok(candidates)
}

async fn settle(session: &mut Session, sql: String) -> Result<(), ToolError> {
    sqlx::query(AssertSqlSafe(sql)).execute(session.connection()).await.map(drop).map_err(failed)
}

/// `[1,2,3]`, each number so that it is read back as it was.
pub(super) fn literal(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

#[expect(clippy::cast_possible_truncation, reason = "a score is shown in single precision, as vectors are kept")]
fn hit(row: &PgRow, metric: Metric) -> Result<Hit, ToolError> {
    let distance: f64 = row.try_get("distance").map_err(failed)?;
    let score = match metric {
        // The angle to the zero vector is none.
        Metric::Cosine if distance.is_nan() => 0.0,
        Metric::Cosine => 1.0 - distance,
        Metric::Dot => -distance,
        Metric::Euclidean => distance,
    };
    Ok(Hit { point: read::point(row)?, score: score as f32 })
}

async fn by_words(session: &mut Session, table: &Table, query: &Query, words: &str) -> Result<Vec<Hit>, ToolError> {
    let wanted = terms::distinct_words(words);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // Letters and digits need no quoting in a tsquery.
    let wanted = wanted.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" | ");
    let mut sql = QueryBuilder::<Postgres>::new(format!("SELECT {}, ts_rank_cd(words, ", read::columns(query.with)));
    sql.push_bind(wanted.clone()).push("::text::tsquery) AS score FROM ").push(&table.name);
    sql.push(" WHERE words @@ ").push_bind(wanted).push("::text::tsquery");
    if let Some(filter) = &query.filter {
        sql.push(" AND ");
        filter::push(&mut sql, filter);
    }
    sql.push(" ORDER BY score DESC, id LIMIT ").push_bind(read::bounded(query.limit));
    let rows = sql.build().fetch_all(session.connection()).await.map_err(failed)?;
    let hit = |row: &PgRow| Ok(Hit { point: read::point(row)?, score: row.try_get("score").map_err(failed)? });
    rows.iter().map(hit).collect()
}
