//! PackStream, version 1: values as bytes and back. The two directions are files of their own; what bounds them is here.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::Reader;
pub(crate) use encode::Writer;

use crate::value::Value;

/// What a server may make us hold, per message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message.
    pub bytes: usize,
    /// Values in one message, however small: each takes some 32 bytes here, and one on the wire.
    pub values: usize,
    /// Values within values.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, values: 500_000, depth: 64 }
    }
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end early.
    #[error("it ends in the middle of a value")]
    Short,
    /// Bytes are left over.
    #[error("it goes on behind its last value")]
    Trailing,
    /// No value, or no key of a map, begins so.
    #[error("nothing that fits here begins with the byte {0:#04x}")]
    Marker(u8),
    /// A text that is none.
    #[error("a text is not UTF-8")]
    Text,
    /// Over the limit of depth.
    #[error("its values are nested deeper than {0}")]
    Deep(usize),
    /// Over the limit of bytes or of values.
    #[error("it is larger than the limit of {0} bytes or values")]
    Large(usize),
    /// A structure of an unknown kind, or with other fields than its kind has.
    #[error("a structure {0:#04x} is not known, or has fields that it should not have")]
    Structure(u8),
    /// A message that does not belong here.
    #[error("{0}")]
    Message(&'static str),
}

/// The one value that `bytes` are.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Value, Malformed> {
    let mut reader = Reader::new(bytes, limits)?;
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

/// The bytes of a value. With `utc`, as Bolt 5 wants moments: in UTC.
pub fn encode(value: &Value, utc: bool) -> Result<Vec<u8>, Malformed> {
    let mut writer = Writer::new(utc);
    writer.value(value)?;
    Ok(writer.into_bytes())
}
