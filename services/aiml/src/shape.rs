//! A JSON Schema → a check that an answer has that shape, and the words to tell a model what is wrong with it.
//!
//! Providers promise answers that fit and do not all keep it, so every answer is checked here. The subset is what providers can
//! constrain to, and a keyword outside of it is refused before a model is asked: a check that skips what it does not know would
//! promise too much. References stay inside of the schema; nothing is ever fetched.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

mod check;
mod find;

pub(crate) use find::json_in;

/// Levels of a schema, and of an answer.
const DEPTH: usize = 32;
/// Schemas inside of a schema.
const NODES: usize = 2_000;
/// Bytes of a compiled pattern.
const PATTERN: usize = 1 << 18;

/// What says nothing about whether a value fits.
const NOTES: [&str; 12] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "deprecated",
    "readOnly",
];

/// A schema that cannot be checked: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub(crate) struct Unusable {
    at: String,
    why: String,
}

/// A checked schema.
#[derive(Debug)]
pub(crate) struct Shape {
    root: Node,
    named: BTreeMap<String, Node>,
}

/// One schema in it.
#[derive(Debug, Default)]
struct Node {
    never: bool,
    reference: Option<String>,
    types: Vec<String>,
    choices: Option<Vec<Value>>,
    any_of: Vec<Node>,
    one_of: Vec<Node>,
    all_of: Vec<Node>,
    not: Option<Box<Node>>,
    properties: BTreeMap<String, Node>,
    required: Vec<String>,
    others: Option<Box<Node>>,
    items: Option<Box<Node>>,
    first: Vec<Node>,
    unique: bool,
    pattern: Option<Regex>,
    /// minimum, length and their like, by name.
    bounds: BTreeMap<&'static str, f64>,
}

const BOUNDS: [&str; 11] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

impl Shape {
    /// Reads a schema, or says what of it cannot be checked.
    pub(crate) fn read(schema: &Value) -> Result<Self, Unusable> {
        let mut reader = Reader { nodes: 0 };
        let root = reader.node(schema, "#", 0)?;
        let mut named = BTreeMap::new();
        for place in ["$defs", "definitions"] {
            for (name, schema) in schema[place].as_object().into_iter().flatten() {
                let at = format!("#/{place}/{name}");
                named.insert(at.clone(), reader.node(schema, &at, 0)?);
            }
        }
        let shape = Self { root, named };
        shape.references_lead_somewhere(&shape.root)?;
        shape.named.values().try_for_each(|node| shape.references_lead_somewhere(node))?;
        // What multiplies over nothing multiplies over any answer: no model is asked for one.
        shape.faults(&Value::Null)?;
        Ok(shape)
    }

    /// What is wrong with a value, one line each; at most ten. A schema that multiplies the work is given up.
    pub(crate) fn faults(&self, value: &Value) -> Result<Vec<String>, Unusable> {
        check::faults(self, value)
    }

    fn references_lead_somewhere(&self, node: &Node) -> Result<(), Unusable> {
        match &node.reference {
            Some(to) if to != "#" && !self.named.contains_key(to) => {
                return Err(Unusable {
                    at: to.clone(),
                    why: "there is no such definition: a $ref names #/$defs/…".to_owned(),
                });
            }
            _ => {}
        }
        node.children().try_for_each(|child| self.references_lead_somewhere(child))
    }
}

impl Node {
    fn children(&self) -> impl Iterator<Item = &Self> {
        let lists = [&self.any_of, &self.one_of, &self.all_of, &self.first].into_iter().flatten();
        let singles = [&self.not, &self.others, &self.items].into_iter().filter_map(|child| child.as_deref());
        lists.chain(singles).chain(self.properties.values())
    }
}

/// Reads schemas and counts them.
struct Reader {
    nodes: usize,
}

impl Reader {
    fn node(&mut self, schema: &Value, at: &str, depth: usize) -> Result<Node, Unusable> {
        self.nodes += 1;
        let unusable = |why: &str| Unusable { at: at.to_owned(), why: why.to_owned() };
        if depth > DEPTH || self.nodes > NODES {
            return Err(unusable("the schema is too large: use fewer or flatter parts"));
        }
        let fields = match schema {
            Value::Bool(fits) => return Ok(Node { never: !fits, ..Node::default() }),
            Value::Object(fields) => fields,
            _ => return Err(unusable("a schema is an object, true or false")),
        };
        let mut node = Node::default();
        for (keyword, value) in fields {
            let inside = format!("{at}/{keyword}");
            self.keyword(&mut node, keyword, value, (&inside, depth))?;
        }
        Ok(node)
    }

    fn keyword(
        &mut self,
        node: &mut Node,
        keyword: &str,
        value: &Value,
        (at, depth): (&str, usize),
    ) -> Result<(), Unusable> {
        let unusable = |why: &str| Unusable { at: at.to_owned(), why: why.to_owned() };
        let below = depth + 1;
        if let Some(bound) = BOUNDS.into_iter().find(|bound| *bound == keyword) {
            let number = value.as_f64().ok_or_else(|| unusable("this is a number"))?;
            node.bounds.insert(bound, number);
            return Ok(());
        }
        match keyword {
            "$ref" => node.reference = Some(value.as_str().ok_or_else(|| unusable("this is a string"))?.to_owned()),
            "type" => node.types = types(value).ok_or_else(|| unusable("no known type"))?,
            "enum" => node.choices = Some(value.as_array().ok_or_else(|| unusable("this is a list"))?.clone()),
            "const" => node.choices = Some(vec![value.clone()]),
            "anyOf" => node.any_of = self.list(value, at, below)?,
            "oneOf" => node.one_of = self.list(value, at, below)?,
            "allOf" => node.all_of = self.list(value, at, below)?,
            "prefixItems" => node.first = self.list(value, at, below)?,
            "not" => node.not = Some(Box::new(self.node(value, at, below)?)),
            "items" => node.items = Some(Box::new(self.node(value, at, below)?)),
            "additionalProperties" => node.others = Some(Box::new(self.node(value, at, below)?)),
            "properties" => {
                for (name, schema) in value.as_object().unwrap_or(&Map::new()) {
                    let inside = format!("{at}/{name}");
                    node.properties.insert(name.clone(), self.node(schema, &inside, below)?);
                }
            }
            "required" => node.required = strings(value).ok_or_else(|| unusable("this is a list of strings"))?,
            "uniqueItems" => node.unique = value == &Value::Bool(true),
            "pattern" => {
                let pattern = value.as_str().ok_or_else(|| unusable("this is a string"))?;
                let regex = regex::RegexBuilder::new(pattern).size_limit(PATTERN).build();
                node.pattern = Some(regex.map_err(|_| {
                    unusable("this pattern cannot be checked: look-around and references back have no place in it")
                })?);
            }
            _ if NOTES.contains(&keyword) => {}
            _ => return Err(unusable("this keyword cannot be checked: leave it out, or say it in the prompt")),
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, at: &str, depth: usize) -> Result<Vec<Node>, Unusable> {
        let schemas = value.as_array().filter(|schemas| !schemas.is_empty());
        let schemas =
            schemas.ok_or_else(|| Unusable { at: at.to_owned(), why: "this is a list of schemas".to_owned() })?;
        schemas.iter().enumerate().map(|(place, schema)| self.node(schema, &format!("{at}/{place}"), depth)).collect()
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn types(value: &Value) -> Option<Vec<String>> {
    const KNOWN: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
    let types = value.as_str().map_or_else(|| strings(value), |one| Some(vec![one.to_owned()]))?;
    types.iter().all(|kind| KNOWN.contains(&kind.as_str())).then_some(types)
}
