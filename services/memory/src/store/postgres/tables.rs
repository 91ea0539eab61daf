//! A schema → the tables in it, made once, whoever is first.

use sqlx::{Executor as _, PgPool};

/// `rows` has every version; what a current one is found by is taken from it when it is replaced.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS rows (space text NOT NULL, id text NOT NULL, version bigint NOT NULL, recorded_at bigint NOT NULL,
  ended_at bigint, expires_at bigint, kind text NOT NULL, doc text NOT NULL, terms tsvector, vector real[], nodes text[],
  PRIMARY KEY (space, id, version));
CREATE UNIQUE INDEX IF NOT EXISTS rows_current ON rows (space, id) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS rows_newest ON rows (space, recorded_at, id) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS rows_expiring ON rows (expires_at) WHERE expires_at IS NOT NULL AND ended_at IS NULL;
CREATE INDEX IF NOT EXISTS rows_terms ON rows USING gin (terms) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS rows_nodes ON rows USING gin (nodes) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS uses (space text NOT NULL, id text NOT NULL, used bigint NOT NULL, misled bigint NOT NULL,
  last bigint NOT NULL, PRIMARY KEY (space, id));
";

/// Whether recalls are counted already.
const COUNTS_RECALLS: &str = "SELECT EXISTS (SELECT FROM information_schema.columns \
    WHERE table_schema = $1 AND table_name = 'uses' AND column_name = 'recalled')";

/// Makes what is not there; says whether pgvector is.
pub(super) async fn make(pool: &PgPool, schema: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // One instance at a time: `IF NOT EXISTS` alone fails when two are at it.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('weft_memory'))").execute(&mut *transaction).await?;
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1 || '.uses') IS NOT NULL")
        .bind(schema)
        .fetch_one(&mut *transaction)
        .await?;
    if !there {
        let create = format!("CREATE SCHEMA IF NOT EXISTS {schema};{TABLES}");
        transaction.execute(sqlx::raw_sql(super::own(create))).await?;
    }
    // It came later. Asked first: only the owner of a table may change it, and only once.
    let counts: bool = sqlx::query_scalar(COUNTS_RECALLS).bind(schema).fetch_one(&mut *transaction).await?;
    if !counts {
        let add = format!("ALTER TABLE {schema}.uses ADD COLUMN recalled bigint NOT NULL DEFAULT 0");
        transaction.execute(sqlx::raw_sql(super::own(add))).await?;
    }
    let vector: bool =
        sqlx::query_scalar("SELECT to_regtype('vector') IS NOT NULL").fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(vector)
}
