//! Step 2 and the order of all others: [`serve`] opens and closes the record of a request, [`answer`] is the life of a call.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::{BoxFuture, join_all},
    stream,
};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use weft_wire::version::Era;

use crate::{
    Gateway, admit, authorize,
    call::{Call, What},
    door::{self, Surface, Verb},
    envelope::{self, BatchEntry, Post},
    forward,
    front::Front,
    lean,
    listen::Peer,
    local,
    record::Record,
    refusal::Refusal,
    reply::{self, Body},
    route::{self, Local, Route},
    subscribe, told,
};

/// Answers one HTTP request; whatever happens there is an answer, and a record of it.
pub(crate) async fn serve<B>(gateway: Arc<Gateway>, peer: Peer, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    let mut record = Record::open();
    let origin = request.headers().get(header::ORIGIN).cloned();
    match answer(&gateway, &peer, request, &mut record).await {
        Ok(mut response) => {
            door::cors(origin.as_ref(), response.headers_mut());
            response.map(|body| body.until(record.over()).remembered(record))
        }
        Err(refusal) => {
            let mut response = refusal.render(&mut record);
            if !matches!(refusal, Refusal::Host | Refusal::Origin) {
                door::cors(origin.as_ref(), response.headers_mut());
            }
            response
        }
    }
}

/// The steps of a request, in their order.
async fn answer<B>(
    gateway: &Arc<Gateway>,
    peer: &Peer,
    request: Request<B>,
    record: &mut Record,
) -> Result<Response<Body>, Refusal>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    let (mut parts, body) = request.into_parts();
    door::note_host(&mut parts);
    if let Some(front) = Front::of(&parts)? {
        door::check(&parts.uri, &parts.headers, gateway.known())?;
        // Boxed: what it becomes comes this way again.
        return Box::pin(front.answer(gateway, peer, (parts, body), record)).await;
    }
    let (surface, verb) = door::enter(&parts, gateway.known())?;
    if verb == Verb::Preflight {
        // A browser asks for permission without its credentials.
        record.keep_silent();
        return Ok(preflight(&parts));
    }
    let caller = gateway.authenticator.identify(peer, &parts.headers)?;
    record.set_caller(&caller);
    let paced = gateway.admission.pace(caller)?;
    match verb {
        Verb::Post => match envelope::read(gateway, paced.caller(), &surface, (parts, body), record).await? {
            Post::One(call) => {
                let span = call.trace.span.clone();
                span.within(dispatch(gateway, call, record)).await
            }
            Post::Batch(entries) => Ok(batch(gateway, entries).await),
        },
        Verb::Get => forward::own_stream::open(gateway, paced.caller(), &surface, &parts.headers, record).await,
        Verb::Delete => end(gateway, &paced, &surface, &parts.headers, record),
        Verb::Preflight => Ok(preflight(&parts)),
    }
}

/// What a browser that asks for permission is told.
pub(crate) fn preflight(parts: &http::request::Parts) -> Response<Body> {
    let mut response = reply::accepted();
    *response.status_mut() = StatusCode::NO_CONTENT;
    door::preflight(parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS), response.headers_mut());
    response
}

