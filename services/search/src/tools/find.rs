//! Searching, getting documents, and telling why one was found.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weft_kit::{Call, Page, Reply, ToolError};

use super::{only, plain};
use crate::{
    Library,
    filter::Condition,
    model::{Counts, Hit, Sort},
    names, resources,
};

mod explain;
mod hybrid;
mod pages;
pub(crate) use explain::explain;
use hybrid::{Semantic, Standing};

/// Characters of a long value in a list of hits, where fields were not asked for.
const SHOWN: usize = 300;

/// A search.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// 1 to 10 indexes or aliases.
    pub(crate) indices: Vec<String>,
    /// All documents if not said.
    #[serde(default)]
    pub(crate) query: Option<String>,
    /// Every word must match, not any.
    #[serde(default)]
    pub(crate) require_all: bool,
    #[serde(default)]
    pub(crate) filters: Vec<Condition>,
    /// By score if not said.
    #[serde(default)]
    pub(crate) sort: Option<Sort>,
    /// Only these fields, whole; without it all, long ones cut.
    #[serde(default)]
    pub(crate) fields: Option<Vec<String>>,
    /// Also by meaning: one list of both.
    #[serde(default)]
    pub(crate) semantic: Option<Semantic>,
    /// All pages show the index as it is now; kept for 2 minutes after each.
    #[serde(default)]
    pub(crate) snapshot: bool,
    /// Pieces of text around what was found; on unless false.
    #[serde(default)]
    pub(crate) highlight: Option<bool>,
    /// Up to 5 exact fields whose most frequent values are counted.
    #[serde(default)]
    pub(crate) facets: Vec<String>,
    /// 1 to 100, else 10.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// A document that was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Shown {
    index: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    /// Metres from the point that the hits are sorted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    metres: Option<f64>,
    /// With semantic: its rank by words and by meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<Standing>,
    fields: Map<String, Value>,
    /// Words that were found stand between **.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    highlights: BTreeMap<String, Vec<String>>,
    uri: String,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hits {
    total: u64,
    /// There are at least so many.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_is_a_minimum: bool,
    hits: Vec<Shown>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    facets: Vec<Counts>,
    /// The query as it was probably meant, where nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
}

pub(crate) async fn search(library: Arc<Library>, call: Call, args: Search) -> Result<Reply<Hits>, ToolError> {
    let told = args.query.clone().unwrap_or_default();
    let names = args.indices.join(",");
    let page = library.observe(&call, (&names, &told), pages::page(&library, &call, &args)).await?;
    let cut = args.fields.is_none();
    let mut budget = call.budget();
    let mut hits = Vec::new();
    let mut standings = page.standings.into_iter();
    let mut behind = None;
    for (index, hit) in page.hits {
        let far = args.sort.as_ref().and_then(|sort| sort.near).and_then(|_| hit.sorted.as_ref()?.as_f64());
        let place = hit.behind.clone();
        let mut shown = shown(&call, index, hit, args.fields.as_deref(), cut);
        shown.metres = far.map(f64::round);
        shown.ranks = standings.next();
        if !hits.is_empty() && !budget.admit(size(&shown)) {
            break;
        }
        behind = place;
        hits.push(shown);
    }
    let full = budget.truncated().is_some();
    let position = page.position.after(hits.len(), behind);
    let more = page.more || full;
    let cursor = if more { Some(call.cursor("", &position)?) } else { None };
    let did_you_mean = match page.total {
        0 => super::suggest::meant(&library, &call, &args.indices[0], &told).await?,
        _ => None,
    };
    let mut shown = Page::new(hits.len(), cursor).total(page.total);
    shown.total_is_estimate = page.at_least;
    let text = text(&hits, page.total, page.at_least, did_you_mean.as_deref());
    let data = Hits { total: page.total, total_is_a_minimum: page.at_least, hits, facets: page.counts, did_you_mean };
    let mut reply = Reply::new(data).text(text).page(shown).source(format!("search:{names}"));
    for warning in page.warnings {
        reply = reply.warn(warning);
    }
    if full {
        reply = reply.warn("the page ended because of its size: go on with cursor, or name fewer fields");
    }
    Ok(reply)
}

