//! Databases and tables as resources: `postgres://connection/schema/table`, `sqlite://connection/table`.

use std::sync::Arc;

use weft_kit::{Body, Call, Completing, CompletionOf, Content, Link, Resources, ToolError};

use crate::{
    Databases,
    access::Need,
    connections::Engine,
    graph::Asked,
    sql::{Name, ObjectKind, Sql, Wanted},
    tools::redis,
};

/// Values offered for completion.
const OFFERED: usize = 100;
/// Tables, and views, that the resource of a whole connection names; search_objects pages through more.
const NAMED: usize = 10_000;

/// The families: template, name, description.
pub(crate) const TEMPLATES: [(&str, &str, &str); 4] = [
    (
        "postgres://{connection}/{+table}",
        "postgres-table",
        "A table or view of a PostgreSQL connection, as schema/table: columns, keys, indexes, DDL.",
    ),
    (
        "sqlite://{connection}/{+table}",
        "sqlite-table",
        "A table or view of an SQLite connection: columns, keys, indexes, DDL.",
    ),
    redis::TEMPLATE,
    (
        "neo4j://{connection}/{+label}",
        "neo4j-label",
        "A label of a graph: its properties, relationships and counts; without a label the whole schema.",
    ),
];

/// The tool that would tell the same as a resource: where it may not be used, neither may the resource be read.
fn tool(scheme: &str, path: &str) -> &'static str {
    match scheme {
        "redis" => "redis_read",
        "neo4j" => "graph_schema",
        _ if path.is_empty() => "search_objects",
        _ => "describe_object",
    }
}

pub(crate) async fn list(databases: Arc<Databases>, call: Call, _: Option<String>) -> Result<Resources, ToolError> {
    let readable = databases.visible(&call).filter(|(_, own)| own.rules.offers(tool(own.engine.kind(), "")));
    let items = readable.map(|(name, own)| Link {
        uri: format!("{}://{name}", own.engine.kind()),
        name: name.to_owned(),
        description: Some(format!("What is in the {} connection {name}.", own.engine.kind())),
        mime: Some("application/json".to_owned()),
        size: None,
    });
    Ok(Resources { items: items.collect(), cursor: None })
}

pub(crate) async fn read(databases: Arc<Databases>, call: Call, uri: String) -> Result<Vec<Content>, ToolError> {
    let missing = || ToolError::not_found(format!("{uri} is no resource of this server"));
    let (scheme, rest) = uri.split_once("://").ok_or_else(missing)?;
    let (connection, path) = rest.split_once('/').unwrap_or((rest, ""));
    let own = databases.permitted_as(&call, connection, (Need::Read, tool(scheme, path)))?;
    if own.engine.kind() != scheme {
        return Err(missing());
    }
    let text = match &own.engine {
        Engine::Redis(redis) => return redis::resource(redis, &call, &uri).await.unwrap_or_else(|| Err(missing())),
        Engine::Graph(graph) => {
            let label = Some(path).filter(|label| !label.is_empty());
            json(&graph.schema(&call, Asked { label, limit: 200 }).await?)
        }
        Engine::Sql(sql) if path.is_empty() => {
            tables(sql.as_ref(), &call, ("%", None), NAMED).await.map(|found| json(&found))?
        }
        Engine::Sql(sql) => {
            let name = path
                .split_once('/')
                .map_or_else(|| Name::of(None, path), |(schema, table)| Name::of(Some(schema), table));
            json(&sql.describe(&call, &name).await?)
        }
    };
    Ok(vec![Content { uri, mime: Some("application/json".to_owned()), body: Body::Text(text) }])
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Tables and views as `schema/table`, or `table` where there is one schema: those whose name is like the pattern, in one schema or in all.
async fn tables(
    sql: &dyn Sql,
    call: &Call,
    (pattern, schema): (&str, Option<&str>),
    take: usize,
) -> Result<Vec<String>, ToolError> {
    let mut names = Vec::new();
    for kind in [ObjectKind::Table, ObjectKind::View] {
        let (pattern, schema) = (pattern.to_owned(), schema.map(str::to_owned));
        let wanted = Wanted { kind, pattern, schema, table: None, skip: 0, take };
        for object in sql.objects(call, &wanted).await? {
            names.push(object.schema.map(|schema| format!("{schema}/{}", object.name)).unwrap_or(object.name));
        }
    }
    Ok(names)
}

/// Those that begin with `value`, as a whole or by the table alone. The database looks for them, so that none is behind the end of a list.
async fn beginning(sql: &dyn Sql, call: &Call, value: &str) -> Result<Vec<String>, ToolError> {
    let begins = |part: &str| format!("{part}%");
    let mut names = match value.split_once('/') {
        Some((schema, table)) => tables(sql, call, (&begins(table), Some(schema)), OFFERED).await?,
        None => {
            let mut names = tables(sql, call, (&begins(value), None), OFFERED).await?;
            let pattern = begins(value);
            let wanted =
                Wanted { kind: ObjectKind::Schema, pattern, schema: None, table: None, skip: 0, take: OFFERED };
            for schema in sql.objects(call, &wanted).await? {
                if names.len() >= OFFERED {
                    break;
                }
                names.extend(tables(sql, call, ("%", Some(&schema.name)), OFFERED).await?);
            }
            names
        }
    };
    names.retain(|name| name.starts_with(value) || name.split('/').any(|part| part.starts_with(value)));
    names.sort();
    names.dedup();
    names.truncate(OFFERED);
    Ok(names)
}

pub(crate) async fn complete(
    databases: Arc<Databases>,
    call: Call,
    asked: Completing,
) -> Result<Vec<String>, ToolError> {
    let scheme = match &asked.of {
        CompletionOf::Template(template) => template.split_once("://").map(|(scheme, _)| scheme),
        CompletionOf::Prompt(_) => None,
    };
    match asked.argument.as_str() {
        "connection" => Ok(databases
            .visible(&call)
            .filter(|(name, own)| {
                name.starts_with(&asked.value) && scheme.is_none_or(|scheme| own.engine.kind() == scheme)
            })
            .map(|(name, _)| name.to_owned())
            .take(OFFERED)
            .collect()),
        "table" => {
            let Some(connection) = asked.settled.get("connection") else { return Ok(Vec::new()) };
            let own = databases.permitted_as(&call, connection, (Need::Read, "search_objects"))?;
            let Engine::Sql(sql) = &own.engine else { return Ok(Vec::new()) };
            beginning(sql.as_ref(), &call, &asked.value).await
        }
        _ => Ok(Vec::new()),
    }
}
