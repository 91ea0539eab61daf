//! The trace of a call: which context it came with, what is said of it in spans, and what servers are told.
//!
//! A context in `_meta` wins over one in the HTTP headers: it was written by whoever makes the call, the headers by the last
//! hop that carried it (OpenTelemetry, semantic conventions for MCP, context propagation). Servers get both, of either era. The
//! session's id is a credential, so spans name a hash of it.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use weft_telemetry::{
    Remote, Span,
    span::{Carried, Kind},
    w3c::{BAGGAGE, TRACEPARENT, TRACESTATE},
};
use weft_wire::{envelope::Request, translate};

use crate::{
    envelope::header,
    session::Session,
    upstream::{Instance, exchange::Outgoing},
};

/// What a call carries of its trace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// The gateway's own span of the call.
    pub(crate) span: Span,
    /// What the caller wants carried along; not looked into.
    baggage: Option<Arc<str>>,
}

/// How a call ended, for its span.
pub(crate) struct Ended<'a> {
    pub(crate) method: &'static str,
    pub(crate) service: &'a str,
    pub(crate) target: &'a str,
    pub(crate) caller: Option<&'a str>,
    pub(crate) version: &'static str,
    pub(crate) outcome: &'static str,
}

impl Trace {
    /// Begins the span of a request that came in at `began`.
    pub(crate) fn begin(request: &Request<'_>, headers: &HeaderMap, began: SystemTime) -> Self {
        let meta = request.params.meta.as_ref();
        let inner = Remote {
            traceparent: meta.and_then(|meta| meta.traceparent.as_deref()),
            tracestate: meta.and_then(|meta| meta.tracestate.as_deref()),
        };
        let outer = Remote { traceparent: header(headers, TRACEPARENT), tracestate: header(headers, TRACESTATE) };
        let span = Span::server("mcp", began, &[inner, outer]);
        let baggage = meta.and_then(|meta| meta.baggage.as_deref()).or_else(|| header(headers, BAGGAGE));
        let trace = Self { span, baggage: baggage.map(Arc::from) };
        if trace.span.is_recording() {
            trace.span.set("jsonrpc.request.id", request.id.as_raw().trim_matches('"').to_owned());
            if let (true, Some(uri)) = (request.method.starts_with("resources/"), &request.params.uri) {
                trace.span.set("mcp.resource.uri", without_query(&uri.value).to_owned());
            }
        }
        trace
    }

    /// Says which session it belongs to.
    pub(crate) fn of_session(&self, session: Option<&Session>) {
        if let (true, Some(session)) = (self.span.is_recording(), session) {
            self.span.set("mcp.session.id", format!("{:016x}", session.hash()));
        }
    }

    /// The span of one attempt at `instance`.
    pub(crate) fn attempt(&self, method: &'static str, target: &str, instance: &Instance) -> Span {
        if !self.span.is_recording() {
            return self.span.clone();
        }
        let span = self.span.child(Kind::Client, name(method, target));
        describe(&span, method, target);
        span.set("weft.instance.id", instance.info.id.clone());
        span.set("server.address", instance.info.address.ip().to_string());
        span.set("server.port", i64::from(instance.info.address.port()));
        span.set("network.transport", "tcp");
        span.set("network.protocol.name", "http");
        span
    }

    /// The request with the context of `span` in its headers and in `_meta`; as it is where there is none.
    pub(crate) fn carried<'o>(&self, span: &Span, outgoing: &'o Outgoing) -> Cow<'o, Outgoing> {
        let carried = span.carried();
        if carried.is_none() && self.baggage.is_none() {
            return Cow::Borrowed(outgoing);
        }
        let mut outgoing = outgoing.clone();
        let baggage = self.baggage.as_deref();
        let text = std::str::from_utf8(&outgoing.body).unwrap_or_default();
        let context = translate::TraceContext {
            traceparent: carried.as_ref().map(|it| it.traceparent.as_str()),
            tracestate: carried.as_ref().map(|it| it.tracestate.as_str()),
            baggage,
        };
        if let Some(body) = translate::with_trace(text, &context) {
            outgoing.body = body.into();
        }
        outgoing.traced = traced(carried, baggage);
        Cow::Owned(outgoing)
    }

    /// Ends the span with what is known now.
    pub(crate) fn end(span: &Span, ended: &Ended<'_>) {
        if !span.is_recording() {
            return;
        }
        span.rename(name(ended.method, ended.target));
        describe(span, ended.method, ended.target);
        span.set("network.transport", "tcp");
        span.set("network.protocol.name", "http");
        span.set("weft.service", ended.service.to_owned());
        span.set("weft.outcome", ended.outcome);
        if let Some(caller) = ended.caller {
            span.set("weft.caller", caller.to_owned());
        }
        if !ended.version.is_empty() {
            span.set("mcp.protocol.version", ended.version);
        }
        if ended.outcome != "ok" {
            span.fail(ended.outcome);
        }
        span.end();
    }
}

/// `tools/call NAME`: low cardinality, because names are those that a route has confirmed.
fn name(method: &'static str, target: &str) -> Cow<'static, str> {
    if target.is_empty() { Cow::Borrowed(method) } else { Cow::Owned(format!("{method} {target}")) }
}

fn describe(span: &Span, method: &'static str, target: &str) {
    span.set("mcp.method.name", method);
    match method {
        "tools/call" => {
            span.set("gen_ai.operation.name", "execute_tool");
            if !target.is_empty() {
                span.set("gen_ai.tool.name", target.to_owned());
            }
        }
        "prompts/get" if !target.is_empty() => span.set("gen_ai.prompt.name", target.to_owned()),
        _ => {}
    }
}

/// Queries of URIs hold what people search for, and now and then a key.
fn without_query(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

fn traced(carried: Option<Carried>, baggage: Option<&str>) -> Vec<(HeaderName, HeaderValue)> {
    let (traceparent, tracestate) = carried.map(|it| (it.traceparent, it.tracestate)).unwrap_or_default();
    let all = [(TRACEPARENT, traceparent), (TRACESTATE, tracestate), (BAGGAGE, baggage.unwrap_or_default().to_owned())];
    let some = all.into_iter().filter(|(_, value)| !value.is_empty());
    some.filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use weft_wire::envelope::{self, Body, Limits, Message};

    use super::*;

    const IN_META: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const IN_HEADER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

    fn begun(meta: &str, traceparent: &'static str) -> Option<String> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#);
        let Ok(Body::One(Message::Request(request))) = envelope::read(body.as_bytes(), &Limits::default()) else {
            panic!("not a request")
        };
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(traceparent));
        Trace::begin(&request, &headers, SystemTime::now()).span.carried().map(|carried| carried.traceparent)
    }

    #[test]
    fn meta_wins_over_headers_and_what_is_malformed_does_not_count() {
        let meta = format!(r#"{{"traceparent":"{IN_META}"}}"#);
        assert_eq!(begun(&meta, IN_HEADER).as_deref(), Some(IN_META));
        assert_eq!(begun("{}", IN_HEADER).as_deref(), Some(IN_HEADER));
        assert_eq!(begun(r#"{"traceparent":"00-1-2-01"}"#, IN_HEADER).as_deref(), Some(IN_HEADER));
        assert_eq!(begun(r#"{"traceparent":7}"#, "nonsense"), None);
    }

    #[test]
    fn a_uri_is_told_without_what_was_asked_of_it() {
        assert_eq!(without_query("file:///a?token=1#x"), "file:///a");
    }
}
