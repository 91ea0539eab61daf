//! Reading without a query vector: by id, in order, counted, and by the values of a field.

use std::{collections::BTreeMap, ops::Bound};

use roaring::RoaringBitmap;
use serde_json::Value;

use super::{fault::Fault, posting, select, table::Sight};
use crate::{
    fulfil,
    model::{FieldType, Filter, Point, With},
    stores::matching::by_value,
};

/// The live points that fulfil the filter.
pub(crate) fn chosen(sight: Sight<'_>, filter: Option<&Filter>) -> Result<RoaringBitmap, Fault> {
    match filter {
        None => Ok(sight.live.clone()),
        Some(filter) => select::select(sight, filter, sight.live),
    }
}

/// Points by id, those that are there.
pub(crate) fn get(sight: Sight<'_>, ids: &[String], with: With) -> Result<Vec<Point>, Fault> {
    let mut points = Vec::new();
    for id in ids {
        sight.check()?;
        if let Some(number) = sight.tables.ids.get(sight.txn, id.as_bytes())? {
            points.push(sight.tables.point(sight.txn, number, with)?);
        }
    }
    Ok(points)
}

/// A page of points in the order of their ids.
pub(crate) fn scroll(
    sight: Sight<'_>,
    filter: Option<&Filter>,
    after: Option<&str>,
    limit: usize,
    with: With,
) -> Result<Vec<Point>, Fault> {
    let wanted = filter.map(|filter| select::select(sight, filter, sight.live)).transpose()?;
    let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes()));
    let mut points = Vec::new();
    for entry in sight.tables.ids.range(sight.txn, &(from, Bound::Unbounded))? {
        let (_, number) = entry?;
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(number)) {
            continue;
        }
        if points.len() >= limit {
            break;
        }
        sight.check()?;
        points.push(sight.tables.point(sight.txn, number, with)?);
    }
    Ok(points)
}

/// How often each value of a field occurs.
pub(crate) fn facet(
    sight: Sight<'_>,
    field: &str,
    filter: Option<&Filter>,
    limit: usize,
) -> Result<Vec<(Value, u64)>, Fault> {
    let wanted = chosen(sight, filter)?;
    let mut counts = match sight.spec.fields.get(field) {
        Some(kind) => indexed(sight, field, *kind, &wanted)?,
        None => counted(sight, field, &wanted)?,
    };
    counts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| by_value(a, b)));
    counts.truncate(limit);
    Ok(counts)
}

/// The index knows a value as a key; what it was is read from a point that has it.
fn indexed(sight: Sight<'_>, field: &str, kind: FieldType, wanted: &RoaringBitmap) -> Result<Vec<(Value, u64)>, Fault> {
    let mut counts = Vec::new();
    for (code, numbers) in posting::values(sight.tables, sight.txn, field)? {
        sight.check()?;
        let numbers = numbers & wanted;
        let Some(first) = numbers.min() else { continue };
        let metadata = sight.tables.doc(sight.txn, first)?.metadata;
        let mut elements = fulfil::elements(&metadata, field);
        let value = elements.find(|value| posting::encode(value, kind).as_ref() == Some(&code));
        counts.extend(value.map(|value| (value.clone(), numbers.len())));
    }
    Ok(counts)
}

fn counted(sight: Sight<'_>, field: &str, wanted: &RoaringBitmap) -> Result<Vec<(Value, u64)>, Fault> {
    let mut counts: BTreeMap<String, (Value, u64)> = BTreeMap::new();
    for number in wanted {
        sight.check()?;
        let metadata = sight.tables.doc(sight.txn, number)?.metadata;
        let mut seen: Vec<&Value> = Vec::new();
        for value in fulfil::elements(&metadata, field).filter(|value| !value.is_object() && !value.is_array()) {
            if !seen.contains(&value) {
                seen.push(value);
                counts.entry(value.to_string()).or_insert_with(|| (value.clone(), 0)).1 += 1;
            }
        }
    }
    Ok(counts.into_values().collect())
}
