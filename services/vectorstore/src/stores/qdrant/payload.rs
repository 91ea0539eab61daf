//! A point into Qdrant's point and back.
//!
//! | payload | point |
//! |---|---|
//! | `id`, `text`, `metadata` | as they are |
//! | `order` | the first eight bytes of the id as a number: Qdrant can order by numbers only |
//! | `norm` | the length of the vector, where Qdrant keeps a normalised one (cosine) |
//! | `eq.f` | the values of the field `f` in canonical form (all strings, so one kind of index and facet serves all) |
//! | `num.f`, `at.f` | its numbers; its dates in microseconds |
//! | `words.f` | for each of its strings, the distinct words |
//! | `has` | the fields that are not null |
//!
//! Names of fields are escaped, because Qdrant reads keys as paths. Qdrant's ids are UUIDs: ours is the first half of the SHA-256 of
//! the id, as a UUID of version 8; version 5 rests on SHA-1, for which two ids with one UUID can be made by whoever chooses the ids.

use std::collections::HashMap;

use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{
    NamedVectors, PointId, PointStruct, SparseVector, Value as Field, Vector, VectorsOutput, vector, vector_output,
    vectors,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{DENSE, WORDS};
use crate::model::{Metric, Point};
use crate::stores::{matching, terms};

/// BM25 (Robertson and Zaragoza 2009), with a fixed mean length: the server knows no mean when a point is written.
const K1: f32 = 1.2;
const B: f32 = 0.75;
const MEAN_LENGTH: f32 = 100.0;

/// Qdrant's id of an id.
pub(super) fn point_id(id: &str) -> PointId {
    let digest = Sha256::digest(id.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    PointId::from(uuid::Builder::from_custom_bytes(half).into_uuid().to_string())
}

/// In the order of the ids, but the same for ids that begin with the same eight bytes.
pub(super) fn order(id: &str) -> i64 {
    let mut start = [0; 8];
    start.iter_mut().zip(id.bytes()).for_each(|(to, byte)| *to = byte);
    // The sign bit turned over: unsigned order becomes signed.
    i64::from_be_bytes(start) ^ i64::MIN
}

/// A key below `group`.
pub(super) fn key(group: &str, field: &str) -> String {
    format!("{group}.{}", escaped(field))
}

/// Letters, digits and `_` stand for themselves, every other byte for `-` and its two digits.
pub(super) fn escaped(field: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    field.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("-{byte:02x}") }).collect()
}

/// The payload of a point.
pub(super) fn payload(point: &Point, norm: Option<f64>) -> HashMap<String, Field> {
    let mut groups = [Map::new(), Map::new(), Map::new(), Map::new()];
    let mut has = Vec::new();
    for (field, value) in point.metadata.iter().filter(|(_, value)| !value.is_null()) {
        let name = escaped(field);
        let elements = terms::elements(value);
        let all: Vec<String> = elements.iter().filter(|one| !one.is_null()).map(matching::canonical).collect();
        let numbers: Vec<f64> = elements.iter().filter_map(Value::as_f64).collect();
        let texts = || elements.iter().filter_map(Value::as_str);
        let dates: Vec<i64> = texts().filter_map(terms::instant).collect();
        let words: Vec<Value> = texts().map(|text| json!({"w": terms::distinct_words(text)})).collect();
        let lists = [json!(all), json!(numbers), json!(dates), json!(words)];
        for (group, list) in groups.iter_mut().zip(lists) {
            if list.as_array().is_some_and(|list| !list.is_empty()) {
                group.insert(name.clone(), list);
            }
        }
        has.push(Value::String(name));
    }
    let [eq, num, at, words] = groups.map(Value::Object);
    let mut all = json!({
        "id": point.id, "order": order(&point.id), "metadata": point.metadata,
        "eq": eq, "num": num, "at": at, "words": words, "has": has,
    });
    if let Some(text) = &point.text {
        all["text"] = json!(text);
    }
    if let Some(norm) = norm {
        all["norm"] = json!(norm);
    }
    match all {
        Value::Object(all) => all.into_iter().map(|(key, value)| (key, Field::from(value))).collect(),
        _ => HashMap::new(),
    }
}

