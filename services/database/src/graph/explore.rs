//! The two questions that are asked of every graph: how are these connected, and what is around this. They are asked in
//! statements of ours: names are quoted, values are parameters, and a connection that shows some labels only is confined.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use weft_bolt::{Map, Mode, Transaction, Value};
use weft_kit::{Call, ToolError};

use super::{
    Graph,
    names::{quoted, types},
    sheet::Sheet,
    values,
};

/// Paths of one step that are looked at for each neighbour that is wanted.
const PATHS: usize = 10;

/// A node: by its id in an earlier result, or by label, property and value.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    id: Option<String>,
    label: Option<String>,
    property: Option<String>,
    value: Option<Json>,
}

/// Which way relationships are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    #[default]
    Both,
    Out,
    In,
}

/// From where to where.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(crate) from: &'a Place,
    pub(crate) to: &'a Place,
    pub(crate) types: &'a [String],
    pub(crate) direction: Direction,
    pub(crate) depth: usize,
    pub(crate) limit: usize,
}

/// Around what.
#[derive(Debug)]
pub(crate) struct Neighbours<'a> {
    pub(crate) of: &'a Place,
    pub(crate) types: &'a [String],
    pub(crate) direction: Direction,
    pub(crate) depth: usize,
    pub(crate) limit: usize,
}

/// A node in a pattern: `(a:`L` {`p`: $a})`, and what must hold besides.
struct Anchor {
    pattern: String,
    condition: Option<String>,
    value: Value,
}

impl Direction {
    fn arrow(self, inside: &str) -> String {
        match self {
            Self::Both => format!("-[{inside}]-"),
            Self::Out => format!("-[{inside}]->"),
            Self::In => format!("<-[{inside}]-"),
        }
    }
}

impl Graph {
    /// The shortest paths between two nodes; none if there is none of that length.
    pub(crate) async fn path(&self, call: &Call, walk: Walk<'_>) -> Result<Sheet, ToolError> {
        if walk.from == walk.to {
            return Err(ToolError::invalid("from and to are the same node"));
        }
        let work = async {
            let mut transaction = self.begin(call, Mode::Read).await?;
            let (from, to) = (self.anchor(&transaction, "a", walk.from)?, self.anchor(&transaction, "b", walk.to)?);
            self.find(&mut transaction, "a", &from).await?;
            self.find(&mut transaction, "b", &to).await?;
            let arrow = walk.direction.arrow(&format!("{}*1..{}", types(walk.types)?, walk.depth));
            let function = if walk.limit == 1 { "shortestPath" } else { "allShortestPaths" };
            let pattern = format!("p = {function}({}{arrow}{})", from.pattern, to.pattern);
            let conditions = [from.condition, to.condition, self.confined("p")];
            let text = format!("MATCH {pattern}{} RETURN p LIMIT {}", join(conditions), walk.limit + 1);
            let mut params = self.labels();
            params.extend([("a".to_owned(), from.value), ("b".to_owned(), to.value)]);
            let sheet = self.fill(&mut transaction, (&text, &params), self.sheet(call, walk.limit)).await?;
            self.undo(transaction).await?;
            Ok(sheet)
        };
        self.within(call, work).await
    }

    /// What is around a node, the nearest first. The rows are the paths.
    pub(crate) async fn neighbours(&self, call: &Call, around: Neighbours<'_>) -> Result<Sheet, ToolError> {
        self.within(call, self.neighbours_now(call, around)).await
    }

    async fn neighbours_now(&self, call: &Call, around: Neighbours<'_>) -> Result<Sheet, ToolError> {
        let mut transaction = self.begin(call, Mode::Read).await?;
        let anchor = self.anchor(&transaction, "a", around.of)?;
        self.find(&mut transaction, "a", &anchor).await?;
        let mut params = self.labels();
        params.insert("a".to_owned(), anchor.value.clone());
        let mut sheet = self.sheet(call, around.limit.saturating_mul(PATHS)).of_nodes(around.limit + 1);
        let start = join([anchor.condition.clone(), self.confined_node("a"), None]);
        let text = format!("MATCH {}{start} RETURN a LIMIT 1", anchor.pattern);
        sheet = self.fill(&mut transaction, (&text, &params), sheet).await?;
        for step in 1..=around.depth {
            if sheet.truncated().is_some() {
                break;
            }
            let arrow = around.direction.arrow(&format!("{}*{step}..{step}", types(around.types)?));
            let conditions = join([anchor.condition.clone(), self.confined("p"), None]);
            let most = around.limit.saturating_mul(PATHS) + 1;
            let text = format!("MATCH p = {}{arrow}(b){conditions} RETURN p LIMIT {most}", anchor.pattern);
            sheet = self.fill(&mut transaction, (&text, &params), sheet).await?;
        }
        self.undo(transaction).await?;
        Ok(sheet)
    }

    /// The node called `name` in the pattern.
    fn anchor(&self, transaction: &Transaction, name: &str, place: &Place) -> Result<Anchor, ToolError> {
        match place {
            Place { id: Some(id), label: None, property: None, value: None } => {
                let (condition, value) = if transaction.server().version.major >= 5 {
                    (format!("elementId({name}) = ${name}"), id.as_str().into())
                } else {
                    let number: Result<i64, _> = id.parse();
                    (format!("id({name}) = ${name}"), number.map_err(|_| nowhere())?.into())
                };
                Ok(Anchor { pattern: format!("({name})"), condition: Some(condition), value })
            }
            Place { id: None, label: Some(label), property: Some(property), value: Some(value) } => {
                if !self.own.labels.is_empty() && !self.own.labels.contains(label) {
                    return Err(nowhere());
                }
                let (label, property) = (quoted(label)?, quoted(property)?);
                let value = values::one("value", value.clone())?;
                Ok(Anchor { pattern: format!("({name}:{label} {{{property}: ${name}}})"), condition: None, value })
            }
            _ => Err(ToolError::invalid("name a node by id, or by label, property and value")),
        }
    }

    /// Fails unless the node is there.
    async fn find(&self, transaction: &mut Transaction, name: &str, anchor: &Anchor) -> Result<(), ToolError> {
        let condition = join([anchor.condition.clone(), self.confined_node(name), None]);
        let text = format!("MATCH {}{condition} RETURN 1 AS one LIMIT 1", anchor.pattern);
        let mut params = self.labels();
        params.insert(name.to_owned(), anchor.value.clone());
        let found = self.rows(transaction, &text, &params).await?;
        if found.is_empty() { Err(nowhere()) } else { Ok(()) }
    }

    /// The parameter that conditions on labels need.
    pub(super) fn labels(&self) -> Map {
        let confined = !self.own.labels.is_empty();
        confined.then(|| ("labels".to_owned(), self.own.labels.clone().into())).into_iter().collect()
    }

    /// That a node has a label that may be seen.
    pub(super) fn confined_node(&self, name: &str) -> Option<String> {
        let confined = !self.own.labels.is_empty();
        confined.then(|| format!("any(l IN labels({name}) WHERE l IN $labels)"))
    }

    /// That all nodes of a path have one.
    fn confined(&self, path: &str) -> Option<String> {
        self.confined_node("n").map(|condition| format!("all(n IN nodes({path}) WHERE {condition})"))
    }
}

fn nowhere() -> ToolError {
    ToolError::not_found("there is no such node").hint("graph_schema lists labels and properties")
}

/// ` WHERE a AND b`, or nothing.
pub(super) fn join(conditions: [Option<String>; 3]) -> String {
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}
