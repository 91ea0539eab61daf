//! How a database fares: its health, and the statements that cost most.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use weft_kit::{Call, Page, Reply, ToolError};

use crate::{
    Databases,
    access::Need,
    connections::Engine,
    graph::Health,
    redis,
    sql::{Finding, TopBy},
};

/// Which database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    connection: String,
}

pub(crate) async fn health(databases: Arc<Databases>, call: Call, args: Of) -> Result<Reply<Vec<Finding>>, ToolError> {
    let work = async {
        match &databases.permitted(&call, &args.connection, Need::Read)?.engine {
            Engine::Sql(sql) => sql.health(&call).await,
            Engine::Redis(redis) => redis::health::health(redis, &call).await,
            Engine::Graph(graph) => Box::pin(graph.health(&call)).await.map(|health| vec![answers(&health)]),
        }
    };
    let findings = databases.observe(&args.connection, &call, work).await?;
    let line = |finding: &Finding| format!("{} {}: {}", finding.status, finding.check, finding.summary);
    let text = findings.iter().map(line).collect::<Vec<_>>().join("\n");
    Ok(Reply::new(findings).text(text).source(args.connection))
}

/// A graph that answers is well, as far as it tells.
fn answers(health: &Health) -> Finding {
    let summary = format!("{} answers in {} ms over Bolt {}", health.server, health.answer_ms, health.protocol);
    let details = serde_json::to_value(health).into_iter().collect();
    Finding { check: "server".to_owned(), status: "ok".to_owned(), summary, details }
}

/// Which statements.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Top {
    connection: String,
    #[serde(default)]
    by: TopBy,
    /// Up to 50; 10 if not said.
    #[schemars(range(min = 1, max = 50))]
    limit: Option<usize>,
}

pub(crate) async fn top(databases: Arc<Databases>, call: Call, args: Top) -> Result<Reply<Vec<Value>>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let take = args.limit.unwrap_or(10).clamp(1, 50);
    let found = databases.observe(&args.connection, &call, sql.top(&call, args.by, take)).await?;
    let count = found.len();
    Ok(Reply::new(found).page(Page::new(count, None)).source(args.connection))
}
