//! Searches of the cluster and their answers → ours.

use std::collections::{BTreeMap, HashMap};

use reqwest::Method;
use serde_json::{Map, Value, json};
use weft_kit::{Call, ToolError};

use super::{
    Body, Cluster, admin, compile, documents, mapping, odd,
    view::{self, Searched},
};
use crate::{
    aggregation,
    model::{Explained, Found, Hit, Kind, Question, View, Wanted},
    store::Word,
    vectors::Seek,
};

/// Words that are offered.
const OFFERED: usize = 20;
/// Documents whose words are looked at for them.
const LOOKED_AT: usize = 100;
/// Prose fields that suggestions come from.
const FIELDS: usize = 4;

pub(super) async fn search(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    (question, wanted): (&Question, &Wanted),
) -> Result<Found, ToolError> {
    let place = cluster.place(call, name)?;
    let searched = view::open(cluster, call, &place, &wanted.view).await?;
    let asked = searched != Searched::Now || wanted.view == View::Now;
    let (answer, kept, gone) = view::search(cluster, call, &place, (searched, (question, wanted))).await?;
    let mut found = read(&answer, wanted)?;
    if kept.is_some() {
        for (told, hit) in found.hits.iter_mut().zip(answer["hits"]["hits"].as_array().into_iter().flatten()) {
            told.behind = hit.get("sort").cloned();
        }
    }
    found.lost = gone || !asked;
    // A page that is not full is the last one.
    match kept {
        Some(name) if found.hits.len() < wanted.take => view::close(cluster, call, &place, name).await,
        kept => found.view = kept,
    }
    Ok(found)
}

/// The documents whose vectors are nearest to one.
pub(super) async fn similar(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    ((question, seek), wanted): ((&Question, &Seek), &Wanted),
) -> Result<Found, ToolError> {
    let place = cluster.place(call, name)?;
    let body = compile::similar(cluster.known(call).await?, (question, seek), wanted)?;
    read(&cluster.post(call, &place, "_search", body).await?, wanted)
}

fn read(answer: &Value, wanted: &Wanted) -> Result<Found, ToolError> {
    let hits = answer["hits"]["hits"].as_array().ok_or_else(|| odd("hits"))?;
    let total = &answer["hits"]["total"];
    let partial = answer["timed_out"] == true || answer["_shards"]["failed"].as_u64().unwrap_or_default() > 0;
    Ok(Found {
        total: total["value"].as_u64().unwrap_or_default(),
        at_least: partial || total["relation"] == "gte",
        hits: hits.iter().map(|hit| self::hit(hit, wanted)).collect::<Option<_>>().ok_or_else(|| odd("id of a hit"))?,
        counts: aggregation::counts(&wanted.groups, &answer["aggregations"]),
        ..Found::default()
    })
}

fn hit(hit: &Value, wanted: &Wanted) -> Option<Hit> {
    let document = documents::document(hit)?;
    let pieces = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let highlights: BTreeMap<_, _> =
        hit["highlight"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), pieces(value))).collect();
    #[expect(clippy::cast_possible_truncation, reason = "scores are single floats written as double ones")]
    let score = hit["_score"].as_f64().map(|score| score as f32);
    // What has no point is "Infinity" away.
    let sorted = wanted.sort.as_ref().and_then(|_| hit["sort"].get(0));
    let sorted = sorted.map(|value| if value == "Infinity" { Value::Null } else { value.clone() });
    Some(Hit { id: document.id, score, sorted, behind: None, source: document.source, highlights })
}

pub(super) async fn explain(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    (question, id): (&Question, &str),
) -> Result<Option<Explained>, ToolError> {
    let place = cluster.place(call, name)?;
    let body = json!({"query": {"bool": {"must": [compile::query(question)?], "filter": [{"ids": {"values": [id]}}]}},
        "size": 1, "explain": true, "_source": false});
    let answer = cluster.post(call, &place, "_search", body).await?;
    match answer["hits"]["hits"].get(0) {
        Some(hit) => serde_json::from_value(hit["_explanation"].clone()).map(Some).map_err(|_| odd("explanation")),
        None if documents::get(cluster, call, name, &[id.to_owned()]).await?.is_empty() => {
            Err(ToolError::not_found(format!("there is no document {id:?}")))
        }
        None => Ok(None),
    }
}

