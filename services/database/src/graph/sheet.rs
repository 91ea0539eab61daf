//! Records to rows of JSON, and beside them each node and relationship once. What would fill a context without telling
//! anything (embeddings, long texts) is cut while it is taken in, and the whole stays within a budget of bytes.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map as Object, Value as Json, json};
use weft_bolt::{Map, Node, Path, Relationship, Value};
use weft_kit::{Budget, Truncated};

#[cfg(test)]
mod tests;

/// Characters of one text.
const TEXT: usize = 4_000;
/// Numbers of one list: more is an embedding or a series.
const NUMBERS: usize = 32;
/// Values of one list.
const VALUES: usize = 200;
/// Values that are shown of a list that is cut.
const SHOWN: usize = 4;
/// The whole numbers that every reader of JSON takes in exactly.
const EXACT: i64 = 1 << 53;

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct GraphNode {
    pub(crate) id: String,
    pub(crate) labels: Vec<String>,
    pub(crate) properties: Object<String, Json>,
}

/// A relationship.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct GraphRelationship {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The id of the node that it starts at.
    pub(crate) start: String,
    /// The id of the node that it ends at.
    pub(crate) end: String,
    pub(crate) properties: Object<String, Json>,
}

/// Rows, and the nodes and relationships in them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct GraphRows {
    pub(crate) columns: Vec<String>,
    /// A node is `{"node": id}`, a relationship `{"relationship": id}`, a path `{"path": [id, …]}`; what they are stands below.
    pub(crate) rows: Vec<Vec<Json>>,
    pub(crate) nodes: Vec<GraphNode>,
    pub(crate) relationships: Vec<GraphRelationship>,
}

/// What is taken in so far.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) rows: GraphRows,
    /// Values that were cut.
    pub(crate) cut: usize,
    budget: Budget,
    most: usize,
    /// Room for this many nodes, too.
    nodes: usize,
    /// There was more than `most` rows or `nodes`.
    more: Option<Truncated>,
    seen: BTreeSet<String>,
    fresh: Fresh,
}

/// What the row at hand brings.
#[derive(Debug, Default)]
struct Fresh {
    nodes: Vec<GraphNode>,
    relationships: Vec<GraphRelationship>,
    cut: usize,
}

impl Sheet {
    /// Room for `most` rows in `bytes` of JSON.
    pub(crate) fn new(most: usize, bytes: usize) -> Self {
        let (rows, seen, fresh) = (GraphRows::default(), BTreeSet::new(), Fresh::default());
        Self { rows, cut: 0, budget: Budget::new(bytes), most, nodes: usize::MAX, more: None, seen, fresh }
    }

    /// And for at most that many nodes.
    pub(crate) fn of_nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// Takes a row; `false` if there is no room for it.
    pub(crate) fn take(&mut self, record: &[Value]) -> bool {
        if self.rows.rows.len() >= self.most {
            self.more = Some(Truncated::new("rows", self.most as u64));
            return false;
        }
        self.fresh = Fresh::default();
        let row: Vec<Json> = record.iter().map(|value| self.value(value)).collect();
        let fresh = std::mem::take(&mut self.fresh);
        if self.rows.nodes.len() + fresh.nodes.len() > self.nodes {
            self.more = Some(Truncated::new("nodes", self.nodes as u64));
            return false;
        }
        if !self.budget.admit(size(&row) + size(&fresh.nodes) + size(&fresh.relationships)) {
            return false;
        }
        self.seen.extend(fresh.nodes.iter().map(|node| format!("n{}", node.id)));
        self.seen.extend(fresh.relationships.iter().map(|link| format!("r{}", link.id)));
        self.rows.rows.push(row);
        self.rows.nodes.extend(fresh.nodes);
        self.rows.relationships.extend(fresh.relationships);
        self.cut += fresh.cut;
        true
    }

    /// Why rows are missing, if they are.
    pub(crate) fn truncated(&self) -> Option<Truncated> {
        self.more.clone().or_else(|| self.budget.truncated())
    }

    /// A value as JSON.
    fn value(&mut self, value: &Value) -> Json {
        match value {
            Value::Null => Json::Null,
            Value::Bool(truth) => json!(truth),
            Value::Int(number) if (-EXACT..=EXACT).contains(number) => json!(number),
            Value::Int(number) => json!(number.to_string()),
            Value::Float(number) if number.is_finite() => json!(number),
            Value::Float(number) => json!(number.to_string()),
            Value::Bytes(bytes) => json!({"bytes": bytes.len()}),
            Value::String(text) => self.text(text),
            Value::List(items) => self.list(items),
            Value::Map(map) => Json::Object(self.object(map)),
            Value::Node(node) => json!({"node": self.node(node)}),
            Value::Relationship(link) => json!({"relationship": self.relationship(link)}),
            Value::UnboundRelationship(link) => json!({"relationship": link.element_id}),
            Value::Path(path) => json!({"path": self.path(path)}),
            Value::Temporal(temporal) => json!(temporal.to_string()),
            Value::Point(point) => json!({"srid": point.srid, "x": point.x, "y": point.y, "z": point.z}),
        }
    }

    fn text(&mut self, text: &str) -> Json {
        match text.char_indices().nth(TEXT) {
            None => json!(text),
            Some((end, _)) => {
                self.fresh.cut += 1;
                json!(format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()))
            }
        }
    }

    fn list(&mut self, items: &[Value]) -> Json {
        let numbers = items.iter().all(|item| matches!(item, Value::Int(_) | Value::Float(_)));
        let most = if numbers { NUMBERS } else { VALUES };
        if items.len() <= most {
            return items.iter().map(|item| self.value(item)).collect();
        }
        self.fresh.cut += 1;
        let what = if numbers { "numbers" } else { "values" };
        let first: Vec<Json> = items.iter().take(SHOWN).map(|item| self.value(item)).collect();
        json!({"cut": format!("{} {what}", items.len()), "first": first})
    }

    fn object(&mut self, map: &Map) -> Object<String, Json> {
        map.iter().map(|(key, value)| (key.clone(), self.value(value))).collect()
    }

    fn node(&mut self, node: &Node) -> String {
        let id = &node.element_id;
        if !self.seen.contains(&format!("n{id}")) && !self.fresh.nodes.iter().any(|known| known.id == *id) {
            let properties = self.object(&node.properties);
            self.fresh.nodes.push(GraphNode { id: id.clone(), labels: node.labels.clone(), properties });
        }
        id.clone()
    }

    fn relationship(&mut self, link: &Relationship) -> String {
        let id = &link.element_id;
        if !self.seen.contains(&format!("r{id}")) && !self.fresh.relationships.iter().any(|known| known.id == *id) {
            let properties = self.object(&link.properties);
            let (start, end) = (link.start_element_id.clone(), link.end_element_id.clone());
            let kind = link.kind.clone();
            self.fresh.relationships.push(GraphRelationship { id: id.clone(), kind, start, end, properties });
        }
        id.clone()
    }

    /// Ids in the order of the walk: a node, a relationship, a node, …
    fn path(&mut self, path: &Path) -> Vec<String> {
        let nodes: Vec<String> = path.walk().map(|node| self.node(node)).collect();
        let links: Vec<String> = path.relationships().iter().map(|link| self.relationship(link)).collect();
        let mut links = links.into_iter();
        let mut ids = Vec::with_capacity(nodes.len() * 2);
        for node in nodes {
            ids.push(node);
            ids.extend(links.next());
        }
        ids
    }
}

/// Bytes of the JSON.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX / 4, |bytes| bytes.len())
}
