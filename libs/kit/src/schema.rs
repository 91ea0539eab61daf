//! A Rust type → the JSON Schema that a tool list carries: closed, small, and plain enough for every client.
//!
//! Lists are read by models and paid for in tokens, so results lose their prose and bounds, numbers their Rust-only formats, and
//! optional arguments their `null`. Arguments must refuse what they do not know: an open object anywhere is a fault of the service.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema>() -> Object {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with(|settings| settings.inline_subschemas = true);
    let mut schema = object(settings.into_generator().into_root_schema_for::<T>().to_value());
    schema.remove("$schema");
    schema.remove("title");
    schema.remove("description");
    walk(&mut schema, &mut |schema| {
        spell_anything(schema);
        drop_format(schema);
        drop_null(schema);
        schema.remove("title");
    });
    schema.entry("type").or_insert_with(|| json!("object"));
    schema.entry("properties").or_insert_with(|| json!({}));
    schema
}

/// The schema of a tool's result: the envelope around `T`.
pub(crate) fn output<T: JsonSchema>() -> Object {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    let mut generator = settings.into_generator();
    let mut data = object(generator.subschema_for::<T>().to_value());
    let definitions = generator.take_definitions(true);
    data.insert("$defs".to_owned(), Value::Object(definitions));
    walk(&mut data, &mut |schema| {
        spell_anything(schema);
        drop_format(schema);
        for word in ["title", "description", "default", "minimum", "maximum"] {
            schema.remove(word);
        }
    });
    let definitions = data.remove("$defs").filter(|definitions| *definitions != json!({}));
    let mut schema = object(json!({
        "type": "object",
        "properties": {
            "data": data,
            "page": {"type": "object"},
            "truncated": {"type": "object"},
            "warnings": {"type": "array", "items": {"type": "string"}},
            "provenance": {"type": "object"},
            "timing_ms": {"type": "number"}
        },
        "required": ["data", "provenance", "timing_ms"]
    }));
    if let Some(definitions) = definitions {
        schema.insert("$defs".to_owned(), definitions);
    }
    schema
}

/// Adds one optional string argument.
pub(crate) fn add_text_argument(schema: &mut Object, name: &str, description: &str) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(name.to_owned(), json!({"type": "string", "description": description}));
    }
}

/// The path of the first object in `schema` that would take unknown fields.
pub(crate) fn open_object(schema: &Object) -> Option<String> {
    find_open(schema, "arguments")
}

fn find_open(schema: &Object, path: &str) -> Option<String> {
    let is_record = schema.contains_key("properties") && schema.get("type") == Some(&json!("object"));
    if is_record && schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Some(path.to_owned());
    }
    children(schema).find_map(|(name, child)| find_open(child, &format!("{path}.{name}")))
}

const MAPS: [&str; 3] = ["properties", "$defs", "patternProperties"];
const LISTS: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
const SINGLES: [&str; 3] = ["items", "additionalProperties", "not"];

fn children(schema: &Object) -> impl Iterator<Item = (&str, &Object)> {
    let maps = MAPS.into_iter().filter_map(|key| schema.get(key)?.as_object()).flatten();
    let maps = maps.filter_map(|(name, child)| Some((name.as_str(), child.as_object()?)));
    let lists = LISTS.into_iter().filter_map(|key| Some((key, schema.get(key)?.as_array()?)));
    let lists = lists.flat_map(|(key, items)| items.iter().filter_map(move |item| Some((key, item.as_object()?))));
    let singles = SINGLES.into_iter().filter_map(|key| Some((key, schema.get(key)?.as_object()?)));
    maps.chain(lists).chain(singles)
}

/// "Anything" is written as the empty schema: clients of the session era know no `true`.
fn spell_anything(schema: &mut Object) {
    let anything = |value: &mut Value| {
        if *value == Value::Bool(true) {
            *value = json!({});
        }
    };
    for key in MAPS {
        if let Some(Value::Object(map)) = schema.get_mut(key) {
            map.values_mut().for_each(anything);
        }
    }
    for key in LISTS {
        if let Some(Value::Array(items)) = schema.get_mut(key) {
            items.iter_mut().for_each(anything);
        }
    }
    if let Some(items) = schema.get_mut("items") {
        anything(items);
    }
}

/// Applies `change` to `schema` and every schema inside it. Keys of `properties` are names, not keywords, and stay.
fn walk(schema: &mut Object, change: &mut impl FnMut(&mut Object)) {
    change(schema);
    for (key, value) in schema.iter_mut() {
        match value {
            Value::Object(map) if MAPS.contains(&key.as_str()) => {
                map.values_mut().filter_map(Value::as_object_mut).for_each(|child| walk(child, change));
            }
            Value::Array(items) if LISTS.contains(&key.as_str()) => {
                items.iter_mut().filter_map(Value::as_object_mut).for_each(|child| walk(child, change));
            }
            Value::Object(child) if SINGLES.contains(&key.as_str()) => walk(child, change),
            _ => {}
        }
    }
}

/// `uint32` and its like are no formats of JSON Schema; strict clients refuse them.
fn drop_format(schema: &mut Object) {
    let numeric = |format: &str| {
        format.starts_with("int") || format.starts_with("uint") || format == "double" || format == "float"
    };
    if schema.get("format").and_then(Value::as_str).is_some_and(numeric) {
        schema.remove("format");
    }
}

/// An optional argument is left out, not sent as `null` (which is still understood).
fn drop_null(schema: &mut Object) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    let null = json!({"type": "null"});
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
    choices.retain(|choice| *choice != null);
    if let [Value::Object(_)] = choices.as_slice()
        && let Some(Value::Object(only)) = choices.pop()
    {
        schema.remove("anyOf");
        for (key, value) in only {
            schema.entry(key).or_insert(value);
        }
    }
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Closed {
        /// How many.
        limit: Option<u32>,
        title: String,
        edits: Vec<Edit>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Edit {
        old: String,
    }

    #[derive(Serialize, JsonSchema)]
    struct Tree {
        name: String,
        children: Vec<Tree>,
    }

    #[test]
    fn an_open_object_is_found_wherever_it_hides() {
        assert_eq!(open_object(&input::<Closed>()).as_deref(), Some("arguments.edits.items"));
        assert_eq!(open_object(&input::<Edit>()).as_deref(), Some("arguments"));
    }

    #[test]
    fn arguments_keep_their_prose_and_lose_rust_formats_and_nulls() {
        let schema = input::<Closed>();
        assert_eq!(schema["properties"]["limit"], json!({"description": "How many.", "type": "integer", "minimum": 0}));
        assert_eq!(schema["properties"]["title"], json!({"type": "string"}));
        assert_eq!(schema["required"], json!(["title", "edits"]));
    }

    #[derive(Deserialize, Serialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Whatever {
        one: Value,
        many: Vec<Value>,
    }

    #[test]
    fn anything_is_an_empty_schema() {
        for schema in [input::<Whatever>(), output::<Whatever>()] {
            assert!(!Value::Object(schema.clone()).to_string().contains(":true"), "{schema:?}");
        }
    }

    #[test]
    fn a_recursive_result_finds_its_definition_at_the_root() {
        let schema = output::<Tree>();
        assert!(schema["$defs"]["Tree"].is_object(), "{schema:?}");
        assert_eq!(schema["properties"]["data"]["properties"]["children"]["items"]["$ref"], "#/$defs/Tree");
    }
}
