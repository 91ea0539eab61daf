//! What the gateway answers by itself on the aggregate endpoint: who it is, the lists, and the small session methods.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response};
use weft_wire::{code, members::Members, reply::Verdict, splice::quote, version::Era};

use crate::{
    Gateway,
    call::{Asked, Call},
    door::Surface,
    forward::SESSION_HEADER,
    lean::{self, Ask},
    record::Record,
    refusal::Refusal,
    reply::{self, Body},
    route::Local,
    sampling,
    session::{
        level::{LEVELS, Level},
        link,
    },
    upstream::talk::About,
};

/// What a client may say about itself that is remembered, in bytes; more is refused, because it is sent with each request.
pub(crate) const INTRODUCTION: usize = 4096;

/// Answers a local method.
pub(crate) fn answer(
    gateway: &Arc<Gateway>,
    call: &Call,
    asked: &Asked,
    local: Local,
) -> Result<Response<Body>, Refusal> {
    let view = gateway.catalogue.view_of(&call.surface, call.caller.role()).ok_or(Refusal::NotFound)?;
    let result = match local {
        Local::Discover => match &call.surface {
            Surface::Service(id) => discover_of(view.about(id).unwrap_or(&About::default())),
            Surface::Aggregate | Surface::Virtual(_) => view.discover(),
        },
        Local::List(kind) => {
            let listed = match call.era() {
                Era::Stateless => view.stateless_list(kind),
                Era::Session => view.session_list(kind),
            };
            return Ok(reply::json_of(Body::parts(listed.answer(&asked.id))));
        }
        Local::Ping | Local::Lean(_) => "{}".to_owned(),
        Local::Initialize => {
            let result = view.initialize(call.version.as_str());
            let mut response = reply::json(code::result_body(&asked.id, &result));
            begin(gateway, call, asked, &mut response)?;
            return Ok(response);
        }
        Local::SetLevel => {
            set_level(gateway, call, asked)?;
            "{}".to_owned()
        }
    };
    Ok(reply::json(code::result_body(&asked.id, &result)))
}

/// Answers a tool that a lean endpoint has of its own.
pub(crate) fn lean(
    gateway: &Gateway,
    call: &Call,
    asked: &Asked,
    ask: Ask,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let view = gateway.catalogue.view_of(&call.surface, call.caller.role()).ok_or(Refusal::NotFound)?;
    record.set_route("gateway".into(), Some(ask.name().into()));
    let (result, failed) = lean::answer(&view, call, ask);
    if failed {
        record.answered(&Verdict { is_error: true, ..Verdict::default() });
    }
    Ok(reply::json(code::result_body(&asked.id, &result)))
}

/// Begins a session for the client and puts its token on the answer.
pub(crate) fn begin(
    gateway: &Arc<Gateway>,
    call: &Call,
    asked: &Asked,
    response: &mut Response<Body>,
) -> Result<Arc<crate::session::Session>, Refusal> {
    let capabilities = asked.capabilities.as_deref().unwrap_or("{}");
    let info = asked.client_info.as_deref().unwrap_or(r#"{"name":"unknown","version":"0"}"#);
    if capabilities.len() + info.len() > INTRODUCTION {
        let message = format!("capabilities and clientInfo together are limited to {INTRODUCTION} bytes");
        return Err(Refusal::Malformed(code::INVALID_PARAMS, message));
    }
    let (token, session) =
        gateway.sessions.begin(&gateway.seal, (&call.caller, &call.surface), call.version, (capabilities, info))?;
    if let Ok(value) = HeaderValue::from_str(&token) {
        response.headers_mut().insert(SESSION_HEADER, value);
    }
    Ok(session)
}

/// `initialize` on a service's own endpoint: the service answers, and the gateway's session stands around its own.
pub(crate) async fn initialize_at(
    gateway: &Arc<Gateway>,
    call: &Call,
    asked: &Asked,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let Surface::Service(id) = &call.surface else { return Err(Refusal::NotFound) };
    let service = gateway.upstreams.get(id).ok_or(Refusal::NotFound)?;
    record.set_route(Arc::clone(&service.label), None);
    let mut response = reply::json(Bytes::new());
    let session = begin(gateway, call, asked, &mut response)?;
    if service.era_for(Era::Session) == Some(Era::Stateless) {
        let view = gateway.catalogue.view();
        let result = initialize_of(view.about(id).unwrap_or(&About::default()), call.version.as_str());
        return Ok(response.map(|_| Body::full(code::result_body(&asked.id, &result).into())));
    }
    let opened = link::open(gateway, &service, &session, sampling::introduced(&service, &call.body)).await?;
    record.answered(&weft_wire::reply::scan(&opened.message));
    let token = response.headers_mut().remove(SESSION_HEADER);
    let mut response = reply::json(opened.message);
    *response.status_mut() = opened.status;
    match opened.link {
        None => {
            // The service refused; there is no session to speak of.
            if let Some(token) = token.as_ref().and_then(|token| token.to_str().ok()) {
                gateway.sessions.end(token);
            }
        }
        Some(link) => {
            session.adopt(&service, link);
            if let Some(token) = token {
                response.headers_mut().insert(SESSION_HEADER, token);
            }
        }
    }
    Ok(response)
}

/// What a service of the session era would say to `server/discover`.
fn discover_of(about: &About) -> String {
    let info = about.info.as_deref().unwrap_or("{}");
    format!(
        r#"{{"resultType":"complete","supportedVersions":[{}],"capabilities":{},{}"ttlMs":0,"cacheScope":"private","_meta":{{"io.modelcontextprotocol/serverInfo":{info}}}}}"#,
        crate::refusal::supported_versions(),
        across(about, &[]),
        instructions(about),
    )
}

/// What a service of the stateless era would say to `initialize`.
fn initialize_of(about: &About, version: &str) -> String {
    let info = about.info.as_deref().unwrap_or(r#"{"name":"unknown","version":"0"}"#);
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{},{}"serverInfo":{info}}}"#,
        across(about, &["logging"]),
        instructions(about),
    )
}

/// The capabilities that can be had across the eras; tasks and extensions are of one only.
fn across(about: &About, and: &[&str]) -> String {
    let capabilities = weft_wire::translate::capabilities(&about.capabilities).unwrap_or_else(|| "{}".into());
    let mut all = Members::parse(&capabilities).unwrap_or_default();
    for name in and {
        all.set_default(name, "{}");
    }
    all.to_json()
}

fn instructions(about: &About) -> String {
    about.instructions.as_ref().map_or_else(String::new, |text| format!(r#""instructions":{},"#, quote(text)))
}

/// The log level is remembered, and told to the servers that have a session already; others hear it when theirs begins.
fn set_level(gateway: &Arc<Gateway>, call: &Call, asked: &Asked) -> Result<(), Refusal> {
    let level = asked.level.as_deref().and_then(Level::parse).ok_or_else(|| {
        Refusal::Malformed(code::INVALID_PARAMS, format!("params.level must be one of {}", LEVELS.join(", ")))
    })?;
    let Some(session) = &call.session else { return Ok(()) };
    session.set_level(level);
    for (_, link) in session.links() {
        let session = Arc::clone(session);
        gateway.tasks.spawn(async move { link.set_level(&session, level).await });
    }
    Ok(())
}
