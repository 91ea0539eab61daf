//! Bytes to values. Nothing is reserved on the word of a header: a list of four billion items costs a hostile server its
//! items.

use super::{Limits, Malformed};
use crate::{
    structure,
    value::{Map, Value},
};

/// How many items are reserved for at once.
const RESERVE: usize = 64;

/// A place in the bytes of one message.
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    values: usize,
    depth: usize,
    limits: Limits,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8], limits: &Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.bytes {
            return Err(Malformed::Large(limits.bytes));
        }
        Ok(Self { bytes, values: 0, depth: 0, limits: *limits })
    }

    /// The next value.
    pub(crate) fn value(&mut self) -> Result<Value, Malformed> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Malformed::Large(self.limits.values));
        }
        let marker = self.byte()?;
        let low = usize::from(marker & 0x0F);
        Ok(match marker {
            0x00..=0x7F | 0xF0..=0xFF => Value::Int(i64::from(marker.cast_signed())),
            0xC8 => Value::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xC9 => Value::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xCA => Value::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xCB => Value::Int(i64::from_be_bytes(self.array()?)),
            0xC0 => Value::Null,
            0xC1 => Value::Float(f64::from_be_bytes(self.array()?)),
            0xC2 => Value::Bool(false),
            0xC3 => Value::Bool(true),
            0xCC..=0xCE => {
                let length = self.size(marker - 0xCC)?;
                Value::Bytes(self.take(length)?.to_vec())
            }
            0x80..=0x8F => Value::String(self.text(low)?),
            0xD0..=0xD2 => {
                let length = self.size(marker - 0xD0)?;
                Value::String(self.text(length)?)
            }
            0x90..=0x9F => Value::List(self.within(|reader| reader.items(low))?),
            0xD4..=0xD6 => {
                let length = self.size(marker - 0xD4)?;
                Value::List(self.within(|reader| reader.items(length))?)
            }
            0xA0..=0xAF => Value::Map(self.within(|reader| reader.entries(low))?),
            0xD8..=0xDA => {
                let length = self.size(marker - 0xD8)?;
                Value::Map(self.within(|reader| reader.entries(length))?)
            }
            0xB0..=0xBF => {
                let tag = self.byte()?;
                structure::build(tag, self.within(|reader| reader.items(low))?)?
            }
            _ => return Err(Malformed::Marker(marker)),
        })
    }

    /// The tag of a message and its fields.
    pub(crate) fn message(&mut self) -> Result<(u8, Vec<Value>), Malformed> {
        let marker = self.byte()?;
        if marker & 0xF0 != 0xB0 {
            return Err(Malformed::Marker(marker));
        }
        let tag = self.byte()?;
        let fields = self.items(usize::from(marker & 0x0F))?;
        self.end()?;
        Ok((tag, fields))
    }

    /// That nothing follows.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }

    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Result<T, Malformed> {
        if self.depth == self.limits.depth {
            return Err(Malformed::Deep(self.limits.depth));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn items(&mut self, length: usize) -> Result<Vec<Value>, Malformed> {
        let mut items = Vec::with_capacity(length.min(RESERVE));
        for _ in 0..length {
            items.push(self.value()?);
        }
        Ok(items)
    }

    fn entries(&mut self, length: usize) -> Result<Map, Malformed> {
        let mut entries = Map::new();
        for _ in 0..length {
            let marker = self.byte()?;
            let length = match marker {
                0x80..=0x8F => usize::from(marker & 0x0F),
                0xD0..=0xD2 => self.size(marker - 0xD0)?,
                _ => return Err(Malformed::Marker(marker)),
            };
            let key = self.text(length)?;
            entries.insert(key, self.value()?);
        }
        Ok(entries)
    }

    fn text(&mut self, length: usize) -> Result<String, Malformed> {
        std::str::from_utf8(self.take(length)?).map(str::to_owned).map_err(|_| Malformed::Text)
    }

    /// A size of 1, 2 or 4 bytes, for 0, 1 or 2.
    fn size(&mut self, width: u8) -> Result<usize, Malformed> {
        let size = match width {
            0 => u32::from(self.byte()?),
            1 => u32::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?),
        };
        usize::try_from(size).map_err(|_| Malformed::Large(self.limits.bytes))
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(Malformed::Short)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Malformed::Short)?;
        self.bytes = rest;
        Ok(taken)
    }
}
