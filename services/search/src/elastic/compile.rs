//! Our questions → the query language of the cluster. Built value by value; no text of a caller is ever read as a query by the cluster.

use serde_json::{Map, Value, json};
use weft_kit::ToolError;

use super::dialect::Dialect;
use crate::{
    aggregation, fault,
    filter::{self, Exact, Filter, Side, Test},
    geo::{Area, Circle},
    model::{Field, Kind, Question, Schema, Wanted},
    query::{Atom, Node, Occur, What},
    vectors::Seek,
};

/// What the other fields add to the best one.
const TIE: f32 = 0.1;
/// Hits that are counted exactly where nobody asks for more.
const COUNTED: u32 = 10_000;

/// The query of a question.
pub(crate) fn query(question: &Question) -> Result<Value, ToolError> {
    let node = match &question.query {
        Some(node) => self::node(&question.schema, node)?,
        None => json!({"match_all": {}}),
    };
    let filters = question.filters.iter().map(filter).collect::<Vec<_>>();
    if filters.is_empty() { Ok(node) } else { Ok(json!({"bool": {"must": [node], "filter": filters}})) }
}

/// The body of a search.
pub(crate) fn search(question: &Question, wanted: &Wanted) -> Result<Value, ToolError> {
    let counted = if wanted.exact_total { json!(true) } else { json!(COUNTED) };
    let mut body = json!({
        "query": query(question)?,
        "from": wanted.skip,
        "size": wanted.take,
        "track_total_hits": counted,
        "timeout": "20s",
    });
    if let Some(sort) = &wanted.sort {
        let field = sort.field.as_str();
        body["sort"] = match sort.near {
            Some(near) => {
                json!([{"_geo_distance": {field: near, "order": "asc", "unit": "m", "distance_type": "arc"}}])
            }
            None => json!([{field: {"order": sort.order, "missing": "_last"}}]),
        };
    }
    if let Some(only) = &wanted.only {
        body["_source"] = json!(only);
    }
    if wanted.highlight {
        let fields: Map<String, Value> = question.schema.prose().map(|field| (field.name.clone(), json!({}))).collect();
        body["highlight"] = json!({
            "pre_tags": ["**"], "post_tags": ["**"], "fragment_size": 200, "number_of_fragments": 2, "fields": fields,
        });
    }
    if !wanted.groups.is_empty() {
        body["aggs"] = aggregation::request(&wanted.groups);
    }
    Ok(body)
}

/// The same search in a state that is kept: it begins behind the last hit instead of at a number, as deep as there are hits.
pub(super) fn behind(dialect: Dialect, mut body: Value, wanted: &Wanted) -> Value {
    let mut order = body["sort"].as_array().cloned().unwrap_or_else(|| vec![json!({"_score": "desc"})]);
    order.push(json!({dialect.tiebreaker(): "asc"}));
    body["sort"] = json!(order);
    if let (Some(behind), Some(body)) = (&wanted.behind, body.as_object_mut()) {
        body.remove("from");
        body.insert("search_after".to_owned(), behind.clone());
    }
    body
}

/// The body of a search by nearness, which each dialect writes in its own way.
pub(super) fn similar(
    dialect: Dialect,
    (question, seek): (&Question, &Seek),
    wanted: &Wanted,
) -> Result<Value, ToolError> {
    let filters = question.filters.iter().map(filter).collect::<Vec<_>>();
    let (field, vector, count) = (seek.field.as_str(), &seek.vector, wanted.take);
    let mut body = match dialect {
        Dialect::Elasticsearch { major, minor } if (major, minor) >= (8, 4) => {
            let mut knn =
                json!({"field": field, "query_vector": vector, "k": count, "num_candidates": count.max(50) * 4});
            if !filters.is_empty() {
                knn["filter"] = json!(filters);
            }
            json!({"knn": knn})
        }
        Dialect::Elasticsearch { .. } => return Err(fault::beyond("a search by meaning, before Elasticsearch 8.4")),
        Dialect::OpenSearch { .. } => {
            let mut knn = json!({"vector": vector, "k": count});
            if !filters.is_empty() {
                knn["filter"] = json!({"bool": {"filter": filters}});
            }
            json!({"query": {"knn": {field: knn}}})
        }
    };
    body["size"] = json!(count);
    body["timeout"] = json!("20s");
    if let Some(only) = &wanted.only {
        body["_source"] = json!(only);
    }
    Ok(body)
}

fn node(schema: &Schema, node: &Node) -> Result<Value, ToolError> {
    let parts = match node {
        Node::Atom(atom) => return self::atom(schema, atom),
        Node::All(parts) => parts,
    };
    let (mut must, mut should, mut not) = (Vec::new(), Vec::new(), Vec::new());
    for (how, part) in parts {
        let list = match how {
            Occur::Must => &mut must,
            Occur::Should => &mut should,
            Occur::Not => &mut not,
        };
        list.push(self::node(schema, part)?);
    }
    let least = u8::from(must.is_empty() && !should.is_empty());
    Ok(json!({"bool": {"must": must, "should": should, "must_not": not, "minimum_should_match": least}}))
}

fn atom(schema: &Schema, atom: &Atom) -> Result<Value, ToolError> {
    let fields: Vec<&Field> = match &atom.field {
        Some(name) => vec![schema.field(name)?],
        None => schema.prose().collect(),
    };
    let mut queries = Vec::with_capacity(fields.len());
    for field in fields {
        let boost = atom.boost * field.boost.unwrap_or(1.0);
        queries.push(one(field, &atom.what, boost)?);
    }
    Ok(match queries.len() {
        0 => json!({"match_none": {}}),
        1 => queries.remove(0),
        _ => json!({"dis_max": {"queries": queries, "tie_breaker": TIE}}),
    })
}

