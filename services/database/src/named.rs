//! Queries that the operator has written: a name and typed arguments → a statement that was understood before anyone asks.
//!
//! The safest way to serve a database: where `access.tools` names `run_named` and not `query`, no model writes any SQL. What is wrong
//! with one of them stops the server when it starts, not the caller later.

use std::{collections::BTreeSet, ops::ControlFlow};

use anyhow::{Context as _, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlparser::ast::{Expr, Value as Literal, Visit as _, Visitor};
use weft_kit::ToolError;

use crate::sql::{Checked, Dialect, Kind, gate};

/// A query with a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedQuery {
    /// What callers name it, with a-z, 0-9 and _.
    pub name: String,
    /// What it tells or does, for those who choose among them.
    pub description: String,
    /// One statement. The parameters are $1, $2, … in PostgreSQL and ? in SQLite, in the order of `parameters`.
    pub sql: String,
    /// What callers give.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// It changes rows; without this it may only read.
    #[serde(default)]
    pub writes: bool,
}

/// One value that a caller gives.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What callers name it.
    pub name: String,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// A list of such values: `= ANY($1)` in PostgreSQL, `IN (SELECT value FROM json_each(?))` in SQLite.
    #[serde(default)]
    pub list: bool,
    /// The values that it may have; any if empty.
    #[serde(default, rename = "enum")]
    pub values: Vec<Value>,
    /// The smallest number.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// The largest number.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// The most characters.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// It may be left out, and is NULL then.
    #[serde(default)]
    pub optional: bool,
    /// What it is when it is left out.
    #[serde(default)]
    pub default: Option<Value>,
}

/// The types of JSON Schema that a value can have. Numbers that JSON would round may be given as strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// Text, also dates and whatever else is written as text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
}

/// A named query that was understood.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) own: NamedQuery,
    pub(crate) checked: Checked,
}

impl Named {
    /// Fails on whatever could only fail later.
    pub(crate) fn new(dialect: Dialect, own: &NamedQuery) -> Result<Self, anyhow::Error> {
        let named = Self::understood(dialect, own);
        named.with_context(|| format!("the query {:?}", own.name))
    }

    fn understood(dialect: Dialect, own: &NamedQuery) -> Result<Self, anyhow::Error> {
        let fits = |name: &str| {
            let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
            !name.is_empty() && name.len() <= 64 && name.chars().all(letter)
        };
        ensure!(fits(&own.name), "a query is named with up to 64 of a-z, 0-9 and _");
        let checked = gate::check(dialect, &own.sql).map_err(|error| anyhow::anyhow!("{}", error.message()))?;
        match checked.kind {
            Kind::Schema => bail!("it changes tables; that is for migrate"),
            Kind::Read if own.writes => bail!("it only reads: leave writes out"),
            Kind::Read => {}
            _ if !own.writes => bail!("it is a {}: say writes = true if it may change rows", checked.verb()),
            _ => {}
        }
        let mut names = BTreeSet::new();
        for parameter in &own.parameters {
            let name = &parameter.name;
            ensure!(fits(name), "the parameter {name:?} is named with up to 64 of a-z, 0-9 and _");
            ensure!(names.insert(name), "two parameters are called {name:?}");
            for value in parameter.values.iter().chain(&parameter.default) {
                let whole = parameter.list && Some(value) == parameter.default.as_ref();
                let fine = if whole { parameter.take(value) } else { parameter.one(value) };
                fine.map_err(|must| {
                    anyhow::anyhow!("the parameter {name:?} must be {must}, but one of its values is {value}")
                })?;
            }
        }
        let wanted = placeholders(&checked)?;
        let given = own.parameters.len();
        ensure!(wanted == given, "the statement has {wanted} parameters, but {given} are described");
        Ok(Self { own: own.clone(), checked })
    }

    /// The values in the order of the statement's parameters.
    pub(crate) fn bind(&self, arguments: &Map<String, Value>) -> Result<Vec<Value>, ToolError> {
        let parameters = &self.own.parameters;
        if let Some(odd) = arguments.keys().find(|key| !parameters.iter().any(|one| one.name == **key)) {
            let names: Vec<&str> = parameters.iter().map(|one| one.name.as_str()).collect();
            return Err(ToolError::invalid(format!("the query {:?} takes no {odd:?}", self.own.name))
                .hint(format!("it takes: {}", names.join(", "))));
        }
        parameters.iter().map(|parameter| self.value(parameter, arguments.get(&parameter.name))).collect()
    }

