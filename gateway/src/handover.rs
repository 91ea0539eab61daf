//! A message that only another replica can go on with, handed to it: the answer to a question whose stream that replica holds.
//!
//! Replicas know each other from the registry, and prove to each other who the caller is with a seal that only they can make; where
//! the listener has TLS, over a connection on which both have proved to be replicas (`served/replica.rs` of weft-identity). A
//! message is handed over once; where the other replica is gone, whoever has the message does what is left to do.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};
use weft_mesh::Instance;
use weft_wire::headers;

use crate::{
    Gateway, authenticate::Standing, authorize::Role, call::Call, door, reply::Body, seal::Seal,
    upstream::connection::Connections,
};

/// The header in which the proof travels.
const PROOF: &str = "weft-handover";
/// What the proof is sealed for.
const PURPOSE: &str = "weft handover 1";
/// How old a proof may be, seconds: replicas' clocks differ.
const FRESH: u64 = 60;
/// How long the other replica may take to take the message.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize, Deserialize)]
struct Proven {
    #[serde(rename = "u")]
    caller: String,
    /// What is not said allows least.
    #[serde(rename = "r", default)]
    role: Role,
    #[serde(rename = "n", default)]
    tenant: Option<String>,
    #[serde(rename = "p", default)]
    proven: bool,
    #[serde(rename = "t")]
    at: u64,
}

/// The caller that another replica has proved; none for a header that somebody made up, or that is old.
pub(crate) fn proven(seal: &Seal, headers: &HeaderMap) -> Option<Standing> {
    let token = headers.get(PROOF)?.to_str().ok()?;
    let Proven { caller, role, tenant, proven, at } = serde_json::from_slice(&seal.open(PURPOSE, token)?).ok()?;
    let standing = || Standing { id: caller.into(), role, tenant: tenant.map(Into::into), proven, over: None };
    (at.abs_diff(now()) <= FRESH).then(standing)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The other replica's answer to the call; none when it cannot be reached, is not the one that was meant any more, or is this one.
pub(crate) async fn post(gateway: &Gateway, call: &Call, replica: &str) -> Option<Response<Body>> {
    if call.caller.is_handed() || replica == gateway.replica {
        return None;
    }
    let id = replica.rsplit_once('-')?.0;
    let peer = gateway.upstreams.replica(id)?;
    let proof = Proven {
        caller: call.caller.id().to_owned(),
        role: call.caller.role(),
        tenant: call.caller.tenant().map(str::to_owned),
        proven: call.caller.is_proven(),
        at: now(),
    };
    let proof = gateway.seal.seal(PURPOSE, &serde_json::to_vec(&proof).ok()?)?;
    let connections = Arc::new(Connections::new(&peer, gateway.replicas(), PATIENCE));
    let sent = tokio::time::timeout(PATIENCE, connections.send(request(call, &peer, &proof)?));
    let response = match sent.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::debug!(replica, why = error.why(), "a replica cannot be reached");
            return None;
        }
        Err(_) => return None,
    };
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONNECTION);
    parts.headers.remove(header::TRANSFER_ENCODING);
    Some(Response::from_parts(parts, Body::fallible(body.map_err(std::io::Error::other))))
}

fn request(call: &Call, peer: &Instance, proof: &str) -> Option<Request<Full<bytes::Bytes>>> {
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = door::path(&call.surface).parse().ok()?;
    let kept = [
        headers::PROTOCOL_VERSION,
        headers::METHOD,
        headers::NAME,
        headers::SESSION_ID,
        "content-type",
        "accept",
        "host",
        "origin",
        "traceparent",
        "tracestate",
        "weft-conversation",
    ];
    let out = request.headers_mut();
    for (name, value) in call.headers.iter() {
        if kept.contains(&name.as_str()) || name.as_str().starts_with(headers::PARAM_PREFIX) {
            out.append(name.clone(), value.clone());
        }
    }
    out.entry(header::HOST).or_insert(HeaderValue::try_from(peer.address.to_string()).ok()?);
    out.insert(PROOF, HeaderValue::try_from(proof).ok()?);
    Some(request)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The header of a writer that another replica speaks for.
    pub(crate) fn handed(seal: &Seal, caller: &str, at: u64) -> HeaderMap {
        let proven = Proven { caller: caller.into(), role: Role::Writer, tenant: None, proven: true, at };
        let proof = serde_json::to_vec(&proven).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(PROOF, HeaderValue::try_from(seal.seal(PURPOSE, &proof).unwrap()).unwrap());
        headers
    }

    pub(crate) fn fresh() -> u64 {
        now()
    }

    #[test]
    fn only_a_fresh_proof_of_a_replica_counts() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let with = |seal: &Seal, at: u64| handed(seal, "alice", at);
        let of = |headers: &HeaderMap| proven(&seal, headers).map(|standing| (standing.id.to_string(), standing.role));
        assert_eq!(of(&with(&seal, now())), Some(("alice".to_owned(), Role::Writer)));
        assert_eq!(of(&with(&seal, now() - FRESH - 10)), None);
        assert_eq!(of(&with(&Seal::new(&[8; 32]).unwrap(), now())), None);
        assert_eq!(of(&HeaderMap::new()), None);
        let mut bare = HeaderMap::new();
        let proof = format!(r#"{{"u":"alice","t":{}}}"#, now());
        bare.insert(PROOF, HeaderValue::try_from(seal.seal(PURPOSE, proof.as_bytes()).unwrap()).unwrap());
        assert_eq!(of(&bare), Some(("alice".to_owned(), Role::Reader)), "a replica that says no role gives the least");
    }
}
