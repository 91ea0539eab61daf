//! A tool's input schema → the arguments that it wants mirrored, or why the tool must not be shown.
//!
//! A schema comes from a server and may be deep and wide: the search keeps a list of its own and does not recurse.

use std::collections::HashSet;

use serde_json::Value;

use super::HeaderFault;

const MARK: &str = "x-mcp-header";

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
    /// The header's name, without [`super::PARAM_PREFIX`].
    pub header: String,
    /// The names of the properties from the root to the argument.
    pub path: Vec<String>,
    /// Its type.
    pub kind: Primitive,
}

/// The arguments that an input schema (raw JSON) declares with `x-mcp-header`, in no particular order.
///
/// An error means that the tool must be left out of every list (MCP 2026-07-28, schema extension): the mark is no header
/// token, stands twice, marks no primitive, or is not reached from the root through `properties` alone.
pub fn param_headers(input_schema: &str) -> Result<Vec<ParamHeader>, HeaderFault> {
    // A key may be written with escapes, so their absence is part of what lets most schemas go without being parsed.
    let bytes = input_schema.as_bytes();
    if memchr::memmem::find(bytes, MARK.as_bytes()).is_none() && memchr::memmem::find(bytes, b"\\u").is_none() {
        return Ok(Vec::new());
    }
    let root: Value = serde_json::from_str(input_schema)
        .map_err(|_| HeaderFault::Schema("the input schema is not JSON, or nested too deeply".into()))?;
    let mut found: Vec<ParamHeader> = Vec::new();
    let mut names = HashSet::new();
    let mut open = vec![Place { schema: &root, path: Some(Vec::new()) }];
    while let Some(place) = open.pop() {
        if let Some(mark) = place.schema.get(MARK) {
            let param = place.declares(mark)?;
            if !names.insert(param.header.to_ascii_lowercase()) {
                return Err(place.fault(&format!("uses the name {:?} a second time", param.header)));
            }
            found.push(param);
        }
        place.within(&mut open);
    }
    Ok(found)
}

/// A part of a schema; the path is there while it is reached through `properties` alone.
struct Place<'s> {
    schema: &'s Value,
    path: Option<Vec<&'s str>>,
}

impl<'s> Place<'s> {
    fn fault(&self, why: &str) -> HeaderFault {
        let place = self.path.as_ref().map_or_else(|| "a part of the schema".to_owned(), |path| path.join("."));
        HeaderFault::Schema(format!("{place} {why}"))
    }

    fn declares(&self, mark: &Value) -> Result<ParamHeader, HeaderFault> {
        let path = match &self.path {
            Some(path) if !path.is_empty() => path.iter().map(|&name| name.to_owned()).collect(),
            Some(_) => return Err(HeaderFault::Schema("the root is no argument; mark a property".into())),
            None => return Err(self.fault("is marked but not reached through \"properties\" alone")),
        };
        let token = mark.as_str().filter(|name| is_token(name));
        let header = token.ok_or_else(|| self.fault("must have a header token (RFC 9110 section 5.6.2)"))?.to_owned();
        let kind = match self.schema.get("type").and_then(Value::as_str) {
            Some("string") => Primitive::String,
            Some("integer") => Primitive::Integer,
            Some("boolean") => Primitive::Boolean,
            _ => return Err(self.fault("must be a string, an integer or a boolean")),
        };
        Ok(ParamHeader { header, path, kind })
    }

    /// Adds every place inside this one where a schema can stand.
    fn within(&self, open: &mut Vec<Place<'s>>) {
        let elsewhere = |schema| Place { schema, path: None };
        match self.schema {
            Value::Array(items) => open.extend(items.iter().map(elsewhere)),
            Value::Object(members) => {
                for (keyword, value) in members {
                    match (keyword.as_str(), value) {
                        ("properties", Value::Object(properties)) => {
                            open.extend(properties.iter().map(|(name, schema)| self.property(name, schema)));
                        }
                        // What stands in these maps are names, not keywords.
                        ("$defs" | "definitions" | "dependentSchemas" | "patternProperties", Value::Object(named)) => {
                            open.extend(named.values().map(elsewhere));
                        }
                        // Values of arguments, not schemas of them; the mark itself was read.
                        ("const" | "default" | "enum" | "examples" | MARK, _) => {}
                        _ => open.push(elsewhere(value)),
                    }
                }
            }
            _ => {}
        }
    }

    fn property(&self, name: &'s str, schema: &'s Value) -> Self {
        let path = self.path.as_ref().map(|path| path.iter().copied().chain([name]).collect());
        Place { schema, path }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
