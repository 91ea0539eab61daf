//! Indexed fields: value → the numbers of the points that have it.
//!
//! A key is the field, the value in an encoding that sorts like the value, and the upper half of the numbers; what it leads to is a
//! bitmap of at most 65,536 numbers. So a change rewrites 8 KiB at most, however many points share the value, equality is one
//! range of keys, and so is an interval.

use std::ops::Bound;

use heed::{RoTxn, RwTxn};
use roaring::RoaringBitmap;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    fault::Fault,
    table::{Number, Tables, bitmap, bitmap_bytes},
};
use crate::{
    fulfil,
    model::{FieldType, Spec},
};

/// Bytes of a keyword in a key; longer ones are cut and told apart by their digest.
const KEYWORD: usize = 160;

/// The numbers whose field lies between two encoded values.
pub(crate) fn between(
    tables: &Tables,
    txn: &RoTxn<'_>,
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
) -> Result<RoaringBitmap, Fault> {
    let mut found = RoaringBitmap::new();
    let bounds = (low.as_ref().map(Vec::as_slice), high.as_ref().map(Vec::as_slice));
    for entry in tables.fields.range(txn, &bounds)? {
        found |= bitmap(entry?.1)?;
    }
    Ok(found)
}

/// The numbers whose field has exactly this encoded value.
pub(crate) fn equal(tables: &Tables, txn: &RoTxn<'_>, field: &str, value: &[u8]) -> Result<RoaringBitmap, Fault> {
    let mut found = RoaringBitmap::new();
    for entry in tables.fields.prefix_iter(txn, &key(field, value))? {
        found |= bitmap(entry?.1)?;
    }
    Ok(found)
}

/// All values of a field that have points: a value's encoding and its numbers, in the order of the encoding.
pub(crate) fn values(tables: &Tables, txn: &RoTxn<'_>, field: &str) -> Result<Vec<(Vec<u8>, RoaringBitmap)>, Fault> {
    let prefix = key(field, &[]);
    let mut found: Vec<(Vec<u8>, RoaringBitmap)> = Vec::new();
    for entry in tables.fields.prefix_iter(txn, &prefix)? {
        let (key, bytes) = entry?;
        let value = key.get(prefix.len()..key.len() - 2).ok_or(Fault::Broken("an index key"))?;
        match found.last_mut() {
            Some((same, numbers)) if same.as_slice() == value => *numbers |= bitmap(bytes)?,
            _ => found.push((value.to_vec(), bitmap(bytes)?)),
        }
    }
    Ok(found)
}

/// Adds a point to the index of every indexed field.
pub(crate) fn add(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    spec: &Spec,
    number: Number,
    metadata: &Map<String, Value>,
) -> Result<(), Fault> {
    for key in keys(spec, number, metadata) {
        let mut numbers = tables.fields.get(txn, &key)?.map(bitmap).transpose()?.unwrap_or_default();
        if numbers.insert(number) {
            tables.fields.put(txn, &key, &bitmap_bytes(&numbers)?)?;
        }
    }
    Ok(())
}

/// Takes a point out of the index again.
pub(crate) fn remove(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    spec: &Spec,
    number: Number,
    metadata: &Map<String, Value>,
) -> Result<(), Fault> {
    for key in keys(spec, number, metadata) {
        let Some(bytes) = tables.fields.get(txn, &key)? else { continue };
        let mut numbers = bitmap(bytes)?;
        numbers.remove(number);
        if numbers.is_empty() {
            tables.fields.delete(txn, &key)?;
        } else {
            tables.fields.put(txn, &key, &bitmap_bytes(&numbers)?)?;
        }
    }
    Ok(())
}

fn keys(spec: &Spec, number: Number, metadata: &Map<String, Value>) -> Vec<Vec<u8>> {
    let [.., upper, lower] = (number >> 16).to_be_bytes();
    let of = |field: &str, kind: FieldType| -> Vec<Vec<u8>> {
        let values = fulfil::elements(metadata, field).filter_map(|value| encode(value, kind));
        values.map(|value| [key(field, &value).as_slice(), &[upper, lower]].concat()).collect()
    };
    let mut keys: Vec<_> = spec.fields.iter().flat_map(|(field, kind)| of(field, *kind)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The key of a field and an encoded value, without the numbers; field names hold no zero byte.
pub(crate) fn key(field: &str, value: &[u8]) -> Vec<u8> {
    [field.as_bytes(), &[0], value].concat()
}

/// The first key behind everything of a field.
pub(crate) fn behind(field: &str) -> Vec<u8> {
    [field.as_bytes(), &[1]].concat()
}

/// A value so that it sorts like itself and no encoding begins another; `None` if it is not of this type.
pub(crate) fn encode(value: &Value, kind: FieldType) -> Option<Vec<u8>> {
    match kind {
        FieldType::Keyword => value.as_str().map(keyword),
        FieldType::Integer => whole(value).map(integer),
        FieldType::Float => value.as_f64().map(float),
        FieldType::Bool => value.as_bool().map(|value| vec![u8::from(value)]),
        FieldType::Datetime => value.as_str().and_then(fulfil::instant).map(time),
    }
}

pub(crate) fn integer(value: i64) -> Vec<u8> {
    (value ^ i64::MIN).to_be_bytes().to_vec()
}

pub(crate) fn float(value: f64) -> Vec<u8> {
    // Zero has two signs and one value.
    let bits = (value + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    ordered.to_be_bytes().to_vec()
}

pub(crate) fn time(nanoseconds: i128) -> Vec<u8> {
    (nanoseconds ^ i128::MIN).to_be_bytes().to_vec()
}

/// A number that is whole, however it is written.
fn whole(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and below 9e15")]
    value.as_i64().or_else(|| float().map(|float| float as i64))
}

fn keyword(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    for byte in text.bytes() {
        match byte {
            0 | 1 => out.extend_from_slice(&[1, byte + 1]),
            other => out.push(other),
        }
    }
    if out.len() > KEYWORD {
        out.truncate(KEYWORD);
        out.extend(Sha256::digest(text).iter().flat_map(|byte| [2 | (byte >> 4) << 2, 2 | (byte & 15) << 2]));
    }
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn numbers_sort_in_keys_as_they_sort(a: i64, b: i64, x: f64, y: f64) {
            prop_assert_eq!(integer(a).cmp(&integer(b)), a.cmp(&b));
            if let Some(order) = x.partial_cmp(&y) {
                prop_assert_eq!(float(x).cmp(&float(y)), order);
            }
        }

        #[test]
        fn no_keyword_begins_another(a in ".{0,200}", b in ".{0,200}") {
            if a != b {
                prop_assert!(!keyword(&a).starts_with(&keyword(&b)));
            }
        }
    }

    #[test]
    fn a_value_of_another_type_is_in_no_index() {
        assert_eq!(encode(&json!("2"), FieldType::Integer), None);
        assert_eq!(encode(&json!(2.5), FieldType::Integer), None);
        assert_eq!(encode(&json!(2.0), FieldType::Integer), Some(integer(2)));
    }
}
