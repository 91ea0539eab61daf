//! The check of another replica where the gateway has no identity in the mesh: it shows the very certificate that we show, and
//! holds its key.
//!
//! Replicas stand behind one name and share one certificate, so neither names nor authorities have to be known. While a new
//! certificate spreads, two replicas may not recognise each other; what they would have handed over is then lost, and nothing else.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DistinguishedName, Error, ServerConfig,
    client::{
        Resumption,
        danger::{ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{
    IdentityError,
    handshake::{Present, provider},
    served::REPLICA,
    verify::only_tls13,
};

/// Accepts one certificate.
#[derive(Debug)]
pub(crate) struct Same(CertificateDer<'static>);

fn failed(error: impl std::fmt::Display) -> IdentityError {
    IdentityError::Handshake(error.to_string())
}

impl Same {
    fn of(own: &CertifiedKey) -> Result<Arc<Self>, IdentityError> {
        Ok(Arc::new(Self(own.cert.first().cloned().ok_or(IdentityError::NoCertificate)?)))
    }

    /// What a handshake with the holder of our own certificate needs.
    pub(crate) fn client(own: &Arc<CertifiedKey>) -> Result<(Arc<ClientConfig>, ServerName<'static>), IdentityError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Self::of(own)?)
            .with_client_cert_resolver(Arc::new(Present(Arc::clone(own))));
        config.alpn_protocols = REPLICA.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok((Arc::new(config), ServerName::try_from("weft.invalid").map_err(failed)?))
    }

    /// The other side of it.
    pub(crate) fn server(own: &Arc<CertifiedKey>) -> Result<Arc<ServerConfig>, IdentityError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .with_client_cert_verifier(Self::of(own)?)
            .with_cert_resolver(Arc::new(Present(Arc::clone(own))));
        config.alpn_protocols = REPLICA.iter().map(|protocol| protocol.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match *certificate == self.0 {
            true => Ok(()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }
}

impl ServerCertVerifier for Same {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate).map(|()| ServerCertVerified::assertion())
    }

    only_tls13!();
}

impl ClientCertVerifier for Same {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate).map(|()| ClientCertVerified::assertion())
    }

    only_tls13!();
}
