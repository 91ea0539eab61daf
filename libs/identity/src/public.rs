//! Servers of the world outside of the mesh: they prove a host name, by certificates of public authorities or of one that the
//! operator names, and we prove nothing to them.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{IdentityError, handshake::provider, pem};

/// The client's side of handshakes with servers outside of the mesh: TLS 1.2 or 1.3, HTTP/1.1 or what needs no name.
#[derive(Clone)]
pub struct Public {
    config: Arc<ClientConfig>,
}

impl std::fmt::Debug for Public {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Public(..)")
    }
}

impl Public {
    /// Trusts the system's authorities, and those in the PEM file `authorities`.
    pub fn new(authorities: Option<&Path>) -> Result<Self, IdentityError> {
        Self::speaking(&[b"http/1.1"], authorities)
    }

    /// The same for protocols that are not named in the handshake.
    pub fn plain(authorities: Option<&Path>) -> Result<Self, IdentityError> {
        Self::speaking(&[], authorities)
    }

    fn speaking(protocols: &[&[u8]], authorities: Option<&Path>) -> Result<Self, IdentityError> {
        let failed = |error: rustls::Error| IdentityError::Source(error.to_string());
        let extra = match authorities {
            None => Vec::new(),
            Some(path) => pem::certificates(path).map_err(|why| IdentityError::File { path: path.to_owned(), why })?,
        };
        let verifier = Verifier::new_with_extra_roots(extra, provider()).map_err(failed)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { config: Arc::new(config) })
    }

    /// Proves that the peer is `host`.
    pub async fn connect<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let wrong = |error: &dyn std::fmt::Display| IdentityError::Handshake(error.to_string());
        let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(&error))?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await.map_err(|error| wrong(&error))
    }
}
