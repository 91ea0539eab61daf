//! Step 5: headers and a bounded body become a [`Call`]: what is asked, in which era, of which session.
//!
//! The era is decided for each request from what it carries, never from what its connection sent before
//! (MCP 2026-07-28, versioning: servers infer nothing from earlier requests). Only the envelope is read; the payload stays
//! the bytes that came.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header, request::Parts};
use http_body_util::BodyExt as _;
use serde_json::value::RawValue;
use weft_wire::{
    code,
    envelope::{self as wire, Body, Message, Request},
    headers::{self, Standard},
    version::{Era, Version},
};

use crate::{
    Gateway,
    authenticate::Caller,
    call::{Asked, Call, What},
    door::Surface,
    forward::Introduced,
    record::Record,
    refusal::Refusal,
    session::Session,
    trace::Trace,
};

/// What one POST carried.
pub(crate) enum Post {
    /// One message.
    One(Box<Call>),
    /// A batch of the version that has them: each entry a call or the refusal that answers it.
    Batch(Vec<BatchEntry>),
}

/// One message of a batch: a call, or the refusal that answers it.
pub(crate) type BatchEntry = (Record, Result<Box<Call>, Refusal>);

/// Reads and checks the body, and decides era and session.
pub(crate) async fn read<B>(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    surface: &Surface,
    (parts, body): (Parts, B),
    record: &mut Record,
) -> Result<Post, Refusal>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    check_media(&parts.headers)?;
    check_single(&parts.headers, record)?;
    let limits = &gateway.settings.limits;
    let body = collect(body, limits.body_bytes, Duration::from_secs(gateway.settings.timeouts.body_seconds)).await?;
    let bounds = wire::Limits { bytes: limits.body_bytes, depth: limits.depth, batch: limits.batch };
    let headers = Arc::new(parts.headers);
    let arrival = Arrival { gateway, caller, surface, headers: &headers };
    match wire::read(&body, &bounds) {
        Ok(Body::One(message)) => arrival.one(&message, &body, record).map(|call| Post::One(Box::new(call))),
        Ok(Body::Batch(_)) => arrival.batch(&body, &bounds).map(Post::Batch),
        Err(malformed) => {
            record.set_era(if modern_header(&headers) { Era::Stateless } else { Era::Session });
            record.set_call(malformed.id().cloned(), "");
            Err(Refusal::Malformed(malformed.code(), malformed.to_string()))
        }
    }
}

/// One POST while its messages are taken apart.
struct Arrival<'a> {
    gateway: &'a Arc<Gateway>,
    caller: &'a Caller,
    surface: &'a Surface,
    headers: &'a Arc<HeaderMap>,
}

