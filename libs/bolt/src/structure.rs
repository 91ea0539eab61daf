//! The structures of Bolt: nodes, relationships, paths, times and points, from the fields behind their tags and back.
//! Bolt 5 added text ids to the graph's and UTC to the moments; both forms are read, whatever was negotiated.

use std::vec::IntoIter;

use crate::{
    graph::{Node, Path, Point, Relationship, UnboundRelationship},
    packstream::{Malformed, Writer},
    temporal::Temporal,
    value::{Map, Value},
};

/// A structure's fields, taken one by one.
struct Fields {
    tag: u8,
    rest: IntoIter<Value>,
}

impl Fields {
    fn wrong(&self) -> Malformed {
        Malformed::Structure(self.tag)
    }

    fn next(&mut self) -> Result<Value, Malformed> {
        let wrong = self.wrong();
        self.rest.next().ok_or(wrong)
    }

    fn int(&mut self) -> Result<i64, Malformed> {
        self.next()?.as_int().ok_or(self.wrong())
    }

    /// A number that newer servers may leave out, since they have a text for it.
    fn number(&mut self) -> Result<i64, Malformed> {
        match self.next()? {
            Value::Int(number) => Ok(number),
            Value::Null => Ok(-1),
            _ => Err(self.wrong()),
        }
    }

    fn float(&mut self) -> Result<f64, Malformed> {
        match self.next()? {
            Value::Float(number) => Ok(number),
            _ => Err(self.wrong()),
        }
    }

    fn text(&mut self) -> Result<String, Malformed> {
        match self.next()? {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong()),
        }
    }

    /// The text id if there is one, else the number.
    fn element(&mut self, number: i64) -> Result<String, Malformed> {
        if self.rest.len() == 0 { Ok(number.to_string()) } else { self.text() }
    }

    fn map(&mut self) -> Result<Map, Malformed> {
        match self.next()? {
            Value::Map(map) => Ok(map),
            _ => Err(self.wrong()),
        }
    }

    fn list<T>(&mut self, item: impl Fn(Value) -> Option<T>) -> Result<Vec<T>, Malformed> {
        let Value::List(items) = self.next()? else { return Err(self.wrong()) };
        items.into_iter().map(|value| item(value).ok_or(self.wrong())).collect()
    }
}

