//! Bytes of a body → messages, borrowed: the envelope and, inside `params`, only what routing needs.
//!
//! The whole input is checked as JSON, but only looked into where a router must look. A key that stands twice at any level
//! that is read is refused, compared as decoded text: two readers that disagree on which one counts are a way past every
//! check of headers against the body.

use std::{borrow::Cow, collections::HashSet, fmt, ops::Range};

use crate::{
    code,
    scanner::{Fault, Scanner},
};

mod params;

pub use params::{Meta, Params, Reference};

/// Bounds of what is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole input.
    pub bytes: usize,
    /// Levels of nesting.
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
    /// The id of the question.
    pub id: Id<'a>,
    /// Where the id stands.
    pub id_span: Range<usize>,
    /// Raw JSON; exactly one of `result` and `error` is there.
    pub result: Option<&'a str>,
    /// Raw JSON.
    pub error: Option<&'a str>,
}

/// A JSON-RPC id: a string or an integer, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id<'a>(Cow<'a, str>);

impl<'a> Id<'a> {
    /// The id as an integer.
    pub fn number(number: i64) -> Id<'static> {
        Id(number.to_string().into())
    }

    /// The id as raw JSON.
    pub fn as_raw(&self) -> &str {
        &self.0
    }

    /// The text of a string id.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        decode(&self.0)
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> Id<'static> {
        Id(self.0.into_owned().into())
    }

    fn parse(raw: &'a str) -> Option<Self> {
        let integer = |text: &str| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let known = if raw.starts_with('"') { decode(raw).is_some() } else { integer(raw) };
        known.then_some(Self(raw.into()))
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A string that was read, and where it stands, quotes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a> {
    /// The decoded text.
    pub value: Cow<'a, str>,
    /// Its place in the input.
    pub span: Range<usize>,
}

/// Why a body is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than the limit.
    #[error("the message is longer than {0} bytes")]
    TooLarge(usize),
    /// Not JSON.
    #[error("the message is not valid JSON at byte {0}")]
    Syntax(usize),
    /// Nested too deeply.
    #[error("the message is nested deeper than {0} levels")]
    TooDeep(usize),
    /// A key stands twice.
    #[error("the key {key:?} stands twice in one object; send it once")]
    Duplicate {
        /// The decoded key.
        key: String,
        /// The message's id, when it could be read.
        id: Option<Id<'static>>,
    },
    /// JSON, but not JSON-RPC.
    #[error("not a JSON-RPC 2.0 message: {why}")]
    Invalid {
        /// What is wrong.
        why: &'static str,
        /// The message's id, when it could be read.
        id: Option<Id<'static>>,
    },
    /// A member of `params` has the wrong type.
    #[error("invalid parameters: {why}")]
    Params {
        /// What is wrong.
        why: &'static str,
        /// The message's id, when it could be read.
        id: Option<Id<'static>>,
    },
    /// A batch without messages, or with too many.
    #[error("a batch must hold 1 to {0} messages")]
    Batch(usize),
}

impl Malformed {
    /// The JSON-RPC code that says this.
    pub const fn code(&self) -> i64 {
        match self {
            Self::Syntax(_) => code::PARSE_ERROR,
            Self::Params { .. } => code::INVALID_PARAMS,
            _ => code::INVALID_REQUEST,
        }
    }

    /// The id to answer with, when it could be read.
    pub const fn id(&self) -> Option<&Id<'static>> {
        match self {
            Self::Duplicate { id, .. } | Self::Invalid { id, .. } | Self::Params { id, .. } => id.as_ref(),
            _ => None,
        }
    }

    fn of(fault: Fault, limits: &Limits) -> Self {
        match fault {
            Fault::Syntax(at) => Self::Syntax(at),
            Fault::Deep => Self::TooDeep(limits.depth),
        }
    }
}

