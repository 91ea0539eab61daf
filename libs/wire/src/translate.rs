//! Messages of one era → the same messages in the other, so that a client of either can be served by a server of either.
//!
//! What differs (MCP 2026-07-28, changes since 2025-11-25): a stateless request introduces itself in `_meta`, a stateless result
//! says its type and how long it may be kept, and some errors have other codes. Everything else keeps its bytes. Questions that
//! servers ask their clients, subscriptions and sessions are more than one message and belong to who carries them.

use crate::{code, envelope::Id, members::Members, version::Version};

/// What the names of MCP's own keys in `_meta` begin with.
const OWN: &str = "io.modelcontextprotocol/";

/// How a client of the session era is introduced to a server without sessions; raw JSON but for the level.
#[derive(Debug, Clone, Copy)]
pub struct Introduction<'a> {
    /// The client's name and version.
    pub client_info: &'a str,
    /// What the client can do, in the words of the stateless era.
    pub capabilities: &'a str,
    /// The log level that it asked for.
    pub level: Option<&'a str>,
}

/// What a server is told of the trace that a request belongs to (MCP 2026-07-28, `_meta`, trace context).
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceContext<'a> {
    /// `traceparent`.
    pub traceparent: Option<&'a str>,
    /// `tracestate`; what a caller said goes with the caller's own parent, so an empty one removes it.
    pub tracestate: Option<&'a str>,
    /// `baggage`.
    pub baggage: Option<&'a str>,
}

/// A request of either era in another trace context than it came with; what is none stays as it is.
pub fn with_trace(message: &str, context: &TraceContext<'_>) -> Option<String> {
    let named =
        [("traceparent", context.traceparent), ("tracestate", context.tracestate), ("baggage", context.baggage)];
    with_meta(message, |meta| {
        for (key, value) in named.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            if value.is_empty() {
                meta.remove(key);
            } else {
                meta.set(key, crate::splice::quote(value));
            }
        }
    })
}

/// A request of the session era as one of the stateless era.
pub fn request_to_stateless(message: &str, introduction: &Introduction<'_>) -> Option<String> {
    with_meta(message, |meta| {
        meta.retain(|key| !key.starts_with(OWN));
        meta.set(key("protocolVersion").as_str(), format!("\"{}\"", Version::LATEST.as_str()));
        meta.set(key("clientInfo").as_str(), introduction.client_info.to_owned());
        meta.set(key("clientCapabilities").as_str(), introduction.capabilities.to_owned());
        if let Some(level) = introduction.level {
            meta.set(key("logLevel").as_str(), crate::splice::quote(level));
        }
    })
}

/// A request of the stateless era as one of the session era, under the id `id` and, if it wants progress, `token`; both raw.
pub fn request_to_session(message: &str, id: &str, token: &str) -> Option<String> {
    let message = with_meta(message, |meta| {
        meta.retain(|key| !key.starts_with(OWN));
        if meta.get("progressToken").is_some() {
            meta.set("progressToken", token.to_owned());
        }
    })?;
    let mut members = Members::parse(&message)?;
    members.set("id", id);
    let mut params = Members::parse(members.original("params")?)?;
    // What was answered goes to the server by itself.
    params.retain(|key| !matches!(key, "requestState" | "inputResponses"));
    members.set("params", params.to_json());
    Some(members.to_json())
}

/// The request with the answers to what the server asked for.
pub fn request_again(message: &str, responses: &str, state: Option<&str>) -> Option<String> {
    let mut members = Members::parse(message)?;
    let mut params = Members::parse(members.original("params").unwrap_or("{}"))?;
    params.set("inputResponses", responses);
    params.remove("requestState");
    if let Some(state) = state {
        params.set("requestState", state);
    }
    members.set("params", params.to_json());
    Some(members.to_json())
}