/// The value that a tag and its fields make.
pub(crate) fn build(tag: u8, fields: Vec<Value>) -> Result<Value, Malformed> {
    let mut fields = Fields { tag, rest: fields.into_iter() };
    let from = &mut fields;
    let value = match tag {
        b'N' => Value::Node(Box::new(read_node(from)?)),
        b'R' => Value::Relationship(Box::new(read_relationship(from)?)),
        b'r' => Value::UnboundRelationship(Box::new(read_unbound(from)?)),
        b'P' => Value::Path(Box::new(read_path(from)?)),
        b'X' => Point { srid: from.int()?, x: from.float()?, y: from.float()?, z: None }.into(),
        b'Y' => Point { srid: from.int()?, x: from.float()?, y: from.float()?, z: Some(from.float()?) }.into(),
        _ => read_temporal(from)?.into(),
    };
    if fields.rest.len() == 0 { Ok(value) } else { Err(fields.wrong()) }
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn read_node(from: &mut Fields) -> Result<Node, Malformed> {
    let id = from.number()?;
    Ok(Node { id, labels: from.list(string)?, properties: from.map()?, element_id: from.element(id)? })
}

fn read_relationship(from: &mut Fields) -> Result<Relationship, Malformed> {
    let (id, start, end) = (from.number()?, from.number()?, from.number()?);
    Ok(Relationship {
        id,
        start,
        end,
        kind: from.text()?,
        properties: from.map()?,
        element_id: from.element(id)?,
        start_element_id: from.element(start)?,
        end_element_id: from.element(end)?,
    })
}

fn read_unbound(from: &mut Fields) -> Result<UnboundRelationship, Malformed> {
    let id = from.number()?;
    Ok(UnboundRelationship { id, kind: from.text()?, properties: from.map()?, element_id: from.element(id)? })
}

fn read_path(from: &mut Fields) -> Result<Path, Malformed> {
    let nodes = from.list(|value| match value {
        Value::Node(node) => Some(*node),
        _ => None,
    })?;
    let relationships = from.list(|value| match value {
        Value::UnboundRelationship(relationship) => Some(*relationship),
        _ => None,
    })?;
    let indices = from.list(|value| value.as_int())?;
    Path::new(nodes, relationships, &indices).ok_or(from.wrong())
}

fn read_temporal(from: &mut Fields) -> Result<Temporal, Malformed> {
    Ok(match from.tag {
        b'D' => Temporal::Date { days: from.int()? },
        b'T' => Temporal::Time { nanoseconds: from.int()?, offset: from.int()? },
        b't' => Temporal::LocalTime { nanoseconds: from.int()? },
        b'd' => Temporal::LocalDateTime { seconds: from.int()?, nanoseconds: from.int()? },
        b'I' => Temporal::DateTime { seconds: from.int()?, nanoseconds: from.int()?, offset: from.int()? },
        b'F' => {
            let (local, nanoseconds, offset) = (from.int()?, from.int()?, from.int()?);
            Temporal::DateTime { seconds: local.saturating_sub(offset), nanoseconds, offset }
        }
        b'i' | b'f' => {
            let local = from.tag == b'f';
            Temporal::ZonedDateTime { seconds: from.int()?, nanoseconds: from.int()?, zone: from.text()?, local }
        }
        b'E' => {
            let (months, days) = (from.int()?, from.int()?);
            Temporal::Duration { months, days, seconds: from.int()?, nanoseconds: from.int()? }
        }
        _ => return Err(from.wrong()),
    })
}

pub(crate) fn node(to: &mut Writer, node: &Node) -> Result<(), Malformed> {
    to.structure(4, b'N');
    to.int(node.id);
    to.list(node.labels.len())?;
    for label in &node.labels {
        to.text(label)?;
    }
    to.map(&node.properties)?;
    to.text(&node.element_id)
}

pub(crate) fn relationship(to: &mut Writer, relationship: &Relationship) -> Result<(), Malformed> {
    to.structure(8, b'R');
    for id in [relationship.id, relationship.start, relationship.end] {
        to.int(id);
    }
    to.text(&relationship.kind)?;
    to.map(&relationship.properties)?;
    to.text(&relationship.element_id)?;
    to.text(&relationship.start_element_id)?;
    to.text(&relationship.end_element_id)
}

pub(crate) fn unbound(to: &mut Writer, relationship: &UnboundRelationship) -> Result<(), Malformed> {
    to.structure(4, b'r');
    to.int(relationship.id);
    to.text(&relationship.kind)?;
    to.map(&relationship.properties)?;
    to.text(&relationship.element_id)
}

pub(crate) fn path(to: &mut Writer, path: &Path) -> Result<(), Malformed> {
    to.structure(3, b'P');
    to.list(path.nodes.len())?;
    for one in &path.nodes {
        node(to, one)?;
    }
    to.list(path.relationships.len())?;
    for one in &path.relationships {
        unbound(to, one)?;
    }
    to.list(path.steps.len() * 2)?;
    for (relationship, node) in &path.steps {
        to.int(*relationship);
        to.int(i64::try_from(*node).unwrap_or(i64::MAX));
    }
    Ok(())
}

fn ints(to: &mut Writer, tag: u8, fields: &[i64]) {
    to.structure(u8::try_from(fields.len()).unwrap_or(0), tag);
    for field in fields {
        to.int(*field);
    }
}

pub(crate) fn temporal(to: &mut Writer, temporal: &Temporal) -> Result<(), Malformed> {
    match temporal {
        Temporal::Date { days } => ints(to, b'D', &[*days]),
        Temporal::Time { nanoseconds, offset } => ints(to, b'T', &[*nanoseconds, *offset]),
        Temporal::LocalTime { nanoseconds } => ints(to, b't', &[*nanoseconds]),
        Temporal::LocalDateTime { seconds, nanoseconds } => ints(to, b'd', &[*seconds, *nanoseconds]),
        Temporal::DateTime { seconds, nanoseconds, offset } if to.utc => {
            ints(to, b'I', &[*seconds, *nanoseconds, *offset]);
        }
        Temporal::DateTime { seconds, nanoseconds, offset } => {
            ints(to, b'F', &[seconds.saturating_add(*offset), *nanoseconds, *offset]);
        }
        Temporal::ZonedDateTime { seconds, nanoseconds, zone, local } => {
            to.structure(3, if *local { b'f' } else { b'i' });
            to.int(*seconds);
            to.int(*nanoseconds);
            to.text(zone)?;
        }
        Temporal::Duration { months, days, seconds, nanoseconds } => {
            ints(to, b'E', &[*months, *days, *seconds, *nanoseconds]);
        }
    }
    Ok(())
}

pub(crate) fn point(to: &mut Writer, point: &Point) {
    to.structure(if point.z.is_some() { 4 } else { 3 }, if point.z.is_some() { b'Y' } else { b'X' });
    to.int(point.srid);
    to.float(point.x);
    to.float(point.y);
    if let Some(z) = point.z {
        to.float(z);
    }
}
