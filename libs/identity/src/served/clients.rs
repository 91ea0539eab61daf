//! The check of clients' certificates: the operator's authorities, and their lists of what they have revoked, become a verifier.
//!
//! Every certificate of a chain is looked up, and an authority without a list, or with one that is out of date, lets nobody in:
//! a list that is lost or held back must not bring a revoked certificate back (RFC 5280, section 6.3.3, asks for a list of now).

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject as _},
    server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::ServedFiles;
use crate::{
    IdentityError,
    handshake::{explain_tls, provider},
    pem,
};

/// Whom the files of one moment let in.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// When the first of the lists is out of date.
    pub(super) until: Option<SystemTime>,
}

impl Clients {
    /// None where clients are not asked for certificates.
    pub(super) fn read(files: &ServedFiles) -> Result<Option<Self>, IdentityError> {
        let Some(path) = &files.clients else { return Ok(None) };
        let wrong = |path: &Path, why: String| IdentityError::File { path: path.to_owned(), why };
        let mut roots = RootCertStore::empty();
        for authority in pem::certificates(path).map_err(|why| wrong(path, why))? {
            roots.add(authority).map_err(|error| wrong(path, error.to_string()))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let mut until = None;
        if let Some(path) = &files.revoked {
            let lists = lists(path).map_err(|why| wrong(path, why))?;
            until = lists.iter().map(|list| list.until).min();
            builder = builder.with_crls(lists.into_iter().map(|list| list.der)).enforce_revocation_expiration();
        }
        if !files.required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| match (&error, &files.revoked) {
            (VerifierBuilderError::InvalidCrl(_), Some(list)) => wrong(list, format!("{error}; {FORM}")),
            _ => wrong(path, error.to_string()),
        })?;
        Ok(Some(Self { verifier, until }))
    }

    /// Whether a chain that was let in would be let in now.
    pub(super) fn check(&self, chain: &[CertificateDer<'static>]) -> Result<(), IdentityError> {
        let (first, rest) = chain.split_first().ok_or(IdentityError::NoCertificate)?;
        let verified = self.verifier.verify_client_cert(first, rest, UnixTime::now());
        verified.map(drop).map_err(|error| explain_tls(&error))
    }
}

/// What a list must be like (webpki takes no others).
const FORM: &str = "a list is of version 2, with a number and the time of the next update, and whole (no delta)";

struct List {
    der: CertificateRevocationListDer<'static>,
    made: i64,
    until: SystemTime,
}

/// The lists of a file, PEM or one in DER. The newest first, because the first of an authority is the one that counts.
fn lists(path: &Path) -> Result<Vec<List>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    // DER begins with a sequence (X.690, section 8.9), PEM with text.
    let found = if bytes.first() == Some(&0x30) {
        vec![CertificateRevocationListDer::from(bytes)]
    } else {
        let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
        found.map_err(|_| "it holds a list that is cut off or damaged; write the file anew".to_owned())?
    };
    if found.is_empty() {
        return Err("it holds no list of revoked certificates; write one with `openssl ca -gencrl`".into());
    }
    let mut lists = found.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    lists.sort_by_key(|list| std::cmp::Reverse(list.made));
    Ok(lists)
}

fn read(der: CertificateRevocationListDer<'static>) -> Result<List, String> {
    let unusable = |why: &str| format!("it holds a list that cannot be read ({why}); {FORM}");
    let (_, list) = x509_parser::parse_x509_crl(&der).map_err(|error| unusable(&error.to_string()))?;
    let next = list.next_update().ok_or_else(|| unusable("it does not say when the next one comes"))?;
    let until = UNIX_EPOCH + Duration::from_secs(u64::try_from(next.timestamp()).unwrap_or_default());
    let made = list.last_update().timestamp();
    drop(list);
    Ok(List { der, made, until })
}
