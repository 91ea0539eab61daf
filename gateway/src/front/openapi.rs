//! The REST facade described: an OpenAPI 3.1 document of its routes and of every tool that is there now.

use serde_json::{Map, Value, json};

use super::rest::ROUTES;
use crate::catalogue::{Kind, View};

/// The document, as JSON.
pub(super) fn document(view: &View) -> String {
    let mut paths = Map::new();
    for (path, method, lists) in ROUTES {
        let mut item = Map::new();
        item.insert("post".into(), operation(path, method, &params(path)));
        if lists {
            let mut get = operation(path, method, &Value::Null);
            get["operationId"] = json!(format!("get_{}", id(path)));
            item.insert("get".into(), get);
        }
        paths.insert(format!("/mcp/v1/{path}"), Value::Object(item));
    }
    let listed: Value = serde_json::from_slice(&view.session_list(Kind::Tools).whole()).unwrap_or_default();
    for tool in listed["tools"].as_array().into_iter().flatten() {
        let Some(name) = tool["name"].as_str() else { continue };
        let mut one = operation(&format!("tools/{name}"), "tools/call", &tool["inputSchema"]);
        one["summary"] = tool["title"].as_str().or(tool["description"].as_str()).unwrap_or(name).into();
        one["tags"] = json!(["tools"]);
        paths.insert(format!("/mcp/v1/tools/{name}"), json!({ "post": one }));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weft",
            "summary": "MCP as plain JSON over HTTP.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": { "schemas": { "Error": error() } },
    });
    document.to_string()
}

fn id(path: &str) -> String {
    path.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' }).collect()
}

fn operation(path: &str, method: &str, body: &Value) -> Value {
    let failed = json!({ "description": "An error.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } } });
    let mut operation = json!({
        "operationId": id(path),
        "summary": format!("The result of MCP's {method}."),
        "responses": {
            "200": { "description": "The result.", "content": { "application/json": { "schema": { "type": "object" } } } },
            "400": failed, "404": failed, "429": failed, "503": failed,
        },
    });
    if matches!(method, "tools/call" | "prompts/get" | "resources/read") {
        operation["responses"]["409"] = json!({
            "description": "Something must be answered first: send the same again with inputResponses and requestState.",
            "content": { "application/json": { "schema": { "type": "object", "properties": {
                "inputRequests": { "type": "object" }, "requestState": { "type": "string" } } } } },
        });
    }
    if body.is_object() {
        operation["requestBody"] =
            json!({ "required": body["required"].is_array(), "content": { "application/json": { "schema": body } } });
    }
    operation
}

/// The schema of a call's body.
fn params(path: &str) -> Value {
    let again = |own: Value, required: &[&str]| {
        let mut properties = own;
        properties["capabilities"] =
            json!({ "type": "object", "description": "What you can be asked, for example {\"elicitation\":{}}." });
        properties["inputResponses"] = json!({ "type": "object" });
        properties["requestState"] = json!({ "type": "string" });
        json!({ "type": "object", "properties": properties, "required": required })
    };
    match path {
        "tools/call" | "prompts/get" => {
            again(json!({ "name": { "type": "string" }, "arguments": { "type": "object" } }), &["name"])
        }
        "resources/read" => again(json!({ "uri": { "type": "string" } }), &["uri"]),
        "completion/complete" => json!({ "type": "object", "required": ["ref", "argument"], "properties": {
            "ref": { "type": "object" }, "argument": { "type": "object", "required": ["name", "value"], "properties": {
                "name": { "type": "string" }, "value": { "type": "string" } } }, "context": { "type": "object" } } }),
        _ => json!({ "type": "object" }),
    }
}

fn error() -> Value {
    json!({ "type": "object", "required": ["error"], "properties": { "error": {
        "type": "object", "required": ["code", "message"],
        "properties": { "code": { "type": "integer" }, "message": { "type": "string" }, "data": {} } } } })
}
