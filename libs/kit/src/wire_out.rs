//! Our values → the SDK's. The only file besides `server.rs` that knows how the SDK spells things.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::ErrorData;
use rmcp::model::{
    self, CallToolResult, ContentBlock, MetaObject, PromptMessage, Resource, ResourceContents, ResourceTemplate, Role,
    ToolAnnotations,
};
use serde_json::{Value, json};

use crate::budget::{self, Budget};
use crate::erase::Produced;
use crate::error::ToolError;
use crate::offer::{Body, Content, Message, Prompt, Template};
use crate::reply::{About, Block, Link, Truncated};
use crate::service::Entry;

/// The list entry of a tool.
pub(crate) fn tool(entry: &Entry) -> model::Tool {
    let of = entry.tool.annotations;
    let annotations = ToolAnnotations::new()
        .read_only(of.read_only)
        .destructive(of.destructive)
        .idempotent(of.idempotent)
        .open_world(of.open_world);
    let tool = model::Tool::new(entry.tool.name, entry.tool.description, entry.input.clone());
    let tool = tool.with_raw_output_schema(entry.output.clone()).with_annotations(annotations);
    match entry.tool.title {
        Some(title) => tool.with_title(title),
        None => tool,
    }
}

/// Where a result came from and how long it took.
pub(crate) struct Origin<'a> {
    pub(crate) service: &'a str,
    pub(crate) took: Duration,
    pub(crate) text_limit: usize,
}

/// A finished result and what the metrics want to know of it.
pub(crate) struct Enveloped {
    pub(crate) result: CallToolResult,
    pub(crate) bytes: usize,
    pub(crate) truncated: bool,
}

/// A tool's reply in its envelope: text within the tool's limit, everything within the hard one.
pub(crate) fn envelope(produced: Produced, origin: &Origin<'_>) -> Result<Enveloped, ToolError> {
    let Produced { data, about } = produced;
    let About { text, page, truncated, warnings, source, label, blocks } = about;
    let text = text.unwrap_or_else(|| data.to_string());
    let mut budget = Budget::new(origin.text_limit);
    let shown = budget.clip(&text);
    let truncated = truncated.or_else(|| budget.truncated());
    if blocks.len() + 1 > budget::BLOCKS {
        return Err(too_large(format!("the result has more than {} content blocks", budget::BLOCKS)));
    }
    let mut structured = json!({
        "data": data,
        "provenance": {
            "source": source.as_deref().unwrap_or(origin.service),
            "trusted": false,
            "fetched_at": crate::clock::rfc3339(crate::call::unix_now()),
        },
        "timing_ms": (origin.took.as_secs_f64() * 100_000.0).round() / 100.0,
    });
    let mut text = shown.to_owned();
    push_footer(&mut text, page.as_ref().and_then(|page| page.cursor.as_deref()), truncated.as_ref(), &warnings);
    set(&mut structured["provenance"], "label", label.map(Value::String));
    set(&mut structured, "page", page.and_then(|page| serde_json::to_value(page).ok()));
    set(&mut structured, "warnings", (!warnings.is_empty()).then(|| json!(warnings)));
    let is_cut = truncated.is_some();
    set(&mut structured, "truncated", truncated.and_then(|cut| serde_json::to_value(cut).ok()));

    let shown = text.len() + blocks.iter().map(block_size).sum::<usize>();
    let bytes = weight(&structured);
    if shown > budget::HARD || bytes > budget::HARD {
        return Err(too_large(format!("the result is over {} bytes", budget::HARD)));
    }
    let mut content = vec![ContentBlock::text(text)];
    content.extend(blocks.into_iter().map(block));
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(structured);
    Ok(Enveloped { result, bytes: bytes + shown, truncated: is_cut })
}

fn too_large(message: String) -> ToolError {
    ToolError::too_large(message).hint("ask for less: a smaller limit, a narrower path or query, or a page at a time")
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Value::Object(fields), Some(value)) = (object, value) {
        fields.insert(key.to_owned(), value);
    }
}

