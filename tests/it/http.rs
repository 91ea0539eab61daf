//! HTTP/1.1 over a plain socket, without any MCP library in between: a test sees what was sent, and when.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The longest wait for what should come; the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The messages of a stream, or the one of a plain answer.
    pub(crate) fn messages(&self) -> Vec<Value> {
        if self.header("content-type").is_some_and(|media| media.starts_with("text/event-stream")) {
            self.events().into_iter().filter_map(|(_, data)| serde_json::from_str(&data).ok()).collect()
        } else {
            vec![self.json()]
        }
    }

    /// The last message: the response.
    pub(crate) fn message(&self) -> Value {
        self.messages().pop().unwrap_or_else(|| panic!("no message: {}", self.text()))
    }

    /// Events as id and data.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        events(&self.text())
    }
}

/// Events of a stream's text as id and data; comments are left out.
pub(crate) fn events(text: &str) -> Vec<(String, String)> {
    let field = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim_start().to_owned()))
            .unwrap_or_default()
    };
    text.split("\n\n")
        .filter(|block| block.lines().any(|line| line.starts_with("data:") || line.starts_with("id:")))
        .map(|block| (field(block, "id:"), field(block, "data:")))
        .collect()
}

/// One connection for several requests, each answered before the next is sent.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        all.extend(headers);
        let head = head("POST", path, &all, body.len());
        self.reader.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut raw = Vec::new();
        while !raw.ends_with(b"\r\n\r\n") {
            assert!(self.reader.read_until(b'\n', &mut raw).unwrap() > 0, "the connection was closed");
        }
        let length = parse(&raw).header("content-length").map(|length| length.parse::<u64>().unwrap());
        match length {
            Some(length) => assert_eq!(self.reader.by_ref().take(length).read_to_end(&mut raw).unwrap() as u64, length),
            None if raw.starts_with(b"HTTP/1.1 202") => {}
            None => {
                while !raw.ends_with(b"\r\n0\r\n\r\n") {
                    assert!(self.reader.read_until(b'\n', &mut raw).unwrap() > 0, "the answer was cut");
                }
            }
        }
        parse(&raw)
    }
}

/// A request's first lines, up to its body.
fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\ncontent-length: {length}\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        head.push_str("host: 127.0.0.1\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

/// Sends a request on a connection of its own; gives the connection.
pub(crate) fn send(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = head(method, path, &[headers, &[("connection", "close")]].concat(), body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses early may close while the body is still on its way.
    let _ = stream.write_all(body);
    stream
}

/// Sends a request and reads the whole answer.
pub(crate) fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = send(port, method, path, headers, body);
    let mut raw = Vec::new();
    // What was received counts even if the end was a reset.
    let _ = stream.read_to_end(&mut raw);
    parse(&raw)
}

/// Takes an answer apart: head, and body in chunks or not.
pub(crate) fn parse(raw: &[u8]) -> Answer {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {raw:?}"));
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &raw[end + 4..];
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Answer { status, headers, body: if chunked { dechunk(body) } else { body.to_vec() } }
}

/// The content of chunks, as far as they came.
pub(crate) fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(line) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..line]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let chunk = &body[line + 2..];
        out.extend_from_slice(&chunk[..size.min(chunk.len())]);
        body = chunk.get(size + 2..).unwrap_or_default();
    }
    out
}

/// Reads from an open stream, behind what came of it before (`raw`), until all of its whole events satisfy `enough`.
pub(crate) fn read_until(stream: &mut TcpStream, raw: &mut Vec<u8>, enough: impl Fn(&str) -> bool) -> String {
    let mut part = [0; 4096];
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "nothing more came; so far: {}", String::from_utf8_lossy(raw));
        let mut text =
            if raw.windows(4).any(|window| window == b"\r\n\r\n") { parse(raw).text() } else { String::new() };
        // A read may end in the middle of an event.
        text.truncate(text.rfind("\n\n").map_or(0, |end| end + 2));
        if enough(&text) {
            return text;
        }
        let read = stream.read(&mut part).unwrap_or_else(|error| panic!("{error}; so far: {text}"));
        assert!(read > 0, "the stream ended; so far: {text}");
        raw.extend_from_slice(&part[..read]);
    }
}

/// Reads until the stream is over, by its end or by being cut, whatever comes before; one that goes on fails the test.
pub(crate) fn until_over(stream: &mut TcpStream, patience: Duration) {
    let (began, mut part) = (Instant::now(), [0; 4096]);
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    loop {
        let read = stream.read(&mut part);
        let is_open = match &read {
            Ok(read) => *read > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        if !is_open {
            return;
        }
        assert!(began.elapsed() < patience, "the stream is still open after {:?}", began.elapsed());
    }
}
