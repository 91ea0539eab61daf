//! The HTTP+SSE transport (MCP 2024-11-05): one stream carries everything that the client is told, and the client POSTs what it says to
//! the address that the stream's first event names. The stream is the session: with it everything ends.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, header, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weft_wire::{
    envelope::{self, Body as Messages, Id, Limits, Message},
    headers,
    reply::scan,
    sse,
};

use super::inner;
use crate::{
    Gateway, door,
    envelope::collect,
    forward::SESSION_HEADER,
    listen::Peer,
    record::Record,
    refusal::Refusal,
    reply::{
        self, Body,
        relay::{KEEP_ALIVE, comment, frame},
    },
};

/// Messages that wait for a client to read them; one that is slower loses its stream.
const UNREAD: usize = 1024;

/// An open stream.
struct Pipe {
    caller: String,
    /// The endpoint that its messages go to.
    path: String,
    to: mpsc::Sender<Bytes>,
    /// The token of its session, once there is one.
    session: Mutex<Option<HeaderValue>>,
    over: CancellationToken,
}

impl Pipe {
    fn session(&self) -> Option<HeaderValue> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says something to the client.
    fn say(&self, message: Bytes) {
        if self.to.try_send(message).is_err() {
            self.over.cancel();
        }
    }
}

/// All open streams, by the secret in the address of their messages.
#[derive(Default)]
pub(crate) struct Pipes(papaya::HashMap<String, Arc<Pipe>>);

/// Closes a stream's session with the stream.
struct Opened {
    gateway: Arc<Gateway>,
    secret: String,
    pipe: Arc<Pipe>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.gateway.pipes.0.pin().remove(&self.secret);
        self.pipe.over.cancel();
        let token = self.pipe.session();
        let session = token.as_ref().and_then(|token| self.gateway.sessions.end(token.to_str().ok()?));
        if let Some(session) = session {
            self.gateway.tasks.spawn(async move { session.close().await });
        }
    }
}

/// `GET /sse`: opens the stream.
pub(super) fn open(
    gateway: &Arc<Gateway>,
    peer: &Peer,
    parts: &Parts,
    surface: door::Surface,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    record.set_call(None, "stream");
    record.keep_quiet();
    let caller = gateway.authenticator.identify(peer, &parts.headers)?;
    record.set_caller(&caller);
    let paced = gateway.admission.pace(caller)?;
    let ticket = gateway.admission.admit_stream()?;
    let mut secret = [0; 16];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| Refusal::Shed(Duration::from_secs(1)))?;
    let secret = format!("{:032x}", u128::from_le_bytes(secret));
    let (to, from) = mpsc::channel(UNREAD);
    let pipe = Arc::new(Pipe {
        caller: paced.caller().id().to_owned(),
        path: door::path(&surface),
        to,
        session: Mutex::default(),
        over: gateway.drain.child_token(),
    });
    gateway.pipes.0.pin().insert(secret.clone(), Arc::clone(&pipe));
    let mut first = Vec::new();
    sse::write_event(&mut first, None, Some("endpoint"), format!("/messages?session={secret}").as_bytes(), None);
    let opened = Opened { gateway: Arc::clone(gateway), secret, pipe };
    let state = (Some(Frame::data(Bytes::from(first))), from, opened);
    let frames = stream::unfold(state, |(first, mut from, opened)| async move {
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, from, opened)));
        }
        let next = tokio::select! {
            biased;
            () = opened.pipe.over.cancelled() => return None,
            message = from.recv() => frame(&message?),
            () = tokio::time::sleep(KEEP_ALIVE) => comment(),
        };
        Some((Ok(next), (None, from, opened)))
    });
    Ok(reply::events(Body::stream(StreamBody::new(frames)).holding(ticket)))
}

