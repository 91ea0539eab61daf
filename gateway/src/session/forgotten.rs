//! Whether a server's answer means that it has forgotten a session: there are many ways to say so.

use http::StatusCode;
use weft_wire::{code, reply};

use crate::upstream::exchange::Answer;

/// True when an answer means that the server does not know the session: nothing of the request was done.
///
/// The specification says 404 (2025-11-25, session management); servers in use also say 400 with words about the session, or that
/// they were not initialised.
pub(crate) fn is_forgotten(answer: &Answer) -> bool {
    let (status, message) = match answer {
        Answer::Json { status, body, .. } => (*status, Some(body)),
        other => (other.status(), None),
    };
    let verdict = message.map(|body| reply::scan(body)).unwrap_or_default();
    match status {
        StatusCode::NOT_FOUND => verdict.error_code != Some(code::METHOD_NOT_FOUND),
        StatusCode::BAD_REQUEST => message.is_none_or(|body| says(body, b"session") || says(body, b"initiali")),
        _ => verdict.error_code.is_some() && message.is_some_and(|body| says(body, b"before initiali")),
    }
}

/// True when the text stands in the message, in whatever case.
fn says(message: &[u8], text: &[u8]) -> bool {
    message.len() < 4096 && message.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn what_servers_in_use_say_of_a_lost_session_is_understood() {
        let answer = |status: u16, body: &str| Answer::Json {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let error = |code: i64, text: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"{text}"}}}}"#)
        };
        for (status, body) in [
            (404, error(-32600, "Session not found")),
            (404, error(-32001, "gone")),
            (400, error(-32000, "Bad Request: No valid session ID provided")),
            (400, error(-32000, "Server not initialized")),
            (200, error(-32602, "Received request before initialization was complete")),
        ] {
            assert!(is_forgotten(&answer(status, &body)), "{status} {body}");
        }
        for (status, body) in [
            (404, error(-32601, "Method not found")),
            (400, error(-32602, "the argument is wrong")),
            (200, error(-32602, "unknown tool")),
            (200, r#"{"jsonrpc":"2.0","id":1,"result":{"text":"before initialization"}}"#.to_owned()),
        ] {
            assert!(!is_forgotten(&answer(status, &body)), "{status} {body}");
        }
    }
}
