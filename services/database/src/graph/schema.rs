//! What a graph is made of. The names come from the server; what a label or a type carries is told from a sample, since
//! counting it all would read the whole graph, and not every server has procedures for it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use weft_bolt::{Map, Mode, Transaction, Value};
use weft_kit::{Call, ToolError};

use super::{Graph, explore::join, names::quoted};

/// Nodes and relationships that are looked at of each kind.
const SAMPLE: usize = 25;

/// What to tell.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// This label and its relationships only.
    pub(crate) label: Option<&'a str>,
    /// At most so many labels and so many types.
    pub(crate) limit: usize,
}

/// What a graph is made of.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Schema {
    pub(crate) labels: Vec<Label>,
    pub(crate) relationship_types: Vec<Type>,
    pub(crate) indexes: Vec<Rule>,
    pub(crate) constraints: Vec<Rule>,
    /// There are more labels or types.
    pub(crate) more: bool,
    /// What could not be found out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unknown: Vec<String>,
}

/// A label.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Label {
    pub(crate) label: String,
    /// Nodes that have it.
    pub(crate) count: Option<i64>,
    pub(crate) properties: Vec<Property>,
}

/// A type of relationships.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Type {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Relationships of it; not told where only some labels are shown.
    pub(crate) count: Option<i64>,
    /// `Person -> Movie`, of the sample.
    pub(crate) between: Vec<String>,
    pub(crate) properties: Vec<Property>,
}

/// A property, as the sample has it.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) types: Vec<String>,
    /// Share of the sample that has it, in per cent.
    pub(crate) share: usize,
}

/// An index or a constraint.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Labels or types.
    pub(crate) on: Vec<String>,
    pub(crate) properties: Vec<String>,
}

/// A sample of property maps.
#[derive(Debug, Default)]
struct Seen {
    size: usize,
    properties: BTreeMap<String, (usize, BTreeSet<String>)>,
}

impl Graph {
    /// Looks at the graph.
    pub(crate) async fn schema(&self, call: &Call, asked: Asked<'_>) -> Result<Schema, ToolError> {
        self.within(call, self.schema_now(call, &asked)).await
    }

    async fn schema_now(&self, call: &Call, asked: &Asked<'_>) -> Result<Schema, ToolError> {
        let mut labels = self
            .names(call, "CALL db.labels()", "MATCH (n) WITH n LIMIT 10000 UNWIND labels(n) AS l RETURN DISTINCT l")
            .await?;
        let confined = |label: &String| self.own.labels.is_empty() || self.own.labels.contains(label);
        labels.retain(|label| confined(label) && asked.label.is_none_or(|wanted| wanted == label));
        if let Some(wanted) = asked.label.filter(|_| labels.is_empty()) {
            return Err(ToolError::not_found(format!("there is no label {wanted:?}"))
                .hint("graph_schema without a label lists them all"));
        }
        let sampled = "MATCH ()-[r]->() WITH r LIMIT 10000 RETURN DISTINCT type(r)";
        let mut kinds = self.names(call, "CALL db.relationshipTypes()", sampled).await?;
        let more = labels.len() > asked.limit || kinds.len() > asked.limit;
        labels.truncate(asked.limit);
        kinds.truncate(asked.limit);
        let mut schema = Schema { more, ..Schema::default() };
        let mut transaction = self.begin(call, Mode::Read).await?;
        for label in labels {
            schema.labels.push(self.label(&mut transaction, label).await?);
        }
        for kind in kinds {
            schema.relationship_types.extend(self.kind(&mut transaction, kind, asked.label).await?);
        }
        self.undo(transaction).await?;
        schema.indexes = self.rules(call, "INDEXES", &mut schema).await;
        schema.constraints = self.rules(call, "CONSTRAINTS", &mut schema).await;
        Ok(schema)
    }

