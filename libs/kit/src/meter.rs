//! The numbers of one tool. Handles are looked up when the service is built, never per call.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

/// How a call ended, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Ok,
    /// The tool said no; it works as it should.
    Error,
    Cancelled,
    Deadline,
}

/// Counts the calls of one tool.
pub(crate) struct Meter {
    calls: [Counter; 4],
    bytes: Histogram,
    seconds: Histogram,
    truncated: Counter,
}

impl Meter {
    pub(crate) fn new(service: &str, tool: &'static str) -> Self {
        let calls = ["ok", "error", "cancelled", "deadline"].map(|outcome| {
            counter!("weft_service_calls_total", "service" => service.to_owned(), "tool" => tool, "outcome" => outcome)
        });
        Self {
            calls,
            bytes: histogram!("weft_service_result_bytes", "service" => service.to_owned(), "tool" => tool),
            seconds: histogram!("weft_service_call_seconds", "service" => service.to_owned(), "tool" => tool),
            truncated: counter!("weft_service_truncated_total", "service" => service.to_owned(), "tool" => tool),
        }
    }

    pub(crate) fn count(&self, ended: Ended, took: Duration) {
        self.calls[ended as usize].increment(1);
        self.seconds.record(took.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    pub(crate) fn result(&self, bytes: usize, truncated: bool) {
        self.bytes.record(bytes as f64);
        if truncated {
            self.truncated.increment(1);
        }
    }
}
