//! A load of clients that call without a pause, and what they saw: how many answers were right, and how long the slowest took.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    harness::{Pulse, stateless_body},
    http::parse,
};

/// How long a client waits: longer than a machine pauses, and than any instance is made to hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One call of a read-only tool of the stateless era; how long it took, or what went wrong.
pub(crate) fn call(port: u16, patience: Duration) -> Result<Duration, String> {
    let began = Instant::now();
    let params = json!({ "name": "echo_echo", "arguments": { "text": "hello" } });
    let body = stateless_body("tools/call", &params);
    let mut socket = TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("connect: {error}"))?;
    socket.set_read_timeout(Some(patience)).unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n\
         mcp-name: echo_echo\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let sent = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes()));
    sent.map_err(|error| format!("send: {error}"))?;
    let mut raw = Vec::new();
    if let Err(error) = socket.read_to_end(&mut raw) {
        let what = if raw.is_empty() { "reset" } else { "read" };
        return Err(format!("{what}: {error}"));
    }
    if !raw.windows(4).any(|window| window == b"\r\n\r\n") {
        return Err("the connection was closed".into());
    }
    let answer = parse(&raw);
    let text = answer.text();
    let right = answer.status == 200 && text.contains(r#""isError":false"#) && text.contains("hello");
    if right { Ok(began.elapsed()) } else { Err(format!("{}: {text}", answer.status)) }
}

/// What the clients of a load saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) right: usize,
    pub(crate) wrong: Vec<String>,
    pub(crate) slowest: Duration,
    /// How long the machine did not run the clients.
    lost: Duration,
    /// Connections that were reset before a byte of the answer, and tried again elsewhere.
    pub(crate) reset: usize,
}

/// Clients that call without a pause until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
    pulse: Pulse,
}

impl Load {
    /// Four clients, each of which turns to the next of `ports` when one cannot be reached.
    pub(crate) fn start(ports: &[u16]) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let clients = (0..4)
            .map(|number| {
                let (stop, seen, ports) = (Arc::clone(&stop), Arc::clone(&seen), ports.to_vec());
                std::thread::spawn(move || client(number, &ports, &stop, &seen))
            })
            .collect();
        Self { stop, seen, clients, pulse: Pulse::start() }
    }

    /// How many calls were answered rightly so far.
    pub(crate) fn right(&self) -> usize {
        self.seen.lock().unwrap().right
    }

    /// Stops the clients; all of their calls must have been answered rightly. Gives what they saw.
    pub(crate) fn all_right(self, what: &str) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.lost = self.pulse.lost();
        let (slowest, lost) = (seen.slowest, seen.lost);
        eprintln!("{what}: {} calls, {} wrong, slowest {slowest:?}, {lost:?} lost", seen.right, seen.wrong.len());
        assert!(seen.wrong.is_empty(), "{what}: {} of {}: {}", seen.wrong.len(), seen.right, seen.wrong[0]);
        assert_eq!(seen.reset, 0, "{what}: connections were reset");
        assert!(seen.right > 20, "{what}: only {} calls", seen.right);
        seen
    }
}

/// One client of a load.
fn client(mut at: usize, ports: &[u16], stop: &AtomicBool, seen: &Mutex<Seen>) {
    while !stop.load(Ordering::Relaxed) {
        let mut outcome = call(ports[at % ports.len()], PATIENCE);
        let mut left = ports.len() - 1;
        let elsewhere = |why: &String| why.starts_with("connect: ") || why.starts_with("reset: ");
        while left > 0 && outcome.as_ref().is_err_and(elsewhere) {
            seen.lock().unwrap().reset += usize::from(outcome.is_err_and(|why| why.starts_with("reset: ")));
            (at, left) = (at + 1, left - 1);
            outcome = call(ports[at % ports.len()], PATIENCE);
        }
        seen.lock().unwrap().count(outcome);
        std::thread::sleep(Duration::from_millis(4));
    }
}

impl Seen {
    /// No call took longer than this, but for the time in which the machine ran nobody.
    pub(crate) fn all_within(&self, limit: Duration, what: &str) {
        assert!(self.slowest < limit + self.lost, "{what}: a call took {:?} ({:?} were lost)", self.slowest, self.lost);
    }

    fn count(&mut self, outcome: Result<Duration, String>) {
        match outcome {
            Ok(took) => {
                self.right += 1;
                self.slowest = self.slowest.max(took);
            }
            Err(why) => self.wrong.push(why),
        }
    }
}

/// Lets time pass under load.
pub(crate) fn pass(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}
