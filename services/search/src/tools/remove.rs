//! Deleting documents and indexes: first what would go, then that and nothing else.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use crate::{
    Library,
    filter::Condition,
    model::{Question, Wanted},
    names,
    question::{self, Asked},
    store::Version,
};

/// Ids of one call.
const IDS: usize = 500;
/// Documents that a plan by query is bound to one by one; beyond, it is bound to the whole index.
const BOUND: usize = 10_000;
/// What the number of documents of a plan is kept as.
const COUNT: &str = "documents";
/// Ids that are shown of what would go.
const SAMPLE: usize = 20;

/// Which documents to delete.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Documents {
    index: String,
    /// 1 to 500; or else query or filters.
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    require_all: bool,
    #[serde(default)]
    filters: Vec<Condition>,
}

/// What would go.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Going {
    index: String,
    documents: u64,
    /// The first of them.
    ids: Vec<String>,
}

/// What went.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Gone {
    index: String,
    documents: u64,
}

/// The question that the arguments ask; `None` where they name ids.
async fn question(library: &Library, call: &Call, args: &Documents) -> Result<Option<Question>, ToolError> {
    let words = args.query.as_deref().is_some_and(|query| !query.trim().is_empty());
    let asks = words || !args.filters.is_empty();
    match (args.ids.is_empty(), asks) {
        (true, false) => {
            Err(ToolError::invalid("say which documents: ids, query or filters").hint("delete_index deletes all"))
        }
        (false, true) => Err(ToolError::invalid("give ids, or query and filters, not both")),
        (false, false) if args.ids.len() > IDS => Err(ToolError::invalid(format!("ids are at most {IDS}"))),
        (false, false) => {
            names::index(&args.index)?;
            Ok(None)
        }
        (true, true) => {
            let asked = Asked { query: args.query.as_deref(), require_all: args.require_all, filters: &args.filters };
            let schema = library.schema(call, &args.index).await?;
            question::of(schema, asked).map(|(question, _)| Some(question))
        }
    }
}

/// What a plan is bound to.
struct Meant {
    going: Going,
    /// Moves when any of them changes, or others are meant.
    state: String,
    /// All of them, where they are few enough to be known.
    ids: Option<Vec<String>>,
}

async fn meant(library: &Library, call: &Call, args: &Documents) -> Result<Meant, ToolError> {
    let index = args.index.clone();
    let versions = match question(library, call, args).await? {
        None => library.store.get(call, &args.index, &args.ids).await?.iter().map(Version::of).collect(),
        Some(question) => match library.store.versions(call, &args.index, &question, BOUND).await? {
            Some(versions) => versions,
            None => return many(library, call, &question, index).await,
        },
    };
    let mut ids: Vec<String> = versions.iter().map(|version| version.id.clone()).collect();
    ids.sort();
    let going = Going { index, documents: ids.len() as u64, ids: ids.iter().take(SAMPLE).cloned().collect() };
    Ok(Meant { going, state: Version::digest(versions), ids: Some(ids) })
}

/// Too many to be told one by one: the plan holds as long as nothing at all changes in the index.
async fn many(library: &Library, call: &Call, question: &Question, index: String) -> Result<Meant, ToolError> {
    let state = library.store.state(call, &index).await?;
    let wanted = Wanted { take: SAMPLE, exact_total: true, ..Wanted::default() };
    let found = library.store.search(call, &index, question, &wanted).await?;
    let ids = found.hits.into_iter().map(|hit| hit.id).collect();
    let state = format!("{state} {}", found.total);
    Ok(Meant { going: Going { index, documents: found.total, ids }, state, ids: None })
}

pub(crate) async fn plan_documents(
    library: Arc<Library>,
    call: Call,
    args: Documents,
) -> Result<Plan<Going>, ToolError> {
    let Meant { going, state, .. } = meant(&library, &call, &args).await?;
    let summary = format!("Delete {} documents of the index {}", going.documents, args.index);
    Ok(Plan::new(summary, going).observed(args.index, state))
}

pub(crate) async fn documents(
    library: Arc<Library>,
    call: Call,
    args: Documents,
    approval: Approval,
) -> Result<Reply<Gone>, ToolError> {
    let documents = match question(&library, &call, &args).await? {
        None => {
            let work = library.store.remove(&call, &args.index, &args.ids);
            library.observe(&call, (&args.index, ""), work).await?
        }
        Some(question) => {
            let Meant { state, ids, .. } = meant(&library, &call, &args).await?;
            if approval.version(&args.index).is_some_and(|seen| seen != state) {
                return Err(ToolError::new("stale_plan", "what the query finds changed since it was shown")
                    .hint("call again without plan_id"));
            }
            let work = library.store.remove_where(&call, &args.index, &question, ids.as_deref());
            library.observe(&call, (&args.index, args.query.as_deref().unwrap_or_default()), work).await?
        }
    };
    metrics::counter!(weft_kit::names::SEARCH_DOCUMENTS.name, "outcome" => "deleted").increment(documents);
    library.changed(&call, &args.index);
    Ok(Reply::new(Gone { index: args.index, documents }).text(format!("{documents} documents were deleted")))
}

/// Which index to delete.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whole {
    index: String,
}

pub(crate) async fn plan_index(library: Arc<Library>, call: Call, args: Whole) -> Result<Plan<Going>, ToolError> {
    names::index(&args.index)?;
    let listed = library.store.list(&call).await?;
    let own =
        listed.iter().find(|listed| listed.name == args.index).ok_or_else(|| crate::fault::unknown(&args.index))?;
    if let Some(index) = &own.alias_of {
        return Err(ToolError::invalid(format!("{:?} is an alias of {index:?}", args.index))
            .hint("set_alias without index removes an alias; name the index to delete it"));
    }
    let aliases: Vec<_> = listed
        .iter()
        .filter(|listed| listed.alias_of.as_deref() == Some(&args.index))
        .map(|listed| listed.name.as_str())
        .collect();
    let aliases = if aliases.is_empty() { String::new() } else { format!(", and its aliases {}", aliases.join(", ")) };
    let summary = format!("Delete the index {} with {} documents{aliases}", args.index, own.documents);
    let going = Going { index: args.index.clone(), documents: own.documents, ids: Vec::new() };
    let state = match library.store.state(&call, &args.index).await {
        Ok(state) => state,
        Err(error) if error.code() == "unavailable" => return Err(error),
        // One that is damaged can still be deleted.
        Err(error) => error.code().to_owned(),
    };
    Ok(Plan::new(summary, going)
        .observed(COUNT, own.documents.to_string())
        .observed(format!("index {}", args.index), format!("{state}{aliases}")))
}

pub(crate) async fn index(
    library: Arc<Library>,
    call: Call,
    args: Whole,
    approval: Approval,
) -> Result<Reply<Gone>, ToolError> {
    let documents = approval.version(COUNT).and_then(|count| count.parse().ok()).unwrap_or_default();
    library.observe(&call, (&args.index, ""), library.store.discard(&call, &args.index)).await?;
    library.listed();
    let text = format!("the index {} was deleted", args.index);
    Ok(Reply::new(Gone { index: args.index, documents }).text(text))
}
