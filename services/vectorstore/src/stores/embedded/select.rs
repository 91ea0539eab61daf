//! A filter → the exact set of points that fulfil it.
//!
//! What is indexed is answered from the index; what is not is found by looking at documents, but only at those that everything
//! indexed beside it left over. The result is a bitmap that every search takes as its candidates.

use std::ops::Bound;

use roaring::RoaringBitmap;
use serde_json::Value;

use super::{
    fault::Fault,
    posting,
    table::{Doc, Sight},
};
use crate::{
    fulfil::{self, Facts},
    model::{FieldType, Filter},
};

/// The points among `within` that fulfil `filter`.
pub(crate) fn select(sight: Sight<'_>, filter: &Filter, within: &RoaringBitmap) -> Result<RoaringBitmap, Fault> {
    sight.check()?;
    if within.is_empty() {
        return Ok(RoaringBitmap::new());
    }
    match filter {
        Filter::All(list) => {
            let mut left = within.clone();
            let (first, last): (Vec<_>, Vec<_>) = list.iter().partition(|filter| is_indexed(sight, filter));
            for filter in first.into_iter().chain(last) {
                left = select(sight, filter, &left)?;
            }
            Ok(left)
        }
        Filter::Any(list) => {
            let mut found = RoaringBitmap::new();
            for filter in list {
                found |= select(sight, filter, &(within - &found))?;
            }
            Ok(found)
        }
        Filter::Not(filter) => Ok(within - select(sight, filter, within)?),
        Filter::Ids(ids) => {
            let mut found = RoaringBitmap::new();
            for id in ids {
                found.extend(sight.tables.ids.get(sight.txn, id.as_bytes())?);
            }
            Ok(found & within)
        }
        leaf => match from_index(sight, leaf)? {
            Some(found) => Ok(found & within),
            None => by_looking(sight, leaf, within),
        },
    }
}

fn is_indexed(sight: Sight<'_>, filter: &Filter) -> bool {
    match filter {
        Filter::All(list) | Filter::Any(list) => list.iter().all(|filter| is_indexed(sight, filter)),
        Filter::Not(filter) => is_indexed(sight, filter),
        Filter::In { field, .. } => sight.spec.fields.contains_key(field),
        Filter::Range { field, .. } => sight.spec.fields.get(field).is_some_and(|kind| is_ordered(*kind)),
        Filter::Ids(_) => true,
        Filter::Words { .. } | Filter::IsNull { .. } => false,
    }
}

fn is_ordered(kind: FieldType) -> bool {
    matches!(kind, FieldType::Integer | FieldType::Float | FieldType::Datetime)
}

fn from_index(sight: Sight<'_>, leaf: &Filter) -> Result<Option<RoaringBitmap>, Fault> {
    if !is_indexed(sight, leaf) {
        return Ok(None);
    }
    match leaf {
        Filter::In { field, values } => {
            let kind = sight.spec.fields[field];
            let mut found = RoaringBitmap::new();
            for value in values.iter().filter_map(|value| posting::encode(value, kind)) {
                found |= posting::equal(sight.tables, sight.txn, field, &value)?;
            }
            Ok(Some(found))
        }
        Filter::Range { field, gt, gte, lt, lte } => {
            let kind = sight.spec.fields[field];
            let asked = [(gt, Edge::Above), (gte, Edge::From), (lt, Edge::Below), (lte, Edge::To)];
            let mut found: Option<RoaringBitmap> = None;
            let (mut low, mut high) = (posting::key(field, &[]), posting::behind(field));
            for (bound, edge) in asked {
                let Some(bound) = bound else { continue };
                match edge.key(field, bound, kind) {
                    None => return Ok(Some(RoaringBitmap::new())),
                    Some(key) if edge.is_low() => low = low.max(key),
                    Some(key) => high = high.min(key),
                }
            }
            if low < high {
                found = Some(posting::between(sight.tables, sight.txn, Bound::Included(low), Bound::Excluded(high))?);
            }
            Ok(Some(found.unwrap_or_default()))
        }
        _ => Ok(None),
    }
}

#[derive(Clone, Copy)]
enum Edge {
    Above,
    From,
    Below,
    To,
}

impl Edge {
    fn is_low(self) -> bool {
        matches!(self, Self::Above | Self::From)
    }

    /// The first key that lies inside (for a low edge) or outside (for a high one); `None` where nothing can fulfil the bound.
    fn key(self, field: &str, bound: &Value, kind: FieldType) -> Option<Vec<u8>> {
        let value = match kind {
            FieldType::Integer => return self.of_whole(field, bound),
            FieldType::Float => posting::float(bound.as_f64()?),
            FieldType::Datetime => posting::time(fulfil::instant(bound.as_str()?)?),
            FieldType::Keyword | FieldType::Bool => return None,
        };
        let skip_equal = matches!(self, Self::Above | Self::To);
        Some(Self::at(field, &value, skip_equal))
    }

    /// A bound on whole numbers may itself be none.
    fn of_whole(self, field: &str, bound: &Value) -> Option<Vec<u8>> {
        if let Some(whole) = bound.as_i64() {
            return Some(Self::at(field, &posting::integer(whole), matches!(self, Self::Above | Self::To)));
        }
        let float = bound.as_f64()?;
        if float >= 9.3e18 {
            return Some(posting::behind(field));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, and beyond 64 bits there are no values"
        )]
        let floor = float.floor() as i64;
        // Above 2.5 and from 2.5 both begin behind 2; below 2.5 and to 2.5 both end behind 2.
        let skip_equal = float.fract() != 0.0 || matches!(self, Self::Above | Self::To);
        Some(Self::at(field, &posting::integer(floor), skip_equal && float > -9.3e18))
    }

    fn at(field: &str, value: &[u8], behind_equal: bool) -> Vec<u8> {
        let mut key = posting::key(field, value);
        if behind_equal {
            // Two bytes of numbers follow every value: these are behind all of them.
            key.extend_from_slice(&[0xff; 3]);
        }
        key
    }
}

fn by_looking(sight: Sight<'_>, filter: &Filter, within: &RoaringBitmap) -> Result<RoaringBitmap, Fault> {
    let mut found = RoaringBitmap::new();
    for number in within {
        sight.check()?;
        let Doc { id, metadata, .. } = sight.tables.doc(sight.txn, number)?;
        let facts = Facts { id: &id, metadata: &metadata, fields: &sight.spec.fields };
        if fulfil::fulfils(filter, facts) {
            found.insert(number);
        }
    }
    Ok(found)
}
