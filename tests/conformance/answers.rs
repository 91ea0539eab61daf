//! Answers of the conformance server as JSON, turned into the SDK's types in one place.

use rmcp::{ErrorData, model::CallToolResult};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One transparent pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// A WAV without samples.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// JSON as a type of the SDK.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// A tool's result with these blocks.
pub(crate) fn blocks(content: Value) -> Result<CallToolResult, ErrorData> {
    typed(json!({ "content": content, "isError": false }))
}

/// A tool's result with one text.
pub(crate) fn text(text: impl Into<String>) -> Result<CallToolResult, ErrorData> {
    blocks(json!([{ "type": "text", "text": text.into() }]))
}
