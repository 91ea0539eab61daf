//! An identity in PEM files, as cert-manager and most authorities deliver it: read again when they change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use crate::{Identity, IdentityError, Material, Source, verify::spiffe_id};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// Where the parts of an identity lie.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate, and behind it its intermediates.
    pub certificate: PathBuf,
    /// The private key, PKCS#8 or SEC1.
    pub key: PathBuf,
    /// The authorities that peers must be signed by.
    pub authorities: PathBuf,
}

impl Files {
    /// The names that cert-manager gives in a mounted secret.
    pub fn in_directory(dir: &Path) -> Self {
        Self { certificate: dir.join("tls.crt"), key: dir.join("tls.key"), authorities: dir.join("ca.crt") }
    }

    /// Reads the files, which must fit each other now; later changes are followed.
    pub fn open(self) -> Result<Identity, IdentityError> {
        let material = Arc::new(self.read()?);
        let stamp = self.stamp();
        let watched =
            Watched { files: self, present: ArcSwap::new(material), looked: Mutex::new((Instant::now(), stamp)) };
        Ok(Identity::new(Arc::new(watched)))
    }

    fn read(&self) -> Result<Material, IdentityError> {
        let wrong = |path: &Path, why: String| IdentityError::File { path: path.to_owned(), why };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| wrong(&self.certificate, error.to_string()))?;
        let first = chain.first().ok_or_else(|| wrong(&self.certificate, "it holds no certificate".into()))?;
        let name = spiffe_id(first).ok_or_else(|| {
            wrong(&self.certificate, "its certificate has no single SPIFFE URI as subject name".into())
        })?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| wrong(&self.key, error.to_string()))?;
        let signing = any_supported_type(&key).map_err(|error| wrong(&self.key, error.to_string()))?;
        let certified = CertifiedKey::new(chain, signing);
        certified
            .keys_match()
            .map_err(|error| wrong(&self.key, format!("it does not fit the certificate: {error}")))?;
        let mut roots = RootCertStore::empty();
        let authorities = CertificateDer::pem_file_iter(&self.authorities)
            .map_err(|error| wrong(&self.authorities, error.to_string()))?;
        for authority in authorities {
            let authority = authority.map_err(|error| wrong(&self.authorities, error.to_string()))?;
            roots.add(authority).map_err(|error| wrong(&self.authorities, error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong(&self.authorities, "it holds no certificate".into()));
        }
        Ok(Material { key: Arc::new(certified), roots: Arc::new(roots), spiffe_id: name })
    }

    /// What changes when a file does; a mounted secret changes by its link.
    fn stamp(&self) -> Vec<Option<(SystemTime, u64)>> {
        let of = |path: &PathBuf| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        [&self.certificate, &self.key, &self.authorities].into_iter().map(of).collect()
    }
}

type Stamp = Vec<Option<(SystemTime, u64)>>;

struct Watched {
    files: Files,
    present: ArcSwap<Material>,
    looked: Mutex<(Instant, Stamp)>,
}

impl Source for Watched {
    fn current(&self) -> Arc<Material> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.0.elapsed() >= LOOK {
            looked.0 = Instant::now();
            let stamp = self.files.stamp();
            if stamp != looked.1 {
                match self.files.read() {
                    Ok(material) => {
                        self.present.store(Arc::new(material));
                        looked.1 = stamp;
                        tracing::info!(certificate = ?self.files.certificate, "certificate replaced");
                    }
                    // The files may be half written: the next look decides.
                    Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the old one stays"),
                }
            }
        }
        drop(looked);
        self.present.load_full()
    }
}
