//! Making indexes, aliases and synonyms.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use crate::{
    Library,
    model::{Field, Kind, Language, Schema},
    names, synonyms as words,
};

/// An index to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// a-z, 0-9, _ and -, at most 64.
    name: String,
    #[serde(default)]
    fields: Vec<Field>,
    /// Of text that names none.
    #[serde(default)]
    language: Language,
    /// Groups of words that mean the same.
    #[serde(default)]
    synonyms: Vec<Vec<String>>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Created {
    index: String,
    /// It was not there before.
    created: bool,
    /// As they were given.
    #[schemars(with = "Vec<serde_json::Value>")]
    fields: Vec<Field>,
}

/// The fields of an index that is made without any.
pub(crate) fn usual() -> Vec<Field> {
    let field = |name: &str, kind, boost| Field { boost, ..Field::of(name, kind) };
    vec![
        field("title", Kind::Text, Some(2.0)),
        field("body", Kind::Text, None),
        field("url", Kind::Keyword, None),
        field("tags", Kind::Keyword, None),
        field("created", Kind::Date, None),
    ]
}

pub(crate) async fn create(library: Arc<Library>, call: Call, args: Create) -> Result<Reply<Created>, ToolError> {
    names::index(&args.name)?;
    let fields = if args.fields.is_empty() { usual() } else { args.fields };
    let schema = Schema { fields, language: args.language, synonyms: args.synonyms }.check()?;
    let schema = library.embedders.settle(schema)?;
    let work = library.store.create(&call, &args.name, &schema);
    let created = library.observe(&call, (&args.name, ""), work).await?;
    if created {
        library.listed();
    }
    let text =
        format!("{} {}", args.name, if created { "was made" } else { "was there already, with the same fields" });
    Ok(Reply::new(Created { index: args.name, created, fields: schema.fields }).text(text))
}

/// Synonyms of an index.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetSynonyms {
    index: String,
    /// Each 2 to 20 words or phrases; replaces all there were.
    synonyms: Vec<Vec<String>>,
}

/// How many there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SynonymsSet {
    index: String,
    groups: usize,
}

pub(crate) async fn synonyms(
    library: Arc<Library>,
    call: Call,
    args: SetSynonyms,
) -> Result<Reply<SynonymsSet>, ToolError> {
    names::index(&args.index)?;
    words::check(&args.synonyms)?;
    let groups = args.synonyms.len();
    library.observe(&call, (&args.index, ""), library.store.synonyms(&call, &args.index, args.synonyms)).await?;
    library.changed(&call, &args.index);
    Ok(Reply::new(SynonymsSet { index: args.index, groups }).text(format!("{groups} groups of synonyms")))
}

/// An alias.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAlias {
    alias: String,
    /// The index that it stands for; without one the alias is removed.
    #[serde(default)]
    index: Option<String>,
}

/// What it stands for now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AliasSet {
    alias: String,
    index: Option<String>,
}

pub(crate) async fn alias(library: Arc<Library>, call: Call, args: SetAlias) -> Result<Reply<AliasSet>, ToolError> {
    names::index(&args.alias)?;
    args.index.as_deref().map(names::index).transpose()?;
    let work = library.store.alias(&call, &args.alias, args.index.as_deref());
    library.observe(&call, (&args.alias, ""), work).await?;
    library.listed();
    let text = match &args.index {
        Some(index) => format!("{} stands for {index}", args.alias),
        None => format!("{} was removed", args.alias),
    };
    Ok(Reply::new(AliasSet { alias: args.alias, index: args.index }).text(text))
}
