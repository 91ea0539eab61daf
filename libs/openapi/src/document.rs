//! A document → its operations: what each needs, where each part of it goes, and the tool that it becomes.

use serde_json::{Map, Value, json};

use crate::{Document, names, schema};

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// One parameter.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    /// As the API knows it.
    pub(crate) name: String,
    /// As callers know it: the same, unless two have it.
    pub(crate) argument: String,
    pub(crate) place: Place,
    pub(crate) style: String,
    pub(crate) explode: bool,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Form,
    Multipart,
    Text,
    Bytes,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) media: Media,
    pub(crate) content_type: String,
    /// The argument that holds it.
    pub(crate) argument: String,
}

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) payload: Option<Payload>,
    pub(crate) name: String,
    /// The tool as it is listed.
    pub(crate) tool: Value,
    pub(crate) required: Vec<String>,
}

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// A description is cut here: clients put it into every prompt.
const DESCRIPTION: usize = 1024;
/// Set by us, or by the connection.
const RESERVED: [&str; 8] =
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "authorization", "cookie"];

/// All operations, by name.
pub(crate) fn operations(document: &Document) -> Vec<Operation> {
    let document = &document.0;
    let mut all: Vec<Operation> = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let item = schema::resolved(document, item);
        for method in METHODS {
            if !item[method].is_object() {
                continue;
            }
            let key = format!("{method} {path}");
            let wanted = item[method]["operationId"].as_str().map_or_else(|| names::snake(&key), names::snake);
            let name = names::unique(&wanted, &key, |name| all.iter().any(|other| other.name == name));
            if let Some(operation) = operation(document, (path, method), (item, &item[method]), name) {
                all.push(operation);
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn operation(
    document: &Value,
    (path, method): (&str, &str),
    (item, of): (&Value, &Value),
    name: String,
) -> Option<Operation> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut parameters: Vec<Parameter> = Vec::new();
    let both = [&of["parameters"], &item["parameters"]];
    for raw in both.into_iter().filter_map(Value::as_array).flatten() {
        let raw = schema::resolved(document, raw);
        let Some(mut parameter) = parameter(raw) else { continue };
        // What the operation says of a parameter comes before what its path says.
        if parameters.iter().any(|it| it.name == parameter.name && it.place == parameter.place) {
            continue;
        }
        if properties.contains_key(&parameter.argument) {
            parameter.argument = format!("{}_{}", label(parameter.place), parameter.name);
        }
        let mut shape = schema::input(document, schema_of(raw));
        describe(&mut shape, &raw["description"]);
        properties.insert(parameter.argument.clone(), shape);
        if parameter.place == Place::Path || raw["required"] == true {
            required.push(parameter.argument.clone());
        }
        parameters.push(parameter);
    }
    let body = schema::resolved(document, &of["requestBody"]);
    let payload = payload(document, body, &mut properties);
    if let Some(payload) = payload.as_ref().filter(|_| body["required"] == true) {
        required.push(payload.argument.clone());
    }
    let method = http::Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok()?;
    let input =
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    let tool = tool(&name, &method, path, of, &input);
    Some(Operation { method, path: path.to_owned(), parameters, payload, name, tool, required })
}

/// A parameter says its schema itself, or that of its only content.
fn schema_of(raw: &Value) -> &Value {
    if raw["schema"].is_object() {
        return &raw["schema"];
    }
    raw["content"].as_object().and_then(|content| content.values().next()).map_or(&Value::Null, |it| &it["schema"])
}

fn parameter(raw: &Value) -> Option<Parameter> {
    let name = raw["name"].as_str()?.to_owned();
    let (place, usual) = match raw["in"].as_str()? {
        "path" => (Place::Path, "simple"),
        "query" => (Place::Query, "form"),
        "header" => (Place::Header, "simple"),
        "cookie" => (Place::Cookie, "form"),
        _ => return None,
    };
    if place == Place::Header && RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return None;
    }
    let style = raw["style"].as_str().unwrap_or(usual).to_owned();
    let explode = raw["explode"].as_bool().unwrap_or(style == "form");
    Some(Parameter { argument: name.clone(), name, place, style, explode })
}

const fn label(place: Place) -> &'static str {
    match place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
        Place::Cookie => "cookie",
    }
}

fn payload(document: &Value, body: &Value, properties: &mut Map<String, Value>) -> Option<Payload> {
    let content = body["content"].as_object()?;
    let rank = |media: &str| {
        let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => (0, Media::Json),
            json if json.ends_with("+json") => (1, Media::Json),
            "application/x-www-form-urlencoded" => (2, Media::Form),
            "multipart/form-data" => (3, Media::Multipart),
            text if text.starts_with("text/") => (4, Media::Text),
            _ => (5, Media::Bytes),
        }
    };
    let (content_type, of) = content.iter().min_by_key(|(media, _)| rank(media).0)?;
    let media = rank(content_type).1;
    let argument = if properties.contains_key("body") { "request_body" } else { "body" }.to_owned();
    let mut shape = match media {
        Media::Text => json!({ "type": "string" }),
        Media::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        _ => schema::input(document, &of["schema"]),
    };
    describe(&mut shape, &body["description"]);
    properties.insert(argument.clone(), shape);
    let content_type = if content_type.contains('*') { "application/octet-stream" } else { content_type.as_str() };
    Some(Payload { media, content_type: content_type.to_owned(), argument })
}

fn describe(shape: &mut Value, said: &Value) {
    if let (Some(shape), Some(said)) = (shape.as_object_mut(), said.as_str()) {
        shape.entry("description").or_insert_with(|| cut(said).into());
    }
}

fn tool(name: &str, method: &http::Method, path: &str, of: &Value, input: &Value) -> Value {
    let summary = of["summary"].as_str().unwrap_or_default();
    let mut description = [summary, of["description"].as_str().unwrap_or_default()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n");
    if description.is_empty() {
        description = format!("{method} {path}");
    }
    if of["deprecated"] == true {
        description.insert_str(0, "Deprecated. ");
    }
    let reads = matches!(*method, http::Method::GET | http::Method::HEAD | http::Method::OPTIONS);
    let mut tool = json!({
        "name": name,
        "description": cut(&description),
        "inputSchema": input,
        "annotations": {
            "readOnlyHint": reads,
            "destructiveHint": *method == http::Method::DELETE,
            "idempotentHint": reads || matches!(*method, http::Method::PUT | http::Method::DELETE),
            "openWorldHint": true,
        },
    });
    if !summary.is_empty() {
        tool["title"] = cut(summary).into();
    }
    tool
}

pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(DESCRIPTION) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
