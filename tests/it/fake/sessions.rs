//! A foreign server of the session era alone: it counts its sessions, can forget them, asks its client things, and is cut or
//! called off in the middle.

use std::{io::Write as _, net::TcpStream, sync::atomic::Ordering};

use serde_json::{Value, json};

use super::{Foreign, Seen, write_json};

impl Foreign {
    /// One that knows revisions up to 2025-11-25 and keeps sessions.
    pub(crate) fn with_sessions() -> Self {
        Self::answering(answer)
    }

    /// As after a restart: it knows none of its sessions any more.
    pub(crate) fn forget(&self) {
        self.seen.sessions.lock().unwrap().clear();
    }
}

fn answer(writer: &mut TcpStream, head: &str, message: &Value, seen: &Seen) -> std::io::Result<()> {
    let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id:")).map(|id| id.trim().to_owned());
    let known = session.as_ref().is_some_and(|session| seen.sessions.lock().unwrap().contains(session));
    let id = &message["id"];
    let method = message["method"].as_str().unwrap_or_default();
    if method == "initialize" {
        return begin(writer, message, seen);
    }
    if !known {
        // As the official TypeScript SDK's examples say it, whatever the reason.
        let error = json!({ "code": -32000, "message": "Bad Request: No valid session ID provided" });
        return write_json(writer, 400, &json!({ "jsonrpc": "2.0", "error": error, "id": null }));
    }
    if head.starts_with("delete") {
        seen.sessions.lock().unwrap().remove(&session.unwrap_or_default());
        seen.ended.fetch_add(1, Ordering::Relaxed);
        return writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
    if head.starts_with("get") {
        return writer.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n");
    }
    let result = match method {
        "tools/list" => json!({ "tools": [
            { "name": "ask", "inputSchema": { "type": "object" } },
            { "name": "mute", "inputSchema": { "type": "object" } },
            { "name": "ping", "inputSchema": { "type": "object" } },
            { "name": "slow", "inputSchema": { "type": "object" } },
            { "name": "whose", "inputSchema": { "type": "object" } },
        ] }),
        "tools/call" => {
            seen.calls.fetch_add(1, Ordering::Relaxed);
            match message["params"]["name"].as_str().unwrap_or_default() {
                "ask" => return ask(writer, id),
                // Works, and says nothing.
                "mute" => return Ok(()),
                "slow" => return stream(writer, &[progress(message)]),
                "whose" => text(&session.unwrap_or_default()),
                _ => text("pong"),
            }
        }
        "notifications/cancelled" => {
            seen.cancelled.fetch_add(1, Ordering::Relaxed);
            return accepted(writer);
        }
        _ if id.is_null() || method.is_empty() => return accepted(writer),
        _ => {
            let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "no such method" } });
            return write_json(writer, 200, &error);
        }
    };
    write_json(writer, 200, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn begin(writer: &mut TcpStream, message: &Value, seen: &Seen) -> std::io::Result<()> {
    let session = format!("session-{}", seen.begun.fetch_add(1, Ordering::Relaxed));
    seen.sessions.lock().unwrap().insert(session.clone());
    let result = json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
        "serverInfo": { "name": "elder", "version": "1" }, "instructions": "Ask me." });
    let body = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: {session}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    writer.write_all(answer.as_bytes())
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn progress(message: &Value) -> Value {
    let token = &message["params"]["_meta"]["progressToken"];
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 1 } })
}

/// Asks, and never comes to a result: whoever answers is answered with silence.
fn ask(writer: &mut TcpStream, call: &Value) -> std::io::Result<()> {
    let params =
        json!({ "message": format!("about {call}"), "requestedSchema": { "type": "object", "properties": {} } });
    stream(writer, &[json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": params })])
}

/// Begins a stream and leaves it open.
fn stream(writer: &mut TcpStream, messages: &[Value]) -> std::io::Result<()> {
    writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
    for message in messages {
        let event = format!("data: {message}\n\n");
        write!(writer, "{:x}\r\n{event}\r\n", event.len())?;
    }
    writer.flush()
}

fn accepted(writer: &mut TcpStream) -> std::io::Result<()> {
    writer.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
}
