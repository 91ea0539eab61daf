//! W3C Trace Context: `traceparent` and `tracestate` as text ⇄ the identity of a span.
//!
//! Strict, because the text comes from callers: what is not exactly of the recommendation's form counts as absent, and a
//! trace of our own begins. (The SDK's own reader also takes ids that are too short.)

use std::str::FromStr as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The name of the header and of the member of `_meta` that names the parent.
pub const TRACEPARENT: &str = "traceparent";
/// What tracing systems add to it.
pub const TRACESTATE: &str = "tracestate";
/// What applications carry along.
pub const BAGGAGE: &str = "baggage";

/// Bytes of a `traceparent` of version 00.
pub const LENGTH: usize = 55;
/// Where the id of the span stands in it.
pub const SPAN_ID: std::ops::Range<usize> = 36..52;

/// The span that `traceparent` names; none when the text is not well formed. A `tracestate` that is not is left out.
pub(crate) fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
    let text = traceparent.trim();
    let (version, trace) = (hex(text, 0..2)?, hex(text, 3..35)?);
    let (span, flags) = (hex(text, SPAN_ID)?, hex(text, 53..LENGTH)?);
    let dashes = [2, 35, 52].into_iter().all(|at| text.as_bytes().get(at) == Some(&b'-'));
    // A later version may have more behind another dash; 00 has not, and ff is none.
    let ends = text.len() == LENGTH || (version != "00" && text.as_bytes().get(LENGTH) == Some(&b'-'));
    if !dashes || !ends || version == "ff" {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let state = tracestate.and_then(|state| TraceState::from_str(state.trim()).ok()).unwrap_or_default();
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, state)).filter(SpanContext::is_valid)
}

/// The `traceparent` of a span.
pub(crate) fn written(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8() & 1)
}

fn hex(text: &str, place: std::ops::Range<usize>) -> Option<&str> {
    let part = text.get(place)?;
    part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_well_formed_comes_out_as_it_went_in() {
        let span = parse(GOOD, Some("a=1,b=2")).unwrap();
        assert_eq!(written(&span), GOOD);
        assert_eq!(&GOOD[SPAN_ID], span.span_id().to_string());
        assert_eq!(span.trace_state().header(), "a=1,b=2");
        assert!(span.is_remote() && span.is_sampled());
        assert!(parse(&GOOD.replace("00-0", "cc-0").replace("-01", "-01-more"), None).is_some());
        assert_eq!(written(&parse(&GOOD.replace("-01", "-fe"), None).unwrap()), GOOD.replace("-01", "-00"));
        assert_eq!(parse(GOOD, Some("=nonsense=,,")).unwrap().trace_state().header(), "");
    }

    #[test]
    fn anything_else_is_no_parent() {
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let bad = [
            "",
            "00-1-2-01",
            zero,
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ];
        for text in bad {
            assert!(parse(text, None).is_none(), "{text}");
        }
    }
}
