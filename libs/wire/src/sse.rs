//! Server-sent events (WHATWG HTML, section 9.2), read from chunks of any size and written whole.

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
/// An event without data is given too when it has an id or a retry: streams of MCP begin with such a one. A caller that takes
/// events until there are none before it feeds again makes it hold the largest event and one chunk, at most. What was too
/// large once stays so: the stream has lost its thread.
#[derive(Debug)]
pub struct Decoder {
    most: usize,
    buffer: Vec<u8>,
    /// Where the line that is next begins, and how far its end was looked for.
    at: usize,
    looked: usize,
    event: Event,
    has_data: bool,
    /// Bytes of the lines that the event was made of.
    size: usize,
    stage: Stage,
}

/// What the next byte may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A byte order mark.
    Start,
    /// The first byte of a line.
    Line,
    /// The same, or the second half of a line end.
    AfterReturn,
    /// Nothing any more.
    Failed,
}

impl Decoder {
    /// A decoder for events of at most `max_event` bytes, counted over their lines; no line may be longer either.
    pub const fn new(max_event: usize) -> Self {
        Self {
            most: max_event,
            buffer: Vec::new(),
            at: 0,
            looked: 0,
            event: Event { id: None, event: None, data: Vec::new(), retry: None },
            has_data: false,
            size: 0,
            stage: Stage::Start,
        }
    }

    /// Takes a chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.stage == Stage::Failed {
            return;
        }
        self.buffer.drain(..self.at);
        self.looked -= self.at;
        self.at = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event; none when more must be fed.
    #[expect(clippy::should_implement_trait, reason = "an iterator's `None` is final, this one is not")]
    pub fn next(&mut self) -> Result<Option<Event>, TooLarge> {
        if self.stage == Stage::Failed || !self.skip_mark() {
            return self.checked(0).map(|()| None);
        }
        while let Some((start, end)) = self.line() {
            self.checked(end - start)?;
            if start < end {
                self.field(start, end);
            } else if let Some(event) = self.dispatch() {
                return Ok(Some(event));
            }
        }
        self.checked(self.buffer.len() - self.at).map(|()| None)
    }

    /// Fails for good when a line of this length would be too much.
    fn checked(&mut self, line: usize) -> Result<(), TooLarge> {
        if self.size + line > self.most {
            self.stage = Stage::Failed;
            (self.buffer, self.event) = (Vec::new(), Event::default());
        }
        if self.stage == Stage::Failed { Err(TooLarge(self.most)) } else { Ok(()) }
    }

    /// A byte order mark may stand first; false while it cannot be told.
    fn skip_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.stage == Stage::Start {
            if self.buffer.starts_with(MARK) {
                self.at = MARK.len();
                self.looked = self.at;
            } else if MARK.starts_with(&self.buffer) {
                return false;
            }
            self.stage = Stage::Line;
        }
        true
    }

    /// The next line, without its end: CR, LF or both.
    fn line(&mut self) -> Option<(usize, usize)> {
        if self.stage == Stage::AfterReturn {
            if *self.buffer.get(self.at)? == b'\n' {
                self.at += 1;
                self.looked = self.at;
            }
            self.stage = Stage::Line;
        }
        let start = self.at;
        // A long line that comes in many chunks is searched once, not once a chunk.
        let Some(length) = memchr::memchr2(b'\r', b'\n', &self.buffer[self.looked..]) else {
            self.looked = self.buffer.len();
            return None;
        };
        let end = self.looked + length;
        if self.buffer[end] == b'\r' {
            self.stage = Stage::AfterReturn;
        }
        self.at = end + 1;
        self.looked = self.at;
        Some((start, end))
    }

    fn field(&mut self, start: usize, end: usize) {
        let line = &self.buffer[start..end];
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if self.has_data {
                    self.event.data.push(b'\n');
                }
                self.has_data = true;
                self.event.data.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => self.event.id = Some(text()),
            b"event" => self.event.event = Some(text()),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = text().parse().ok().or(self.event.retry);
            }
            // Comments and what is unknown leave nothing behind, so they may go on for ever.
            _ => return,
        }
        self.size += end - start;
    }

    fn dispatch(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        let said = self.has_data || event.id.is_some() || event.retry.is_some();
        (self.has_data, self.size) = (false, 0);
        said.then_some(event)
    }
}

/// Writes an event. `data` may hold line ends; `id` and `event` are cut at one, because they cannot.
pub fn write_event(out: &mut Vec<u8>, id: Option<&str>, event: Option<&str>, data: &[u8], retry: Option<u64>) {
    let mut line = |name: &str, text: &str| {
        let text = text.split(['\r', '\n']).next().unwrap_or_default();
        for part in [name, ": ", text, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    if let Some(id) = id {
        // Readers pass over an id with this character in it.
        line("id", id.split('\0').next().unwrap_or_default());
    }
    if let Some(event) = event {
        line("event", event);
    }
    if let Some(retry) = retry {
        line("retry", &retry.to_string());
    }
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
