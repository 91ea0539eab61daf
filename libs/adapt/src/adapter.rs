//! Streamable HTTP in front of lines: which session a request belongs to, which line that session uses, and when both end.
//!
//! The session era is served with sessions (MCP 2025-11-25); a server of the stateless era is one line for all, and requests go to it
//! as they come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;
use weft_wire::{
    code,
    envelope::{self, Body as Messages, Id, Limits, Message},
    headers,
    members::Members,
    version::Version,
};

use crate::{
    Body, Options, Sharing, Source, answer,
    line::Line,
    pool::{NoLine, Pool},
    sessions::{Session, Sessions},
};

/// A started adapter; requests are given to [`Self::handle`].
pub struct Adapter {
    options: Options,
    sessions: Sessions,
    pool: Pool,
    /// What the server speaks: 0 unknown, 1 the session era, 2 the stateless era.
    era: AtomicU8,
    over: CancellationToken,
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Adapter").field(&self.options.name).finish()
    }
}

const SESSION_ERA: u8 = 1;
const STATELESS_ERA: u8 = 2;
/// A server that does not know `server/discover` mostly says so at once; one that says nothing is of the session era.
const PROBE: Duration = Duration::from_secs(2);

impl Adapter {
    /// Ready to be asked; nothing is started before it is needed.
    pub fn start(options: Options) -> Arc<Self> {
        let adapter = Arc::new(Self {
            pool: Pool::new(options.clone()),
            sessions: Sessions::new(options.sharing == Sharing::Session),
            options,
            era: AtomicU8::new(0),
            over: CancellationToken::new(),
        });
        tokio::spawn(reap(Arc::downgrade(&adapter), adapter.options.idle, adapter.over.clone()));
        adapter
    }

    /// False while what is behind it cannot be started.
    pub fn is_healthy(&self) -> bool {
        self.pool.is_healthy()
    }

