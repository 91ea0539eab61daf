//! The check of a peer's certificate: signed by our authority, in its time, and carrying an expected SPIFFE URI.
//!
//! webpki checks the chain; the name check replaces its host names, because instances come and go at addresses that mean
//! nothing (X.509-SVID section 5.2: exactly one URI SAN).

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    DistinguishedName, Error, RootCertStore,
    client::danger::{ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::{IdentityError, Peers, handshake::provider, trust_domain};

/// The part of a verifier, of servers or of clients, that checks the signature of a handshake: by the process's own provider, in TLS 1.3
/// alone.
macro_rules! only_tls13 {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &rustls::pki_types::CertificateDer<'_>,
            _signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Err(rustls::Error::General("only TLS 1.3 is spoken here".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let known = &$crate::handshake::provider().signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            $crate::handshake::provider().signature_verification_algorithms.supported_schemes()
        }
    };
}
pub(crate) use only_tls13;

/// The SPIFFE URI of a certificate: its only URI SAN.
pub(crate) fn spiffe_id(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) if trust_domain(&uri).is_some() => Some(uri),
        _ => None,
    }
}

/// The name that a peer proved and that was not expected, for the error that tells of it.
pub(crate) type Unexpected = Arc<Mutex<Option<String>>>;

/// Checks peers of either side.
#[derive(Debug)]
pub(crate) struct SpiffeVerifier {
    roots: Arc<RootCertStore>,
    /// Checks a client's chain and that its certificate is meant for clients.
    clients: Arc<dyn ClientCertVerifier>,
    allow: Allow,
    unexpected: Unexpected,
}

/// Whom a verifier lets through.
#[derive(Debug, Clone)]
pub(crate) enum Allow {
    /// Anyone of this trust domain.
    Domain(String),
    /// These names.
    Names(Arc<[String]>),
}

impl Allow {
    pub(crate) fn of(peers: &Peers, own: &str) -> Self {
        match peers {
            Peers::TrustDomain => Self::Domain(trust_domain(own).unwrap_or_default().to_owned()),
            Peers::Only(names) => Self::Names(names.clone().into()),
        }
    }

    fn admits(&self, name: &str) -> bool {
        match self {
            Self::Domain(domain) => trust_domain(name) == Some(domain),
            Self::Names(names) => names.iter().any(|known| known == name),
        }
    }
}

impl SpiffeVerifier {
    pub(crate) fn new(
        roots: &Arc<RootCertStore>,
        allow: Allow,
        unexpected: &Unexpected,
    ) -> Result<Self, IdentityError> {
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider()).build();
        let clients = clients.map_err(|error| IdentityError::Handshake(error.to_string()))?;
        Ok(Self { roots: Arc::clone(roots), clients, allow, unexpected: Arc::clone(unexpected) })
    }

    /// The name must be one that is let through.
    fn check_name(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let name = spiffe_id(certificate).unwrap_or_default();
        if self.allow.admits(&name) {
            return Ok(());
        }
        *self.unexpected.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
        Err(Error::InvalidCertificate(rustls::CertificateError::NotValidForName))
    }
}

impl ServerCertVerifier for SpiffeVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            &self.roots,
            intermediates,
            now,
            provider().signature_verification_algorithms.all,
        )?;
        self.check_name(certificate).map(|()| ServerCertVerified::assertion())
    }

    only_tls13!();
}

impl ClientCertVerifier for SpiffeVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.clients.verify_client_cert(certificate, intermediates, now)?;
        self.check_name(certificate).map(|()| verified)
    }

    only_tls13!();
}
