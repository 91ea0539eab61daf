//! A server of the HTTP+SSE transport (MCP 2024-11-05) as a line of messages: its stream is what it says, and what we say is POSTed to
//! the address that the stream's first event names.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use reqwest::{Client, Url};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use weft_wire::sse::{Decoder, Event};

use crate::{
    Options,
    child::{QUEUE, Wire},
};

/// The server takes a message within this time; its answer comes on the stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens the stream and waits for the address to POST to.
pub(crate) async fn connect(options: &Options, url: &str, headers: HeaderMap) -> Result<Wire, String> {
    let origin: Url = url.parse().map_err(|error| format!("{url:?} is no address: {error}"))?;
    let client = Client::builder()
        .connect_timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| error.to_string())?;
    let asking = client.get(origin.clone()).headers(headers.clone()).header("accept", "text/event-stream").send();
    let response = tokio::time::timeout(options.start_within, asking)
        .await
        .map_err(|_| format!("{url} did not answer in time"))?
        .map_err(|error| format!("{url} cannot be reached: {error}"))?;
    let media = response.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
    if !response.status().is_success() || !media.starts_with("text/event-stream") {
        return Err(format!("{url} answered {} {media:?}, which is no stream of events", response.status()));
    }
    let (to, queue) = mpsc::channel(QUEUE);
    let (tell, from) = mpsc::channel(QUEUE);
    let (found, endpoint) = oneshot::channel();
    let stop = CancellationToken::new();
    let reader = Reader { name: Arc::clone(&options.name), origin, tell, found: Some(found) };
    let (reading, limit) = (stop.clone(), options.line_bytes);
    tokio::spawn(async move {
        reading.run_until_cancelled(reader.run(response, limit)).await;
        reading.cancel();
    });
    let endpoint = tokio::time::timeout(options.start_within, endpoint).await;
    let Ok(Ok(endpoint)) = endpoint else {
        stop.cancel();
        return Err(format!("{url} named no address of its own to send messages to"));
    };
    tokio::spawn(post(client, endpoint, headers, (queue, stop.clone())));
    Ok(Wire { to, from, stop })
}

/// The stream, read to its end.
struct Reader {
    name: Arc<str>,
    origin: Url,
    tell: mpsc::Sender<Bytes>,
    found: Option<oneshot::Sender<Url>>,
}

impl Reader {
    async fn run(mut self, response: reqwest::Response, limit: usize) {
        let mut decoder = Decoder::new(limit);
        let mut chunks = response.bytes_stream();
        loop {
            match decoder.next() {
                Ok(Some(event)) => {
                    if self.take(event).await.is_none() {
                        return;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    return tracing::warn!(service = &*self.name, %error, "the stream of a server is given up");
                }
            }
            match chunks.next().await {
                Some(Ok(chunk)) => decoder.feed(&chunk),
                Some(Err(error)) => return tracing::debug!(service = &*self.name, %error, "a stream broke"),
                None => return,
            }
        }
    }

    async fn take(&mut self, event: Event) -> Option<()> {
        if event.event.as_deref() != Some("endpoint") {
            let message = event.data.trim_ascii();
            if message.first() == Some(&b'{') {
                self.tell.send(Bytes::copy_from_slice(message)).await.ok()?;
            }
            return Some(());
        }
        let path = String::from_utf8_lossy(&event.data).into_owned();
        let endpoint = self.origin.join(path.trim()).ok()?;
        if endpoint.origin() != self.origin.origin() {
            // Our messages, with their credentials, would go to somebody else (MCP 2024-11-05, HTTP with SSE).
            tracing::warn!(service = &*self.name, %endpoint, "a server wants its messages elsewhere; it is given up");
            return None;
        }
        if let Some(found) = self.found.take() {
            let _ = found.send(endpoint);
        }
        Some(())
    }
}

async fn post(
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    (mut queue, stop): (mpsc::Receiver<Bytes>, CancellationToken),
) {
    while let Some(Some(message)) = stop.run_until_cancelled(queue.recv()).await {
        let sent = client
            .post(endpoint.clone())
            .headers(headers.clone())
            .header("content-type", "application/json")
            .timeout(PATIENCE)
            .body(message)
            .send();
        let taken =
            matches!(stop.run_until_cancelled(sent).await, Some(Ok(response)) if response.status().is_success());
        if !taken {
            // The session is gone with it: those who wait are told, and the next call begins another.
            stop.cancel();
            return;
        }
    }
}
