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
        ["at", "service", "mcp_method_name", "gen_ai_tool_name", "error_type", "mcp_protocol_version"],
        "Time that a request took: at the gateway to the last byte of its answer, at a service to the end of its work.";
    MCP_CLIENT_OPERATION_DURATION = "mcp_client_operation_duration_seconds", Histogram, "seconds",
        ["service", "mcp_method_name", "gen_ai_tool_name", "error_type"],
        "Time from sending a request to a server to the beginning of its answer, each attempt by itself.";
    DATABASE_OPERATION_DURATION = "weft_database_operation_duration_seconds", Histogram, "seconds",
        ["connection", "engine", "tool", "error_type"],
        "Time that a tool's work took on a database connection.";
    DATABASE_POOL_CONNECTIONS = "weft_database_pool_connections", Gauge, "", ["connection"],
        "Connections that the pool of a PostgreSQL connection holds open.";
    VECTORSTORE_OPERATION_DURATION = "weft_vectorstore_operation_duration_seconds", Histogram, "seconds",
        ["store", "backend", "operation", "outcome"],
        "Time that an act took in a store of the vector store server; the outcome is `ok`, a code, or `dropped` if nobody waited for the end.";
    VECTORSTORE_POINTS = "weft_vectorstore_points_total", Counter, "", ["store", "backend", "outcome"],
        "Points that were created, replaced, skipped, changed or deleted.";
    MEMORY_OPERATION_DURATION = "weft_memory_operation_duration_seconds", Histogram, "seconds",
        ["tool", "store", "error_type"],
        "Time that a tool's work took in the store of the memory server.";
    MEMORY_WRITTEN = "weft_memory_written_total", Counter, "", ["store"],
        "Records that were written.";
    MEMORY_FORGOTTEN = "weft_memory_forgotten_total", Counter, "", ["store"],
        "Records that were forgotten because somebody asked.";
    MEMORY_SWEPT = "weft_memory_swept_total", Counter, "", ["store"],
        "Records and notes whose time was over.";
    MEMORY_CONFLICTS = "weft_memory_conflicts_total", Counter, "", ["store"],
        "Writes that met a newer version and were made again or refused.";
    MEMORY_HEARD = "weft_memory_heard_total", Counter, "", ["store"],
        "Changes by other instances that were heard of.";
    SEARCH_OPERATION_DURATION = "weft_search_operation_duration_seconds", Histogram, "seconds",
        ["tool", "store", "error_type"],
        "Time that a tool's work took in the store of the search server.";
    SEARCH_DOCUMENTS = "weft_search_documents_total", Counter, "", ["outcome"],
        "Documents that were indexed, refused or deleted.";
    AIML_OPERATION_DURATION = "weft_aiml_operation_duration_seconds", Histogram, "seconds",
        ["provider", "model", "operation", "outcome"],
        "Time from asking a model to the end of its answer.";
    AIML_FIRST_TOKEN = "weft_aiml_first_token_seconds", Histogram, "seconds", ["provider", "model"],
        "Time from asking a model to the first piece of its answer.";
    AIML_QUEUE_WAIT = "weft_aiml_queue_wait_seconds", Histogram, "seconds", ["provider", "model"],
        "Time that calls waited for a place at a model.";
    AIML_WAITING = "weft_aiml_waiting", Gauge, "", ["provider", "model"],
        "Calls that wait for a place at a model.";
    AIML_PROVIDER_UP = "weft_aiml_provider_up", Gauge, "", ["provider"],
        "1 while a provider answers.";
    AIML_TOKENS = "weft_aiml_tokens_total", Counter, "", ["provider", "model", "kind"],
        "Tokens that went in and came out.";
    AIML_FALLBACKS = "weft_aiml_fallbacks_total", Counter, "", ["provider"],
        "Calls that went on to the next model because a provider failed.";
    AIML_BLOCKED = "weft_aiml_blocked_total", Counter, "", ["provider"],
        "Times that a provider was left alone for a while.";
    AIML_CACHE = "weft_aiml_cache_total", Counter, "", ["outcome"],
        "Deterministic calls that the cache answered, or not.";
    AIML_REPAIRS = "weft_aiml_repairs_total", Counter, "", ["outcome"],
        "Answers that did not fit their schema and were asked for once more.";
    AIML_BUDGET_REFUSALS = "weft_aiml_budget_refusals_total", Counter, "", [],
        "Calls that were refused because a budget was spent.";
    GATEWAY_CALLS = "weft_gateway_calls_total", Counter, "", ["service", "method", "outcome"],
        "Messages answered by the gateway.";
    GATEWAY_CALLERS = "weft_gateway_callers_total", Counter, "", ["kind", "outcome"],
        "Requests by the kind of proof that said who is calling, and what came of it.";
    GATEWAY_REFUSALS = "weft_gateway_refusals_total", Counter, "", ["reason"],
        "Requests that the gateway declined.";
    GATEWAY_ATTEMPTS = "weft_gateway_attempts_total", Counter, "", ["service", "outcome"],
        "Tries at instances; more than the calls where retries happened.";
    GATEWAY_RETRIES = "weft_gateway_retries_total", Counter, "", ["service"],
        "Attempts beyond the first.";
    GATEWAY_RETRIES_UNPAID = "weft_gateway_retries_unpaid_total", Counter, "", ["service"],
        "Attempts that would have been made again, had the retry budget had room.";
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
        "Handshakes with clients, instances and replicas that failed, and connections whose certificate is not taken any more.";
    GATEWAY_INSTANCES = "weft_gateway_instances", Gauge, "", ["service", "state"],
        "Registered instances.";
    GATEWAY_INSTANCES_BLOCKED = "weft_gateway_instances_blocked", Gauge, "", ["service"],
        "Instances that get no calls because their breaker blocks or probes.";
    GATEWAY_REGISTRY_STALE = "weft_gateway_registry_stale", Gauge, "", [],
        "1 while the registry is away and the last known instances are used.";
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
    CERTIFICATE_BEGIN = "weft_certificate_begin_time_seconds", Gauge, "seconds since the epoch", ["of"],
        "From when on the present certificate is valid: of the process in the mesh, or of the listener for clients.";
    CERTIFICATE_END = "weft_certificate_end_time_seconds", Gauge, "seconds since the epoch", ["of"],
        "Until when the present certificate is valid: of the process in the mesh, or of the listener for clients.";
    TRACE_SPANS_SENT = "weft_trace_spans_sent_total", Counter, "", [],
        "Spans that the collector took.";
    TRACE_SPANS_LOST = "weft_trace_spans_lost_total", Counter, "", ["reason"],
        "Spans that were dropped: the queue was full, or the collector did not take them.";
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
