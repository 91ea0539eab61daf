//! Arguments mirrored as `Mcp-Param-*`: which a tool declares, and whether the headers say what the arguments say.

use std::collections::HashSet;

use serde_json::Value;

use super::{HeaderFault, PARAM_PREFIX, decode};

/// The types that can be mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    /// As it is.
    String,
    /// Decimal, compared as a number.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// An argument that a tool wants mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The header's name, without [`PARAM_PREFIX`].
    pub header: String,
    /// The names of the properties from the root to the argument.
    pub path: Vec<String>,
    /// Its type.
    pub kind: Primitive,
}

/// The arguments that an input schema (raw JSON) declares with `x-mcp-header`.
///
/// An error means that the tool must not be shown: the mark is no token, stands twice, marks no primitive, or is not
/// reached from the root through `properties` alone.
pub fn param_headers(input_schema: &str) -> Result<Vec<ParamHeader>, HeaderFault> {
    if memchr::memmem::find(input_schema.as_bytes(), b"x-mcp-header").is_none() {
        return Ok(Vec::new());
    }
    let schema: Value = serde_json::from_str(input_schema).map_err(|_| HeaderFault::Schema("a schema that is no JSON".into()))?;
    let mut found = Vec::new();
    if schema.get("x-mcp-header").is_some() {
        return Err(HeaderFault::Schema("the root must stand at a property".into()));
    }
    chain(&schema, &mut Vec::new(), &mut found)?;
    let mut seen = HashSet::new();
    if let Some(twice) = found.iter().find(|param| !seen.insert(param.header.to_ascii_lowercase())) {
        return Err(HeaderFault::Schema(format!("{:?} uses the name {:?} a second time", twice.path, twice.header)));
    }
    if count(&schema) != found.len() {
        return Err(HeaderFault::Schema("a property that is not reached through `properties` alone".into()));
    }
    Ok(found)
}

fn chain(schema: &Value, path: &mut Vec<String>, found: &mut Vec<ParamHeader>) -> Result<(), HeaderFault> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(mark) = property.get("x-mcp-header") {
            found.push(declared(mark, property, path)?);
        }
        chain(property, path, found)?;
        path.pop();
    }
    Ok(())
}

fn declared(mark: &Value, property: &Value, path: &[String]) -> Result<ParamHeader, HeaderFault> {
    let wrong = |why: &str| HeaderFault::Schema(format!("{path:?} {why}"));
    let header = mark.as_str().filter(|name| is_token(name)).ok_or_else(|| wrong("is not a header token"))?;
    let kind = match property.get("type").and_then(Value::as_str) {
        Some("string") => Primitive::String,
        Some("integer") => Primitive::Integer,
        Some("boolean") => Primitive::Boolean,
        _ => return Err(wrong("marks neither a string, an integer nor a boolean")),
    };
    Ok(ParamHeader { header: header.to_owned(), path: path.to_vec(), kind })
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// All marks anywhere a subschema can be; plain data of a schema is not looked into.
fn count(schema: &Value) -> usize {
    let mut open = vec![schema];
    let mut marks = 0;
    while let Some(next) = open.pop() {
        match next {
            Value::Object(members) => {
                for (key, value) in members {
                    match key.as_str() {
                        "x-mcp-header" => marks += 1,
                        "default" | "const" | "enum" | "examples" => {}
                        // The keys of a map of properties are names, not keywords.
                        "properties" | "$defs" | "definitions" | "dependentSchemas" | "patternProperties" => {
                            open.extend(value.as_object().into_iter().flat_map(|map| map.values()));
                        }
                        _ => open.push(value),
                    }
                }
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    marks
}

/// Checks the mirrored arguments of a call; `header` looks a header up by its full lower-case name.
pub fn agree_params<'h>(
    declared: &[ParamHeader],
    header: impl Fn(&str) -> Option<&'h str>,
    arguments: Option<&str>,
) -> Result<(), HeaderFault> {
    if declared.is_empty() {
        return Ok(());
    }
    let arguments: Value = arguments.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    for param in declared {
        let name = format!("{PARAM_PREFIX}{}", param.header.to_ascii_lowercase());
        let value = param.path.iter().try_fold(&arguments, |value, key| value.get(key)).filter(|value| !value.is_null());
        match (header(&name), value) {
            (None, None) => {}
            (None, Some(_)) => return Err(HeaderFault::Missing(name)),
            (Some(_), None) => return Err(HeaderFault::Mismatch(name)),
            (Some(raw), Some(value)) => {
                let text = decode(raw).map_err(|_| HeaderFault::Encoding(name.clone()))?;
                if !equal(&text, value) {
                    return Err(HeaderFault::Mismatch(name));
                }
            }
        }
    }
    Ok(())
}

fn equal(text: &str, value: &Value) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Bool(own) => text == if *own { "true" } else { "false" },
        Value::Number(own) => own.to_string() == text || text.parse::<i128>().ok() == own.to_string().parse::<i128>().ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}"#;

    #[test]
    fn marks_are_found_along_properties() {
        let found = param_headers(SCHEMA).unwrap();
        assert_eq!(found.iter().map(|param| param.header.as_str()).collect::<HashSet<_>>(), HashSet::from(["Region", "N"]));
        assert_eq!(param_headers(r#"{"properties":{"x-mcp":{"type":"string"}}}"#).unwrap(), []);
    }

    #[test]
    fn wrong_marks_are_refused() {
        for schema in [
            r#"{"x-mcp-header":"A"}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":""}}}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":7}}}"#,
            r#"{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
            r#"{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}"#,
            r#"{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}"#,
            r#"{"$defs":{"d":{"type":"string","x-mcp-header":"A"}}}"#,
        ] {
            assert!(param_headers(schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn mirrored_arguments_must_agree() {
        let declared = param_headers(SCHEMA).unwrap();
        let check = |region: Option<&'static str>, n: Option<&'static str>, arguments: &str| {
            agree_params(&declared, |name| if name == "mcp-param-region" { region } else { n }, Some(arguments))
        };
        assert!(check(Some("eu"), Some("42"), r#"{"region":"eu","deep":{"n":42}}"#).is_ok());
        assert!(check(Some("eu"), Some("042"), r#"{"region":"eu","deep":{"n":42}}"#).is_ok());
        assert!(check(None, None, r#"{"region":null}"#).is_ok());
        assert!(check(None, None, r#"{"region":"eu"}"#).is_err());
        assert!(check(Some("us"), None, r#"{"region":"eu"}"#).is_err());
        assert!(check(Some("eu"), None, "{}").is_err());
        assert!(check(Some("eu"), Some("x"), r#"{"region":"eu","deep":{"n":42}}"#).is_err());
    }
}
