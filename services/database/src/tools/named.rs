//! Queries by name: what there is, and running one. No caller's text becomes SQL here, only the values of its parameters.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{Approval, Call, Page, Plan, Reply, ToolError};

use super::{Rows, change, query};
use crate::{
    Databases,
    access::Need,
    named::Named,
    sql::{Act, Isolation, Sql},
};

/// Where to look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Where {
    /// All connections if not said.
    connection: Option<String>,
}

/// A named query.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    connection: String,
    name: String,
    description: String,
    /// It changes rows: change_named runs it, run_named all others.
    writes: bool,
    /// What it takes as arguments: a JSON Schema.
    arguments: Value,
}

pub(crate) async fn list(databases: Arc<Databases>, call: Call, args: Where) -> Result<Reply<Vec<Listed>>, ToolError> {
    if let Some(connection) = &args.connection {
        databases.permitted(&call, connection, Need::Read)?;
    }
    let asked = |name: &str| args.connection.as_deref().is_none_or(|asked| asked == name);
    let open = databases.visible(&call).filter(|(name, own)| asked(name) && own.rules.offers(call.tool()));
    let listed: Vec<Listed> =
        open.flat_map(|(connection, own)| own.named.values().map(move |named| told(connection, named))).collect();
    let line = |one: &Listed| format!("{}.{}: {} {}", one.connection, one.name, one.description, one.arguments);
    let text = listed.iter().map(line).collect::<Vec<_>>().join("\n");
    let count = listed.len();
    Ok(Reply::new(listed).text(text).page(Page::new(count, None)))
}

fn told(connection: &str, named: &Named) -> Listed {
    Listed {
        connection: connection.to_owned(),
        name: named.own.name.clone(),
        description: named.own.description.clone(),
        writes: named.own.writes,
        arguments: named.schema(),
    }
}

/// Which query, with what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    connection: String,
    /// As list_named tells it.
    name: String,
    /// By name, as list_named says.
    #[serde(default)]
    arguments: Map<String, Value>,
    /// Rows, up to 5000; 200 if not said.
    #[schemars(range(min = 1, max = 5000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) async fn run(databases: Arc<Databases>, call: Call, args: Run) -> Result<Reply<Rows>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let named = databases.named(&args.connection, &args.name)?;
    if named.own.writes {
        return Err(ToolError::invalid(format!("the query {:?} changes rows", args.name)).hint("use change_named"));
    }
    let params = named.bind(&args.arguments)?;
    let wants = query::Wants { params: &params, limit: args.limit, cursor: args.cursor.as_deref() };
    query::page(&databases, &call, &args.connection, (sql.as_ref(), &named.checked), wants).await
}

/// Which query, with what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    connection: String,
    /// As list_named tells it.
    name: String,
    /// By name, as list_named says.
    #[serde(default)]
    arguments: Map<String, Value>,
}

fn act(databases: &Databases, call: &Call, args: &Change) -> Result<(Arc<dyn Sql>, Vec<Act>), ToolError> {
    let sql = databases.sql(call, &args.connection, Need::Write)?;
    let named = databases.named(&args.connection, &args.name)?;
    if !named.own.writes {
        return Err(ToolError::invalid(format!("the query {:?} only reads", args.name)).hint("use run_named"));
    }
    Ok((sql, vec![Act { checked: named.checked.clone(), params: named.bind(&args.arguments)? }]))
}

pub(crate) async fn plan(
    databases: Arc<Databases>,
    call: Call,
    args: Change,
) -> Result<Plan<change::Effects>, ToolError> {
    let (sql, acts) = act(&databases, &call, &args)?;
    change::plan(&databases, &call, &args.connection, (sql, &acts, Isolation::default())).await
}

pub(crate) async fn change(
    databases: Arc<Databases>,
    call: Call,
    args: Change,
    approval: Approval,
) -> Result<Reply<change::Changed>, ToolError> {
    let (sql, acts) = act(&databases, &call, &args)?;
    change::apply(&databases, &call, &args.connection, (sql, &acts, Isolation::default()), &approval).await
}
