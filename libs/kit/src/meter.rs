//! The numbers of one tool. Handles are looked up when the service is built, never per call.

use metrics::{Counter, Histogram, counter, histogram};

use weft_telemetry::names;

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
    truncated: Counter,
}

impl Meter {
    pub(crate) fn new(service: &str, tool: &'static str) -> Self {
        let service = service.to_owned();
        let calls = ["ok", "error", "cancelled", "deadline"].map(|outcome| {
            counter!(names::SERVICE_CALLS.name, "service" => service.clone(), "tool" => tool, "outcome" => outcome)
        });
        let bytes = histogram!(names::SERVICE_RESULT_BYTES.name, "service" => service.clone(), "tool" => tool);
        let truncated = counter!(names::SERVICE_TRUNCATED.name, "service" => service, "tool" => tool);
        Self { calls, bytes, truncated }
    }

    pub(crate) fn count(&self, ended: Ended) {
        self.calls[ended as usize].increment(1);
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    pub(crate) fn result(&self, bytes: usize, truncated: bool) {
        self.bytes.record(bytes as f64);
        if truncated {
            self.truncated.increment(1);
        }
    }
}
