//! In which era a service is spoken to for a client, asked of the service where nobody knows, and asked again where what was
//! known has proved wrong.

use std::{sync::Arc, time::Duration};

use weft_mesh::PeerEra;
use weft_wire::{
    code,
    version::{Era, Version},
};

use crate::{
    Gateway,
    refusal::{Broken, Refusal},
    upstream::{
        Instance, Service,
        exchange::Answer,
        talk::{Talk, TalkError},
    },
};

/// The era in which calls of a client of `client` go to `service`.
pub(crate) async fn of(gateway: &Gateway, service: &Arc<Service>, client: Era) -> Result<Era, Refusal> {
    if let Some(era) = service.era_for(client) {
        return Ok(era);
    }
    let refuse = |broken| Refusal::Service { service: service.id.to_string(), broken, retry: Duration::from_secs(1) };
    let instance = service.any(gateway.upstreams.now()).ok_or_else(|| refuse(Broken::NoInstance))?;
    // Boxed: once in the life of a service.
    Box::pin(Talk::begin(&instance)).await.map_err(|error| {
        tracing::warn!(service = %service.id, %error, "cannot find out which versions a server speaks");
        refuse(match error {
            TalkError::Lost(_) => Broken::Unreachable,
            TalkError::Refused(..) => Broken::Nonsense,
        })
    })?;
    service.era_for(client).ok_or_else(|| refuse(Broken::Nonsense))
}

/// True when a server that was spoken to in the stateless era may not have understood it at all.
pub(super) fn is_doubtful(answer: &Answer) -> bool {
    if !answer.status().is_client_error() {
        return false;
    }
    let Answer::Json { body, .. } = answer else { return true };
    // These are errors of the stateless era itself.
    let own = code::UNSUPPORTED_VERSION + 1..=code::HEADER_MISMATCH;
    weft_wire::reply::scan(body).error_code.is_none_or(|code| !own.contains(&code) && code != code::METHOD_NOT_FOUND)
}

/// Asks an instance again which eras it speaks; true when that has changed. Not for one whose registry says so.
pub(super) async fn has_changed(instance: &Arc<Instance>) -> bool {
    if instance.info.era != PeerEra::Unknown {
        return false;
    }
    let before = instance.spoken.eras();
    instance.spoken.forget();
    let asked = Box::pin(Talk::begin(instance)).await;
    if let (Err(_), Some(before)) = (asked, before) {
        instance.spoken.learn(before);
    }
    instance.spoken.eras() != before
}

/// The version that goes to a server of an era: the client's own where it is of that era.
pub(super) const fn version_for(client: Version, upstream: Era) -> Version {
    match upstream {
        Era::Stateless => Version::LATEST,
        Era::Session => match client.era() {
            Era::Session => client,
            Era::Stateless => Version::LATEST_SESSION,
        },
    }
}
