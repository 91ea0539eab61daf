//! What indexes there are, what is in them and how they are.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{At, Call, Page, Reply, ToolError};

use crate::{
    Library,
    model::{Field, Language, Listed, Status},
    names,
    slow::Slow,
};

/// Indexes of one page.
const PAGE: usize = 100;

/// Which indexes to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Only names that hold this.
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
}

/// All of them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Indexes {
    /// `embedded`, `elasticsearch` or `opensearch`.
    store: &'static str,
    indexes: Vec<Listed>,
}

pub(crate) async fn list(library: Arc<Library>, call: Call, args: List) -> Result<Reply<Indexes>, ToolError> {
    let skip = call.resume::<usize>(args.cursor.as_deref())?.map_or(0, At::position);
    let mut listed = library.observe(&call, ("", ""), library.store.list(&call)).await?;
    let pattern = args.pattern.unwrap_or_default();
    let pattern = pattern.trim_matches('*');
    listed.retain(|listed| listed.name.contains(pattern));
    let total = listed.len() as u64;
    let mut indexes: Vec<_> = listed.into_iter().skip(skip).take(PAGE + 1).collect();
    let more = indexes.len() > PAGE;
    indexes.truncate(PAGE);
    let line = |listed: &Listed| match &listed.alias_of {
        Some(index) => format!("{} → {index}", listed.name),
        None => format!("{}: {} documents", listed.name, listed.documents),
    };
    let text = match indexes.as_slice() {
        [] => "there is no index yet: create_index makes one".to_owned(),
        indexes => indexes.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    let cursor = if more { Some(call.cursor("", &(skip + PAGE))?) } else { None };
    let page = Page::new(indexes.len(), cursor).total(total);
    Ok(Reply::new(Indexes { store: library.store.kind(), indexes }).text(text).page(page))
}

/// An index.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    index: String,
}

/// What an index holds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Described {
    index: String,
    #[schemars(with = "String")]
    language: Language,
    /// As create_index takes them.
    #[schemars(with = "Vec<serde_json::Value>")]
    fields: Vec<Field>,
    /// Fields that are searched when a query names none.
    searched: Vec<String>,
    /// Fields for filters, sort, facets and aggregate.
    exact: Vec<String>,
    synonyms: Vec<Vec<String>>,
}

pub(crate) async fn describe(library: Arc<Library>, call: Call, args: Of) -> Result<Reply<Described>, ToolError> {
    let schema = library.observe(&call, (&args.index, ""), library.schema(&call, &args.index)).await?;
    let searched: Vec<String> = schema.prose().map(|field| field.name.clone()).collect();
    let exact = schema.fields.iter().filter(|field| field.kind.is_exact());
    let exact: Vec<String> = exact.map(|field| field.name.clone()).collect();
    let text = format!("searched: {}\nfor filters, sort and counts: {}", searched.join(", "), exact.join(", "));
    let described = Described {
        index: args.index,
        language: schema.language,
        fields: schema.fields.clone(),
        searched,
        exact,
        synonyms: schema.synonyms.clone(),
    };
    Ok(Reply::new(described).text(text))
}

/// An index, or none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfWhich {
    /// All if not said.
    #[serde(default)]
    index: Option<String>,
}

/// How indexes are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct States {
    indexes: Vec<Status>,
    /// The last searches of yours that took long, newest first.
    slow: Vec<Slow>,
}

pub(crate) async fn status(library: Arc<Library>, call: Call, args: OfWhich) -> Result<Reply<States>, ToolError> {
    let wanted: Vec<String> = match args.index {
        Some(index) => {
            names::index(&index)?;
            vec![index]
        }
        None => {
            let listed = library.store.list(&call).await?;
            listed.into_iter().filter(|listed| listed.alias_of.is_none()).map(|listed| listed.name).take(PAGE).collect()
        }
    };
    let mut indexes = Vec::with_capacity(wanted.len());
    for name in &wanted {
        indexes.push(library.observe(&call, (name, ""), library.store.status(&call, name)).await?);
    }
    let line = |status: &Status| {
        let advice = status.advice.iter().map(|advice| format!("; {advice}")).collect::<String>();
        format!(
            "{}: {}, {} documents, {} bytes, {} parts{advice}",
            status.index, status.health, status.documents, status.bytes, status.segments
        )
    };
    let text = indexes.iter().map(line).collect::<Vec<_>>().join("\n");
    Ok(Reply::new(States { indexes, slow: library.slow.of(call.namespace()) }).text(text))
}
