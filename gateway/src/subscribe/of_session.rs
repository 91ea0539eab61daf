//! `resources/subscribe` and `resources/unsubscribe` of a session: remembered for the link to a server with sessions, or followed
//! for the session at a server without.

use std::sync::Arc;

use tokio::sync::mpsc;
use weft_wire::splice::quote;

use super::{
    PATIENCE, malformed,
    resources::{News, ask, follow},
};
use crate::{
    Gateway,
    call::{Asked, Call},
    refusal::Refusal,
    route::Target,
    uri,
};

/// The URI as the service knows it.
fn own_uri(call: &Call, target: &Target, exposed: &str) -> String {
    match uri::unwrap(exposed) {
        Some((service, own)) if !call.is_verbatim() && service == target.service.id.as_ref() => own.to_owned(),
        _ => exposed.to_owned(),
    }
}

/// Remembers what a session follows at a service that has sessions, so that it is asked for again over a new link.
pub(crate) fn note(call: &Call, asked: &Asked, target: &Target, begin: bool) {
    let (Some(session), Some(uri)) = (&call.session, &asked.uri) else { return };
    let own = own_uri(call, target, &uri.value);
    if begin {
        session.note_followed(&target.service.id, &own);
    } else {
        session.note_left(&target.service.id, &own);
    }
}

/// `resources/subscribe` and `resources/unsubscribe` of a session, at a service without sessions.
pub(crate) async fn in_session(
    gateway: &Arc<Gateway>,
    call: &Call,
    asked: &Asked,
    target: &Target,
    begin: bool,
) -> Result<Vec<u8>, Refusal> {
    let (Some(session), Some(exposed)) = (&call.session, asked.uri.as_ref().map(|uri| uri.value.clone())) else {
        return Err(malformed("params.uri is missing".into()));
    };
    if !begin {
        session.unsubscribe(&exposed);
        return Ok(weft_wire::code::result_body(&asked.id, "{}"));
    }
    let own = own_uri(call, target, &exposed);
    let pairs = vec![(own, exposed.clone())];
    let events = tokio::time::timeout(PATIENCE, ask(gateway, &target.service.id, &pairs)).await.ok().flatten();
    let events = events.ok_or_else(|| Refusal::UnknownResource(exposed.clone()))?;
    let stop = session.over.child_token();
    session.subscribe(&exposed, stop.clone());
    let (updates, mut updated) = mpsc::channel(64);
    let follower = follow(Arc::clone(gateway), target.service.id.clone(), pairs, events, updates);
    let (ring, drain) = (session.rings.own(), gateway.drain.clone());
    gateway.tasks.spawn(async move {
        let telling = async {
            while let Some(news) = updated.recv().await {
                let News::Resource(uri) = news else { continue };
                let message = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":{}}}}}"#,
                    quote(&uri)
                );
                ring.push(message.as_bytes()).await;
            }
        };
        tokio::select! {
            () = drain.cancelled() => {}
            () = stop.cancelled() => {}
            () = follower => {}
            () = telling => {}
        }
    });
    Ok(weft_wire::code::result_body(&asked.id, "{}"))
}
