//! Names, ids, vectors and metadata from callers → what a store may rely on.
//!
//! Every limit stands here once, so that each store gets the same, and a name that could mean a path or another tenant's collection
//! never gets as far as a store.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use weft_kit::ToolError;

use crate::{
    fulfil,
    model::{FieldType, IndexSettings, Point, Spec},
};

/// Elements of a vector.
pub(crate) const DIMENSIONS: usize = 4_096;
/// Bytes of an id.
const ID: usize = 256;
/// Bytes of the text of one point.
pub(crate) const TEXT: usize = 64 * 1024;
/// Bytes of the metadata of one point.
const METADATA: usize = 32 * 1024;
/// Indexed fields of a collection.
const FIELDS: usize = 32;
/// Bytes of the name of a field.
const FIELD: usize = 64;

/// The name of a collection or an alias: `[A-Za-z0-9][A-Za-z0-9_-]{0,62}`.
pub(crate) fn name(name: &str) -> Result<&str, ToolError> {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let fits = name.len() <= 63
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(rest);
    if fits {
        return Ok(name);
    }
    Err(ToolError::invalid(format!("`{}` is no name of a collection", shorten(name)))
        .hint("use 1 to 63 of A-Z, a-z, 0-9, _ and -, beginning with a letter or digit"))
}

/// The name of a field.
pub(crate) fn field(name: &str) -> Result<&str, ToolError> {
    if name.is_empty() || name.len() > FIELD || name.contains('\0') {
        return Err(ToolError::invalid(format!("`{}` is no name of a field; use 1 to {FIELD} bytes", shorten(name))));
    }
    Ok(name)
}

/// A vector for a collection: its length is right and every element is finite.
pub(crate) fn vector(vector: &[f32], dimensions: usize) -> Result<(), ToolError> {
    if vector.len() != dimensions {
        let message = format!("the vector has {} elements, the collection takes {dimensions}", vector.len());
        return Err(ToolError::invalid(message).hint("use the embedding model that the collection was made with"));
    }
    if vector.iter().all(|element| element.is_finite()) {
        return Ok(());
    }
    Err(ToolError::invalid("the vector holds an element that is no finite 32-bit number"))
}

/// Ids of one call.
pub(crate) fn ids(ids: &[String], most: usize) -> Result<(), ToolError> {
    if ids.len() > most {
        let many = ToolError::too_large(format!("{} ids are too many", ids.len()));
        return Err(many.hint(format!("at most {most} at once; for more use a filter")));
    }
    ids.iter().try_for_each(|one| id(one))
}

/// An id of a point.
pub(crate) fn id(id: &str) -> Result<(), ToolError> {
    if id.is_empty() || id.len() > ID {
        return Err(ToolError::invalid(format!("the id `{}` must have 1 to {ID} bytes", shorten(id))));
    }
    Ok(())
}

/// A whole point.
pub(crate) fn point(point: &Point, spec: &Spec) -> Result<(), ToolError> {
    id(&point.id)?;
    vector(&point.vector, spec.dimensions)?;
    if point.text.as_ref().is_some_and(|text| text.len() > TEXT) {
        let long = ToolError::too_large(format!("the text of `{}` is over {TEXT} bytes", shorten(&point.id)));
        return Err(long.hint("cut it into chunks: ingest_text does"));
    }
    metadata(&point.metadata, &spec.fields)
}

/// Metadata: its size, and the type of what is indexed.
pub(crate) fn metadata(metadata: &Map<String, Value>, fields: &BTreeMap<String, FieldType>) -> Result<(), ToolError> {
    metadata.keys().try_for_each(|key| field(key).map(drop))?;
    let size = serde_json::to_vec(metadata).map_err(|error| ToolError::internal(&error))?.len();
    if size > METADATA {
        let large = ToolError::too_large(format!("the metadata of a point is {size} bytes"));
        return Err(large.hint(format!("at most {METADATA}; long text belongs into the text")));
    }
    let misfit = fields.iter().find_map(|(name, kind)| {
        fulfil::elements(metadata, name).find(|value| !has_type(value, *kind)).map(|_| (name, kind))
    });
    match misfit {
        None => Ok(()),
        Some((name, kind)) => Err(ToolError::invalid(format!(
            "the field `{name}` is indexed as {kind:?}, and the metadata holds something else there"
        ))
        .hint("give a value of that type, a list of such, or leave it out")),
    }
}

/// Fields to be indexed.
pub(crate) fn fields(fields: &BTreeMap<String, FieldType>) -> Result<(), ToolError> {
    if fields.len() > FIELDS {
        return Err(ToolError::too_large(format!("{} indexed fields are too many; at most {FIELDS}", fields.len())));
    }
    fields.keys().try_for_each(|name| field(name).map(drop))
}

/// Settings of a graph.
pub(crate) fn index(index: IndexSettings) -> Result<(), ToolError> {
    let IndexSettings { m, ef_construction, ef_search } = index;
    if (4..=64).contains(&m) && (m..=1_000).contains(&ef_construction) && (1..=4_096).contains(&ef_search) {
        return Ok(());
    }
    Err(ToolError::invalid("the index settings are out of range")
        .hint("m is 4 to 64, ef_construction m to 1000, ef_search 1 to 4096"))
}

/// Whether a value can be indexed as `kind`.
pub(crate) fn has_type(value: &Value, kind: FieldType) -> bool {
    match kind {
        FieldType::Keyword => value.is_string(),
        FieldType::Integer => value.is_i64(),
        FieldType::Float => value.is_number(),
        FieldType::Bool => value.is_boolean(),
        FieldType::Datetime => value.as_str().is_some_and(|text| fulfil::instant(text).is_some()),
    }
}

/// A caller's text, short enough for a message.
pub(crate) fn shorten(text: &str) -> String {
    let visible = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let mut short: String = text.chars().take(48).map(visible).collect();
    if text.chars().nth(48).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_a_path_is_none() {
        for wrong in ["", "../x", "a/b", ".a", "-a", "a b", "ä", "a\0", "%2e%2e", &"x".repeat(64)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert!(name("Docs_2-x").is_ok());
    }

    #[test]
    fn vectors_have_the_right_length_and_are_finite() {
        assert!(vector(&[0.0, -0.0], 2).is_ok());
        for wrong in [vec![1.0], vec![1.0; 3], vec![f32::NAN, 0.0], vec![f32::INFINITY, 0.0]] {
            assert_eq!(vector(&wrong, 2).unwrap_err().code(), "invalid_arguments", "{wrong:?}");
        }
    }
}
