//! Sockets become proven peers: the two sides of the mutual TLS handshake, with errors that say which rule was broken.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, PoisonError},
};

use arc_swap::ArcSwap;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, ServerConfig,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::ServerName,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::{
    IdentityError, Material, Peers, Source,
    verify::{Allow, SpiffeVerifier, Unexpected, spiffe_id},
};

/// The name that a peer proved: a SPIFFE URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerId(pub String);

/// The server's side.
#[derive(Clone)]
pub struct Acceptor {
    source: Arc<dyn Source>,
    allow: Peers,
    cached: Arc<ArcSwap<Option<Ready>>>,
}

/// A server configuration, and the material that it was made from.
struct Ready {
    material: Arc<Material>,
    config: Arc<ServerConfig>,
    /// Shared by handshakes under way: with several at once the name in an error may be another's, never a decision.
    unexpected: Unexpected,
}

impl Acceptor {
    pub(crate) fn new(source: Arc<dyn Source>, allow: Peers) -> Self {
        Self { source, allow, cached: Arc::new(ArcSwap::from_pointee(None)) }
    }

    /// Proves the peer, and ourselves to it.
    pub async fn accept<S>(&self, stream: S) -> Result<(server::TlsStream<S>, PeerId), IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (config, unexpected) = self.config()?;
        let accepted = TlsAcceptor::from(config).accept(stream).await;
        let stream = accepted.map_err(|error| explain(&error, &unexpected))?;
        let proven = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(spiffe_id);
        let name = proven.ok_or(IdentityError::WrongName { found: String::new() })?;
        self.source.admits(&name).await?;
        Ok((stream, PeerId(name)))
    }

    /// Whether a peer that was let in still may be: what intentions allow can change under open connections.
    pub async fn still_admits(&self, peer: &PeerId) -> Result<(), IdentityError> {
        self.source.admits(&peer.0).await
    }

    fn config(&self) -> Result<(Arc<ServerConfig>, Unexpected), IdentityError> {
        let material = self.source.current();
        if let Some(ready) = &**self.cached.load()
            && Arc::ptr_eq(&ready.material, &material)
        {
            return Ok((Arc::clone(&ready.config), Arc::clone(&ready.unexpected)));
        }
        let unexpected = Unexpected::default();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(SpiffeVerifier {
            roots: Arc::clone(&material.roots),
            provider: Arc::clone(&provider),
            allow: Allow::of(&self.allow, &material.spiffe_id),
            unexpected: Arc::clone(&unexpected),
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| IdentityError::Handshake(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Present(Arc::clone(&material.key))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let ready = Ready { material, config: Arc::clone(&config), unexpected: Arc::clone(&unexpected) };
        self.cached.store(Arc::new(Some(ready)));
        Ok((config, unexpected))
    }
}

/// Client configurations by expected peer, for one material.
#[derive(Default)]
pub(crate) struct Cached {
    material: Option<Arc<Material>>,
    configs: HashMap<String, Arc<ClientConfig>>,
}

/// The client's side.
#[derive(Clone)]
pub struct Connector {
    source: Arc<dyn Source>,
    cached: Arc<ArcSwap<Cached>>,
}

impl Connector {
    pub(crate) fn new(source: Arc<dyn Source>, cached: Arc<ArcSwap<Cached>>) -> Self {
        Self { source, cached }
    }

    /// Proves that the peer is `expected` (a SPIFFE URI), and ourselves to it.
    pub async fn connect<S>(&self, expected: &str, stream: S) -> Result<client::TlsStream<S>, IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.source.may_reach(expected).await?;
        let config = self.config(expected)?;
        let name = ServerName::try_from("weft.invalid").map_err(|error| IdentityError::Handshake(error.to_string()))?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| match explain(&error, &Unexpected::default()) {
            IdentityError::WrongName { .. } => IdentityError::WrongName { found: format!("not {expected}") },
            other => other,
        })
    }

    fn config(&self, expected: &str) -> Result<Arc<ClientConfig>, IdentityError> {
        let material = self.source.current();
        let cached = self.cached.load();
        let same = cached.material.as_ref().is_some_and(|known| Arc::ptr_eq(known, &material));
        if same && let Some(config) = cached.configs.get(expected) {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(SpiffeVerifier {
            roots: Arc::clone(&material.roots),
            provider: Arc::clone(&provider),
            allow: Allow::of(&Peers::Only(vec![expected.to_owned()]), &material.spiffe_id),
            unexpected: Unexpected::default(),
        });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| IdentityError::Handshake(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(Present(Arc::clone(&material.key))));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let mut configs = if same { cached.configs.clone() } else { HashMap::new() };
        configs.insert(expected.to_owned(), Arc::clone(&config));
        self.cached.store(Arc::new(Cached { material: Some(material), configs }));
        Ok(config)
    }
}

/// Presents one certificate, whatever is asked for.
#[derive(Debug)]
struct Present(Arc<CertifiedKey>);

impl ResolvesServerCert for Present {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl ResolvesClientCert for Present {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Which rule a failed handshake broke: from our own check, or from the alert that the peer sent.
fn explain(error: &io::Error, unexpected: &Unexpected) -> IdentityError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return IdentityError::Handshake(error.to_string());
    };
    let found = || unexpected.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    match tls {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => IdentityError::PlainText,
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired
            | CertificateError::NotValidYet
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYetContext { .. } => IdentityError::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                IdentityError::WrongName { found: found() }
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => IdentityError::Foreign,
            other => IdentityError::Handshake(format!("{other:?}")),
        },
        Error::NoCertificatesPresented => IdentityError::Foreign,
        Error::AlertReceived(AlertDescription::CertificateExpired) => IdentityError::Expired,
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => IdentityError::Foreign,
        other => IdentityError::Handshake(other.to_string()),
    }
}