/// What a client that shows only text must not miss.
fn push_footer(text: &mut String, cursor: Option<&str>, cut: Option<&Truncated>, warnings: &[String]) {
    let mut line = |parts: &[&str]| {
        text.push_str("\n[");
        text.extend(parts.iter().copied());
        text.push(']');
    };
    for warning in warnings {
        line(&["warning: ", warning]);
    }
    if let Some(cut) = cut {
        let omitted = cut.bytes_omitted.map(|bytes| format!(", {bytes} bytes omitted")).unwrap_or_default();
        line(&["truncated: ", &cut.reason, " ", &cut.limit.to_string(), &omitted]);
    }
    if let Some(cursor) = cursor {
        line(&["more: repeat with cursor ", cursor]);
    }
}

/// A failed call as a result that the model can read.
pub(crate) fn failure(error: &ToolError) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(error.line())]);
    result.structured_content = Some(json!({ "error": error }));
    result
}

/// A failed prompt, resource or completion, which have no other way than a protocol error.
pub(crate) fn protocol_error(error: &ToolError) -> ErrorData {
    let data = serde_json::to_value(error).ok();
    match error.code() {
        "not_found" => ErrorData::resource_not_found(error.message().to_owned(), data),
        "internal" | "unavailable" | "deadline_exceeded" | "cancelled" => {
            ErrorData::internal_error(error.message().to_owned(), data)
        }
        _ => ErrorData::invalid_params(error.message().to_owned(), data),
    }
}

/// The size of a value's JSON, near enough for a limit: escapes are not counted, so that nothing is serialised twice.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| weight(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(name, field)| name.len() + 4 + weight(field)).sum::<usize>() + 2,
    }
}

fn block_size(block: &Block) -> usize {
    match block {
        Block::Text(text) => text.len(),
        Block::Image { data, .. } | Block::Audio { data, .. } => data.len(),
        Block::Link(link) => link.uri.len() + link.name.len(),
    }
}

fn block(block: Block) -> ContentBlock {
    match block {
        Block::Text(text) => ContentBlock::text(text),
        Block::Image { data, mime } => ContentBlock::image(STANDARD.encode(data), mime),
        Block::Audio { data, mime } => ContentBlock::audio(STANDARD.encode(data), mime),
        Block::Link(link) => ContentBlock::resource_link(resource(link)),
    }
}

/// A resource as lists and links carry it.
pub(crate) fn resource(link: Link) -> Resource {
    let mut resource = Resource::new(link.uri, link.name);
    resource.description = link.description;
    resource.mime_type = link.mime;
    resource.size = link.size;
    resource
}

/// The content of a resource.
pub(crate) fn content(content: Content) -> ResourceContents {
    let contents = match content.body {
        Body::Text(text) => ResourceContents::text(text, content.uri),
        Body::Bytes(bytes) => ResourceContents::blob(STANDARD.encode(bytes), content.uri),
    };
    match content.mime {
        Some(mime) => contents.with_mime_type(mime),
        None => contents,
    }
}

/// The list entry of a template.
pub(crate) fn template(template: &Template) -> ResourceTemplate {
    let entry = ResourceTemplate::new(template.uri.clone(), template.name.clone());
    let entry = entry.with_description(template.description.clone());
    match &template.mime {
        Some(mime) => entry.with_mime_type(mime.clone()),
        None => entry,
    }
}

/// The list entry of a prompt.
pub(crate) fn prompt(prompt: &Prompt) -> model::Prompt {
    let arguments = prompt.arguments.iter().map(|argument| {
        let entry = model::PromptArgument::new(argument.name);
        entry.with_description(argument.description).with_required(argument.required)
    });
    model::Prompt::new(prompt.name, Some(prompt.description), Some(arguments.collect()))
}

/// One message of a prompt.
pub(crate) fn message(message: Message) -> PromptMessage {
    match message {
        Message::User(text) => PromptMessage::new_text(Role::User, text),
        Message::Assistant(text) => PromptMessage::new_text(Role::Assistant, text),
    }
}

/// `_meta` that names this server, as the specification wants on every result.
pub(crate) fn server_meta(name: &str, version: &str) -> MetaObject {
    let mut meta = MetaObject::new();
    meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), json!({"name": name, "version": version}));
    meta
}
