//! Schemas of OpenAPI 3.0 and 3.1 → JSON Schema 2020-12 that stands alone: references are put in place, and where a schema holds itself,
//! it becomes anything.

use std::cell::Cell;

use serde_json::{Map, Value, json};

/// References inside of references; a schema that goes deeper holds itself, or might as well.
const DEEPEST: usize = 12;
/// Values that one schema may grow to: references to what refers again multiply, and no model reads so much.
const LARGEST: usize = 20_000;

/// The document that references point into, and how much may still be written.
struct Source<'d> {
    document: &'d Value,
    left: Cell<usize>,
}

impl Source<'_> {
    /// Takes room for `size` values; false when there is not so much.
    fn take(&self, size: usize) -> bool {
        let left = self.left.get().checked_sub(size);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// What a reference of the document points to; the value itself when it is none, or leads nowhere.
pub(crate) fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let mut value = value;
    for _ in 0..DEEPEST {
        let Some(pointer) = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) else {
            return value;
        };
        match document.pointer(pointer) {
            Some(found) => value = found,
            None => return value,
        }
    }
    value
}

/// The schema for what a caller sends: properties that only the server writes are left out.
pub(crate) fn input(document: &Value, schema: &Value) -> Value {
    // The deepest that stays readable.
    let tried = (1..=DEEPEST).rev().map(|depth| {
        let source = Source { document, left: Cell::new(LARGEST) };
        let made = convert(&source, schema, depth);
        (made, source.left.get() > 0)
    });
    let mut made = json!({});
    for (tried, whole) in tried {
        made = tried;
        if whole {
            break;
        }
    }
    made
}

fn convert(source: &Source<'_>, schema: &Value, depth: usize) -> Value {
    if !source.take(1) {
        return json!({});
    }
    if schema["$ref"].is_string() {
        let found = resolved(source.document, schema);
        // Networks are never asked, whatever a document points to.
        if depth == 0 || found["$ref"].is_string() {
            return json!({});
        }
        return convert(source, found, depth - 1);
    }
    let Some(members) = schema.as_object() else { return if schema.is_boolean() { schema.clone() } else { json!({}) } };
    let mut out = Map::new();
    for (key, value) in members {
        if let Some(value) = member(source, (key, value), depth) {
            out.insert(key.clone(), value);
        }
    }
    if let Some(properties) = members.get("properties").and_then(Value::as_object) {
        let hidden =
            |name: &str| properties.get(name).is_some_and(|it| resolved(source.document, it)["readOnly"] == true);
        if let Some(Value::Object(shown)) = out.get_mut("properties") {
            shown.retain(|name, _| !hidden(name));
        }
        if let Some(Value::Array(required)) = out.get_mut("required") {
            required.retain(|name| !name.as_str().is_some_and(hidden));
        }
    }
    of_3_0(members, &mut out);
    Value::Object(out)
}

/// One keyword; none for those that mean nothing here.
fn member(source: &Source<'_>, (key, value): (&str, &Value), depth: usize) -> Option<Value> {
    let deeper = |schema: &Value| if depth == 0 { json!({}) } else { convert(source, schema, depth - 1) };
    let each =
        |map: &Map<String, Value>| Value::Object(map.iter().map(|(name, it)| (name.clone(), deeper(it))).collect());
    match (key, value) {
        (
            "nullable" | "readOnly" | "writeOnly" | "xml" | "externalDocs" | "discriminator" | "example" | "$schema"
            | "$id",
            _,
        ) => None,
        ("properties" | "patternProperties" | "$defs" | "dependentSchemas", Value::Object(map)) => Some(each(map)),
        ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(all)) => Some(all.iter().map(deeper).collect()),
        (
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "unevaluatedProperties"
            | "unevaluatedItems",
            it,
        ) => Some(deeper(it)),
        ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_)) => None,
        (key, _) if key.starts_with("x-") => None,
        _ => source.take(size(value)).then(|| value.clone()),
    }
}

/// Values in a value; long texts count as more.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(all) => 1 + all.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

/// What OpenAPI 3.0 writes in its own way.
fn of_3_0(members: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if members.get(flag) == Some(&Value::Bool(true))
            && let Some(limit) = out.remove(bound)
        {
            out.insert(flag.to_owned(), limit);
        }
    }
    if let Some(example) = members.get("example") {
        out.entry("examples").or_insert_with(|| json!([example]));
    }
    if members.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    if let Some(kind) = out.get_mut("type").filter(|kind| kind.is_string()) {
        *kind = json!([kind.clone(), "null"]);
    }
    if let Some(Value::Array(values)) = out.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_3_0_writes_in_its_own_way_becomes_json_schema() {
        let old = json!({ "type": "string", "nullable": true, "enum": ["a"], "example": "a", "x-internal": 1 });
        assert_eq!(
            input(&json!({}), &old),
            json!({ "type": ["string", "null"], "enum": ["a", null], "examples": ["a"] })
        );
        let bound = json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false });
        assert_eq!(input(&json!({}), &bound), json!({ "type": "integer", "exclusiveMinimum": 0, "maximum": 9 }));
    }

    #[test]
    fn schemas_that_multiply_stay_of_a_size_that_can_be_read() {
        let to = json!({ "$ref": "#/components/schemas/Node" });
        let children: Map<String, Value> = (0..40).map(|number| (format!("child{number}"), to.clone())).collect();
        let node = json!({ "type": "object", "description": "d".repeat(6400), "properties": children });
        let document = json!({ "components": { "schemas": { "Node": node } } });
        let made = input(&document, &to);
        assert_eq!(made["properties"]["child39"]["type"], "object", "what stands above stays");
        let written = made.to_string().len();
        assert!(written < 4_000_000, "{written} bytes");
    }

    #[test]
    fn references_are_put_in_place_and_circles_end() {
        let document = json!({ "components": { "schemas": {
            "Tree": { "type": "object", "required": ["id", "name"], "properties": {
                "id": { "type": "integer", "readOnly": true }, "name": { "type": "string" },
                "children": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } } } } } } });
        let tree = input(&document, &json!({ "$ref": "#/components/schemas/Tree" }));
        assert_eq!(tree["required"], json!(["name"]), "what only the server writes is not asked for");
        assert!(tree["properties"].get("id").is_none());
        assert_eq!(tree["properties"]["children"]["items"]["properties"]["name"]["type"], "string");
        assert!(tree.to_string().len() < 20_000);
        assert_eq!(input(&document, &json!({ "$ref": "https://elsewhere.example/schema" })), json!({}));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z#/]{0,8}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let key = prop_oneof![
                Just("properties"),
                Just("items"),
                Just("$ref"),
                Just("required"),
                Just("type"),
                Just("nullable"),
                Just("allOf"),
                Just("readOnly"),
                Just("enum"),
                Just("minimum"),
                Just("exclusiveMinimum")
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key, inner), 0..4)
                    .prop_map(|all| Value::Object(all.into_iter().map(|(key, it)| (key.to_owned(), it)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_that_a_document_says_is_a_panic(document in any_json()) {
            let _ = input(&document, &document);
        }
    }
}