    fn value(&self, parameter: &Parameter, given: Option<&Value>) -> Result<Value, ToolError> {
        let name = &parameter.name;
        match given.filter(|value| !value.is_null()).or(parameter.default.as_ref()) {
            Some(value) => match parameter.take(value) {
                Ok(()) => Ok(value.clone()),
                Err(must) => Err(ToolError::invalid(format!("{name:?} must be {must}, not {value}"))),
            },
            None if parameter.optional => Ok(Value::Null),
            None => Err(ToolError::invalid(format!("the query {:?} needs {name:?}", self.own.name))
                .hint("list_named tells what each takes")),
        }
    }

    /// What it takes, as a JSON Schema.
    pub(crate) fn schema(&self) -> Value {
        let required: Vec<&str> = self
            .own
            .parameters
            .iter()
            .filter(|one| !one.optional && one.default.is_none())
            .map(|one| one.name.as_str())
            .collect();
        let properties: Map<String, Value> =
            self.own.parameters.iter().map(|one| (one.name.clone(), one.schema())).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

impl Parameter {
    /// What the value must be, where it is something else.
    fn take(&self, value: &Value) -> Result<(), String> {
        if !self.list {
            return self.one(value);
        }
        let items = value.as_array().ok_or_else(|| "a list".to_owned())?;
        items.iter().try_for_each(|item| self.one(item)).map_err(|must| format!("a list, each of it {must}"))
    }

    fn one(&self, value: &Value) -> Result<(), String> {
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite());
        let (fits, what) = match self.kind {
            ParameterType::String => (value.is_string(), "a string"),
            ParameterType::Integer => {
                let whole = value.is_i64() || value.as_str().is_some_and(|text| text.parse::<i128>().is_ok());
                (whole, "a whole number")
            }
            ParameterType::Number => (number.is_some(), "a number"),
            ParameterType::Boolean => (value.is_boolean(), "true or false"),
        };
        if !fits {
            return Err(what.to_owned());
        }
        if !self.values.is_empty() && !self.values.contains(value) {
            let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
            return Err(format!("one of {}", values.join(", ")));
        }
        let size = number.filter(|_| matches!(self.kind, ParameterType::Integer | ParameterType::Number));
        match (size, self.minimum, self.maximum) {
            (Some(size), Some(minimum), _) if size < minimum => return Err(format!("at least {minimum}")),
            (Some(size), _, Some(maximum)) if size > maximum => return Err(format!("at most {maximum}")),
            _ => {}
        }
        match (value.as_str(), self.max_length) {
            (Some(text), Some(most)) if text.chars().count() > most => Err(format!("up to {most} characters long")),
            _ => Ok(()),
        }
    }

    fn schema(&self) -> Value {
        let mut one = json!({"type": self.kind});
        let mut say = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                one[key] = value;
            }
        };
        say("enum", Some(&self.values).filter(|values| !values.is_empty()).map(|values| json!(values)));
        say("minimum", self.minimum.map(Value::from));
        say("maximum", self.maximum.map(Value::from));
        say("maxLength", self.max_length.map(Value::from));
        let mut whole = if self.list { json!({"type": "array", "items": one}) } else { one };
        if let Some(text) = &self.description {
            whole["description"] = json!(text);
        }
        if let Some(default) = &self.default {
            whole["default"] = default.clone();
        }
        whole
    }
}

/// How many values a statement takes.
fn placeholders(checked: &Checked) -> Result<usize, anyhow::Error> {
    let mut seen = Marks { bare: 0, highest: 0, odd: None };
    let _ = checked.statement.visit(&mut seen);
    if let Some(odd) = seen.odd {
        bail!("parameters are written $1, $2, … in PostgreSQL and ? in SQLite, not {odd}");
    }
    Ok(seen.bare.max(seen.highest))
}

struct Marks {
    bare: usize,
    highest: usize,
    odd: Option<String>,
}

