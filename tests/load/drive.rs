//! Load: a closed loop that asks again as soon as it is answered, and an open loop that keeps its rate whatever happens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use crate::target::Spot;

/// What a run gave.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Seconds, sorted.
    latencies: Vec<f64>,
    pub(crate) wrong: u64,
    seconds: f64,
    cpu: f64,
}

impl Measured {
    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.seconds
    }

    pub(crate) fn cpu_per_thousand(&self) -> f64 {
        self.cpu / self.count().max(1.0) * 1000.0
    }

    /// The latency below which this share of the calls was.
    pub(crate) fn at(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = ((self.count() - 1.0) * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    fn count(&self) -> f64 {
        self.latencies.len() as f64
    }
}

type Sender = http1::SendRequest<Full<Bytes>>;

async fn connect(spot: &Spot) -> Result<Sender> {
    let socket = TcpStream::connect(("127.0.0.1", spot.port)).await.context("cannot connect")?;
    socket.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(async move {
        // A connection that ends is seen by whoever sends on it.
        let _ = connection.await;
    });
    Ok(sender)
}

/// One call; true when the answer was right.
async fn call(spot: &Spot, sender: &mut Sender) -> Result<bool> {
    let mut request = Request::new(Full::new(spot.body.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = spot.path.parse()?;
    *request.headers_mut() = spot.headers.clone();
    let response = sender.send_request(request).await?;
    let fine = response.status().is_success();
    let body = response.into_body().collect().await?.to_bytes();
    let right = memchr::memmem::find(&body, spot.expected.as_bytes()).is_some();
    Ok(fine && right && memchr::memmem::find(&body, br#""isError":true"#).is_none())
}

/// Runs `connections` callers for `length`.
pub(crate) async fn closed(spot: &Spot, connections: usize, length: Duration) -> Result<Measured> {
    run(spot, connections, length, None).await
}

/// Sends `rate` calls a second over 64 connections; a late answer makes the calls behind it late, and that is counted.
pub(crate) async fn open(spot: &Spot, rate: usize, length: Duration) -> Result<Measured> {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let every = Duration::from_secs_f64(64.0 / rate as f64);
    run(spot, 64, length, Some(every)).await
}

async fn run(spot: &Spot, connections: usize, length: Duration, every: Option<Duration>) -> Result<Measured> {
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(spot).await?);
    }
    let (before, began) = (spot.cpu(), Instant::now());
    let mut callers = JoinSet::new();
    for (number, mut sender) in senders.into_iter().enumerate() {
        let spot = spot.clone();
        callers.spawn(async move {
            let mut latencies = Vec::new();
            let mut wrong = 0;
            let offset = every.map(|every| every.mul_f64(f64::from(u32::try_from(number).unwrap_or(0)) / 64.0));
            let mut due = began + offset.unwrap_or_default();
            while began.elapsed() < length {
                if every.is_some() {
                    tokio::time::sleep_until(due.into()).await;
                }
                let sent = if every.is_some() { due } else { Instant::now() };
                match call(&spot, &mut sender).await {
                    Ok(true) => latencies.push(sent.elapsed().as_secs_f64()),
                    Ok(false) | Err(_) => wrong += 1,
                }
                if sender.is_closed() {
                    break;
                }
                due += every.unwrap_or_default();
            }
            (latencies, wrong)
        });
    }
    let mut measured = Measured::default();
    while let Some(done) = callers.join_next().await {
        let (latencies, wrong) = done?;
        measured.latencies.extend(latencies);
        measured.wrong += wrong;
    }
    measured.seconds = began.elapsed().as_secs_f64();
    measured.cpu = spot.cpu() - before;
    measured.latencies.sort_by(f64::total_cmp);
    Ok(measured)
}
