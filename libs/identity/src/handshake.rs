//! Sockets become proven peers: the two sides of the mutual TLS handshake, with errors that say which rule was broken.
//!
//! A configuration is made for each handshake: it holds the material of that moment, and where the check puts the name that
//! it did not expect. Sessions are not resumed, because a resumed one would not be checked again; connections live long.

use std::{
    io,
    sync::{Arc, OnceLock, PoisonError},
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, ServerConfig,
    client::{ResolvesClientCert, Resumption},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::ServerName,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client, server};

use crate::{
    IdentityError, Peers, Source,
    verify::{Allow, SpiffeVerifier, Unexpected, spiffe_id},
};

/// The name that a peer proved: a SPIFFE URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerId(pub String);

pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// Makes our provider of cryptography that of the process, for libraries that ask rustls for its default: some of them bring another
/// one along, and rustls does not choose.
pub fn settle_provider() {
    // Settled before: the same.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// A handshake whose first message has been read.
pub(crate) type Begun<S> = tokio_rustls::StartHandshake<S>;

/// The server's side.
#[derive(Clone)]
pub struct Acceptor {
    source: Arc<dyn Source>,
    allow: Peers,
    protocols: &'static [&'static [u8]],
}

impl Acceptor {
    pub(crate) fn new(source: Arc<dyn Source>, allow: Peers) -> Self {
        Self { source, allow, protocols: &[b"h2", b"http/1.1"] }
    }

    /// Speaks these protocols instead (RFC 7301).
    pub(crate) fn speaking(self, protocols: &'static [&'static [u8]]) -> Self {
        Self { protocols, ..self }
    }

    /// Proves the peer, and ourselves to it.
    pub async fn accept<S>(&self, stream: S) -> Result<(server::TlsStream<S>, PeerId), IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await;
        self.go_on(begun.map_err(|error| explain(&error, &Unexpected::default()))?).await
    }

    /// The rest of a handshake.
    pub(crate) async fn go_on<S>(&self, begun: Begun<S>) -> Result<(server::TlsStream<S>, PeerId), IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let unexpected = Unexpected::default();
        let config = self.config(&unexpected)?;
        let stream = begun.into_stream(config).await.map_err(|error| explain(&error, &unexpected))?;
        let proven = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(spiffe_id);
        let name = proven.ok_or(IdentityError::WrongName { found: String::new() })?;
        self.source.admits(&name).await?;
        Ok((stream, PeerId(name)))
    }

    /// Whether a peer that was let in still may be: what intentions allow can change under open connections.
    pub async fn still_admits(&self, peer: &PeerId) -> Result<(), IdentityError> {
        self.source.admits(&peer.0).await
    }

    fn config(&self, unexpected: &Unexpected) -> Result<Arc<ServerConfig>, IdentityError> {
        let material = self.source.current();
        let allow = Allow::of(&self.allow, &material.spiffe_id);
        let verifier = SpiffeVerifier::new(&material.roots, allow, unexpected)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| IdentityError::Handshake(error.to_string()))?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(Present(Arc::clone(&material.key))));
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// The client's side.
#[derive(Clone)]
pub struct Connector {
    source: Arc<dyn Source>,
    protocols: &'static [&'static [u8]],
}

impl Connector {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self { source, protocols: &[b"http/1.1"] }
    }

    /// Offers HTTP/2 before HTTP/1.1 (RFC 7301); the server chooses.
    #[must_use]
    pub fn offering_http2(self) -> Self {
        self.speaking(&[b"h2", b"http/1.1"])
    }

    /// Speaks these protocols instead (RFC 7301).
    pub(crate) fn speaking(self, protocols: &'static [&'static [u8]]) -> Self {
        Self { protocols, ..self }
    }

    /// Proves that the peer is `expected` (a SPIFFE URI), and ourselves to it.
    pub async fn connect<S>(&self, expected: &str, stream: S) -> Result<client::TlsStream<S>, IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.source.may_reach(expected).await?;
        let unexpected = Unexpected::default();
        let config = self.config(expected, &unexpected)?;
        let name = ServerName::try_from("weft.invalid").map_err(|error| IdentityError::Handshake(error.to_string()))?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| explain(&error, &unexpected))
    }

    fn config(&self, expected: &str, unexpected: &Unexpected) -> Result<Arc<ClientConfig>, IdentityError> {
        let material = self.source.current();
        let allow = Allow::of(&Peers::Only(vec![expected.to_owned()]), &material.spiffe_id);
        let verifier = SpiffeVerifier::new(&material.roots, allow, unexpected)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| IdentityError::Handshake(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(Present(Arc::clone(&material.key))));
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// Presents one certificate, whatever is asked for.
#[derive(Debug)]
pub(crate) struct Present(pub(crate) Arc<CertifiedKey>);

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
pub(crate) fn explain(error: &io::Error, unexpected: &Unexpected) -> IdentityError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return IdentityError::Handshake(error.to_string());
    };
    match explain_tls(tls) {
        IdentityError::WrongName { .. } => {
            let found = unexpected.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            IdentityError::WrongName { found }
        }
        explained => explained,
    }
}

/// The same of an error of rustls, which does not know the name that was wrong.
pub(crate) fn explain_tls(error: &Error) -> IdentityError {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => IdentityError::PlainText,
        Error::InvalidCertificate(certificate) => explain_certificate(certificate),
        Error::InvalidCertRevocationList(list) => {
            IdentityError::Uncertain(format!("the list cannot be used: {list:?}"))
        }
        Error::NoCertificatesPresented | Error::AlertReceived(AlertDescription::CertificateRequired) => {
            IdentityError::NoCertificate
        }
        Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            IdentityError::OldProtocol
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => IdentityError::Expired,
        Error::AlertReceived(AlertDescription::CertificateRevoked) => IdentityError::Revoked,
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => IdentityError::Foreign,
        other => IdentityError::Handshake(other.to_string()),
    }
}

fn explain_certificate(error: &CertificateError) -> IdentityError {
    match error {
        CertificateError::Expired
        | CertificateError::NotValidYet
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYetContext { .. } => IdentityError::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            IdentityError::WrongName { found: String::new() }
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => IdentityError::Foreign,
        CertificateError::Revoked => IdentityError::Revoked,
        CertificateError::UnknownRevocationStatus => {
            IdentityError::Uncertain("there is no list of its authority".to_owned())
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            IdentityError::Uncertain("the list of its authority is out of date".to_owned())
        }
        other => IdentityError::Handshake(format!("{other:?}")),
    }
}