pub(super) async fn complete(
    cluster: &Cluster,
    call: &Call,
    name: &str,
    (field, start): (Option<&str>, &str),
) -> Result<Vec<Word>, ToolError> {
    let schema = admin::schema(cluster, call, name).await?;
    let place = cluster.place(call, name)?;
    if let Some(field) = field {
        let known = schema.field(field)?;
        if known.kind == Kind::Keyword {
            let aggs = json!({"words": {"terms": {"field": field, "size": OFFERED, "include": format!("{}.*", literal(start))}}});
            let answer = cluster.post(call, &place, "_search", json!({"size": 0, "aggs": aggs})).await?;
            let buckets = answer["aggregations"]["words"]["buckets"].as_array().ok_or_else(|| odd("buckets"))?;
            let word = |bucket: &Value| {
                Some(Word { text: bucket["key"].as_str()?.to_owned(), documents: bucket["doc_count"].as_u64()? })
            };
            return Ok(buckets.iter().filter_map(word).collect());
        }
        if !known.kind.is_prose() {
            return Err(ToolError::invalid(format!("{field:?} is neither prose nor a keyword")));
        }
    }
    let fields = words(cluster, call, name).await?;
    let asked: Vec<Value> =
        fields.iter().map(|field| json!({"match_phrase_prefix": {field.as_str(): {"query": start}}})).collect();
    let marked: Map<String, Value> = fields.iter().map(|field| (field.clone(), json!({}))).collect();
    let body = json!({
        "size": LOOKED_AT, "_source": false, "query": {"dis_max": {"queries": asked}},
        "highlight": {"pre_tags": ["\u{1}"], "post_tags": ["\u{2}"], "fields": marked},
    });
    let answer = cluster.post(call, &place, "_search", body).await?;
    Ok(tally(&answer, &start.to_lowercase()))
}

/// The marked words of the hits, by the number of documents that have them.
fn tally(answer: &Value, start: &str) -> Vec<Word> {
    let mut counted: HashMap<String, u64> = HashMap::new();
    for hit in answer["hits"]["hits"].as_array().into_iter().flatten() {
        let pieces = hit["highlight"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, value)| value.as_array().into_iter().flatten());
        let mut seen: Vec<String> = pieces
            .filter_map(Value::as_str)
            .flat_map(|piece| piece.split('\u{1}').skip(1))
            .filter_map(|rest| rest.split('\u{2}').next())
            .map(str::to_lowercase)
            .filter(|word| word.starts_with(start))
            .collect();
        seen.sort();
        seen.dedup();
        seen.into_iter().for_each(|word| *counted.entry(word).or_default() += 1);
    }
    let mut words: Vec<Word> = counted.into_iter().map(|(text, documents)| Word { text, documents }).collect();
    words.sort_by(|one, other| other.documents.cmp(&one.documents).then_with(|| one.text.cmp(&other.text)));
    words.truncate(OFFERED);
    words
}

/// The fields that hold words as people write them.
async fn words(cluster: &Cluster, call: &Call, name: &str) -> Result<Vec<String>, ToolError> {
    let place = cluster.place(call, name)?;
    let answer = cluster.ask(call, &place, (Method::GET, &place.path("_mapping")), Body::Nothing).await?;
    let schema = mapping::schema(&answer).ok_or_else(|| odd("mapping"))?;
    let behind = if mapping::has_words(&answer) { ".words" } else { "" };
    Ok(schema.prose().take(FIELDS).map(|field| format!("{}{behind}", field.name)).collect())
}

/// A text as a regular expression of Lucene's that means only it.
fn literal(text: &str) -> String {
    text.chars().flat_map(|letter| (!letter.is_alphanumeric()).then_some('\\').into_iter().chain([letter])).collect()
}

pub(super) async fn correct(cluster: &Cluster, call: &Call, name: &str, word: &str) -> Result<Vec<Word>, ToolError> {
    if word.chars().count() < 3 {
        return Ok(Vec::new());
    }
    let place = cluster.place(call, name)?;
    let suggest: Map<String, Value> = words(cluster, call, name)
        .await?
        .into_iter()
        .enumerate()
        .map(|(number, field)| {
            let term =
                json!({"field": field, "suggest_mode": "missing", "size": 5, "max_edits": 2, "min_word_length": 3});
            (number.to_string(), json!({"text": word, "term": term}))
        })
        .collect();
    let answer = cluster.post(call, &place, "_search", json!({"size": 0, "suggest": suggest})).await?;
    let mut words: Vec<(f64, Word)> = Vec::new();
    for found in answer["suggest"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, entries)| entries.as_array().into_iter().flatten())
    {
        let options = found["options"].as_array().ok_or_else(|| odd("options"))?;
        // A word that one field knows is no mistake, though another field lacks it.
        for option in options {
            let (Some(text), Some(score)) = (option["text"].as_str(), option["score"].as_f64()) else { continue };
            let documents = option["freq"].as_u64().unwrap_or_default();
            match words.iter_mut().find(|(_, word)| word.text == text) {
                Some((_, word)) => word.documents = word.documents.max(documents),
                None => words.push((score, Word { text: text.to_owned(), documents })),
            }
        }
    }
    words.sort_by(|(one, first), (other, second)| {
        other.total_cmp(one).then_with(|| second.documents.cmp(&first.documents))
    });
    Ok(words.into_iter().map(|(_, word)| word).take(5).collect())
}
