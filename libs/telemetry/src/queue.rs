//! Spans that have ended → batches for a collector, on a bounded queue that never makes a call wait.
//!
//! A processor of our own instead of the SDK's: that one has a thread per process and keeps what it lost to itself, while an
//! operator must see in the metrics that spans are missing, and a dead collector must cost nothing but that number.

use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::names;

/// Spans that may wait.
const WAITING: usize = 4096;
/// Spans in one request.
const BATCH: usize = 512;
/// How long spans are gathered for one request.
const GATHER: Duration = Duration::from_millis(500);
/// What one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a collector that does not answer is worth a line.
const QUIET: Duration = Duration::from_secs(600);

/// Takes what has ended.
#[derive(Debug)]
pub(crate) struct Queue(mpsc::Sender<SpanData>);

/// The worker behind a queue.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Queue {
    /// Begins to send to `exporter`; needs a runtime.
    pub(crate) fn start<E: SpanExporter + 'static>(mut exporter: E, resource: &Resource) -> (Self, Worker) {
        exporter.set_resource(resource);
        let (send, spans) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        let sender = Sender { exporter, told: None };
        let task = tokio::spawn(run(sender, spans, stopped));
        (Self(send), Worker { stop, task })
    }
}

impl Worker {
    /// Sends what is left, for as long as `within` at most.
    pub(crate) async fn finish(self, within: Duration) {
        // It has ended already when nobody listens.
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(within, self.task).await.is_err() {
            tracing::warn!("the collector did not take the last spans in time");
            abort.abort();
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.try_send(span).is_err() {
            metrics::counter!(names::TRACE_SPANS_LOST.name, "reason" => "queue").increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

async fn run<E: SpanExporter>(
    mut sender: Sender<E>,
    mut spans: mpsc::Receiver<SpanData>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut stopped = false;
    loop {
        tokio::select! {
            count = spans.recv_many(&mut batch, BATCH) => if count == 0 { return },
            _ = &mut stop, if !stopped => {
                stopped = true;
                spans.close();
                continue;
            }
        }
        // What was gathered stays in the batch when the gathering is dropped: `recv_many` takes all or nothing.
        let more = async { while batch.len() < BATCH && spans.recv_many(&mut batch, BATCH).await > 0 {} };
        tokio::select! {
            () = more => {}
            () = tokio::time::sleep(GATHER), if !stopped => {}
            _ = &mut stop, if !stopped => {
                stopped = true;
                spans.close();
            }
        }
        sender.send(std::mem::take(&mut batch)).await;
    }
}

struct Sender<E> {
    exporter: E,
    /// When a failure was last told.
    told: Option<Instant>,
}

impl<E: SpanExporter> Sender<E> {
    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let why = match tokio::time::timeout(PATIENCE, self.exporter.export(batch)).await {
            Ok(Ok(())) => {
                metrics::counter!(names::TRACE_SPANS_SENT.name).increment(count);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        metrics::counter!(names::TRACE_SPANS_LOST.name, "reason" => "export").increment(count);
        if self.told.is_none_or(|told| told.elapsed() > QUIET) {
            self.told = Some(Instant::now());
            tracing::warn!(why, "spans cannot be sent; is the address in telemetry.otlp a collector's?");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use opentelemetry::{
        InstrumentationScope,
        trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
    };
    use opentelemetry_sdk::{
        error::OTelSdkError,
        trace::{SpanEvents, SpanLinks},
    };

    use super::*;

    /// Keeps what it is given; where it is told to, it waits for ever.
    #[derive(Debug, Clone, Default)]
    struct Kept {
        names: Arc<Mutex<Vec<String>>>,
        stuck: bool,
    }

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            if self.stuck {
                std::future::pending::<()>().await;
            }
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.extend(batch.into_iter().map(|span| span.name.into_owned()));
            if names.len() > 1_000_000 { Err(OTelSdkError::AlreadyShutdown) } else { Ok(()) }
        }
    }

    fn span(n: u64) -> SpanData {
        let (trace, id) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes((n + 1).to_be_bytes()));
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: n.to_string().into(),
            start_time: std::time::SystemTime::UNIX_EPOCH,
            end_time: std::time::SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ended_is_sent_and_the_rest_at_the_end() {
        let kept = Kept::default();
        let (queue, worker) = Queue::start(kept.clone(), &Resource::builder_empty().build());
        (0..600).for_each(|n| queue.on_end(span(n)));
        tokio::time::sleep(GATHER * 2).await;
        assert_eq!(kept.names.lock().unwrap().len(), 600);
        queue.on_end(span(600));
        worker.finish(Duration::from_secs(3)).await;
        assert_eq!(kept.names.lock().unwrap().last().map(String::as_str), Some("600"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_collector_holds_up_neither_calls_nor_the_end() {
        let (queue, worker) = Queue::start(Kept { stuck: true, ..Kept::default() }, &Resource::builder_empty().build());
        let began = Instant::now();
        (0..10_000).for_each(|n| queue.on_end(span(n)));
        // Waiting for the collector, even a little each time, would take far longer; a pause of the machine does not.
        assert!(queue.0.capacity() == 0 && began.elapsed() < Duration::from_secs(60));
        worker.finish(Duration::from_secs(3)).await;
    }
}
