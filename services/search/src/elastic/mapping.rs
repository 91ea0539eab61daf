//! Our schema ⇄ the mappings of the cluster. An index of ours carries its schema in the mapping's `_meta`; that of others is read
//! from the types of its fields.

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use crate::{
    model::{Field, Kind, Language, Metric, Schema},
    vectors::Vectors,
};

/// The body that makes an index.
pub(crate) fn body(schema: &Schema, dialect: Dialect) -> Value {
    let property = |field: &Field| match field.kind {
        Kind::Vector => vector(field, dialect),
        _ => property(schema, field),
    };
    let properties: Map<String, Value> =
        schema.fields.iter().map(|field| (field.name.clone(), property(field))).collect();
    let mut body = json!({
        "settings": {"analysis": {
            "filter": {"weft_parts": {"type": "word_delimiter_graph", "preserve_original": true, "split_on_numerics": false, "stem_english_possessive": false}},
            "tokenizer": {"weft_names": {"type": "pattern", "pattern": "[^\\p{L}\\p{N}_]+"}},
            "analyzer": {
                "weft_plain": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]},
                "weft_words": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase"]},
                "weft_code": {"type": "custom", "tokenizer": "weft_names", "filter": ["weft_parts", "flatten_graph", "lowercase"]},
                "weft_code_query": {"type": "custom", "tokenizer": "weft_names", "filter": ["lowercase"]},
            },
        }},
        "mappings": {"dynamic": "strict", "_meta": meta(schema), "properties": properties},
    });
    let nears = schema.fields.iter().any(|field| field.kind == Kind::Vector);
    if nears && matches!(dialect, Dialect::OpenSearch { .. }) {
        body["settings"]["index"] = json!({"knn": true});
    }
    body
}

/// Both keep vectors in Lucene's graphs; they differ in what they call it.
fn vector(field: &Field, dialect: Dialect) -> Value {
    let Vectors { dimensions, metric, .. } = field.vector.clone().unwrap_or_default();
    match dialect {
        Dialect::Elasticsearch { .. } => {
            let similarity = match metric {
                Metric::Cosine => "cosine",
                Metric::Dot => "max_inner_product",
                Metric::Euclidean => "l2_norm",
            };
            json!({"type": "dense_vector", "dims": dimensions, "index": true, "similarity": similarity})
        }
        Dialect::OpenSearch { .. } => {
            let space = match metric {
                Metric::Cosine => "cosinesimil",
                Metric::Dot => "innerproduct",
                Metric::Euclidean => "l2",
            };
            let method = json!({"name": "hnsw", "engine": "lucene", "space_type": space});
            json!({"type": "knn_vector", "dimension": dimensions, "method": method})
        }
    }
}

/// What `_meta` holds.
pub(crate) fn meta(schema: &Schema) -> Value {
    json!({"weft": schema})
}

fn property(schema: &Schema, field: &Field) -> Value {
    let words = json!({"words": {"type": "text", "analyzer": "weft_words"}});
    match field.kind {
        Kind::Text => {
            json!({"type": "text", "analyzer": analyzer(schema.language_of(field)), "fields": words})
        }
        Kind::Code => {
            json!({"type": "text", "analyzer": "weft_code", "search_analyzer": "weft_code_query", "fields": words})
        }
        Kind::Keyword => json!({"type": "keyword"}),
        Kind::Integer => json!({"type": "long"}),
        Kind::Number => json!({"type": "double"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Date => json!({"type": "date"}),
        Kind::Point => json!({"type": "geo_point"}),
        // Made by `vector`, which knows the dialect.
        Kind::Vector => Value::Null,
    }
}

/// The analyzer of a language; all but the plain one come with the cluster.
fn analyzer(language: Language) -> Value {
    match language {
        Language::Plain => json!("weft_plain"),
        named => json!(named),
    }
}

/// The schema in the answer to `GET /index/_mapping`: that of the first index behind the name.
pub(crate) fn schema(answer: &Value) -> Option<Schema> {
    let mappings = &answer.as_object()?.values().next()?["mappings"];
    if let Some(own) = mappings["_meta"].get("weft") {
        return serde_json::from_value(own.clone()).ok();
    }
    let mut fields = Vec::new();
    read(&mappings["properties"], "", &mut fields);
    Some(Schema { fields, ..Schema::default() })
}

/// Whether an index was made here.
pub(crate) fn has_words(answer: &Value) -> bool {
    answer
        .as_object()
        .and_then(|answer| answer.values().next())
        .is_some_and(|index| index["mappings"]["_meta"]["weft"].is_object())
}

fn read(properties: &Value, above: &str, fields: &mut Vec<Field>) {
    for (name, property) in properties.as_object().into_iter().flatten() {
        let name = format!("{above}{name}");
        if let Some(kind) = property["type"].as_str().and_then(kind) {
            fields.push(Field::of(&name, kind));
        }
        let inner = format!("{name}.");
        read(&property["properties"], &inner, fields);
        read(&property["fields"], &inner, fields);
    }
}

fn kind(named: &str) -> Option<Kind> {
    Some(match named {
        "text" | "match_only_text" => Kind::Text,
        "keyword" | "constant_keyword" | "wildcard" | "ip" | "version" => Kind::Keyword,
        "long" | "integer" | "short" | "byte" | "unsigned_long" => Kind::Integer,
        "double" | "float" | "half_float" | "scaled_float" => Kind::Number,
        "boolean" => Kind::Boolean,
        "date" | "date_nanos" => Kind::Date,
        "geo_point" => Kind::Point,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_survives_in_the_mapping() {
        let fields = json!([{"name": "a", "kind": "text", "language": "german", "boost": 2.0}, {"name": "b", "kind": "code"}, {"name": "c", "kind": "date"}]);
        let own = Schema {
            fields: serde_json::from_value(fields).unwrap(),
            language: Language::English,
            synonyms: vec![vec!["a".to_owned(), "b".to_owned()]],
        };
        let made = body(&own, Dialect::Elasticsearch { major: 8, minor: 15 });
        assert_eq!(made["mappings"]["properties"]["a"]["analyzer"], "german");
        assert_eq!(schema(&json!({"physical": {"mappings": made["mappings"]}})), Some(own));
    }

    #[test]
    fn the_fields_of_others_are_read_by_their_types() {
        let answer = json!({"logs": {"mappings": {"properties": {
            "message": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
            "host": {"properties": {"name": {"type": "keyword"}}},
            "place": {"type": "geo_point"}, "took": {"type": "long"}}}}});
        let names: Vec<String> = schema(&answer).unwrap().fields.into_iter().map(|field| field.name).collect();
        assert_eq!(names, ["host.name", "message", "message.raw", "place", "took"]);
    }
}
