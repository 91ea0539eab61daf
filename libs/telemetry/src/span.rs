//! A piece of work in a trace: what is known of it, under which parent, and how it ended.
//!
//! A [`Span`] is nothing where traces are not exported and the caller sent no context: making, cloning and ending one then
//! costs a look at an empty option. Where only the caller traces, the span is the caller's own: nothing is recorded, but log
//! lines name the trace and servers are told of it. The OpenTelemetry API is used as it is, without `tracing` spans: those
//! would be made for every log filter, exported or not.

use std::{borrow::Cow, future::poll_fn, pin::pin, sync::OnceLock, time::SystemTime};

pub use opentelemetry::Value;
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanBuilder, SpanContext, Status, TraceContextExt as _},
};
use opentelemetry_sdk::trace::SdkTracer;

use crate::w3c;

/// Set once, by [`crate::otlp::start`].
pub(crate) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Which side of a conversation a span tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answers a request.
    Server,
    /// It sends one.
    Client,
    /// Neither.
    Internal,
}

/// The context that came with a request, as it was written there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Remote<'a> {
    /// `traceparent`.
    pub traceparent: Option<&'a str>,
    /// `tracestate`.
    pub tracestate: Option<&'a str>,
}

impl Remote<'_> {
    /// The span that it names. A malformed context is none, and the next best counts.
    fn named(&self) -> Option<SpanContext> {
        w3c::parse(self.traceparent?, self.tracestate)
    }
}

/// The context as it goes on to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// `traceparent`.
    pub traceparent: String,
    /// `tracestate`; empty for none.
    pub tracestate: String,
}

/// Work in a trace, or nothing. Clones are the same span; it ends with [`Span::end`], at the latest with the last clone.
#[derive(Debug, Clone, Default)]
pub struct Span(Option<Context>);

/// What is known of work before it begins: the name of its span and its attributes.
pub type About = (Cow<'static, str>, Vec<(&'static str, Value)>);

/// True when this process exports traces.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

impl Span {
    /// The span of a request that came in, under the first of `remotes` that is well formed, or at the root of a new trace.
    pub fn server(name: impl Into<Cow<'static, str>>, began: SystemTime, remotes: &[Remote<'_>]) -> Self {
        let parent = remotes.iter().find_map(Remote::named);
        let Some(tracer) = TRACER.get() else {
            return Self(parent.map(|parent| Context::new().with_remote_span_context(parent)));
        };
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = SpanBuilder::from_name(name).with_kind(Kind::Server.into()).with_start_time(began);
        let span = builder.start_with_context(tracer, &context);
        Self(Some(context.with_span(span)))
    }

    /// The span that this thread works in.
    pub fn current() -> Self {
        Self(Context::map_current(|context| context.has_active_span().then(|| context.clone())))
    }

    /// A span under this one; nothing of its own where this one is not recorded.
    #[must_use]
    pub fn child(&self, kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        let (Some(tracer), Some(context)) = (TRACER.get(), self.0.as_ref()) else { return self.clone() };
        if !context.span().is_recording() {
            return self.clone();
        }
        let span = SpanBuilder::from_name(name).with_kind(kind.into()).start_with_context(tracer, context);
        Self(Some(context.with_span(span)))
    }

    /// The span of work on a backend, below the one that the thread works in; nothing where nothing is recorded, and then `about`
    /// is not asked.
    pub fn backend(about: impl FnOnce() -> About) -> Self {
        let current = if is_on() { Self::current() } else { Self::default() };
        if !current.is_recording() {
            return Self::default();
        }
        let (name, attributes) = about();
        let span = current.child(Kind::Client, name);
        for (key, value) in attributes {
            span.set(key, value);
        }
        span
    }

    /// True when what is said of it will be exported; ask before making costly attributes.
    pub fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(|context| context.span().is_recording())
    }

    /// Says something about the work.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Gives it a better name.
    pub fn rename(&self, name: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().update_name(name);
        }
    }

    /// Says that the work failed; `kind` is from a closed list.
    pub fn fail(&self, kind: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            let (span, kind) = (context.span(), kind.into());
            span.set_attribute(KeyValue::new("error.type", kind.clone()));
            span.set_status(Status::error(kind));
        }
    }

    /// Ends it now.
    pub fn end(&self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }

    /// What a server is to be told.
    pub fn carried(&self) -> Option<Carried> {
        let context = self.0.as_ref()?;
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| Carried { traceparent: w3c::written(span), tracestate: span.trace_state().header() })
    }

    /// Runs `work` as part of this span: its log lines name the trace, its own spans lie below.
    pub async fn within<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|waker| {
            let _attached = self.0.as_ref().map(|context| context.clone().attach());
            work.as_mut().poll(waker)
        })
        .await
    }

    /// Like [`Span::within`], for work that does not wait.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _attached = self.0.as_ref().map(|context| context.clone().attach());
        work()
    }
}

impl From<Kind> for opentelemetry::trace::SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Server => Self::Server,
            Kind::Client => Self::Client,
            Kind::Internal => Self::Internal,
        }
    }
}

/// Runs `work` on a backend in a span of its own, as [`Span::backend`] makes it; `failed` says what went wrong, from a closed list.
pub async fn backend<T, E>(
    about: impl FnOnce() -> About,
    failed: impl FnOnce(&E) -> Cow<'static, str>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = Span::backend(about);
    if !span.is_recording() {
        return work.await;
    }
    let done = span.within(work).await;
    if let Err(error) = &done {
        span.fail(failed(error));
    }
    span.end();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn without_export_a_span_is_nothing_or_the_callers_own() {
        let none = Span::server("x", SystemTime::now(), &[Remote::default()]);
        assert!(none.carried().is_none() && !none.is_recording());
        let bad = Remote { traceparent: Some("00-1-2-01"), tracestate: None };
        let good = Remote { traceparent: Some(PARENT), tracestate: Some("a=1") };
        let span = Span::server("x", SystemTime::now(), &[bad, good]);
        let expected = Carried { traceparent: PARENT.to_owned(), tracestate: "a=1".to_owned() };
        assert_eq!(span.child(Kind::Client, "y").carried(), Some(expected));
        assert!(Span::current().carried().is_none());
        span.enter(|| assert_eq!(Span::current().carried().unwrap().traceparent, PARENT));
    }
}
