//! A JSON Schema → whether it may be asked for as `strict`, which the hosted API refuses for most schemas.
//!
//! The rules are those of OpenAI's guide to structured outputs: every object is closed and all of its properties are required, the root
//! is an object, and of the keywords only some are known. A schema that breaks one is sent all the same, without the promise: servers
//! that compile schemas to grammars follow it as before, and the answer is checked here in any case.

use serde_json::{Map, Value};

/// Levels of a strict schema.
const LEVELS: usize = 10;
/// What says something about a value and may stand in a strict schema, beside `properties`, `items`, `anyOf` and `$defs`.
const KNOWN: [&str; 17] = [
    "type",
    "enum",
    "const",
    "$ref",
    "required",
    "additionalProperties",
    "title",
    "description",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
];

/// Whether the whole schema keeps the rules.
pub(super) fn qualifies(schema: &Value) -> bool {
    schema["type"] == "object" && schema.get("anyOf").is_none() && keeps(schema, LEVELS)
}

fn keeps(schema: &Value, levels: usize) -> bool {
    let Some(fields) = schema.as_object().filter(|_| levels > 0) else { return false };
    let below = |schema: &Value| keeps(schema, levels - 1);
    let each = |schemas: &Value| schemas.as_object().is_some_and(|schemas| schemas.values().all(below));
    let known = fields.iter().all(|(keyword, value)| match keyword.as_str() {
        "properties" | "$defs" => each(value),
        "items" => below(value),
        "anyOf" => value.as_array().is_some_and(|schemas| schemas.iter().all(below)),
        keyword => KNOWN.contains(&keyword),
    });
    known && (!may_be_object(fields) || is_closed(fields))
}

fn may_be_object(fields: &Map<String, Value>) -> bool {
    let kinds = fields.get("type");
    let named = kinds
        .is_some_and(|kinds| kinds == "object" || kinds.as_array().is_some_and(|all| all.contains(&"object".into())));
    // Without a type a schema says what else it is, or it fits every object.
    let bare =
        kinds.is_none() && !["enum", "const", "$ref", "anyOf"].iter().any(|keyword| fields.contains_key(*keyword));
    named || bare || fields.contains_key("properties")
}

fn is_closed(fields: &Map<String, Value>) -> bool {
    let required = |name: &String| {
        fields.get("required").and_then(Value::as_array).is_some_and(|all| all.contains(&name.as_str().into()))
    };
    let all_required = fields.get("properties").and_then(Value::as_object).is_none_or(|own| own.keys().all(required));
    fields.get("additionalProperties") == Some(&Value::Bool(false)) && all_required
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn closed(properties: Value) -> Value {
        let names: Vec<&String> = properties.as_object().unwrap().keys().collect();
        json!({"type": "object", "required": names, "properties": properties, "additionalProperties": false})
    }

    #[test]
    fn only_schemas_that_the_hosted_api_takes_are_strict() {
        let tree = json!({"$ref": "#/$defs/tree"});
        let mut recursive = closed(json!({"root": tree}));
        recursive["$defs"] = json!({"tree": closed(json!({"next": {"anyOf": [tree, {"type": "null"}]}}))});
        let strict = [
            closed(json!({})),
            closed(json!({"a": {"type": ["string", "null"], "pattern": "^a"}, "b": {"enum": ["x", 1]}})),
            closed(
                json!({"list": {"type": "array", "items": closed(json!({"n": {"type": "integer", "minimum": 0}})), "maxItems": 3}}),
            ),
            recursive,
        ];
        for schema in strict {
            assert!(qualifies(&schema), "{schema}");
        }
        let mut optional = closed(json!({"a": {"type": "string"}, "b": {"type": "string"}}));
        optional["required"] = json!(["a"]);
        let mut union = closed(json!({}));
        union["anyOf"] = json!([closed(json!({}))]);
        let mut open_definition = closed(json!({}));
        open_definition["$defs"] = json!({"a": {"type": "object"}});
        let loose = [
            json!({}),
            json!(true),
            json!({"type": "object"}),
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
            closed(json!({"inner": {"type": "object", "properties": {}}})),
            closed(json!({"inner": {"type": ["object", "null"]}})),
            closed(json!({"anything": {}})),
            closed(json!({"anything": true})),
            closed(json!({"text": {"type": "string", "maxLength": 5}})),
            closed(json!({"list": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}})),
            closed(json!({"both": {"allOf": [closed(json!({}))]}})),
            (0..12).fold(closed(json!({})), |inside, _| closed(json!({"inside": inside}))),
            optional,
            union,
            open_definition,
        ];
        for schema in loose {
            assert!(!qualifies(&schema), "{schema}");
        }
    }
}
