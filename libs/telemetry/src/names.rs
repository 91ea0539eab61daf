//! Every metric of Weft in one table: name, kind, unit, labels and help. The reference page is generated from it.
//!
//! Names follow the OpenTelemetry conventions for MCP in their Prometheus form where those exist
//! (`mcp.server.operation.duration`), and `weft_<part>_…` otherwise.

/// What a metric measures how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name that Prometheus sees.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The unit of its values; empty for counts.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, for people.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:ident, $unit:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], help: $help };
        )*
        /// All of them, in the order of the reference page.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    MCP_OPERATION_DURATION = "mcp_server_operation_duration_seconds", Histogram, "seconds",
        ["service", "mcp_method_name", "gen_ai_tool_name", "error_type", "mcp_protocol_version"],
        "Time from the first byte of a request to the last byte of its answer.";
    GATEWAY_CALLS = "weft_gateway_calls_total", Counter, "", ["service", "method", "outcome"],
        "Messages answered by the gateway.";
    GATEWAY_REFUSALS = "weft_gateway_refusals_total", Counter, "", ["reason"],
        "Requests that the gateway declined.";
    GATEWAY_ATTEMPTS = "weft_gateway_attempts_total", Counter, "", ["service", "outcome"],
        "Tries at instances; more than the calls where retries happened.";
    GATEWAY_RETRIES = "weft_gateway_retries_total", Counter, "", ["service"],
        "Attempts beyond the first.";
    GATEWAY_HEDGES = "weft_gateway_hedges_total", Counter, "", ["service"],
        "Second attempts beside a slow first one.";
    GATEWAY_IN_FLIGHT = "weft_gateway_in_flight", Gauge, "", [],
        "Calls that hold a ticket now.";
    GATEWAY_STREAMS = "weft_gateway_streams", Gauge, "", [],
        "Open streams of changes.";
    GATEWAY_SESSIONS = "weft_gateway_sessions", Gauge, "", [],
        "Sessions in memory.";
    GATEWAY_LINKS = "weft_gateway_links", Gauge, "", [],
        "Sessions that the gateway keeps at servers for its clients.";
    GATEWAY_RENEWALS = "weft_gateway_renewals_total", Counter, "", ["service"],
        "Sessions at servers begun again because the server had lost them.";
    GATEWAY_HELD = "weft_gateway_held", Gauge, "", [],
        "Calls that wait for an answer of their client.";
    GATEWAY_UPSTREAM_CONNECTIONS = "weft_gateway_upstream_connections", Gauge, "", ["service"],
        "Open connections to instances, idle ones included.";
    GATEWAY_TLS_FAILURES = "weft_gateway_tls_failures_total", Counter, "", ["reason"],
        "Handshakes with instances that failed.";
    GATEWAY_INSTANCES = "weft_gateway_instances", Gauge, "", ["service", "state"],
        "Registered instances.";
    GATEWAY_CATALOGUE_TOOLS = "weft_gateway_catalogue_tools", Gauge, "", ["service"],
        "Tools that a service offers.";
    GATEWAY_CATALOGUE_STALE = "weft_gateway_catalogue_stale", Gauge, "", ["service"],
        "1 while a service's lists are what it offered last and it cannot be asked.";
    CHILDREN = "weft_children", Gauge, "", ["service"],
        "Programs and connections that an adapter runs.";
    CHILD_STARTS = "weft_child_starts_total", Counter, "", ["service"],
        "Starts of programs and connections by an adapter.";
    CHILD_FAILURES = "weft_child_failures_total", Counter, "", ["service"],
        "Starts of an adapter that came to nothing.";
    SERVICE_CALLS = "weft_service_calls_total", Counter, "", ["service", "tool", "outcome"],
        "Tool calls that a service worked on.";
    SERVICE_RESULT_BYTES = "weft_service_result_bytes", Histogram, "bytes", ["service", "tool"],
        "Size of tool results.";
    SERVICE_TRUNCATED = "weft_service_truncated_total", Counter, "", ["service", "tool"],
        "Results that were cut at a budget.";
    SERVICE_TLS_FAILURES = "weft_service_tls_failures_total", Counter, "", ["service", "reason"],
        "Handshakes with peers that failed.";
    PROCESS_START_TIME = "weft_process_start_time_seconds", Gauge, "seconds since the epoch", [],
        "When the process started.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ALL, Kind};

    #[test]
    fn names_are_unique_and_say_their_kind() {
        let names: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.is_empty());
        }
    }
}
