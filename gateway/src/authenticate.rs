//! Step 3: who is calling. What a request brings with it becomes a [`Caller`], or a reason why it is nobody's.
//!
//! There are several kinds of proof, each a file of its own below, and one list of them in [`Authenticator::new`]: the first kind
//! that finds something of its own in the request decides, so that a wrong key is refused and never taken for no key. To add a
//! kind is to add a file and its line.

use std::sync::Arc;

use http::HeaderMap;
use tokio_util::sync::CancellationToken;

use crate::{
    authorize::Role, handover, keys::live::Keys, listen::Peer, refusal::Refusal, seal::Seal, settings::Settings,
};

mod anonymous;
mod certificate;
mod key;

use anonymous::Anonymous;
use certificate::Certified;
use key::Keyed;

/// What is known of a caller.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The stable name: what limits, sealed tokens and servers are told.
    pub(crate) id: Arc<str>,
    pub(crate) role: Role,
    /// Whose data it works on.
    pub(crate) tenant: Option<Arc<str>>,
    /// It has proved who it is; servers are told the role of such a caller only.
    pub(crate) proven: bool,
    /// Cancelled when it may not call any more.
    pub(crate) over: Option<CancellationToken>,
}

/// An identity. Cheap to clone; carried from here to the record of the call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    standing: Arc<Standing>,
    /// Another replica has proved who it is.
    handed: bool,
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.standing.id == other.standing.id
    }
}

impl Caller {
    pub(crate) fn new(standing: Standing) -> Self {
        Self { standing: Arc::new(standing), handed: false }
    }

    /// The gateway itself, when it asks servers on nobody's behalf.
    pub(crate) fn gateway() -> Self {
        let id = "weft-gateway".into();
        Self::new(Standing { id, role: Role::Writer, tenant: None, proven: false, over: None })
    }

    /// The stable name of the caller.
    pub(crate) fn id(&self) -> &str {
        &self.standing.id
    }

    pub(crate) fn role(&self) -> Role {
        self.standing.role
    }

    pub(crate) fn tenant(&self) -> Option<&str> {
        self.standing.tenant.as_deref()
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.standing.proven
    }

    /// What is cancelled when the caller may not call any more.
    pub(crate) fn over(&self) -> Option<&CancellationToken> {
        self.standing.over.as_ref()
    }

    /// True when the message comes from another replica, which cannot go on with it.
    pub(crate) const fn is_handed(&self) -> bool {
        self.handed
    }
}

/// Why credentials were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There are none.
    Missing,
    /// They are of a kind that is not known here.
    Scheme,
    /// Not a key: a character was lost or changed.
    Mistyped,
    /// No such key.
    Unknown,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
}

impl Denied {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Scheme => "scheme",
            Self::Mistyped => "mistyped",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// What the client is told, and what to do about it. No character that a quoted string of a header would have to escape.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Missing => "credentials are required here: send an API key as Authorization: Bearer KEY",
            Self::Scheme => "these credentials are of another kind: send an API key as Authorization: Bearer KEY",
            Self::Mistyped => "this is no API key: a character of it was lost or changed; copy it again",
            Self::Unknown => "this API key is not known here; ask the operator for one",
            Self::Revoked => "this API key has been revoked; ask the operator for another",
            Self::Expired => "these credentials have expired; ask the operator for others",
        }
    }
}

/// What a request may say who it is with.
pub(crate) struct Arrival<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) headers: &'a HeaderMap,
}

/// One kind of proof.
trait Kind: Send + Sync + std::fmt::Debug {
    /// The value of the metric label `kind`.
    fn label(&self) -> &'static str;

    /// Whom the request proves to come from; none when it holds nothing of this kind.
    fn look(&self, arrival: &Arrival<'_>) -> Option<Result<Caller, Denied>>;
}

/// All kinds of proof that are taken here, in the order in which they are asked.
#[derive(Debug)]
pub(crate) struct Authenticator {
    kinds: Vec<Box<dyn Kind>>,
}

impl Authenticator {
    /// The kinds that the settings, which were checked, ask for.
    pub(crate) fn new(settings: &Settings, keys: Option<&Arc<Keys>>, seal: &Arc<Seal>) -> Self {
        let handed = Handed { seal: Arc::clone(seal), by_replicas: settings.tls.is_on() };
        let mut kinds: Vec<Box<dyn Kind>> = vec![Box::new(handed)];
        if let Some(keys) = keys {
            kinds.push(Box::new(Keyed(Arc::clone(keys))));
        }
        if let Some(certified) = Certified::new(&settings.auth) {
            kinds.push(Box::new(certified));
        }
        if keys.is_none() {
            kinds.push(Box::new(Anonymous::default()));
        }
        Self { kinds }
    }

    /// Who is calling.
    pub(crate) fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let arrival = Arrival { peer, headers };
        let found = self.kinds.iter().find_map(|kind| Some((kind.label(), kind.look(&arrival)?)));
        let (kind, outcome) = found.unwrap_or(("none", Err(Denied::Missing)));
        let said = outcome.as_ref().map_or_else(|denied| denied.label(), |_| "accepted");
        metrics::counter!(weft_telemetry::names::GATEWAY_CALLERS.name, "kind" => kind, "outcome" => said).increment(1);
        outcome.map_err(Refusal::Unauthenticated)
    }
}

/// Whom another replica has proved.
#[derive(Debug)]
struct Handed {
    seal: Arc<Seal>,
    /// Only a peer that has proved to be a replica can hand over: its connection proves that where there is TLS.
    by_replicas: bool,
}

impl Kind for Handed {
    fn label(&self) -> &'static str {
        "replica"
    }

    fn look(&self, arrival: &Arrival<'_>) -> Option<Result<Caller, Denied>> {
        let replica = arrival.peer.replica;
        if self.by_replicas && !replica {
            return None;
        }
        match handover::proven(&self.seal, arrival.headers) {
            Some(standing) => Some(Ok(Caller { standing: Arc::new(standing), handed: true })),
            // It speaks for callers and never for itself.
            None if replica => Some(Err(Denied::Missing)),
            // A header that somebody made up says nothing: what else the request holds decides.
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
