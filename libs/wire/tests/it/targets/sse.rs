//! Any bytes as a stream: the chunks that they come in do not matter, and what is read is what a plain reader of whole
//! streams reads.
//!
//! The first byte is the size of a chunk, the second the limit of an event, in steps of eight bytes.

use weft_wire::sse::{Decoder, Event, TooLarge, write_event};

/// Panics when a property does not hold.
pub(crate) fn check(data: &[u8]) {
    let [size, most, stream @ ..] = data else { return };
    let most = usize::from(*most) * 8 + 8;
    let whole = decoded(stream, stream.len().max(1), most);
    assert_eq!(decoded(stream, usize::from(*size).max(1), most), whole, "chunks matter");
    let (events, failed) = whole;
    assert!(events.iter().all(|event| event.data.len() <= most));
    let plain = plain(stream);
    if failed.is_none() {
        assert_eq!(events, plain);
    }
    assert_eq!(decoded(stream, 1, usize::MAX / 2), (plain, None));
    for event in &events {
        let mut out = Vec::new();
        write_event(&mut out, event.id.as_deref(), event.event.as_deref(), &event.data, event.retry);
        let (again, _) = decoded(&out, 3, usize::MAX / 2);
        assert_eq!(again, std::slice::from_ref(event), "what is written");
    }
}

fn decoded(stream: &[u8], size: usize, most: usize) -> (Vec<Event>, Option<TooLarge>) {
    let mut decoder = Decoder::new(most);
    let mut events = Vec::new();
    for chunk in stream.chunks(size) {
        decoder.feed(chunk);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(fault) => return (events, Some(fault)),
            }
        }
    }
    (events, None)
}

/// WHATWG HTML section 9.2.6, written for a stream that is all there.
fn plain(stream: &[u8]) -> Vec<Event> {
    let text = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let (mut events, mut event, mut data) = (Vec::new(), Event::default(), None::<Vec<u8>>);
    for line in lines(text) {
        if line.is_empty() {
            let mut done = std::mem::take(&mut event);
            let lines = data.take();
            if lines.is_some() || done.id.is_some() || done.retry.is_some() {
                done.data = lines.unwrap_or_default();
                events.push(done);
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = String::from_utf8_lossy(value).into_owned();
        match &line[..colon] {
            b"data" => match &mut data {
                Some(lines) => lines.extend([b"\n", value].concat()),
                none => *none = Some(value.to_vec()),
            },
            b"event" => event.event = Some(text),
            b"id" if !value.contains(&0) => event.id = Some(text),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                event.retry = text.parse().ok().or(event.retry);
            }
            _ => {}
        }
    }
    events
}

/// The lines that have ended.
fn lines(mut text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let wide = text[end..].starts_with(b"\r\n");
        lines.push(&text[..end]);
        text = &text[end + 1 + usize::from(wide)..];
    }
    lines
}
