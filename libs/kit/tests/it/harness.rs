//! Raw HTTP against a served rack: nothing of the SDK on the client's side.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use weft_kit::{Host, Running, SealKey, serve};

use crate::rack::Rack;

pub(crate) const LATEST: &str = "2026-07-28";
/// For what happens in a moment, on a machine that stands still for seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// A grace that no shutdown may need: it is longer than any test waits, so an end that comes is not the end of the grace.
pub(crate) const GRACE: Duration = Duration::from_secs(600);

/// A host for tests: loopback, any port.
pub(crate) fn host() -> Host {
    Host::new("127.0.0.1:0".parse().unwrap(), SealKey::from_bytes([9; 32]))
}

/// A served rack.
pub(crate) async fn served(rack: &Rack) -> Running {
    serve(rack.service(), host()).await.unwrap()
}

/// One connection; dropping it hangs up.
pub(crate) struct Client {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    line: tokio::task::JoinHandle<()>,
    address: SocketAddr,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.line.abort();
    }
}

impl Client {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let line = tokio::spawn(async move { drop(connection.await) });
        Self { sender, line, address }
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        let request = Request::get(path).header("host", self.address.to_string()).body(Full::default()).unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        (status, String::from_utf8(body(response).await).unwrap())
    }

    /// Sends a message with extra headers and returns the response as it begins.
    pub(crate) async fn send(&mut self, message: &Value, headers: &[(&str, &str)]) -> Response<Incoming> {
        let mut request = Request::post("/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.send_request(request.body(Full::from(message.to_string())).unwrap()).await.unwrap()
    }

    /// A call of the stateless era: status and body.
    pub(crate) async fn modern(&mut self, message: &Value) -> (u16, Value) {
        self.modern_with(message, &[]).await
    }

    pub(crate) async fn modern_with(&mut self, message: &Value, extra: &[(&str, &str)]) -> (u16, Value) {
        let mut headers = modern_headers(message);
        headers.extend_from_slice(extra);
        let response = self.send(message, &headers).await;
        (response.status().as_u16(), parse(response).await)
    }

    /// A call of the session era.
    pub(crate) async fn legacy(&mut self, message: &Value) -> (u16, Value) {
        let response = self.send(message, &[("mcp-protocol-version", "2025-11-25")]).await;
        (response.status().as_u16(), parse(response).await)
    }

    /// Calls a tool in the stateless era and returns the result.
    pub(crate) async fn tool(&mut self, name: &str, arguments: Value) -> Value {
        let (status, answer) = self.modern(&call(name, arguments)).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"].clone()
    }
}

pub(crate) fn modern_headers(message: &Value) -> Vec<(&str, &str)> {
    let mut headers = vec![("mcp-protocol-version", LATEST), ("mcp-method", message["method"].as_str().unwrap())];
    let name = message["params"]["name"].as_str().or(message["params"]["uri"].as_str());
    headers.extend(name.map(|name| ("mcp-name", name)));
    headers
}

/// A request of the stateless era with id 1.
pub(crate) fn request(method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(LATEST);
    let capabilities = &mut params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    if capabilities.is_null() {
        *capabilities = json!({});
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

pub(crate) fn call(name: &str, arguments: Value) -> Value {
    request("tools/call", json!({"name": name, "arguments": arguments}))
}

pub(crate) fn legacy_call(id: u32, name: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
}

pub(crate) async fn body(response: Response<Incoming>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

async fn parse(response: Response<Incoming>) -> Value {
    let bytes = body(response).await;
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads server-sent events one by one.
pub(crate) struct Events {
    body: Incoming,
    buffer: String,
}

impl Events {
    pub(crate) fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), buffer: String::new() }
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let event: String = self.buffer.drain(..end + 2).collect();
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
                if !data.trim().is_empty() {
                    return Some(serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let frame = self.body.frame().await?.ok()?;
            self.buffer.push_str(std::str::from_utf8(frame.data_ref()?).unwrap());
        }
    }
}

/// Fails the test instead of hanging it.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let out = tokio::time::timeout(PATIENCE, future).await;
    out.unwrap_or_else(|_| panic!("{what} did not happen within {PATIENCE:?}"))
}
