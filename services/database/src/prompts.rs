//! Prompts: how to begin with a schema, a slow query, a change.

use std::sync::Arc;

use weft_kit::{Builder, Call, Message, Prompt, PromptArguments, ToolError};

use crate::{Databases, access::Need};

/// Adds all prompts.
pub(crate) fn add(service: Builder<Databases>) -> Builder<Databases> {
    service
        .prompt(
            Prompt::new("explore_schema", "Get to know a database before asking it anything.")
                .required("connection", "Which database.")
                .optional("topic", "What it is about."),
            explore,
        )
        .prompt(
            Prompt::new("explain_slow_query", "Find out why a query is slow, and what would help.")
                .required("connection", "Which database.")
                .required("sql", "The query."),
            slow,
        )
        .prompt(
            Prompt::new(
                "write_safe_migration",
                "Plan a change of tables that can be undone and locks nothing for long.",
            )
            .required("connection", "Which database.")
            .required("change", "What should be different."),
            migration,
        )
}

fn argument<'a>(arguments: &'a PromptArguments, name: &str) -> &'a str {
    arguments.get(name).map(String::as_str).unwrap_or_default()
}

/// The engine of a connection on which the caller may use the tool that the prompt is about.
fn engine(
    databases: &Databases,
    call: &Call,
    arguments: &PromptArguments,
    tool: &str,
) -> Result<&'static str, ToolError> {
    Ok(databases.permitted_as(call, argument(arguments, "connection"), (Need::Read, tool))?.engine.kind())
}

async fn explore(databases: Arc<Databases>, call: Call, arguments: PromptArguments) -> Result<Vec<Message>, ToolError> {
    let (engine, connection) =
        (engine(&databases, &call, &arguments, "describe_object")?, argument(&arguments, "connection"));
    let topic = match argument(&arguments, "topic") {
        "" => String::new(),
        topic => format!(" I care about {topic}: begin with search_objects for words of it."),
    };
    Ok(vec![Message::User(format!(
        "Get to know the {engine} database behind the connection {connection:?}. List its tables with search_objects, look at how they refer to \
         each other with list_relations, then describe_object for the most important ones, with sample 3. Use profile_table where the meaning of \
         a column is unclear.{topic} Then tell me in plain words what the database holds, which tables matter, and how to join them. Change nothing."
    ))])
}

async fn slow(databases: Arc<Databases>, call: Call, arguments: PromptArguments) -> Result<Vec<Message>, ToolError> {
    let (engine, connection) = (engine(&databases, &call, &arguments, "explain")?, argument(&arguments, "connection"));
    let sql = argument(&arguments, "sql");
    Ok(vec![Message::User(format!(
        "This query on the {engine} connection {connection:?} is slow:\n\n{sql}\n\nUse explain, first without and then with analyze. Name the step \
         that costs most and why. Look at the indexes of its tables with describe_object. If an index would help, try it with the argument \
         indexes of explain before you propose it, and tell the cost with and without. Consider rewriting the query as well. Change nothing."
    ))])
}

async fn migration(
    databases: Arc<Databases>,
    call: Call,
    arguments: PromptArguments,
) -> Result<Vec<Message>, ToolError> {
    let (engine, connection) = (engine(&databases, &call, &arguments, "migrate")?, argument(&arguments, "connection"));
    let change = argument(&arguments, "change");
    Ok(vec![Message::User(format!(
        "Prepare a migration of the {engine} connection {connection:?}: {change}\n\nLook at the tables concerned with describe_object and at what \
         refers to them. Write the up and the down script. Avoid whatever rewrites or locks a large table for long; split it where needed: add, fill \
         in parts, then constrain. Call migrate without plan_id to try it, show me what it says, and apply it only when I agree."
    ))])
}
