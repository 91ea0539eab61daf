//! An operation and a caller's arguments → one HTTP request, or what is wrong with the arguments.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Map, Value};

use crate::{
    document::{Media, Operation, Parameter, Payload, Place},
    input::{encoded, pairs, plain, simple},
};

/// The request; `base` is the address of the API, without a slash at its end.
pub(crate) fn build(
    client: &Client,
    base: &Url,
    operation: &Operation,
    arguments: &Map<String, Value>,
) -> Result<RequestBuilder, String> {
    check(operation, arguments)?;
    let given = |parameter: &Parameter| arguments.get(&parameter.argument).filter(|value| !value.is_null());
    let mut path = operation.path.clone();
    let mut query: Vec<(String, String)> = Vec::new();
    let mut cookies = Vec::new();
    let mut headers = http::HeaderMap::new();
    for parameter in &operation.parameters {
        let Some(value) = given(parameter) else { continue };
        let whole = |encode| simple(value, &parameter.style, parameter.explode, &parameter.name, encode);
        match parameter.place {
            Place::Path => {
                let text = whole(encoded);
                if text.is_empty() {
                    return Err(format!("{:?} is part of the path and must not be empty", parameter.argument));
                }
                path = path.replace(&format!("{{{}}}", parameter.name), &text);
            }
            Place::Query => query.extend(pairs(&parameter.name, value, &parameter.style, parameter.explode)),
            Place::Header => {
                let wrong = || {
                    format!("{:?} cannot be a header: it holds a line break or a control character", parameter.argument)
                };
                let name = HeaderName::try_from(parameter.name.as_str()).map_err(|_| wrong())?;
                headers.insert(name, HeaderValue::try_from(whole(str::to_owned)).map_err(|_| wrong())?);
            }
            Place::Cookie => cookies.push(format!("{}={}", encoded(&parameter.name), whole(encoded))),
        }
    }
    if path.contains('{') {
        return Err(format!("the path {path} needs more than the document says"));
    }
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    if !query.is_empty() {
        let text: Vec<String> = query.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        url.set_query(Some(&text.join("&")));
    }
    let mut request = client.request(operation.method.clone(), url).headers(headers);
    if !cookies.is_empty() {
        request = request.header("cookie", cookies.join("; "));
    }
    let body = operation.payload.as_ref().and_then(|payload| Some((payload, arguments.get(&payload.argument)?)));
    match body.filter(|(_, value)| !value.is_null()) {
        Some((payload, value)) => with_body(request, payload, value),
        None => Ok(request),
    }
}

/// What is missing and what is not known, all at once.
fn check(operation: &Operation, arguments: &Map<String, Value>) -> Result<(), String> {
    let known = |name: &str| {
        operation.parameters.iter().any(|it| it.argument == name)
            || operation.payload.as_ref().is_some_and(|it| it.argument == name)
    };
    let missing: Vec<&str> = operation
        .required
        .iter()
        .filter(|name| arguments.get(*name).is_none_or(Value::is_null))
        .map(String::as_str)
        .collect();
    let unknown: Vec<&str> = arguments.keys().map(String::as_str).filter(|name| !known(name)).collect();
    let mut wrong = Vec::new();
    if !missing.is_empty() {
        wrong.push(format!("missing: {}", missing.join(", ")));
    }
    if !unknown.is_empty() {
        wrong.push(format!("not known: {}", unknown.join(", ")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("wrong arguments of {}: {}", operation.name, wrong.join("; "))) }
}

fn with_body(request: RequestBuilder, payload: &Payload, value: &Value) -> Result<RequestBuilder, String> {
    let typed = |request: RequestBuilder, kind: &str| request.header("content-type", kind);
    match payload.media {
        Media::Json => Ok(typed(request, &payload.content_type).body(value.to_string())),
        Media::Text => Ok(typed(request, &payload.content_type).body(plain(value))),
        Media::Bytes => {
            let bytes = BASE64.decode(plain(value)).map_err(|_| format!("{:?} must be Base64", payload.argument))?;
            Ok(typed(request, &payload.content_type).body(bytes))
        }
        Media::Form => {
            let fields = value.as_object().ok_or_else(|| format!("{:?} must be an object", payload.argument))?;
            let all = fields.iter().flat_map(|(name, value)| pairs(name, value, "form", true));
            let text: Vec<String> = all.map(|(key, value)| format!("{key}={value}")).collect();
            Ok(typed(request, "application/x-www-form-urlencoded").body(text.join("&")))
        }
        Media::Multipart => {
            let fields = value.as_object().ok_or_else(|| format!("{:?} must be an object", payload.argument))?;
            let (boundary, body) = multipart(fields);
            Ok(typed(request, &format!("multipart/form-data; boundary={boundary}")).body(body))
        }
    }
}

/// Fields as parts of text (RFC 7578); objects and lists as JSON.
fn multipart(fields: &Map<String, Value>) -> (String, String) {
    let mut boundary = "weft-part".to_owned();
    while fields.values().any(|value| plain(value).contains(&boundary)) {
        boundary.push('x');
    }
    let mut body = String::new();
    for (name, value) in fields {
        let name = name.replace(['"', '\r', '\n'], "_");
        body.push_str(&format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{}\r\n",
            plain(value)
        ));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    (boundary, body)
}
