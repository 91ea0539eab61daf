//! Indexes and documents as resources: `search://{tenant}/{index}` and `search://{tenant}/{index}/{id}`.
//!
//! The tenant is in the address because changes are announced by address; it is that of the caller or the address is unknown.

use std::{fmt::Write as _, sync::Arc};

use serde_json::json;
use weft_kit::{Body, Call, Completing, Content, Link, Resources, ToolError};

use crate::{Library, names};

/// The families: template, name, description.
pub(crate) const TEMPLATES: [(&str, &str, &str); 2] = [
    ("search://{tenant}/{index}", "index", "An index: its fields, language, synonyms and state."),
    ("search://{tenant}/{index}/{+id}", "document", "A document of an index, by its id."),
];
/// Values offered for completion, and resources of one page.
const OFFERED: usize = 100;

/// The address of an index.
pub(crate) fn uri(call: &Call, index: &str) -> String {
    format!("search://{}/{index}", names::tenant(call.namespace()))
}

/// The address of a document.
pub(crate) fn document_uri(call: &Call, index: &str, id: &str) -> String {
    let mut uri = uri(call, index);
    uri.push('/');
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~:@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// The index and id of an address of the caller's tenant.
fn parts(call: &Call, uri: &str) -> Option<(String, Option<String>)> {
    let rest = uri.strip_prefix("search://")?.strip_prefix(names::tenant(call.namespace()).as_str())?;
    let rest = rest.strip_prefix('/')?;
    let (index, id) = rest.split_once('/').map_or((rest, None), |(index, id)| (index, Some(id)));
    let id = match id {
        Some(id) => Some(percent_decoded(id)?),
        None => None,
    };
    Some((index.to_owned(), id))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.bytes();
    while let Some(byte) = left.next() {
        if byte == b'%' {
            let pair = [left.next()?, left.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

pub(crate) async fn list(library: Arc<Library>, call: Call, cursor: Option<String>) -> Result<Resources, ToolError> {
    let skip = call.resume::<usize>(cursor.as_deref())?.map_or(0, weft_kit::At::position);
    let listed = library.store.list(&call).await?;
    let more = listed.len() > skip + OFFERED;
    let items = listed.into_iter().skip(skip).take(OFFERED).map(|listed| Link {
        uri: uri(&call, &listed.name),
        description: Some(match &listed.alias_of {
            Some(index) => format!("An alias of the index {index}."),
            None => format!("An index of {} documents.", listed.documents),
        }),
        name: listed.name,
        mime: Some("application/json".to_owned()),
        size: None,
    });
    let items = items.collect();
    let cursor = if more { Some(call.cursor("", &(skip + OFFERED))?) } else { None };
    Ok(Resources { items, cursor })
}

pub(crate) async fn read(library: Arc<Library>, call: Call, uri: String) -> Result<Vec<Content>, ToolError> {
    let missing = || ToolError::not_found(format!("{uri} is no resource of this server"));
    let (index, id) = parts(&call, &uri).ok_or_else(missing)?;
    let schema = library.schema(&call, &index).await?;
    let text = match id {
        None => json!({"schema": &*schema, "status": library.store.status(&call, &index).await?}).to_string(),
        Some(id) => {
            let found = library.store.get(&call, &index, std::slice::from_ref(&id)).await?;
            let document = found.into_iter().next().ok_or_else(missing)?;
            serde_json::Value::Object(document.source).to_string()
        }
    };
    Ok(vec![Content { uri, mime: Some("application/json".to_owned()), body: Body::Text(text) }])
}

pub(crate) async fn complete(library: Arc<Library>, call: Call, asked: Completing) -> Result<Vec<String>, ToolError> {
    let mut offered = match asked.argument.as_str() {
        "tenant" => vec![names::tenant(call.namespace())],
        "index" => library.store.list(&call).await?.into_iter().map(|listed| listed.name).collect(),
        _ => Vec::new(),
    };
    offered.retain(|value| value.starts_with(&asked.value));
    offered.truncate(OFFERED);
    Ok(offered)
}
