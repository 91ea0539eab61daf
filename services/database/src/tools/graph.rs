//! The tools of graph databases: what a caller says, checked and handed to [`Graph`], and what came of it as a reply.

use std::{fmt::Write as _, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{Annotations, Approval, Builder, Call, Page, Plan, Reply, Tool, ToolError};

use crate::{
    Databases,
    access::Need,
    graph::{Asked, Changes, Direction, Graph, GraphRows, Neighbours, Place, Schema, Sheet, Walk, parameters},
};

/// Adds them.
pub(crate) fn add(service: Builder<Databases>, writes: bool) -> Builder<Databases> {
    let service = service
        .tool(Tool::new("graph_schema", Annotations::READ, "Tells the labels, relationship types, properties, indexes and constraints of a Neo4j connection, with counts."), graph_schema)
        .tool(Tool::new("graph_query", Annotations::READ, "Runs one Cypher statement that only reads, with parameters ($name); gives rows, and the nodes and relationships in them. To change something use graph_execute."), graph_query)
        .tool(Tool::new("graph_path", Annotations::READ, "Finds the shortest paths between two nodes, each named by label and property."), graph_path)
        .tool(Tool::new("graph_neighbours", Annotations::READ, "Shows what is around a node, up to three relationships away."), graph_neighbours);
    if !writes {
        return service;
    }
    service.planned(
        Tool::new(
            "graph_execute",
            Annotations::EDIT,
            "Runs one Cypher statement that changes nodes or relationships; what it would change is shown first.",
        ),
        graph_plan,
        graph_execute,
    )
}

async fn graph_schema(databases: Arc<Databases>, call: Call, args: GraphSchema) -> Result<Reply<Schema>, ToolError> {
    let (name, graph) = (args.connection.clone(), databases.graph(&call, &args.connection, Need::Read)?);
    databases.observe(&name, &call, Box::pin(schema(&graph, &call, args))).await
}

async fn graph_query(databases: Arc<Databases>, call: Call, args: GraphQuery) -> Result<Reply<GraphRows>, ToolError> {
    let (name, graph) = (args.connection.clone(), databases.graph(&call, &args.connection, Need::Read)?);
    databases.observe(&name, &call, Box::pin(query(&graph, &call, args))).await
}

async fn graph_path(databases: Arc<Databases>, call: Call, args: GraphPath) -> Result<Reply<GraphRows>, ToolError> {
    let (name, graph) = (args.connection.clone(), databases.graph(&call, &args.connection, Need::Read)?);
    databases.observe(&name, &call, Box::pin(path(&graph, &call, args))).await
}

async fn graph_neighbours(
    databases: Arc<Databases>,
    call: Call,
    args: GraphNeighbours,
) -> Result<Reply<GraphRows>, ToolError> {
    let (name, graph) = (args.connection.clone(), databases.graph(&call, &args.connection, Need::Read)?);
    databases.observe(&name, &call, Box::pin(neighbours(&graph, &call, args))).await
}

async fn graph_plan(
    databases: Arc<Databases>,
    call: Call,
    args: GraphExecute,
) -> Result<Plan<GraphEffects>, ToolError> {
    let (name, graph) = (args.connection.clone(), databases.graph(&call, &args.connection, Need::Write)?);
    databases.observe(&name, &call, Box::pin(plan(&graph, &call, args))).await
}

async fn graph_execute(
    databases: Arc<Databases>,
    call: Call,
    args: GraphExecute,
    approval: Approval,
) -> Result<Reply<GraphChanged>, ToolError> {
    let (name, graph) = (args.connection.clone(), databases.graph(&call, &args.connection, Need::Write)?);
    databases.observe(&name, &call, Box::pin(execute(&graph, &call, args, &approval))).await
}

/// What a plan promises to change.
const CHANGES: &str = "what it changes";

/// What to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphQuery {
    pub(crate) connection: String,
    /// One statement that only reads.
    cypher: String,
    /// Values of $name.
    #[serde(default)]
    params: Map<String, Value>,
    /// Rows; 100 if not said.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

async fn query(graph: &Graph, call: &Call, args: GraphQuery) -> Result<Reply<GraphRows>, ToolError> {
    let limit = args.limit.unwrap_or(100).clamp(1, 1000);
    let sheet = graph.query(call, &args.cypher, &parameters(args.params)?, limit).await?;
    Ok(reply(graph, sheet))
}

/// What to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphExecute {
    pub(crate) connection: String,
    /// One statement that changes nodes or relationships.
    cypher: String,
    /// Values of $name.
    #[serde(default)]
    params: Map<String, Value>,
}

/// What would be changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GraphEffects {
    changes: Changes,
    /// What RETURN would give.
    returned: GraphRows,
}

/// What was changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GraphChanged {
    changes: Changes,
    /// What RETURN gave.
    returned: GraphRows,
}

async fn plan(graph: &Graph, call: &Call, args: GraphExecute) -> Result<Plan<GraphEffects>, ToolError> {
    let tried = graph.try_out(call, &args.cypher, &parameters(args.params)?).await?;
    let (changes, told) = (tried.changes, tried.changes.to_string());
    let effects = GraphEffects { changes, returned: tried.sheet.rows };
    Ok(Plan::new(format!("changes the graph {:?}: {told}", graph.name()), effects).observed(CHANGES, told))
}

