//! Streams of events in any chunks: every form of line, and bounds that hold however the bytes come.

use proptest::prelude::*;
use weft_wire::sse::{Decoder, Event, TooLarge, write_comment, write_event};

use crate::targets;

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
    let primed = Event { id: Some("1".into()), retry: Some(30), ..Event::default() };
    let named = Event { event: Some("e".into()), data: b" f".to_vec(), ..Event::default() };
    let emptied = Event { id: Some(String::new()), ..Event::default() };
    let expected = [data("a\nb"), primed, data("c\nd"), named, emptied];
    assert_eq!(all(&[text], 1000).unwrap(), expected);
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(all(&bytes, 1000).unwrap(), expected);
}

#[test]
fn a_retry_that_is_no_number_changes_nothing() {
    let events = all(&[b"retry: 5\nretry:\nretry: -1\nretry: 99999999999999999999999\n\n"], 100).unwrap();
    assert_eq!(events, [Event { retry: Some(5), ..Event::default() }]);
}

#[test]
fn an_event_that_never_ends_is_cut_off_for_good() {
    assert_eq!(all(&[b"data: ", &[b'x'; 200]], 100), Err(TooLarge(100)));
    assert_eq!(all(&[&b"data: 0123456789\n".repeat(20)], 100), Err(TooLarge(100)));
    assert!(all(&[&b"data: 0123456789\n\n".repeat(20)], 100).is_ok());
    let mut decoder = Decoder::new(8);
    decoder.feed(b"data: much too long\n\ndata: a\n\n");
    assert_eq!(decoder.next(), Err(TooLarge(8)));
    decoder.feed(b"data: b\n\n");
    assert_eq!(decoder.next(), Err(TooLarge(8)));
}

#[test]
fn a_stream_kept_alive_by_comments_never_grows() {
    let mut decoder = Decoder::new(64);
    for _ in 0..10_000 {
        decoder.feed(b": keep-alive\n");
        assert_eq!(decoder.next(), Ok(None));
    }
    decoder.feed(b"data: x\n\n");
    assert_eq!(decoder.next(), Ok(Some(data("x"))));
}

#[test]
fn what_is_written_cannot_add_fields_of_its_own() {
    let mut out = Vec::new();
    write_event(&mut out, Some("1\ndata: evil"), Some("e\r\nid: 2"), b"{}", Some(7));
    write_comment(&mut out, "a\ndata: evil");
    write_event(&mut out, Some("p"), None, b"", None);
    let first = Event { id: Some("1".into()), event: Some("e".into()), data: b"{}".to_vec(), retry: Some(7) };
    let priming = Event { id: Some("p".into()), ..Event::default() };
    assert_eq!(all(&[&out], 1000).unwrap(), [first, priming]);
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
        let expected: Vec<Event> = texts.iter().map(|text| Event { id: id.clone(), ..data(text) }).collect();
        prop_assert_eq!(all(&chunks, 10_000).unwrap(), expected);
    }

    #[test]
    fn any_stream_reads_as_a_plain_reader_reads_it(
        size in any::<u8>(),
        most in any::<u8>(),
        parts in prop::collection::vec(prop_oneof![
            "(data|id|event|retry|x)(: ?[a-z0-9:\\x00 ]{0,12})?", "[\\r\\n]{1,3}", ":[a-z]{0,4}", "\\PC{0,4}",
        ], 0..24),
    ) {
        let stream = [&[size, most][..], parts.concat().as_bytes()].concat();
        targets::sse::check(&stream);
    }
}
