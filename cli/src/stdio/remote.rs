//! The endpoint over HTTP: requests with their headers, tried again while it cannot be reached, and answers message by message.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::BoxStream};
use reqwest::{Client, RequestBuilder, Response, Url};
use weft_wire::{headers, sse::Decoder, version::Version};

use super::bridge::Session;

/// The endpoint.
pub(super) struct Remote {
    client: Client,
    url: Url,
    patience: Duration,
}

/// The largest event.
const EVENT: usize = 64 << 20;

/// Part of an answer.
pub(super) enum Said {
    Message(Vec<u8>),
    /// Where a lost stream is taken up again.
    Place(String),
    /// There is no answer, and why.
    Failed(String),
}

/// An answer that has begun.
pub(super) struct Posted {
    pub(super) status: u16,
    /// The session that it begins.
    pub(super) session: Option<String>,
    ready: VecDeque<Said>,
    stream: Option<(Decoder, BoxStream<'static, reqwest::Result<bytes::Bytes>>)>,
}

impl Remote {
    pub(super) const fn new(client: Client, url: Url, patience: Duration) -> Self {
        Self { client, url, patience }
    }

    /// Sends a message; `mirrored` are the method and name of the stateless era.
    pub(super) async fn post(
        &self,
        text: &str,
        session: &Session,
        mirrored: Option<&(String, Option<String>)>,
    ) -> Result<Posted, String> {
        let build = || {
            let request = self.client.post(self.url.clone()).body(text.to_owned());
            let request = request.header("content-type", "application/json");
            match mirrored {
                None => of_session(request, session),
                Some((method, name)) => {
                    let request = request.header(headers::PROTOCOL_VERSION, Version::LATEST.as_str());
                    let request = request.header(headers::METHOD, method);
                    match name {
                        Some(name) => request.header(headers::NAME, name),
                        None => request,
                    }
                }
            }
        };
        self.send(build).await
    }

    /// Opens the session's stream, or takes one up behind event `last`.
    pub(super) async fn get(&self, session: &Session, last: Option<&str>) -> Result<Posted, String> {
        let build = || {
            let request = of_session(self.client.get(self.url.clone()), session);
            match last {
                Some(last) => request.header(headers::LAST_EVENT_ID, last),
                None => request,
            }
        };
        self.send(build).await
    }

    pub(super) async fn delete(&self, session: &Session) {
        let request = of_session(self.client.delete(self.url.clone()), session);
        // It is forgotten in time if this does not arrive.
        let _ = request.timeout(Duration::from_secs(2)).send().await;
    }

    /// Sends what `build` makes, again and again while nothing of it can have arrived.
    async fn send(&self, build: impl Fn() -> RequestBuilder) -> Result<Posted, String> {
        let began = Instant::now();
        let mut wait = Duration::from_millis(100);
        loop {
            let sent = build().header("accept", "application/json, text/event-stream").send().await;
            match sent {
                Ok(response) => return Posted::of(response).await,
                Err(error) if error.is_connect() && began.elapsed() + wait < self.patience => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
                Err(error) if error.is_connect() => {
                    return Err(format!("{} cannot be reached; is the gateway running?", self.url));
                }
                Err(error) => return Err(format!("{} did not answer: {error}", self.url)),
            }
        }
    }
}

fn of_session(request: RequestBuilder, session: &Session) -> RequestBuilder {
    let request = match &session.token {
        Some(token) => request.header(headers::SESSION_ID, token),
        None => request,
    };
    match &session.version {
        Some(version) => request.header(headers::PROTOCOL_VERSION, version),
        None => request,
    }
}

impl Posted {
    async fn of(response: Response) -> Result<Self, String> {
        let status = response.status().as_u16();
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (session, media) = (text(headers::SESSION_ID), text("content-type").unwrap_or_default());
        let mut posted = Self { status, session, ready: VecDeque::new(), stream: None };
        if media.starts_with("text/event-stream") {
            posted.stream = Some((Decoder::new(EVENT), response.bytes_stream().boxed()));
            return Ok(posted);
        }
        let url = response.url().clone();
        let body = response.bytes().await.map_err(|error| format!("the answer broke off: {error}"))?;
        let is_message = media.starts_with("application/json") && weft_wire::reply::scan(&body).is_response;
        match status {
            _ if is_message => posted.ready.push_back(Said::Message(body.to_vec())),
            200..=299 => {}
            401 | 403 => posted
                .ready
                .push_back(Said::Failed(format!("{url} refuses us ({status}); give a --token or certificate"))),
            _ => posted
                .ready
                .push_back(Said::Failed(format!("{url} answered with status {status}; is it an MCP endpoint?"))),
        }
        Ok(posted)
    }

    /// The next part; none at the end.
    pub(super) async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let (decoder, chunks) = self.stream.as_mut()?;
            match decoder.next() {
                Ok(Some(event)) => {
                    self.ready.extend(event.id.map(Said::Place));
                    if !event.data.is_empty() {
                        self.ready.push_back(Said::Message(event.data));
                    }
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    self.stream = None;
                    return Some(Said::Failed(error.to_string()));
                }
            }
            match chunks.next().await {
                Some(Ok(chunk)) => decoder.feed(&chunk),
                Some(Err(_)) | None => self.stream = None,
            }
        }
    }
}
