//! Bytes of a body → messages, borrowed: the envelope and, inside `params`, only what routing needs.
//!
//! The whole input is checked as JSON in one pass, but only looked into where a router must look. A key that stands twice at
//! any level that is read is refused, compared as decoded text: two readers that disagree on which one counts are a way past
//! every check of headers against the body.

use std::{borrow::Cow, ops::Range};

use crate::scanner::{Fault, Scanner};

mod id;
mod malformed;
mod message;
mod params;

pub use id::Id;
pub use malformed::Malformed;
use malformed::{TORN, Wrong};
pub use params::{Meta, Params, Reference};

/// Bounds of what is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole input.
    pub bytes: usize,
    /// Levels of nesting; a flat message with parameters has two.
    pub depth: usize,
    /// Messages of a batch.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 64, batch: 100 }
    }
}

/// What a body holds. Whether a batch is allowed is the caller's question.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one message is what nearly every body holds; a box would be its only allocation"
)]
pub enum Body<'a> {
    /// One message.
    One(Message<'a>),
    /// Several, each good or bad by itself; spans are offsets into the whole input.
    Batch(Vec<Result<Message<'a>, Malformed>>),
}

/// A message.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// It wants an answer.
    Request(Request<'a>),
    /// It wants none.
    Notification(Notification<'a>),
    /// It is one.
    Response(Response<'a>),
}

/// A call.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Its id, verbatim.
    pub id: Id<'a>,
    /// Where the id stands.
    pub id_span: Range<usize>,
    /// Its method.
    pub method: Cow<'a, str>,
    /// What routing needs of its parameters.
    pub params: Params<'a>,
}

/// A message that wants no answer.
#[derive(Debug, Clone)]
pub struct Notification<'a> {
    /// Its method.
    pub method: Cow<'a, str>,
    /// What routing needs of its parameters.
    pub params: Params<'a>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    /// The id of the question; raw `null` in an error about a question that could not be read.
    pub id: Id<'a>,
    /// Where the id stands.
    pub id_span: Range<usize>,
    /// Raw JSON; exactly one of `result` and `error` is there.
    pub result: Option<&'a str>,
    /// Raw JSON.
    pub error: Option<&'a str>,
}

/// A string that was read, and where it stands, quotes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a> {
    /// The decoded text.
    pub value: Cow<'a, str>,
    /// Its place in the input.
    pub span: Range<usize>,
}

/// Reads a body: one message or a batch of them, in one pass.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Body<'a>, Malformed> {
    if bytes.len() > limits.bytes {
        return Err(Malformed::TooLarge(limits.bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Malformed::Encoding(error.valid_up_to()))?;
    let fault = |fault: Fault| Malformed::of(fault, limits);
    let mut scanner = Scanner::new(text, limits.depth);
    if scanner.peek() != Some(b'[') {
        let message = message::read(&mut scanner).map_err(fault)?;
        scanner.end().map_err(fault)?;
        return message.map(Body::One);
    }
    let mut entries = Vec::new();
    let mut more = scanner.enter(b'[', b']').map_err(fault)?;
    while more {
        // No more is read than may be answered.
        if entries.len() >= limits.batch {
            return Err(Malformed::Batch(limits.batch));
        }
        entries.push(message::read(&mut scanner).map_err(fault)?);
        more = scanner.more(b']').map_err(fault)?;
    }
    scanner.end().map_err(fault)?;
    if entries.is_empty() { Err(Malformed::Batch(limits.batch)) } else { Ok(Body::Batch(entries)) }
}
