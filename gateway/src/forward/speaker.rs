//! What the client of a session's call has been given so far: nothing, or a stream, which is begun when there is something to say
//! before the answer.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    refusal::Refusal,
    session::{
        Session,
        ring::{Reader, Ring},
    },
};

/// What a session's call became, handed from its task to the client's connection.
pub(super) enum Outcome {
    Message { status: http::StatusCode, body: Bytes },
    Events(Reader),
}

/// The client's end of a call.
pub(super) type Tell = oneshot::Sender<Result<Outcome, Refusal>>;

/// What the client has been given so far: nothing, or a stream.
pub(super) struct Speaker {
    pub(super) tell: Option<Tell>,
    pub(super) ring: Option<Arc<Ring>>,
}

impl Speaker {
    /// The stream of the call, begun if need be.
    pub(super) fn stream(&mut self, session: &Session) -> Arc<Ring> {
        let ring = Arc::clone(self.ring.get_or_insert_with(|| session.rings.create()));
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(Ok(Outcome::Events(ring.attach(0))));
        }
        ring
    }

    /// Says the last word.
    pub(super) async fn finish(self, last: Result<(http::StatusCode, Bytes), (Refusal, Vec<u8>)>) {
        match (self.ring, self.tell, last) {
            (Some(ring), _, Ok((_, body))) => {
                ring.push(&body).await;
                ring.finish();
            }
            (Some(ring), _, Err((_, message))) => {
                ring.push(&message).await;
                ring.finish();
            }
            (None, Some(tell), last) => {
                let last = last.map(|(status, body)| Outcome::Message { status, body }).map_err(|(refusal, _)| refusal);
                let _ = tell.send(last);
            }
            (None, None, _) => {}
        }
    }
}
