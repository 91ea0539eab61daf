//! Questions → records. What must be filtered is read in parts, until there is enough.

use std::collections::BTreeMap;

use sqlx::Error;

use super::Postgres;
use crate::{
    filter::Filter,
    model::{Record, Uses},
    moment::Moment,
    store::{Census, Row, best},
};

/// Rows that are read at once.
const PART: usize = 500;

fn record(doc: &str) -> Result<Record, Error> {
    serde_json::from_str(doc).map_err(|error| Error::Decode(error.into()))
}

fn size(part: usize) -> i64 {
    i64::try_from(part).unwrap_or(i64::MAX)
}

pub(super) async fn get(store: &Postgres, space: &str, ids: &[String]) -> Result<Vec<Record>, Error> {
    store.ready().await?;
    let docs: Vec<String> =
        sqlx::query_scalar("SELECT doc FROM rows WHERE space = $1 AND id = ANY($2) AND ended_at IS NULL")
            .bind(space)
            .bind(ids)
            .fetch_all(&store.pool)
            .await?;
    let mut found = docs.iter().map(|doc| record(doc)).collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|own| ids.iter().position(|id| *id == own.id));
    Ok(found)
}

pub(super) async fn history(store: &Postgres, space: &str, id: &str) -> Result<Vec<Row>, Error> {
    store.ready().await?;
    let rows: Vec<(String, Option<i64>)> =
        sqlx::query_as("SELECT doc, ended_at FROM rows WHERE space = $1 AND id = $2 ORDER BY version DESC")
            .bind(space)
            .bind(id)
            .fetch_all(&store.pool)
            .await?;
    let row = |(doc, ended): (String, Option<i64>)| {
        Ok(Row { record: record(&doc)?, ended_at: ended.map(Moment::from_micros) })
    };
    rows.into_iter().map(row).collect()
}

pub(super) async fn newest(
    store: &Postgres,
    space: &str,
    before: Option<(Moment, String)>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    store.ready().await?;
    let (mut moment, mut last) = before.map_or((i64::MAX, String::new()), |(moment, id)| (moment.micros(), id));
    let mut found = Vec::new();
    loop {
        let docs: Vec<String> = sqlx::query_scalar(
            "SELECT doc FROM rows WHERE space = $1 AND ended_at IS NULL AND (recorded_at, id COLLATE \"C\") < ($2, $3) \
             ORDER BY recorded_at DESC, id COLLATE \"C\" DESC LIMIT $4",
        )
        .bind(space)
        .bind(moment)
        .bind(&last)
        .bind(size(PART))
        .fetch_all(&store.pool)
        .await?;
        for doc in &docs {
            let own = record(doc)?;
            (moment, last) = (own.recorded_at.micros(), own.id.clone());
            if filter.admits(&own) {
                found.push(own);
            }
            if found.len() >= limit {
                return Ok(found);
            }
        }
        if docs.len() < PART {
            return Ok(found);
        }
    }
}

pub(super) async fn believed(store: &Postgres, space: &str, at: Moment, filter: &Filter) -> Result<Vec<Record>, Error> {
    store.ready().await?;
    let docs: Vec<String> = sqlx::query_scalar(
        "SELECT doc FROM rows WHERE space = $1 AND recorded_at <= $2 AND (ended_at IS NULL OR ended_at > $2) \
         ORDER BY id COLLATE \"C\"",
    )
    .bind(space)
    .bind(at.micros())
    .fetch_all(&store.pool)
    .await?;
    let all = docs.iter().map(|doc| record(doc)).collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().filter(|own| filter.admits(own)).collect())
}

