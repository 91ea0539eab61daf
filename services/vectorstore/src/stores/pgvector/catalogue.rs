//! Which collections there are, the table of each, and its indexes: specifications into DDL and back.
//!
//! Identifiers are the quoted schema and a number; the names of fields, which DDL cannot take as parameters, are quoted by the
//! server's own `format('%L')`.

use serde_json::{Map, json};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use weft_kit::ToolError;

use super::session::{Session, failed};
use crate::model::{Collection, FieldType, Metric, Quantisation, Spec};
use crate::store::Alter;

/// A collection and where it is.
pub(super) struct Table {
    /// Quoted, with its schema.
    pub(super) name: String,
    /// Unquoted and without the schema: what names of indexes begin with.
    stem: String,
    pub(super) spec: Spec,
}

/// How the vectors are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Graph {
    Full,
    Half,
    Bit,
}

impl Graph {
    /// pgvector indexes `vector` up to 2,000 dimensions and `halfvec` up to 4,000.
    pub(super) fn of(spec: &Spec) -> Self {
        match (spec.quantisation, spec.dimensions) {
            (Quantisation::Binary, _) | (_, 4001..) => Self::Bit,
            (Quantisation::Scalar, _) | (_, 2001..) => Self::Half,
            (Quantisation::None, _) => Self::Full,
        }
    }

    /// The indexed form of a vector.
    pub(super) fn form(self, vector: &str, dimensions: usize) -> String {
        match self {
            Self::Full => format!("({vector})"),
            Self::Half => format!("(({vector})::halfvec({dimensions}))"),
            Self::Bit => format!("(binary_quantize({vector})::bit({dimensions}))"),
        }
    }

    fn operators(self, metric: Metric) -> &'static str {
        match (self, metric) {
            (Self::Full, Metric::Cosine) => "vector_cosine_ops",
            (Self::Full, Metric::Dot) => "vector_ip_ops",
            (Self::Full, Metric::Euclidean) => "vector_l2_ops",
            (Self::Half, Metric::Cosine) => "halfvec_cosine_ops",
            (Self::Half, Metric::Dot) => "halfvec_ip_ops",
            (Self::Half, Metric::Euclidean) => "halfvec_l2_ops",
            (Self::Bit, _) => "bit_hamming_ops",
        }
    }
}

fn table(session: &Session, row: &PgRow) -> Result<Table, ToolError> {
    let (id, spec): (i64, String) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    let spec = serde_json::from_str(&spec).map_err(|error| ToolError::internal(&error))?;
    let stem = format!("points_{id}");
    Ok(Table { name: format!("{}.{stem}", session.schema), stem, spec })
}

/// The collection of this tenant, or `not_found`.
pub(super) async fn find(session: &mut Session, tenant: &str, name: &str) -> Result<Table, ToolError> {
    let sql = format!("SELECT id, spec::text FROM {}.collections WHERE tenant = $1 AND name = $2", session.schema);
    let found = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(name).fetch_optional(session.connection()).await;
    let row = found.map_err(failed)?.ok_or_else(|| not_found(name))?;
    table(session, &row)
}

fn not_found(name: &str) -> ToolError {
    ToolError::not_found(format!("there is no collection `{name}`")).hint("list the collections, or create it")
}

/// All of a tenant but drafts, counted.
pub(super) async fn all(session: &mut Session, tenant: &str) -> Result<Vec<Collection>, ToolError> {
    let sql = format!(
        "SELECT id, spec::text FROM {}.collections WHERE tenant = $1 AND name NOT LIKE '%.%' ORDER BY name",
        session.schema
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant).fetch_all(session.connection()).await.map_err(failed)?;
    let mut collections = Vec::with_capacity(rows.len());
    for row in &rows {
        let table = table(session, row)?;
        collections.push(describe(session, table).await?);
    }
    Ok(collections)
}

/// With its count and what it takes on disk.
pub(super) async fn describe(session: &mut Session, table: Table) -> Result<Collection, ToolError> {
    let sql = format!("SELECT count(*), pg_total_relation_size('{0}'::regclass) FROM {0}", table.name);
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(session.connection()).await.map_err(failed)?;
    let (points, bytes): (i64, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    let indexed = match Graph::of(&table.spec) {
        Graph::Full => "vector",
        Graph::Half => "halfvec",
        Graph::Bit => "bit",
    };
    let version = format!("{}.{}", session.version.0, session.version.1);
    let facts =
        json!({"bytes": bytes, "table": table.stem, "index": "hnsw", "indexed_as": indexed, "pgvector": version});
    let facts: Map<_, _> = facts.as_object().cloned().unwrap_or_default();
    Ok(Collection { spec: table.spec, points: points.unsigned_abs(), facts })
}

/// False if the same is there.
pub(super) async fn create(session: &mut Session, tenant: &str, spec: &Spec) -> Result<bool, ToolError> {
    if make(session, tenant, &spec.name, spec).await? {
        return Ok(true);
    }
    if find(session, tenant, &spec.name).await?.spec == *spec {
        return Ok(false);
    }
    let differs = ToolError::conflict(format!("the collection `{}` exists with other settings", spec.name));
    Err(differs.hint("choose another name, or delete it first"))
}

/// Makes a collection under a name that may not be its specification's; false if the name is taken.
pub(super) async fn make(session: &mut Session, tenant: &str, name: &str, spec: &Spec) -> Result<bool, ToolError> {
    let sql = format!(
        "INSERT INTO {}.collections (tenant, name, spec) VALUES ($1, $2, $3::text::jsonb)
         ON CONFLICT (tenant, name) DO NOTHING RETURNING id, spec::text",
        session.schema
    );
    let made = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(name).bind(written(spec)?);
    let Some(row) = made.fetch_optional(session.connection()).await.map_err(failed)? else { return Ok(false) };
    let table = table(session, &row)?;
    let (name, stem, dimensions) = (&table.name, &table.stem, spec.dimensions);
    run(
        session,
        format!(
            "CREATE TABLE {name} (
             id text COLLATE \"C\" PRIMARY KEY,
             embedding vector({dimensions}) NOT NULL,
             body text,
             metadata jsonb NOT NULL,
             tokens jsonb NOT NULL,
             times jsonb NOT NULL,
             words tsvector NOT NULL);
         CREATE INDEX {stem}_words ON {name} USING gin (words);
         CREATE INDEX {stem}_tokens ON {name} USING gin (tokens jsonb_path_ops)"
        ),
    )
    .await?;
    build_graph(session, &table).await?;
    for (field, kind) in &spec.fields {
        index_field(session, &table, field, *kind).await?;
    }
    Ok(true)
}

