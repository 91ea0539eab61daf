//! Looking at what there is: connections, objects, references.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{At, Call, Page, Reply, ToolError};

use super::Rows;
use crate::{
    Databases,
    access::Need,
    pulse::{self, Standing},
    settings::Rights,
    sql::{Ask, Described, Name, Object, ObjectKind, Relation, Wanted, gate},
};

/// Nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// One connection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    name: String,
    engine: &'static str,
    rights: Rights,
    /// Whether its database answers.
    #[serde(flatten)]
    standing: Standing,
}

pub(crate) async fn connections(
    databases: Arc<Databases>,
    call: Call,
    _: Nothing,
) -> Result<Reply<Vec<Listed>>, ToolError> {
    call.run(pulse::refresh(databases.visible(&call))).await?;
    let listed: Vec<Listed> = databases
        .visible(&call)
        .map(|(name, own)| Listed {
            name: name.to_owned(),
            engine: own.engine.kind(),
            rights: own.rules.rights(&call),
            standing: own.pulse.standing(),
        })
        .collect();
    let count = listed.len();
    Ok(Reply::new(listed).page(Page::new(count, None)))
}

/// Which objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    connection: String,
    /// A part of the name, or a pattern with % and _; everything if not said.
    pattern: Option<String>,
    /// Tables, views and columns if not said.
    kind: Option<ObjectKind>,
    schema: Option<String>,
    /// Only columns or indexes of this table.
    table: Option<String>,
    /// Up to 1000; 100 if not said.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) async fn search(
    databases: Arc<Databases>,
    call: Call,
    args: Search,
) -> Result<Reply<Vec<Object>>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let kinds = match args.kind {
        Some(kind) => vec![kind],
        None => vec![ObjectKind::Table, ObjectKind::View, ObjectKind::Column],
    };
    let limit = args.limit.unwrap_or(100).clamp(1, 1000);
    let pattern = match args.pattern.as_deref() {
        None | Some("") => "%".to_owned(),
        Some(pattern) if pattern.contains('%') => pattern.to_owned(),
        Some(part) => format!("%{part}%"),
    };
    let (first, mut skip) = call.resume::<(usize, u64)>(args.cursor.as_deref())?.map_or((0, 0), At::position);
    let mut found: Vec<Object> = Vec::new();
    let mut cursor = None;
    for (place, kind) in kinds.iter().enumerate().skip(first) {
        let take = limit + 1 - found.len();
        let wanted = Wanted {
            kind: *kind,
            pattern: pattern.clone(),
            schema: args.schema.clone(),
            table: args.table.clone(),
            skip,
            take,
        };
        found.extend(databases.observe(&args.connection, &call, sql.objects(&call, &wanted)).await?);
        if found.len() > limit {
            found.truncate(limit);
            let of_kind = found.iter().filter(|object| object.kind == *kind).count() as u64;
            cursor = Some(call.cursor("", &(place, skip + of_kind))?);
            break;
        }
        skip = 0;
    }
    let line = |object: &Object| {
        let place = [object.schema.as_deref(), object.table.as_deref(), Some(object.name.as_str())];
        let name = place.into_iter().flatten().collect::<Vec<_>>().join(".");
        let kind = format!("{:?}", object.kind).to_lowercase();
        match &object.definition {
            Some(definition) => format!("{kind} {name}: {definition}"),
            None => format!("{kind} {name}"),
        }
    };
    let text = found.iter().map(line).collect::<Vec<_>>().join("\n");
    let count = found.len();
    Ok(Reply::new(found).text(text).page(Page::new(count, cursor)).source(args.connection))
}

/// Which table or view.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Describe {
    connection: String,
    /// `table` or `schema.table`.
    name: String,
    schema: Option<String>,
    /// Rows to show as well, up to 5.
    #[schemars(range(max = 5))]
    sample: Option<usize>,
}

/// A table, and some rows of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WithSample {
    #[serde(flatten)]
    object: Described,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Rows>,
}

pub(crate) async fn describe(
    databases: Arc<Databases>,
    call: Call,
    args: Describe,
) -> Result<Reply<WithSample>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let name = Name::of(args.schema.as_deref(), &args.name);
    let object = databases.observe(&args.connection, &call, sql.describe(&call, &name)).await?;
    let mut sample = None;
    if let Some(take) = args.sample.filter(|take| *take > 0) {
        let full = Name { schema: object.schema.clone(), name: object.name.clone() };
        let checked = gate::check_read(sql.dialect(), &format!("SELECT * FROM {}", full.sql()))?;
        let ask = Ask { checked: &checked, params: &[], skip: 0, take: take.min(5), bytes: 16 << 10 };
        let table = sql.select(&call, ask).await?;
        sample = Some(Rows { columns: table.columns, rows: table.rows });
    }
    let text = object.ddl.clone();
    Ok(Reply::new(WithSample { object, sample }).text(text).source(args.connection))
}

/// Where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InSchema {
    connection: String,
    schema: Option<String>,
}

/// References between tables.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Graph {
    tables: Vec<String>,
    references: Vec<Relation>,
}

pub(crate) async fn relations(
    databases: Arc<Databases>,
    call: Call,
    args: InSchema,
) -> Result<Reply<Graph>, ToolError> {
    let sql = databases.sql(&call, &args.connection, Need::Read)?;
    let work = sql.relations(&call, args.schema.as_deref());
    let references = databases.observe(&args.connection, &call, work).await?;
    let mut tables: Vec<String> = references.iter().flat_map(|one| [one.from.clone(), one.to.clone()]).collect();
    tables.sort();
    tables.dedup();
    let line = |one: &Relation| {
        format!("{} ({}) -> {} ({})", one.from, one.columns.join(", "), one.to, one.to_columns.join(", "))
    };
    let text = references.iter().map(line).collect::<Vec<_>>().join("\n");
    Ok(Reply::new(Graph { tables, references }).text(text).source(args.connection))
}
