//! A server that follows a script: for what a real one does only when it fails, is dropped, or is one of a cluster. It
//! knows the bytes of the specification and nothing of the client's code but its values.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use weft_bolt::{Map, Value, packstream::encode};

use crate::map;

pub(crate) const HELLO: u8 = 0x01;
pub(crate) const LOGON: u8 = 0x6A;
pub(crate) const GOODBYE: u8 = 0x02;
pub(crate) const RESET: u8 = 0x0F;
pub(crate) const RUN: u8 = 0x10;
pub(crate) const BEGIN: u8 = 0x11;
pub(crate) const ROLLBACK: u8 = 0x13;
pub(crate) const PULL: u8 = 0x3F;
pub(crate) const ROUTE: u8 = 0x66;

/// What the server answers to a message, by its tag; `None` is silence.
pub(crate) type Script = Arc<dyn Fn(u8, &[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// What happened so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// Connections that were made.
    pub(crate) opened: AtomicUsize,
    /// Connections that ended.
    pub(crate) closed: AtomicUsize,
    /// Wakes whoever waits for an end or a message.
    pub(crate) changed: Notify,
    /// Tags and messages, in order.
    pub(crate) messages: Mutex<Vec<(u8, Vec<u8>)>>,
}

/// A server; dropping it ends it and its connections.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    pub(crate) async fn start(version: [u8; 4], script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, version, script)
    }

    pub(crate) fn on(listener: TcpListener, version: [u8; 4], script: Script) -> Self {
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let mut tasks = JoinSet::new();
        let kept = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                seen.opened.fetch_add(1, Ordering::SeqCst);
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                connections.spawn(async move {
                    let _ = follow(stream, version, &script, &seen).await;
                    seen.closed.fetch_add(1, Ordering::SeqCst);
                    seen.changed.notify_waiters();
                });
            }
        });
        Self { address, seen: kept, _tasks: tasks }
    }

    pub(crate) fn opened(&self) -> usize {
        self.seen.opened.load(Ordering::SeqCst)
    }

    pub(crate) fn tags(&self) -> Vec<u8> {
        self.seen.messages.lock().unwrap().iter().map(|(tag, _)| *tag).collect()
    }

    /// The first message with this tag.
    pub(crate) fn message(&self, tag: u8) -> Vec<u8> {
        let messages = self.seen.messages.lock().unwrap();
        messages.iter().find(|(seen, _)| *seen == tag).map(|(_, message)| message.clone()).unwrap()
    }

    /// Whether any message has these bytes in it.
    pub(crate) fn heard(&self, bytes: &[u8]) -> bool {
        let messages = self.seen.messages.lock().unwrap();
        messages.iter().any(|(_, message)| message.windows(bytes.len()).any(|part| part == bytes))
    }

    /// Waits until that many connections have ended.
    pub(crate) async fn closed(&self, count: usize) {
        self.until(|| self.seen.closed.load(Ordering::SeqCst) >= count).await;
    }

    /// Waits until a message with this tag came.
    pub(crate) async fn asked(&self, tag: u8) {
        self.until(|| self.tags().contains(&tag)).await;
    }

    async fn until(&self, is: impl Fn() -> bool) {
        loop {
            let changed = self.seen.changed.notified();
            if is() {
                return;
            }
            changed.await;
        }
    }
}

async fn follow(mut stream: TcpStream, version: [u8; 4], script: &Script, seen: &Seen) -> std::io::Result<()> {
    let mut hello = [0; 20];
    stream.read_exact(&mut hello).await?;
    stream.write_all(&version).await?;
    loop {
        let mut message = Vec::new();
        loop {
            let size = usize::from(stream.read_u16().await?);
            if size == 0 {
                break;
            }
            let from = message.len();
            message.resize(from + size, 0);
            stream.read_exact(&mut message[from..]).await?;
        }
        // What is no message at all (a sign of life, or the noise of another protocol) is not answered.
        let Some(&tag) = message.get(1) else { continue };
        seen.messages.lock().unwrap().push((tag, message.clone()));
        seen.changed.notify_waiters();
        if let Some(answer) = script(tag, &message) {
            stream.write_all(&answer).await?;
        }
    }
}

fn chunked(message: &[u8]) -> Vec<u8> {
    let size = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&size[..], message, &[0, 0]].concat()
}

pub(crate) fn success(about: Map) -> Vec<u8> {
    chunked(&[vec![0xB1, 0x70], encode(&about.into(), true).unwrap()].concat())
}

pub(crate) fn failure(code: &str) -> Vec<u8> {
    let about = map([("code", code.into()), ("message", "as the script says".into())]);
    chunked(&[vec![0xB1, 0x7F], encode(&about.into(), true).unwrap()].concat())
}

pub(crate) fn ignored() -> Vec<u8> {
    chunked(&[0xB0, 0x7E])
}

pub(crate) fn record(values: Vec<Value>) -> Vec<u8> {
    chunked(&[vec![0xB1, 0x71], encode(&values.into(), true).unwrap()].concat())
}

/// A server that says yes to all, with one row to every query.
pub(crate) fn agreeable(tag: u8) -> Option<Vec<u8>> {
    match tag {
        GOODBYE => None,
        HELLO => Some(success(map([("server", "Scripted/1".into()), ("connection_id", "1".into())]))),
        RUN => Some(success(map([("fields", vec!["one"].into())]))),
        PULL => Some([record(vec![1.into()]), success(map([("type", "r".into())]))].concat()),
        _ => Some(success(Map::new())),
    }
}
