//! Points out of a collection: by id, in order, counted, and by the values of a field.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::{
    Condition, CountPoints, Direction, FacetCounts, Filter as Theirs, GetPoints, OrderBy, PointId, RetrievedPoint,
    ScrollPoints, StartFrom, VectorsSelector, WithPayloadSelector, WithVectorsSelector, facet_value, start_from,
    with_payload_selector, with_vectors_selector,
};
use serde_json::Value;
use weft_kit::ToolError;

use super::calls::{ask, failed};
use super::payload::{key, order, point, point_id};
use super::{DENSE, Place, filter};
use crate::model::{Filter, Point, With};
use crate::stores::matching::Facets;

/// Points in one answer.
const PAGE: u32 = 500;
/// Facets that are asked for beyond those wanted, so that ties at the end can be seen.
const MARGIN: usize = 50;

/// Only those keys that are needed.
pub(super) fn keys(with: With) -> WithPayloadSelector {
    let keys = [("id", true), ("text", with.text), ("metadata", with.metadata), ("norm", true)];
    let fields = keys.into_iter().filter(|(_, wanted)| *wanted).map(|(key, _)| key.to_owned()).collect();
    let include = qdrant_client::qdrant::PayloadIncludeSelector { fields };
    WithPayloadSelector { selector_options: Some(with_payload_selector::SelectorOptions::Include(include)) }
}

pub(super) fn vectors(with: With) -> WithVectorsSelector {
    let names = with.vector.then(|| DENSE.to_owned()).into_iter().collect();
    let options = match with.vector {
        true => with_vectors_selector::SelectorOptions::Include(VectorsSelector { names }),
        false => with_vectors_selector::SelectorOptions::Enable(false),
    };
    WithVectorsSelector { selector_options: Some(options) }
}

/// Those of `ids` that are there.
pub(super) async fn by_ids(place: &Place<'_>, ids: &[String], with: With) -> Result<Vec<RetrievedPoint>, ToolError> {
    let mut found = Vec::new();
    for ids in ids.chunks(PAGE as usize) {
        let request = GetPoints {
            collection_name: place.name.clone(),
            ids: ids.iter().map(|id| point_id(id)).collect(),
            with_payload: Some(keys(with)),
            with_vectors: Some(vectors(with)),
            timeout: place.seconds(),
            ..GetPoints::default()
        };
        found.extend(ask(place.client, "Get", place.client.get_points(request)).await.map_err(failed)?.result);
    }
    Ok(found)
}

