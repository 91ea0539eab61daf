//! Points into rows, with what is derived of them; changes of metadata; deletions.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder};
use weft_kit::ToolError;

use super::catalogue::Table;
use super::filter;
use super::search::literal;
use super::session::{Session, failed};
use crate::model::{Conflict, Outcome, Point, Which};
use crate::stores::batch::Batch;
use crate::stores::terms;

/// PostgreSQL's bounds of a `tsvector`: bytes of a word, places of a word, and (with a margin) bytes in all.
const WORD_BYTES: usize = 2046;
const PLACES: usize = 255;
const VECTOR_BYTES: usize = 900_000;

/// One statement for the batch, so that all or none is written; the server says which rows were new.
pub(super) async fn upsert(
    session: &mut Session,
    table: &Table,
    points: Vec<Point>,
    conflict: Conflict,
) -> Result<Vec<Outcome>, ToolError> {
    let batch = Batch::new(points, conflict)?;
    if batch.points.is_empty() {
        return Ok(Vec::new());
    }
    let on_conflict = match conflict {
        Conflict::Skip | Conflict::Error => "NOTHING",
        Conflict::Replace => {
            "UPDATE SET (embedding, body, metadata, tokens, times, words) = (excluded.embedding, excluded.body,
             excluded.metadata, excluded.tokens, excluded.times, excluded.words)"
        }
    };
    let sql = format!(
        "INSERT INTO {} (id, embedding, body, metadata, tokens, times, words)
         SELECT id, embedding::vector, body, metadata::jsonb, tokens::jsonb, times::jsonb, words::tsvector
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
              AS given (id, embedding, body, metadata, tokens, times, words)
         ON CONFLICT (id) DO {on_conflict} RETURNING id, xmax = 0",
        table.name
    );
    let of = |column: &dyn Fn(&Point) -> String| batch.points.iter().map(column).collect::<Vec<String>>();
    let bodies: Vec<Option<String>> = batch.points.iter().map(|point| point.text.clone()).collect();
    let insert = sqlx::query_as::<_, (String, bool)>(AssertSqlSafe(sql))
        .bind(of(&|point| point.id.clone()))
        .bind(of(&|point| literal(&point.vector)))
        .bind(bodies)
        .bind(of(&|point| object(point.metadata.clone())))
        .bind(of(&|point| object(terms::words_of(&point.metadata))))
        .bind(of(&|point| object(times(&point.metadata))))
        .bind(of(&|point| lexemes(point.text.as_deref().unwrap_or_default())));
    let written = insert.fetch_all(session.connection()).await.map_err(failed)?;
    let created: HashSet<&str> = written.iter().filter(|(_, new)| *new).map(|(id, _)| id.as_str()).collect();
    let ids = batch.points.iter().map(|point| &point.id);
    let existed = ids.filter(|id| !created.contains(id.as_str())).cloned().collect();
    batch.outcomes(&existed)
}

fn object(map: Map<String, Value>) -> String {
    Value::Object(map).to_string()
}

/// A single date as a number, so that a range over it can go through an index.
fn times(metadata: &Map<String, Value>) -> Map<String, Value> {
    let single = |list: Value| match list {
        Value::Array(mut list) if list.len() == 1 => list.remove(0),
        list => list,
    };
    terms::times_of(metadata).into_iter().map(|(field, list)| (field, single(list))).collect()
}

/// `'word':1,7 …`: a `tsvector` as text. Letters and digits need no quoting in it.
fn lexemes(text: &str) -> String {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, word) in (1..).zip(terms::words(text)).filter(|(_, word)| word.len() <= WORD_BYTES) {
        let of_word = places.entry(word).or_default();
        if of_word.len() < PLACES {
            of_word.push(place.min(16_383));
        }
    }
    let (mut literal, mut bytes) = (String::new(), 0);
    for (word, places) in places {
        bytes += word.len() + 2 * places.len() + 8;
        if bytes > VECTOR_BYTES {
            break;
        }
        let places: Vec<String> = places.iter().map(usize::to_string).collect();
        literal.push_str(&format!("'{word}':{} ", places.join(",")));
    }
    literal
}

fn push_which(sql: &mut QueryBuilder<Postgres>, which: &Which) {
    match which {
        Which::Ids(ids) => {
            sql.push(" WHERE id = ANY(").push_bind(ids.clone()).push(")");
        }
        Which::Filter(filter) => filter::push_where(sql, Some(filter)),
    }
}

/// What is derived of a field depends on that field alone, so the row need not be read.
pub(super) async fn update(
    session: &mut Session,
    table: &Table,
    which: &Which,
    set: &Map<String, Value>,
    unset: &[String],
) -> Result<u64, ToolError> {
    let touched: Vec<String> = unset.iter().chain(set.keys()).cloned().collect();
    let mut sql = QueryBuilder::<Postgres>::new(format!("UPDATE {} SET ", table.name));
    for (joint, column, new) in
        [("", "metadata", set.clone()), (", ", "tokens", terms::words_of(set)), (", ", "times", times(set))]
    {
        sql.push(format!("{joint}{column} = ({column} - ")).push_bind(touched.clone());
        sql.push("::text[]) || ").push_bind(object(new)).push("::text::jsonb");
    }
    push_which(&mut sql, which);
    Ok(sql.build().execute(session.connection()).await.map_err(failed)?.rows_affected())
}

pub(super) async fn delete(session: &mut Session, table: &Table, which: &Which) -> Result<u64, ToolError> {
    let mut sql = QueryBuilder::<Postgres>::new(format!("DELETE FROM {}", table.name));
    push_which(&mut sql, which);
    Ok(sql.build().execute(session.connection()).await.map_err(failed)?.rows_affected())
}
