//! Resources: text, bytes, one that changes, and a template.

use rmcp::{ErrorData, model::ReadResourceResponse, model::ReadResourceResult};
use serde_json::{Value, json};

use crate::{server::typed, tools::content::PIXEL};

/// The resource that can be subscribed to.
pub(crate) const WATCHED: &str = "test://watched-resource";
const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";
const TEMPLATE: &str = "test://template/{id}/data";

pub(crate) fn list() -> Value {
    json!({ "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public", "resources": [
        { "uri": BINARY, "name": "static-binary", "description": "One red pixel.", "mimeType": "image/png" },
        { "uri": TEXT, "name": "static-text", "description": "A text that never changes.", "mimeType": "text/plain" },
        { "uri": WATCHED, "name": "watched-resource", "description": "A text to subscribe to.", "mimeType": "text/plain" },
    ] })
}

pub(crate) fn templates() -> Value {
    json!({ "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public", "resourceTemplates": [
        { "uriTemplate": TEMPLATE, "name": "template-data", "description": "Data of any id.", "mimeType": "application/json" },
    ] })
}

pub(crate) fn read(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let content = match uri {
        TEXT => {
            json!({ "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource." })
        }
        BINARY => json!({ "uri": uri, "mimeType": "image/png", "blob": PIXEL }),
        WATCHED => json!({ "uri": uri, "mimeType": "text/plain", "text": "Whoever subscribes is told of changes." }),
        _ => {
            let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
            let id =
                id.ok_or_else(|| ErrorData::resource_not_found("resource not found", Some(json!({ "uri": uri }))))?;
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
        }
    };
    let result: ReadResourceResult =
        typed(json!({ "resultType": "complete", "contents": [content], "ttlMs": 60_000, "cacheScope": "public" }))?;
    Ok(result.into())
}
