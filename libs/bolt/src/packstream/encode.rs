//! Values to bytes, each in the shortest form that the format has for it.

use super::Malformed;
use crate::{
    structure,
    value::{Map, Value},
};

/// Bytes so far.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    pub(crate) utc: bool,
}

/// What has a size in front: the markers of its forms.
#[derive(Clone, Copy)]
enum Sized {
    Bytes,
    String,
    List,
    Map,
}

impl Writer {
    pub(crate) fn new(utc: bool) -> Self {
        Self { bytes: Vec::new(), utc }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends a value.
    pub(crate) fn value(&mut self, value: &Value) -> Result<(), Malformed> {
        match value {
            Value::Null => self.bytes.push(0xC0),
            Value::Bool(truth) => self.bytes.push(if *truth { 0xC3 } else { 0xC2 }),
            Value::Int(number) => self.int(*number),
            Value::Float(number) => self.float(*number),
            Value::Bytes(bytes) => {
                self.size(Sized::Bytes, bytes.len())?;
                self.bytes.extend_from_slice(bytes);
            }
            Value::String(text) => self.text(text)?,
            Value::List(items) => {
                self.list(items.len())?;
                for item in items {
                    self.value(item)?;
                }
            }
            Value::Map(map) => self.map(map)?,
            Value::Node(node) => structure::node(self, node)?,
            Value::Relationship(relationship) => structure::relationship(self, relationship)?,
            Value::UnboundRelationship(relationship) => structure::unbound(self, relationship)?,
            Value::Path(path) => structure::path(self, path)?,
            Value::Temporal(temporal) => structure::temporal(self, temporal)?,
            Value::Point(point) => structure::point(self, point),
        }
        Ok(())
    }

    /// Begins a structure (or a message) of that many fields.
    pub(crate) fn structure(&mut self, fields: u8, tag: u8) {
        self.bytes.extend_from_slice(&[0xB0 | (fields & 0x0F), tag]);
    }

    /// Begins a list of that many items.
    pub(crate) fn list(&mut self, items: usize) -> Result<(), Malformed> {
        self.size(Sized::List, items)
    }

    pub(crate) fn map(&mut self, map: &Map) -> Result<(), Malformed> {
        self.size(Sized::Map, map.len())?;
        for (key, value) in map {
            self.text(key)?;
            self.value(value)?;
        }
        Ok(())
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), Malformed> {
        self.size(Sized::String, text.len())?;
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    pub(crate) fn int(&mut self, number: i64) {
        if let Ok(small) = i8::try_from(number) {
            if small < -16 {
                self.bytes.push(0xC8);
            }
            self.bytes.push(small.cast_unsigned());
        } else if let Ok(number) = i16::try_from(number) {
            self.bytes.push(0xC9);
            self.bytes.extend_from_slice(&number.to_be_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.bytes.push(0xCA);
            self.bytes.extend_from_slice(&number.to_be_bytes());
        } else {
            self.bytes.push(0xCB);
            self.bytes.extend_from_slice(&number.to_be_bytes());
        }
    }

    pub(crate) fn float(&mut self, number: f64) {
        self.bytes.push(0xC1);
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    fn size(&mut self, of: Sized, size: usize) -> Result<(), Malformed> {
        let (tiny, wide) = match of {
            Sized::Bytes => (None, 0xCC),
            Sized::String => (Some(0x80), 0xD0),
            Sized::List => (Some(0x90), 0xD4),
            Sized::Map => (Some(0xA0), 0xD8),
        };
        if let Ok(size) = u8::try_from(size) {
            match tiny {
                Some(tiny) if size < 16 => self.bytes.push(tiny | size),
                _ => self.bytes.extend_from_slice(&[wide, size]),
            }
        } else if let Ok(size) = u16::try_from(size) {
            self.bytes.push(wide + 1);
            self.bytes.extend_from_slice(&size.to_be_bytes());
        } else {
            let size = u32::try_from(size).map_err(|_| Malformed::Large(u32::MAX as usize))?;
            self.bytes.push(wide + 2);
            self.bytes.extend_from_slice(&size.to_be_bytes());
        }
        Ok(())
    }
}