fn written(spec: &Spec) -> Result<String, ToolError> {
    serde_json::to_string(spec).map_err(|error| ToolError::internal(&error))
}

async fn run(session: &mut Session, sql: String) -> Result<(), ToolError> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(session.connection()).await.map(drop).map_err(failed)
}

async fn build_graph(session: &mut Session, table: &Table) -> Result<(), ToolError> {
    let (spec, graph) = (&table.spec, Graph::of(&table.spec));
    let (form, operators) = (graph.form("embedding", spec.dimensions), graph.operators(spec.metric));
    // pgvector's own bounds.
    let m = spec.index.m.clamp(2, 100);
    let candidates = spec.index.ef_construction.clamp((2 * m).max(4), 1000);
    run(session, format!(
        "DROP INDEX IF EXISTS {schema}.{stem}_near;
         CREATE INDEX {stem}_near ON {name} USING hnsw ({form} {operators}) WITH (m = {m}, ef_construction = {candidates})",
        schema = session.schema, stem = table.stem, name = table.name,
    ))
    .await
}

async fn index_field(session: &mut Session, table: &Table, field: &str, kind: FieldType) -> Result<(), ToolError> {
    let forms: &[&str] = match kind {
        FieldType::Keyword | FieldType::Bool => &["gin ((metadata -> %L) jsonb_path_ops)"],
        FieldType::Integer | FieldType::Float => &["gin ((metadata -> %L) jsonb_path_ops)", "btree ((metadata -> %L))"],
        FieldType::Datetime => &["btree ((times -> %L))"],
    };
    for form in forms {
        let quoted =
            sqlx::query_scalar("SELECT format($1, $2)").bind(*form).bind(field).fetch_one(session.connection());
        let form: String = quoted.await.map_err(failed)?;
        run(session, format!("CREATE INDEX ON {} USING {form}", table.name)).await?;
    }
    Ok(())
}

/// Builds what is new of the indexes and writes the specification.
pub(super) async fn alter(session: &mut Session, tenant: &str, name: &str, change: &Alter) -> Result<(), ToolError> {
    let lock = format!("SELECT 1 FROM {}.collections WHERE tenant = $1 AND name = $2 FOR UPDATE", session.schema);
    let locked = sqlx::query(AssertSqlSafe(lock)).bind(tenant).bind(name).fetch_optional(session.connection());
    locked.await.map_err(failed)?.ok_or_else(|| not_found(name))?;
    let mut table = find(session, tenant, name).await?;
    let before = table.spec.index;
    table.spec.index = change.index.unwrap_or(before);
    if (table.spec.index.m, table.spec.index.ef_construction) != (before.m, before.ef_construction) {
        build_graph(session, &table).await?;
    }
    for (field, kind) in &change.add_fields {
        if table.spec.fields.insert(field.clone(), *kind) != Some(*kind) {
            index_field(session, &table, field, *kind).await?;
        }
    }
    table.spec.description = change.description.clone().or(table.spec.description);
    let sql =
        format!("UPDATE {}.collections SET spec = $3::text::jsonb WHERE tenant = $1 AND name = $2", session.schema);
    let written = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(name).bind(written(&table.spec)?);
    written.execute(session.connection()).await.map(|_| ()).map_err(failed)
}

/// Deletes the collection with its table and its aliases.
pub(super) async fn delete(session: &mut Session, tenant: &str, name: &str) -> Result<(), ToolError> {
    remove(session, tenant, name).await?;
    let sql = format!("DELETE FROM {}.aliases WHERE tenant = $1 AND collection = $2", session.schema);
    let gone = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(name).execute(session.connection());
    gone.await.map(drop).map_err(failed)
}

/// Deletes the collection with its table; its aliases stay.
pub(super) async fn remove(session: &mut Session, tenant: &str, name: &str) -> Result<(), ToolError> {
    let sql =
        format!("DELETE FROM {}.collections WHERE tenant = $1 AND name = $2 RETURNING id, spec::text", session.schema);
    let gone = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(name).fetch_optional(session.connection()).await;
    let row = gone.map_err(failed)?.ok_or_else(|| not_found(name))?;
    let table = table(session, &row)?;
    run(session, format!("DROP TABLE {}", table.name)).await
}
