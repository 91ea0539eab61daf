//! The rounds of a call told to its client: one message if it comes soon and alone, otherwise a stream.

use std::{collections::VecDeque, convert::Infallible};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;
use weft_wire::{envelope::Id, version::Era};

use super::Done;
use crate::{
    record::Late,
    refusal::Refusal,
    reply::{
        self, Body,
        relay::{KEEP_ALIVE, comment, frame},
    },
};

/// The rounds, told to the client: dropped with its connection, and the work with it.
pub(super) struct Telling {
    /// None once the last event is ready.
    work: Option<BoxFuture<'static, Done>>,
    heard: mpsc::Receiver<Vec<u8>>,
    ready: VecDeque<Frame<Bytes>>,
    id: Id<'static>,
    method: String,
    late: Late,
}

enum Heard {
    Note(Vec<u8>),
    Silence,
    Done(Done),
}

impl Telling {
    /// Of this work, and what is heard meanwhile.
    pub(super) fn of(
        work: BoxFuture<'static, Done>,
        heard: mpsc::Receiver<Vec<u8>>,
        (id, method): (Id<'static>, String),
        late: Late,
    ) -> Self {
        Self { work: Some(work), heard, ready: VecDeque::new(), id, method, late }
    }

    async fn hear(&mut self) -> Option<Heard> {
        let work = self.work.as_mut()?;
        Some(tokio::select! {
            biased;
            Some(note) = self.heard.recv() => Heard::Note(note),
            done = work => Heard::Done(done),
            () = tokio::time::sleep(KEEP_ALIVE) => Heard::Silence,
        })
    }

    /// One message if it comes soon and alone, otherwise a stream.
    pub(super) async fn begin(mut self) -> Result<Response<Body>, Refusal> {
        match self.hear().await {
            Some(Heard::Done(done)) if self.heard.is_empty() => {
                let (status, message) = done.inspect_err(|refusal| self.late.set(refusal.label()))?;
                let mut response = reply::json(message);
                *response.status_mut() = status;
                return Ok(response);
            }
            Some(heard) => self.take(heard),
            None => {}
        }
        let frames = stream::unfold(self, |mut telling| async move {
            while telling.ready.is_empty() {
                let heard = telling.hear().await?;
                telling.take(heard);
            }
            let next = telling.ready.pop_front()?;
            Some((Ok::<_, Infallible>(next), telling))
        });
        Ok(reply::events(Body::stream(StreamBody::new(frames))))
    }

    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Note(note) => self.ready.push_back(frame(&note)),
            Heard::Silence => self.ready.push_back(comment()),
            Heard::Done(done) => {
                self.work = None;
                while let Ok(note) = self.heard.try_recv() {
                    self.ready.push_back(frame(&note));
                }
                let last = match done {
                    Ok((_, message)) => message.to_vec(),
                    Err(refusal) => {
                        self.late.set(refusal.label());
                        refusal.to_message(Era::Stateless, Some(&self.id), &self.method)
                    }
                };
                self.ready.push_back(frame(&last));
            }
        }
    }
}
