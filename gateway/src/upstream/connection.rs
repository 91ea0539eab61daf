//! The connections to one instance: HTTP/1.1 over mutual TLS (or plain TCP to a server without an identity), reused last
//! in, first out.
//!
//! Own, and not a general client's pool, for one reason: it must be known for certain whether a request ever left, because
//! that decides whether a call may be repeated. HTTP/1.1, because one call per connection keeps calls from blocking each
//! other, and dropping a connection is the one cancellation that every server understands.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{net::TcpStream, time::timeout};
use weft_identity::{Identity, Public, Served};

use super::line::Line;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nothing of the request left the gateway: it may be sent elsewhere.
    NotSent(String),
    /// The request may have been acted on.
    Lost(String),
}

impl SendError {
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::NotSent(why) | Self::Lost(why) => why,
        }
    }
}

/// Idle connections kept per instance; more are closed when they come back.
const IDLE: usize = 512;

/// What an instance must prove.
#[derive(Clone)]
pub(crate) enum Proof {
    /// Nothing: plain TCP.
    None,
    /// To be a member of the mesh, with this SPIFFE URI.
    Member(Identity, String),
    /// To be this host.
    Host(Public, String),
    /// To be another replica of this gateway, whose listener speaks TLS.
    Replica(Served),
    /// What it should prove cannot be checked here.
    Impossible,
}

/// The connections of one instance.
pub(crate) struct Connections {
    address: SocketAddr,
    proof: Proof,
    connect: Duration,
    idle: Mutex<Vec<Line>>,
    open: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connections")
            .field("address", &self.address)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Connections {
    pub(crate) fn new(info: &weft_mesh::Instance, proof: Proof, connect: Duration) -> Self {
        Self { address: info.address, proof, connect, idle: Mutex::default(), open: Arc::default() }
    }

    /// Connections open now, idle ones included.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Sends one request and waits for the head of the answer.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<ReplyBody>, SendError> {
        loop {
            let (mut line, reused) = match self.take() {
                Some(line) => (line, true),
                // Rare, and large: a handshake needs more room than everything else in a call.
                None => (Box::pin(self.dial()).await?, false),
            };
            match line.ask(request).await {
                Ok(response) => {
                    return Ok(response.map(|body| ReplyBody { body, lease: Some((Arc::clone(self), line)) }));
                }
                Err(mut error) => match error.take_message() {
                    // An idle connection that the server closed meanwhile: the request comes back untouched.
                    Some(unsent) if reused => request = unsent,
                    Some(_) => return Err(SendError::NotSent(error.error().to_string())),
                    None => return Err(SendError::Lost(error.error().to_string())),
                },
            }
        }
    }

    fn take(&self) -> Option<Line> {
        loop {
            let mut line = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if line.is_usable() {
                return Some(line);
            }
        }
    }

    fn give_back(&self, line: Line) {
        if line.over || line.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(line);
        }
    }

    /// Closes idle connections that the server has closed: without calls nobody else would notice.
    pub(crate) fn sweep(&self) {
        let mut idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        idle.retain_mut(Line::is_usable);
        let mut now = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those given back meanwhile were used last and stay on top.
        idle.append(&mut now);
        *now = idle;
    }

    async fn dial(&self) -> Result<Line, SendError> {
        if matches!(self.proof, Proof::Impossible) {
            return Err(SendError::NotSent("the instance demands mutual TLS and the gateway has no identity".into()));
        }
        match timeout(self.connect, self.handshake()).await {
            Ok(sender) => sender.map_err(SendError::NotSent),
            Err(_) => Err(SendError::NotSent("connecting took too long".into())),
        }
    }

    async fn handshake(&self) -> Result<Line, String> {
        let failed = |error: weft_identity::IdentityError| {
            metrics::counter!(weft_telemetry::names::GATEWAY_TLS_FAILURES.name, "reason" => error.label()).increment(1);
            error.to_string()
        };
        if let Proof::Member(identity, expected) = &self.proof {
            identity.may_reach(expected).await.map_err(failed)?;
        }
        let socket = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        let line = match &self.proof {
            Proof::Member(identity, expected) => {
                let stream = identity.connector().connect(expected, socket).await.map_err(failed)?;
                Line::open(stream, &self.open).await
            }
            Proof::Host(public, host) => {
                let stream = public.connect(host, socket).await.map_err(failed)?;
                Line::open(stream, &self.open).await
            }
            Proof::Replica(served) => {
                let stream = served.connect(socket).await.map_err(failed)?;
                Line::open(stream, &self.open).await
            }
            Proof::None | Proof::Impossible => Line::open(socket, &self.open).await,
        };
        line.map_err(|error| error.to_string())
    }

    /// True when the mesh's intentions do not allow calls to this instance (any more).
    pub(crate) async fn is_denied(&self) -> bool {
        match &self.proof {
            Proof::Member(identity, expected) => identity.may_reach(expected).await.is_err(),
            _ => false,
        }
    }

    /// Closes what is idle.
    pub(crate) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The body of an answer, and the connection it comes from: read to the end, the connection is used again; dropped
/// before, it is closed, which tells the server to stop.
pub(crate) struct ReplyBody {
    body: Incoming,
    lease: Option<(Arc<Connections>, Line)>,
}

impl ReplyBody {
    fn finished(&mut self) {
        if let Some((home, line)) = self.lease.take() {
            home.give_back(line);
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending()
            && let Some((_, line)) = &mut self.lease
        {
            line.drive(cx);
            polled = Pin::new(&mut self.body).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(None) => self.finished(),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.finished(),
            Poll::Ready(Some(Err(_))) => self.lease = None,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
