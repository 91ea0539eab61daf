//! MCP over Streamable HTTP in the stateless era (MCP 2026-07-28): discovery, the list of tools, and their calls.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use reqwest::{Client, Url};
use serde_json::{Map, Value, json};
use weft_wire::{
    code,
    envelope::{self, Body as Messages, Id, Limits, Message},
    headers::{self, Standard},
    version::{Era, Version},
};

use crate::{
    Body, OpenApiError, Options, answer,
    document::{self, Operation, cut},
    request,
};

/// How long lists hold, milliseconds: they change with the settings alone.
const TTL_MS: u64 = 300_000;

/// A server of one document.
pub struct OpenApi {
    client: Client,
    base: Url,
    answer_bytes: usize,
    operations: HashMap<String, Operation>,
    discover: String,
    list: String,
}

impl std::fmt::Debug for OpenApi {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OpenApi").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl OpenApi {
    /// Reads the document into tools.
    pub fn new(options: Options) -> Result<Arc<Self>, OpenApiError> {
        let document = &options.document.0;
        let base = base(document, options.base.as_deref())?;
        let client = Client::builder()
            .default_headers(options.headers)
            .timeout(options.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let operations = document::operations(&options.document);
        let tools: Vec<&Value> = operations.iter().map(|operation| &operation.tool).collect();
        let info = json!({ "name": options.name, "version": document["info"]["version"].as_str().unwrap_or("0") });
        let meta = json!({ "io.modelcontextprotocol/serverInfo": info });
        let about = [document["info"]["title"].as_str(), document["info"]["description"].as_str()];
        let about = about.into_iter().flatten().collect::<Vec<_>>().join(": ");
        let discover = json!({ "resultType": "complete", "supportedVersions": [Version::LATEST.as_str()],
            "capabilities": { "tools": {} }, "instructions": cut(&about), "ttlMs": TTL_MS, "cacheScope": "public", "_meta": meta });
        let list =
            json!({ "resultType": "complete", "tools": tools, "ttlMs": TTL_MS, "cacheScope": "public", "_meta": meta });
        Ok(Arc::new(Self {
            client,
            base,
            answer_bytes: options.answer_bytes,
            discover: discover.to_string(),
            list: list.to_string(),
            operations: operations.into_iter().map(|operation| (operation.name.clone(), operation)).collect(),
        }))
    }

    /// Answers one request of MCP, whatever its path.
    pub async fn handle(self: &Arc<Self>, request: Request<Bytes>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return bare(StatusCode::METHOD_NOT_ALLOWED);
        }
        let limits = Limits { bytes: body.len(), ..Limits::default() };
        let asked = match envelope::read(&body, &limits) {
            Ok(Messages::One(Message::Request(request))) => request,
            Ok(Messages::One(_)) => return bare(StatusCode::ACCEPTED),
            Ok(Messages::Batch(_)) => return refusal(400, None, code::INVALID_REQUEST, "send each message alone"),
            Err(malformed) => return refusal(400, malformed.id(), malformed.code(), &malformed.to_string()),
        };
        let id = &asked.id;
        let stated = asked.params.meta.as_ref().and_then(|meta| meta.protocol_version.as_deref());
        if stated.and_then(Version::parse).is_none_or(|version| version.era() != Era::Stateless) {
            let why = format!("this server speaks version {} alone", Version::LATEST.as_str());
            return refusal(400, Some(id), code::UNSUPPORTED_VERSION, &why);
        }
        let header = |name: &str| parts.headers.get(name).and_then(|it| it.to_str().ok());
        let standard = Standard {
            version: header(headers::PROTOCOL_VERSION),
            method: header(headers::METHOD),
            name: header(headers::NAME),
        };
        if let Err(fault) = headers::agree(&standard, &asked) {
            return refusal(400, Some(id), code::HEADER_MISMATCH, &fault.to_string());
        }
        match &*asked.method {
            "server/discover" => result(id, &self.discover),
            "tools/list" if asked.params.cursor.is_some() => {
                refusal(200, Some(id), code::INVALID_PARAMS, "unknown cursor; ask for the list again without one")
            }
            "tools/list" => result(id, &self.list),
            "tools/call" => {
                let name = asked.params.name.as_ref().map(|name| name.value.to_string()).unwrap_or_default();
                match self.operations.get(&name) {
                    Some(operation) => {
                        let called = self.call(operation, asked.params.arguments).await;
                        result(id, &called.to_string())
                    }
                    None => refusal(200, Some(id), code::INVALID_PARAMS, &format!("unknown tool: {name}")),
                }
            }
            method => refusal(404, Some(id), code::METHOD_NOT_FOUND, &format!("unknown method {method:?}")),
        }
    }

    async fn call(&self, operation: &Operation, arguments: Option<&str>) -> Value {
        let arguments: Map<String, Value> = match serde_json::from_str(arguments.unwrap_or("{}")) {
            Ok(arguments) => arguments,
            Err(error) => return answer::failure(&format!("the arguments are no object: {error}")),
        };
        let request = match request::build(&self.client, &self.base, operation, &arguments) {
            Ok(request) => request,
            Err(why) => return answer::failure(&why),
        };
        // Without the address: it may hold what the operator keeps to himself.
        let told = |error: reqwest::Error| error.without_url().to_string();
        match request.send().await {
            Ok(response) => answer::result(response, self.answer_bytes).await,
            Err(error) if error.is_timeout() => answer::failure("the API did not answer in time"),
            Err(error) if error.is_connect() => answer::failure("the API cannot be reached"),
            Err(error) => answer::failure(&format!("the API could not be asked: {}", told(error))),
        }
    }
}

/// Where the API is: what was said, or the document's first server with the usual values of its variables.
fn base(document: &Value, said: Option<&str>) -> Result<Url, OpenApiError> {
    let text = match said {
        Some(said) => said.to_owned(),
        None => {
            let server = &document["servers"][0];
            let mut url = server["url"].as_str().unwrap_or_default().to_owned();
            for (name, variable) in server["variables"].as_object().into_iter().flatten() {
                url = url.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
            }
            if !url.contains("://") {
                return Err(OpenApiError::NoBase);
            }
            url
        }
    };
    let url: Url = text.parse().map_err(|_| OpenApiError::Base(text.clone()))?;
    if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() {
        Ok(url)
    } else {
        Err(OpenApiError::Base(text))
    }
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn json_of(status: u16, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn result(id: &Id<'_>, result: &str) -> Response<Body> {
    json_of(200, code::result_body(id, result))
}

fn refusal(status: u16, id: Option<&Id<'_>>, code: i64, why: &str) -> Response<Body> {
    let data = (code == code::UNSUPPORTED_VERSION)
        .then(|| format!(r#"{{"supported":["{}"],"requested":""}}"#, Version::LATEST.as_str()));
    json_of(status, code::error_body(id, code, why, data.as_deref()))
}
