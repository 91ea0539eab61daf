//! Records out of a collection: by id, or all that fulfil a filter, page by page.
//!
//! Chroma has no order but that of insertion and no count of a selection, so these read the ids (and what the filter needs) of all
//! candidates. Pages are no snapshot: what is written meanwhile may be in or not.

use std::collections::{BTreeSet, HashMap};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_kit::ToolError;

use super::record::Record;
use super::{Place, prefilter};
use crate::model::{Filter, Point, With};
use crate::stores::matching::{Facets, fulfils};

/// Records in one answer: without and with vectors.
const PAGE: usize = 2000;
const PAGE_OF_VECTORS: usize = 250;

/// What to read of each record; ids and metadata always are.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields {
    pub(super) documents: bool,
    pub(super) vectors: bool,
}

impl Fields {
    pub(super) fn include(self) -> Value {
        let mut include = vec!["metadatas"];
        include.extend(self.documents.then_some("documents"));
        include.extend(self.vectors.then_some("embeddings"));
        json!(include)
    }
}

impl From<With> for Fields {
    fn from(with: With) -> Self {
        Self { documents: with.text, vectors: with.vector }
    }
}

/// Columns of equal length; those that were not asked for are missing.
#[derive(Deserialize)]
pub(super) struct Columns {
    pub(super) ids: Vec<String>,
    pub(super) metadatas: Option<Vec<Value>>,
    pub(super) documents: Option<Vec<Option<String>>>,
    pub(super) embeddings: Option<Vec<Vec<f32>>>,
}

impl Columns {
    pub(super) fn records(self) -> impl Iterator<Item = Record> {
        let mut metadatas = self.metadatas.unwrap_or_default().into_iter();
        let mut documents = self.documents.unwrap_or_default().into_iter();
        let mut vectors = self.embeddings.unwrap_or_default().into_iter();
        self.ids.into_iter().map(move |id| {
            let (metadata, document) = (metadatas.next().unwrap_or_default(), documents.next().flatten());
            Record::read(id, &metadata, document.as_deref(), vectors.next().unwrap_or_default())
        })
    }
}

async fn page(place: &Place<'_>, body: &Value) -> Result<Columns, ToolError> {
    let answer = place.call(Method::POST, "get", Some(body)).await?;
    serde_json::from_value(answer).map_err(|error| ToolError::internal(&error))
}

/// Those of `ids` that are there, by id.
pub(super) async fn by_ids(
    place: &Place<'_>,
    ids: &[String],
    fields: Fields,
) -> Result<HashMap<String, Record>, ToolError> {
    let mut found = HashMap::new();
    for ids in ids.chunks(if fields.vectors { PAGE_OF_VECTORS } else { PAGE }) {
        let columns = page(place, &json!({"ids": ids, "include": fields.include()})).await?;
        found.extend(columns.records().map(|record| (record.point.id.clone(), record)));
    }
    Ok(found)
}

pub(super) async fn get(place: &Place<'_>, ids: &[String], with: With) -> Result<Vec<Point>, ToolError> {
    let mut found = by_ids(place, ids, with.into()).await?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).map(|record| record.shown(with)).collect())
}

/// Which records to walk through.
#[derive(Clone, Copy, Default)]
pub(super) struct Selection<'a> {
    pub(super) filter: Option<&'a Filter>,
    /// Condition on the document, in Chroma's terms.
    pub(super) document: Option<&'a Value>,
}

/// Hands every record that fulfils the filter to `take`.
pub(super) async fn each(
    place: &Place<'_>,
    selection: Selection<'_>,
    fields: Fields,
    mut take: impl FnMut(Record) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    while_wanted(place, selection, fields, |record| take(record).map(|()| true)).await
}

/// The same, until `take` wants no more.
pub(super) async fn while_wanted(
    place: &Place<'_>,
    selection: Selection<'_>,
    fields: Fields,
    mut take: impl FnMut(Record) -> Result<bool, ToolError>,
) -> Result<(), ToolError> {
    let limit = if fields.vectors { PAGE_OF_VECTORS } else { PAGE };
    let mut body = json!({"include": fields.include(), "limit": limit});
    if let Some(condition) = selection.filter.and_then(|filter| prefilter::necessary(&place.spec, filter)) {
        body["where"] = condition;
    }
    if let Some(condition) = selection.document {
        body["where_document"] = condition.clone();
    }
    for offset in (0..).step_by(limit) {
        body["offset"] = json!(offset);
        let columns = page(place, &body).await?;
        let full = columns.ids.len() == limit;
        let chosen = |record: &Record| {
            selection.filter.is_none_or(|filter| fulfils(filter, &record.point.id, &record.point.metadata))
        };
        for record in columns.records().filter(chosen) {
            if !take(record)? {
                return Ok(());
            }
        }
        if !full {
            break;
        }
    }
    Ok(())
}

fn of(filter: Option<&Filter>) -> Selection<'_> {
    Selection { filter, document: None }
}

/// Keeps the first `limit` ids after `after` while it walks through all.
pub(super) async fn scroll(
    place: &Place<'_>,
    filter: Option<&Filter>,
    (after, limit): (Option<&str>, usize),
    with: With,
) -> Result<Vec<Point>, ToolError> {
    let mut first: BTreeSet<String> = BTreeSet::new();
    each(place, of(filter), Fields::default(), |record| {
        if after.is_none_or(|after| record.point.id.as_str() > after) {
            first.insert(record.point.id);
            if first.len() > limit {
                first.pop_last();
            }
        }
        Ok(())
    })
    .await?;
    let ids: Vec<String> = first.into_iter().collect();
    get(place, &ids, with).await
}

pub(super) async fn count(place: &Place<'_>, filter: Option<&Filter>) -> Result<u64, ToolError> {
    if filter.is_none() {
        let count = place.call(Method::GET, "count", None).await?;
        return count.as_u64().ok_or_else(|| ToolError::internal(&"Chroma's count is no number"));
    }
    let mut count = 0;
    each(place, of(filter), Fields::default(), |_| {
        count += 1;
        Ok(())
    })
    .await?;
    Ok(count)
}

pub(super) async fn facet(
    place: &Place<'_>,
    field: &str,
    filter: Option<&Filter>,
    limit: usize,
) -> Result<Vec<(Value, u64)>, ToolError> {
    let mut facets = Facets::default();
    each(place, of(filter), Fields::default(), |record| {
        facets.add(record.point.metadata.get(field));
        Ok(())
    })
    .await?;
    Ok(facets.top(limit))
}
