//! Log lines: how they are written, and how those of a call name its trace.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer},
    },
    registry::LookupSpan,
};

/// One JSON object a line, with `trace_id` and `span_id` where the work belongs to a trace.
pub(crate) struct Traced(pub(crate) Format<Json>);

impl<S, N> FormatEvent<S, N> for Traced
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some((trace, span)) = ids() else { return self.0.format_event(context, writer, event) };
        let mut line = String::with_capacity(512);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_suffix("}\n") {
            Some(open) => writeln!(writer, "{open},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}"),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(feature = "traces")]
fn ids() -> Option<(opentelemetry::TraceId, opentelemetry::SpanId)> {
    use opentelemetry::{Context, trace::TraceContextExt as _};
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| (span.trace_id(), span.span_id()))
    })
}

#[cfg(not(feature = "traces"))]
fn ids() -> Option<(&'static str, &'static str)> {
    None
}

#[cfg(all(test, feature = "traces"))]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, PoisonError},
        time::SystemTime,
    };

    use tracing_subscriber::fmt::{MakeWriter, format};

    use super::*;
    use crate::span::{Remote, Span};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_of_a_call_names_its_trace_and_others_do_not() {
        let kept = Kept::default();
        let format = Traced(format().json().flatten_event(true).with_ansi(false));
        let logs = tracing_subscriber::fmt().json().event_format(format).with_writer(kept.clone()).finish();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let remote = Remote { traceparent: Some(parent), tracestate: None };
        tracing::subscriber::with_default(logs, || {
            tracing::info!("outside");
            Span::server("x", SystemTime::now(), &[remote]).enter(|| tracing::info!(answer = 42, "inside"));
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines[0].get("trace_id").is_none(), "{text}");
        assert_eq!(lines[1]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(lines[1]["span_id"], "b7ad6b7169203331");
        assert_eq!(lines[1]["answer"], 42);
    }
}
