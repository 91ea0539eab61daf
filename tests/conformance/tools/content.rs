//! Tools whose results are fixed: every kind of content, an error, a header that mirrors an argument, and a schema with
//! keywords that a careless relay loses.

use serde_json::{Value, json};

use super::{Call, Outcome, contents, failure, plain, text, with_arguments};

/// A PNG of one red pixel, in Base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
/// A WAV of one silent sample, in Base64.
const SILENCE: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==";

pub(super) fn tools() -> Vec<Value> {
    let mirrored =
        json!({ "type": "object", "properties": { "value": { "type": "string", "x-mcp-header": "Value" } } });
    let named = json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] });
    vec![
        plain("test_simple_text", "Gives a text."),
        plain("test_image_content", "Gives an image."),
        plain("test_audio_content", "Gives a sound."),
        plain("test_embedded_resource", "Gives a resource with its text."),
        plain("test_multiple_content_types", "Gives text, image and resource together."),
        plain("test_error_handling", "Fails every time."),
        with_arguments("test_custom_header", "Repeats an argument that a header mirrors.", &mirrored),
        with_arguments("greet", "Greets somebody.", &named),
        with_arguments(
            "json_schema_2020_12_tool",
            "Takes arguments of a schema that uses much of JSON Schema 2020-12.",
            &schema(),
        ),
    ]
}

/// The schema that the suite looks for, word by word.
fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": { "$anchor": "addressDef", "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } } } },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

pub(super) fn call(call: &Call) -> Outcome {
    let image = json!({ "type": "image", "data": PIXEL, "mimeType": "image/png" });
    let resource = |uri: &str, media: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": media, "text": text } });
    Some(match call.name() {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => contents(&json!([image])),
        "test_audio_content" => contents(&json!([{ "type": "audio", "data": SILENCE, "mimeType": "audio/wav" }])),
        "test_embedded_resource" => contents(&json!([resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )])),
        "test_multiple_content_types" => contents(&json!([
            { "type": "text", "text": "Multiple content types test:" },
            image,
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ])),
        "test_error_handling" => Ok(failure("This tool intentionally returns an error for testing").into()),
        "test_custom_header" => text(format!("The value is {}.", call.argument("value"))),
        "greet" => text(format!("Hello, {}!", call.argument("name"))),
        "json_schema_2020_12_tool" => text(format!("The arguments are {:?}.", call.request.arguments)),
        _ => return None,
    })
}
