//! A query into Chroma's: by its graph, by every vector, or by words.

use reqwest::Method;
use serde_json::{Value, json};
use weft_kit::ToolError;

use super::read::{self, Columns, Fields, Selection};
use super::record::Record;
use super::{Place, prefilter};
use crate::model::{Hit, Near, Query};
use crate::stores::bm25::Ranking;
use crate::stores::matching::fulfils;
use crate::stores::{distance, terms};

/// `texts`: those that may be read for one ranking by words.
pub(super) async fn search(place: &Place<'_>, query: &Query, texts: usize) -> Result<Vec<Hit>, ToolError> {
    match &query.near {
        Near::Words(words) => by_words(place, query, words, texts).await,
        Near::Vector(vector) if query.exact => by_every_vector(place, query, vector).await,
        Near::Vector(vector) => by_graph(place, query, vector).await,
    }
}

/// Asks for more and more until enough of them fulfil the filter, or there are no more.
async fn by_graph(place: &Place<'_>, query: &Query, vector: &[f32]) -> Result<Vec<Hit>, ToolError> {
    let total = usize::try_from(read::count(place, None).await?).unwrap_or(usize::MAX);
    let fields = Fields { vectors: true, documents: query.with.text };
    let mut wanted = query.limit;
    loop {
        let mut body = json!({"query_embeddings": [vector], "n_results": wanted, "include": fields.include()});
        if let Some(condition) = query.filter.as_ref().and_then(|filter| prefilter::necessary(&place.spec, filter)) {
            body["where"] = condition;
        }
        let answer = place.call(Method::POST, "query", Some(&body)).await?;
        let columns = only(answer).ok_or_else(|| ToolError::internal(&"Chroma's answer has no columns"))?;
        let found = columns.ids.len();
        let chosen = |record: &Record| {
            let point = &record.point;
            query.filter.as_ref().is_none_or(|filter| fulfils(filter, &point.id, &point.metadata))
        };
        let records: Vec<Record> = columns.records().filter(chosen).collect();
        if records.len() >= query.limit || found < wanted || wanted >= total {
            return Ok(ranked(place, query, vector, records));
        }
        wanted = wanted.saturating_mul(4).min(total);
    }
}

/// The columns of the one query; each is a list of lists.
fn only(mut answer: Value) -> Option<Columns> {
    for column in answer.as_object_mut()?.values_mut() {
        if let Some(first) = column.get_mut(0).filter(|first| first.is_array()).map(Value::take) {
            *column = first;
        }
    }
    serde_json::from_value(answer).ok()
}

/// Scored here: Chroma's squared distances lose what is near.
fn ranked(place: &Place<'_>, query: &Query, vector: &[f32], records: Vec<Record>) -> Vec<Hit> {
    let metric = place.spec.metric;
    let scores =
        records.iter().map(|record| (record.point.id.clone(), distance::score(metric, vector, &record.point.vector)));
    let mut scores: Vec<(String, f32)> = scores.collect();
    distance::best(metric, &mut scores, query.limit);
    let mut records: std::collections::HashMap<String, Record> =
        records.into_iter().map(|record| (record.point.id.clone(), record)).collect();
    let hit = |(id, score): (String, f32)| Some(Hit { point: records.remove(&id)?.shown(query.with), score });
    scores.into_iter().filter_map(hit).collect()
}

/// Chroma has no such search: all vectors are read.
async fn by_every_vector(place: &Place<'_>, query: &Query, vector: &[f32]) -> Result<Vec<Hit>, ToolError> {
    let metric = place.spec.metric;
    let mut scores: Vec<(String, f32)> = Vec::new();
    let selection = Selection { filter: query.filter.as_ref(), document: None };
    read::each(place, selection, Fields { vectors: true, documents: false }, |record| {
        let score = distance::score(metric, vector, &record.point.vector);
        scores.push((record.point.id, score));
        Ok(())
    })
    .await?;
    distance::best(metric, &mut scores, query.limit);
    shown(place, query, scores).await
}

/// Without the words that too many texts have.
async fn by_words(place: &Place<'_>, query: &Query, words: &str, most: usize) -> Result<Vec<Hit>, ToolError> {
    let mut wanted = terms::distinct_words(words);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    while !wanted.is_empty() {
        let ranking = having(place, query, wanted, most).await?;
        if ranking.len() <= most {
            let total = read::count(place, None).await?;
            return shown(place, query, ranking.best(total, query.limit)).await;
        }
        wanted = ranking.rarer();
    }
    let refusal = ToolError::new("too_common", format!("more than {most} texts have each of these words"));
    Err(refusal.hint("search for rarer words, or add a filter"))
}

/// The texts that have one of the words, or one more than `most` of them.
async fn having(place: &Place<'_>, query: &Query, wanted: Vec<String>, most: usize) -> Result<Ranking, ToolError> {
    // Words are letters and digits: nothing in them means something to a regular expression.
    let document = json!({"$regex": format!("(?i){}", wanted.join("|"))});
    let selection = Selection { filter: query.filter.as_ref(), document: Some(&document) };
    let mut ranking = Ranking::new(wanted);
    let fields = Fields { documents: true, vectors: false };
    read::while_wanted(place, selection, fields, |record| {
        if let Some(text) = &record.point.text {
            ranking.add(&record.point.id, text);
        }
        Ok(ranking.len() <= most)
    })
    .await?;
    Ok(ranking)
}

async fn shown(place: &Place<'_>, query: &Query, scores: Vec<(String, f32)>) -> Result<Vec<Hit>, ToolError> {
    let ids: Vec<String> = scores.iter().map(|(id, _)| id.clone()).collect();
    let mut found = read::by_ids(place, &ids, query.with.into()).await?;
    let hit = |(id, score): (String, f32)| Some(Hit { point: found.remove(&id)?.shown(query.with), score });
    Ok(scores.into_iter().filter_map(hit).collect())
}