fn with_meta(message: &str, change: impl FnOnce(&mut Members<'_>)) -> Option<String> {
    let mut members = Members::parse(message)?;
    let mut params = Members::parse(members.original("params").unwrap_or("{}"))?;
    let mut meta = Members::parse(params.original("_meta").filter(|raw| *raw != "null").unwrap_or("{}"))?;
    change(&mut meta);
    if meta.is_empty() {
        params.remove("_meta");
    } else {
        params.set("_meta", meta.to_json());
    }
    members.set("params", params.to_json());
    Some(members.to_json())
}

fn key(name: &str) -> String {
    format!("{OWN}{name}")
}

/// A server's answer in the stateless era to a request of the session era; none when it is no clear answer.
pub fn response_to_session(message: &str, method: &str) -> Option<String> {
    let mut members = Members::parse(message)?;
    if let Some(error) = members.get("error") {
        let error = error_to_session(error, method)?;
        members.set("error", error);
        return Some(members.to_json());
    }
    let mut result = Members::parse(members.original("result")?)?;
    result.retain(|key| !matches!(key, "resultType" | "ttlMs" | "cacheScope"));
    // The session era knows objects only; the same is in the text beside it (2025-11-25, structured content).
    if result.get("structuredContent").is_some_and(|raw| !raw.starts_with('{')) {
        result.remove("structuredContent");
    }
    members.set("result", result.to_json());
    Some(members.to_json())
}

/// A server's answer in the session era to a request of the stateless era, under the client's own id.
pub fn response_to_stateless(message: &str, method: &str, id: &Id<'_>) -> Option<String> {
    let mut members = Members::parse(message)?;
    members.set("id", id.as_raw());
    if let Some(error) = members.get("error") {
        let error = error_to_stateless(error)?;
        members.set("error", error);
        return Some(members.to_json());
    }
    let mut result = Members::parse(members.original("result")?)?;
    result.set_default("resultType", "\"complete\"");
    if is_cacheable(method) {
        result.set_default("ttlMs", "0");
        result.set_default("cacheScope", "\"private\"");
    }
    members.set("result", result.to_json());
    Some(members.to_json())
}

/// Results that must say how long they may be kept (MCP 2026-07-28, caching).
pub fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

fn error_to_session(raw: &str, method: &str) -> Option<String> {
    let mut error = Members::parse(raw)?;
    let names_uri = || {
        let data = error.get("data").and_then(Members::parse);
        data.is_some_and(|data| data.get("uri").is_some())
    };
    let mapped = match error.get("code")?.parse::<i64>().ok()? {
        code::INVALID_PARAMS if method == "resources/read" && names_uri() => code::RESOURCE_NOT_FOUND_LEGACY,
        code::MISSING_CAPABILITY => code::INVALID_REQUEST,
        -32_099..=-32_020 => code::INTERNAL_ERROR,
        other => other,
    };
    error.set("code", mapped.to_string());
    Some(error.to_json())
}

fn error_to_stateless(raw: &str) -> Option<String> {
    let mut error = Members::parse(raw)?;
    let mapped = match error.get("code")?.parse::<i64>().ok()? {
        code::RESOURCE_NOT_FOUND_LEGACY => code::INVALID_PARAMS,
        code::URL_ELICITATION => code::INTERNAL_ERROR,
        other => other,
    };
    error.set("code", mapped.to_string());
    Some(error.to_json())
}

/// What a client of one era can do, in the words of the other: tasks and extensions are of one era only, and not offered
/// across.
pub fn capabilities(raw: &str) -> Option<String> {
    let mut all = Members::parse(raw)?;
    all.retain(|key| !matches!(key, "tasks" | "extensions"));
    Some(all.to_json())
}

/// The params of a question, raw, as a client of the other era may read them: the id of a page visit is of the session era
/// only, where `page` gives one.
pub fn question_params(raw: &str, page: Option<&str>) -> Option<String> {
    let mut params = Members::parse(raw)?;
    params.remove("elicitationId");
    let visits = params.text("mode").as_deref() == Some("url");
    if let Some(page) = page.filter(|_| visits) {
        params.set("elicitationId", crate::splice::quote(page));
    }
    Some(params.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTRODUCTION: Introduction<'_> = Introduction {
        client_info: r#"{"name":"c","version":"1"}"#,
        capabilities: r#"{"elicitation":{}}"#,
        level: Some("info"),
    };

    #[test]
    fn a_request_is_introduced_and_the_introduction_taken_away_again() {
        let plain = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"n":1.50},"_meta":{"progressToken":"p","x/y":1}}}"#;
        let introduced = request_to_stateless(plain, &INTRODUCTION).unwrap();
        assert!(introduced.contains(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#), "{introduced}");
        assert!(introduced.contains(r#""io.modelcontextprotocol/logLevel":"info""#), "{introduced}");
        assert!(introduced.contains(r#""arguments":{"n":1.50}"#) && introduced.contains(r#""progressToken":"p""#));
        let back = request_to_session(&introduced, "7", "\"p\"").unwrap();
        assert_eq!(back, plain);
    }

    #[test]
    fn a_trace_context_takes_the_place_of_the_one_that_came() {
        let plain = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"n":1.50},"_meta":{"traceparent":"old","tracestate":"a=1","x/y":1}}}"#;
        let context = TraceContext { traceparent: Some("new"), tracestate: Some(""), baggage: Some("k=\"v\"") };
        let carried = with_trace(plain, &context).unwrap();
        let expected = plain.replace(r#""old","tracestate":"a=1","x/y":1"#, r#""new","x/y":1,"baggage":"k=\"v\"""#);
        assert_eq!(carried, expected);
        assert_eq!(with_trace(plain, &TraceContext::default()).unwrap(), plain);
        assert_eq!(with_trace("[]", &context), None);
    }

    #[test]
    fn a_request_without_params_or_meta_gets_them() {
        for plain in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":null}}"#,
        ] {
            let introduced = request_to_stateless(plain, &INTRODUCTION).unwrap();
            assert!(
                introduced.contains(r#""params":{"_meta":{"io.modelcontextprotocol/protocolVersion""#),
                "{introduced}"
            );
        }
    }

    #[test]
    fn results_lose_and_gain_what_the_era_asks_for() {
        let modern =
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[],"ttlMs":5,"cacheScope":"public"}}"#;
        let session = response_to_session(modern, "tools/list").unwrap();
        assert_eq!(session, r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#);
        let again = response_to_stateless(&session, "tools/list", &Id::number(9)).unwrap();
        assert_eq!(
            again,
            r#"{"jsonrpc":"2.0","id":9,"result":{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}}"#
        );
        let list = r#"{"id":1,"result":{"content":[],"structuredContent":[1]}}"#;
        assert_eq!(response_to_session(list, "tools/call").unwrap(), r#"{"id":1,"result":{"content":[]}}"#);
    }

    #[test]
    fn errors_have_the_codes_of_their_era() {
        let code = |message: Option<String>| {
            let value: serde_json::Value = serde_json::from_str(&message.unwrap()).unwrap();
            value["error"]["code"].as_i64().unwrap()
        };
        let error = |code: i64| format!(r#"{{"id":1,"error":{{"code":{code},"message":"m","data":{{"uri":"u:x"}}}}}}"#);
        let to_session = |from, method| code(response_to_session(&error(from), method));
        assert_eq!(to_session(-32602, "resources/read"), -32002);
        assert_eq!(to_session(-32602, "tools/call"), -32602);
        assert_eq!(to_session(-32021, "tools/call"), -32600);
        assert_eq!(to_session(-32020, "tools/call"), -32603);
        let to_stateless = |from| code(response_to_stateless(&error(from), "resources/read", &Id::number(1)));
        assert_eq!(to_stateless(-32002), -32602);
        assert_eq!(to_stateless(-32601), -32601);
    }

    #[test]
    fn what_only_one_era_has_is_not_offered_in_the_other() {
        let both = r#"{"elicitation":{},"tasks":{"list":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
        assert_eq!(capabilities(both).unwrap(), r#"{"elicitation":{}}"#);
        let visit = r#"{"mode":"url","url":"https://a","message":"m","elicitationId":"e"}"#;
        assert!(!question_params(visit, None).unwrap().contains("elicitationId"));
        assert!(question_params(visit, Some("f")).unwrap().contains(r#""elicitationId":"f""#));
        assert_eq!(question_params(r#"{"message":"m"}"#, Some("f")).unwrap(), r#"{"message":"m"}"#);
    }

    #[test]
    fn what_is_not_clear_is_not_translated() {
        for doubtful in [r#"{"id":1,"result":{"a":1,"a":2}}"#, r#"{"id":1}"#, "[]", ""] {
            assert_eq!(response_to_session(doubtful, "x"), None, "{doubtful}");
        }
    }
}