/// Reads a body.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Body<'a>, Malformed> {
    if bytes.len() > limits.bytes {
        return Err(Malformed::TooLarge(limits.bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Malformed::Syntax(error.valid_up_to()))?;
    let mut scanner = Scanner::new(text, 0..text.len(), limits.depth);
    let batch = scanner.peek() == Some(b'[');
    let whole = scanner.value().map_err(|fault| Malformed::of(fault, limits))?;
    if !scanner.at_end() {
        return Err(Malformed::of(scanner.fault(), limits));
    }
    if !batch {
        return message(text, whole).map(Body::One);
    }
    let mut entries = Vec::new();
    let mut scanner = Scanner::new(text, whole.start + 1..whole.end, limits.depth);
    while !scanner.take(b']') {
        let entry = scanner.value().map_err(|fault| Malformed::of(fault, limits))?;
        if entries.len() >= limits.batch {
            return Err(Malformed::Batch(limits.batch));
        }
        entries.push(message(text, entry));
        scanner.take(b',');
    }
    if entries.is_empty() { Err(Malformed::Batch(limits.batch)) } else { Ok(Body::Batch(entries)) }
}

/// Top-level members of a message.
#[derive(Default)]
struct Members {
    jsonrpc: Option<Range<usize>>,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
}

fn message(text: &str, place: Range<usize>) -> Result<Message<'_>, Malformed> {
    let mut members = Members::default();
    let walked = members_of(text, place, |key, value| {
        let slot = match key {
            "jsonrpc" => &mut members.jsonrpc,
            "id" => &mut members.id,
            "method" => &mut members.method,
            "params" => &mut members.params,
            "result" => &mut members.result,
            "error" => &mut members.error,
            _ => return,
        };
        *slot = Some(value);
    });
    let id_span = members.id.clone();
    let id = id_span.clone().and_then(|span| Id::parse(&text[span]));
    let known = || id.clone().map(Id::into_owned);
    let invalid = |why| Malformed::Invalid { why, id: known() };
    match walked {
        Ok(()) => {}
        Err(Walk::NotObject) => return Err(invalid("it is not an object")),
        Err(Walk::Duplicate(key)) => return Err(Malformed::Duplicate { key, id: known() }),
    }
    if members.jsonrpc.map(|span| &text[span]) != Some(r#""2.0""#) {
        return Err(invalid("\"jsonrpc\" must be \"2.0\""));
    }
    if id_span.is_some() && id.is_none() {
        return Err(invalid("\"id\" must be a string or an integer"));
    }
    let Some(method) = members.method else {
        let (Some(id), Some(id_span)) = (id.clone(), id_span) else {
            return Err(invalid("it has neither a method nor an id"));
        };
        let part = |span: Option<Range<usize>>| span.map(|span| &text[span]);
        return match (part(members.result), part(members.error)) {
            (None, None) => Err(invalid("it has neither method, result nor error")),
            (Some(_), Some(_)) => Err(invalid("it has both result and error")),
            (result, error) => Ok(Message::Response(Response { id, id_span, result, error })),
        };
    };
    if members.result.is_some() || members.error.is_some() {
        return Err(invalid("it has both a method and a result"));
    }
    let method = decode(&text[method]).ok_or_else(|| invalid("\"method\" must be a string"))?;
    let params = params::read(text, members.params).map_err(|wrong| wrong.with(known()))?;
    Ok(match (id.clone(), id_span) {
        (Some(id), Some(id_span)) => Message::Request(Request { id, id_span, method, params }),
        _ => Message::Notification(Notification { method, params }),
    })
}

/// Why an object could not be walked.
pub(crate) enum Walk {
    NotObject,
    Duplicate(String),
}

/// Calls `each` with every decoded key and the place of its value. The text is known to be valid JSON.
pub(crate) fn members_of<'a>(
    text: &'a str,
    place: Range<usize>,
    mut each: impl FnMut(&str, Range<usize>),
) -> Result<(), Walk> {
    let mut scanner = Scanner::new(text, place, usize::MAX);
    if !scanner.take(b'{') {
        return Err(Walk::NotObject);
    }
    let mut seen = Seen::default();
    while !scanner.take(b'}') {
        // Valid JSON was proved before; a fault here cannot be.
        let (Ok(key), Ok(value)) = (scanner.key(), scanner.value()) else { return Err(Walk::NotObject) };
        let key: Cow<'a, str> = decode(&text[key.clone()]).unwrap_or(Cow::Borrowed(&text[key]));
        if !seen.insert(&key) {
            return Err(Walk::Duplicate(key.into_owned()));
        }
        each(&key, value);
        scanner.take(b',');
    }
    Ok(())
}

/// The keys of one object: a list while they are few, because they almost always are.
#[derive(Default)]
struct Seen<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    const FEW: usize = 24;

    fn insert(&mut self, key: &Cow<'a, str>) -> bool {
        if self.few.contains(key) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(key.clone());
            return true;
        }
        self.many.insert(key.clone())
    }
}

/// The text of a JSON string; none when it is no string, or holds half of a surrogate pair.
pub(crate) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}