fn one(field: &Field, what: &What, boost: f32) -> Result<Value, ToolError> {
    let name = field.name.as_str();
    if field.kind.is_prose() {
        return Ok(match what {
            What::Word(text) => json!({"match_phrase": {name: {"query": text, "boost": boost}}}),
            What::Phrase(text, slop) => json!({"match_phrase": {name: {"query": text, "slop": slop, "boost": boost}}}),
            What::Fuzzy(text, distance) => {
                json!({"match": {name: {"query": text, "fuzziness": distance, "operator": "and", "max_expansions": 50, "boost": boost}}})
            }
            What::Prefix(text) => json!({"bool": {"should": [
                {"prefix": {name: {"value": start(text), "boost": boost}}},
                {"match_phrase": {name: {"query": text, "boost": boost}}},
            ]}}),
        });
    }
    match (field.kind, what) {
        (Kind::Keyword, What::Prefix(text)) => Ok(json!({"prefix": {name: {"value": text, "boost": boost}}})),
        (Kind::Keyword, What::Fuzzy(text, distance)) => {
            Ok(json!({"fuzzy": {name: {"value": text, "fuzziness": distance, "boost": boost}}}))
        }
        (Kind::Keyword, What::Word(text) | What::Phrase(text, _)) => {
            Ok(json!({"term": {name: {"value": text, "boost": boost}}}))
        }
        (Kind::Point | Kind::Vector, _) => {
            Err(ToolError::invalid(format!("{name:?} has no words: points are filtered, vectors sought with semantic")))
        }
        (kind, What::Word(text) | What::Phrase(text, _)) => {
            let value = match kind {
                Kind::Date => Value::String(text.clone()),
                _ => serde_json::from_str(text).unwrap_or_default(),
            };
            let exact = filter::exact(field, &value)
                .map_err(|_| ToolError::invalid(format!("{text:?} is no value of {name:?}")))?;
            Ok(json!({"term": {name: {"value": told(&exact), "boost": boost}}}))
        }
        _ => Err(ToolError::invalid(format!("{name:?} is no text: give its value whole"))),
    }
}

/// The last word of what stands in front of a star, as it is indexed.
fn start(text: &str) -> String {
    text.rsplit(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_lowercase()
}

fn told(value: &Exact) -> Value {
    match value {
        Exact::Text(text) => json!(text),
        Exact::Integer(number) => json!(number),
        Exact::Number(number) => json!(number),
        Exact::Boolean(truth) => json!(truth),
        Exact::Date(nanos) => json!(filter::written(*nanos)),
        Exact::Point(point) => json!(point),
        Exact::Vector(vector) => json!(vector),
    }
}

fn filter(filter: &Filter) -> Value {
    let name = filter.field.as_str();
    let terms = |values: &[Exact]| json!({"terms": {name: values.iter().map(told).collect::<Vec<_>>()}});
    match &filter.test {
        Test::Any(values) => terms(values),
        Test::None(values) => json!({"bool": {"must_not": [terms(values)]}}),
        Test::Side(side, value) => {
            let side = match side {
                Side::Above => "gt",
                Side::From => "gte",
                Side::Below => "lt",
                Side::UpTo => "lte",
            };
            json!({"range": {name: {side: told(value)}}})
        }
        Test::Prefix(start) => json!({"prefix": {name: {"value": start}}}),
        Test::Within(Circle { lat, lon, metres }) => {
            json!({"geo_distance": {"distance": format!("{metres}m"), "distance_type": "arc", name: {"lat": lat, "lon": lon}}})
        }
        Test::Box(Area { north, west, south, east }) => {
            json!({"geo_bounding_box": {name: {"top": north, "left": west, "bottom": south, "right": east}}})
        }
        Test::Exists(true) => json!({"exists": {"field": name}}),
        Test::Exists(false) => json!({"bool": {"must_not": [{"exists": {"field": name}}]}}),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::question::{self, Asked};

    fn schema() -> Arc<Schema> {
        let fields = json!([{"name": "title", "kind": "text", "boost": 2.0}, {"name": "tag", "kind": "keyword"}, {"name": "day", "kind": "date"}]);
        Arc::new(Schema { fields: serde_json::from_value(fields).unwrap(), ..Schema::default() })
    }

    #[test]
    fn a_question_becomes_a_tree_of_plain_queries() {
        let conditions = serde_json::from_value::<Vec<_>>(
            json!([{"field": "day", "op": "gte", "value": "2026-01-01"}, {"field": "tag", "op": "ne", "value": "x"}]),
        );
        let asked = Asked { query: Some("+red \"a b\"~2 -tag:old"), require_all: false, filters: &conditions.unwrap() };
        let (question, _) = question::of(schema(), asked).unwrap();
        let expected = json!({"bool": {
            "must": [{"bool": {
                "must": [{"match_phrase": {"title": {"query": "red", "boost": 2.0}}}],
                "should": [{"match_phrase": {"title": {"query": "a b", "slop": 2, "boost": 2.0}}}],
                "must_not": [{"term": {"tag": {"value": "old", "boost": 1.0}}}],
                "minimum_should_match": 0,
            }}],
            "filter": [{"range": {"day": {"gte": "2026-01-01T00:00:00Z"}}}, {"bool": {"must_not": [{"terms": {"tag": ["x"]}}]}}],
        }});
        assert_eq!(query(&question).unwrap(), expected);
    }
}
