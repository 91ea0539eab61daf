//! PEM texts become [`Material`]: the one place where a certificate, its key and its authorities must fit each other.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use crate::{Material, verify::spiffe_id};

/// Which of the three texts is wrong, and why.
#[derive(Debug)]
pub(crate) enum Fault {
    Certificate(String),
    Key(String),
    Authorities(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, why) = match self {
            Self::Certificate(why) => ("certificate", why),
            Self::Key(why) => ("key", why),
            Self::Authorities(why) => ("authorities", why),
        };
        write!(formatter, "the {what}: {why}")
    }
}

/// The certificate first in `chain`, its intermediates behind it; the key as PKCS#8 or SEC1; one or more authorities.
pub(crate) fn material(chain: &[u8], key: &[u8], authorities: &[u8]) -> Result<Material, Fault> {
    let chain = all(chain)?;
    let first = chain.first().ok_or_else(|| Fault::Certificate("it holds no certificate".into()))?;
    let spiffe_id = spiffe_id(first).ok_or_else(|| {
        Fault::Certificate("its certificate has no single SPIFFE URI as subject alternative name".into())
    })?;
    let certified = fitting(chain, key)?;
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities) {
        let authority = authority.map_err(|error| Fault::Authorities(error.to_string()))?;
        roots.add(authority).map_err(|error| Fault::Authorities(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(Fault::Authorities("they hold no certificate".into()));
    }
    Ok(Material { key: Arc::new(certified), roots: Arc::new(roots), spiffe_id })
}

/// A certificate, its intermediates behind it, and its key, without authorities.
pub(crate) fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, Fault> {
    fitting(all(chain)?, key)
}

fn all(chain: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| Fault::Certificate(error.to_string()))?;
    if chain.is_empty() { Err(Fault::Certificate("it holds no certificate".into())) } else { Ok(chain) }
}

fn fitting(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<CertifiedKey, Fault> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Fault::Key(error.to_string()))?;
    let signing = any_supported_type(&key).map_err(|error| Fault::Key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|error| Fault::Key(format!("it does not fit the certificate: {error}")))?;
    Ok(certified)
}

/// The certificates of a file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| error.to_string())?;
    if found.is_empty() { Err("it holds no certificate".into()) } else { Ok(found) }
}
