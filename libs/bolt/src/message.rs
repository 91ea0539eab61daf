//! What is said in either direction: requests to bytes, bytes to responses.

use crate::{
    error::Failure,
    handshake::Version,
    packstream::{Limits, Malformed, Reader, Writer},
    value::{Map, Value},
};

/// What a client says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request<'a> {
    Hello(&'a Map),
    Logon(&'a Map),
    Goodbye,
    Reset,
    Run { query: &'a str, parameters: &'a Map, extra: &'a Map },
    Pull(i64),
    Discard,
    Begin(&'a Map),
    Commit,
    Rollback,
    Route { context: &'a Map, database: Option<&'a str> },
}

impl Request<'_> {
    /// The bytes of the message, as this version of the protocol wants them.
    pub(crate) fn encode(self, version: Version, utc: bool) -> Result<Vec<u8>, Malformed> {
        let mut to = Writer::new(utc);
        match self {
            Self::Hello(extra) => with_map(&mut to, 0x01, extra)?,
            Self::Logon(auth) => with_map(&mut to, 0x6A, auth)?,
            Self::Goodbye => to.structure(0, 0x02),
            Self::Reset => to.structure(0, 0x0F),
            Self::Run { query, parameters, extra } => {
                to.structure(3, 0x10);
                to.text(query)?;
                to.map(parameters)?;
                to.map(extra)?;
            }
            Self::Pull(size) => with_map(&mut to, 0x3F, &Map::from([("n".to_owned(), size.into())]))?,
            Self::Discard => with_map(&mut to, 0x2F, &Map::from([("n".to_owned(), (-1).into())]))?,
            Self::Begin(extra) => with_map(&mut to, 0x11, extra)?,
            Self::Commit => to.structure(0, 0x12),
            Self::Rollback => to.structure(0, 0x13),
            Self::Route { context, database } => {
                to.structure(3, 0x66);
                to.map(context)?;
                to.list(0)?;
                let name = database.map_or(Value::Null, Value::from);
                // Before 4.4 the database's name stood alone.
                if version < (Version { major: 4, minor: 4 }) {
                    to.value(&name)?;
                } else {
                    let named = database.map(|_| ("db".to_owned(), name));
                    to.map(&named.into_iter().collect())?;
                }
            }
        }
        Ok(to.into_bytes())
    }
}

fn with_map(to: &mut Writer, tag: u8, map: &Map) -> Result<(), Malformed> {
    to.structure(1, tag);
    to.map(map)
}

/// What a server says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Response {
    Record(Vec<Value>),
    Success(Map),
    Failure(Failure),
    Ignored,
}

impl Response {
    pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let (tag, mut fields) = Reader::new(bytes, limits)?.message()?;
        let first = if fields.is_empty() { None } else { Some(fields.swap_remove(0)) };
        match (tag, first) {
            (0x71, Some(Value::List(values))) => Ok(Self::Record(values)),
            (0x70, Some(Value::Map(about))) => Ok(Self::Success(about)),
            (0x7F, Some(Value::Map(about))) => Ok(Self::Failure(failure(&about))),
            (0x7E, _) => Ok(Self::Ignored),
            _ => Err(Malformed::Message("it is none of the messages that a server sends")),
        }
    }
}

fn failure(about: &Map) -> Failure {
    let text = |key: &str| about.get(key).and_then(Value::as_str).map(str::to_owned);
    Failure {
        code: text("code").unwrap_or_else(|| "Neo.DatabaseError.General.UnknownError".to_owned()),
        message: text("message").unwrap_or_else(|| "the server does not say why".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V5: Version = Version { major: 5, minor: 4 };

    #[test]
    fn requests_are_the_published_bytes() {
        let empty = Map::new();
        let bytes = |request: Request<'_>| request.encode(V5, true).unwrap();
        assert_eq!(bytes(Request::Reset), [0xB0, 0x0F]);
        assert_eq!(bytes(Request::Goodbye), [0xB0, 0x02]);
        assert_eq!(bytes(Request::Commit), [0xB0, 0x12]);
        assert_eq!(bytes(Request::Rollback), [0xB0, 0x13]);
        assert_eq!(bytes(Request::Begin(&empty)), [0xB1, 0x11, 0xA0]);
        assert_eq!(bytes(Request::Pull(1000)), [0xB1, 0x3F, 0xA1, 0x81, b'n', 0xC9, 0x03, 0xE8]);
        assert_eq!(bytes(Request::Discard), [0xB1, 0x2F, 0xA1, 0x81, b'n', 0xFF]);
        let run = Request::Run { query: "RETURN 1", parameters: &empty, extra: &empty };
        assert_eq!(bytes(run), *b"\xB3\x10\x88RETURN 1\xA0\xA0");
    }

    #[test]
    fn the_database_of_a_routing_table_is_named_as_the_version_wants_it() {
        let context = Map::new();
        let route = Request::Route { context: &context, database: Some("x") };
        assert_eq!(route.encode(V5, true).unwrap(), *b"\xB3\x66\xA0\x90\xA1\x82db\x81x");
        assert_eq!(route.encode(Version { major: 4, minor: 3 }, true).unwrap(), *b"\xB3\x66\xA0\x90\x81x");
    }

    #[test]
    fn a_response_is_one_of_four() {
        let read = |bytes: &[u8]| Response::decode(bytes, &Limits::default());
        assert_eq!(read(b"\xB1\x71\x91\x01"), Ok(Response::Record(vec![1.into()])));
        assert_eq!(read(b"\xB1\x70\xA0"), Ok(Response::Success(Map::new())));
        assert_eq!(read(b"\xB0\x7E"), Ok(Response::Ignored));
        let Ok(Response::Failure(failure)) = read(b"\xB1\x7F\xA2\x84code\x81c\x87message\x81m") else {
            panic!("a failure is read")
        };
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("c", "m"));
        for bytes in [&b"\xB1\x70\x01"[..], b"\xB0\x70", b"\xB1\x99\xA0", b"\xA0", b"\xB1\x71\x91\x01\x01"] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