impl Arrival<'_> {
    fn one(&self, message: &Message<'_>, body: &Bytes, record: &mut Record) -> Result<Call, Refusal> {
        let call = |version, session, what| self.call((version, session), what, body);
        match message {
            Message::Request(request) => {
                record.set_call(Some(request.id.clone().into_owned()), &request.method);
                let trace = Trace::begin(request, self.headers, record.arrived());
                record.set_span(&trace.span);
                let (version, session) = self.request_era(request, record)?;
                record.set_version(version);
                trace.of_session(session.as_deref());
                Ok(Call { trace, ..call(version, session, What::Request(Asked::of(request))) })
            }
            Message::Notification(notification) => {
                record.set_call(None, &notification.method);
                if modern_header(self.headers) {
                    record.set_era(Era::Stateless);
                    headers::agree_notification(&self.standard(), notification)
                        .map_err(|fault| Refusal::HeaderMismatch(fault.to_string()))?;
                    return Ok(call(Version::LATEST, None, What::notification(notification)));
                }
                let (version, session) = self.session()?;
                record.set_version(version);
                Ok(call(version, session, What::notification(notification)))
            }
            Message::Response(response) => {
                record.set_call(None, "response");
                let (version, session) = self.session()?;
                record.set_version(version);
                let what = What::Response { id: response.id.clone().into_owned(), span: response.id_span.clone() };
                Ok(call(version, session, what))
            }
        }
    }

    fn call(&self, (version, session): (Version, Option<Arc<Session>>), what: What, body: &Bytes) -> Call {
        Call {
            caller: self.caller.clone(),
            surface: self.surface.clone(),
            version,
            session,
            headers: Arc::clone(self.headers),
            body: body.clone(),
            what,
            trace: Trace::default(),
        }
    }

    /// The rules of the era, in the order that gives the most telling refusal.
    fn request_era(
        &self,
        request: &Request<'_>,
        record: &mut Record,
    ) -> Result<(Version, Option<Arc<Session>>), Refusal> {
        let meta = request.params.meta.as_ref();
        let stated = meta.and_then(|meta| meta.protocol_version.as_deref());
        if request.method == "initialize" {
            return match &request.params.protocol_version {
                Some(asked) => Ok((negotiate(&asked.value), None)),
                None if stated.is_some() || modern_header(self.headers) => {
                    record.set_era(Era::Stateless);
                    Err(Refusal::UnknownMethod(request.method.to_string()))
                }
                None => {
                    Err(Refusal::Malformed(code::INVALID_PARAMS, "initialize must carry params.protocolVersion".into()))
                }
            };
        }
        if stated.is_none() && !modern_header(self.headers) {
            return self.session();
        }
        record.set_era(Era::Stateless);
        let Some(stated) = stated else { return Err(Refusal::MissingMeta("io.modelcontextprotocol/protocolVersion")) };
        headers::agree(&self.standard(), request).map_err(|fault| Refusal::HeaderMismatch(fault.to_string()))?;
        let version = Version::parse(stated)
            .filter(|version| version.era() == Era::Stateless)
            .ok_or_else(|| Refusal::Version(stated.to_owned()))?;
        if meta.and_then(|meta| meta.client_capabilities).is_none() {
            return Err(Refusal::MissingMeta("io.modelcontextprotocol/clientCapabilities"));
        }
        Ok((version, None))
    }

    /// The session that the request's header names.
    fn session(&self) -> Result<(Version, Option<Arc<Session>>), Refusal> {
        if let Some(stated) = header(self.headers, headers::PROTOCOL_VERSION) {
            let known = Version::parse(stated).is_some_and(|version| version.era() == Era::Session);
            if !known {
                return Err(Refusal::Version(stated.to_owned()));
            }
        }
        let Some(token) = header(self.headers, headers::SESSION_ID) else { return Ok(self.without_session()) };
        let session = self.gateway.sessions.open(&self.gateway.seal, token, self.caller, self.surface)?;
        Ok((session.version(), Some(session)))
    }

    /// A client of the session era that does not repeat its session's id is served all the same, as its caller.
    fn without_session(&self) -> (Version, Option<Arc<Session>>) {
        let stated = header(self.headers, headers::PROTOCOL_VERSION).and_then(Version::parse);
        let session = self.gateway.sessions.of_caller(self.caller, self.headers, &Introduced::default());
        // A request without the header is of the version that did not have it yet (2025-06-18, protocol version header).
        (stated.unwrap_or(Version::V2025_03_26), Some(session))
    }

    /// Takes a batch apart: each entry becomes a message of its own, with its own record.
    fn batch(&self, body: &Bytes, bounds: &wire::Limits) -> Result<Vec<BatchEntry>, Refusal> {
        let (version, _) = self.session()?;
        if !version.has_batches() {
            return Err(Refusal::Malformed(
                code::INVALID_REQUEST,
                format!("version {} has no batches; send each message alone", version.as_str()),
            ));
        }
        let entries: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|_| Refusal::Malformed(code::PARSE_ERROR, "the batch is not a JSON array".into()))?;
        Ok(entries.into_iter().map(|raw| self.entry(&body.slice_ref(raw.get().as_bytes()), bounds)).collect())
    }

    fn entry(&self, body: &Bytes, bounds: &wire::Limits) -> BatchEntry {
        let mut record = Record::open();
        record.set_caller(self.caller);
        let call = match wire::read(body, bounds) {
            Ok(Body::One(Message::Request(request))) if request.method == "initialize" => {
                record.set_call(Some(request.id.clone().into_owned()), "initialize");
                Err(Refusal::Malformed(code::INVALID_REQUEST, "initialize cannot be part of a batch".into()))
            }
            Ok(Body::One(message)) => self.one(&message, body, &mut record).map(Box::new),
            Ok(Body::Batch(_)) => Err(Refusal::Malformed(code::INVALID_REQUEST, "a batch cannot hold a batch".into())),
            Err(malformed) => {
                record.set_call(malformed.id().cloned(), "");
                Err(Refusal::Malformed(malformed.code(), malformed.to_string()))
            }
        };
        (record, call)
    }

    fn standard(&self) -> Standard<'_> {
        Standard {
            version: header(self.headers, headers::PROTOCOL_VERSION),
            method: header(self.headers, headers::METHOD),
            name: header(self.headers, headers::NAME),
        }
    }
}

/// The version that answers an `initialize`: the asked one when it is known, otherwise the newest that has sessions.
fn negotiate(asked: &str) -> Version {
    Version::parse(asked).filter(|version| version.era() == Era::Session).unwrap_or(Version::LATEST_SESSION)
}

/// A header's text; a value that is not text counts as absent, and is then missed by whoever needs it.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// True when the version header is of the stateless era, known or yet unknown: versions are dates and compare as text.
fn modern_header(headers: &HeaderMap) -> bool {
    header(headers, headers::PROTOCOL_VERSION).is_some_and(|stated| {
        Version::parse(stated).map_or(stated > Version::LATEST.as_str(), |version| version.era() == Era::Stateless)
    })
}

fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Refusal::MediaType) }
}

/// A mirrored header that comes twice says two things, and whoever reads only one of them can be deceived.
fn check_single(headers: &HeaderMap, record: &mut Record) -> Result<(), Refusal> {
    let single = [headers::PROTOCOL_VERSION, headers::METHOD, headers::NAME, headers::SESSION_ID];
    match single.into_iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => {
            record.set_era(Era::Stateless);
            Err(Refusal::HeaderMismatch(format!("the header {name} stands more than once")))
        }
        None => Ok(()),
    }
}

/// Collects a body, refusing early by its announced length and late by its real one.
pub(crate) async fn collect<B>(mut body: B, limit: usize, within: Duration) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(Refusal::TooLarge(limit));
    }
    let broken = || Refusal::Malformed(code::PARSE_ERROR, "the request body ended early".into());
    let gather = async {
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        let mut seen = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
            seen += data.len();
            if seen > limit {
                return Err(Refusal::TooLarge(limit));
            }
            match &first {
                None => first = Some(data),
                Some(_) => rest.extend_from_slice(&data),
            }
        }
        let first = first.unwrap_or_default();
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    };
    tokio::time::timeout(within, gather).await.unwrap_or_else(|_| Err(broken()))
}