fn size(shown: &Shown) -> usize {
    serde_json::to_string(shown).map_or(usize::MAX, |text| text.len())
}

fn shown(call: &Call, index: String, hit: Hit, fields: Option<&[String]>, cut: bool) -> Shown {
    let mut fields = only(hit.source, fields);
    if cut {
        fields.values_mut().for_each(shorten);
    }
    let uri = resources::document_uri(call, &index, &hit.id);
    Shown { index, id: hit.id, score: hit.score, metres: None, ranks: None, fields, highlights: hit.highlights, uri }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().count() > SHOWN => {
            *text = text.chars().take(SHOWN).chain(std::iter::once('…')).collect();
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        _ => {}
    }
}

fn text(hits: &[Shown], total: u64, at_least: bool, meant: Option<&str>) -> String {
    let mut lines = vec![format!("{}{total} found", if at_least { "at least " } else { "" })];
    lines.extend(meant.map(|meant| format!("did you mean: {}", plain(meant))));
    for hit in hits {
        let score = hit.score.map(|score| format!(" ({score:.2})")).unwrap_or_default();
        lines.push(format!("{}/{}{score}", hit.index, plain(&hit.id)));
        let pieces = hit.highlights.iter().flat_map(|(field, pieces)| pieces.iter().map(move |piece| (field, piece)));
        lines.extend(pieces.map(|(field, piece)| format!("  {field}: {}", plain(piece))));
        if hit.highlights.is_empty() {
            let values = hit.fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
            lines.extend(
                values
                    .take(3)
                    .map(|(name, value)| format!("  {name}: {}", plain(value).chars().take(120).collect::<String>())),
            );
        }
    }
    lines.join("\n")
}

/// Documents by id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Get {
    index: String,
    /// 1 to 50.
    ids: Vec<String>,
    /// Only these.
    #[serde(default)]
    fields: Option<Vec<String>>,
}

/// A whole document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Whole {
    id: String,
    fields: Map<String, Value>,
}

/// Those that are there.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Got {
    documents: Vec<Whole>,
    /// Ids that no document has.
    missing: Vec<String>,
    /// Ids that did not fit any more: ask for them again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

pub(crate) async fn get(library: Arc<Library>, call: Call, args: Get) -> Result<Reply<Got>, ToolError> {
    names::index(&args.index)?;
    if args.ids.is_empty() || args.ids.len() > 50 {
        return Err(ToolError::invalid("ids are 1 to 50"));
    }
    let only = match args.fields {
        Some(fields) => Some(fields),
        None => library.schema(&call, &args.index).await?.shown(),
    };
    let found = library.observe(&call, (&args.index, ""), library.store.get(&call, &args.index, &args.ids)).await?;
    let there = |id: &String| found.iter().any(|document| document.id == *id);
    let missing: Vec<String> = args.ids.iter().filter(|id| !there(id)).cloned().collect();
    let (mut documents, mut left_out) = (Vec::new(), Vec::new());
    // Beside the data there is the text: together they stay below what one result may hold.
    let mut room = 400 << 10;
    for document in found {
        let whole = Whole { id: document.id, fields: self::only(document.source, only.as_deref()) };
        let size = serde_json::to_string(&whole).map_or(usize::MAX, |text| text.len());
        if size > room && !documents.is_empty() {
            left_out.push(whole.id);
            continue;
        }
        room = room.saturating_sub(size);
        documents.push(whole);
    }
    let text = documents
        .iter()
        .map(|whole| format!("{}: {}", plain(&whole.id), plain(&Value::Object(whole.fields.clone()).to_string())))
        .collect::<Vec<_>>()
        .join("\n");
    Ok(Reply::new(Got { documents, missing, left_out }).text(text).source(format!("search:{}", args.index)))
}