pub(super) async fn matching(
    store: &Postgres,
    space: &str,
    tokens: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    store.ready().await?;
    let asked = tokens.join(" | ");
    let mut found = Vec::new();
    for part in 0.. {
        let docs: Vec<String> = sqlx::query_scalar(
            "SELECT doc FROM rows WHERE space = $1 AND ended_at IS NULL AND terms @@ $2::tsquery \
             ORDER BY ts_rank(terms, $2::tsquery) DESC, recorded_at DESC, id LIMIT $3 OFFSET $4",
        )
        .bind(space)
        .bind(&asked)
        .bind(size(PART))
        .bind(size(part * PART))
        .fetch_all(&store.pool)
        .await?;
        for doc in &docs {
            let own = record(doc)?;
            if filter.admits(&own) {
                found.push(own);
            }
        }
        if found.len() >= limit || docs.len() < PART {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

pub(super) async fn nearest(
    store: &Postgres,
    space: &str,
    vector: &[f32],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<(Record, f64)>, Error> {
    let alike = if store.ready().await? {
        "-(vector::vector <#> $2::real[]::vector)"
    } else {
        "(SELECT sum(one * other)::float8 FROM unnest(vector, $2::real[]) AS places (one, other))"
    };
    let sql = format!(
        "SELECT doc, alike FROM (SELECT doc, id, {alike} AS alike FROM rows WHERE space = $1 AND ended_at IS NULL AND array_length(vector, 1) = array_length($2::real[], 1)) AS all_of \
         WHERE alike > 0 ORDER BY alike DESC, id COLLATE \"C\" LIMIT $3 OFFSET $4"
    );
    let mut found = Vec::new();
    for part in 0.. {
        let rows: Vec<(String, f64)> = sqlx::query_as(super::own(sql.clone()))
            .bind(space)
            .bind(vector)
            .bind(size(PART))
            .bind(size(part * PART))
            .fetch_all(&store.pool)
            .await?;
        for (doc, alike) in &rows {
            let own = record(doc)?;
            if filter.admits(&own) {
                found.push((own, alike.clamp(0.0, 1.0)));
            }
        }
        if found.len() >= limit || rows.len() < PART {
            break;
        }
    }
    Ok(best(found, limit))
}

pub(super) async fn touching(
    store: &Postgres,
    space: &str,
    nodes: &[String],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    store.ready().await?;
    let mut found = Vec::new();
    for part in 0.. {
        let docs: Vec<String> = sqlx::query_scalar(
            "SELECT doc FROM rows WHERE space = $1 AND ended_at IS NULL AND nodes && $2 \
             ORDER BY recorded_at DESC, id COLLATE \"C\" DESC LIMIT $3 OFFSET $4",
        )
        .bind(space)
        .bind(nodes)
        .bind(size(PART))
        .bind(size(part * PART))
        .fetch_all(&store.pool)
        .await?;
        for doc in &docs {
            let own = record(doc)?;
            if filter.admits(&own) {
                found.push(own);
            }
        }
        if found.len() >= limit || docs.len() < PART {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

pub(super) async fn uses(store: &Postgres, space: &str, ids: &[String]) -> Result<BTreeMap<String, Uses>, Error> {
    store.ready().await?;
    let rows: Vec<(String, i64, i64, i64, i64)> =
        sqlx::query_as("SELECT id, used, misled, recalled, last FROM uses WHERE space = $1 AND id = ANY($2)")
            .bind(space)
            .bind(ids)
            .fetch_all(&store.pool)
            .await?;
    let uses = |(id, used, misled, recalled, last): (String, i64, i64, i64, i64)| {
        let [used, misled, recalled] = [used, misled, recalled].map(i64::unsigned_abs);
        (id, Uses { used, misled, recalled, last: Some(Moment::from_micros(last)) })
    };
    Ok(rows.into_iter().map(uses).collect())
}

pub(super) async fn count(store: &Postgres, space: &str) -> Result<u64, Error> {
    store.ready().await?;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM rows WHERE space = $1 AND ended_at IS NULL")
        .bind(space)
        .fetch_one(&store.pool)
        .await?;
    Ok(count.unsigned_abs())
}

pub(super) async fn census(store: &Postgres, space: &str) -> Result<Census, Error> {
    store.ready().await?;
    let kinds: Vec<(String, i64)> =
        sqlx::query_as("SELECT kind, count(*) FROM rows WHERE space = $1 AND ended_at IS NULL GROUP BY kind")
            .bind(space)
            .fetch_all(&store.pool)
            .await?;
    let versions: i64 =
        sqlx::query_scalar("SELECT count(*) FROM rows WHERE space = $1").bind(space).fetch_one(&store.pool).await?;
    let kinds = kinds.into_iter().map(|(kind, count)| (kind, count.unsigned_abs())).collect();
    Ok(Census { kinds, versions: versions.unsigned_abs() })
}

pub(super) async fn spaces(store: &Postgres) -> Result<Vec<String>, Error> {
    store.ready().await?;
    sqlx::query_scalar("SELECT DISTINCT space FROM rows WHERE ended_at IS NULL").fetch_all(&store.pool).await
}