    /// Names, sorted: from a procedure, or from a sample where there is none.
    async fn names(&self, call: &Call, procedure: &str, sampled: &str) -> Result<Vec<String>, ToolError> {
        let rows = match self.alone(call, procedure).await {
            Ok(rows) => rows,
            Err(error) if error.code() == "unavailable" => return Err(error),
            Err(_) => self.alone(call, sampled).await?,
        };
        let mut names: Vec<String> = rows.iter().filter_map(|row| row.first()?.as_str()).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// A statement in a transaction of its own: it may fail.
    async fn alone(&self, call: &Call, text: &str) -> Result<Vec<Vec<Value>>, ToolError> {
        let mut transaction = self.begin(call, Mode::Read).await?;
        let rows = self.rows(&mut transaction, text, &Map::new()).await?;
        self.undo(transaction).await?;
        Ok(rows)
    }

    async fn label(&self, transaction: &mut Transaction, label: String) -> Result<Label, ToolError> {
        let name = quoted(&label)?;
        let count = self.count(transaction, &format!("MATCH (n:{name}) RETURN count(n) AS count")).await?;
        let text = format!("MATCH (n:{name}) RETURN n LIMIT {SAMPLE}");
        let mut seen = Seen::default();
        for row in self.rows(transaction, &text, &Map::new()).await? {
            if let Some(Value::Node(node)) = row.first() {
                seen.add(&node.properties);
            }
        }
        Ok(Label { label, count, properties: seen.told() })
    }

    /// Nothing if the sample has none between labels that may be seen.
    async fn kind(
        &self,
        transaction: &mut Transaction,
        kind: String,
        at: Option<&str>,
    ) -> Result<Option<Type>, ToolError> {
        let name = quoted(&kind)?;
        let ends = at.map(|label| quoted(label).map(|label| format!("(a:{label} OR b:{label})"))).transpose()?;
        let conditions = join([self.confined_node("a"), self.confined_node("b"), ends]);
        let text =
            format!("MATCH (a)-[r:{name}]->(b){conditions} RETURN labels(a) AS a, r, labels(b) AS b LIMIT {SAMPLE}");
        let (mut seen, mut between) = (Seen::default(), BTreeSet::new());
        for row in self.rows(transaction, &text, &self.labels()).await? {
            let [from, Value::Relationship(link), to] = row.as_slice() else { continue };
            between.insert(format!("{} -> {}", self.end(from), self.end(to)));
            seen.add(&link.properties);
        }
        if seen.size == 0 {
            return Ok(None);
        }
        let told = self.own.labels.is_empty() && at.is_none();
        let count = match told {
            true => self.count(transaction, &format!("MATCH ()-[r:{name}]->() RETURN count(r) AS count")).await?,
            false => None,
        };
        Ok(Some(Type { kind, count, between: between.into_iter().collect(), properties: seen.told() }))
    }

    /// The labels of one end, those that may be seen.
    fn end(&self, labels: &Value) -> String {
        let names = labels.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
        let shown = |name: &&str| self.own.labels.is_empty() || self.own.labels.iter().any(|own| own == name);
        names.filter(shown).collect::<Vec<_>>().join("&")
    }

    async fn count(&self, transaction: &mut Transaction, text: &str) -> Result<Option<i64>, ToolError> {
        let rows = self.rows(transaction, text, &Map::new()).await?;
        Ok(rows.first().and_then(|row| row.first()?.as_int()))
    }

    /// Indexes or constraints, of what is shown in `schema`.
    async fn rules(&self, call: &Call, what: &str, schema: &mut Schema) -> Vec<Rule> {
        let text = format!("SHOW {what} YIELD name, type, labelsOrTypes, properties");
        let Ok(rows) = self.alone(call, &text).await else {
            schema.unknown.push(what.to_lowercase());
            return Vec::new();
        };
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_list().unwrap_or_default();
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut rules = Vec::new();
        for row in rows {
            let [name, kind, on, properties] = row.as_slice() else { continue };
            let (name, kind) = (name.as_str().unwrap_or_default(), kind.as_str().unwrap_or_default());
            let rule =
                Rule { name: name.to_owned(), kind: kind.to_owned(), on: texts(on), properties: texts(properties) };
            if rule.on.iter().any(|on| schema.shows(on)) {
                rules.push(rule);
            }
        }
        rules
    }
}

impl Schema {
    fn shows(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.label == name)
            || self.relationship_types.iter().any(|kind| kind.kind == name)
    }
}

impl Seen {
    fn add(&mut self, properties: &Map) {
        self.size += 1;
        for (name, value) in properties {
            let (times, types) = self.properties.entry(name.clone()).or_default();
            *times += 1;
            types.insert(kind(value));
        }
    }

    fn told(self) -> Vec<Property> {
        let tell = |(name, (times, types)): (String, (usize, BTreeSet<String>))| Property {
            name,
            types: types.into_iter().collect(),
            share: times * 100 / self.size.max(1),
        };
        self.properties.into_iter().map(tell).collect()
    }
}

/// The type of a value, in the words of Cypher.
fn kind(value: &Value) -> String {
    let name = match value {
        Value::Null => "NULL",
        Value::Bool(_) => "BOOLEAN",
        Value::Int(_) => "INTEGER",
        Value::Float(_) => "FLOAT",
        Value::Bytes(_) => "BYTES",
        Value::String(_) => "STRING",
        Value::List(items) => return format!("LIST<{}>", items.first().map(kind).unwrap_or_default()),
        Value::Map(_) => "MAP",
        Value::Temporal(_) => "TEMPORAL",
        Value::Point(_) => "POINT",
        Value::Node(_) | Value::Relationship(_) | Value::UnboundRelationship(_) | Value::Path(_) => "GRAPH",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_types_and_how_many_have_a_property() {
        let mut seen = Seen::default();
        seen.add(&Map::from([("a".to_owned(), 1.into()), ("v".to_owned(), vec![0.5].into())]));
        seen.add(&Map::from([("a".to_owned(), "x".into())]));
        let property = |name: &str, types: &[&str], share| Property {
            name: name.to_owned(),
            types: types.iter().map(|&kind| kind.to_owned()).collect(),
            share,
        };
        assert_eq!(seen.told(), [property("a", &["INTEGER", "STRING"], 100), property("v", &["LIST<FLOAT>"], 50)]);
    }
}