impl Visitor for Marks {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Literal::Placeholder(mark) = &value.value else { return ControlFlow::Continue(()) };
        match mark.trim_start_matches(['$', '?']) {
            "" => self.bare += 1,
            number => match number.parse::<usize>() {
                Ok(number) => self.highest = self.highest.max(number),
                Err(_) => self.odd = Some(mark.clone()),
            },
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(value: Value) -> NamedQuery {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_query_that_could_only_fail_later_is_refused_at_once() {
        let cases = [
            (json!({"name": "Bad Name", "sql": "SELECT 1"}), "is named with"),
            (json!({"name": "a", "sql": "SELECT"}), "cannot be understood"),
            (json!({"name": "a", "sql": "SELECT 1; SELECT 2"}), "one statement"),
            (json!({"name": "a", "sql": "DELETE FROM t"}), "writes = true"),
            (json!({"name": "a", "sql": "SELECT 1", "writes": true}), "only reads"),
            (json!({"name": "a", "sql": "DROP TABLE t", "writes": true}), "migrate"),
            (
                json!({"name": "a", "sql": "SELECT $1 + $2", "parameters": [{"name": "x", "type": "integer"}]}),
                "has 2 parameters",
            ),
            (
                json!({"name": "a", "sql": "SELECT 1", "parameters": [{"name": "x", "type": "integer"}]}),
                "has 0 parameters",
            ),
            (
                json!({"name": "a", "sql": "SELECT $1", "parameters": [{"name": "x", "type": "integer", "default": "y"}]}),
                "a whole number",
            ),
            (
                json!({"name": "a", "sql": "SELECT $1", "parameters": [{"name": "x", "type": "string", "enum": [1]}]}),
                "a string",
            ),
            (
                json!({"name": "a", "sql": "SELECT $1, $2", "parameters": [{"name": "x", "type": "string"}, {"name": "x", "type": "string"}]}),
                "two parameters",
            ),
        ];
        for (mut wire, expected) in cases {
            wire["description"] = json!("");
            let refused = format!("{:#}", Named::new(Dialect::Postgres, &query(wire.clone())).unwrap_err());
            assert!(refused.contains(expected), "{wire}: {refused}");
        }
    }

    #[test]
    fn arguments_are_what_their_parameters_say_or_refused() {
        let wire = json!({"name": "a", "description": "", "sql": "SELECT ?, ?, ?, ?, ?", "parameters": [
            {"name": "n", "type": "integer", "minimum": 1, "maximum": 9},
            {"name": "mood", "type": "string", "enum": ["sad", "happy"], "default": "sad"},
            {"name": "ids", "type": "integer", "list": true, "optional": true},
            {"name": "text", "type": "string", "max_length": 3, "optional": true},
            {"name": "yes", "type": "boolean", "optional": true}]});
        let named = Named::new(Dialect::Sqlite, &query(wire)).unwrap();
        let bind = |arguments: Value| named.bind(arguments.as_object().unwrap());
        assert_eq!(bind(json!({"n": 3})).unwrap(), [json!(3), json!("sad"), Value::Null, Value::Null, Value::Null]);
        let all = json!({"n": 9, "mood": "happy", "ids": [1, "9007199254740993"], "text": "äöü", "yes": false});
        assert_eq!(bind(all).unwrap()[2], json!([1, "9007199254740993"]));
        for wrong in [
            json!({}),
            json!({"n": null}),
            json!({"n": 1.5}),
            json!({"n": "x"}),
            json!({"n": 0}),
            json!({"n": 10}),
            json!({"n": 1, "mood": "bored"}),
            json!({"n": 1, "ids": 1}),
            json!({"n": 1, "ids": [true]}),
            json!({"n": 1, "text": "four"}),
            json!({"n": 1, "yes": "true"}),
            json!({"n": 1, "other": 1}),
        ] {
            assert_eq!(bind(wrong.clone()).unwrap_err().code(), "invalid_arguments", "{wrong}");
        }
        let schema = named.schema();
        assert_eq!(schema["required"], json!(["n"]));
        assert_eq!(schema["properties"]["ids"], json!({"type": "array", "items": {"type": "integer"}}));
        assert_eq!(schema["properties"]["n"], json!({"type": "integer", "minimum": 1.0, "maximum": 9.0}));
    }
}
