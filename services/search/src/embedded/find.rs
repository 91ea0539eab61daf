//! A compiled question → hits with their highlights and counts, or the reasons of one score.

use std::{collections::BTreeMap, ops::Bound};

use serde_json::Value;
use tantivy::{
    DocAddress, DocId, Order as Theirs, Searcher, SegmentReader, Term,
    collector::{Count, TopDocs, sort_key::SortByErasedType},
    query::{AllQuery, Query, RangeQuery},
    schema::OwnedValue,
    snippet::{Snippet, SnippetGenerator},
};
use weft_kit::{Call, ToolError};

use super::{compile, groups, near::Points, volume::Volume};
use crate::{
    filter,
    geo::Point,
    model::{Document, Explained, Found, Hit, Order, Question, Sort, View, Wanted},
};

/// Characters of one highlighted piece.
const PIECE: usize = 200;
/// Bytes of a long text that are looked at for it.
const LOOKED_AT: usize = 256 << 10;
/// Documents of one step of a copy.
const STEP: usize = 500;

/// Where a hit is, and what put it there.
type Place = (Option<f32>, Option<Value>, DocAddress);
/// The key of each document of a segment.
type Distances = Box<dyn FnMut(DocId) -> f64>;

pub(crate) fn search(volume: &Volume, call: &Call, question: &Question, wanted: &Wanted) -> Result<Found, ToolError> {
    let query = compile::question(volume, question)?;
    let (searcher, view) = volume.views.of(&wanted.view, volume.searcher());
    let lost = view.is_none() && wanted.view != View::Now;
    let failed = |error| volume.failed(error);
    let counting = groups::collector(&searcher, &wanted.groups)?;
    let take = wanted.take.max(1);
    let (mut places, total, counted) = match &wanted.sort {
        None => {
            let top = TopDocs::with_limit(take).and_offset(wanted.skip).order_by_score();
            let (top, total, counted) = searcher.search(&query, &(top, Count, counting)).map_err(failed)?;
            let places: Vec<Place> = top.into_iter().map(|(score, address)| (Some(score), None, address)).collect();
            (places, total, counted)
        }
        Some(Sort { field, near: Some(near), .. }) => {
            let top = TopDocs::with_limit(take).and_offset(wanted.skip).order_by(distances(field, *near));
            let (top, total, counted) = searcher.search(&query, &(top, Count, counting)).map_err(failed)?;
            let metres = |key: f64| if key.is_finite() { Value::from(-key) } else { Value::Null };
            let places = top.into_iter().map(|(key, address)| (None, Some(metres(key)), address)).collect();
            (places, total, counted)
        }
        Some(sort) => {
            let order = if sort.order == Order::Desc { Theirs::Desc } else { Theirs::Asc };
            let key = (SortByErasedType::for_field(&sort.field), order);
            let top = TopDocs::with_limit(take).and_offset(wanted.skip).order_by(key);
            let (top, total, counted) = searcher.search(&query, &(top, Count, counting)).map_err(failed)?;
            let places = top.into_iter().map(|(key, address)| (None, Some(told(key)), address)).collect();
            (places, total, counted)
        }
    };
    places.truncate(wanted.take);
    let pens = if wanted.highlight { pens(volume, &searcher, &*query)? } else { Vec::new() };
    let mut hits = Vec::with_capacity(places.len());
    for (score, sorted, address) in places {
        call.check()?;
        let Document { id, mut source } = volume.read(&searcher, address)?;
        let highlights = highlights(&pens, &source);
        if let Some(only) = &wanted.only {
            source.retain(|name, _| only.contains(name));
        }
        hits.push(Hit { id, score, sorted, behind: None, source, highlights });
    }
    // A page that is not full is the last one.
    let view = view.filter(|view| {
        let more = hits.len() >= wanted.take;
        if !more {
            volume.views.end(view);
        }
        more
    });
    let counts = groups::counts(&wanted.groups, counted)?;
    let snapshot = searcher.generation().segments().iter().fold(String::new(), |mut text, (id, stamp)| {
        text.push_str(&id.short_uuid_string());
        text.push_str(&stamp.unwrap_or_default().to_string());
        text
    });
    Ok(Found { total: total as u64, at_least: false, hits, counts, snapshot, view, lost })
}

