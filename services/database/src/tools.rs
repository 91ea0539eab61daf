//! The tools: typed arguments → typed results. Each file is one family; what they share is here.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use weft_kit::{Annotations, Builder, Page, Reply, Tool};

use crate::{
    Databases,
    connections::Offered,
    settings::Rights,
    sql::{Column, Table},
};

mod change;
mod export;
mod graph;
mod import;
mod insight;
mod look;
mod migrate;
mod named;
mod profile;
mod query;
pub(crate) mod redis;

/// Text of one exported part.
const PART: usize = 384 << 10;

/// Rows and what they are.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<Column>,
    /// One list of values per row, in the order of the columns.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// A page of rows as a reply: `cursor` goes on behind it.
pub(crate) fn reply(table: Table, cursor: Option<String>, connection: &str) -> Reply<Rows> {
    let text = text(&table);
    let (cut, full) = (table.cut, table.full);
    let page = Page::new(table.rows.len(), cursor);
    let mut reply =
        Reply::new(Rows { columns: table.columns, rows: table.rows }).text(text).page(page).source(connection);
    if cut > 0 {
        reply = reply.warn(format!("{cut} long values were cut (they end with …): select a part of them"));
    }
    if full {
        reply = reply.warn("the page ended because of its size: go on with cursor, or name fewer columns");
    }
    reply
}

/// A header and one line per row, with tabs between.
fn text(table: &Table) -> String {
    let mut text = table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join("\t");
    for row in &table.rows {
        text.push('\n');
        for (place, value) in row.iter().enumerate() {
            if place > 0 {
                text.push('\t');
            }
            match value {
                Value::Null => text.push('∅'),
                Value::String(value) => value.chars().for_each(|letter| match letter {
                    '\n' => text.push_str("\\n"),
                    '\t' => text.push_str("\\t"),
                    '\r' => text.push_str("\\r"),
                    letter => text.push(letter),
                }),
                other => {
                    let _ = write!(text, "{other}");
                }
            }
        }
    }
    text
}

/// Adds the tools that some connection can use.
pub(crate) fn add(service: Builder<Databases>, offered: Offered) -> Builder<Databases> {
    let mut service = service
        .tool(
            Tool::new(
                "list_connections",
                Annotations::READ,
                "Lists the connections: engine, what may be done on each, and whether its database answers now.",
            ),
            look::connections,
        )
        .tool(
            Tool::new(
                "check_health",
                Annotations::READ,
                "Looks for what is wrong with a database: connections, bloat, indexes, locks, integrity.",
            ),
            insight::health,
        );
    if let Some(rights) = offered.sql {
        service = reads(service);
        if rights >= Rights::ReadWrite {
            service = writes(service);
        }
        if rights >= Rights::Migrate {
            service = migrations(service);
        }
    }
    service = named_queries(service, offered);
    if let Some(rights) = offered.redis {
        service = redis::add(service, rights >= Rights::ReadWrite);
    }
    if let Some(rights) = offered.graph {
        service = graph::add(service, rights >= Rights::ReadWrite);
    }
    service
}

fn reads(service: Builder<Databases>) -> Builder<Databases> {
    service
        .tool(Tool::new("search_objects", Annotations::READ, "Finds tables, views, columns, indexes, functions or schemas by a part of their name (or a LIKE pattern). For everything about one table use describe_object."), look::search)
        .tool(Tool::new("describe_object", Annotations::READ, "Tells everything about a table or view: columns, keys, indexes, references both ways, sizes, DDL, and up to 5 rows if asked."), look::describe)
        .tool(Tool::new("list_relations", Annotations::READ, "Gives the references (foreign keys) between all tables, as a graph."), look::relations)
        .tool(Tool::new("query", Annotations::READ, "Runs one SELECT, read-only, with bound params ($1 in PostgreSQL, ? in SQLite); goes on with cursor. Order the rows when you page. For whole tables use export_rows, to change something execute."), query::query)
        .tool(Tool::new("explain", Annotations::READ, "Shows how a statement would be run, as a tree, with hints; analyze runs a SELECT and measures; indexes are tried without being made."), query::explain)
        .tool(Tool::new("sample_rows", Annotations::READ, "Shows some rows of a table, the first or random ones."), query::sample)
        .tool(Tool::new("profile_table", Annotations::READ, "Tells of each column of a table how many values are null and distinct, the range, the most frequent values, and for numbers a histogram."), profile::profile)
        .tool(Tool::new("export_rows", Annotations::READ, "Gives the rows of a SELECT as CSV or JSON lines, in parts of up to 384 KiB; goes on with cursor.").text_limit(PART), export::export)
        .tool(Tool::new("top_queries", Annotations::READ, "Lists the statements that cost a database most."), insight::top)
        .tool(Tool::new("list_migrations", Annotations::READ, "Lists the migrations that were applied by migrate."), migrate::list)
}

fn named_queries(service: Builder<Databases>, offered: Offered) -> Builder<Databases> {
    let mut service = service;
    if offered.named_reads || offered.named_writes {
        service = service.tool(Tool::new("list_named", Annotations::READ, "Lists the queries that the operator has prepared, with what each takes. Prefer them to SQL of your own."), named::list);
    }
    if offered.named_reads {
        service = service.tool(Tool::new("run_named", Annotations::READ, "Runs a prepared query that reads, by its name, with arguments as list_named says; goes on with cursor."), named::run);
    }
    if offered.named_writes {
        service = service.planned(Tool::new("change_named", Annotations::EDIT, "Runs a prepared statement that changes rows, by its name. What it would change is shown first where that is much, or everything."), named::plan, named::change);
    }
    service
}

fn writes(service: Builder<Databases>) -> Builder<Databases> {
    service
        .planned(Tool::new("execute", Annotations::EDIT, "Runs one INSERT, UPDATE, DELETE or MERGE with bound params; RETURNING gives rows. Nothing is kept if it fails. What it would change is shown first where that is much, or everything."), change::plan_one, change::one)
        .planned(Tool::new("transaction", Annotations::EDIT, "Runs several statements as one: all of them or none."), change::plan_all, change::all)
        .tool(Tool::new("import_rows", Annotations::ADD, "Adds rows given as CSV (with a header) or JSON lines to a table, all or none; dry_run only tries."), import::import)
}

fn migrations(service: Builder<Databases>) -> Builder<Databases> {
    service
        .planned(Tool::new("migrate", Annotations::EDIT, "Changes tables: applies a named migration once (CREATE, ALTER, DROP, and rows), all of it or nothing. Give down, so that rollback_migration can undo it."), migrate::plan_up, migrate::up)
        .planned(Tool::new("rollback_migration", Annotations::EDIT, "Undoes the migration that was applied last, by its down script."), migrate::plan_down, migrate::down)
}
