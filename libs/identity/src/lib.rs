//! Who a process is and how it proves that: certificates, SPIFFE names, rotation. The one home of rustls.
//!
//! Inside the mesh TLS 1.3 only, both sides always with a certificate, peers recognised by the SPIFFE URI in theirs and never by
//! host name; [`Public`] is for servers outside of it.
//! An [`Identity`] follows its source: each handshake uses the certificate of that moment, and no connection is dropped
//! when it changes.

use std::{path::PathBuf, sync::Arc};

mod consul;
mod dev;
mod files;
mod handshake;
mod life;
mod open;
mod pem;
mod private;
mod public;
mod same;
mod served;
mod vault;
mod verify;

pub use dev::DevCa;
pub use files::Files;
pub use handshake::{Acceptor, Connector, PeerId, settle_provider};
pub use life::Life;
pub use private::keep_first;
pub use public::Public;
pub use served::{Chain, Guest, Proven, Served, ServedFiles};
/// A client's connection after the handshake.
pub use tokio_rustls::server::TlsStream;
pub use vault::{Login, Vault};

use futures_util::future::BoxFuture;
use rustls::{RootCertStore, sign::CertifiedKey};

/// Why an identity cannot be had, or a peer was refused.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No source of identities has this name.
    #[error("{0}")]
    Source(String),
    /// A file of the identity cannot be used.
    #[error("cannot use {path:?}: {why}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Issue(String),
    /// The peer does not speak TLS at all.
    #[error("the peer speaks plain text; it must connect with mutual TLS")]
    PlainText,
    /// The peer speaks TLS, but not version 1.3.
    #[error("the peer does not speak TLS 1.3")]
    OldProtocol,
    /// The peer has no certificate, or we showed none.
    #[error("no certificate was presented; both sides need one")]
    NoCertificate,
    /// The peer's certificate is out of its time, or ours is to the peer.
    #[error("the certificate has expired or is not valid yet; check the clocks and the rotation")]
    Expired,
    /// The peer's certificate was revoked, or ours to the peer.
    #[error("the certificate has been revoked")]
    Revoked,
    /// No list tells whether the peer's certificate was revoked.
    #[error("it cannot be told whether the certificate has been revoked: {0}")]
    Uncertain(String),
    /// The peer's certificate comes from an authority we do not know, or the peer does not know ours.
    #[error("the certificate is not signed by the mesh's authority")]
    Foreign,
    /// The peer proved to be somebody else.
    #[error("the peer is {found:?}, which is not expected here")]
    WrongName {
        /// The name it proved.
        found: String,
    },
    /// The intentions of the mesh do not allow it.
    #[error("the intentions do not allow {0}")]
    Denied(String),
    /// The handshake failed otherwise.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
}

impl IdentityError {
    /// The value of the metric label `reason`.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::File { .. } => "file",
            Self::Issue(_) => "issue",
            Self::PlainText => "plain_text",
            Self::OldProtocol => "old_protocol",
            Self::NoCertificate => "no_certificate",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Uncertain(_) => "revocation_unknown",
            Self::Foreign => "foreign",
            Self::WrongName { .. } => "wrong_name",
            Self::Denied(_) => "denied",
            Self::Handshake(_) => "handshake",
        }
    }
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// Anyone of our trust domain.
    TrustDomain,
    /// Only these SPIFFE URIs.
    Only(Vec<String>),
}

/// What is presented and what is trusted, at one moment.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) spiffe_id: String,
}

/// Gives the material of now, renewing it when it is due.
pub(crate) trait Source: Send + Sync {
    /// The present material; an old one stays in use while a new one cannot be had.
    fn current(&self) -> Arc<Material>;

    /// Whether a proven peer may connect to us.
    fn admits<'a>(&'a self, _peer: &'a str) -> BoxFuture<'a, Result<(), IdentityError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether we may connect to a peer.
    fn may_reach<'a>(&'a self, _peer: &'a str) -> BoxFuture<'a, Result<(), IdentityError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// One workload's identity.
#[derive(Clone)]
pub struct Identity {
    source: Arc<dyn Source>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Identity").field(&self.spiffe_id()).finish()
    }
}

impl Identity {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self { source }
    }

    /// The name in the certificate, `spiffe://<trust domain>/svc/<name>`.
    pub fn spiffe_id(&self) -> String {
        self.source.current().spiffe_id.clone()
    }

    /// How long the present certificate is valid.
    pub fn life(&self) -> Option<Life> {
        Life::of(self.source.current().key.cert.first()?)
    }

    /// The server's side of handshakes; ALPN offers `h2` and `http/1.1`.
    pub fn acceptor(&self, allow: Peers) -> Acceptor {
        Acceptor::new(Arc::clone(&self.source), allow)
    }

    /// Whether we may (still) connect to `peer`, a SPIFFE URI: what intentions allow can change under open connections.
    pub async fn may_reach(&self, peer: &str) -> Result<(), IdentityError> {
        self.source.may_reach(peer).await
    }

    /// The client's side of handshakes.
    pub fn connector(&self) -> Connector {
        Connector::new(Arc::clone(&self.source))
    }
}

/// The trust domain of a SPIFFE URI (SPIFFE-ID section 2).
pub(crate) fn trust_domain(spiffe_id: &str) -> Option<&str> {
    spiffe_id.strip_prefix("spiffe://")?.split('/').next().filter(|domain| !domain.is_empty())
}