pub(super) async fn get(place: &Place<'_>, ids: &[String], with: With) -> Result<Vec<Point>, ToolError> {
    let found = by_ids(place, ids, with).await?.into_iter().map(|found| point(found.payload, found.vectors).0);
    let mut found: HashMap<String, Point> = found.map(|point| (point.id.clone(), point)).collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Every point that fulfils the filter, by Qdrant's own order.
pub(super) async fn each(
    place: &Place<'_>,
    filter: Option<Theirs>,
    with: With,
    mut take: impl FnMut(RetrievedPoint),
) -> Result<(), ToolError> {
    let mut offset: Option<PointId> = None;
    loop {
        let request = ScrollPoints { filter: filter.clone(), offset, ..page(place, PAGE, with) };
        let answer = ask(place.client, "Scroll", place.client.scroll(request)).await.map_err(failed)?;
        answer.result.into_iter().for_each(&mut take);
        match answer.next_page_offset {
            None => return Ok(()),
            next => offset = next,
        }
    }
}

fn page(place: &Place<'_>, limit: u32, with: With) -> ScrollPoints {
    ScrollPoints {
        collection_name: place.name.clone(),
        limit: Some(limit),
        with_payload: Some(keys(with)),
        with_vectors: Some(vectors(with)),
        timeout: place.seconds(),
        ..ScrollPoints::default()
    }
}

/// In the order of ids, which Qdrant does not have: pages by the number made of an id's start, and where a page ends within
/// points of one number, all of these are read.
pub(super) async fn scroll(
    place: &Place<'_>,
    filter: Option<&Filter>,
    (after, limit): (Option<&str>, usize),
    with: With,
) -> Result<Vec<Point>, ToolError> {
    let mut found: BTreeMap<String, Point> = BTreeMap::new();
    let mut from = after.map_or(i64::MIN, order);
    while found.len() < limit {
        let wanted = u32::try_from(limit - found.len()).unwrap_or(PAGE).clamp(10, PAGE);
        let start = StartFrom { value: Some(start_from::Value::Integer(from)) };
        let direction = Some(Direction::Asc as i32);
        let request = ScrollPoints {
            filter: filter.map(filter::whole),
            order_by: Some(OrderBy { key: "order".to_owned(), direction, start_from: Some(start) }),
            ..page(place, wanted, with)
        };
        let mut points = ask(place.client, "Scroll", place.client.scroll(request)).await.map_err(failed)?.result;
        let full = points.len() >= wanted as usize;
        let last = points.last().map_or(i64::MAX, |found| order(&point(found.payload.clone(), None).0.id));
        if full {
            let mut same = filter.map(filter::whole).unwrap_or_default();
            same.must.push(Condition::matches("order", last));
            each(place, Some(same), with, |found| points.push(found)).await?;
        }
        let points = points.into_iter().map(|found| point(found.payload, found.vectors).0);
        let later = points.filter(|point| after.is_none_or(|after| point.id.as_str() > after));
        found.extend(later.map(|point| (point.id.clone(), point)));
        if !full || last == i64::MAX {
            break;
        }
        from = last + 1;
    }
    Ok(found.into_values().take(limit).collect())
}

pub(super) async fn count(place: &Place<'_>, filter: Option<&Filter>) -> Result<u64, ToolError> {
    let request = CountPoints {
        collection_name: place.name.clone(),
        filter: filter.map(filter::whole),
        exact: Some(true),
        timeout: place.seconds(),
        ..CountPoints::default()
    };
    let answer = ask(place.client, "Count", place.client.count(request)).await.map_err(failed)?;
    Ok(answer.result.map_or(0, |result| result.count))
}

/// By Qdrant's index of an indexed field; of another field, by reading it.
pub(super) async fn facet(
    place: &Place<'_>,
    field: &str,
    filter: Option<&Filter>,
    limit: usize,
) -> Result<Vec<(Value, u64)>, ToolError> {
    if !place.spec.fields.contains_key(field) {
        let mut facets = Facets::default();
        let with = With { text: false, metadata: true, vector: false };
        each(place, filter.map(filter::whole), with, |found| {
            facets.add(point(found.payload, None).0.metadata.get(field));
        })
        .await?;
        return Ok(facets.top(limit));
    }
    let mut wanted = limit.saturating_add(MARGIN);
    loop {
        let request = FacetCounts {
            collection_name: place.name.clone(),
            key: key("eq", field),
            filter: filter.map(filter::whole),
            limit: Some(wanted as u64),
            exact: Some(true),
            timeout: place.seconds(),
            ..FacetCounts::default()
        };
        let hits = ask(place.client, "Facet", place.client.facet(request)).await.map_err(failed)?.hits;
        let complete = hits.len() < wanted;
        let counts: Vec<(Value, u64)> =
            hits.into_iter().filter_map(|hit| Some((value(hit.value?.variant?)?, hit.count))).collect();
        // What was left out is as frequent as the last one at most.
        let settled = counts.get(limit.saturating_sub(1)).zip(counts.last()).is_some_and(|(at, last)| at.1 > last.1);
        if complete || settled {
            return Ok(Facets::of(counts).top(limit));
        }
        wanted = wanted.saturating_mul(4);
    }
}

/// A canonical form back into the value.
fn value(variant: facet_value::Variant) -> Option<Value> {
    let facet_value::Variant::StringValue(text) = variant else { return None };
    match text.split_at_checked(1)? {
        ("s", text) => Some(Value::from(text)),
        ("n", number) => number.parse::<f64>().ok().map(whole_if_it_is),
        (_, json) => serde_json::from_str(json).ok(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only where nothing is cut off")]
fn whole_if_it_is(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(number as i64) } else { Value::from(number) }
}