/// What orders by distance: metres below zero, as the greatest comes first, and none at all for documents without a point.
fn distances(field: &str, near: Point) -> impl Fn(&SegmentReader) -> Distances + Send + Sync + 'static {
    let field = field.to_owned();
    move |reader| {
        let points = Points::open(reader, &field).ok();
        Box::new(move |doc| {
            let point = points.as_ref().and_then(|points| points.of(doc));
            point.map_or(f64::NEG_INFINITY, |point| -near.metres(point))
        })
    }
}

fn told(value: OwnedValue) -> Value {
    match value {
        OwnedValue::Str(text) => Value::String(text),
        OwnedValue::U64(number) => number.into(),
        OwnedValue::I64(number) => number.into(),
        OwnedValue::F64(number) => number.into(),
        OwnedValue::Bool(truth) => truth.into(),
        OwnedValue::Date(date) => Value::String(filter::written(date.into_timestamp_nanos())),
        _ => Value::Null,
    }
}

/// What marks the words of the query in each prose field that has some of them.
fn pens(volume: &Volume, searcher: &Searcher, query: &dyn Query) -> Result<Vec<(String, SnippetGenerator)>, ToolError> {
    let mut pens = Vec::new();
    for field in volume.schema().prose() {
        let place = volume.fields.own[&field.name];
        let mut pen = SnippetGenerator::create(searcher, query, place).map_err(|error| volume.failed(error))?;
        pen.set_max_num_chars(PIECE);
        pens.push((field.name.clone(), pen));
    }
    Ok(pens)
}

fn highlights(
    pens: &[(String, SnippetGenerator)],
    source: &serde_json::Map<String, Value>,
) -> BTreeMap<String, Vec<String>> {
    let mut marked = BTreeMap::new();
    for (field, pen) in pens {
        let Some(value) = source.get(field) else { continue };
        let texts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let pieces: Vec<String> = texts
            .iter()
            .filter_map(Value::as_str)
            .map(|text| pen.snippet(start(text)))
            .filter(|snippet| !snippet.is_empty())
            .take(2)
            .map(|snippet| mark(&snippet))
            .collect();
        if !pieces.is_empty() {
            marked.insert(field.clone(), pieces);
        }
    }
    marked
}

/// The beginning of a long text, cut between characters.
fn start(text: &str) -> &str {
    let end = (0..=LOOKED_AT.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// A piece of text with `**` around the words that were found; those that overlap or touch (pairs of characters, parts of a name)
/// are marked as one.
fn mark(snippet: &Snippet) -> String {
    let mut ranges = snippet.highlighted().to_vec();
    ranges.sort_by_key(|range| range.start);
    let (text, mut marked, mut at, mut open) = (snippet.fragment(), String::new(), 0, None);
    for range in ranges {
        if open.is_some_and(|end| range.start <= end) {
            open = open.max(Some(range.end));
            continue;
        }
        if let Some(end) = open.replace(range.end) {
            marked.push_str(&text[at..end]);
            marked.push_str("**");
            at = end;
        }
        marked.push_str(&text[at..range.start]);
        marked.push_str("**");
        at = range.start;
    }
    if let Some(end) = open {
        marked.push_str(&text[at..end]);
        marked.push_str("**");
        at = end;
    }
    marked.push_str(&text[at..]);
    marked
}

pub(crate) fn explain(volume: &Volume, question: &Question, id: &str) -> Result<Option<Explained>, ToolError> {
    let query = compile::explained(volume, question)?;
    let Some(address) = volume.addresses(&[id.to_owned()])?.into_iter().next() else {
        return Err(ToolError::not_found(format!("there is no document {id:?}")));
    };
    match query.explain(&volume.searcher(), address) {
        Ok(explanation) => {
            serde_json::from_str(&explanation.to_pretty_json()).map(Some).map_err(|error| ToolError::internal(&error))
        }
        Err(tantivy::TantivyError::InvalidArgument(_)) => Ok(None),
        Err(error) => Err(volume.failed(error)),
    }
}

/// Documents in the order of their ids, after one.
pub(crate) fn scroll(volume: &Volume, after: Option<&str>) -> Result<Vec<Document>, ToolError> {
    let searcher = volume.searcher();
    let query: Box<dyn Query> = match after {
        None => Box::new(AllQuery),
        Some(id) => {
            let from = Term::from_field_text(volume.fields.id, id);
            Box::new(RangeQuery::new(Bound::Excluded(from), Bound::Unbounded))
        }
    };
    let top = TopDocs::with_limit(STEP).order_by_string_fast_field("_id", Theirs::Asc);
    let top = searcher.search(&query, &top).map_err(|error| volume.failed(error))?;
    top.into_iter().map(|(_, address)| volume.read(&searcher, address)).collect()
}
