//! A call under way at a server of the session era, told to a client of the stateless era event by event, to a last one.

use std::{collections::VecDeque, convert::Infallible};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use weft_wire::version::Era;

use super::{
    held,
    tail::{Heard, Tail},
};
use crate::{
    refusal::Broken,
    reply::{
        Body, events, json,
        relay::{KEEP_ALIVE, comment, frame},
    },
};

/// A stream that begins with `first` and goes on with what is heard.
pub(super) fn body(first: Frame<Bytes>, tail: Tail) -> Body {
    let telling = Telling { tail: Some(tail), ready: [first].into() };
    let frames = stream::unfold(Some(telling), |telling| async move { telling?.next().await });
    Body::stream(StreamBody::new(frames))
}

/// What was heard before a question, and the question: as one message where there is nothing else.
pub(super) fn at_once(notes: &[Vec<u8>], last: Vec<u8>) -> Response<Body> {
    if notes.is_empty() {
        return json(last);
    }
    let frames: Vec<_> = notes.iter().chain([&last]).map(|message| Ok::<_, Infallible>(frame(message))).collect();
    events(Body::stream(StreamBody::new(stream::iter(frames))))
}

/// A call under way, told to the client event by event.
struct Telling {
    /// None once the last event is ready.
    tail: Option<Tail>,
    ready: VecDeque<Frame<Bytes>>,
}

type Step = (Result<Frame<Bytes>, Infallible>, Option<Telling>);

impl Telling {
    async fn next(mut self) -> Option<Step> {
        while self.ready.is_empty() {
            let mut tail = self.tail.take()?;
            let until = tail.until;
            let heard = tokio::select! {
                heard = tail.hear() => heard,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    self.ready.push_back(comment());
                    self.tail = Some(tail);
                    break;
                }
                () = tokio::time::sleep_until(until) => Heard::Lost(tail.refusal(Broken::Timeout)),
            };
            self.take(heard, tail);
        }
        let next = self.ready.pop_front()?;
        Some((Ok(next), Some(self)))
    }

    fn take(&mut self, heard: Heard, tail: Tail) {
        match heard {
            Heard::Note(note) => {
                self.ready.push_back(frame(&note));
                self.tail = Some(tail);
            }
            Heard::Last(_, message) => self.ready.push_back(frame(&message)),
            Heard::Lost(refusal) => self.ready.push_back(frame(&tail.told(&refusal))),
            Heard::Questions(notes, questions) => {
                self.ready.extend(notes.iter().map(|note| frame(note)));
                let (id, method) = (tail.client.id.clone(), tail.client.method.clone());
                let last = held::park(tail, questions)
                    .unwrap_or_else(|refusal| refusal.to_message(Era::Stateless, Some(&id), &method));
                self.ready.push_back(frame(&last));
            }
        }
    }
}
