//! An API server on the loopback: HTTP/1.1 with lists as one JSON document and watches as JSON lines in a chunked body
//! (Kubernetes documentation, "API concepts"). It says what a test tells it to say, byte for byte.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::Owned;

/// One open watch. Dropping it ends the body as a server does.
pub(crate) struct OpenWatch {
    pub(crate) target: String,
    lines: mpsc::UnboundedSender<Option<String>>,
}

impl OpenWatch {
    pub(crate) fn send(&self, kind: &str, object: Value) {
        let line = json!({"type": kind, "object": object}).to_string();
        self.lines.send(Some(line)).unwrap();
    }

    /// Closes the connection in the middle of the body.
    pub(crate) fn cut(self) {
        self.lines.send(None).unwrap();
    }

    /// The resourceVersion that was asked for.
    pub(crate) fn version(&self) -> &str {
        value(&self.target, "resourceVersion")
    }
}

pub(crate) fn value<'a>(target: &'a str, key: &str) -> &'a str {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
}

#[derive(Default)]
struct Script {
    /// Pages of the list, by what `continue` asks for.
    pages: Vec<Value>,
    /// Refuse everything with this status.
    refuse: Option<u16>,
    /// Refuse the next watches with these.
    refuse_watches: VecDeque<u16>,
    /// The heads of all requests.
    heads: Vec<String>,
}

pub(crate) struct ApiServer {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    watches: mpsc::UnboundedReceiver<OpenWatch>,
    _serving: Owned,
}

impl ApiServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::<Mutex<Script>>::default();
        let (opened, watches) = mpsc::unbounded_channel();
        let told = Arc::clone(&script);
        let serving = Owned(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&told), opened.clone()));
            }
        }));
        Self { address, script, watches, _serving: serving }
    }

    /// The list from now on: its version, its slices.
    pub(crate) fn list(&self, version: &str, slices: &[Value]) {
        self.pages(&[(version, slices, "")]);
    }

    /// The list in pages, each with the token of the next.
    pub(crate) fn pages(&self, pages: &[(&str, &[Value], &str)]) {
        let page = |(version, items, next): &(&str, &[Value], &str)| {
            let metadata = json!({"resourceVersion": version, "continue": next});
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": metadata, "items": items})
        };
        self.script.lock().unwrap().pages = pages.iter().map(page).collect();
    }

    /// Refuses everything from now on, or nothing.
    pub(crate) fn refuse(&self, status: Option<u16>) {
        self.script.lock().unwrap().refuse = status;
    }

    /// Refuses the next watch.
    pub(crate) fn refuse_watch(&self, status: u16) {
        self.script.lock().unwrap().refuse_watches.push_back(status);
    }

    /// The next watch that is opened.
    pub(crate) async fn watch(&mut self) -> OpenWatch {
        tokio::time::timeout(std::time::Duration::from_secs(60), self.watches.recv()).await.unwrap().unwrap()
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.script.lock().unwrap().heads.clone()
    }

    /// How many lists were asked for.
    pub(crate) fn lists(&self) -> usize {
        self.heads().iter().filter(|head| !head.contains("watch=true")).count()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>, opened: mpsc::UnboundedSender<OpenWatch>) {
    while let Some(head) = read_head(&mut stream).await {
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let watch = target.contains("watch=true");
        let (status, body) = {
            let mut script = script.lock().unwrap();
            script.heads.push(head);
            let refused = script.refuse.or_else(|| if watch { script.refuse_watches.pop_front() } else { None });
            match refused {
                Some(status) => (status, refusal(status)),
                None if watch => (200, Value::Null),
                None => {
                    let token = value(&target, "continue");
                    let index = if token.is_empty() { 0 } else { token.parse().unwrap() };
                    (200, script.pages[index].clone())
                }
            }
        };
        if watch && status == 200 {
            return stream_events(stream, target, opened).await;
        }
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}

async fn stream_events(mut stream: TcpStream, target: String, opened: mpsc::UnboundedSender<OpenWatch>) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (lines, mut said) = mpsc::unbounded_channel();
    if opened.send(OpenWatch { target, lines }).is_err() {
        return;
    }
    while let Some(line) = said.recv().await {
        let Some(line) = line else { return };
        // In two chunks, as a line may be cut anywhere.
        let (one, two) = line.split_at(line.len() / 2);
        for part in [one, &format!("{two}\n")] {
            if stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).await.is_err() {
                return;
            }
        }
    }
    let _gone = stream.write_all(b"0\r\n\r\n").await;
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A `Status`, as errors are told both as an answer and in a watch.
pub(crate) fn refusal(code: u16) -> Value {
    let reason = if code == 410 { "Expired" } else { "Refused" };
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "as told"})
}
