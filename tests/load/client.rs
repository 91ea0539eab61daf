//! One kept-alive connection of a client: begins a session where the era wants one, sends the same call again and again
//! and looks at every answer.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use memchr::memmem::{self, Finder};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{process::Program, work::Work};

/// Version of the session era, and of the stateless one.
const SESSION: &str = "2025-11-25";
const STATELESS: &str = "2026-07-28";

/// Where to send what, and whose processor time it takes.
#[derive(Clone)]
pub(crate) struct Spot {
    port: u16,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    session: bool,
    expected: Finder<'static>,
    programs: Vec<Arc<Program>>,
}

impl Spot {
    /// `work` asked for at `path` of `port`, where its tool has the name `tool`.
    pub(crate) fn new(
        work: Work,
        port: u16,
        path: &str,
        tool: Option<&str>,
        programs: Vec<Arc<Program>>,
    ) -> Result<Self> {
        let mut params = json!({});
        let mut headers = basic(port)?;
        if let Some(tool) = tool {
            params["name"] = json!(tool);
            params["arguments"] = json!(work.arguments());
        }
        if work.session() {
            set(&mut headers, "mcp-protocol-version", SESSION)?;
        } else {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": STATELESS,
                "io.modelcontextprotocol/clientInfo": { "name": "weft-bench", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            set(&mut headers, "mcp-protocol-version", STATELESS)?;
            set(&mut headers, "mcp-method", work.method())?;
            if let Some(tool) = tool {
                set(&mut headers, "mcp-name", tool)?;
            }
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": work.method(), "params": params }).to_string();
        let expected = Finder::new(work.expected());
        Ok(Self { port, uri: path.parse()?, headers, body: body.into(), session: work.session(), expected, programs })
    }

    /// Seconds of processor time that the programs on the way have used.
    pub(crate) fn cpu(&self) -> Result<f64> {
        self.programs.iter().map(|program| program.cpu()).sum()
    }
}

/// Headers of every request.
fn basic(port: u16) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    set(&mut headers, "host", &format!("127.0.0.1:{port}"))?;
    set(&mut headers, "content-type", "application/json")?;
    set(&mut headers, "accept", "application/json, text/event-stream")?;
    Ok(headers)
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    Ok(())
}

/// A connection and the call that it repeats.
pub(crate) struct Client {
    line: Line,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    expected: Finder<'static>,
}

impl Client {
    pub(crate) async fn connect(spot: &Spot) -> Result<Self> {
        let mut line = Line::connect(spot.port).await?;
        let mut headers = spot.headers.clone();
        if spot.session {
            let token = line.initialize(&spot.uri, &basic(spot.port)?).await?;
            headers.extend(token.map(|token| (HeaderName::from_static("mcp-session-id"), token)));
            line.initialized(&spot.uri, &headers).await?;
        }
        let (uri, body, expected) = (spot.uri.clone(), spot.body.clone(), spot.expected.clone());
        Ok(Self { line, uri, headers, body, expected })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.line.sender.is_closed()
    }

    /// One call; an error says what came instead of the right answer.
    pub(crate) async fn call(&mut self) -> Result<()> {
        let response = self.line.send(Method::POST, &self.uri, &self.headers, self.body.clone()).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let failed = memmem::find(&body, br#""isError":true"#).is_some();
        let answered = memmem::find(&body, br#""result":"#).is_some();
        if status.is_success() && answered && !failed && self.expected.find(&body).is_some() {
            return Ok(());
        }
        bail!("{status}: {}", String::from_utf8_lossy(&body).chars().take(300).collect::<String>())
    }
}

/// A connection alone.
pub(crate) struct Line {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Line {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.context("cannot connect")?;
        socket.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(async move {
            // That it ended is seen by whoever sends on it.
            let _ = connection.await;
        });
        Ok(Self { sender })
    }

    async fn send(
        &mut self,
        method: Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    async fn initialize(&mut self, uri: &Uri, headers: &HeaderMap) -> Result<Option<HeaderValue>> {
        let client = json!({ "name": "weft-bench", "version": "1" });
        let params = json!({ "protocolVersion": SESSION, "capabilities": {}, "clientInfo": client });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string();
        let response = self.send(Method::POST, uri, headers, body.into()).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).context("the answer to initialize is not JSON")?;
        if answer["result"]["protocolVersion"] != SESSION {
            bail!("initialize failed: {answer}");
        }
        Ok(parts.headers.get("mcp-session-id").cloned())
    }

    async fn initialized(&mut self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let body = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let response = self.send(Method::POST, uri, headers, body).await?;
        if !response.status().is_success() {
            bail!("notifications/initialized was answered {}", response.status());
        }
        response.into_body().collect().await?;
        Ok(())
    }

    /// The page at `path`, as text.
    pub(crate) async fn get(&mut self, path: &str) -> Result<String> {
        let mut headers = HeaderMap::new();
        set(&mut headers, "host", "127.0.0.1")?;
        let response = self.send(Method::GET, &path.parse()?, &headers, Bytes::new()).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// A session with its stream open, as a client keeps it between calls; the stream ends when this is dropped.
pub(crate) struct Held {
    _stream: Response<Incoming>,
    _line: Line,
}

impl Held {
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let (mut line, uri) = (Line::connect(port).await?, Uri::from_static("/mcp"));
        let mut headers = basic(port)?;
        let token = line.initialize(&uri, &headers).await?.context("no session was begun")?;
        headers.insert(HeaderName::from_static("mcp-session-id"), token);
        set(&mut headers, "mcp-protocol-version", SESSION)?;
        line.initialized(&uri, &headers).await?;
        let stream = line.send(Method::GET, &uri, &headers, Bytes::new()).await?;
        if !stream.status().is_success() {
            bail!("the stream of a session was answered {}", stream.status());
        }
        Ok(Self { _stream: stream, _line: line })
    }
}
