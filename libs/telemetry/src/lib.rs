//! What a process of Weft says about itself: log lines, metrics and traces, set up once by each program.

use std::{
    io::IsTerminal as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt};

#[cfg(feature = "traces")]
pub mod database;
#[cfg(feature = "traces")]
mod exchange;
pub mod health;
mod logs;
pub mod names;
#[cfg(feature = "traces")]
pub mod otlp;
#[cfg(feature = "traces")]
mod queue;
#[cfg(feature = "traces")]
pub mod span;
#[cfg(feature = "traces")]
pub mod w3c;

#[cfg(feature = "traces")]
pub use exchange::exchange;
#[cfg(feature = "traces")]
pub use otlp::{TelemetrySettings, Traces};
#[cfg(feature = "traces")]
pub use span::{Remote, Span};

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("the log filter {0:?} is not valid; write levels and targets such as \"info,weft::call=warn\"")]
    Filter(String),
    /// Another part of the process was first.
    #[error("{0} are already set up in this process")]
    Twice(&'static str),
    /// The recorder refused its configuration.
    #[error("the metrics recorder cannot be built: {0}")]
    Recorder(String),
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is silent unless a filter names it: rmcp calls it an error when a client goes away before its answer, as all do at the end.
const SILENT: &str = "rmcp::service=off";

/// Writes log lines to standard error from now on.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(format!("{SILENT},{filter}")).map_err(|_| TelemetryError::Filter(filter.to_owned()))?;
    let colours = std::io::stderr().is_terminal();
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let done = match format {
        LogFormat::Text => logs.with_target(false).compact().try_init(),
        LogFormat::Json => {
            let json = fmt::format().json().flatten_event(true).with_ansi(false);
            logs.json().event_format(logs::Traced(json)).try_init()
        }
    };
    done.map_err(|_| TelemetryError::Twice("logs"))
}

/// The process's metrics.
#[derive(Clone)]
pub struct Recorder {
    handle: PrometheusHandle,
}

/// Bounds of latencies, seconds: fine where a gateway's own cost lies, coarse where tools work.
const SECONDS: [f64; 16] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Bounds of sizes, bytes.
const BYTES: [f64; 8] = [256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

/// Makes the metrics of this process available; once per process.
pub fn recorder() -> Result<Recorder, TelemetryError> {
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Recorder(error.to_string());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_bytes".into()), &BYTES))
        .map_err(|error| failed(&error))?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Twice("metrics"))?;
    describe();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    metrics::gauge!(names::PROCESS_START_TIME.name).set(now.as_secs_f64());
    Ok(Recorder { handle })
}

fn describe() {
    for metric in names::ALL {
        match metric.kind {
            names::Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            names::Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            names::Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

impl Recorder {
    /// All metrics in the text format of Prometheus. Also folds what histograms have gathered, so call it now and then.
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// Folds what histograms have gathered: without it their memory grows while nobody scrapes. Call it every few seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_with_its_help_and_buckets() {
        let recorder = recorder().unwrap();
        metrics::counter!(names::GATEWAY_REFUSALS.name, "reason" => "host").increment(2);
        metrics::histogram!(names::MCP_OPERATION_DURATION.name, "service" => "x").record(0.003);
        let text = recorder.render();
        assert!(text.contains("# HELP weft_gateway_refusals_total"), "{text}");
        assert!(text.contains("weft_gateway_refusals_total{reason=\"host\"} 2"), "{text}");
        assert!(text.contains("le=\"0.005\"} 1"), "{text}");
        assert!(matches!(super::recorder(), Err(TelemetryError::Twice(_))));
        assert!(matches!(init_logs(LogFormat::Text, "a=b=c"), Err(TelemetryError::Filter(_))));
    }
}