/// The steps of one message.
async fn dispatch(gateway: &Arc<Gateway>, call: Box<Call>, record: &mut Record) -> Result<Response<Body>, Refusal> {
    let call = lean::unfold(gateway, call)?;
    let What::Request(asked) = &call.what else { return Ok(told::tell(gateway, &call).await) };
    if let Surface::Service(id) = &call.surface {
        if let Some(service) = gateway.upstreams.get(id) {
            if !authorize::sees(&call.caller, &service) {
                return Err(Refusal::NotFound);
            }
            forward::era::of(gateway, &service, call.era()).await?;
        }
        if call.era() == Era::Session && asked.method == "initialize" {
            return local::initialize_at(gateway, &call, asked, record).await;
        }
    }
    let route = route::find(gateway, &call, asked)?;
    let permit = authorize::permit(&call.caller, asked, route)?;
    let ticket = gateway.admission.admit(&permit, asked.method == "subscriptions/listen")?;
    match permit.into_route() {
        Route::Local(Local::Lean(ask)) => {
            local::lean(gateway, &call, asked, ask, record).map(|it| it.map(|b| b.holding(ticket)))
        }
        Route::Local(local) => local::answer(gateway, &call, asked, local).map(|it| it.map(|b| b.holding(ticket))),
        Route::Subscribe(target, begin) if target.service.era_for(Era::Session) == Some(Era::Stateless) => {
            subscribe::of_session::in_session(gateway, &call, asked, &target, begin).await.map(reply::json)
        }
        Route::Subscribe(target, begin) => {
            subscribe::of_session::note(&call, asked, &target, begin);
            forward::forward(gateway, call, *target, ticket, record).await
        }
        Route::Service(target) => forward::forward(gateway, call, *target, ticket, record).await,
        Route::Listen => subscribe::listen(gateway, &call, asked, ticket, record).await,
    }
}

/// The steps of a call that the gateway makes in a caller's name; boxed, because what it is made for came this way too.
pub(crate) fn again<'a>(
    gateway: &'a Arc<Gateway>,
    call: Box<Call>,
    record: &'a mut Record,
) -> BoxFuture<'a, Result<Response<Body>, Refusal>> {
    Box::pin(dispatch(gateway, call, record))
}

/// All messages of a batch at once; the answers in one array, or on one stream when a server streams.
async fn batch(gateway: &Arc<Gateway>, entries: Vec<BatchEntry>) -> Response<Body> {
    let answers = join_all(entries.into_iter().map(|(mut record, call)| async move {
        let response = match call {
            Ok(call) => {
                let span = call.trace.span.clone();
                span.within(dispatch(gateway, call, &mut record)).await
            }
            Err(refusal) => Err(refusal),
        };
        let response = response.unwrap_or_else(|refusal| refusal.render(&mut record));
        response.map(|body| body.remembered(record))
    }))
    .await;
    let answers: Vec<_> = answers.into_iter().filter(|answer| answer.status() != StatusCode::ACCEPTED).collect();
    if answers.is_empty() {
        return reply::accepted();
    }
    let streams = |answer: &Response<Body>| {
        answer.headers().get(header::CONTENT_TYPE).is_some_and(|media| media == "text/event-stream")
    };
    if answers.iter().any(streams) {
        let parts = answers.into_iter().map(|answer| {
            let is_stream = streams(&answer);
            answer
                .into_body()
                .into_data_stream()
                .filter_map(move |chunk| async move {
                    let chunk = chunk.ok()?;
                    Some(if is_stream { http_body::Frame::data(chunk) } else { reply::relay::frame(&chunk) })
                })
                .boxed()
        });
        let merged = stream::select_all(parts).map(Ok::<_, Infallible>);
        return reply::events(Body::stream(StreamBody::new(merged)));
    }
    let mut whole = vec![b'['];
    for answer in answers {
        if whole.len() > 1 {
            whole.push(b',');
        }
        // These bodies are bytes at hand; collecting them cannot fail.
        let bytes = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        whole.extend_from_slice(&bytes);
    }
    whole.push(b']');
    reply::json(Bytes::from(whole))
}

/// DELETE: the client ends its session.
fn end(
    gateway: &Arc<Gateway>,
    paced: &admit::Paced,
    surface: &Surface,
    headers: &http::HeaderMap,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    record.set_call(None, "stream");
    let token = envelope::header(headers, forward::SESSION_HEADER).ok_or(Refusal::MethodNotAllowed)?;
    gateway.sessions.open(&gateway.seal, token, paced.caller(), surface)?;
    if let Some(session) = gateway.sessions.end(token) {
        gateway.tasks.spawn(async move { session.close().await });
    }
    let mut response = reply::accepted();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
