//! A request over HTTP to a backend → its answer, as a span in the trace of the call that asked for it.
//!
//! The backend is told of the trace by its headers, also where only the caller records it. Neither path nor query is shown: both may
//! hold what users wrote. The span stays with the answer and ends with it, so that it covers a body that comes in pieces.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use reqwest::{Error, Request, RequestBuilder, Response};

use crate::span::{About, Span, Value};

/// Keeps the span of an answer for as long as somebody reads it.
#[derive(Clone)]
struct Read(#[expect(dead_code, reason = "it is kept for its end")] Span);

/// Sends a request; `about` gives the name of its span and what is known besides method and server, and is not asked where nothing
/// is recorded.
pub async fn exchange(request: RequestBuilder, about: impl FnOnce() -> About) -> Result<Response, Error> {
    let (client, request) = request.build_split();
    let mut request = request?;
    let span = Span::backend(|| asked(&request, about()));
    let told = if span.is_recording() { span.clone() } else { Span::current() };
    carry(&told, &mut request);
    let sent = client.execute(request);
    if !span.is_recording() {
        return sent.await;
    }
    match span.within(sent).await {
        Ok(mut answer) => {
            let status = answer.status().as_u16();
            span.set("http.response.status_code", i64::from(status));
            if status >= 400 {
                span.fail(status.to_string());
            }
            answer.extensions_mut().insert(Read(span));
            Ok(answer)
        }
        Err(error) => {
            span.fail(kind(&error));
            Err(error)
        }
    }
}

fn asked(request: &Request, (name, mut about): About) -> About {
    about.push(("http.request.method", Value::from(request.method().to_string())));
    let url = request.url();
    about.extend(url.host_str().map(|host| ("server.address", Value::from(host.to_owned()))));
    about.extend(url.port_or_known_default().map(|port| ("server.port", Value::from(i64::from(port)))));
    (name, about)
}

/// Writes the context into the headers of a request.
fn carry(span: &Span, request: &mut Request) {
    let Some(carried) = span.carried() else { return };
    let written = [("traceparent", carried.traceparent), ("tracestate", carried.tracestate)];
    for (name, value) in written.into_iter().filter(|(_, value)| !value.is_empty()) {
        if let Ok(value) = HeaderValue::try_from(value) {
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}

fn kind(error: &Error) -> Cow<'static, str> {
    match () {
        () if error.is_timeout() => "timeout".into(),
        () if error.is_connect() => "connect".into(),
        () => "broken".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::span::Remote;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_backend_is_told_of_the_callers_trace() {
        let mut request = reqwest::Client::new().get("http://u:p@127.0.0.1:1/secret?secret").build().unwrap();
        carry(&Span::default(), &mut request);
        assert!(!request.headers().contains_key("traceparent"));
        let remote = Remote { traceparent: Some(PARENT), tracestate: Some("a=1") };
        carry(&Span::server("x", SystemTime::now(), &[remote]), &mut request);
        assert_eq!(
            (&request.headers()["traceparent"], &request.headers()["tracestate"]),
            (&PARENT.parse().unwrap(), &HeaderValue::from_static("a=1"))
        );
        let (_, about) = asked(&request, ("x".into(), Vec::new()));
        assert!(
            about.contains(&("server.port", Value::I64(1))) && about.contains(&("server.address", "127.0.0.1".into()))
        );
        assert!(about.iter().all(|(_, value)| !value.to_string().contains("secret")), "{about:?}");
    }
}
