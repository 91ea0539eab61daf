//! The values of a graph database: what parameters and records are made of. Kept at 32 bytes, since a hostile server chooses
//! how many there are.

use std::collections::BTreeMap;

use crate::{
    graph::{Node, Path, Point, Relationship, UnboundRelationship},
    temporal::Temporal,
};

/// A map of values by name.
pub type Map = BTreeMap<String, Value>;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, or not known.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number of double precision.
    Float(f64),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A text.
    String(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(Map),
    /// A node.
    Node(Box<Node>),
    /// A relationship and its ends.
    Relationship(Box<Relationship>),
    /// A relationship as it stands in a path, without its ends.
    UnboundRelationship(Box<UnboundRelationship>),
    /// A walk through the graph.
    Path(Box<Path>),
    /// A date, a time, both, or a duration.
    Temporal(Box<Temporal>),
    /// A point in two or three dimensions.
    Point(Box<Point>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<Temporal> for Value {
    fn from(temporal: Temporal) -> Self {
        Self::Temporal(Box::new(temporal))
    }
}

impl From<Point> for Value {
    fn from(point: Point) -> Self {
        Self::Point(Box::new(point))
    }
}

impl From<Node> for Value {
    fn from(node: Node) -> Self {
        Self::Node(Box::new(node))
    }
}

impl From<Relationship> for Value {
    fn from(relationship: Relationship) -> Self {
        Self::Relationship(Box::new(relationship))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_small_whatever_it_is() {
        assert!(size_of::<Value>() <= 32, "{}", size_of::<Value>());
    }
}
