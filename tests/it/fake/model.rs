//! A model of one answer behind the API that OpenAI published (chat completions, streamed), which remembers what it was asked, and
//! fails or waits where a test wants it to.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

/// A running model.
pub(crate) struct Model {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Value>>>,
    /// Answers with an error from now on.
    pub(crate) fails: Arc<AtomicBool>,
    /// Begins its answers and never ends them.
    pub(crate) waits: Arc<AtomicBool>,
    /// Answers whose reader left before their end.
    pub(crate) left: Arc<AtomicUsize>,
}

impl Model {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let model = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            fails: Arc::default(),
            waits: Arc::default(),
            left: Arc::default(),
        };
        let shared = model.shared();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, stream) = (shared.shared(), stream.unwrap());
                // A client that goes away ends its thread only.
                std::thread::spawn(move || shared.converse(stream).ok());
            }
        });
        model
    }

    fn shared(&self) -> Self {
        let Self { port, asked, fails, waits, left } = self;
        Self { port: *port, asked: asked.clone(), fails: fails.clone(), waits: waits.clone(), left: left.clone() }
    }

    /// The requests for words, as they came.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    fn converse(&self, mut writer: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(writer.try_clone()?);
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line)? > 2 {
            head.push_str(&line.to_ascii_lowercase());
            line.clear();
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        if !head.starts_with("post /v1/chat/completions") {
            return whole(
                &mut writer,
                "200 OK",
                &json!({ "object": "list", "data": [{ "id": "small", "object": "model" }] }),
            );
        }
        self.asked.lock().unwrap().push(serde_json::from_slice(&body).unwrap_or_default());
        if self.fails.load(Ordering::Relaxed) {
            return whole(&mut writer, "400 Bad Request", &json!({ "error": { "message": "not today" } }));
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
        event(
            &mut writer,
            &json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "Paris" } }] }),
        )?;
        if self.waits.load(Ordering::Relaxed) {
            // Nothing more comes from a client but its end.
            let gone = reader.read(&mut [0]);
            self.left.fetch_add(1, Ordering::Relaxed);
            return gone.map(drop);
        }
        event(&mut writer, &json!({ "choices": [{ "index": 0, "delta": { "content": " it is." } }] }))?;
        let usage = json!({ "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 });
        event(
            &mut writer,
            &json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }], "usage": usage }),
        )?;
        writer.write_all(b"data: [DONE]\n\n")
    }
}

fn event(writer: &mut TcpStream, data: &Value) -> std::io::Result<()> {
    write!(writer, "data: {data}\n\n")?;
    writer.flush()
}

fn whole(writer: &mut TcpStream, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        writer,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
