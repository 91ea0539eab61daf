//! Server-sent events (WHATWG HTML, section 9.2), read from chunks of any size and written whole.

use std::fmt::Write as _;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its id, when it has one of its own.
    pub id: Option<String>,
    /// Its type, when given.
    pub event: Option<String>,
    /// Its data, lines joined with a line feed.
    pub data: Vec<u8>,
    /// The wish to wait this long before reconnecting, milliseconds.
    pub retry: Option<u64>,
}

/// An event grew beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {0} bytes")]
pub struct TooLarge(pub usize);

/// Turns chunks into events.
///
/// An event without data is given too when it has an id or a retry: streams of MCP begin with such a one. What memory it
/// holds is bounded by the largest event and the last chunk.
#[derive(Debug)]
pub struct Decoder {
    most: usize,
    buffer: Vec<u8>,
    at: usize,
    event: Event,
    lines: usize,
    size: usize,
    began: bool,
    after_cr: bool,
}

impl Decoder {
    /// A decoder for events of at most `most` bytes.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            buffer: Vec::new(),
            at: 0,
            event: Event { id: None, event: None, data: Vec::new(), retry: None },
            lines: 0,
            size: 0,
            began: false,
            after_cr: false,
        }
    }

    /// Takes a chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event; none when more must be fed.
    #[expect(clippy::should_implement_trait, reason = "an iterator's `None` is final, this one is not")]
    pub fn next(&mut self) -> Result<Option<Event>, TooLarge> {
        self.skip_mark();
        while let Some((start, end)) = self.line() {
            if start == end {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
                continue;
            }
            self.size += end - start;
            if self.size > self.most {
                return Err(TooLarge(self.most));
            }
            self.field(start, end);
        }
        if self.buffer.len() - self.at + self.size > self.most { Err(TooLarge(self.most)) } else { Ok(None) }
    }

    /// A byte order mark may stand first.
    fn skip_mark(&mut self) {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.began || self.buffer.is_empty() {
            return;
        }
        let pending = &self.buffer[self.at..];
        if pending.starts_with(MARK) {
            self.at += MARK.len();
        } else if MARK.starts_with(pending) {
            return;
        }
        self.began = true;
    }

    /// The next line, without its end: CR, LF or both.
    fn line(&mut self) -> Option<(usize, usize)> {
        if !self.began {
            return None;
        }
        if self.after_cr {
            match self.buffer.get(self.at) {
                None => return None,
                Some(b'\n') => self.at += 1,
                Some(_) => {}
            }
            self.after_cr = false;
        }
        let start = self.at;
        let length = memchr::memchr2(b'\r', b'\n', &self.buffer[start..])?;
        let end = start + length;
        self.after_cr = self.buffer[end] == b'\r';
        self.at = end + 1;
        Some((start, end))
    }

    fn field(&mut self, start: usize, end: usize) {
        let line = &self.buffer[start..end];
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.lines > 0 {
                    self.event.data.push(b'\n');
                }
                self.lines += 1;
                self.event.data.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => self.event.id = Some(String::from_utf8_lossy(value).into_owned()),
            b"event" => self.event.event = Some(String::from_utf8_lossy(value).into_owned()),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        let said = self.lines > 0 || event.id.is_some() || event.retry.is_some();
        (self.lines, self.size) = (0, 0);
        said.then_some(event)
    }
}

/// Writes an event. `data` may hold line ends; `id` and `event` are cut at one, because they cannot.
pub fn write_event(out: &mut Vec<u8>, id: Option<&str>, event: Option<&str>, data: &[u8], retry: Option<u64>) {
    let one_line = |text: &str| text.split(['\r', '\n', '\0']).next().unwrap_or_default().to_owned();
    let mut head = String::new();
    if let Some(id) = id {
        let _ = writeln!(head, "id: {}", one_line(id));
    }
    if let Some(event) = event {
        let _ = writeln!(head, "event: {}", one_line(event));
    }
    if let Some(retry) = retry {
        let _ = writeln!(head, "retry: {retry}");
    }
    out.extend_from_slice(head.as_bytes());
    let mut rest = data;
    loop {
        let end = memchr::memchr2(b'\r', b'\n', rest);
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
        out.push(b'\n');
        let Some(end) = end else { break };
        let wide = rest[end] == b'\r' && rest.get(end + 1) == Some(&b'\n');
        rest = &rest[end + 1 + usize::from(wide)..];
    }
    out.push(b'\n');
}

/// Writes a comment, which keeps a stream alive and means nothing.
pub fn write_comment(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b": ");
    out.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(chunks: &[&[u8]], most: usize) -> Result<Vec<Event>, TooLarge> {
        let mut decoder = Decoder::new(most);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk);
            while let Some(event) = decoder.next()? {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn data(text: &str) -> Event {
        Event { data: text.into(), ..Event::default() }
    }

    #[test]
    fn every_line_end_and_field_is_read() {
        let text = b"\xef\xbb\xbf: hi\r\ndata: a\r\ndata:b\r\n\r\nid: 1\nretry: 30\ndata\n\ndata: c\rdata: d\r\rretry: x\nid: a\0b\nevent: e\ndata:  f\n\nid\n\n";
        let events = all(&[text], 1000).unwrap();
        let primed = Event { id: Some("1".into()), retry: Some(30), ..Event::default() };
        let named = Event { event: Some("e".into()), data: b" f".to_vec(), ..Event::default() };
        let emptied = Event { id: Some(String::new()), ..Event::default() };
        assert_eq!(events, [data("a\nb"), primed, data("c\nd"), named, emptied]);
    }

    #[test]
    fn an_event_that_never_ends_is_cut_off() {
        assert_eq!(all(&[b"data: ", &[b'x'; 200]], 100), Err(TooLarge(100)));
        let lines = b"data: 0123456789\n".repeat(20);
        assert_eq!(all(&[&lines], 100), Err(TooLarge(100)));
        assert!(all(&[&b"data: 0123456789\n\n".repeat(20)], 400).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_in_any_chunks(
            texts in prop::collection::vec("[a-z\\n:{} ]{0,40}", 1..6),
            id in prop::option::of("[a-z0-9-]{1,8}"),
            size in 1_usize..9,
        ) {
            let mut out = Vec::new();
            for text in &texts {
                write_comment(&mut out, "tick");
                write_event(&mut out, id.as_deref(), None, text.as_bytes(), None);
            }
            let chunks: Vec<&[u8]> = out.chunks(size).collect();
            let events = all(&chunks, 10_000).unwrap();
            let expected: Vec<Event> = texts.iter().map(|text| Event { id: id.clone(), ..data(text) }).collect();
            prop_assert_eq!(events, expected);
        }
    }
}
