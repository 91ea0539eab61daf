//! Step 3: who is calling. A verified peer and the request's credentials become a [`Caller`].
//!
//! Today one source exists: a peer on a loopback address is the anonymous local user. Anyone else is refused, so that
//! a gateway bound to a network address by mistake serves nobody.

use std::sync::Arc;

use http::HeaderMap;

use crate::{handover, listen::Peer, refusal::Refusal, seal::Seal};

/// An identity. Cheap to clone; carried from here to the audit of the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    id: Arc<str>,
    /// Another replica has proved who it is.
    handed: bool,
}

impl Caller {
    /// The stable name of the caller: what limits, sealed tokens and services are bound to.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// True when the message comes from another replica, which cannot go on with it.
    pub(crate) const fn is_handed(&self) -> bool {
        self.handed
    }
}

/// Accepts who another replica has accepted, and anonymous callers from loopback; refuses everyone else.
pub(crate) fn identify(
    peer: &Peer,
    headers: &HeaderMap,
    (seal, anonymous): (&Seal, &Arc<str>),
) -> Result<Caller, Refusal> {
    if let Some(caller) = handover::proven(seal, headers) {
        return Ok(Caller { id: caller.into(), handed: true });
    }
    if peer.address.ip().to_canonical().is_loopback() {
        Ok(Caller { id: Arc::clone(anonymous), handed: false })
    } else {
        Err(Refusal::Unauthenticated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_may_stay_anonymous() {
        let anonymous: Arc<str> = "local".into();
        let (seal, none) = (Seal::new(&[7; 32]).unwrap(), HeaderMap::new());
        let at = |ip: &str| Peer { address: format!("{ip}:9").parse().unwrap() };
        let identify = |peer: &Peer, anonymous: &Arc<str>| identify(peer, &none, (&seal, anonymous));
        assert!(identify(&at("127.0.0.1"), &anonymous).is_ok());
        assert!(identify(&at("[::1]"), &anonymous).is_ok());
        assert!(identify(&at("[::ffff:127.0.0.1]"), &anonymous).is_ok());
        assert!(identify(&at("192.0.2.1"), &anonymous).is_err());
    }
}