/// `POST /messages`: takes a message; what comes of it is said on the stream.
pub(super) async fn message<B>(
    gateway: &Arc<Gateway>,
    peer: &Peer,
    (parts, body): (Parts, B),
    record: &mut Record,
) -> Result<Response<Body>, Refusal>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    record.keep_quiet();
    let caller = gateway.authenticator.identify(peer, &parts.headers)?;
    record.set_caller(&caller);
    let paced = gateway.admission.pace(caller)?;
    let query = parts.uri.query().unwrap_or_default();
    let secret = query.split('&').find_map(|pair| pair.strip_prefix("session=")).unwrap_or_default();
    let pipe = gateway.pipes.0.pin().get(secret).cloned().filter(|pipe| pipe.caller == paced.caller().id());
    let pipe = pipe.ok_or(Refusal::StreamUnknown)?;
    let settings = &gateway.settings;
    let body = collect(body, settings.limits.body_bytes, Duration::from_secs(settings.timeouts.body_seconds)).await?;
    let errand = Errand { gateway: Arc::clone(gateway), peer: peer.clone(), pipe, headers: parts.headers };
    gateway.tasks.spawn(async move { errand.run(body).await });
    record.keep_silent();
    Ok(reply::accepted())
}

/// One message on its way.
struct Errand {
    gateway: Arc<Gateway>,
    peer: Peer,
    pipe: Arc<Pipe>,
    headers: http::HeaderMap,
}

impl Errand {
    async fn run(self, body: Bytes) {
        let limits = Limits { bytes: body.len(), ..Limits::default() };
        let id = match envelope::read(&body, &limits) {
            Ok(Messages::One(Message::Request(request))) => Some(request.id.into_owned()),
            _ => None,
        };
        let Some(request) = self.request(Method::POST, body, None) else { return };
        let over = self.pipe.over.clone();
        over.run_until_cancelled(self.converse(request, id)).await;
    }

    fn request(&self, method: Method, body: Bytes, last: Option<&str>) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.pipe.path.parse().ok()?;
        let out = request.headers_mut();
        for (name, value) in &self.headers {
            if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection" | "mcp-protocol-version")
            {
                out.append(name.clone(), value.clone());
            }
        }
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        out.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(session) = self.pipe.session() {
            out.insert(SESSION_HEADER, session);
        }
        if let Some(last) = last {
            out.insert(headers::LAST_EVENT_ID, HeaderValue::from_str(last).ok()?);
        }
        Some(request)
    }

    /// Says everything that comes of a request, and of the stream that is its answer, to the last message.
    async fn converse(&self, request: Request<Full<Bytes>>, id: Option<Id<'static>>) {
        let response = inner(&self.gateway, &self.peer, request).await;
        if let Some(session) = response.headers().get(SESSION_HEADER) {
            *self.pipe.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
            self.listen();
        }
        let mut place = None;
        let mut response = response;
        for _ in 0..RESUMES {
            let answered = self.say_all(response, &mut place).await;
            if answered || id.is_none() {
                return;
            }
            let Some(last) = &place else { return };
            tokio::time::sleep(Duration::from_millis(250)).await;
            let Some(again) = self.request(Method::GET, Bytes::new(), Some(last)) else { return };
            response = inner(&self.gateway, &self.peer, again).await;
        }
    }

    /// Says what an answer holds; true when the response was in it.
    async fn say_all(&self, response: Response<Body>, place: &mut Option<String>) -> bool {
        let streams = response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
        let mut body = response.into_body();
        if !streams {
            let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            if !whole.is_empty() {
                self.pipe.say(whole);
            }
            return true;
        }
        let mut decoder = sse::Decoder::new(self.gateway.settings.limits.event_bytes);
        let mut answered = false;
        while let Some(Ok(chunk)) = body.frame().await {
            if let Ok(data) = chunk.into_data() {
                decoder.feed(&data);
            }
            while let Ok(Some(event)) = decoder.next() {
                if event.id.is_some() {
                    *place = event.id;
                }
                if !event.data.is_empty() {
                    answered |= scan(&event.data).is_response;
                    self.pipe.say(event.data.into());
                }
            }
        }
        answered
    }

    /// What is said outside of any call goes to the stream too.
    fn listen(&self) {
        let errand = Self {
            gateway: Arc::clone(&self.gateway),
            peer: self.peer.clone(),
            pipe: Arc::clone(&self.pipe),
            headers: self.headers.clone(),
        };
        self.gateway.tasks.spawn(async move {
            let over = errand.pipe.over.clone();
            let listening = async {
                let Some(request) = errand.request(Method::GET, Bytes::new(), None) else { return };
                let response = inner(&errand.gateway, &errand.peer, request).await;
                if response.status().is_success() {
                    errand.say_all(response, &mut None).await;
                }
            };
            over.run_until_cancelled(listening).await;
        });
    }
}

/// How often a stream that broke off is taken up again.
const RESUMES: usize = 8;
