//! The alerts, one after the other. Apart from what is made of them, because this is the part that people change.

/// How much it hurries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Calls fail now.
    Critical,
    /// Somebody should look today.
    Warning,
}

impl Severity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// One alert.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) name: &'static str,
    /// True while it gives something.
    pub(super) expr: &'static str,
    /// For how long it must be true.
    pub(super) lasts: &'static str,
    pub(super) severity: Severity,
    /// What is the matter, with Prometheus's placeholders.
    pub(super) summary: &'static str,
    /// What it means and what to do.
    pub(super) todo: &'static str,
}

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "WeftServiceWithoutInstances",
        // A service that was taken away for good is forgotten after a day.
        expr: r#"max by (service) (weft_gateway_instances{state="healthy"}) == 0 and (max by (service) (weft_gateway_instances{state="unhealthy"}) > 0 or max by (service) (max_over_time(weft_gateway_instances{state="healthy"}[1d])) > 0)"#,
        lasts: "1m",
        severity: Severity::Critical,
        summary: "No instance of {{ $labels.service }} is healthy.",
        todo: "Every call of {{ $labels.service }} fails. Look at its instances in the gateway's console and in the registry, and at their logs; an instance that is not ready says why at /ready of its administration address. If the service was taken away for good, the alert ends after a day.",
    },
    Alert {
        name: "WeftCallsFail",
        expr: r#"sum by (service) (rate(weft_gateway_calls_total{outcome=~"no_instance|shed|upstream_.*"}[5m])) / sum by (service) (rate(weft_gateway_calls_total[5m])) > 0.05"#,
        lasts: "5m",
        severity: Severity::Critical,
        summary: "{{ $value | humanizePercentage }} of the calls of {{ $labels.service }} fail.",
        todo: "Servers cannot be reached, do not answer, or the gateway sheds calls. The label outcome of weft_gateway_calls_total says which; a trace with a failed attempt shows the instance. What tools themselves report as errors is not counted here.",
    },
    Alert {
        name: "WeftToolsFail",
        expr: r#"sum by (service) (rate(weft_gateway_calls_total{outcome=~"tool_error|rpc_error"}[15m])) / sum by (service) (rate(weft_gateway_calls_total[15m])) > 0.5"#,
        lasts: "15m",
        severity: Severity::Warning,
        summary: "More than half of the calls of {{ $labels.service }} end with an error of its tools.",
        todo: "The server answers, and says no. Mostly its backend is away or refuses the credentials: the log of the server names it, and its spans show the request that failed. It can also be one client that asks for what is not there.",
    },
    Alert {
        name: "WeftCallsSlow",
        // Models take their time, and have metrics of their own.
        expr: r#"histogram_quantile(0.99, sum by (le, service) (rate(mcp_server_operation_duration_seconds_bucket{at="gateway",service!="aiml"}[5m]))) > 5"#,
        lasts: "10m",
        severity: Severity::Warning,
        summary: "One in a hundred calls of {{ $labels.service }} takes {{ $value | humanizeDuration }}.",
        todo: "Compare the same metric with at=\"service\", which is the work alone: if that is high, the server or its backend is slow, and its spans say what takes the time. If not, calls wait for instances: add some, or look for retries and for a gateway without CPU.",
    },
    Alert {
        name: "WeftInstancesBlocked",
        expr: r"max by (service) (weft_gateway_instances_blocked) > 0",
        lasts: "10m",
        severity: Severity::Warning,
        summary: "Instances of {{ $labels.service }} get no calls, because calls to them fail.",
        todo: "The registry finds them healthy, the gateway's breaker does not. Find them in the console (breaker: blocks or probes). Mostly they answer health checks and hang at their backend, or the gateway cannot reach them over the network. Restart them, or take them out.",
    },
    Alert {
        name: "WeftRetriesExhausted",
        expr: r"sum by (service) (rate(weft_gateway_retries_unpaid_total[5m])) > 0",
        lasts: "5m",
        severity: Severity::Warning,
        summary: "Calls of {{ $labels.service }} fail without another attempt: the retry budget is spent.",
        todo: "So many attempts fail that trying again would make it worse, so the gateway passes failures on. Find out why attempts fail (weft_gateway_attempts_total by outcome). A larger balance.retry_ratio only hides it.",
    },
    Alert {
        name: "WeftGatewaySheds",
        expr: r#"sum(rate(weft_gateway_refusals_total{reason="shed"}[5m])) > 0"#,
        lasts: "5m",
        severity: Severity::Critical,
        summary: "The gateways turn {{ $value | humanize }} calls a second away.",
        todo: "There are more calls than the gateways, or a service with a limit of its own, may hold. If weft_gateway_in_flight is near the limit because a service is slow, mend that first; else add gateways, or raise the limits if there is memory for it.",
    },
    Alert {
        name: "WeftRegistryAway",
        expr: r"max by (instance) (weft_gateway_registry_stale) == 1",
        lasts: "2m",
        severity: Severity::Warning,
        summary: "The gateway at {{ $labels.instance }} cannot ask its registry and uses the instances it knew last.",
        todo: "Calls go on, but instances that come are not seen and those that go are only found by failing. Look at the registry (Consul, the Kubernetes API, DNS, the file) and at the gateway's log, which says why.",
    },
    Alert {
        name: "WeftCatalogueStale",
        expr: r"max by (service) (weft_gateway_catalogue_stale) == 1",
        lasts: "10m",
        severity: Severity::Warning,
        summary: "The tools of {{ $labels.service }} are listed as they were last: it cannot be asked.",
        todo: "Clients see tools that may be gone. The service has no instance that answers tools/list; see WeftServiceWithoutInstances and the gateway's log.",
    },
    Alert {
        name: "WeftCertificateExpires",
        // A day before the end, or in the last fifth of a certificate that lives shorter: those are renewed after two thirds.
        expr: r"weft_certificate_end_time_seconds - time() < clamp_max((weft_certificate_end_time_seconds - weft_certificate_begin_time_seconds) / 5, 86400)",
        lasts: "5m",
        severity: Severity::Critical,
        summary: "The certificate of {{ $labels.instance }} ({{ $labels.of }}) ends in {{ $value | humanizeDuration }}.",
        todo: "It should have been renewed long before. mesh: look at the source of the identity (Consul, Vault, cert-manager, the files) and at the log of the process, which says why it gives no new one. listener: renew the files of tls; they are read again by themselves.",
    },
    Alert {
        name: "WeftHandshakesFail",
        expr: r"sum by (instance, reason) (rate(weft_gateway_tls_failures_total[5m])) > 0.1 or sum by (instance, reason) (rate(weft_service_tls_failures_total[5m])) > 0.1",
        lasts: "10m",
        severity: Severity::Warning,
        summary: "TLS handshakes at {{ $labels.instance }} fail: {{ $labels.reason }}.",
        todo: "expired: a certificate was not renewed, or clocks differ. foreign: two authorities are in use, as when one is exchanged. wrong_name or denied: somebody who is not expected calls, or an intention is missing. plain_text: a client or a health check speaks no TLS.",
    },
    Alert {
        name: "WeftProcessDown",
        // Whatever has shown Weft's metrics lately, under whatever job it is scraped.
        expr: r"up == 0 and on (job, instance) count by (job, instance) (last_over_time(weft_process_start_time_seconds[1d]))",
        lasts: "2m",
        severity: Severity::Critical,
        summary: "{{ $labels.instance }} does not answer Prometheus.",
        todo: "The process is gone, hangs, or its administration address cannot be reached. If other instances of its service are healthy, calls go on. Look at its last log lines and at why it was not started again.",
    },
    Alert {
        name: "WeftProcessRestarts",
        expr: r"changes(weft_process_start_time_seconds[1h]) > 3",
        lasts: "0m",
        severity: Severity::Warning,
        summary: "{{ $labels.instance }} was started {{ $value }} times within an hour.",
        todo: "It crashes or is killed. The last log lines say why; without any it was killed for its memory: raise the limit, or lower what it may keep (limits and budgets of its settings).",
    },
    Alert {
        name: "WeftTracesLost",
        expr: r"sum by (instance, reason) (rate(weft_trace_spans_lost_total[5m])) > 0",
        lasts: "15m",
        severity: Severity::Warning,
        summary: "Spans of {{ $labels.instance }} are dropped ({{ $labels.reason }}).",
        todo: "Calls are not affected. export: the collector is away or refuses; its address and headers are in the section telemetry. queue: more spans than the collector takes; lower telemetry.sample.",
    },
    Alert {
        name: "WeftProgramsFail",
        expr: r"sum by (service) (increase(weft_child_failures_total[15m])) > 3",
        lasts: "0m",
        severity: Severity::Warning,
        summary: "The program behind {{ $labels.service }} cannot be started.",
        todo: "weft adapt starts it for each session, and it ends at once. Start the same command by hand, as the same user and with the same variables; what it writes to standard error is in the log of the adapter.",
    },
    Alert {
        name: "WeftModelsAway",
        expr: r"max by (provider) (weft_aiml_provider_up) == 0",
        lasts: "5m",
        severity: Severity::Warning,
        summary: "The model provider {{ $labels.provider }} does not answer.",
        todo: "Calls go to the next model of their alias, or fail. Look whether the provider runs and whether its key is still good; the log of the aiml server says what it answered.",
    },
];
