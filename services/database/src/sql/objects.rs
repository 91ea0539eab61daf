//! What is in a database, as values: tables, columns, indexes and how they refer to each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ObjectKind {
    Schema,
    Table,
    View,
    Column,
    Index,
    Function,
}

/// Which objects to look for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) kind: ObjectKind,
    /// With `%` and `_`, whatever the case.
    pub(crate) pattern: String,
    pub(crate) schema: Option<String>,
    pub(crate) table: Option<String>,
    /// After this place in the order of the names.
    pub(crate) skip: u64,
    pub(crate) take: usize,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<String>,
    pub(crate) name: String,
    /// A column's type, a function's signature, an index's definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<String>,
    /// Estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Field {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) nullable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    /// What it is computed from, if it is: such a column cannot be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generated: Option<String>,
    /// `always` or `by default`, if the database gives out its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
    /// Its place in the primary key, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<u32>,
}

/// A reference from one table to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// `schema.table`, or `table` where there is one schema.
    pub(crate) from: String,
    pub(crate) columns: Vec<String>,
    pub(crate) to: String,
    pub(crate) to_columns: Vec<String>,
    /// What happens to the rows when the row referred to is deleted.
    pub(crate) on_delete: String,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) unique: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
}

/// Everything about one table or view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Described {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: ObjectKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
    /// Estimated where counting would be slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    pub(crate) columns: Vec<Field>,
    pub(crate) indexes: Vec<Index>,
    /// From this table.
    pub(crate) references: Vec<Relation>,
    /// To this table.
    pub(crate) referenced_by: Vec<Relation>,
    /// What rows must fulfil, beyond keys: CHECK and EXCLUDE.
    pub(crate) checks: Vec<String>,
    /// The statements that would make it.
    pub(crate) ddl: String,
}
