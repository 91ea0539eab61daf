//! A small foreign MCP server of both eras, to be stopped, slowed and counted: the part of the world that fails.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

pub(crate) mod door;
pub(crate) mod model;
pub(crate) mod sessions;

/// How a server answers a request: its head in lower case, and its message.
type Answering = fn(&mut TcpStream, &str, &Value, &Seen) -> std::io::Result<()>;

/// What happened at the server.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) calls: AtomicUsize,
    /// Clients that went away while a call was being worked on.
    pub(crate) hung_up: AtomicUsize,
    pub(crate) requests: Mutex<Vec<(String, Value)>>,
    /// Sessions that are open, of a server that has them.
    pub(crate) sessions: Mutex<HashSet<String>>,
    /// Sessions that were begun and ended.
    pub(crate) begun: AtomicUsize,
    pub(crate) ended: AtomicUsize,
    /// Calls that were called off.
    pub(crate) cancelled: AtomicUsize,
    /// Tools that it has besides the first three.
    pub(crate) further: AtomicUsize,
    stopped: AtomicBool,
}

/// A foreign server.
pub(crate) struct Foreign {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Seen>,
}

impl Foreign {
    pub(crate) fn start() -> Self {
        Self::answering(|writer, _, message, seen| answer(writer, message, seen))
    }

    fn answering(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, stream) = (Arc::clone(&shared), stream.unwrap());
                std::thread::spawn(move || {
                    // A connection that the gateway closes ends its thread, nothing more.
                    let _ = converse(stream, &shared, answering);
                });
            }
        });
        Self { port, seen }
    }

    /// `name=URL` for `--add`.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{name}=http://127.0.0.1:{}/mcp", self.port)
    }

    /// No new connection is answered any more.
    pub(crate) fn stop(&self) {
        self.seen.stopped.store(true, Ordering::Relaxed);
        // The accept loop ends with one more connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn converse(stream: TcpStream, seen: &Seen, answering: Answering) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            let lower = line.to_ascii_lowercase();
            length = lower.strip_prefix("content-length:").and_then(|rest| rest.trim().parse().ok()).unwrap_or(length);
            head.push_str(&lower);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if seen.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        // Before the answer: who has it may look here.
        seen.requests.lock().unwrap().push((head.clone(), message.clone()));
        answering(&mut writer, &head, &message, seen)?;
    }
}

fn answer(writer: &mut TcpStream, message: &Value, seen: &Seen) -> std::io::Result<()> {
    let id = &message["id"];
    let method = message["method"].as_str().unwrap_or_default();
    let result = match method {
        "server/discover" => {
            json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {}, "resources": {} }, "ttlMs": 60_000, "cacheScope": "public" })
        }
        "initialize" => {
            json!({ "protocolVersion": message["params"]["protocolVersion"], "capabilities": { "tools": {} }, "serverInfo": { "name": "foreign", "version": "1" } })
        }
        "tools/list" => tools(message["params"]["cursor"].as_str(), seen.further.load(Ordering::Relaxed)),
        "resources/list" => {
            json!({ "resultType": "complete", "resources": [{ "uri": "memo://a", "name": "a" }], "ttlMs": 60_000, "cacheScope": "public" })
        }
        "resources/templates/list" => {
            json!({ "resultType": "complete", "resourceTemplates": [], "ttlMs": 60_000, "cacheScope": "public" })
        }
        "resources/read" => {
            json!({ "resultType": "complete", "contents": [{ "uri": message["params"]["uri"], "text": "memo" }], "ttlMs": 0, "cacheScope": "private" })
        }
        "tools/call" => {
            seen.calls.fetch_add(1, Ordering::Relaxed);
            match message["params"]["name"].as_str().unwrap_or_default() {
                "slow" => return slow(writer, seen),
                "cut" => return cut(writer, message),
                // Is never content.
                "asks" => {
                    let messages = json!([{ "role": "user", "content": { "type": "text", "text": "And now?" } }]);
                    let question = json!({ "method": "sampling/createMessage", "params": { "messages": messages, "maxTokens": 9 } });
                    json!({ "resultType": "input_required", "inputRequests": { "again": question }, "requestState": "s" })
                }
                _ => {
                    json!({ "resultType": "complete", "content": [{ "type": "text", "text": "pong" }, { "type": "resource_link", "uri": "memo://a", "name": "a" }], "isError": false })
                }
            }
        }
        _ if id.is_null() => return writer.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"),
        _ => {
            let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "no such method" } });
            return write_json(writer, 404, &error);
        }
    };
    write_json(writer, 200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// One tool a page, so that whoever reads only the first page is found out.
fn tools(cursor: Option<&str>, further: usize) -> Value {
    let names = &["cut", "ping", "slow", "tune", "zoom"][..3 + further];
    let at = cursor.map_or(0, |cursor| cursor.parse::<usize>().unwrap());
    let mut page = json!({ "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public", "tools": [
        { "name": names[at], "inputSchema": { "type": "object" }, "annotations": { "readOnlyHint": names[at] == "ping" }, "vendor": { "kept": 1.50 } }] });
    if at + 1 < names.len() {
        page["nextCursor"] = json!((at + 1).to_string());
    }
    page
}

/// Works until the client goes away.
fn slow(writer: &mut TcpStream, seen: &Seen) -> std::io::Result<()> {
    writer.set_read_timeout(Some(std::time::Duration::from_secs(300)))?;
    let mut byte = [0];
    let gone = matches!(writer.read(&mut byte), Ok(0));
    seen.hung_up.fetch_add(usize::from(gone), Ordering::Relaxed);
    Ok(())
}

/// Begins a stream and leaves in the middle of it.
fn cut(writer: &mut TcpStream, message: &Value) -> std::io::Result<()> {
    let token = &message["params"]["_meta"]["progressToken"];
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 1 } });
    let event = format!("data: {progress}\n\n");
    write!(
        writer,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n",
        event.len()
    )?;
    writer.shutdown(std::net::Shutdown::Both)
}

fn write_json(writer: &mut TcpStream, status: u16, message: &Value) -> std::io::Result<()> {
    let body = message.to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // In one piece: small pieces wait for each other (Nagle).
    writer.write_all(answer.as_bytes())
}