/// The length of a vector, where it is lost.
fn norm(metric: Metric, vector: &[f32]) -> Option<f64> {
    let length = || vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    (metric == Metric::Cosine).then(length)
}

/// What is written.
pub(super) fn written(metric: Metric, point: &Point) -> PointStruct {
    let sparse = weights(point.text.as_deref().unwrap_or_default());
    let vectors = [
        (
            DENSE.to_owned(),
            Vector { vector: Some(vector::Vector::Dense(point.vector.clone().into())), ..Vector::default() },
        ),
        (WORDS.to_owned(), Vector { vector: Some(vector::Vector::Sparse(sparse)), ..Vector::default() }),
    ];
    let vectors = NamedVectors { vectors: vectors.into_iter().collect() };
    PointStruct {
        id: Some(point_id(&point.id)),
        payload: payload(point, norm(metric, &point.vector)),
        vectors: Some(vectors::VectorsOptions::Vectors(vectors).into()),
    }
}

/// The number of a word: half of a hash. Two of a million words may share one, and then find each other's texts.
fn number(word: &str) -> u32 {
    let digest = Sha256::digest(word.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// The weights of the words of a text; how rare they are is the server's part (modifier IDF).
#[expect(clippy::cast_precision_loss, reason = "counts of words")]
fn weights(text: &str) -> SparseVector {
    let mut counts: std::collections::BTreeMap<u32, f32> = std::collections::BTreeMap::new();
    let mut length = 0_usize;
    for word in terms::words(text) {
        length += 1;
        *counts.entry(number(&word)).or_default() += 1.0;
    }
    let norm = K1 * (1.0 - B + B * length as f32 / MEAN_LENGTH);
    let (indices, values) = counts.into_iter().map(|(word, count)| (word, count * (K1 + 1.0) / (count + norm))).unzip();
    SparseVector { values, indices }
}

/// The words of a query, each with the weight of one.
pub(super) fn wanted(words: &str) -> SparseVector {
    let mut indices: Vec<u32> = terms::distinct_words(words).iter().map(|word| number(word)).collect();
    indices.sort_unstable();
    indices.dedup();
    SparseVector { values: vec![1.0; indices.len()], indices }
}

/// A point as far as it was asked for, and its norm.
pub(super) fn point(mut payload: HashMap<String, Field>, vectors: Option<VectorsOutput>) -> (Point, Option<f64>) {
    let mut take = |key: &str| payload.remove(key).and_then(|value| value.kind);
    let norm = match take("norm") {
        Some(Kind::DoubleValue(norm)) => Some(norm),
        Some(Kind::IntegerValue(1)) => Some(1.0),
        _ => None,
    };
    let mut string = |key: &str| match take(key) {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    };
    let (id, text) = (string("id").unwrap_or_default(), string("text"));
    let metadata = match payload.remove("metadata").map(|value| serde_json::to_value(&value)) {
        Some(Ok(Value::Object(metadata))) => metadata,
        _ => Map::new(),
    };
    let vector = vectors.map(|vectors| dense(vectors, norm)).unwrap_or_default();
    (Point { id, vector, text, metadata }, norm)
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are kept in single precision")]
fn dense(vectors: VectorsOutput, norm: Option<f64>) -> Vec<f32> {
    let named = match vectors.vectors_options {
        Some(VectorsOptions::Vectors(mut named)) => named.vectors.remove(DENSE),
        Some(VectorsOptions::Vector(one)) => Some(one),
        None => None,
    };
    let data = match named.map(qdrant_client::qdrant::VectorOutput::into_vector) {
        Some(vector_output::Vector::Dense(dense)) => dense.data,
        _ => Vec::new(),
    };
    match norm {
        Some(norm) => data.iter().map(|x| (f64::from(*x) * norm) as f32).collect(),
        None => data,
    }
}