    /// Answers one request of `caller`: MCP over Streamable HTTP, whatever its path.
    pub async fn handle(self: &Arc<Self>, request: Request<Bytes>, caller: &str) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let token = parts.headers.get(headers::SESSION_ID).and_then(|it| it.to_str().ok());
        match parts.method {
            Method::POST => self.post(token, caller, body).await,
            Method::GET => match self.sessions.get(token, caller) {
                Some(session) => {
                    let listening = session.line.lock().seats.get_mut(&session.seat).map(crate::pending::Seat::listen);
                    listening.map_or_else(|| answer::bare(StatusCode::NOT_FOUND), answer::of_listener)
                }
                None => answer::unknown(token, None),
            },
            Method::DELETE => match self.sessions.get(token, caller) {
                Some(_) => {
                    self.sessions.leave(token.unwrap_or_default());
                    answer::bare(StatusCode::NO_CONTENT)
                }
                None => answer::unknown(token, None),
            },
            _ => answer::bare(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    async fn post(self: &Arc<Self>, token: Option<&str>, caller: &str, body: Bytes) -> Response<Body> {
        let limits = Limits { bytes: self.options.line_bytes, ..Limits::default() };
        let message = match envelope::read(&body, &limits) {
            Ok(Messages::One(message)) => message,
            Ok(Messages::Batch(_)) => {
                return answer::refusal(
                    StatusCode::BAD_REQUEST,
                    None,
                    code::INVALID_REQUEST,
                    "send each message alone",
                );
            }
            Err(malformed) => {
                let why = malformed.to_string();
                return answer::refusal(StatusCode::BAD_REQUEST, malformed.id(), malformed.code(), &why);
            }
        };
        let text = std::str::from_utf8(&body).unwrap_or_default();
        match message {
            Message::Request(request) => {
                let stateless = request.params.meta.as_ref().is_some_and(|meta| meta.protocol_version.is_some());
                match &*request.method {
                    _ if stateless => self.stateless(&request.id, caller, text).await,
                    "initialize" => self.initialize(&request.id, caller, text).await,
                    _ => match self.sessions.get(token, caller) {
                        Some(session) => call(&session, &request.id, text).await,
                        None => answer::unknown(token, Some(&request.id)),
                    },
                }
            }
            Message::Notification(notification) => match self.sessions.get(token, caller) {
                Some(session) => {
                    session.line.notify(session.seat, &notification.method, &body).await;
                    answer::bare(StatusCode::ACCEPTED)
                }
                None => answer::unknown(token, None),
            },
            Message::Response(response) => match self.sessions.get(token, caller) {
                Some(session) if session.line.answer(session.seat, response.id.as_raw(), &body).await => {
                    answer::bare(StatusCode::ACCEPTED)
                }
                Some(_) => answer::bare(StatusCode::ACCEPTED),
                None => answer::unknown(token, None),
            },
        }
    }

    /// A request of the stateless era goes to the one line of a server of that era.
    async fn stateless(self: &Arc<Self>, id: &Id<'_>, caller: &str, text: &str) -> Response<Body> {
        if matches!(self.options.source, Source::Sse { .. }) {
            self.era.store(SESSION_ERA, Ordering::Relaxed);
        }
        if self.era.load(Ordering::Relaxed) == 0
            && let Err(refused) = self.probe().await
        {
            return self.refuse(refused, id);
        }
        if self.era.load(Ordering::Relaxed) != STATELESS_ERA {
            let why = "this server speaks versions up to 2025-11-25; begin with initialize";
            return answer::refusal(StatusCode::BAD_REQUEST, Some(id), code::INVALID_REQUEST, why);
        }
        let key = if self.options.sharing == Sharing::Caller { caller } else { "" };
        let line = match self.pool.shared(key).await {
            Ok(line) => line,
            Err(refused) => return self.refuse(refused, id),
        };
        match line.request(0, text).await {
            Ok(asked) => answer::of_call(asked).await,
            Err(_) => self.refuse(NoLine::Failed("it has ended".into(), Duration::from_secs(1)), id),
        }
    }

    /// Finds out what the server speaks, on the line that is used for it in the stateless era.
    async fn probe(self: &Arc<Self>) -> Result<(), NoLine> {
        let line = self.pool.shared("").await?;
        let question = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientInfo":{{"name":"weft-adapt","version":"{}"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#,
            Version::LATEST.as_str(),
            env!("CARGO_PKG_VERSION"),
        );
        let found = match line.request(0, &question).await {
            Ok(mut asked) => tokio::time::timeout(PROBE, asked.from.recv()).await.ok().flatten(),
            Err(_) => None,
        };
        let result = found.as_deref().and_then(|it| std::str::from_utf8(it).ok()).and_then(Members::parse);
        let result = result.as_ref().and_then(|message| message.get("result")).and_then(Members::parse);
        let stateless = result.is_some_and(|result| result.get("supportedVersions").is_some());
        self.era.store(if stateless { STATELESS_ERA } else { SESSION_ERA }, Ordering::Relaxed);
        if !stateless {
            // It may have taken the question ill; a session begins with a fresh one.
            self.pool.remove("").await;
            line.end();
        }
        Ok(())
    }

    async fn initialize(self: &Arc<Self>, id: &Id<'_>, caller: &str, text: &str) -> Response<Body> {
        if self.era.load(Ordering::Relaxed) == STATELESS_ERA {
            let why = "this server has no sessions; it speaks version 2026-07-28";
            return answer::refusal(StatusCode::BAD_REQUEST, Some(id), code::UNSUPPORTED_VERSION, why);
        }
        let line = match self.options.sharing {
            Sharing::Session => self.pool.open().await,
            Sharing::Caller => self.pool.shared(caller).await,
            Sharing::Shared => self.pool.shared("").await,
        };
        let line = match line {
            Ok(line) => line,
            Err(refused) => return self.refuse(refused, id),
        };
        let seat = line.join();
        match self.handshake(&line, seat, id, text).await {
            Ok(message) => {
                let token = self.sessions.begin(line, seat, caller);
                let mut response = answer::json(StatusCode::OK, message);
                if let Ok(value) = HeaderValue::from_str(&token) {
                    response.headers_mut().insert(headers::SESSION_ID, value);
                }
                response
            }
            Err(refused) => {
                if line.leave(seat) {
                    line.end();
                }
                self.refuse(refused, id)
            }
        }
    }

    /// The server's answer to `initialize`; of a shared line that was opened already, the same again.
    async fn handshake(&self, line: &Arc<Line>, seat: u64, id: &Id<'_>, text: &str) -> Result<Bytes, NoLine> {
        let mut opened = line.opened.lock().await;
        if let Some(before) = &*opened {
            let mut message = std::str::from_utf8(before).ok().and_then(Members::parse).unwrap_or_default();
            message.set("id", id.as_raw());
            return Ok(message.to_json().into());
        }
        let failed = |why: &str| NoLine::Failed(why.to_owned(), self.pool.failed());
        let mut asked = line.request(seat, text).await.map_err(|_| failed("it ended at once"))?;
        let answered = tokio::time::timeout(self.options.start_within, async {
            loop {
                let message = asked.from.recv().await?;
                if weft_wire::reply::scan(&message).is_response {
                    return Some(message);
                }
            }
        });
        let message = answered.await.map_err(|_| failed("it did not answer initialize in time"))?;
        let message = message.ok_or_else(|| failed("it ended before it answered initialize"))?;
        if line.is_over() {
            return Err(failed("it ended before it answered initialize"));
        }
        self.pool.succeeded();
        if weft_wire::reply::scan(&message).error_code.is_none() {
            self.era.store(SESSION_ERA, Ordering::Relaxed);
            *opened = Some(message.clone());
        }
        Ok(message)
    }

    fn refuse(&self, refused: NoLine, id: &Id<'_>) -> Response<Body> {
        answer::no_line(&self.options, refused, id)
    }

    /// Ends sessions that nobody uses, and lines that have none.
    async fn sweep(&self) {
        self.sessions.end_unused(self.options.idle);
        if self.era.load(Ordering::Relaxed) == SESSION_ERA {
            self.pool.end_unused().await;
        }
    }

    /// Ends all lines, and waits until what is behind them has ended.
    pub async fn shutdown(&self) {
        self.over.cancel();
        self.sessions.clear();
        self.pool.shutdown().await;
    }
}

async fn reap(adapter: std::sync::Weak<Adapter>, idle: Duration, over: CancellationToken) {
    let pause = (idle / 4).clamp(Duration::from_millis(250), Duration::from_secs(30));
    while over.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let Some(adapter) = adapter.upgrade() else { return };
        adapter.sweep().await;
    }
}

async fn call(session: &Session, id: &Id<'_>, text: &str) -> Response<Body> {
    match session.line.request(session.seat, text).await {
        Ok(asked) => answer::of_call(asked.until_called_off()).await,
        Err(_) => answer::unknown(Some(""), Some(id)),
    }
}
