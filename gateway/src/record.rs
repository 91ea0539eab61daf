//! What is remembered of a call: opened before the first step, closed with the last byte or the drop of the reply.
//!
//! From it come the metrics and the one log line of the call. Labels are bounded: a tool's name appears only once a
//! route has confirmed it, so that a client cannot make new time series.

use std::{
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use tokio_util::sync::CancellationToken;
use weft_telemetry::{Span, names};
use weft_wire::{
    envelope::Id,
    reply::Verdict,
    version::{Era, Version},
};

use crate::{
    authenticate::Caller,
    trace::{Ended, Trace},
};

/// One call under way.
#[derive(Debug)]
pub(crate) struct Record {
    began: Instant,
    arrived: SystemTime,
    span: Span,
    era: Era,
    version: Option<Version>,
    id: Option<Id<'static>>,
    method: Arc<str>,
    service: Option<Arc<str>>,
    target: Option<Arc<str>>,
    caller: Option<Caller>,
    outcome: &'static str,
    late: Option<Late>,
    quiet: bool,
    silent: bool,
}

/// The outcome of a reply that is still being streamed, set when its last message has passed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late(Arc<OnceLock<&'static str>>);

impl Late {
    pub(crate) fn set(&self, outcome: &'static str) {
        // Only the first outcome counts: what follows the last message is not part of the call.
        let _ = self.0.set(outcome);
    }
}

/// What a server's answer means for the record.
pub(crate) const fn outcome_of(verdict: &Verdict) -> &'static str {
    if verdict.is_error {
        "tool_error"
    } else if verdict.error_code.is_some() {
        "rpc_error"
    } else {
        "ok"
    }
}

/// Methods that may be a label; any other is shown as `other`.
const METHODS: [&str; 24] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "logging/setLevel",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "response",
    "stream",
];

/// The method as a label.
pub(crate) fn label_of(method: &str) -> &'static str {
    METHODS.iter().find(|known| **known == method).copied().unwrap_or("other")
}

impl Record {
    pub(crate) fn open() -> Self {
        Self {
            began: Instant::now(),
            arrived: SystemTime::now(),
            span: Span::default(),
            era: Era::Session,
            version: None,
            id: None,
            method: Arc::from(""),
            service: None,
            target: None,
            caller: None,
            outcome: "ok",
            late: None,
            quiet: false,
            silent: false,
        }
    }

    pub(crate) fn era(&self) -> Era {
        self.era
    }

    pub(crate) fn id(&self) -> Option<&Id<'static>> {
        self.id.as_ref()
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// When the request came.
    pub(crate) fn arrived(&self) -> SystemTime {
        self.arrived
    }

    /// The span that ends with the record.
    pub(crate) fn set_span(&mut self, span: &Span) {
        self.span = span.clone();
    }

    pub(crate) fn set_caller(&mut self, caller: &Caller) {
        self.caller = Some(caller.clone());
    }

    /// What is cancelled when the caller may not call any more.
    pub(crate) fn over(&self) -> Option<CancellationToken> {
        self.caller.as_ref()?.over().cloned()
    }

    pub(crate) fn set_era(&mut self, era: Era) {
        self.era = era;
    }

    pub(crate) fn set_version(&mut self, version: Version) {
        self.version = Some(version);
        self.era = version.era();
    }

    pub(crate) fn set_call(&mut self, id: Option<Id<'static>>, method: &str) {
        self.id = id;
        self.method = method.into();
    }

    /// The service, and the tool or prompt once it is known to exist.
    pub(crate) fn set_route(&mut self, service: Arc<str>, target: Option<Arc<str>>) {
        self.service = Some(service);
        self.target = target;
    }

    pub(crate) fn refused(&mut self, label: &'static str) {
        self.outcome = label;
        metrics::counter!(names::GATEWAY_REFUSALS.name, "reason" => label).increment(1);
    }

    /// What the server's own answer says.
    pub(crate) fn answered(&mut self, verdict: &Verdict) {
        self.outcome = outcome_of(verdict);
    }

    /// For a reply whose outcome is not known yet; a client that leaves before it is has cut the call short.
    pub(crate) fn late(&mut self) -> Late {
        self.outcome = "disconnected";
        self.late.get_or_insert_default().clone()
    }

    /// For a request that becomes another one, which has a record of its own.
    pub(crate) fn keep_silent(&mut self) {
        self.silent = true;
    }

    /// Long streams are counted elsewhere; their length is no latency.
    pub(crate) fn keep_quiet(&mut self) {
        self.quiet = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.silent {
            return;
        }
        if let Some(outcome) = self.late.as_ref().and_then(|late| late.0.get()) {
            self.outcome = outcome;
        }
        let method = label_of(&self.method);
        let service = self.service.clone().unwrap_or_else(|| Arc::from("gateway"));
        metrics::counter!(
            names::GATEWAY_CALLS.name,
            "service" => Arc::clone(&service), "method" => method, "outcome" => self.outcome
        )
        .increment(1);
        let target = self.target.clone().unwrap_or_default();
        let version = self.version.map_or("", Version::as_str);
        let ended = Ended {
            method,
            service: &service,
            target: &target,
            caller: self.caller.as_ref().map(Caller::id),
            version,
            outcome: self.outcome,
        };
        Trace::end(&self.span, &ended);
        if self.quiet {
            return;
        }
        let elapsed = self.began.elapsed();
        let error = if self.outcome == "ok" { "" } else { self.outcome };
        metrics::histogram!(
            names::MCP_OPERATION_DURATION.name,
            "at" => "gateway", "service" => Arc::clone(&service), "mcp_method_name" => method, "gen_ai_tool_name" => Arc::clone(&target),
            "error_type" => error, "mcp_protocol_version" => version
        )
        .record(elapsed.as_secs_f64());
        self.span.enter(|| {
            tracing::info!(
                target: "weft::call",
                caller = self.caller.as_ref().map_or("-", Caller::id),
                role = self.caller.as_ref().map_or("-", |caller| caller.role().name()),
                method,
                service = &*service,
                target = &*target,
                version,
                outcome = self.outcome,
                micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
                "call"
            );
        });
    }
}