async fn execute(
    graph: &Graph,
    call: &Call,
    args: GraphExecute,
    approval: &Approval,
) -> Result<Reply<GraphChanged>, ToolError> {
    let approved = approval.version(CHANGES).unwrap_or_default().to_owned();
    let done = graph.execute(call, &args.cypher, &parameters(args.params)?, &approved).await?;
    let text = format!("changed: {}", done.changes);
    let changed = GraphChanged { changes: done.changes, returned: done.sheet.rows };
    Ok(Reply::new(changed).text(text).source(graph.name()))
}

/// Of what to tell the schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphSchema {
    pub(crate) connection: String,
    /// This label and its relationships only.
    label: Option<String>,
    /// Labels, and types of relationships; 50 if not said.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
}

async fn schema(graph: &Graph, call: &Call, args: GraphSchema) -> Result<Reply<Schema>, ToolError> {
    let asked = Asked { label: args.label.as_deref(), limit: args.limit.unwrap_or(50).clamp(1, 200) };
    let schema = graph.schema(call, asked).await?;
    let mut text = String::new();
    for label in &schema.labels {
        let properties: Vec<String> =
            label.properties.iter().map(|own| format!("{}: {}", own.name, own.types.join("|"))).collect();
        let count = label.count.map(|count| format!(" × {count}")).unwrap_or_default();
        let _ = writeln!(text, "(:{} {{{}}}){count}", label.label, properties.join(", "));
    }
    for kind in &schema.relationship_types {
        let count = kind.count.map(|count| format!(" × {count}")).unwrap_or_default();
        let _ = writeln!(text, "[:{}]{count} {}", kind.kind, kind.between.join(", "));
    }
    let more = schema.more;
    let unknown = schema.unknown.join(" and ");
    let mut reply = Reply::new(schema).text(text).source(graph.name());
    if more {
        reply = reply.warn("there are more labels or types: ask for more, or name a label");
    }
    if !unknown.is_empty() {
        reply = reply.warn(format!("the server does not list its {unknown}"));
    }
    Ok(reply)
}

/// Between what to find the shortest paths.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphPath {
    pub(crate) connection: String,
    from: Place,
    to: Place,
    /// Types of relationships that may be walked; all if empty.
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    direction: Direction,
    /// Relationships at most; 5 if not said.
    #[schemars(range(min = 1, max = 10))]
    max_depth: Option<usize>,
    /// Paths of the same length; 1 if not said.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<usize>,
}

async fn path(graph: &Graph, call: &Call, args: GraphPath) -> Result<Reply<GraphRows>, ToolError> {
    let depth = args.max_depth.unwrap_or(5).clamp(1, 10);
    let walk = Walk {
        from: &args.from,
        to: &args.to,
        types: &args.types,
        direction: args.direction,
        depth,
        limit: args.limit.unwrap_or(1).clamp(1, 20),
    };
    let sheet = graph.path(call, walk).await?;
    let none = sheet.rows.rows.is_empty() && sheet.truncated().is_none();
    let reply = reply(graph, sheet);
    Ok(if none { reply.warn(format!("no path of at most {depth} relationships connects them")) } else { reply })
}

/// Around what to look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphNeighbours {
    pub(crate) connection: String,
    of: Place,
    /// Types of relationships that may be walked; all if empty.
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    direction: Direction,
    /// Relationships away; 1 if not said.
    #[schemars(range(min = 1, max = 3))]
    depth: Option<usize>,
    /// Neighbours; 50 if not said.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
}

async fn neighbours(graph: &Graph, call: &Call, args: GraphNeighbours) -> Result<Reply<GraphRows>, ToolError> {
    let around = Neighbours {
        of: &args.of,
        types: &args.types,
        direction: args.direction,
        depth: args.depth.unwrap_or(1).clamp(1, 3),
        limit: args.limit.unwrap_or(50).clamp(1, 200),
    };
    let mut sheet = graph.neighbours(call, around).await?;
    // The nodes and relationships say it all.
    sheet.rows.columns.clear();
    sheet.rows.rows.clear();
    Ok(reply(graph, sheet))
}

/// Rows, nodes and relationships, a line each.
fn reply(graph: &Graph, sheet: Sheet) -> Reply<GraphRows> {
    let (truncated, cut, rows) = (sheet.truncated(), sheet.cut, sheet.rows);
    let mut text = rows.columns.join("\t");
    for row in &rows.rows {
        let cells: Vec<String> = row.iter().map(Value::to_string).collect();
        let _ = write!(text, "\n{}", cells.join("\t"));
    }
    for node in &rows.nodes {
        let properties = Value::Object(node.properties.clone());
        let _ = write!(text, "\n({} :{} {properties})", node.id, node.labels.join(":"));
    }
    for link in &rows.relationships {
        let properties = Value::Object(link.properties.clone());
        let _ = write!(text, "\n({})-[{} :{} {properties}]->({})", link.start, link.id, link.kind, link.end);
    }
    let page = Page { has_more: truncated.is_some(), ..Page::new(rows.rows.len(), None) };
    let mut reply = Reply::new(rows).text(text.trim_start()).source(graph.name()).page(page);
    if truncated.is_some() {
        reply = reply.warn("there is more: order and narrow the statement, or raise limit");
    }
    if cut > 0 {
        reply = reply.warn(format!("{cut} long texts or lists were cut: select a part of them"));
    }
    reply.truncated(truncated)
}
